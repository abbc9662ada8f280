//! The flags for platforms and indexes.

use clap::{Args, ValueEnum};

use hod_oci::PlatformChoice;
use hod_ops::{Mismatch, PlatformOptions};
use hod_transfer::IndexMode;

/// What is pulled of a multi-platform image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct PullPlatformArgs {
    /// The platforms to carry: one, several, or `all`; by default Linux on this machine's
    /// architecture
    ///
    /// With one, the tag names that platform's manifest. With several, it names an index of them.
    /// With `all`, the index and all that it lists keep their bytes. `windows/amd64:10.0.20348`
    /// chooses by the version of the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What to do with an index when not all that it lists is carried
    #[arg(long, value_enum, value_name = "MODE")]
    index: Option<IndexArg>,

    /// Fail an image that is not for every platform asked for, instead of carrying it with a warning
    #[arg(long)]
    strict_platform: bool,
}

impl PullPlatformArgs {
    pub(crate) fn options(&self) -> PlatformOptions {
        options(self.platform.as_ref(), self.index, self.strict_platform)
    }
}

/// What a local source has, narrowed to platforms.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct PlatformArgs {
    /// The platforms to carry: one, several, or `all`; by default those in the list's line, or all
    /// that the source has
    ///
    /// With one, the tag names that platform's manifest. With several, it names an index of them.
    /// With `all`, an index keeps its bytes, and an image fails that lacks a part of its index. A
    /// line's own `platform=` takes precedence. `windows/amd64:10.0.20348` chooses by the version of
    /// the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What to do with an index when not all that it lists is carried; by default it is kept,
    /// unless platforms are chosen
    #[arg(long, value_enum, value_name = "MODE")]
    index: Option<IndexArg>,

    /// Fail an image that is not for every platform asked for, instead of carrying it with a warning
    #[arg(long, requires = "platform")]
    strict_platform: bool,
}

/// The platforms that are looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct LookPlatformArgs {
    /// Only these platforms of each image: one, several, or `all`; by default those in the list's
    /// line, or all
    ///
    /// Each image is then what `hod copy` with the same flags would carry: with one platform, that
    /// platform's manifest; with several, an index of them. `windows/amd64:10.0.20348` chooses by the
    /// version of the operating system.
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...|all", value_parser = parse)]
    platform: Option<PlatformChoice>,

    /// What an index counts as when not all that it lists is looked at
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
    /// A new index of what is carried; its digest is new, and both are printed
    Rewrite,
    /// The index as it is; most registries refuse it, since its other manifests are missing
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
