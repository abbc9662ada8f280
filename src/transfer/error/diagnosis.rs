//! What each error of a transfer means.

use hod_layout::NoDockerImage;
use hod_report::ErrorClass::{File, Internal, Network, NotFound, Policy, Server, Verify};
use hod_report::{Changes, Diagnose, Diagnosis, ErrorClass};

use super::{SignatureError, TransferError, where_absent, where_damaged};
use crate::SizeClaim;
use crate::absent::VERIFY;
use hod_store::StoreError;

/// An alternative where referrers fail.
const WITHOUT_REFERRERS: &str = "`--no-referrers` transfers the image without its referrers.";

impl Diagnose for TransferError {
    #[expect(clippy::too_many_lines, reason = "an arm for each variant")]
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Registry(error) => error.diagnose(),
            Self::Store(error) => error.diagnose(),
            Self::Bundle(error) => error.diagnose(),
            Self::Stream(error) => error.diagnose(),
            Self::Layout(error) => error.diagnose(),
            Self::File(error) => error.diagnose(),
            Self::Unmatched(error) => error.diagnose(),
            Self::BadLine(error) => error.diagnose(),
            Self::ChildAbsent(error) => error.diagnose(),
            Self::TargetFailed { diagnosis, .. } => diagnosis.clone(),
            Self::Referrers { source, .. } => match source.diagnose() {
                // It says so already.
                found if found.hint.iter().any(|hint| hint.contains(WITHOUT_REFERRERS)) => found,
                found => found.and(WITHOUT_REFERRERS),
            },
            Self::ImageAbsent { registry, similar } => Diagnosis {
                // An image that a local source lists but does not have is damage.
                changes: match registry {
                    Some(_) => Changes::None,
                    None => Changes::Possible,
                },
                ..Diagnosis::new(NotFound).hint(where_absent(registry.as_ref(), similar))
            },
            Self::ListedBy { .. } => Diagnosis::refused(Policy).hint(
                "Without the manifest, that index could not be pulled. Delete the index too, or only \
                 the tag, with `--tag-only`.",
            ),
            Self::DamagedSource { holder, .. } => {
                Diagnosis::new(Verify).hint(where_damaged(*holder))
            }
            Self::PartialIndex { source, .. } => source.diagnose().hint(
                "`--index rewrite` pushes an index of the transferred manifests, and `--platform \
                 OS/ARCH` one platform in its place. To push all of it, pull it again with \
                 `--platform all`.",
            ),
            Self::NoDockerImage(reason) => Diagnosis::new(Policy).hint(match reason {
                NoDockerImage::Index => {
                    "Choose one platform with `--platform OS/ARCH`, or write an `oci-archive`."
                }
                NoDockerImage::Foreign { .. } => {
                    "Pull the image with `--foreign-layers` and export that, or write an \
                     `oci-archive`, which does not require the layer."
                }
                NoDockerImage::Artifact { .. }
                | NoDockerImage::NoTag
                | NoDockerImage::Encrypted { .. }
                | NoDockerImage::Config => {
                    "Write an `oci-archive`, which can hold it, or leave it out with `--only`."
                }
            }),
            Self::BlobAbsent { .. } => Diagnosis::new(NotFound).hint(VERIFY),
            Self::BlobLength { .. } => Diagnosis::new(Verify).hint(VERIFY),
            Self::SizesDiffer { .. } | Self::WrongSize { .. } => Diagnosis::new(Verify).hint(
                "The manifest is wrong, in every registry and every copy. Have the publisher build \
                 or push the image again.",
            ),
            Self::Manifest(error) if !error.is_damage() => Diagnosis::new(Policy),
            Self::Manifest(_) | Self::Content(_) => Diagnosis::new(Verify),
            Self::TargetDamaged { .. } => Diagnosis::new(Server).hint(
                "The storage of the registry is damaged. Delete the blob there together with the \
                 images that require it, run the registry's garbage collection, then push again.",
            ),
            Self::BaseLost { .. } => Diagnosis::new(NotFound)
                .hint("Push the earlier bundle that contains it again, then this one."),
            Self::NotMounted { .. } => Diagnosis::new(NotFound).hint(
                "Check that the login may pull from that repository and push to this one, or push a \
                 bundle that contains the blob.",
            ),
            Self::NoPlatform { .. } => Diagnosis::new(NotFound).hint(
                "Choose with `--platform`, or with `platform=` on the image's line. `all` transfers \
                 every platform.",
            ),
            Self::Filtered { .. } => Diagnosis::refused(NotFound),
            Self::OtherPlatform { .. } => Diagnosis::new(NotFound).hint(
                "Leave out `--strict-platform` to transfer the image as it is, or write the intended \
                 platform on its line: `platform=OS/ARCH`.",
            ),
            Self::PinnedIndex { .. } => Diagnosis::new(Policy).hint(
                "Transfer every platform with `--platform all`, keep the index with `--index keep`, \
                 or pin the digest of the platform's own manifest.",
            ),
            Self::Rewritten { .. } => Diagnosis::new(Policy).hint(
                "The registry lacks a part of the index that it had when the list was written, or \
                 has one that it lacked then. To take what it has now, pull the original list with \
                 `--lock` again.",
            ),
            Self::ReferrerDiffers { .. } => Diagnosis::new(Policy)
                .hint("Delete the tag at the registry and sign again there.")
                .and(WITHOUT_REFERRERS),
            Self::ReferrersTag { .. } => Diagnosis::new(Policy)
                .hint("If that tag is not needed, delete it at the registry.")
                .and(WITHOUT_REFERRERS),
            Self::TooManyReferrers { .. } => Diagnosis::new(Policy).hint(WITHOUT_REFERRERS),
            Self::NameTaken { .. } => Diagnosis::new(Policy)
                .hint("Export them in two runs, each with a list of its own (`--only LIST`)."),
            Self::ManifestAsBlob { .. } | Self::TooDeep { .. } | Self::TooMany { .. } => {
                Diagnosis::new(Policy)
            }
            Self::ReadOnce { .. } => Diagnosis::new(Network).hint(
                "Run the same command again, which sends only what is missing, or push from the \
                 uncompressed `.tar` file.",
            ),
            Self::BlobRead { .. } | Self::StreamRead { .. } => Diagnosis::new(File),
            Self::Rewrite => Diagnosis::new(Internal),
            Self::Rejected { source } => source.diagnose(),
            Self::Signatures { source, .. } => source.diagnose(),
            Self::Stopped => Diagnosis::new(ErrorClass::Stopped),
        }
    }
}

impl Diagnose for SignatureError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::Lookaside(error) => error.diagnose(),
            Self::Attachments(error) => error.diagnose(),
            Self::TooLarge { .. } | Self::Name { .. } => Diagnosis::refused(Policy),
            Self::ReadOnce => Diagnosis::refused(Policy).hint(
                "Use the uncompressed `.tar` file, of which hod can read the signatures before the \
                 images, or unpack the bundle into a store.",
            ),
            Self::Source(error) => error.diagnose(),
        }
    }
}

impl TransferError {
    /// Whether content on this machine is not what its digest says, or contradicts itself, so that
    /// trying again does not help.
    pub fn is_damaged_source(&self) -> bool {
        match self {
            Self::Bundle(_) | Self::Stream(_) => self.diagnose().class == Verify,
            // What names nothing that can be read is one image less, beside others.
            Self::Store(error) => matches!(error, StoreError::Corrupt { .. }),
            Self::Layout(error) => error.is_damaged(),
            Self::Referrers { source, .. } => source.is_damaged_source(),
            Self::TargetFailed {
                is_damaged_source, ..
            } => *is_damaged_source,
            Self::DamagedSource { .. } | Self::SizesDiffer { .. } => true,
            // Of a child in a registry's index it is not known which manifest says so.
            Self::BlobLength { claim, .. } => *claim != SizeClaim::SomeManifest,
            // Wrong content that was read from this machine is blamed on its file.
            _ => false,
        }
    }
}
