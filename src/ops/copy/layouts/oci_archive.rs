//! An archive of an OCI layout.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::archive::{self, Archive, Archiver};
use super::format::{Filler, Looked};
use super::{LayoutFormat, oci};
use crate::batch::Batch;
use crate::{Context, OpsError, platforms};
use hod_fsx::Durability;
use hod_layout::OciArchiveWriter;
use hod_transfer::{OciSink, Plan, Resolved, Source};

/// One OCI layout with all images as a tar, which is new.
#[derive(Debug)]
pub struct OciArchive;

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl LayoutFormat for OciArchive {
    fn is_archive(&self) -> bool {
        true
    }

    fn require_free(&self, cx: &Context, path: &Path) -> Result<(), OpsError> {
        archive::require_no_file(cx, path)
    }

    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler> {
        platforms::warn_of_partial(cx, source, batch);
        oci::tell_readers(cx, &batch.plan);
        let has_referrers = |image: &Resolved| !image.referrers.is_empty();
        if batch.plan.images.iter().any(has_referrers) {
            cx.note(
                "the archive contains signatures or other referrers; containerd's `ctr images \
                 import` fails on them: export with `--no-referrers`, or import with `--no-unpack`",
            );
        }
        Box::new(OciArchiver)
    }

    fn len(&self, plan: &Plan, mtime: u64) -> u64 {
        OciSink::archive_plan(plan, mtime).archive_len()
    }
}

struct OciArchiver;

#[async_trait(?Send)]
impl Archiver for OciArchiver {
    async fn start(&self, looked: &Looked<'_>) -> Result<Archive, OpsError> {
        let path = looked.target.path.clone();
        let plan = OciSink::archive_plan(&looked.batch.plan, looked.target.mtime);
        let create = hod_bridge::run(move || OciArchiveWriter::create(&path, &plan));
        let sink = Arc::new(OciSink::archive(create.await?));
        Ok(Archive {
            sink: sink.clone(),
            finish: Box::new(move || sink.finish(Durability::Synced).map(drop)),
        })
    }
}
