//! Layouts that were opened one by one, as one source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use hod_oci::{Descriptor, Digest, Manifest};
use hod_transfer::{
    BlobContent, BlobHolder, Indexes, Keeping, Listed, Location, Reach, ReadOrder, Source,
    SourceCaps, TransferError,
};

/// Sources of one layout each; [`Location::Layout`] is the position among them.
#[derive(Debug)]
pub(crate) struct Layouts(pub(crate) Vec<Arc<dyn Source>>);

/// The only layout of a source.
const ONLY: Location = Location::Layout(0);

impl Layouts {
    fn source(&self, location: &Location) -> Result<&Arc<dyn Source>, TransferError> {
        let absent = TransferError::ImageAbsent {
            registry: None,
            similar: Vec::new(),
        };
        match location {
            Location::Layout(at) => self.0.get(*at).ok_or(absent),
            _ => Err(absent),
        }
    }
}

#[async_trait]
impl Source for Layouts {
    fn caps(&self) -> SourceCaps {
        SourceCaps {
            reach: Reach::Local,
            order: ReadOrder::Any,
            keeping: Keeping::Files,
            holder: BlobHolder::Other,
            indexes: Indexes::Partial,
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
        self.source(location)?.manifest(&ONLY, descriptor).await
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let source = self.source(location)?;
        source.open_blob_from(&ONLY, descriptor, from).await
    }

    fn blob_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        self.source(location).ok()?.blob_file(&ONLY, digest)
    }
}
