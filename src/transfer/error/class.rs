//! What kind of failure each of a transfer's is.

use super::{TargetFailure, TransferError};
use crate::{SizeClaim, Unmatched};
use hod_report::ErrorClass;
use hod_store::StoreError;

impl TransferError {
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Registry(error) => error.class(),
            Self::PartialIndex { source, .. } => source.class(),
            Self::Store(error) => error.class(),
            Self::Bundle(error) => error.class(),
            Self::Stream(error) => error.class(),
            Self::Layout(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Referrers { source, .. } => source.class(),
            Self::Unmatched(Unmatched::TooMany { .. }) | Self::ReadOnce { .. } => ErrorClass::Usage,
            Self::ImageAbsent { .. }
            | Self::Unmatched(_)
            | Self::ChildAbsent(_)
            | Self::BlobAbsent { .. }
            | Self::BaseLost { .. }
            | Self::NotMounted { .. }
            | Self::NoPlatform { .. }
            | Self::OtherPlatform { .. } => ErrorClass::NotFound,
            Self::Manifest(_)
            | Self::BlobLength { .. }
            | Self::SizesDiffer { .. }
            | Self::WrongSize { .. }
            | Self::DamagedSource { .. }
            | Self::Content(_) => ErrorClass::Verify,
            Self::TargetDamaged { .. } => ErrorClass::Server,
            Self::BlobRead { .. } | Self::StreamRead { .. } => ErrorClass::File,
            Self::PinnedIndex { .. }
            | Self::Rewritten { .. }
            | Self::ManifestAsBlob { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::TooManyReferrers { .. }
            | Self::ReferrersTag { .. }
            | Self::NameTaken { .. }
            | Self::NoDockerImage(_)
            | Self::ReferrerDiffers { .. } => ErrorClass::Policy,
            Self::Rewrite => ErrorClass::Internal,
            Self::Stopped => ErrorClass::Stopped,
            Self::TargetFailed { class, .. } => *class,
        }
    }

    /// Whether content on this machine is not what its digest says, or contradicts itself, so that
    /// trying again does not help.
    pub fn is_damaged_source(&self) -> bool {
        match self {
            Self::Bundle(_) | Self::Stream(_) => self.class() == ErrorClass::Verify,
            // What names nothing that can be read is one image less, beside others.
            Self::Store(error) => matches!(error, StoreError::Corrupt { .. }),
            Self::Layout(error) => error.is_damaged(),
            Self::Referrers { source, .. } => source.is_damaged_source(),
            Self::TargetFailed { meaning, .. } => *meaning == TargetFailure::Damage,
            Self::DamagedSource { .. } | Self::SizesDiffer { .. } => true,
            // Of a child in a registry's index it is not known which manifest says so.
            Self::BlobLength { claim, .. } => *claim != SizeClaim::SomeManifest,
            Self::Registry(_)
            | Self::PartialIndex { .. }
            | Self::Manifest(_)
            | Self::WrongSize { .. }
            // What was read from this machine is blamed on its file.
            | Self::Content(_)
            | Self::File(_)
            | Self::Unmatched(_)
            | Self::ReadOnce { .. }
            | Self::ImageAbsent { .. }
            | Self::ChildAbsent(_)
            | Self::BlobAbsent { .. }
            | Self::BaseLost { .. }
            | Self::NotMounted { .. }
            | Self::NoPlatform { .. }
            | Self::OtherPlatform { .. }
            | Self::TargetDamaged { .. }
            | Self::BlobRead { .. }
            | Self::StreamRead { .. }
            | Self::PinnedIndex { .. }
            | Self::Rewritten { .. }
            | Self::ManifestAsBlob { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::TooManyReferrers { .. }
            | Self::ReferrersTag { .. }
            | Self::NameTaken { .. }
            | Self::NoDockerImage(_)
            | Self::ReferrerDiffers { .. }
            | Self::Rewrite
            | Self::Stopped => false,
        }
    }

    /// Whether nothing was done for the image: it is not found, its volumes are missing, or what is
    /// at its output was left as it was.
    pub fn is_refusal(&self) -> bool {
        match self {
            // An image that a local source lists but does not have is damage.
            Self::ImageAbsent { registry, .. } => registry.is_some(),
            Self::Unmatched(_) => true,
            Self::Bundle(error) => error.is_refusal(),
            Self::Stream(error) => error.is_refusal(),
            Self::Layout(error) => error.is_refusal(),
            Self::TargetFailed { meaning, .. } => *meaning == TargetFailure::Refused,
            _ => false,
        }
    }
}
