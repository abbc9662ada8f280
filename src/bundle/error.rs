//! What can go wrong with a bundle.

use std::path::{Path, PathBuf};

use super::sign::{SignError, SignatureError};
use hod_fsx::IoKind;
use hod_oci::{ContentMismatch, Digest, ManifestError};
use hod_report::ErrorClass::{File, NotFound, Policy, Usage, Verify};
use hod_report::amount::{format_bytes, format_count, format_len, format_missing};
use hod_report::{Diagnose, Diagnosis, ErrorClass};
use hod_tarball::{EntryPathError, WindowTooLarge};

/// The description of a file that is compressed with gzip.
pub(super) const GZIPPED: &str = "it is compressed with gzip";
/// The description of the output of `docker export` and `podman export`.
pub(super) const ROOT_FILE_SYSTEM: &str = "the file system of a container";

/// A bundle that cannot be written, or that cannot be read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The output could not be written; nothing is left of it.
    #[error("failed to write bundle `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// A blob to pack could not be read.
    #[error("failed to read blob `{digest}`, which is to be packed")]
    ReadBlob {
        digest: Digest,
        #[source]
        source: hod_fsx::Error,
    },
    /// The content of a blob to pack does not match its digest.
    #[error("blob `{digest}` is damaged: its content has digest `{actual}`")]
    BlobDamaged { digest: Digest, actual: Digest },
    /// The length of a blob to pack is not the one in its manifest.
    #[error("blob `{digest}` is damaged: expected {expected} bytes, found {actual}")]
    BlobLength {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
    /// A file to pack could not be read.
    #[error("failed to read `{}`, which is to be packed", path.display())]
    ReadFile {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// A file to pack has changed since packing began.
    #[error("`{}` changed while it was being packed", path.display())]
    FileChanged { path: PathBuf },
    /// The file of the bundle could not be read.
    #[error("failed to read bundle `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: hod_fsx::Error,
    },
    /// The compressed stream is damaged.
    #[error("bundle `{}` is damaged: its zstd stream is truncated or invalid in member `{member}`", path.display())]
    Decompress {
        path: PathBuf,
        member: String,
        #[source]
        source: std::io::Error,
    },
    /// Decompressing the bundle would take more memory than hod allows.
    #[error("bundle `{}` cannot be decompressed", path.display())]
    Window {
        path: PathBuf,
        source: WindowTooLarge,
    },
    /// The file is not a bundle.
    #[error("`{}` is not a hod bundle: {found}", path.display())]
    NotABundle { path: PathBuf, found: String },
    /// The file is empty, as after an interrupted copy.
    #[error("`{}` is empty: the copy is incomplete", path.display())]
    Empty { path: PathBuf },
    /// The file is truncated.
    #[error("`{}` is truncated: expected {} bytes, found {}", path.display(), format_bytes(*expected), format_bytes(*len))]
    Incomplete {
        path: PathBuf,
        len: u64,
        expected: u64,
    },
    /// The bundle is compressed, and random access is required.
    #[error("bundle `{}` is compressed and can be read only from start to end", path.display())]
    Compressed { path: PathBuf },
    /// A later version of hod wrote the bundle.
    #[error("the bundle has {what}, which this version of hod does not support")]
    Unsupported { what: String },
    /// One of the two JSON files is invalid.
    #[error("bundle member `{member}` is invalid")]
    Json {
        member: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The id of the bundle does not match its content.
    #[error("bundle member `hod/bundle.json`: expected the id `{expected}`, found `{actual}`")]
    Id { expected: Digest, actual: Digest },
    /// A text in `hod/bundle.json` is not permitted.
    #[error("the {field} of the bundle is empty, too long or contains control characters")]
    Text { field: &'static str },
    /// A path in `hod/bundle.json` or `hod/volume.json` is not permitted.
    #[error("the bundle has a member with an unsafe path")]
    Path(#[source] EntryPathError),
    /// A member of the archive is not the expected one.
    #[error("bundle member `{}`: {problem}", path.escape_debug())]
    Member {
        /// The raw text from the archive; it may contain anything.
        path: String,
        problem: MemberProblem,
    },
    /// A manifest in the bundle is invalid.
    #[error("manifest `{digest}` of the bundle cannot be read")]
    Manifest {
        digest: Digest,
        #[source]
        source: ManifestError,
    },
    /// The entry of a blob in `hod/bundle.json` is invalid.
    #[error("blob `{digest}` of the bundle {problem}")]
    Blob {
        digest: Digest,
        problem: BlobProblem,
    },
    /// The entry of an image in `hod/bundle.json` is invalid.
    #[error("image `{image}` of the bundle {problem}")]
    Image {
        image: String,
        problem: ImageProblem,
    },
    /// The bundle does not have the requested volume.
    #[error("volume {index} not found: the bundle has {}", format_count(*n_volumes as usize, "volume"))]
    NoSuchVolume { index: u32, n_volumes: u32 },
    /// A volume would be written next to those of another bundle.
    #[error(
        "`{}` belongs to bundle `{actual}`, and this run would write `{expected}`: they differ in {what}",
        path.display()
    )]
    OtherSibling {
        path: PathBuf,
        expected: Digest,
        actual: Digest,
        what: &'static str,
    },
    /// A part of the bundle cannot be divided and does not fit a volume of the given size.
    #[error("volumes of {} bytes are too small for this bundle", format_bytes(*size))]
    VolumeTooSmall {
        size: u64,
        /// A size that is large enough, a multiple of 1 KiB; smaller ones may be.
        enough: u64,
    },
    /// Digests of parts are known only at the end, and the head of every volume contains them.
    #[error("a bundle that is compressed, or written to stdout, cannot be divided into volumes")]
    StreamedVolumes,
    /// The bundle would have more volumes than are allowed.
    #[error("the bundle would have more than {n_max} volumes")]
    TooManyVolumes { n_max: u32 },
    /// Required volumes were not found.
    #[error("bundle `{}` is incomplete: {} of its {count} volumes {} missing: {}", path.display(), missing.len(), if missing.len() == 1 { "is" } else { "are" }, numbers(missing))]
    VolumesMissing {
        /// A volume that was found.
        path: PathBuf,
        missing: Vec<u32>,
        count: u32,
    },
    /// A volume belongs to another bundle.
    #[error("`{}` is volume {index} of another bundle: expected `{expected}`, found `{actual}`", path.display())]
    OtherBundle {
        path: PathBuf,
        index: u32,
        expected: Digest,
        actual: Digest,
    },
    /// The volumes are not in order, where one pass requires it.
    #[error("expected volume {expected}, found volume {found}")]
    VolumeOrder { expected: u32, found: u32 },
    /// A joined bundle ends between two volumes.
    #[error("bundle `{}` is incomplete: {}", path.display(), format_missing(&(*expected..=*count).collect::<Vec<_>>(), *count))]
    VolumesEnd {
        path: PathBuf,
        expected: u32,
        count: u32,
    },
    /// One of the volumes in a stream is invalid.
    #[error("volume {index} of {count} of the bundle cannot be used")]
    InStream {
        index: u32,
        count: u32,
        #[source]
        source: Box<BundleError>,
    },
    /// A bundle of one file is invalid.
    #[error("bundle `{}` cannot be used", path.display())]
    InBundle {
        path: PathBuf,
        #[source]
        source: Box<BundleError>,
    },
    /// The file of a volume is invalid.
    #[error("volume `{}` of the bundle cannot be used", path.display())]
    InVolume {
        path: PathBuf,
        #[source]
        source: Box<BundleError>,
    },
    /// The signature is missing, wrong, or by a key that is not trusted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The bundle could not be signed; nothing is left of it.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Writing was stopped by the caller; nothing of the bundle is left.
    #[error("writing the bundle was stopped")]
    Stopped,
    /// The bundle is larger than a tar, or the memory, can hold.
    #[error("the bundle is too large for a tar archive, or for this machine")]
    TooLarge,
}

/// What is wrong with a member of the archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberProblem {
    #[error("the archive is truncated")]
    Truncated,
    #[error("it is missing")]
    Missing,
    #[error("it occurs twice")]
    Duplicate,
    #[error("it is not listed in `hod/bundle.json`")]
    Unlisted,
    #[error("it is out of order")]
    OutOfOrder,
    #[error("its path is not safe: {reason}")]
    UnsafePath { reason: &'static str },
    #[error("it is a {kind}, where only files and directories are allowed")]
    Kind { kind: &'static str },
    #[error("expected {expected} bytes, found {actual}")]
    Length { expected: u64, actual: u64 },
    #[error("it is larger than {max} bytes, the limit")]
    TooLong { max: u64 },
    #[error("expected digest `{expected}`, found `{actual}`")]
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
    #[error("`hod/volume.json` lists it incorrectly")]
    Listing,
    #[error("`hod/bundle.json` lists it in a volume that does not exist")]
    Volume,
    #[error("it lists {n} volumes, expected 1 to {n_max}")]
    VolumeCount { n: u32, n_max: u32 },
    #[error("it is not the same in all volumes")]
    Differs,
    #[error("expected at offset {listed}, found at {actual}")]
    Offset { listed: u64, actual: u64 },
    #[error("its path is reserved, or is a directory of another member")]
    Reserved,
    #[error("there is data after it, where the archive should end")]
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
    #[error("does not belong to any image")]
    Unused,
    #[error("is listed as a manifest but not used as one, or the reverse")]
    Role,
    #[error("is a manifest of {}, which is over the limit", format_len(*len))]
    ManifestTooLong { len: u64 },
    #[error("is listed at offset {listed}, but found at {actual}")]
    Offset { listed: u64, actual: u64 },
    #[error("is listed without a location, or with two")]
    NoPlace,
    #[error("is listed in volumes that cannot contain it")]
    Placement,
    #[error("is in the base, but its origin is not listed")]
    UnknownOrigin,
    #[error("has digest `{actual}` when joined from its parts")]
    Joined { actual: Digest },
}

/// What is wrong with how an image is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    #[error("is listed twice or out of order")]
    Order,
    #[error("has a tag with two digests")]
    TagTwice,
    #[error("does not list its own manifest last")]
    TopNotLast,
    #[error("has the media type `{media_type}`, which is not that of a manifest")]
    MediaType { media_type: String },
    #[error("requires `{digest}`, which is not in the bundle")]
    Absent { digest: Digest },
    #[error("requires `{digest}` with {expected} bytes, but the bundle has it with {actual}")]
    Length {
        digest: Digest,
        expected: u64,
        actual: u64,
    },
    #[error("has the index `{digest}`, but none of its images")]
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
}

/// What is done about content that is not as hod wrote it.
const NOT_AS_WRITTEN: &str = "The bundle is damaged or was changed. Copy it again from where it was \
                              made, and compare the checksums of both.";

impl Diagnose for BundleError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            // By its name it is a volume.
            Self::InVolume { source, .. } if matches!(**source, Self::NotABundle { .. }) => {
                Diagnosis {
                    class: Verify,
                    ..source.diagnose()
                }
            }
            Self::InVolume { source, .. }
            | Self::InBundle { source, .. }
            | Self::InStream { source, .. } => source.diagnose(),
            Self::Window { source, .. } => source.diagnose(),
            Self::Signature(error) => error.diagnose(),
            Self::Sign(error) => error.diagnose(),
            Self::Write { source, .. } => of_output(source),
            Self::ReadBlob { source, .. }
            | Self::ReadFile { source, .. }
            | Self::Read { source, .. } => source.diagnose(),
            Self::BlobDamaged { .. } | Self::BlobLength { .. } => Diagnosis::new(Verify).hint(
                "No bundle was written. Create the blob again with the tool that made it, or copy it \
                 again.",
            ),
            Self::FileChanged { .. } => Diagnosis::new(File).hint(
                "No bundle was written. Run the command again when no program writes to this file.",
            ),
            Self::NotABundle { path, found } => {
                Diagnosis::new(Usage).hint(instead_of_a_bundle(path, found))
            }
            Self::Compressed { .. } => Diagnosis::new(Usage).hint(
                "Decompress it with `zstd -d`, or unpack it with `hod unpack`, and use the result.",
            ),
            Self::Unsupported { .. } => Diagnosis::new(Usage)
                .hint("Use the version of hod that wrote the bundle, or a later one."),
            Self::Stopped => Diagnosis::new(ErrorClass::Stopped),
            Self::VolumeTooSmall { enough, .. } => Diagnosis::refused(Policy).hint(format!(
                "Each volume contains the index of the whole bundle. Use `--volume-size {}K` or more.",
                enough / 1024
            )),
            Self::TooManyVolumes { .. } => Diagnosis::refused(Policy)
                .hint("Nothing was written. Pass a larger `--volume-size`, or pack fewer images."),
            Self::NoSuchVolume { .. } => Diagnosis::refused(NotFound).hint(
                "Pass the same `--volume-size` and the same images as when the bundle was packed.",
            ),
            Self::OtherSibling { .. } => Diagnosis::new(Usage).hint(
                "Nothing was written. Pack with the same options and images as the other volumes, or \
                 into another directory.",
            ),
            Self::Empty { .. } | Self::Incomplete { .. } => Diagnosis::new(Verify).hint(
                "Copy the file again from where it was made, and wait until the copy is finished.",
            ),
            Self::VolumesMissing { .. } => Diagnosis::refused(NotFound).hint(
                "Put the missing volumes beside this one, or name their directories with \
                 `--volume-dir`.",
            ),
            Self::OtherBundle { .. } => Diagnosis::new(Usage)
                .hint("Keep the volumes of each bundle in a directory of their own."),
            Self::VolumeOrder { .. } | Self::VolumesEnd { .. } => {
                Diagnosis::refused(NotFound).hint(
                    "Join the volumes in order, as `cat NAME.*.tar` does, or read them as files, \
                     where the order does not matter.",
                )
            }
            Self::StreamedVolumes => Diagnosis::new(Usage).hint(
                "Name a `.tar` file as the output. Layers are compressed already.",
            ),
            Self::TooLarge => {
                Diagnosis::new(Usage).hint("Split the list and pack several bundles.")
            }
            Self::Decompress { .. }
            | Self::Json { .. }
            | Self::Id { .. }
            | Self::Text { .. }
            | Self::Path(_)
            | Self::Member { .. }
            | Self::Manifest { .. }
            | Self::Blob { .. }
            | Self::Image { .. } => Diagnosis::new(Verify).hint(NOT_AS_WRITTEN),
        }
    }
}

/// What it means that the file of a bundle cannot be written.
fn of_output(error: &hod_fsx::Error) -> Diagnosis {
    let diagnosis = error.diagnose();
    match error.kind() {
        IoKind::NoSpace => diagnosis.hint(
            "The disk is full. Free some space on it, or choose another output. No part of the \
             bundle was left behind.",
        ),
        IoKind::TooLarge => diagnosis.hint(
            "The file system, or `ulimit -f`, does not allow a file of this size. Name the output \
             `.tar` and pass `--volume-size fat32`. No part of the bundle was left behind.",
        ),
        _ => diagnosis,
    }
}

/// The hint for a file that is not a bundle.
fn instead_of_a_bundle(path: &Path, found: &str) -> &'static str {
    if found.contains(ROOT_FILE_SYSTEM) {
        "It does not contain an image. Save the image with `docker save IMAGE`, which keeps its \
         layers and configuration."
    } else if found == GZIPPED {
        "Decompress it first, with `gunzip` or, in front of a pipe, with `gunzip -c`."
    } else if path.as_os_str() == hod_fsx::STDIN {
        "From a pipe, hod reads only bundles. Write other archives, such as those of `docker save`, \
         to a file and name that: `docker save IMAGE --output image.tar`, `hod push image.tar \
         REGISTRY`."
    } else {
        "If it is a tar archive of a registry's storage, extract it and name the directory instead."
    }
}
