//! Trust policies: which images of a source may be carried at all.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt as _;

use crate::Context;
use hod_oci::{Manifest, ManifestBody};
use hod_registry::Client;
use hod_report::amount::format_count;
use hod_transfer::{Origin, Resolution, Resolved, SignatureError, Subject, TransferError};
use hod_trust::{Evaluation, ImageUnderTest, Policy, RegistriesD, Signature};

/// Number of images whose signatures are read at once.
const AT_ONCE: usize = 16;

/// What decides which images are carried.
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    pub policy: Arc<Policy>,
    /// Where signatures are.
    pub registries_d: Arc<RegistriesD>,
    /// What lookaside storage on web servers is read with.
    pub web: Client,
}

impl TrustPolicy {
    /// Fails the images that the policy does not accept, in place.
    pub(super) async fn judge(
        &self,
        cx: &Context,
        origin: Origin<'_>,
        resolutions: Vec<Resolution>,
    ) -> Vec<Resolution> {
        let n = resolutions.len();
        cx.stage(&format!("verifying {}", format_count(n, "image")));
        futures_util::stream::iter(resolutions)
            .map(|resolution| async move {
                let Resolution::Resolved(image) = resolution else {
                    return resolution;
                };
                match self.accept(origin, &image).await {
                    Ok(()) => Resolution::Resolved(image),
                    Err(error) => Resolution::Failed(image.wanted, Arc::new(error)),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    /// Fails unless the policy accepts an image.
    ///
    /// A signature of an index covers the images in it, whose digests it lists. Without one, each
    /// image that is carried must be accepted by itself, as containers/image requires.
    async fn accept(&self, origin: Origin<'_>, image: &Resolved) -> Result<(), TransferError> {
        let top = image.original_manifest.as_ref().unwrap_or(image.top());
        let subject = Subject::of(origin, image).map_err(|error| unread(top, error))?;
        let decided = self.accept_manifest(&subject, top).await;
        if !matches!(decided, Err(TransferError::Rejected { .. })) || is_image(top) {
            return decided;
        }
        let mut decided = decided;
        for manifest in image.manifests.iter().filter(|manifest| is_image(manifest)) {
            decided = self.accept_manifest(&subject, manifest).await;
            if decided.is_err() {
                break;
            }
        }
        decided
    }

    async fn accept_manifest(
        &self,
        subject: &Subject<'_>,
        manifest: &Manifest,
    ) -> Result<(), TransferError> {
        let needs = self.policy.requirements(&subject.scope).needs_signatures();
        let signatures = if needs {
            let found = subject.signatures(manifest.digest(), &self.registries_d, &self.web);
            found.await.map_err(|error| unread(manifest, error))?
        } else {
            Vec::new()
        };
        self.evaluate(subject, manifest, signatures).await
    }

    async fn evaluate(
        &self,
        subject: &Subject<'_>,
        manifest: &Manifest,
        signatures: Vec<Signature>,
    ) -> Result<(), TransferError> {
        let (policy, manifest) = (Arc::clone(&self.policy), manifest.clone());
        let (scope, name) = (subject.scope.clone(), subject.name.clone());
        let docker_reference = subject.docker_reference.clone();
        // It reads the files of keys.
        let decide = move || {
            let under_test = ImageUnderTest {
                scope: &scope,
                name: &name,
                docker_reference: docker_reference.as_ref(),
                manifest: manifest.bytes(),
                manifest_digest: manifest.digest(),
            };
            let evaluation = Evaluation {
                now: SystemTime::now(),
                must_verify: false,
            };
            let requirements = policy.requirements(&scope);
            requirements.evaluate(&under_test, &signatures, evaluation)
        };
        let decided = hod_bridge::run(decide).await;
        decided.map_err(|rejected| TransferError::Rejected {
            source: Box::new(rejected),
        })
    }
}

fn is_image(manifest: &Manifest) -> bool {
    matches!(manifest.body(), ManifestBody::Image(_))
}

fn unread(manifest: &Manifest, error: SignatureError) -> TransferError {
    TransferError::Signatures {
        digest: manifest.digest().clone(),
        source: Box::new(error),
    }
}
