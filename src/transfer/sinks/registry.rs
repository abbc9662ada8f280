//! A registry as a sink: `push`.

mod publish;
mod referrers;
mod target;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Content, ImageOutcome, Plan, Presence, Sink, TransferError};
use hod_oci::RepositoryName;
use hod_registry::{ContentCheck, UploadStart};
use hod_report::BlobRoute;
use target::MOUNTS_AT_ONCE;
pub use target::RegistrySink;

#[async_trait]
impl Sink for RegistrySink {
    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let task = content.task;
        let blob = &task.blob.descriptor;
        let mut names: Vec<&RepositoryName> = Vec::new();
        for &at in &task.blob.images {
            let name = &task.plan.images[at].wanted.destination.repository;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if let Presence::Target(there) = &task.blob.presence {
            return self.mount(blob, there, &names).await;
        }
        let Some((first, others)) = names.split_first() else {
            return Ok(BlobRoute::Present);
        };
        let repo = self.repo(first);
        let mut route = BlobRoute::Present;
        let seen = self.ask(first, blob).await?;
        if seen != ContentCheck::Present {
            // A possibly damaged blob must not be mounted again.
            let is_sound = seen == ContentCheck::Absent && self.rechecked.is_empty();
            let from = self.elsewhere(&blob.digest);
            let from = from.or_else(|| self.own(task.blob)).filter(|_| is_sound);
            let start = self.client.uploads.start(&repo, blob, from.as_ref());
            let start = match from {
                None if self.may_upload() => content.open_during(start).await?,
                // A blob that will probably be mounted, or that has to wait, is not opened.
                _ => start.await?,
            };
            match start {
                UploadStart::Mounted => route = BlobRoute::Mounted,
                UploadStart::Session(session) => {
                    self.upload(session, content).await?;
                    route = BlobRoute::Moved;
                }
            }
            self.require_arrival(&repo, blob, seen).await?;
            self.note_sent(task.images_in(first));
        }
        // Sequential sources can serve only the first repository; the rest must be mounts.
        // Begun uploads are not left waiting for long, which some registries would forget.
        for others in others.chunks(MOUNTS_AT_ONCE) {
            for start in self.spread(task, first, others).await? {
                match start {
                    UploadStart::Mounted if route == BlobRoute::Present => {
                        route = BlobRoute::Mounted;
                    }
                    UploadStart::Mounted => {}
                    UploadStart::Session(session) => {
                        self.upload(session, content).await?;
                        route = BlobRoute::Moved;
                    }
                }
            }
        }
        Ok(route)
    }

    async fn publish(&self, plan: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        let mut results = Vec::with_capacity(images.len());
        for at in images {
            results.push((at, self.publish_one(plan, at).await.map_err(Arc::new)));
        }
        results
    }
}
