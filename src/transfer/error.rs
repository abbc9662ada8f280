//! What can go wrong on the way.

mod diagnosis;

use std::sync::Arc;

use super::absent::AbsentChild;
use super::caps::{BlobHolder, Reach};
use super::{SizeClaim, Unmatched};
use hod_bundle::BundleError;
use hod_fsx::IoKind;
use hod_layout::{CollectionError, LayoutError, NoDockerImage};
use hod_oci::{ContentMismatch, Digest, ManifestError, Registry, Tag};
use hod_registry::RegistryError;
use hod_report::amount::format_len;
use hod_report::{Diagnose as _, Diagnosis};
use hod_retry::Failure;
use hod_store::StoreError;
use hod_trust::{AttachmentError, DockerNameError, LookasideError, Rejected};

/// A failed transfer of an image or of one of its parts.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A bundle that is read once broke off under all who waited for it.
    #[error(transparent)]
    Stream(Arc<BundleError>),
    #[error(transparent)]
    Layout(LayoutError),
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("image not found{}", on(registry.as_ref()))]
    ImageAbsent {
        /// The registry that was searched, unless the source is local.
        registry: Option<Registry>,
        /// Tags of its repository that resemble the requested one.
        similar: Vec<Tag>,
    },
    /// Deleting it would break another image.
    #[error("the manifest belongs to {}, which stays", in_words(indexes))]
    ListedBy { indexes: Vec<Tag> },
    #[error(transparent)]
    Unmatched(#[from] Unmatched),
    /// A line of a list whose other lines are used.
    #[error(transparent)]
    BadLine(#[from] hod_list::BadLine),
    #[error(transparent)]
    ChildAbsent(Box<AbsentChild>),
    #[error("blob `{digest}` not found")]
    BlobAbsent { digest: Digest },
    #[error("blob `{digest}` is {actual} bytes, but {claim} says {expected}")]
    BlobLength {
        digest: Digest,
        claim: SizeClaim,
        expected: u64,
        actual: u64,
    },
    /// Manifests of one image contradict each other.
    #[error(
        "blob `{digest}` is {} bytes according to manifest `{}`, and {} according to manifest `{}`",
        first.1, first.0, second.1, second.0
    )]
    SizesDiffer {
        digest: Digest,
        first: Box<(Digest, u64)>,
        second: Box<(Digest, u64)>,
    },
    /// The blob does not have the size that the manifest of a waiting image states.
    #[error("blob `{digest}` is not {expected} bytes, as manifest `{manifest}` says")]
    WrongSize {
        manifest: Digest,
        digest: Digest,
        expected: u64,
        source: Arc<TransferError>,
    },
    /// What came is not what was asked for.
    #[error(transparent)]
    Content(#[from] ContentMismatch),
    #[error("failed to read a blob from `{}`", path.display())]
    BlobRead {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("failed to read blob `{digest}` from the archive")]
    StreamRead {
        digest: Digest,
        source: std::io::Error,
    },
    #[error("image has no platform {wanted}; it has {offered}")]
    NoPlatform { wanted: String, offered: String },
    /// A filter of platforms leaves the image out.
    #[error("no platform of the image is one of {wanted}; it has {offered}")]
    Filtered { wanted: String, offered: String },
    /// Most registries refuse an index whose children they do not have.
    #[error(
        "the registry refuses an index whose manifests are not all transferred; left out: {lacking}"
    )]
    PartialIndex {
        lacking: String,
        source: Box<RegistryError>,
    },
    #[error("the image is for {platform} only, not for {missing}")]
    OtherPlatform { platform: String, missing: String },
    #[error(
        "`{digest}` is an index, and with {platforms} alone it could not be served under that digest"
    )]
    PinnedIndex { digest: Digest, platforms: String },
    /// The index has other platforms or attestations than when the list was locked.
    #[error(
        "the rewritten index has digest `{actual}`, but the list says `index=rewrite@{expected}`"
    )]
    Rewritten { expected: Digest, actual: Digest },
    #[error("indexes are nested more than {depth_max} deep")]
    TooDeep { depth_max: usize },
    #[error("the image has more than {n_max} manifests, or its manifests are larger than {}", format_len(*len_max))]
    TooMany { n_max: usize, len_max: u64 },
    /// A failed look-up must not make an image appear unsigned.
    #[error("failed to list the referrers of `{digest}` (signatures, attestations, SBOMs)")]
    Referrers {
        digest: Digest,
        source: Box<TransferError>,
    },
    #[error("the image has more than {n_max} referrers, or their manifests are larger than {}", format_len(*len_max))]
    TooManyReferrers { n_max: usize, len_max: u64 },
    /// Somebody's image has the name.
    #[error(
        "tag `{tag}` of `{repository}` is the place of an index of referrers, but names something else"
    )]
    ReferrersTag { repository: String, tag: Tag },
    /// Replacing it would take somebody's signatures away.
    #[error(
        "tag `{tag}` of `{repository}` has other signatures or attestations than the source, and was left as it was"
    )]
    ReferrerDiffers { repository: String, tag: Tag },
    /// A format that has no place for an image.
    #[error("a `docker save` archive cannot contain the image")]
    NoDockerImage(#[from] NoDockerImage),
    /// Identity is the digest, and one name can have only one image.
    #[error("`{name}` would name two images, `{digest}` and `{other}`")]
    NameTaken {
        name: String,
        digest: Digest,
        other: Digest,
    },
    /// A bundle says of each digest whether it is a manifest.
    #[error("its blob `{digest}` is the manifest of another image in the same bundle")]
    ManifestAsBlob { digest: Digest },
    #[error("failed to rewrite the index")]
    Rewrite,
    #[error(
        "blob `{digest}` cannot be sent again: a bundle that is compressed, or comes from a pipe, is read only once"
    )]
    ReadOnce { digest: Digest },
    /// A blob that was left out of a bundle, and that its target had when it was asked.
    #[error("blob `{digest}` is not in the bundle, and the target no longer has it")]
    BaseLost { digest: Digest },
    /// A blob that was left out of a bundle, and that its target has in another repository only.
    #[error(
        "blob `{digest}` is not in the bundle, and the registry did not mount it into `{repository}` from `{}`", from.as_deref().unwrap_or("-")
    )]
    NotMounted {
        digest: Digest,
        repository: String,
        /// The repository that has it.
        from: Option<String>,
    },
    /// The target has different content under a digest, whatever is pushed.
    #[error(
        "blob `{digest}` in `{repository}` is damaged: expected {expected} bytes, found {}, even after it was sent again", found(*actual)
    )]
    TargetDamaged {
        repository: String,
        digest: Digest,
        expected: u64,
        actual: Option<u64>,
    },
    /// Bytes of the source that are not what they should be; none of them was published.
    #[error(
        "{} is damaged: the content of blob `{digest}` has digest `{actual}`",
        any_of(paths)
    )]
    DamagedSource {
        /// The file, or those that the blob is in.
        paths: Vec<std::path::PathBuf>,
        holder: BlobHolder,
        digest: Digest,
        actual: Digest,
    },
    /// What stops a target as a whole, where images go to others too.
    #[error("{text}")]
    TargetFailed {
        text: String,
        diagnosis: Diagnosis,
        is_damaged_source: bool,
    },
    /// Nothing of it is carried.
    #[error("the trust policy rejects the image")]
    Rejected { source: Box<Rejected> },
    /// An image whose signatures cannot be read is not accepted.
    #[error("failed to read the signatures of `{digest}`")]
    Signatures {
        digest: Digest,
        source: Box<SignatureError>,
    },
    #[error("stopped because another image failed")]
    Stopped,
}

/// Why the signatures of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error(transparent)]
    Lookaside(#[from] LookasideError),
    #[error(transparent)]
    Attachments(#[from] AttachmentError),
    #[error("signature {digest} is too large")]
    TooLarge { digest: Digest },
    /// The source has come to nothing yet but its list of images.
    #[error("a bundle that is compressed, or comes from a pipe, is read only once")]
    ReadOnce,
    /// Policies and signatures cannot name the image.
    #[error("`{name}` is not a name that images are signed for")]
    Name {
        name: String,
        source: DockerNameError,
    },
    #[error(transparent)]
    Source(Box<TransferError>),
}

impl From<TransferError> for SignatureError {
    fn from(error: TransferError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// One of these files, of which it is not known which.
fn any_of(paths: &[std::path::PathBuf]) -> String {
    let shown = paths.iter().map(|path| format!("`{}`", path.display()));
    shown.collect::<Vec<_>>().join(" or ")
}

/// The size of a blob at a target.
fn found(len: Option<u64>) -> String {
    match len {
        Some(len) => format!("{len} bytes"),
        None => "other content".to_owned(),
    }
}

/// "index `1.0`", or several.
fn in_words(indexes: &[Tag]) -> String {
    match indexes {
        [] => "an index".to_owned(),
        [one] => format!("index `{one}`"),
        [first, second] => format!("indexes `{first}` and `{second}`"),
        [first, rest @ ..] => format!("index `{first}` and {} others", rest.len()),
    }
}

fn on(registry: Option<&Registry>) -> String {
    registry.map_or_else(String::new, |registry| format!(" on `{registry}`"))
}

/// Content that is wrong is so wherever it was to go.
impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Content(mismatch) => Self::Content(mismatch),
            error => Self::Store(error),
        }
    }
}

impl From<LayoutError> for TransferError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Content(mismatch) => Self::Content(mismatch),
            error => Self::Layout(error),
        }
    }
}

impl From<CollectionError> for TransferError {
    fn from(error: CollectionError) -> Self {
        Self::Layout(error.into())
    }
}

impl TransferError {
    /// The error itself, or what it says where others have it too.
    pub(super) fn of_shared(error: Arc<Self>) -> Self {
        Arc::try_unwrap(error).unwrap_or_else(|shared| Self::TargetFailed {
            text: shared.to_string(),
            diagnosis: shared.diagnose(),
            is_damaged_source: shared.is_damaged_source(),
        })
    }

    /// What kind of failure it is, as far as trying again goes.
    pub fn failure(&self, reach: Reach) -> Failure {
        match self {
            Self::Registry(error) => error.failure(),
            Self::Referrers { source: error, .. } => error.failure(reach),
            // Damage in a local source is permanent.
            Self::Content(ContentMismatch::Digest { .. }) if reach == Reach::Remote => {
                Failure::Garbled
            }
            _ => Failure::Lasting,
        }
    }

    /// Whether running the same command again is sure to fail again.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::PartialIndex { .. }
            | Self::NoPlatform { .. }
            | Self::OtherPlatform { .. }
            | Self::PinnedIndex { .. }
            | Self::Rewritten { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::TooManyReferrers { .. }
            | Self::NoDockerImage(_)
            | Self::NameTaken { .. }
            | Self::ManifestAsBlob { .. }
            | Self::WrongSize { .. }
            | Self::Rejected { .. }
            | Self::Registry(RegistryError::Blocked { .. } | RegistryError::ForeignUrl { .. }) => {
                true
            }
            Self::Referrers { source, .. } => source.is_for_good(),
            _ if self
                .file_error()
                .is_some_and(|error| error.kind() == IoKind::CannotLink) =>
            {
                true
            }
            _ => self.is_damaged_source(),
        }
    }

    /// Whether a blob is longer or shorter than was said, and is not damaged.
    pub(super) fn is_wrong_length(&self) -> bool {
        matches!(
            self,
            Self::Registry(RegistryError::WrongClaim { .. })
                | Self::Content(ContentMismatch::Length { .. })
                | Self::BlobLength { .. }
        )
    }

    /// The blob that is damaged where it is, and no use to any image.
    pub fn damaged_blob(&self) -> Option<&Digest> {
        match self {
            Self::DamagedSource { digest, .. }
            | Self::TargetDamaged { digest, .. }
            | Self::Store(StoreError::Corrupt { digest, .. })
            | Self::Layout(LayoutError::Corrupt { digest, .. }) => Some(digest),
            Self::Layout(LayoutError::Collection(error)) => match &**error {
                CollectionError::Corrupt { digest, .. } => Some(digest),
                _ => None,
            },
            Self::Bundle(error) => error.damaged_blob(),
            Self::Stream(error) => error.damaged_blob(),
            _ => None,
        }
    }

    /// The reason, without details that differ between images that fail for the same reason, such
    /// as a missing project; `None` where the message contains everything.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.reason(),
            Self::Referrers { source, .. } => {
                let reason = source.reason()?;
                Some(format!("referrers {reason}"))
            }
            // Each blob has another path.
            _ => match self.file_error()?.kind() {
                IoKind::NoSpace => Some("no space".to_owned()),
                IoKind::CannotLink => Some("no links".to_owned()),
                _ => None,
            },
        }
    }

    /// The error of the file system, where that is all it is.
    pub fn file_error(&self) -> Option<&hod_fsx::Error> {
        match self {
            Self::File(error)
            | Self::Store(StoreError::File(error))
            | Self::Layout(LayoutError::File(error)) => Some(error),
            _ => None,
        }
    }
}

/// Advice about a blob that is damaged at its source.
fn where_damaged(holder: BlobHolder) -> &'static str {
    match holder {
        BlobHolder::Store => {
            "Remove that file, then pull or unpack its image again, which fetches only what is \
             missing. `hod verify` lists everything that is damaged."
        }
        BlobHolder::Bundle => {
            "Copy the bundle, or this volume of it, again from where it was made, and compare the \
             checksums of both. `hod verify` lists everything that is damaged."
        }
        BlobHolder::Other => {
            "Copy it again from an undamaged original, or create it again with the tool that wrote \
             it. `hod verify` lists everything that is damaged."
        }
    }
}

/// Advice about an image that was not found.
fn where_absent(registry: Option<&Registry>, similar: &[Tag]) -> String {
    if !similar.is_empty() {
        let tags: Vec<String> = similar.iter().map(|tag| format!("`{tag}`")).collect();
        return format!("Check the tag. These tags exist: {}.", tags.join(", "));
    }
    if registry.is_some_and(Registry::is_docker_hub) {
        return "Check the name and the tag. Names without a registry come from docker.io, unless \
                `--source REGISTRY` names another one."
            .to_owned();
    }
    "Check the name and the tag.".to_owned()
}
