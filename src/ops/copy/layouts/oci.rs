//! An OCI layout.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::LayoutFormat;
use super::format::{Filler, Looked};
use crate::batch::Batch;
use crate::{Context, OpsError, platforms};
use hod_fsx::Durability;
use hod_layout::OciDirWriter;
use hod_report::amount::format_count;
use hod_transfer::{Feed, OciSink, OnFailure, Plan, Resolved, Source};

/// Part of Docker's media types only.
const DOCKER: &str = "vnd.docker.";

/// One OCI layout for all images, to which they are added.
#[derive(Debug)]
pub struct OciLayout;

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl LayoutFormat for OciLayout {
    fn require_free(&self, _: &Context, path: &Path) -> Result<(), OpsError> {
        Ok(OciDirWriter::check(path)?)
    }

    fn require_writable(&self, path: &Path) -> Result<(), hod_fsx::Error> {
        OciDirWriter::require_writable(path)
    }

    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler> {
        platforms::warn_of_partial(cx, source, batch);
        tell_readers(cx, &batch.plan);
        Box::new(OciFiller)
    }
}

/// Says which tools cannot read Docker's manifests in an OCI layout.
pub(super) fn tell_readers(cx: &Context, plan: &Plan) {
    let is_docker = |image: &&Resolved| image.top().media_type().as_str().contains(DOCKER);
    let n_docker = plan.images.iter().filter(is_docker).count();
    if n_docker > 0 {
        cx.note(&format!(
            "{} manifests in Docker's format, which stay unchanged. containerd reads them from an \
             OCI layout, skopeo does not; both read `dir:` layouts",
            match n_docker {
                1 => "1 image has".to_owned(),
                n => format!("{} have", format_count(n, "image")),
            }
        ));
    }
}

struct OciFiller;

#[async_trait(?Send)]
impl Filler for OciFiller {
    async fn fill(&mut self, looked: &mut Looked<'_>, feed: &mut Feed<'_>) -> Result<(), OpsError> {
        let path = looked.target.path.clone();
        let writer = hod_bridge::run(move || OciDirWriter::create(&path)).await?;
        let sink = OciSink::directory(writer, looked.link, feed.source());
        let sink = Arc::new(sink);
        looked.batch.run(looked.cx, feed, sink.clone()).await;
        if looked.options.on_failure == OnFailure::Stop && looked.batch.has_failures() {
            looked.batch.withdraw();
            return Ok(());
        }
        hod_bridge::run(move || sink.finish(Durability::Synced)).await?;
        looked.batch.announce(looked.cx);
        Ok(())
    }
}
