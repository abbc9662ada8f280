//! Reasons to refuse an output: existing content, and the space and limits of its disk.

use std::path::PathBuf;

use hod_fsx::LinkMode;
use hod_report::ErrorClass::{File, Space};
use hod_report::amount::{format_bytes, format_len};
use hod_report::{Diagnose, Diagnosis};

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
    #[error("not enough space on the disk of `{}`: {} required, {} free", path.display(), format_len(*needed), format_len(*available))]
    NoSpace {
        path: PathBuf,
        needed: u64,
        available: u64,
        fewer: Fewer,
    },
    /// Outputs on one disk that fit one by one.
    #[error("not enough space on the disk that {} share: {} required, {} free", joined(paths), format_len(*needed), format_len(*available))]
    NoSpaceForAll {
        paths: Vec<PathBuf>,
        needed: u64,
        available: u64,
    },
    #[error("the file system of `{}` cannot hold a file of {} bytes: the limit is {} bytes", path.display(), format_bytes(*len), format_bytes(*max))]
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

impl Diagnose for OutputError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Exists { .. } => {
                Diagnosis::refused(File).hint("Choose another name, or remove it first.")
            }
            Self::IsStore { path } => Diagnosis::refused(File).hint(format!(
                "Choose another output. `hod select` and `hod unpack` write into stores; `hod ls {}` \
                 lists the images of this one.",
                path.display()
            )),
            Self::IsLayout { .. } => Diagnosis::refused(File).hint(
                "Choose another directory. `hod copy SRC oci:PATH` and `hod export --format oci` add \
                 images to an OCI layout.",
            ),
            Self::NotWritable { source, .. } => {
                let Diagnosis { class, hint, .. } = source.diagnose();
                let hint = hint.as_deref().unwrap_or("Choose another path.");
                Diagnosis::refused(class).hint(format!("Nothing was changed. {hint}"))
            }
            Self::NoSpace { fewer, .. } => Diagnosis::refused(Space).hint(match fewer {
                Fewer::List => {
                    "Nothing was written. Free some space, choose another disk, or choose fewer \
                     images with `--section` or a shorter list."
                }
                Fewer::ListOfStore => {
                    "Nothing was written. Free some space, choose another disk, or pack fewer images \
                     with a list: `hod pack LIST --store DIR`."
                }
                Fewer::Only => {
                    "Nothing was written. Free some space, choose another disk, or choose fewer \
                     images with `--only LIST`."
                }
                Fewer::Never => "Nothing was written. Free some space or choose another disk.",
            }),
            Self::NoSpaceForAll { .. } => Diagnosis::refused(Space).hint(
                "Nothing was written. Free some space, or put one of them on another disk.",
            ),
            Self::FileTooLong { .. } => Diagnosis::refused(Space).hint(
                "Nothing was written. Choose a path on another file system, or pack a bundle with `hod \
                 pack --volume-size fat32`, which divides it into files that fit.",
            ),
            Self::CrossDevice {
                needed, available, ..
            } => copies("Put the output on the file system of the source, or pass `--link copy`", *needed, *available),
            Self::CannotLink {
                mode: LinkMode::Reflink,
                needed,
                available,
                ..
            } => copies("Reflinks require one file system that supports them (Btrfs, XFS). Pass `--link copy`", *needed, *available),
            Self::CannotLink {
                needed, available, ..
            } => copies("Hardlinks require one file system, one mount, and files that the user who runs hod \
                 owns. Pass `--link copy`", *needed, *available),
        }
    }
}

/// A refusal to make links, with what copies would require.
fn copies(advice: &str, needed: u64, available: u64) -> Diagnosis {
    Diagnosis::refused(File).hint(format!(
        "Nothing was written. {advice}, which requires {} there ({} free).",
        format_len(needed),
        format_len(available)
    ))
}
