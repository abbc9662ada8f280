//! What a local source holds, whatever kind it is, and how a list's lines are found in it.

mod near;
mod wanted;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::{FileKind, OpsError};
use crate::bridge;
use crate::bundle::{Bundle, BundleError, BundleKind, ReadOptions};
use crate::fsx;
use crate::layout::{self, Collection, CollectionError, CollectionKind, LayoutError};
use crate::store::Store;
use crate::tarball::ArchiveError;
use crate::transfer::{
    BundleSource, ChosenImage, CollectionSource, LayoutsSource, Source, Stated, StreamedBundle,
    Transport,
};

pub(super) use wanted::{landed, require_apart};

/// What a path was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum SourceKind {
    Store,
    Bundle,
    CompressedBundle,
    /// From stdin, compressed or not.
    PipedBundle,
    Layouts,
    Collection(CollectionKind),
    Registry,
    /// One image of a registry.
    Image,
    /// A list, of which the registries are read.
    List,
}

impl From<SourceKind> for &'static str {
    fn from(kind: SourceKind) -> Self {
        kind.as_str()
    }
}

impl SourceKind {
    /// Whether it is what a transport names.
    pub(super) fn is(self, transport: Transport) -> bool {
        transport
            == match self {
                Self::Registry | Self::Image | Self::List => return false,
                Self::Store => Transport::Store,
                Self::Bundle
                | Self::CompressedBundle
                | Self::PipedBundle
                | Self::Collection(CollectionKind::TreeArchive) => Transport::Bundle,
                Self::Layouts => Transport::Dir,
                Self::Collection(CollectionKind::OciLayout) => Transport::Oci,
                Self::Collection(CollectionKind::OciArchive) => Transport::OciArchive,
                Self::Collection(CollectionKind::DockerArchive) => Transport::DockerArchive,
            }
    }

    /// The kind in words, with an article.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "a registry tree",
            Self::Bundle => "a bundle",
            Self::CompressedBundle => "a compressed bundle",
            Self::PipedBundle => "a bundle from stdin",
            Self::Layouts => "a directory of `dir:` layouts",
            Self::Collection(CollectionKind::OciLayout) => "an OCI layout",
            Self::Collection(CollectionKind::OciArchive) => "an archive of an OCI layout",
            Self::Collection(CollectionKind::DockerArchive) => "a `docker save` archive",
            Self::Collection(CollectionKind::TreeArchive) => "an archive of a registry tree",
            Self::Registry => "a registry",
            Self::Image => "an image",
            Self::List => "a list",
        }
    }
}

/// A local source of images, opened.
#[derive(Debug, Clone)]
pub struct Catalog {
    path: PathBuf,
    kind: SourceKind,
    source: Arc<dyn Source>,
    /// The only image that is meant.
    image: Option<ChosenImage>,
}

impl Catalog {
    /// Opens `path` as whatever it is, for a verb that reads each blob at most once: `-` is a bundle
    /// from stdin, raw or compressed, whose volumes come one after the other.
    pub async fn open_once(path: &Path, reading: &ReadOptions) -> Result<Self, OpsError> {
        if !fsx::is_stdin(path) {
            let (path, reading) = (path.to_owned(), reading.clone());
            return bridge::run(move || Self::open(&path, &reading)).await;
        }
        let path = PathBuf::from(fsx::STDIN);
        let bundle = StreamedBundle::start(fsx::stdin()?, &path, &reading.trust).await?;
        Ok(Self {
            path,
            kind: SourceKind::PipedBundle,
            source: Arc::new(bundle),
            image: None,
        })
    }

    /// Opens `path` as whatever it is, but not stdin.
    pub fn open(path: &Path, reading: &ReadOptions) -> Result<Self, OpsError> {
        require_no_pipe(path)?;
        let stat = fsx::try_stat(path)?;
        let stat = stat.ok_or_else(|| OpsError::NoSource {
            path: path.to_owned(),
        })?;
        if let Some(catalog) = Self::open_collection(path, reading)? {
            return Ok(catalog);
        }
        let path = path.to_owned();
        if stat.is_file && stat.len == 0 {
            return Err(BundleError::Empty { path }.into());
        }
        if stat.is_file {
            return match Bundle::detect(&path)? {
                Some(BundleKind::Raw) => {
                    let source = BundleSource(Arc::new(Bundle::open(&path, reading)?));
                    Ok(Self {
                        path,
                        kind: SourceKind::Bundle,
                        source: Arc::new(source),
                        image: None,
                    })
                }
                Some(BundleKind::Zstd) => {
                    let source = StreamedBundle::open(&path, &reading.trust)?;
                    Ok(Self {
                        path,
                        kind: SourceKind::CompressedBundle,
                        source: Arc::new(source),
                        image: None,
                    })
                }
                None => Err(unknown(path)?),
            };
        }
        if Store::detect(&path)? {
            let source = Arc::new(Store::open(&path)?);
            return Ok(Self {
                path,
                kind: SourceKind::Store,
                source,
                image: None,
            });
        }
        if layout::detect(&path)? {
            let layouts = layout::find_layouts(&path)?;
            let source = Arc::new(LayoutsSource(Arc::new(layouts)));
            return Ok(Self {
                path,
                kind: SourceKind::Layouts,
                source,
                image: None,
            });
        }
        let tree = near::tree_near(&path)?;
        Err(OpsError::UnknownSource { path, tree })
    }

    /// Opens `path` if it is what another tool has put together.
    ///
    /// It is signed by nobody, and so refused where only signed bundles are read: a bundle without
    /// its head is an archive of a registry tree.
    pub(super) fn open_collection(
        path: &Path,
        reading: &ReadOptions,
    ) -> Result<Option<Self>, OpsError> {
        let Some(collection) = open_collection(path)? else {
            return Ok(None);
        };
        if reading.trust.is_required() {
            return Err(BundleError::from(reading.trust.refuse_unsigned(path)).into());
        }
        Ok(Some(Self {
            path: path.to_owned(),
            kind: SourceKind::Collection(collection.kind()),
            source: Arc::new(CollectionSource(Arc::new(collection))),
            image: None,
        }))
    }

    /// Refuses what is not of the kind that an endpoint states, and takes the one image that it
    /// chooses, if it does.
    pub(super) fn taken_as(mut self, stated: &Stated) -> Result<Self, OpsError> {
        if let Some(transport) = stated.transport.filter(|stated| !self.kind.is(*stated)) {
            return Err(OpsError::OtherKind {
                path: self.path,
                kind: self.kind,
                transport,
            });
        }
        self.image.clone_from(&stated.image);
        Ok(self)
    }

    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    pub fn shared_source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }
}

/// Refuses stdin, for a verb that needs more than one look at a source.
pub(super) fn require_no_pipe(path: &Path) -> Result<(), OpsError> {
    if fsx::is_stdin(path) {
        return Err(OpsError::Piped);
    }
    Ok(())
}

/// Refuses what cannot be the directory of a store: stdin or stdout, and files.
pub(super) fn require_store_path(path: &Path) -> Result<(), OpsError> {
    let kind = if fsx::is_stdin(path) {
        FileKind::Pipe
    } else if fsx::try_stat(path)?.is_none_or(|stat| stat.is_dir) {
        return Ok(());
    } else if fsx::try_stat(path)?.is_some_and(|stat| !stat.is_file) {
        FileKind::Other
    } else if Bundle::detect(path)?.is_some() {
        FileKind::Bundle
    } else {
        FileKind::Other
    };
    let path = path.to_owned();
    Err(OpsError::NotADirectory { path, kind })
}

/// Says of a file that is of no known kind what it is, if it can be told.
fn unknown(path: PathBuf) -> Result<OpsError, OpsError> {
    let file = fsx::open(&path)?;
    let mut start = [0; 6];
    let n = fsx::read_at(&file, &path, &mut start, 0)?;
    let compressions = [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"PK\x03\x04", "zip"),
    ];
    let mut known = compressions.into_iter();
    Ok(
        match known.find(|(magic, _)| start[..n].starts_with(magic)) {
            Some((_, compression)) => OpsError::Compression { path, compression },
            None => OpsError::UnknownSource { path, tree: None },
        },
    )
}

/// Opens what another tool has put together; `None` when that is not what it is.
fn open_collection(path: &Path) -> Result<Option<Collection>, OpsError> {
    let Some(stat) = fsx::try_stat(path)? else {
        return Ok(None);
    };
    if stat.is_dir {
        let is_store = Store::detect(path)?;
        let open = || Collection::open_dir(path).map_err(LayoutError::from);
        return Ok(if is_store { None } else { open()? });
    }
    if !stat.is_file {
        return Ok(None);
    }
    match Collection::open_file(path) {
        // No tar at all, or a bundle whose first header is damaged: others say more of it.
        Err(CollectionError::Archive(ArchiveError::BadHeader { offset: 0, .. })) => Ok(None),
        result => Ok(result.map_err(LayoutError::from)?),
    }
}

/// The names of the images at a path, each as a list that finds it there has it.
pub async fn image_names(source: &Path, reading: &ReadOptions) -> Result<Vec<String>, OpsError> {
    let (path, reading) = (source.to_owned(), reading.clone());
    let catalog = bridge::run(move || Catalog::open(&path, &reading)).await?;
    let found = catalog.images().await?;
    Ok(found.into_iter().map(|found| found.image.name).collect())
}
