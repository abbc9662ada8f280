//! `skopeo delete`

mod oci;

use std::path::Path;

use hod_registry::{Deleted, ManifestRef};

use crate::failure::{Done, Failure};
use crate::name::{ImageName, Named};
use crate::source::{OpenRegistry, Opening};
use crate::storage;
use crate::trust::{Trust, TrustFlags};
use crate::wording;

/// Deletes an image of podman's storage or of an OCI layout, or one of a registry by the digest of
/// its manifest: other tags of it go with it, and so do its signatures in lookaside storage.
pub(crate) async fn run(opening: &Opening<'_>, trust: &TrustFlags, name: &ImageName) -> Done {
    if let ImageName::Oci { path, image, .. } = name {
        let (path, image) = (path.clone(), image.clone());
        let shared = opening.shared_blobs.map(Path::to_owned);
        return hod_bridge::run(move || oci::delete(&path, &image, shared.as_deref())).await;
    }
    if let ImageName::ContainersStorage(name) = name {
        let name = name.clone();
        return hod_bridge::run(move || storage::delete(&name)).await;
    }
    let ImageName::Docker { named, .. } = name else {
        return Err(Failure::new(format!(
            "Deleting images not implemented for {}: images",
            name.transport()
        )));
    };
    let trust = Trust::without_policy(opening.host, trust)?;
    let registry = OpenRegistry::open(opening.host, opening.flags, named).await?;
    let manifests = &registry.client.manifests;
    let digest = match (&named.digest, &named.tag) {
        (Some(digest), _) => digest.clone(),
        (None, Some(tag)) => {
            let at = ManifestRef::Tag(tag.clone());
            let found = manifests.fetch(&registry.repo, &at).await;
            let found = found.map_err(|error| refused(named, &error))?;
            found.ok_or_else(|| absent(named))?.digest().clone()
        }
        (None, None) => {
            return Err(Failure::new(
                "Docker reference without a tag or digest cannot be deleted",
            ));
        }
    };
    let at = ManifestRef::Digest(digest.clone());
    let deleted = manifests.delete(&registry.repo, &at);
    match deleted.await.map_err(|error| refused(named, &error))? {
        Deleted::Now => trust.remove(named, &digest).await,
        Deleted::Before => Err(absent(named)),
    }
}

fn absent(named: &Named) -> Failure {
    Failure::new(format!(
        "Unable to delete {named}. Image may not exist or is not stored with a v2 Schema in a v2 \
         registry"
    ))
}

fn refused(named: &Named, error: &hod_registry::RegistryError) -> Failure {
    let failure = wording::of_registry(error);
    if failure.code == crate::failure::NOT_FOUND {
        return absent(named);
    }
    failure.plain().during(format!("deleting {named}"))
}
