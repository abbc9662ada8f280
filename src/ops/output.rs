//! Reasons to refuse an output: existing content, and the space and limits of its disk.

use std::path::PathBuf;

use hod_fsx::LinkMode;
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_report::amount::{format_bytes, format_len};

/// An output that was refused before anything was written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// An existing file at the path of an archive.
    #[error("`{}` already exists{}; nothing was written", path.display(), found.map(|found| format!(" and is {found}")).unwrap_or_default())]
    Exists {
        path: PathBuf,
        /// Its kind with an article, if known.
        found: Option<&'static str>,
    },
    /// The storage of a registry at the output of layouts.
    #[error("`{}` is a store, and layouts do not belong in it; nothing was changed", path.display())]
    IsStore { path: PathBuf },
    /// A single layout at the output of several, which would hide the others.
    #[error("`{}` is {kind}, and cannot become {wanted}; nothing was changed", path.display())]
    IsLayout {
        path: PathBuf,
        /// With an article.
        kind: &'static str,
        /// With an article.
        wanted: &'static str,
    },
    /// Nothing can be created there.
    #[error("`{}` cannot be written to", path.display())]
    NotWritable {
        path: PathBuf,
        source: hod_fsx::Error,
    },
    #[error("not enough room on the disk of `{}`: {} needed, {} free", path.display(), format_len(*needed), format_len(*available))]
    NoSpace {
        path: PathBuf,
        needed: u64,
        available: u64,
        fewer: Fewer,
    },
    /// Outputs on one disk that fit one by one.
    #[error("not enough room on the disk that {} share: {} needed, {} free", joined(paths), format_len(*needed), format_len(*available))]
    NoSpaceForAll {
        paths: Vec<PathBuf>,
        needed: u64,
        available: u64,
    },
    #[error("the file system of `{}` cannot hold a file of {} bytes: the limit is {}", path.display(), format_bytes(*len), format_bytes(*max))]
    FileTooLong { path: PathBuf, len: u64, max: u64 },
    /// Hardlinks were asked for between two file systems.
    #[error("`{}` is on another file system than the source, and hardlinks stay within one", path.display())]
    CrossDevice {
        path: PathBuf,
        needed: u64,
        available: u64,
    },
    /// Links that the system refuses, as an attempt has shown.
    #[error("files of the source cannot be {} into `{}`", linked(*mode), path.display())]
    CannotLink {
        path: PathBuf,
        mode: LinkMode,
        needed: u64,
        available: u64,
    },
}

/// How a verb is made to carry fewer images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fewer {
    /// By the list that it requires.
    List,
    /// With a list, instead of everything in the source.
    ListOfStore,
    /// By `--only`.
    Only,
    /// It carries all that its sources have.
    Never,
}

/// The paths as words of a sentence.
fn joined(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| format!("`{}`", path.display()));
    paths.collect::<Vec<_>>().join(" and ")
}

fn linked(mode: LinkMode) -> &'static str {
    match mode {
        LinkMode::Hard => "hardlinked",
        LinkMode::Reflink => "reflinked",
        LinkMode::Copy => "copied",
    }
}

impl OutputError {
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoSpace { .. } | Self::NoSpaceForAll { .. } | Self::FileTooLong { .. } => {
                ErrorClass::Space
            }
            Self::NotWritable { source, .. } => source.class(),
            Self::Exists { .. }
            | Self::IsStore { .. }
            | Self::IsLayout { .. }
            | Self::CrossDevice { .. }
            | Self::CannotLink { .. } => ErrorClass::Usage,
        }
    }
}

impl Hint for OutputError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Exists { .. } => "Choose another name, or remove it first.".to_owned(),
            Self::IsStore { path } => format!(
                "Choose another output. `hod select` and `hod unpack` write into stores; `hod ls {}` \
                 lists what this one has.",
                path.display()
            ),
            Self::IsLayout { .. } => {
                "Choose another directory. `hod copy SRC oci:PATH` and `hod export --format oci` add images to \
                 an OCI layout.".to_owned()
            }
            Self::NotWritable { source, .. } => {
                let hint = source.hint();
                let hint = hint.unwrap_or_else(|| "Choose another path.".to_owned());
                format!("Nothing was changed. {hint}")
            }
            Self::NoSpace { fewer, .. } => format!(
                "Nothing was written. Free some space{}.",
                match fewer {
                    Fewer::List => {
                        ", choose another disk, or carry fewer images with `--section` or a \
                         shorter list"
                    }
                    Fewer::ListOfStore => {
                        ", choose another disk, or pack fewer images with a list: `hod pack LIST \
                         --store DIR`"
                    }
                    Fewer::Only => {
                        ", choose another disk, or carry fewer images with `--only LIST`"
                    }
                    Fewer::Never => " or choose another disk",
                }
            ),
            Self::NoSpaceForAll { .. } => {
                "Nothing was written. Free some space, or put one of them on another disk."
                    .to_owned()
            }
            Self::FileTooLong { .. } => {
                "nothing was written; `--volume-size fat32` divides the bundle into files that it \
                 holds"
                    .to_owned()
            }
            Self::CrossDevice {
                needed, available, ..
            } => format!(
                "put the output on the file system of the source, or pass `--link copy`, which \
                 needs {} there ({} free); nothing was written",
                format_len(*needed),
                format_len(*available),
            ),
            Self::CannotLink {
                mode,
                needed,
                available,
                ..
            } => format!(
                "{} Pass `--link copy`, which needs {} there ({} free). Nothing was written.",
                match mode {
                    LinkMode::Reflink => {
                        "Reflinks require that both are on one file system, and that it has \
                         reflinks (Btrfs, XFS)."
                    }
                    LinkMode::Hard | LinkMode::Copy => {
                        "Hardlinks require that both are on one file system and one mount, and that \
                         the user who runs hod owns the files."
                    }
                },
                format_len(*needed),
                format_len(*available),
            ),
        })
    }
}
