//! Destinations as sinks of the engine.

mod handed;
mod local;
mod moving;

use std::path::PathBuf;
use std::sync::Arc;

use hod_layout::{DirWriter, OciDirWriter};
use hod_oci::Digest;
use hod_transfer::{Destination, RegistrySink};

pub(crate) use self::handed::Handed;
pub(crate) use self::local::DirSink;
use self::local::OciSink;
use self::moving::write_docker_archive;
pub(crate) use self::moving::{Copied, move_all, move_into, resolved, unnamed};
use crate::convert::manifest::Kind;
use crate::failure::{Done, Failure};
use crate::name::{ArchiveChoice, ImageName, Named, OciChoice};
use crate::source::OpenRegistry;
use crate::wording;

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
            Self::Dir(path) => {
                let stat = hod_fsx::try_stat(path).map_err(|error| wording::of_file(&error))?;
                if stat.is_some_and(|stat| !stat.is_dir) {
                    let path = path.display();
                    return Err(Failure::new(format!("open {path}: not a directory")));
                }
                let created = DirWriter::create(path).map(drop);
                created.map_err(|error| wording::of_layout(&error))
            }
            Self::Oci { path, .. } => {
                OciDirWriter::check(path).map_err(|error| wording::of_layout(&error))
            }
            Self::DockerArchive { path, .. } => {
                wording::require_dir_of(path).map_err(|error| {
                    let path = hod_gotext::quote(path.display().to_string());
                    error.during(format!("opening file {path}"))
                })?;
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

    /// Whether it has an image by its name already. What cannot be asked is said by the copy.
    pub(crate) async fn has(&self, digest: &Digest) -> bool {
        let Self::Registry { registry, named } = self else {
            return false;
        };
        let at = named.manifest_ref();
        let found = registry.client.manifests.head(&registry.repo, &at).await;
        matches!(found, Ok(Some(found)) if found.digest.as_ref() == Some(digest))
    }

    /// The name of an image in it; one that is a path has no other.
    pub(crate) fn destination(&self) -> Destination {
        match self {
            Self::Registry { named, .. } => named.destination(),
            _ => unnamed(),
        }
    }

    /// Writes an image; it is visible when all of it is there.
    pub(crate) async fn write(&self, image: Copied) -> Done {
        match self {
            Self::Registry { registry, named } => {
                let client = registry.client.for_push();
                let sink = RegistrySink::new(client, registry.repo.registry.clone());
                move_into(Arc::new(sink), image, named.destination()).await
            }
            Self::Dir(path) => {
                let path = path.clone();
                let writer = hod_bridge::run(move || DirWriter::create(&path)).await;
                let mut writer = writer.map_err(|error| wording::of_layout(&error))?;
                writer.allow_bare_index();
                move_into(Arc::new(DirSink::new(vec![writer])), image, unnamed()).await
            }
            Self::Oci {
                path,
                image: name,
                shared_blobs,
            } => {
                let sink = OciSink::create(path, name.clone(), shared_blobs.as_deref()).await?;
                move_into(Arc::new(sink), image, unnamed()).await
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
