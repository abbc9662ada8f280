//! What can go wrong on the way.

mod class;

use std::sync::Arc;

use super::absent::AbsentChild;
use super::caps::{BlobHolder, Reach};
use super::{SizeClaim, Unmatched};
use hod_bundle::BundleError;
use hod_fsx::IoKind;
use hod_layout::{CollectionError, LayoutError, NoDockerImage};
use hod_oci::{ContentMismatch, Digest, ManifestError, Registry, Tag};
use hod_registry::RegistryError;
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_retry::Failure;
use hod_store::StoreError;

/// An alternative where referrers fail.
const WITHOUT_REFERRERS: &str = "`--no-referrers` carries the image without its referrers";

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
    #[error(transparent)]
    Unmatched(#[from] Unmatched),
    #[error(transparent)]
    ChildAbsent(Box<AbsentChild>),
    #[error("blob `{digest}` not found")]
    BlobAbsent { digest: Digest },
    #[error("blob `{digest}` has {actual} bytes where {claim} says {expected}")]
    BlobLength {
        digest: Digest,
        claim: SizeClaim,
        expected: u64,
        actual: u64,
    },
    /// Manifests of one image contradict each other.
    #[error(
        "blob `{digest}` has {} bytes by manifest `{}`, and {} by manifest `{}`",
        first.1, first.0, second.1, second.0
    )]
    SizesDiffer {
        digest: Digest,
        first: Box<(Digest, u64)>,
        second: Box<(Digest, u64)>,
    },
    /// The blob does not have the size that the manifest of a waiting image states.
    #[error("blob `{digest}` does not have the {expected} bytes that manifest `{manifest}` says")]
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
    /// Most registries refuse an index whose children they do not have.
    #[error("the registry refuses an index that lists manifests which are not carried: {lacking}")]
    PartialIndex {
        lacking: String,
        source: Box<RegistryError>,
    },
    #[error("the image is for {platform} only, not for {missing}")]
    OtherPlatform { platform: String, missing: String },
    #[error(
        "`{digest}` is an index, and carrying {platforms} alone would make that digest unservable"
    )]
    PinnedIndex { digest: Digest, platforms: String },
    /// The index has other platforms or attestations than when the list was locked.
    #[error(
        "the index of what is carried has digest `{actual}`, and the list says `index=rewrite@{expected}`"
    )]
    Rewritten { expected: Digest, actual: Digest },
    #[error("indexes are nested more than {depth_max} deep")]
    TooDeep { depth_max: usize },
    #[error("image has more than {n_max} manifests, or more than {len_max} bytes of them")]
    TooMany { n_max: usize, len_max: u64 },
    /// A failed look-up must not make an image appear unsigned.
    #[error("failed to list the referrers of `{digest}` (signatures, attestations, SBOMs)")]
    Referrers {
        digest: Digest,
        source: Box<TransferError>,
    },
    #[error("more than {n_max} manifests, or {len_max} bytes of them, are about the image")]
    TooManyReferrers { n_max: usize, len_max: u64 },
    /// Somebody's image has the name.
    #[error(
        "tag `{tag}` of `{repository}` should name an index of referrers and names something else"
    )]
    ReferrersTag { repository: String, tag: Tag },
    /// Replacing it would take somebody's signatures away.
    #[error(
        "tag `{tag}` of `{repository}` holds other signatures or attestations than those that are carried, and was left as it is"
    )]
    ReferrerDiffers { repository: String, tag: Tag },
    /// A format that has no place for an image.
    #[error("a `docker save` archive cannot hold it")]
    NoDockerImage(#[from] NoDockerImage),
    /// Identity is the digest, and one name can have only one image.
    #[error("`{name}` is `{digest}` here, and `{other}` for another image of this run")]
    NameTaken {
        name: String,
        digest: Digest,
        other: Digest,
    },
    /// A bundle says of each digest whether it is a manifest.
    #[error("its blob `{digest}` is the manifest of an image in the same bundle")]
    ManifestAsBlob { digest: Digest },
    #[error("index cannot be rewritten")]
    Rewrite,
    #[error(
        "blob `{digest}` cannot be sent again, since a compressed bundle, or one from a pipe, is read only once"
    )]
    ReadOnce { digest: Digest },
    /// A blob that was left out of a bundle, and that its target had when it was asked.
    #[error(
        "blob `{digest}` is not in the bundle, and the target, which had it, does not give it now"
    )]
    BaseLost { digest: Digest },
    /// A blob that was left out of a bundle, and that its target has in another repository only.
    #[error(
        "blob `{digest}` is not in the bundle, and the registry does not mount it into `{repository}` from `{}`", from.as_deref().unwrap_or("-")
    )]
    NotMounted {
        digest: Digest,
        repository: String,
        /// The repository that has it.
        from: Option<String>,
    },
    /// The target has different content under a digest, whatever is pushed.
    #[error(
        "`{repository}` has {} of blob `{digest}`, expected {expected} bytes, even after it was sent again", found(*actual)
    )]
    TargetDamaged {
        repository: String,
        digest: Digest,
        expected: u64,
        actual: Option<u64>,
    },
    /// Bytes of the source that are not what they should be; none of them was published.
    #[error(
        "{} is damaged: the bytes of blob `{digest}` have digest `{actual}`",
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
        class: ErrorClass,
        meaning: TargetFailure,
        hint: Option<String>,
    },
    #[error("stopped, since another image failed")]
    Stopped,
}

/// What the failure of a target as a whole means for its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFailure {
    /// Nothing was changed.
    Refused,
    /// What is on this machine is damaged.
    Damage,
    Other,
}

impl TargetFailure {
    /// The meaning of an error that is a refusal, or is the damage of a local source.
    pub fn of((is_refusal, is_damage): (bool, bool)) -> Self {
        match (is_refusal, is_damage) {
            (true, _) => Self::Refused,
            (false, true) => Self::Damage,
            (false, false) => Self::Other,
        }
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
            class: shared.class(),
            meaning: TargetFailure::of((shared.is_refusal(), shared.is_damaged_source())),
            hint: shared.hint(),
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
            "Remove that file, then pull or unpack its image again, which fetches only \
             what is missing; `hod verify` names everything that is damaged."
        }
        BlobHolder::Bundle => {
            "Copy the bundle, or this volume of it, again from where it was made, and \
             compare its checksum there and here; `hod verify` names everything that is \
             damaged."
        }
        BlobHolder::Other => {
            "Copy it again from where it is whole, or make it again with what made it; \
             `hod verify` names everything that is damaged."
        }
    }
}

/// Advice about an image that was not found.
fn where_absent(registry: Option<&Registry>, similar: &[Tag]) -> String {
    if !similar.is_empty() {
        let tags: Vec<String> = similar.iter().map(|tag| format!("`{tag}`")).collect();
        return format!("check the tag; tags that exist: {}", tags.join(", "));
    }
    if registry.is_some_and(Registry::is_docker_hub) {
        return "check the name and the tag; names without a registry come from docker.io, unless \
                `--source REGISTRY` names another"
            .to_owned();
    }
    "check the name and the tag".to_owned()
}

impl Hint for TransferError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Stream(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::TargetFailed { hint, .. } => hint.clone(),
            Self::Referrers { source, .. } => Some(match source.hint() {
                Some(hint) if !hint.contains(WITHOUT_REFERRERS) => {
                    format!("{hint}; {WITHOUT_REFERRERS}")
                }
                _ => WITHOUT_REFERRERS.to_owned(),
            }),
            Self::ReferrerDiffers { .. } => Some(format!(
                "sign again at the registry after the tag was deleted there; {WITHOUT_REFERRERS}"
            )),
            Self::TooManyReferrers { .. } => Some(WITHOUT_REFERRERS.to_owned()),
            Self::ReferrersTag { .. } => Some(format!(
                "delete that tag at the registry if it is not needed; {WITHOUT_REFERRERS}"
            )),
            Self::NoPlatform { .. } => Some(
                "choose with `--platform`, or `platform=` on the image's line; `all` carries \
                 every platform"
                    .to_owned(),
            ),
            Self::PartialIndex { .. } => Some(
                "`--index rewrite` pushes an index of what is carried, and `--platform \
                 OS/ARCH` one platform in its place; to push all of it, pull again with \
                 `--platform all`."
                    .to_owned(),
            ),
            Self::OtherPlatform { .. } => Some(
                "Leave out `--strict-platform` to carry the image as it is, or write the platform that \
                 is meant on its line: `platform=OS/ARCH`."
                    .to_owned(),
            ),
            Self::PinnedIndex { .. } => Some(
                "carry every platform with `--platform all`, keep the index with `--index keep`, \
                 or pin the platform's own digest"
                    .to_owned(),
            ),
            Self::Rewritten { .. } => Some(
                "The registry lacks a part of the index that it had when the list was written, or \
                 has one that it lacked then. To take what it has now, pull the original list \
                 with `--lock` again."
                    .to_owned(),
            ),
            Self::DamagedSource { holder, .. } => Some(where_damaged(*holder).to_owned()),
            Self::TargetDamaged { .. } => Some(
                "the registry's storage is damaged: delete the blob there together with the images \
                 that need it, run the registry's garbage collection, then push again"
                    .to_owned(),
            ),
            Self::BaseLost { .. } => {
                Some("push the earlier bundle that has it again, then this one".to_owned())
            }
            Self::NotMounted { .. } => Some(
                "check that the login may pull from the one repository and push to the other, or \
                 push a bundle that carries the blob"
                    .to_owned(),
            ),
            Self::NoDockerImage(NoDockerImage::Index) => Some(
                "choose one platform of it with `--platform OS/ARCH`, or write an `oci-archive`"
                    .to_owned(),
            ),
            Self::NoDockerImage(NoDockerImage::Foreign { .. }) => Some(
                "pull the image with `--foreign-layers` and export that, or write an \
                 `oci-archive`, which need not hold the layer"
                    .to_owned(),
            ),
            Self::NoDockerImage(_) => Some(
                "an `oci-archive` holds it; leave it out with `--only` otherwise".to_owned(),
            ),
            Self::NameTaken { .. } => Some(
                "export them in two runs, each with a list of its own (`--only LIST`)".to_owned(),
            ),
            Self::ImageAbsent { registry, similar } => {
                Some(where_absent(registry.as_ref(), similar))
            }
            Self::ReadOnce { .. } => {
                Some("run the same command again, which sends only what is missing, or push from the uncompressed `.tar` as a file".to_owned())
            }
            Self::SizesDiffer { .. } | Self::WrongSize { .. } => Some(
                "the manifest is wrong: no registry and no copy can put it right, so have the image \
                 built or pushed again by its publisher"
                    .to_owned(),
            ),
            Self::Unmatched(unmatched) => unmatched.hint(),
            Self::ChildAbsent(absent) => absent.hint(),
            Self::BlobLength { .. } | Self::BlobAbsent { .. } => {
                Some("`hod verify` names everything that is damaged or missing there".to_owned())
            }
            _ => None,
        }
    }
}
