//! What can go wrong with a bundle.

use std::path::PathBuf;

use super::sign::{SignError, SignatureError};
use hod_fsx::IoKind;
use hod_oci::{ContentMismatch, Digest, ManifestError};
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_report::amount::{format_bytes, format_missing};
use hod_tarball::{EntryPathError, WindowTooLarge};

/// The description of a file that is compressed with gzip.
pub(super) const GZIPPED: &str = "it is compressed with gzip";
/// The description of the output of `docker export` and `podman export`.
pub(super) const ROOT_FILE_SYSTEM: &str = "the file system of a container";

/// A bundle that cannot be written, or that cannot be read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The output could not be written; nothing is left of it.
    #[error("cannot write bundle `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// A blob that is to be packed could not be read.
    #[error("cannot read blob `{digest}` to pack it")]
    ReadBlob {
        digest: Digest,
        #[source]
        source: hod_fsx::Error,
    },
    /// A blob that is to be packed is not what its digest says.
    #[error("blob `{digest}` is damaged: its bytes have the digest `{actual}`")]
    BlobDamaged { digest: Digest, actual: Digest },
    /// A blob that is to be packed has another length than its manifest says.
    #[error("blob `{digest}` is damaged: it has {actual} bytes instead of {expected}")]
    BlobLength {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
    /// A file that is to be carried could not be read.
    #[error("cannot read `{}` to carry it in the bundle", path.display())]
    ReadFile {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// A file to be carried has changed since packing began.
    #[error("`{}` changed while it was packed", path.display())]
    FileChanged { path: PathBuf },
    /// The bundle's file could not be read.
    #[error("cannot read bundle `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// The compressed stream is damaged.
    #[error("bundle `{}` is damaged: its zstd stream breaks off or is wrong in member `{member}`", path.display())]
    Decompress {
        path: PathBuf,
        member: String,
        #[source]
        source: std::io::Error,
    },
    /// A compressed bundle that can only be decompressed with more memory than it gets.
    #[error("bundle `{}` cannot be decompressed", path.display())]
    Window {
        path: PathBuf,
        source: WindowTooLarge,
    },
    /// Some other file.
    #[error("`{}` is not a hod bundle: {found}", path.display())]
    NotABundle { path: PathBuf, found: String },
    /// A file without any content, as an interrupted copy leaves it.
    #[error("`{}` is empty: the copy is incomplete", path.display())]
    Empty { path: PathBuf },
    /// A file that is shorter than it says.
    #[error("`{}` is truncated: expected {} bytes, found {}", path.display(), format_bytes(*expected), format_bytes(*len))]
    Incomplete {
        path: PathBuf,
        len: u64,
        expected: u64,
    },
    /// A compressed bundle where offsets are needed.
    #[error("bundle `{}` is compressed and can only be read from start to end", path.display())]
    Compressed { path: PathBuf },
    /// A bundle of a later hod.
    #[error("bundle has {what}, which this version of hod does not know")]
    Unsupported { what: String },
    /// One of the two json files does not parse.
    #[error("bundle member `{member}` is not valid")]
    Json {
        member: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The bundle's own id is not that of its contents.
    #[error("bundle member `hod/bundle.json` does not have the id `{expected}` but `{actual}`")]
    Id { expected: Digest, actual: Digest },
    /// A text in `hod/bundle.json` that is not permitted.
    #[error("bundle has a {field} that is empty, too long or has control characters")]
    Text { field: &'static str },
    /// A path in `hod/bundle.json` or `hod/volume.json` that is not permitted.
    #[error("bundle has a member with an unsafe path")]
    Path(#[source] EntryPathError),
    /// A member of the archive that differs from the prescribed one.
    #[error("bundle member `{}`: {problem}", path.escape_debug())]
    Member {
        /// The raw text from the archive; it may contain anything.
        path: String,
        problem: MemberProblem,
    },
    /// A manifest in the bundle is none.
    #[error("manifest `{digest}` of the bundle cannot be read")]
    Manifest {
        digest: Digest,
        #[source]
        source: ManifestError,
    },
    /// A blob as `hod/bundle.json` lists it.
    #[error("blob `{digest}` of the bundle {problem}")]
    Blob {
        digest: Digest,
        problem: BlobProblem,
    },
    /// An image as `hod/bundle.json` lists it.
    #[error("image `{image}` of the bundle {problem}")]
    Image {
        image: String,
        problem: ImageProblem,
    },
    /// A volume is asked for that the bundle does not have.
    #[error("volume {index} not found: the bundle has {n_volumes} volumes")]
    NoSuchVolume { index: u32, n_volumes: u32 },
    /// A volume would be written next to those of another bundle.
    #[error(
        "`{}` is of the bundle `{actual}`, and this would be `{expected}`: they differ in {what}",
        path.display()
    )]
    OtherSibling {
        path: PathBuf,
        expected: Digest,
        actual: Digest,
        what: &'static str,
    },
    /// A part of the bundle cannot be divided and does not fit a volume of the given size.
    #[error("volumes of {} bytes are too small: {} bytes are needed", format_bytes(*size), format_bytes(*needed))]
    VolumeTooSmall { size: u64, needed: u64 },
    /// Digests of parts are known only at the end, and the head of every volume contains them.
    #[error(
        "a bundle that is written from start to end, compressed or to stdout, cannot be divided into volumes"
    )]
    StreamedVolumes,
    /// More volumes than are allowed.
    #[error("the bundle needs more than {n_max} volumes, or says it has none")]
    TooManyVolumes { n_max: u32 },
    /// Volumes that are needed and were not found.
    #[error("bundle `{}` is not complete: {} of its {count} volumes {} missing: {}", path.display(), missing.len(), if missing.len() == 1 { "is" } else { "are" }, numbers(missing))]
    VolumesMissing {
        /// A volume that was found.
        path: PathBuf,
        missing: Vec<u32>,
        count: u32,
    },
    /// A volume that bears the name of another bundle's.
    #[error("`{}` is volume {index} of another bundle, `{actual}`, not of `{expected}`", path.display())]
    OtherBundle {
        path: PathBuf,
        index: u32,
        expected: Digest,
        actual: Digest,
    },
    /// Volumes that do not come one after the other where they must.
    #[error("expected volume {expected}, found volume {found}")]
    VolumeOrder { expected: u32, found: u32 },
    /// A joined bundle that breaks off between two volumes.
    #[error("bundle `{}` is not complete: {}", path.display(), format_missing(&(*expected..=*count).collect::<Vec<_>>(), *count))]
    VolumesEnd {
        path: PathBuf,
        expected: u32,
        count: u32,
    },
    /// Something in one of several volumes that come one after the other.
    #[error("volume {index} of {count} of the bundle cannot be used")]
    InStream {
        index: u32,
        count: u32,
        #[source]
        source: Box<BundleError>,
    },
    /// Something in a bundle of one file.
    #[error("bundle `{}` cannot be used", path.display())]
    InBundle {
        path: PathBuf,
        #[source]
        source: Box<BundleError>,
    },
    /// Something in one of several volumes.
    #[error("volume `{}` of the bundle cannot be used", path.display())]
    InVolume {
        path: PathBuf,
        #[source]
        source: Box<BundleError>,
    },
    /// A signature that is missing, wrong, or by a key that is not trusted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The bundle could not be signed; nothing is left of it.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Writing was stopped by the caller; nothing of the bundle is left.
    #[error("writing the bundle was stopped")]
    Stopped,
    /// More than a tar, or this machine, can hold.
    #[error("the bundle is too large")]
    TooLarge,
}

/// What is wrong with one member of the archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberProblem {
    #[error("the archive ends within it")]
    Truncated,
    #[error("it is missing")]
    Missing,
    #[error("it is there twice")]
    Duplicate,
    #[error("it is not listed in `hod/bundle.json`")]
    Unlisted,
    #[error("it is out of order")]
    OutOfOrder,
    #[error("its path is not safe: {reason}")]
    UnsafePath { reason: &'static str },
    #[error("it is a {kind}, where only files and directories are allowed")]
    Kind { kind: &'static str },
    #[error("it has {actual} bytes instead of {expected}")]
    Length { expected: u64, actual: u64 },
    #[error("it is longer than the {max} bytes that are read")]
    TooLong { max: u64 },
    #[error("its content has the digest `{actual}` instead of `{expected}`")]
    Digest { expected: Digest, actual: Digest },
    #[error("it does not hold the digest `{expected}`")]
    Link { expected: Digest },
    #[error("its header is damaged")]
    HeaderDamaged,
    #[error("its header is not as hod writes it")]
    Header,
    #[error("it has an extended header of {len} bytes, more than hod writes")]
    ExtendedHeader { len: u64 },
    #[error("the padding after it is not empty")]
    Padding,
    #[error("`hod/volume.json` lists it wrongly")]
    Listing,
    #[error("`hod/bundle.json` puts it into a volume that there is not")]
    Volume,
    #[error("it is not the same in all volumes")]
    Differs,
    #[error("it is listed at the offset {listed} and lies at {actual}")]
    Offset { listed: u64, actual: u64 },
    #[error("its path is reserved, or is a directory of another member")]
    Reserved,
    #[error("there are bytes after it, where the archive should end")]
    Trailing,
}

/// Of a blob that is written to a bundle.
impl From<ContentMismatch> for BundleError {
    fn from(mismatch: ContentMismatch) -> Self {
        match mismatch {
            ContentMismatch::Digest {
                expected, actual, ..
            } => Self::BlobDamaged {
                digest: expected,
                actual,
            },
            ContentMismatch::Length {
                digest,
                expected,
                actual,
            } => Self::BlobLength {
                digest,
                expected,
                actual,
            },
        }
    }
}

impl From<ContentMismatch> for MemberProblem {
    fn from(mismatch: ContentMismatch) -> Self {
        match mismatch {
            ContentMismatch::Digest {
                expected, actual, ..
            } => Self::Digest { expected, actual },
            ContentMismatch::Length {
                expected, actual, ..
            } => Self::Length { expected, actual },
        }
    }
}

/// What is wrong with how a blob is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobProblem {
    #[error("is listed twice or out of order")]
    Order,
    #[error("belongs to no image")]
    Unused,
    #[error("is listed as a manifest and used as none, or the other way round")]
    Role,
    #[error("is a manifest of {len} bytes, more than are read")]
    ManifestTooLong { len: u64 },
    #[error("is listed at the offset {listed} and lies at {actual}")]
    Offset { listed: u64, actual: u64 },
    #[error("is listed without a place, or with two")]
    NoPlace,
    #[error("is listed in volumes where it cannot be")]
    Place,
    #[error("is in the base and was at an origin that is not listed")]
    Origin,
    #[error("is joined from its parts with the digest `{actual}`")]
    Joined { actual: Digest },
}

/// What is wrong with how an image is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    #[error("is listed twice or out of order")]
    Order,
    #[error("has a tag that means two digests")]
    TagTwice,
    #[error("does not have its own manifest as the last of its manifests")]
    TopNotLast,
    #[error("has `{media_type}`, which is not a manifest's media type")]
    MediaType { media_type: String },
    #[error("needs `{digest}`, which is not in the bundle")]
    Absent { digest: Digest },
    #[error("needs `{digest}` with {expected} bytes; the bundle has it with {actual}")]
    Length {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
    #[error("has the index `{digest}` and none of its images")]
    EmptyIndex { digest: Digest },
}

/// Numbers of volumes in words for a message, with runs of them as ranges.
fn numbers(volumes: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &volume in volumes {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(volume) => *last = volume,
            _ => runs.push((volume, volume)),
        }
    }
    let run = |(first, last): (u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(", ")
}

impl BundleError {
    /// A problem of the member at `path`.
    pub(super) fn member(path: &str, problem: MemberProblem) -> Self {
        Self::Member {
            path: path.to_owned(),
            problem,
        }
    }

    /// Whether it concerns the signature.
    pub fn is_signature(&self) -> bool {
        match self {
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => source.is_signature(),
            Self::Signature(_) => true,
            _ => false,
        }
    }

    /// The blob whose bytes are not what its digest says.
    pub fn damaged_blob(&self) -> Option<&Digest> {
        match self {
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => source.damaged_blob(),
            Self::BlobDamaged { digest, .. } => Some(digest),
            _ => None,
        }
    }

    /// Whether volumes are missing, or cannot be made as they were asked for: nothing was done.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => source.is_refusal(),
            Self::VolumesMissing { .. }
            | Self::VolumesEnd { .. }
            | Self::VolumeTooSmall { .. }
            | Self::NoSuchVolume { .. }
            | Self::TooManyVolumes { .. } => true,
            _ => false,
        }
    }
}

impl BundleError {
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            // Its name says that it is a volume.
            Self::InVolume { source, .. } if matches!(**source, Self::NotABundle { .. }) => {
                ErrorClass::Verify
            }
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => source.class(),
            Self::Write { source, .. }
            | Self::ReadBlob { source, .. }
            | Self::ReadFile { source, .. }
            | Self::Read { source, .. } => source.class(),
            Self::NotABundle { .. }
            | Self::Compressed { .. }
            | Self::Unsupported { .. }
            | Self::VolumeTooSmall { .. }
            | Self::NoSuchVolume { .. }
            | Self::OtherSibling { .. }
            | Self::StreamedVolumes
            | Self::VolumesMissing { .. }
            | Self::OtherBundle { .. }
            | Self::VolumeOrder { .. }
            | Self::VolumesEnd { .. }
            | Self::TooLarge => ErrorClass::Usage,
            Self::FileChanged { .. } => ErrorClass::File,
            Self::Sign(_) => ErrorClass::Auth,
            Self::Stopped => ErrorClass::Stopped,
            Self::BlobDamaged { .. }
            | Self::BlobLength { .. }
            | Self::Decompress { .. }
            // hod writes no such bundle: a bit may be flipped.
            | Self::Window { .. }
            | Self::Empty { .. }
            | Self::Incomplete { .. }
            | Self::Json { .. }
            | Self::Id { .. }
            | Self::Text { .. }
            | Self::Path(_)
            | Self::Member { .. }
            | Self::Manifest { .. }
            | Self::Blob { .. }
            | Self::TooManyVolumes { .. }
            | Self::Signature(_)
            | Self::Image { .. } => ErrorClass::Verify,
        }
    }
}

impl Hint for BundleError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => return source.hint(),
            Self::Window { source, .. } => return source.hint(),
            Self::Signature(error) => return error.hint(),
            Self::Sign(error) => return error.hint(),
            Self::Write { source, .. } if source.kind() == IoKind::NoSpace => {
                "The disk is full: free some space on it, or choose another output. No part of the \
                 bundle was left behind."
            }
            Self::Write { source, .. } if source.kind() == IoKind::TooLarge => {
                "the file system, or `ulimit -f`, allows no file so long: name the output `.tar` and \
                 pass `--volume-size fat32`; no part of the bundle was left behind"
            }
            Self::Write { source, .. }
            | Self::ReadBlob { source, .. }
            | Self::ReadFile { source, .. }
            | Self::Read { source, .. } => return source.hint(),
            Self::BlobDamaged { .. } | Self::BlobLength { .. } => {
                "make it again with what made it, or copy it again; no bundle was written"
            }
            Self::FileChanged { .. } => {
                "run the command again when nothing writes to it; no bundle was written"
            }
            Self::NotABundle { found, .. } if found.contains(ROOT_FILE_SYSTEM) => {
                "An image is not in it: save the image with `docker save IMAGE`, which keeps its \
                 layers and configuration."
            }
            Self::NotABundle { found, .. } if found == GZIPPED => {
                "Decompress it first, with `gunzip` or, in front of a pipe, with `gunzip -c`."
            }
            Self::NotABundle { path, .. } if path.as_os_str() == hod_fsx::STDIN => {
                "From a pipe, hod reads bundles only. Write other archives, such as those of `docker \
                 save`, to a file and name that: `docker save IMAGE --output image.tar`, `hod push \
                 image.tar REGISTRY`."
            }
            Self::NotABundle { .. } => {
                "if it is a tar of a registry's storage, extract it and use the directory in its \
                 place"
            }
            Self::Compressed { .. } => {
                "decompress it with `zstd -d`, or unpack it with `hod unpack`, and use the result"
            }
            Self::Unsupported { .. } => {
                "use the version of hod that made the bundle, or a later one"
            }
            Self::Stopped => return None,
            Self::VolumeTooSmall { needed, .. } => {
                return Some(format!(
                    "Each volume contains the index of the whole bundle. Use `--volume-size {needed}` \
                     or more."
                ));
            }
            Self::NoSuchVolume { .. } => {
                "give the `--volume-size` and the images with which the bundle was packed"
            }
            Self::OtherSibling { .. } => {
                "pack with what the bundle was packed with, or into another directory; nothing was \
                 written"
            }
            Self::Empty { .. } | Self::Incomplete { .. } => {
                "Copy the file again from where it was made, and wait until the copy is finished."
            }
            Self::VolumesMissing { .. } => {
                "put the missing volumes beside this one, or name the directories they are in with \
                 `--volume-dir`"
            }
            Self::OtherBundle { .. } => {
                "keep the volumes of one bundle in a directory of their own"
            }
            Self::VolumeOrder { .. } | Self::VolumesEnd { .. } => {
                "join the volumes in order, as `cat NAME.*.tar` does, or read them as files, where \
                 the order does not matter"
            }
            Self::StreamedVolumes => {
                "name a file `.tar` as the output: layers are compressed already"
            }
            Self::TooManyVolumes { .. } => "use larger volumes",
            Self::TooLarge => "split the list and pack several bundles",
            _ if self.class() == ErrorClass::Verify => {
                "the file is not as hod wrote it: copy it again from where it was made, and \
                 compare its checksum there and here"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
