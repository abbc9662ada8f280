//! Puts signatures where a destination has them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hod_oci::{Digest, Manifest, Tag};
use hod_transfer::attachments;
use hod_trust::{Attachments, Signature, SigstoreSignature, attachment_tag};

use super::Trust;
use crate::convert::Part;
use crate::converted::Converted;
use crate::failure::{Done, Failure};
use crate::name::{ImageName, Named};
use crate::source::{OpenImage, OpenRegistry};
use crate::target::{Copied, Target};
use crate::wording;

/// The signatures of one manifest of a copy.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) manifest: Digest,
    /// Whether it is what the name of the destination stands for.
    pub(crate) is_top: bool,
    pub(crate) signatures: Vec<Signature>,
}

/// Fails if a destination has no place for signatures.
pub(crate) fn require_place(to: &ImageName) -> Done {
    let why = match to {
        ImageName::Docker { .. } | ImageName::Dir { .. } => return Ok(()),
        ImageName::Oci { .. } | ImageName::OciArchive { .. } => {
            "Pushing signatures for OCI images is not supported"
        }
        ImageName::DockerArchive { .. } => {
            "Storing signatures for docker tar files is not supported"
        }
        ImageName::DockerDaemon(_) => {
            "Storing signatures for docker-daemon: destinations is not supported"
        }
        ImageName::ContainersStorage(_) | ImageName::Tarball(_) => {
            "Storing signatures there is not supported"
        }
    };
    Err(Failure::new(format!(
        "Can not copy signatures to {to}: {why}"
    )))
}

impl Trust {
    /// Stores the signatures of what was copied.
    pub(crate) async fn store(&self, image: &OpenImage, target: &Target, all: &[Stored]) -> Done {
        let during = |error: Failure| error.during("writing signatures");
        for stored in all.iter().filter(|stored| !stored.signatures.is_empty()) {
            match target {
                Target::Dir(path) => {
                    let path = path.clone();
                    let prefix = if stored.is_top {
                        String::new()
                    } else {
                        format!("{}.", stored.manifest.hex())
                    };
                    let signatures = stored.signatures.clone();
                    let write = move || write_dir(&path, &prefix, &signatures);
                    hod_bridge::run(write).await.map_err(during)?;
                }
                Target::Registry { registry, named } => {
                    let written = self.write_registry(image, registry, named, stored);
                    written.await.map_err(during)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn write_registry(
        &self,
        image: &OpenImage,
        registry: &OpenRegistry,
        named: &Named,
        stored: &Stored,
    ) -> Done {
        let settings = self.settings(named)?;
        let (mut simple, mut sigstore) = (Vec::new(), Vec::new());
        for signature in &stored.signatures {
            match signature {
                Signature::Sigstore(signature) if settings.use_sigstore_attachments => {
                    sigstore.push(signature.clone());
                }
                Signature::Sigstore(_) => {
                    return Err(Failure::new(
                        "Cannot determine sigstore attachment destination: writing sigstore \
                         attachments is disabled by configuration",
                    ));
                }
                Signature::SimpleSigning(_) => simple.push(signature.clone()),
            }
        }
        if !simple.is_empty() {
            let (lookaside, digest) = (settings.write.clone(), stored.manifest.clone());
            let written = hod_bridge::run(move || lookaside.write(&digest, &simple)).await;
            written.map_err(|error| Failure::new(error.to_string()))?;
        }
        if !sigstore.is_empty() {
            attach(image, registry, named, &stored.manifest, &sigstore).await?;
        }
        Ok(())
    }
}

/// Adds signatures to the attachments of an image.
async fn attach(
    image: &OpenImage,
    registry: &OpenRegistry,
    named: &Named,
    manifest: &Digest,
    signatures: &[SigstoreSignature],
) -> Done {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let found = attachments(&registry.client, &registry.repo, manifest).await;
    let built = match found.map_err(|error| wording::of_transfer(&error))? {
        None => Attachments::first(signatures),
        Some(old) => {
            let config = crate::convert::manifest::image_of(&old)?.config.clone();
            let at_target = OpenImage::of_manifest(registry.clone(), old.clone());
            let config = at_target.config(&config).await?;
            let attachments = Attachments::parse(old.bytes()).map_err(|e| wrong(&e))?;
            attachments
                .with(&config, signatures)
                .map_err(|e| wrong(&e))?
        }
    };
    let mut parts = HashMap::new();
    for payload in built.payloads.into_iter().chain([built.config]) {
        let bytes = Bytes::from(payload);
        parts.insert(Digest::of(&bytes), Part::Bytes(bytes));
    }
    let made = Manifest::parse(built.manifest.into(), None).map_err(|e| wrong(&e))?;
    let tag: Tag = attachment_tag(manifest)
        .parse()
        .expect("a digest makes a tag");
    let target = Target::Registry {
        registry: registry.clone(),
        named: named.with_tag(tag),
    };
    let copied = Copied {
        source: Arc::new(Converted {
            inner: Arc::clone(&image.source),
            parts,
        }),
        location: image.location.clone(),
        manifests: vec![made],
        chosen_from: None,
        config: None,
    };
    target.write(copied).await
}

/// Writes the files `signature-1`, and so on, into a layout. Blocks.
fn write_dir(dir: &Path, prefix: &str, signatures: &[Signature]) -> Done {
    for (at, signature) in signatures.iter().enumerate() {
        let path = dir.join(format!("{prefix}signature-{}", at + 1));
        let written = hod_fsx::write_file(&path, &signature.to_blob());
        written.map_err(|error| wording::of_file(&error))?;
    }
    Ok(())
}
