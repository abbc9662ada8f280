//! Sources of manifests and blobs. The engine uses the trait only; the adapters are in `sources`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::caps::{Reach, ReadOrder};
use super::sequential::BlobSlot;
use super::{
    BlobContent, Ended, Found, Listed, LocalReferrers, Locate, Location, Origins, Placed, Plan,
    PlannedBlob, RegistrySource, SizeClaim, Sought, SourceCaps, TransferError, Wanted,
};
use hod_bundle::{Bundle, BundleManifest, NoCache, Signed, VerificationCache};
use hod_layout::Collection;
use hod_oci::{ContentMismatch, Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};
use hod_report::Reporter;
use hod_retry::HostState;
use hod_store::{Soundness, Store, examine};

/// A source of images.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync + 'static {
    fn caps(&self) -> SourceCaps;

    /// Every image by its name, including unreadable ones; none if the source cannot list its
    /// images.
    async fn list(&self) -> Result<Vec<Listed>, TransferError>;

    /// Looks up images, each under several names; the first name that is found counts. There are
    /// several results if the source has one name for different images.
    async fn find(&self, images: Vec<Vec<Sought>>) -> Result<Vec<Vec<Found>>, TransferError> {
        let listed = self.list().await?;
        let found = |sought: &Sought| -> Vec<Found> {
            let images = listed.iter().filter(|image| sought.is(image));
            let found = images.map(|image| (image.locate.clone(), image.digest.clone()));
            found.collect()
        };
        let first = |names: &Vec<Sought>| {
            let mut found = names.iter().map(found);
            found.find(|found| !found.is_empty()).unwrap_or_default()
        };
        Ok(images.iter().map(first).collect())
    }

    /// Finds the top manifest of an image, and the location of its blobs.
    async fn top(&self, wanted: &Wanted) -> Result<(Manifest, Location), TransferError> {
        let absent = || TransferError::ImageAbsent {
            registry: None,
            similar: Vec::new(),
        };
        let Locate::Stored { digest, len, .. } = &wanted.locate else {
            return Err(absent());
        };
        let descriptor = Descriptor::new(MediaType::new(""), digest.clone(), 0);
        let manifest = self.manifest(&Location::Pool, &descriptor).await?;
        let manifest = manifest.ok_or_else(absent)?;
        let actual = manifest.bytes().len() as u64;
        match len.filter(|&len| len != actual) {
            None => Ok((manifest, Location::Pool)),
            Some(expected) => Err(TransferError::BlobLength {
                digest: digest.clone(),
                claim: SizeClaim::LayoutIndex,
                expected,
                actual,
            }),
        }
    }

    /// Reads the manifest that `descriptor` names; `None` when the source lacks it.
    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError>;

    /// The length of each config or layer, as far as that is known without reading it; what a delta
    /// leaves to its target counts.
    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        Ok(vec![None; blobs.len()])
    }

    /// Opens a blob from the byte `from` on.
    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError>;

    /// Whether wrong bytes of a blob came from a place before, so that others are asked first.
    fn garbles(&self, _: &Location, _: &Descriptor) -> bool {
        false
    }

    /// The referrers in one repository of a local source.
    async fn referrers(&self, _: &RepositoryName) -> Result<LocalReferrers, TransferError> {
        Ok(LocalReferrers::default())
    }

    /// Reads the tag of a referrer again that could not be read, for the reason.
    async fn reread(&self, _: &RepositoryName, _: &Tag, _: &Location) -> Result<(), TransferError> {
        Ok(())
    }

    /// The repository in which a local source has an image.
    fn repository_of(&self, locate: &Locate) -> Option<RepositoryName> {
        match locate {
            Locate::Stored { repository, .. } => Some(repository.clone()),
            _ => None,
        }
    }

    /// The path of a blob that is a separate file, so that it can be linked.
    fn blob_file(&self, _: &Location, _: &Digest) -> Option<PathBuf> {
        None
    }

    /// The path of a file that may be a manifest and nothing else, so that it can be linked.
    fn manifest_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        self.blob_file(location, digest)
    }

    /// The directory of a `dir:` layout.
    fn layout_path(&self, _: &Location) -> Option<PathBuf> {
        None
    }

    /// The files that have a blob, or a part of it.
    fn files_of(&self, location: &Location, digest: &Digest) -> Vec<PathBuf> {
        self.blob_file(location, digest).into_iter().collect()
    }

    /// Which of its blobs were verified before, so that they need not be read to be packed.
    fn verification_cache(&self) -> Arc<dyn VerificationCache> {
        Arc::new(NoCache)
    }

    /// Whether it has a config or layer, as far as that is known without looking: a bundle may
    /// require it at the target, or have it in a volume that is not present.
    fn has_blob(&self, _: &Digest) -> bool {
        true
    }

    /// The index of a bundle; `None` for other sources.
    fn document(&self) -> Option<&BundleManifest> {
        None
    }

    /// Reads a manifest that [`Self::document`] lists. Blocks.
    fn read_listed(&self, _: &Digest) -> Result<Option<Manifest>, TransferError> {
        Ok(None)
    }

    /// The key that signed it, and whether it is trusted; `None` for sources that are never signed.
    fn signed(&self) -> Option<Signed> {
        None
    }

    /// Notes about the source itself, for the user.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// Resumes the reader of a source that is read in a given order; returns a slot for each blob
    /// of the plan. `None` for other sources.
    fn slots(&self, _: &Plan, _: &Arc<dyn Reporter>) -> Option<Vec<BlobSlot>> {
        None
    }

    /// Waits until a source that comes once has been read to its end.
    async fn end(&self) -> Ended {
        Ended::Well
    }

    /// Notes a failure to read a blob, and returns the state of the host that it is read from, for
    /// a move that has failed since `began`.
    fn host_state(&self, _: &TransferError, _began: Instant) -> HostState {
        HostState::Usual
    }

    /// Registries, which can be asked for more than a source needs.
    fn as_registry(&self) -> Option<&RegistrySource> {
        None
    }

    /// A store, for verbs that look into one.
    fn as_store(&self) -> Option<&Store> {
        None
    }

    /// A bundle that can be read at any offset, for verbs that look into one.
    fn as_bundle(&self) -> Option<&Arc<Bundle>> {
        None
    }

    /// What another tool has put together, for verbs that look into it.
    fn as_collection(&self) -> Option<&Arc<Collection>> {
        None
    }
}

impl dyn Source {
    /// Whether content is read over a network.
    pub fn is_remote(&self) -> bool {
        self.caps().reach == Reach::Remote
    }

    /// Whether it is read from front to back, so that a blob is had only when its turn comes.
    pub fn is_sequential(&self) -> bool {
        self.caps().order == ReadOrder::Given
    }

    /// Opens a blob.
    pub async fn open_blob(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<BlobContent, TransferError> {
        self.open_blob_from(location, descriptor, 0).await
    }

    /// Checks that a blob can be sent, without reading it: that it exists with its length and was
    /// not changed after it was verified. Streams are not checked.
    pub async fn check_blob(&self, blob: &PlannedBlob) -> Result<(), TransferError> {
        if self.is_remote() || self.is_sequential() {
            return Ok(());
        }
        let digest = blob.descriptor.digest.clone();
        let mut last = TransferError::BlobAbsent {
            digest: digest.clone(),
        };
        let holder = self.caps().holder;
        for location in &blob.from {
            match self.open_blob(location, &blob.descriptor).await {
                Ok(BlobContent::File(range)) => {
                    return hod_bridge::run(move || match examine(&digest, &range)? {
                        Soundness::Sound => Ok(()),
                        Soundness::Damaged { actual } => Err(TransferError::DamagedSource {
                            paths: vec![range.path],
                            holder,
                            digest,
                            actual,
                        }),
                    })
                    .await;
                }
                Ok(BlobContent::Stream(..)) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Attributes bytes without the digest of their blob to the place that sent them; any other
    /// error is unchanged.
    pub fn blame(
        &self,
        location: &Location,
        digest: &Digest,
        origins: &Origins,
        error: TransferError,
    ) -> TransferError {
        let actual = match &error {
            TransferError::Content(ContentMismatch::Digest { actual, .. }) => Some(actual),
            TransferError::Registry(error) => error.damaged_upload(),
            _ => None,
        };
        let Some(actual) = actual else {
            return error;
        };
        match origins.blame() {
            Some(origin) => origin.mismatch(digest, actual).into(),
            // They were kept by an earlier run.
            None if self.is_remote() => error,
            None => TransferError::DamagedSource {
                paths: self.files_of(location, digest),
                holder: self.caps().holder,
                digest: digest.clone(),
                actual: actual.clone(),
            },
        }
    }
}
