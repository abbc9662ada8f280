//! A directory of `dir:` layouts as a source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::blob_content::open_range;
use crate::{
    BlobContent, BlobHolder, Destination, Indexes, Keeping, Listed, LocalReferrers, Locate,
    Location, Placed, Reach, ReadOrder, Source, SourceCaps, TransferError, Wanted, layout_name,
};
use hod_layout::{DirLayout, FoundLayout, LayoutError};
use hod_oci::{Descriptor, Digest, Manifest, RepositoryName, Tag};

/// The layouts that were found in a directory.
#[derive(Debug, Clone)]
pub struct LayoutsSource(pub Arc<Vec<FoundLayout>>);

impl LayoutsSource {
    fn path(&self, location: &Location) -> Option<PathBuf> {
        let Location::Layout(at) = location else {
            return None;
        };
        self.0.get(*at).map(|found| found.path.clone())
    }

    /// Opens the layout at a location and reads from it; `None` if there is none.
    async fn read<T: Send + 'static>(
        &self,
        location: &Location,
        read: impl FnOnce(DirLayout) -> Result<T, LayoutError> + Send + 'static,
    ) -> Result<Option<T>, LayoutError> {
        let Some(path) = self.path(location) else {
            return Ok(None);
        };
        hod_bridge::run(move || read(DirLayout::open(&path)?))
            .await
            .map(Some)
    }
}

#[async_trait]
impl Source for LayoutsSource {
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
        let layouts = Arc::clone(&self.0);
        Ok(hod_bridge::run(move || {
            let listed = layouts.iter().enumerate().map(|(at, layout)| {
                let top = DirLayout::open(&layout.path).and_then(|layout| layout.top_manifest());
                let (repository, tag) = layout_name(&layout.reference);
                let name = layout.reference.to_string();
                let destination = Destination { repository, tag };
                match top {
                    Ok(top) => Listed {
                        name,
                        locate: Locate::Layout(at),
                        destination,
                        digest: Some(top.digest().clone()),
                    },
                    Err(error) => Listed::unreadable(name, destination, error),
                }
            });
            listed.collect()
        })
        .await)
    }

    async fn top(&self, wanted: &Wanted) -> Result<(Manifest, Location), TransferError> {
        let absent = || TransferError::ImageAbsent {
            registry: None,
            similar: Vec::new(),
        };
        let Locate::Layout(at) = &wanted.locate else {
            return Err(absent());
        };
        let location = Location::Layout(*at);
        let top = self.read(&location, |layout| layout.top_manifest()).await?;
        Ok((top.ok_or_else(absent)?, location))
    }

    async fn manifest(
        &self,
        location: &Location,
        descriptor: &Descriptor,
    ) -> Result<Option<Manifest>, TransferError> {
        let digest = descriptor.digest.clone();
        let read = self.read(location, move |layout| layout.read_manifest(&digest));
        Ok(read.await?.flatten())
    }

    async fn blob_lens(&self, blobs: Vec<Placed>) -> Result<Vec<Option<u64>>, TransferError> {
        let this = self.clone();
        let len = move |(location, digest)| match this.path(&location) {
            Some(path) => {
                let blob = DirLayout::open(&path)?.open_blob(&digest)?;
                Ok(blob.map(|range| range.len))
            }
            None => Ok(None),
        };
        hod_bridge::run(move || blobs.into_iter().map(len).collect()).await
    }

    async fn open_blob_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let digest = descriptor.digest.clone();
        let read = self.read(location, move |layout| layout.open_blob(&digest));
        open_range(read.await?.flatten(), descriptor, from)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
    ) -> Result<LocalReferrers, TransferError> {
        let (layouts, repository) = (Arc::clone(&self.0), repository.clone());
        Ok(hod_bridge::run(move || LocalReferrers::of_layouts(&layouts, &repository)).await)
    }

    async fn reread(
        &self,
        _: &RepositoryName,
        _: &Tag,
        location: &Location,
    ) -> Result<(), TransferError> {
        self.read(location, |layout| layout.top_manifest()).await?;
        Ok(())
    }

    fn repository_of(&self, locate: &Locate) -> Option<RepositoryName> {
        match locate {
            Locate::Layout(at) => Some(layout_name(&self.0.get(*at)?.reference).0),
            _ => None,
        }
    }

    fn layout_path(&self, location: &Location) -> Option<PathBuf> {
        self.path(location)
    }

    fn blob_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        // Opened for the sake of its name: who asks has it verified by opening it.
        let layout = DirLayout::open(&self.path(location)?).ok()?;
        layout.open_blob(digest).ok()?.map(|range| range.path)
    }

    fn manifest_file(&self, location: &Location, digest: &Digest) -> Option<PathBuf> {
        let layout = DirLayout::open(&self.path(location)?).ok()?;
        Some(layout.manifest_path(digest))
    }
}
