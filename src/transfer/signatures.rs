//! Finds the signatures of images where containers/image does: in lookaside storage, attached in the
//! repository of the image, or beside a `dir:` layout. Nothing is verified here.

use std::path::Path;
use std::sync::Arc;

use super::{Locate, Location, SignatureError, Sought, Source, TransferError, read_config};
use hod_oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};
use hod_registry::{Client, ManifestRef, Repo};
use hod_report::{Reporter, Silent};
use hod_trust::{
    Attachments, Lookaside, SIGNATURE_LEN_MAX, Signature, SignatureLocation, SignatureSettings,
    attachment_tag,
};

/// An image whose repository may have signatures.
#[derive(Debug, Clone, Copy)]
pub struct SignedImage<'a> {
    pub source: &'a dyn Source,
    /// Where the source has it.
    pub location: &'a Location,
    /// The repository in which the source has it.
    pub repository: &'a RepositoryName,
    /// The registry that the image is of, also where the source is not that registry.
    pub repo: &'a Repo,
    /// Where the signatures of the repository are.
    pub settings: &'a SignatureSettings,
    /// What lookaside storage on web servers is read with; no login is sent there.
    pub web: &'a Client,
}

impl SignedImage<'_> {
    /// Reads all signatures of a manifest.
    pub async fn signatures(&self, manifest: &Digest) -> Result<Vec<Signature>, SignatureError> {
        let mut found = self.aside(&self.settings.read, manifest).await?;
        if self.settings.use_sigstore_attachments {
            found.extend(self.attached(manifest).await?);
        }
        Ok(found)
    }

    /// The signatures in lookaside storage.
    async fn aside(
        &self,
        lookaside: &Lookaside,
        manifest: &Digest,
    ) -> Result<Vec<Signature>, SignatureError> {
        let mut signatures = Vec::new();
        for location in lookaside.locations(manifest) {
            let signature = match location? {
                SignatureLocation::File(path) => {
                    hod_bridge::run(move || SignatureLocation::read_file(&path)).await?
                }
                location @ SignatureLocation::Http(_) => self.fetch(&location).await?,
            };
            match signature {
                Some(signature) => signatures.push(signature),
                None => break,
            }
        }
        Ok(signatures)
    }

    async fn fetch(&self, at: &SignatureLocation) -> Result<Option<Signature>, SignatureError> {
        let SignatureLocation::Http(url) = at else {
            return Ok(None);
        };
        let files = &self.web.signatures;
        let found = files.fetch(self.repo, url.as_str(), SIGNATURE_LEN_MAX);
        let found = found.await.map_err(TransferError::from)?;
        Ok(found.map(|blob| at.parse(&blob)).transpose()?)
    }

    /// The signatures beside the image in its repository, under a tag made of its digest.
    async fn attached(&self, image: &Digest) -> Result<Vec<Signature>, SignatureError> {
        let manifest = match self.source.as_registry() {
            Some(registry) => attachments(&registry.client, self.repo, image).await?,
            None => self.stored_attachments(image).await?,
        };
        let Some(manifest) = manifest else {
            return Ok(Vec::new());
        };
        let attachments = Attachments::parse(manifest.bytes())?;
        let mut signatures = Vec::new();
        for (at, (payload, size)) in attachments.payloads().enumerate() {
            let bytes = self.payload(payload, size).await?;
            signatures.push(Signature::Sigstore(attachments.signature(at, bytes)?));
        }
        Ok(signatures)
    }

    async fn stored_attachments(&self, image: &Digest) -> Result<Option<Manifest>, SignatureError> {
        let sought = Sought {
            repository: self.repository.clone(),
            tag: Some(signature_tag(image)),
            digest: None,
        };
        let found = self.source.find(vec![vec![sought]]).await?;
        let Some((locate, _)) = found.into_iter().flatten().next() else {
            return Ok(None);
        };
        match locate {
            Locate::Stored { digest, .. } => {
                let descriptor = Descriptor::new(MediaType::new(""), digest, 0);
                let manifest = self.source.manifest(&Location::Pool, &descriptor);
                Ok(manifest.await?)
            }
            Locate::Unreadable(error) => Err(TransferError::of_shared(error).into()),
            Locate::Remote { .. } | Locate::Layout(_) => Ok(None),
        }
    }

    async fn payload(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, SignatureError> {
        let too_large = || SignatureError::TooLarge {
            digest: digest.clone(),
        };
        if size > SIGNATURE_LEN_MAX {
            return Err(too_large());
        }
        if self.source.is_sequential() {
            return Err(SignatureError::ReadOnce);
        }
        let blob = Descriptor::new(MediaType::new(""), digest.clone(), size);
        let reporter: Arc<dyn Reporter> = Arc::new(Silent);
        let retry = self.web.session.retry_policy();
        let bytes = read_config(self.source, self.location, &blob, retry, &reporter);
        bytes.await?.ok_or_else(too_large)
    }
}

/// Fetches the manifest of the signatures that are attached to an image; `None` if there is none.
pub async fn attachments(
    client: &Client,
    repo: &Repo,
    image: &Digest,
) -> Result<Option<Manifest>, TransferError> {
    let at = ManifestRef::Tag(signature_tag(image));
    match client.manifests.fetch(repo, &at).await {
        Ok(found) => Ok(found),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the signatures of a manifest of a `dir:` layout: `signature-1`, and so on.
pub async fn layout_signatures(
    path: &Path,
    manifest: &Digest,
    is_top: bool,
) -> Result<Vec<Signature>, SignatureError> {
    let prefix = if is_top {
        String::new()
    } else {
        format!("{}.", manifest.hex())
    };
    let path = path.to_owned();
    let read = move || {
        let mut signatures = Vec::new();
        loop {
            let number = signatures.len() + 1;
            let path = path.join(format!("{prefix}signature-{number}"));
            match SignatureLocation::read_file(&path)? {
                Some(signature) => signatures.push(signature),
                None => return Ok(signatures),
            }
        }
    };
    hod_bridge::run(read).await
}

fn signature_tag(image: &Digest) -> Tag {
    attachment_tag(image).parse().expect("a digest makes a tag")
}
