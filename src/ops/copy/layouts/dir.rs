//! A directory of `dir:` layouts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::LayoutFormat;
use super::format::{Filler, Looked};
use crate::batch::{Batch, require_writable};
use crate::{Context, OpsError, OutputError, platforms};
use hod_layout::LayoutError;
use hod_transfer::{Feed, LayoutSink, Plan, Source};

/// A `dir:` layout for each image, at `PATH/<repository>:<tag>`.
#[derive(Debug)]
pub struct DirLayouts;

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl LayoutFormat for DirLayouts {
    fn require_free(&self, _: &Context, path: &Path) -> Result<(), OpsError> {
        let path = path.to_owned();
        if hod_fsx::try_stat(&path)?.is_some_and(|stat| !stat.is_dir) {
            return Err(LayoutError::Occupied { path, found: None }.into());
        }
        if let Some(kind) = hod_layout::kind_of_one(&path)? {
            let wanted = "a directory of `dir:` layouts";
            return Err(OutputError::IsLayout { path, kind, wanted }.into());
        }
        Ok(())
    }

    /// An image whose own place cannot be written to fails alone.
    fn require_writable(&self, path: &Path) -> Result<(), hod_fsx::Error> {
        hod_fsx::require_writable(path)
    }

    /// If only some can be created, the others fail alone.
    async fn require_places(&self, path: &Path, plan: &Plan) -> Result<(), OpsError> {
        let names = plan
            .images
            .iter()
            .map(|image| &image.wanted.destination.repository);
        let places: BTreeSet<PathBuf> = names.map(|name| path.join(name.as_str())).collect();
        let path = path.to_owned();
        hod_bridge::run(move || {
            let mut looked = places
                .iter()
                .map(|place| hod_fsx::require_writable(hod_fsx::dir_of(place)));
            match looked.next() {
                Some(Err(first)) if looked.all(|looked| looked.is_err()) => {
                    require_writable(&path, Err(first))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler> {
        platforms::warn_of_partial(cx, source, batch);
        Box::new(DirFiller(None))
    }
}

/// The layouts, when they are started.
struct DirFiller(Option<LayoutSink>);

#[async_trait(?Send)]
impl Filler for DirFiller {
    /// An image whose path is in use fails alone.
    async fn begin(&mut self, looked: &mut Looked<'_>) -> Result<(), OpsError> {
        if !looked.batch.plan.is_empty() {
            let dir = LayoutSink::create(&looked.target.path, looked.link, &looked.source)?;
            looked.batch.narrow(looked.cx, |image| dir.add(image));
            self.0 = Some(dir);
        }
        Ok(())
    }

    async fn fill(&mut self, looked: &mut Looked<'_>, feed: &mut Feed<'_>) -> Result<(), OpsError> {
        if let Some(dir) = self.0.take() {
            looked.batch.run(looked.cx, feed, Arc::new(dir)).await;
        }
        Ok(())
    }
}
