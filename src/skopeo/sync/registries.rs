//! Several registries as one source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use hod_oci::{Descriptor, Manifest, Registry};
use hod_retry::HostState;
use hod_transfer::{
    BlobContent, BlobHolder, Indexes, Keeping, Listed, Location, Reach, ReadOrder, Source,
    SourceCaps, TransferError,
};

/// Registries that are each read with the flags of their own.
#[derive(Debug)]
pub(super) struct Registries(pub(super) BTreeMap<Registry, Arc<dyn Source>>);

impl Registries {
    fn at(&self, location: &Location) -> Option<&dyn Source> {
        match location {
            Location::Repo(repo) => self.0.get(&repo.registry).map(AsRef::as_ref),
            _ => None,
        }
    }
}

#[async_trait]
impl Source for Registries {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Remote,
            order: ReadOrder::Any,
            keeping: Keeping::Inside,
            holder: BlobHolder::Other,
            indexes: Indexes::Whole,
        }
    }

    async fn list(&self) -> Result<Vec<Listed>, TransferError> {
        Ok(Vec::new())
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        match self.at(location) {
            Some(source) => source.manifest(location, descriptor).await,
            None => Ok(None),
        }
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        match self.at(location) {
            Some(source) => source.open_blob_from(location, descriptor, from).await,
            None => Err(TransferError::BlobAbsent {
                digest: descriptor.digest.clone(),
            }),
        }
    }

    fn garbles(&self, location: &Location, descriptor: &Descriptor) -> bool {
        let source = self.at(location);
        source.is_some_and(|source| source.garbles(location, descriptor))
    }

    fn host_state(&self, error: &TransferError, began: Instant) -> HostState {
        // A host that cannot be reached is unreachable to all that have not reached it, so that the
        // one that has decides.
        let states = self
            .0
            .values()
            .map(|source| source.host_state(error, began));
        let is_other = |state: &HostState| *state != HostState::Unreachable;
        states
            .into_iter()
            .find(is_other)
            .unwrap_or(HostState::Unreachable)
    }
}
