//! Destinations that take an image only as a whole file or layout, which is built in a temporary
//! directory first: engines, podman's storage, pipes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_fsx::TempDir;
use hod_layout::DirWriter;
use hod_oci::{Manifest, Platform};

use super::local::{DirSink, write_oci_archive};
use super::moving::{Copied, move_into, unnamed, write_docker_archive};
use crate::archive;
use crate::client::RegistryFlags;
use crate::convert::manifest::Kind;
use crate::daemon::Engine;
use crate::failure::{Done, Failure};
use crate::name::{ArchiveChoice, DaemonImage, ImageName, Named, StorageName};
use crate::storage::Store;
use crate::wording;

/// The archive that is built.
const ARCHIVE: &str = "image.tar";
/// The layout that is built.
const LAYOUT: &str = "image";

/// A destination that is handed an image.
#[derive(Debug)]
pub(crate) struct Handed {
    scratch: TempDir,
    tmpdir: Option<PathBuf>,
    taker: Taker,
}

/// Who takes the image.
#[derive(Debug)]
enum Taker {
    /// Loads the archive.
    Engine { engine: Engine, tag: String },
    /// The archive is written to it.
    Stream { path: PathBuf, tags: Vec<String> },
    /// Takes the layout.
    Storage { store: Store, named: Named },
}

impl Handed {
    /// The destination of a name, if it is such a one. Blocks.
    pub(crate) fn of(
        name: &ImageName,
        host: Option<&str>,
        flags: &RegistryFlags,
        additional_tags: &[Named],
        tmpdir: Option<&Path>,
    ) -> Done<Option<Self>> {
        let taker = match name {
            ImageName::DockerDaemon(image) => of_engine(image, name, host, flags)?,
            ImageName::ContainersStorage(name) => of_storage(name)?,
            ImageName::DockerArchive { path, image } if is_stream(path)? => {
                let own = match image {
                    ArchiveChoice::Named(named) => Some(named.to_string()),
                    // Refused as that of a file.
                    ArchiveChoice::At(_) => return Ok(None),
                    ArchiveChoice::Only => None,
                };
                let others = additional_tags.iter().map(ToString::to_string);
                Taker::Stream {
                    path: path.clone(),
                    tags: own.into_iter().chain(others).collect(),
                }
            }
            ImageName::Tarball(_) => {
                return Err(Failure::new(
                    "\"tarball:\" locations can only be read from, not written to",
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            scratch: archive::scratch(tmpdir)?,
            tmpdir: tmpdir.map(Path::to_owned),
            taker,
        }))
    }

    /// The kinds of manifests that it takes, the preferred one first.
    pub(crate) fn kinds(&self) -> &'static [Kind] {
        match self.taker {
            Taker::Engine { .. } | Taker::Stream { .. } => &[Kind::Schema2],
            Taker::Storage { .. } => &[Kind::Schema2, Kind::Oci],
        }
    }

    /// Whether it is an archive of `docker save` that is handed over.
    pub(crate) fn is_archive(&self) -> bool {
        !matches!(self.taker, Taker::Storage { .. })
    }

    pub(crate) fn is_engine(&self) -> bool {
        matches!(self.taker, Taker::Engine { .. })
    }

    /// Where the archive is after it was written.
    pub(crate) fn archive(&self) -> PathBuf {
        self.scratch.path().join(ARCHIVE)
    }

    /// Stores an image under the digest of its manifest, or of its index: it is handed over in an
    /// archive that has that name, since no tool gives such a name to an image.
    async fn store_by_digest(&self, store: &Store, named: &Named, mut image: Copied) -> Done {
        let platform = by_digest(named, &mut image)?;
        let archive = self.archive();
        let name = named.to_string();
        write_oci_archive(&archive, Some(name.as_str()), image).await?;
        let (store, tmpdir) = (store.clone(), self.tmpdir.clone());
        let pull = move || store.pull_archive(&archive, platform.as_ref(), tmpdir.as_deref());
        hod_bridge::run(pull).await
    }

    /// Builds the archive or layout, and hands it over.
    pub(crate) async fn write(&self, image: Copied) -> Done {
        match &self.taker {
            Taker::Engine { engine, tag } => {
                let archive = self.archive();
                write_docker_archive(&archive, vec![tag.clone()], image).await?;
                engine.load(&archive).await
            }
            Taker::Stream { path, tags } => {
                let archive = self.archive();
                write_docker_archive(&archive, tags.clone(), image).await?;
                let path = path.clone();
                // A pipe may never be read.
                let poured = hod_bridge::run_apart(move || pour(&archive, &path)).await;
                poured.map_err(|error| Failure::new(wording::go_problem(&error)))?
            }
            Taker::Storage { store, named } if named.digest.is_some() => {
                self.store_by_digest(store, named, image).await
            }
            Taker::Storage { store, named } => {
                let layout = self.scratch.path().join(LAYOUT);
                let path = layout.clone();
                let writer = hod_bridge::run(move || DirWriter::create(&path)).await;
                let writer = writer.map_err(|error| wording::of_layout(&error))?;
                move_into(Arc::new(DirSink::new(vec![writer])), image, unnamed()).await?;
                let (store, named, tmpdir) = (store.clone(), named.clone(), self.tmpdir.clone());
                hod_bridge::run(move || store.pull(&layout, &named, tmpdir.as_deref())).await
            }
        }
    }
}

/// What has the digest of a name: the image, or the index that it was chosen from. Returns the
/// platform of the latter's image.
fn by_digest(named: &Named, image: &mut Copied) -> Done<Option<Platform>> {
    let is_named = |manifest: &Manifest| named.digest.as_ref() == Some(manifest.digest());
    let one = image.manifests.last().expect("an image has a manifest");
    if is_named(one) {
        return Ok(None);
    }
    let list = image.chosen_from.take().filter(is_named);
    let entry = list.as_ref().and_then(|list| {
        let mut entries = list.children().iter();
        entries.find(|entry| &entry.digest == one.digest())
    });
    let Some(platform) = entry.map(|entry| entry.platform.clone()) else {
        return Err(Failure::new(
            "Digest of source image's manifest would not match destination reference",
        ));
    };
    image.manifests.extend(list);
    Ok(platform)
}

fn of_engine(
    image: &DaemonImage,
    name: &ImageName,
    host: Option<&str>,
    flags: &RegistryFlags,
) -> Done<Taker> {
    match image {
        DaemonImage::Named(named) if named.tag.is_some() => Ok(Taker::Engine {
            engine: Engine::open(host, flags)?,
            tag: named.to_string(),
        }),
        _ => Err(Failure::new(format!(
            "Invalid destination {name}: a destination must be a name:tag"
        ))),
    }
}

fn of_storage(name: &StorageName) -> Done<Taker> {
    match (&name.named, &name.id) {
        (Some(named), None) => Ok(Taker::Storage {
            store: Store::open(name.store.as_ref())?,
            named: named.clone(),
        }),
        _ => Err(Failure::new(format!(
            "Invalid destination containers-storage:{}: an image is stored by podman, which \
             requires a name",
            name.text
        ))),
    }
}

/// Whether a path is a pipe, a device or an open file, which is written to and not replaced.
fn is_stream(path: &Path) -> Done<bool> {
    // `-` is a file of that name here.
    let is_stdout = hod_fsx::is_stdout(path);
    let found = (!is_stdout).then(|| hod_fsx::is_stream(path)).transpose();
    let found = found.map_err(|error| wording::of_file(&error))?;
    Ok(found.unwrap_or(false))
}

fn pour(archive: &Path, path: &Path) -> Done {
    let input = hod_fsx::open(archive).map_err(|error| wording::of_file(&error));
    let output = hod_fsx::open_stream(path).map_err(|error| wording::of_file(&error));
    let (mut input, mut output) = (input?, output?);
    let poured = io::copy(&mut input, &mut output);
    poured.map(drop).map_err(|error| {
        let problem = wording::go_problem(&error);
        Failure::new(format!("write {}: {problem}", path.display()))
    })
}
