//! The images of a local source of any kind, and the lookup of list lines in it.

mod near;
mod wanted;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FileKind, OpsError};
use hod_bundle::{Bundle, ReadOptions};
use hod_transfer::{
    AtPath, ChosenImage, Destination, OpenError, Opened, Source, SourceKind, Stated, Transport,
};

pub(super) use wanted::{landed, require_apart};

/// A local source of images, opened.
#[derive(Debug, Clone)]
pub struct Catalog {
    path: PathBuf,
    opened: Opened,
    /// The only selected image.
    image: Option<ChosenImage>,
}

impl Catalog {
    /// Opens `path` as whatever it is, for a verb that reads each blob at most once: `-` is a bundle
    /// from stdin, raw or compressed, whose volumes come one after the other.
    pub(super) async fn open_once(
        path: &Path,
        stated: Option<Transport>,
        reading: &ReadOptions,
    ) -> Result<Self, OpsError> {
        if !hod_fsx::is_stdin(path) {
            let (path, reading) = (path.to_owned(), reading.clone());
            return hod_bridge::run(move || Self::open_stated(&path, stated, &reading)).await;
        }
        let opened = Opened::stdin(reading).await?;
        Ok(Self::of(Path::new(hod_fsx::STDIN), opened))
    }

    /// Opens `path` as whatever it is, but not stdin.
    pub fn open(path: &Path, reading: &ReadOptions) -> Result<Self, OpsError> {
        Self::open_stated(path, None, reading)
    }

    fn open_stated(
        path: &Path,
        stated: Option<Transport>,
        reading: &ReadOptions,
    ) -> Result<Self, OpsError> {
        require_no_pipe(path)?;
        let at = path.to_owned();
        Err(match AtPath::open(path, stated, reading)? {
            AtPath::Source(opened) => return Ok(Self::of(path, opened)),
            AtPath::Nothing => OpsError::NoSource { path: at },
            AtPath::Unknown { compression: None } => OpsError::UnknownSource {
                tree: near::tree_near(path)?,
                path: at,
            },
            AtPath::Unknown {
                compression: Some(compression),
            } => OpsError::Compression {
                path: at,
                compression,
            },
        })
    }

    /// Opens `path` if it is what another tool has put together.
    pub(super) fn open_collection(
        path: &Path,
        stated: Option<Transport>,
        reading: &ReadOptions,
    ) -> Result<Option<Self>, OpsError> {
        let opened = Opened::collection(path, stated, reading)?;
        Ok(opened.map(|opened| Self::of(path, opened)))
    }

    fn of(path: &Path, opened: Opened) -> Self {
        Self {
            path: path.to_owned(),
            opened,
            image: None,
        }
    }

    /// Refuses a source of another kind than the endpoint states, and selects the image that the
    /// endpoint names, if any.
    pub(super) fn taken_as(mut self, stated: &Stated) -> Result<Self, OpsError> {
        let kind = self.kind();
        if let Some(transport) = stated.transport.filter(|stated| !kind.is(*stated)) {
            return Err(OpsError::OtherKind {
                path: self.path,
                kind,
                transport,
            });
        }
        self.image.clone_from(&stated.image);
        Ok(self)
    }

    pub fn kind(&self) -> SourceKind {
        self.opened.kind
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn source(&self) -> &dyn Source {
        self.opened.source.as_ref()
    }

    pub fn shared_source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.opened.source)
    }
}

/// Refuses stdin, for a verb that needs more than one look at a source.
pub(super) fn require_no_pipe(path: &Path) -> Result<(), OpsError> {
    if hod_fsx::is_stdin(path) {
        return Err(OpsError::Piped);
    }
    Ok(())
}

/// Refuses what cannot be the directory of a store: stdin or stdout, and files.
pub(super) fn require_store_path(path: &Path) -> Result<(), OpsError> {
    let kind = if hod_fsx::is_stdin(path) {
        FileKind::Pipe
    } else if hod_fsx::try_stat(path)?.is_none_or(|stat| stat.is_dir) {
        return Ok(());
    } else if hod_fsx::try_stat(path)?.is_some_and(|stat| !stat.is_file) {
        FileKind::Other
    } else if Bundle::detect(path)?.is_some() {
        FileKind::Bundle
    } else {
        FileKind::Other
    };
    let path = path.to_owned();
    Err(OpsError::NotADirectory { path, kind })
}

impl From<OpenError> for OpsError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::File(error) => error.into(),
            OpenError::Store(error) => error.into(),
            OpenError::Bundle(error) => error.into(),
            OpenError::Layout(error) => error.into(),
        }
    }
}

impl Catalog {
    /// The places of all images: their repositories and tags.
    pub(super) async fn destinations(&self) -> Result<Vec<Destination>, OpsError> {
        let listed = self.source().list().await?;
        Ok(listed.into_iter().map(|image| image.destination).collect())
    }
}

/// The names of the images at a path, as a list would write them.
pub async fn image_names(source: &Path, reading: &ReadOptions) -> Result<Vec<String>, OpsError> {
    let (path, reading) = (source.to_owned(), reading.clone());
    let catalog = hod_bridge::run(move || Catalog::open(&path, &reading)).await?;
    let found = catalog.images().await?;
    Ok(found.into_iter().map(|found| found.image.name).collect())
}
