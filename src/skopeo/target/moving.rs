//! Moves images into sinks with the engine.

use std::path::Path;
use std::sync::Arc;

use hod_fsx::Durability;
use hod_layout::DockerImage;
use hod_oci::{ForeignLayers, Manifest, PlatformChoice, RepositoryName, Tag};
use hod_report::{Reporter, Silent};
use hod_retry::RetryPolicy;
use hod_transfer::{
    Destination, DockerSink, ImageOutcome, IndexMode, Locate, Location, OnFailure, Plan,
    ReferrerMode, Resolved, Sink, Source, Timings, Transfer, Wanted,
};

use crate::failure::{Done, Failure};
use crate::wording;

/// How many large blobs move at once, as with skopeo.
const JOBS: usize = 6;

/// All of an image that is to be written.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) location: Location,
    /// Children before their index, which is the last.
    pub(crate) manifests: Vec<Manifest>,
    /// The index that its only manifest was chosen from.
    pub(crate) chosen_from: Option<Manifest>,
    /// The config, where the destination has no manifests.
    pub(crate) config: Option<Vec<u8>>,
}

/// The destination of an image whose place is its path.
pub(crate) fn unnamed() -> Destination {
    Destination {
        repository: "image".parse::<RepositoryName>().expect("a plain word"),
        tag: Some(Tag::latest()),
    }
}

/// The plan of one image.
pub(super) fn plan(image: Copied, destination: Destination) -> (Arc<dyn Source>, Arc<Plan>) {
    let resolved = resolved(image.location, image.manifests, destination);
    (image.source, Arc::new(Plan::new(vec![resolved])))
}

/// An image as the engine has it.
pub(crate) fn resolved(
    location: Location,
    manifests: Vec<Manifest>,
    destination: Destination,
) -> Resolved {
    let top = manifests.last().expect("an image has a manifest");
    let wanted = Wanted {
        name: destination.to_string(),
        locate: Locate::stored(&destination.repository, top.digest()),
        platforms: PlatformChoice::All,
        index_mode: IndexMode::Keep,
        pinned: None,
        rewritten: None,
        referrers: ReferrerMode::Leave,
        foreign_layers: ForeignLayers::Leave,
        destination,
    };
    Resolved::of_manifests(wanted, location, manifests)
}

/// Moves one image into a sink.
pub(crate) async fn move_into(
    sink: Arc<dyn Sink>,
    image: Copied,
    destination: Destination,
) -> Done {
    let (source, plan) = plan(image, destination);
    run_plan(sink, source, &plan).await
}

pub(super) async fn run_plan(
    sink: Arc<dyn Sink>,
    source: Arc<dyn Source>,
    plan: &Arc<Plan>,
) -> Done {
    for outcome in move_all(sink, source, plan, OnFailure::Stop).await {
        outcome.map_err(|error| wording::of_transfer(&error))?;
    }
    Ok(())
}

/// Moves all images of a plan; one outcome for each.
pub(crate) async fn move_all(
    sink: Arc<dyn Sink>,
    source: Arc<dyn Source>,
    plan: &Arc<Plan>,
    on_failure: OnFailure,
) -> Vec<ImageOutcome> {
    let reporter: Arc<dyn Reporter> = Arc::new(Silent);
    let transfer = Transfer {
        source,
        share: None,
        sink,
        reporter,
        jobs: JOBS,
        on_failure,
        retry: RetryPolicy::default(),
        timings: Arc::new(Timings::default()),
    };
    transfer.run(plan).await
}

pub(super) async fn write_docker_archive(path: &Path, tags: Vec<String>, image: Copied) -> Done {
    let config = image.config.clone().unwrap_or_default();
    let top = image.manifests.last().expect("an image has a manifest");
    let saved = DockerImage::tagged(tags, top, config);
    let saved = saved.map_err(|error| Failure::new(error.to_string()))?;
    let destination = path.to_owned();
    let create = hod_bridge::run(move || DockerSink::create(&destination, vec![saved], 0));
    let sink = create.await.map_err(|error| wording::of_layout(&error))?;
    let sink = Arc::new(sink);
    move_into(Arc::clone(&sink) as Arc<dyn Sink>, image, unnamed()).await?;
    let finished = hod_bridge::run(move || sink.finish(Durability::Synced)).await;
    finished.map_err(|error| wording::of_layout(&error))
}
