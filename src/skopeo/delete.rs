//! `skopeo delete`

use hod_registry::{Deleted, ManifestRef};

use crate::failure::{Done, Failure};
use crate::name::{ImageName, Named};
use crate::source::{OpenRegistry, Opening};
use crate::storage;
use crate::wording;

/// Deletes an image of podman's storage, or one of a registry, by the digest of its manifest: other
/// tags of it go with it.
pub(crate) async fn run(opening: &Opening<'_>, name: &ImageName) -> Done {
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
    let at = ManifestRef::Digest(digest);
    let deleted = manifests.delete(&registry.repo, &at);
    match deleted.await.map_err(|error| refused(named, &error))? {
        Deleted::Now => Ok(()),
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
