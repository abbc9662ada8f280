//! Opens images as sources of the engine.

mod kept;
mod saved;

use std::path::Path;
use std::sync::Arc;

use hod_fsx::TempDir;
use hod_layout::{Collection, CollectionEntry, CollectionError, DirLayout, FoundLayout};
use hod_oci::{Descriptor, Digest, Manifest};
use hod_registry::{Client, Repo};
use hod_report::Silent;
use hod_retry::RetryPolicy;
use hod_transfer::{
    CollectionSource, LayoutsSource, Location, RegistrySource, Source, read_config,
};

use crate::archive::{self, Spooled};
use crate::client::RegistryFlags;
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::name::{ArchiveChoice, ImageName, Named, OciChoice};
use crate::storage::StoredImage;
use crate::wording;

/// What opening an image depends on besides its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) flags: &'a RegistryFlags,
    pub(crate) shared_blobs: Option<&'a Path>,
    /// For what must be unpacked before it can be read.
    pub(crate) tmpdir: Option<&'a Path>,
    pub(crate) daemon_host: Option<&'a str>,
}

pub(crate) use self::saved::entries_of_archive;

/// An image that can be read.
#[derive(Debug)]
pub(crate) struct OpenImage {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) location: Location,
    /// The manifest or index that the name stands for.
    pub(crate) top: Manifest,
    pub(crate) registry: Option<OpenRegistry>,
    held: Held,
}

/// What an image is read from, removed with it.
#[derive(Debug)]
enum Held {
    Nothing,
    Spooled(#[expect(dead_code, reason = "its drop removes the files")] Vec<Spooled>),
    Directory(#[expect(dead_code, reason = "its drop removes the directory")] TempDir),
    /// Not the layers yet: see [`OpenImage::for_copy`].
    Stored(StoredImage),
    /// An index of podman's storage, with the layers of its image.
    StoredList {
        id: String,
        #[expect(dead_code, reason = "its drop removes the directory")]
        scratch: TempDir,
    },
}

/// The registry of an image.
#[derive(Debug, Clone)]
pub(crate) struct OpenRegistry {
    pub(crate) client: Client,
    pub(crate) repo: Repo,
}

impl OpenImage {
    /// Opens an image and reads its manifest.
    pub(crate) async fn open(name: &ImageName, opening: &Opening<'_>) -> Done<Self> {
        match name {
            ImageName::Docker {
                named,
                is_digest_unknown,
            } => {
                if *is_digest_unknown {
                    return Err(Failure::new(format!(
                        "reading images from docker: reference {} without a tag or digest is not supported",
                        hod_gotext::quote(name.to_string().trim_start_matches("docker:"))
                    )));
                }
                Self::of_registry(named, opening).await
            }
            ImageName::Dir { path, .. } => {
                let path = path.clone();
                hod_bridge::run(move || Self::of_dir(&path)).await
            }
            ImageName::Oci { path, image, .. } => {
                let (path, image) = (path.clone(), image.clone());
                let shared = opening.shared_blobs.map(Path::to_owned);
                hod_bridge::run(move || Self::of_oci(&path, &image, shared.as_deref())).await
            }
            ImageName::OciArchive { path, image, .. } => {
                let (path, image) = (path.clone(), image.clone());
                let tmpdir = opening.tmpdir.map(Path::to_owned);
                hod_bridge::run(move || Self::of_oci_archive(&path, image, tmpdir.as_deref())).await
            }
            ImageName::DockerArchive { path, image } => {
                let (path, image) = (path.clone(), image.clone());
                let tmpdir = opening.tmpdir.map(Path::to_owned);
                hod_bridge::run(move || Self::of_docker_archive(&path, &image, tmpdir.as_deref()))
                    .await
            }
            ImageName::DockerDaemon(image) => Self::of_engine(image, opening).await,
            ImageName::ContainersStorage(image) => {
                let (image, tmpdir) = (image.clone(), opening.tmpdir.map(Path::to_owned));
                hod_bridge::run(move || Self::of_storage(&image, tmpdir.as_deref())).await
            }
            ImageName::Tarball(layers) => {
                let (layers, tmpdir) = (layers.clone(), opening.tmpdir.map(Path::to_owned));
                hod_bridge::run(move || Self::of_layers(&layers, tmpdir.as_deref())).await
            }
        }
    }

    async fn of_registry(named: &Named, opening: &Opening<'_>) -> Done<Self> {
        let registry = OpenRegistry::open(opening.host, opening.flags, named).await?;
        Self::in_registry(registry, named).await
    }

    /// Reads the manifest of an image with an open client.
    pub(crate) async fn in_registry(registry: OpenRegistry, named: &Named) -> Done<Self> {
        let at = named.manifest_ref();
        let manifests = &registry.client.manifests;
        let fetched = manifests.fetch(&registry.repo, &at).await;
        let fetched = fetched.map_err(|error| wording::of_manifest(named, &error))?;
        let Some(top) = fetched else {
            let said = manifests.absence(&registry.repo, &at).await;
            return Err(wording::of_absence(named, said.ok().flatten().as_deref()));
        };
        Ok(Self::of_manifest(registry, top))
    }

    /// An image of a registry whose manifest is known.
    pub(crate) fn of_manifest(registry: OpenRegistry, top: Manifest) -> Self {
        Self {
            source: Arc::new(RegistrySource {
                client: registry.client.clone(),
                known: None,
                look: None,
            }),
            location: Location::Repo(registry.repo.clone()),
            top,
            registry: Some(registry),
            held: Held::Nothing,
        }
    }

    fn of_dir(path: &Path) -> Done<Self> {
        let manifest = path.join("manifest.json");
        // Its own error names the file, and not what it would have been.
        hod_fsx::open(&manifest).map_err(|error| wording::of_file(&error))?;
        let layout = DirLayout::open(path).map_err(|error| wording::of_layout(&error))?;
        let top = layout.top_manifest();
        let top = top.map_err(|error| wording::of_layout(&error))?;
        Ok(Self {
            source: Arc::new(LayoutsSource(Arc::new(vec![layout_at(path)]))),
            location: Location::Layout(0),
            top,
            registry: None,
            held: Held::Nothing,
        })
    }

    fn of_oci(path: &Path, image: &OciChoice, shared: Option<&Path>) -> Done<Self> {
        let index = path.join("index.json");
        hod_fsx::open(&index).map_err(|error| wording::of_file(&error))?;
        let collection =
            Collection::open_layout(path, shared).map_err(|error| of_collection(&error))?;
        let digest = in_layout(collection.entries(), image)?;
        let blobs = shared.map_or_else(|| path.join("blobs"), Path::to_owned);
        let blob = blobs.join(digest.algorithm().as_str()).join(digest.hex());
        hod_fsx::open(&blob).map_err(|error| wording::of_file(&error))?;
        Self::of_collection(collection, &digest, None)
    }

    fn of_oci_archive(path: &Path, image: Option<String>, tmpdir: Option<&Path>) -> Done<Self> {
        if !hod_fsx::try_stat(path).is_ok_and(|stat| stat.is_some()) {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            return Err(Failure::new(format!(
                "creating temp directory: archive file not found: {}",
                hod_gotext::quote(path.display().to_string())
            )));
        }
        let spooled = archive::plain(path, tmpdir)?;
        let collection = open_archive(spooled.path())?;
        let image = image.map_or(OciChoice::Only, OciChoice::Named);
        let digest = in_layout(collection.entries(), &image)?;
        Self::of_collection(collection, &digest, Some(spooled))
    }

    fn of_docker_archive(path: &Path, image: &ArchiveChoice, tmpdir: Option<&Path>) -> Done<Self> {
        let during = |error: Failure| {
            let path = hod_gotext::quote(path.display().to_string());
            error.during(format!("opening file {path}"))
        };
        Self::of_saved(archive::plain(path, tmpdir).map_err(during)?, image, tmpdir)
    }

    fn of_collection(
        collection: Collection,
        digest: &Digest,
        spooled: Option<Spooled>,
    ) -> Done<Self> {
        let top = collection.read_manifest(digest);
        let top = top.map_err(|error| of_collection(&error))?;
        let top = top.ok_or_else(|| Failure::new(format!("manifest {digest} not found")))?;
        Ok(Self {
            source: Arc::new(CollectionSource(Arc::new(collection))),
            location: Location::Pool,
            top,
            registry: None,
            held: Held::Spooled(spooled.into_iter().collect()),
        })
    }

    /// Reads a child of its index.
    pub(crate) async fn child(&self, entry: &Descriptor) -> Done<Manifest> {
        let found = self.source.manifest(&self.location, entry).await;
        let found = found.map_err(|error| wording::of_transfer(&error))?;
        let digest = &entry.digest;
        found.ok_or_else(|| match &self.held {
            Held::Stored(StoredImage { id, .. }) | Held::StoredList { id, .. } => {
                Failure::new(format!(
                    "reading manifest for image instance \"{digest}\": locating item named \
                     \"manifest-{digest}\" for image with ID \"{id}\" (consider removing the image \
                     to resolve the issue): file does not exist"
                ))
            }
            _ => Failure::not_found(format!("reading manifest {digest}: manifest unknown")),
        })
    }

    /// Reads the config of one of its manifests.
    pub(crate) async fn config(&self, config: &Descriptor) -> Done<Vec<u8>> {
        let reporter: Arc<dyn hod_report::Reporter> = Arc::new(Silent);
        let retry = RetryPolicy::default();
        let source = self.source.as_ref();
        let bytes = read_config(source, &self.location, config, retry, &reporter).await;
        let bytes = bytes.map_err(|error| wording::of_transfer(&error))?;
        bytes.ok_or_else(|| Failure::new(format!("config {} is too large", config.digest)))
    }
}

impl OpenRegistry {
    /// A client for the registry of a name, after finding out whether it has TLS.
    pub(crate) async fn open(host: &dyn Host, flags: &RegistryFlags, named: &Named) -> Done<Self> {
        let client = flags.client(host, &named.registry)?;
        let found = client.find_scheme(&named.registry).await;
        found.map_err(|error| wording::of_manifest(named, &error))?;
        let repo = named.repo();
        Ok(Self { client, repo })
    }

    /// The same to write to; fails if `registries.conf` blocks the repository.
    pub(crate) async fn for_destination(
        host: &dyn Host,
        flags: &RegistryFlags,
        named: &Named,
    ) -> Done<Self> {
        let registry = Self::open(host, flags, named).await?;
        registry.require_allowed()?;
        Ok(registry)
    }

    /// The same client for another repository of the registry.
    pub(crate) fn of(&self, named: &Named) -> Self {
        Self {
            client: self.client.clone(),
            repo: named.repo(),
        }
    }

    /// Fails if `registries.conf` blocks the repository.
    pub(crate) fn require_allowed(&self) -> Done {
        let allowed = self.client.require_allowed(&self.repo);
        allowed.map_err(|error| wording::of_registry(&error))
    }
}

/// The layout at a path, under any name.
pub(crate) fn layout_at(path: &Path) -> FoundLayout {
    FoundLayout {
        path: path.to_owned(),
        reference: "image:latest".parse().expect("a plain name is a reference"),
    }
}

fn of_collection(error: &CollectionError) -> Failure {
    Failure::new(hod_report::chain(error))
}

fn open_archive(path: &Path) -> Done<Collection> {
    let opened = Collection::open_file(path).map_err(|error| of_collection(&error))?;
    opened.ok_or_else(|| Failure::new("Tar manifest.json not found"))
}

/// The manifest of an image of an OCI layout.
fn in_layout(entries: &[CollectionEntry], image: &OciChoice) -> Done<Digest> {
    let found = match image {
        OciChoice::Only => match entries {
            [single] => Some(single),
            [] => None,
            _ => {
                return Err(Failure::new("more than one image in oci, choose an image"));
            }
        },
        OciChoice::Named(name) => entries.iter().find(|entry| entry.names.contains(name)),
        OciChoice::At(at) => Some(entries.get(*at).ok_or_else(|| {
            let n = entries.len();
            Failure::new(format!(
                "index {at} is too large, only {n} entries available"
            ))
        })?),
    };
    let name = match image {
        OciChoice::Named(name) => name,
        _ => "",
    };
    let digest = found.and_then(|entry| entry.digest.clone());
    digest.ok_or_else(|| {
        let name = hod_gotext::quote(name);
        Failure::not_found(format!("no descriptor found for reference {name}"))
    })
}
