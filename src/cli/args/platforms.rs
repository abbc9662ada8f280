//! The flags for platforms and indexes.

use clap::{Args, ValueEnum};

use hod_oci::PlatformChoice;
use hod_ops::{Mismatch, PlatformOptions};
use hod_transfer::IndexMode;

/// The platforms that a pull carries.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct PullPlatformArgs {
    /// The platforms to carry: one, several, or `all`; by default Linux on this machine's
    /// architecture
    ///
    /// With one platform, the tag names its manifest. With several, the tag names an index of them.
    /// With `all`, the index and everything in it stay unchanged. `platform=` in a line of the list takes
    /// precedence. `windows/amd64:10.0.20348` also selects the version of the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What to do with an index if only some of its manifests are carried
    #[arg(long, value_enum, value_name = "MODE")]
    index: Option<IndexArg>,

    /// Fail images that do not exist for every requested platform, instead of warning
    #[arg(long)]
    strict_platform: bool,
}

impl PullPlatformArgs {
    pub(crate) fn options(&self) -> PlatformOptions {
        options(self.platform.as_ref(), self.index, self.strict_platform)
    }
}

/// The platforms to carry of what a source has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct PlatformArgs {
    /// The platforms to carry: one, several, or `all`; by default everything that the source has
    ///
    /// With one platform, the tag names its manifest. With several, the tag names an index of them.
    /// With `all`, the index stays unchanged, and an image that lacks a part of its index fails.
    /// `platform=` in a line of the list takes precedence. `windows/amd64:10.0.20348` also selects the
    /// version of the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What to do with an index if only some of its manifests are carried; by default it is kept,
    /// unless `--platform` is given
    #[arg(long, value_enum, value_name = "MODE")]
    index: Option<IndexArg>,

    /// Fail images that do not exist for every requested platform, instead of warning
    #[arg(long, requires = "platform")]
    strict_platform: bool,
}

/// The platforms to read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct LookPlatformArgs {
    /// The platforms to read: one, several, or `all`; by default everything that the source has
    ///
    /// hod reads what `hod copy` with the same flags would carry: with one platform, its manifest; with
    /// several, an index of them. `platform=` in a line of the list takes precedence.
    /// `windows/amd64:10.0.20348` also selects the version of the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What to do with an index if only some of its manifests are read
    #[arg(long, value_enum, value_name = "MODE")]
    index: Option<IndexArg>,
}

impl LookPlatformArgs {
    pub(crate) fn options(&self) -> PlatformOptions {
        options(self.platform.as_ref(), self.index, false)
    }
}

/// What becomes of an index of which not every platform is carried.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum IndexArg {
    /// Write a new index of the carried manifests; both digests are printed
    Rewrite,
    /// Keep the index unchanged; most registries refuse it, because other manifests are missing
    Keep,
}

impl IndexArg {
    fn mode(self) -> IndexMode {
        match self {
            Self::Rewrite => IndexMode::Rewrite,
            Self::Keep => IndexMode::Keep,
        }
    }
}

impl PlatformArgs {
    pub(crate) fn options(&self) -> PlatformOptions {
        options(self.platform.as_ref(), self.index, self.strict_platform)
    }
}

fn options(
    platforms: Option<&PlatformChoice>,
    index: Option<IndexArg>,
    is_strict: bool,
) -> PlatformOptions {
    PlatformOptions {
        platforms: platforms.cloned(),
        index: index.map(IndexArg::mode),
        mismatch: if is_strict {
            Mismatch::Fail
        } else {
            Mismatch::Warn
        },
    }
}

/// Parses platforms, with what was likely meant by one that is misspelt.
fn parse(text: &str) -> Result<PlatformChoice, String> {
    text.parse::<PlatformChoice>()
        .map_err(|error| match error.meant() {
            Some(meant) => format!("{error}; did you mean `{meant}`?"),
            None => error.to_string(),
        })
}
