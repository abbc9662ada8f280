//! Destinations as sinks of the engine.

mod handed;
mod index;
mod local;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_fsx::Durability;
use hod_layout::{DirWriter, DockerImage, OciDirWriter};
use hod_oci::{ForeignLayers, Manifest, PlatformChoice, RepositoryName, Tag};
use hod_report::{Reporter, Silent};
use hod_retry::RetryPolicy;
use hod_transfer::{
    Destination, DockerSink, ImageOutcome, IndexMode, Locate, Location, OnFailure, Plan,
    ReferrerMode, RegistrySink, Resolved, Sink, Source, Timings, Transfer, Wanted,
};

pub(crate) use self::handed::Handed;
pub(crate) use self::local::DirSink;
use self::local::OciSink;
use crate::convert::manifest::Kind;
use crate::failure::{Done, Failure};
use crate::name::{ArchiveChoice, ImageName, Named, OciChoice};
use crate::source::OpenRegistry;
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
    /// The config, where the destination has no manifests.
    pub(crate) config: Option<Vec<u8>>,
}

/// A place that images are written to.
#[derive(Debug)]
pub(crate) enum Target {
    Registry {
        registry: OpenRegistry,
        named: Named,
    },
    Dir(PathBuf),
    Oci {
        path: PathBuf,
        image: Option<String>,
        shared_blobs: Option<PathBuf>,
    },
    OciArchive {
        path: PathBuf,
        image: Option<String>,
    },
    DockerArchive {
        path: PathBuf,
        tags: Vec<String>,
    },
    Handed(Handed),
}

impl Target {
    /// The destination of a name. Registries are opened before.
    pub(crate) fn of(
        name: &ImageName,
        registry: Option<OpenRegistry>,
        shared_blobs: Option<PathBuf>,
        additional_tags: &[Named],
    ) -> Done<Self> {
        Ok(match (name, registry) {
            (ImageName::Docker { named, .. }, Some(registry)) => Self::Registry {
                registry,
                named: named.clone(),
            },
            (ImageName::Dir { path, .. }, _) => Self::Dir(path.clone()),
            (ImageName::Oci { path, image, .. }, _) => {
                let image = match image {
                    OciChoice::Only => None,
                    OciChoice::Named(image) => Some(image.clone()),
                    OciChoice::At(at) => {
                        return Err(Failure::new(format!(
                            "Destination reference must not contain a manifest index @{at}"
                        )));
                    }
                };
                Self::Oci {
                    path: path.clone(),
                    image,
                    shared_blobs,
                }
            }
            (ImageName::OciArchive { path, image, .. }, _) => Self::OciArchive {
                path: path.clone(),
                image: image.clone(),
            },
            (ImageName::DockerArchive { path, image }, _) => {
                let own = match image {
                    ArchiveChoice::Only => None,
                    ArchiveChoice::Named(named) => Some(named.to_string()),
                    ArchiveChoice::At(at) => {
                        return Err(Failure::new(format!(
                            "Destination reference must not contain a manifest index @{at}"
                        )));
                    }
                };
                let others = additional_tags.iter().map(ToString::to_string);
                Self::DockerArchive {
                    path: path.clone(),
                    tags: own.into_iter().chain(others).collect(),
                }
            }
            (name, _) => {
                return Err(Failure::new(format!(
                    "{}: images cannot be written by this program yet",
                    name.transport()
                )));
            }
        })
    }

    /// The kinds of manifests that it takes, the preferred one first.
    pub(crate) fn kinds(&self) -> &'static [Kind] {
        match self {
            Self::Registry { .. } | Self::Dir(_) => &[Kind::Schema2, Kind::Oci],
            Self::Oci { .. } | Self::OciArchive { .. } => &[Kind::Oci],
            Self::DockerArchive { .. } => &[Kind::Schema2],
            Self::Handed(handed) => handed.kinds(),
        }
    }

    /// Whether it takes one image, and no index and no artifact.
    pub(crate) fn is_of_one_image(&self) -> bool {
        matches!(self, Self::DockerArchive { .. } | Self::Handed(_))
    }

    /// The same where skopeo would write the layers uncompressed too: engines take them as they
    /// are, so that the manifest that a copy reports is another one.
    pub(crate) fn unpacked_archive(&self) -> Option<PathBuf> {
        match self {
            Self::Handed(handed) if handed.is_engine() => None,
            target => target.archive(),
        }
    }

    /// The archive of `docker save` that is written for it.
    pub(crate) fn archive(&self) -> Option<PathBuf> {
        match self {
            Self::DockerArchive { path, .. } => Some(path.clone()),
            Self::Handed(handed) if handed.is_archive() => Some(handed.archive()),
            _ => None,
        }
    }

    /// Fails if it could not be written, before anything is read. Blocks.
    pub(crate) fn check(&self) -> Done {
        match self {
            Self::Registry { .. } | Self::OciArchive { .. } | Self::Handed(_) => Ok(()),
            Self::Dir(path) => DirWriter::create(path)
                .map(drop)
                .map_err(|error| wording::of_layout(&error)),
            Self::Oci { path, .. } => {
                OciDirWriter::check(path).map_err(|error| wording::of_layout(&error))
            }
            Self::DockerArchive { path, .. } => {
                let stat = hod_fsx::try_stat(path).map_err(|error| wording::of_file(&error))?;
                match stat {
                    Some(stat) if stat.is_file && stat.len > 0 => Err(Failure::new(
                        "docker-archive doesn't support modifying existing images",
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Writes an image; it is visible when all of it is there.
    pub(crate) async fn write(&self, image: Copied) -> Done {
        match self {
            Self::Registry { registry, named } => {
                let client = registry.client.for_push();
                let sink = RegistrySink::new(client, registry.repo.registry.clone());
                let destination = Destination {
                    repository: named.repository.clone(),
                    tag: named.tag.clone(),
                };
                run(Arc::new(sink), image, destination).await
            }
            Self::Dir(path) => {
                let path = path.clone();
                let writer = hod_bridge::run(move || DirWriter::create(&path)).await;
                let mut writer = writer.map_err(|error| wording::of_layout(&error))?;
                writer.allow_bare_index();
                run(Arc::new(DirSink::new(vec![writer])), image, unnamed()).await
            }
            Self::Oci {
                path,
                image: name,
                shared_blobs,
            } => {
                let sink = OciSink::create(path, name.clone(), shared_blobs.as_deref()).await?;
                run(Arc::new(sink), image, unnamed()).await
            }
            Self::OciArchive { path, image: name } => {
                local::write_oci_archive(path, name.as_deref(), image).await
            }
            Self::DockerArchive { path, tags } => {
                write_docker_archive(path, tags.clone(), image).await
            }
            Self::Handed(handed) => handed.write(image).await,
        }
    }
}

/// The destination of an image whose place is its path.
pub(crate) fn unnamed() -> Destination {
    Destination {
        repository: "image".parse::<RepositoryName>().expect("a plain word"),
        tag: Some(Tag::latest()),
    }
}

/// The plan of one image.
fn plan(image: Copied, destination: Destination) -> (Arc<dyn Source>, Arc<Plan>) {
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

async fn run(sink: Arc<dyn Sink>, image: Copied, destination: Destination) -> Done {
    let (source, plan) = plan(image, destination);
    run_plan(sink, source, &plan).await
}

async fn run_plan(sink: Arc<dyn Sink>, source: Arc<dyn Source>, plan: &Arc<Plan>) -> Done {
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

async fn write_docker_archive(path: &Path, tags: Vec<String>, image: Copied) -> Done {
    let config = image.config.clone().unwrap_or_default();
    let top = image.manifests.last().expect("an image has a manifest");
    let saved = DockerImage::tagged(tags, top, config);
    let saved = saved.map_err(|error| Failure::new(error.to_string()))?;
    let destination = path.to_owned();
    let create = hod_bridge::run(move || DockerSink::create(&destination, vec![saved], 0));
    let sink = create.await.map_err(|error| wording::of_layout(&error))?;
    let sink = Arc::new(sink);
    run(Arc::clone(&sink) as Arc<dyn Sink>, image, unnamed()).await?;
    let finished = hod_bridge::run(move || sink.finish(Durability::Synced)).await;
    finished.map_err(|error| wording::of_layout(&error))
}
