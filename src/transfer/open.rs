//! Opens files and directories as sources, whatever they are.

use std::path::Path;
use std::sync::Arc;

use super::{
    BundleSource, CollectionSource, LayoutsSource, Source, SourceKind, StreamedBundle, Transport,
};
use hod_bundle::{Bundle, BundleError, BundleKind, ReadOptions};
use hod_layout::{Collection, CollectionError, LayoutError};
use hod_store::{Store, StoreError};
use hod_tarball::{ArchiveError, SEARCHED_LEN};

/// A supported compression of tars.
const GZIP: &str = "gzip";

/// An opened source and its detected kind.
#[derive(Debug, Clone)]
pub struct Opened {
    pub kind: SourceKind,
    pub source: Arc<dyn Source>,
}

/// The detected kind of a path.
#[derive(Debug)]
pub enum AtPath {
    Source(Opened),
    Nothing,
    /// A file or directory that is of no known kind, and how it is compressed, if that can be told.
    Unknown {
        compression: Option<&'static str>,
    },
}

/// The reason why a path of a known kind cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    File(#[from] hod_fsx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl Opened {
    fn of(kind: impl Into<SourceKind>, source: impl Source + 'static) -> Self {
        Self {
            kind: kind.into(),
            source: Arc::new(source),
        }
    }

    /// Opens stdin, which is a bundle, raw or compressed, whose volumes come one after the other.
    pub async fn stdin(reading: &ReadOptions) -> Result<Self, OpenError> {
        let path = Path::new(hod_fsx::STDIN);
        let bundle = StreamedBundle::start(hod_fsx::stdin()?, path, &reading.trust).await?;
        Ok(Self::of(SourceKind::PipedBundle, bundle))
    }

    /// Opens `path` if it is a layout or archive of another tool.
    ///
    /// It is never signed, and so is refused if only signed bundles are accepted: a bundle without
    /// its head would be an archive of a registry tree.
    pub fn collection(
        path: &Path,
        stated: Option<Transport>,
        reading: &ReadOptions,
    ) -> Result<Option<Self>, OpenError> {
        let Some(collection) = open_collection(path, stated)? else {
            return Ok(None);
        };
        if reading.trust.is_required() {
            return Err(BundleError::from(reading.trust.refuse_unsigned(path)).into());
        }
        let kind = SourceKind::Collection(collection.kind());
        Ok(Some(Self::of(kind, CollectionSource(Arc::new(collection)))))
    }
}

impl AtPath {
    /// Opens `path`; the stated kind decides if the kind of a file cannot be detected.
    pub fn open(
        path: &Path,
        stated: Option<Transport>,
        reading: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let Some(stat) = hod_fsx::try_stat(path)? else {
            return Ok(Self::Nothing);
        };
        if let Some(opened) = Opened::collection(path, stated, reading)? {
            return Ok(Self::Source(opened));
        }
        let found = if stat.is_file {
            if stat.len == 0 {
                let path = path.to_owned();
                return Err(BundleError::Empty { path }.into());
            }
            bundle(path, reading)?
        } else if Store::detect(path)? {
            Some(Opened::of(SourceKind::Store, Store::open(path)?))
        } else if hod_layout::detect(path)? {
            let layouts = hod_layout::find_layouts(path)?;
            let source = LayoutsSource(Arc::new(layouts));
            Some(Opened::of(SourceKind::Layouts, source))
        } else {
            None
        };
        match found {
            Some(opened) => Ok(Self::Source(opened)),
            None if stat.is_file => Ok(Self::Unknown {
                compression: compression(path)?,
            }),
            None => Ok(Self::Unknown { compression: None }),
        }
    }
}

fn bundle(path: &Path, reading: &ReadOptions) -> Result<Option<Opened>, OpenError> {
    let Some(kind) = Bundle::detect(path)? else {
        return Ok(None);
    };
    Ok(Some(match kind {
        BundleKind::Raw => {
            let bundle = Bundle::open(path, reading)?;
            Opened::of(kind, BundleSource(Arc::new(bundle)))
        }
        BundleKind::Zstd => Opened::of(kind, StreamedBundle::open(path, &reading.trust)?),
    }))
}

/// The compression of a file, by its first bytes.
fn compression(path: &Path) -> Result<Option<&'static str>, hod_fsx::Error> {
    let file = hod_fsx::open(path)?;
    let mut start = [0; 6];
    let n = hod_fsx::read_at(&file, path, &mut start, 0)?;
    let compressions = [
        (&b"\x1f\x8b"[..], GZIP),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"PK\x03\x04", "zip"),
    ];
    let mut known = compressions.into_iter();
    let found = known.find(|(magic, _)| start[..n].starts_with(magic));
    Ok(found.map(|(_, compression)| compression))
}

/// Opens a layout or archive of another tool; `None` if it is not one.
fn open_collection(
    path: &Path,
    stated: Option<Transport>,
) -> Result<Option<Collection>, OpenError> {
    let Some(stat) = hod_fsx::try_stat(path)? else {
        return Ok(None);
    };
    if stat.is_dir {
        let is_store = Store::detect(path)?;
        let open = || Collection::open_dir(path).map_err(LayoutError::from);
        return Ok(if is_store { None } else { open()? });
    }
    // Each caller has its own error for an empty file.
    if !stat.is_file || stat.len == 0 {
        return Ok(None);
    }
    match Collection::open_file(path) {
        // Opening it as a bundle gives a better error.
        Err(CollectionError::Archive(ArchiveError::BadHeader { offset: 0, .. }))
            if Bundle::detect(path)?.is_some() || !is_damaged_tar(path, stated)? =>
        {
            Ok(None)
        }
        result => Ok(result.map_err(LayoutError::from)?),
    }
}

/// Returns true if a file that does not start as a tar is still intended as one: by its stated
/// kind, its name, or a later header.
fn is_damaged_tar(path: &Path, stated: Option<Transport>) -> Result<bool, OpenError> {
    // Other compressions are not supported.
    if compression(path)?.is_some_and(|compression| compression != GZIP) {
        return Ok(false);
    }
    if stated.is_some_and(Transport::is_tar) || hod_layout::has_archive_name(path) {
        return Ok(true);
    }
    let file = hod_fsx::open(path)?;
    let mut start = vec![0; SEARCHED_LEN];
    let n = hod_fsx::read_at(&file, path, &mut start, 0)?;
    Ok(hod_tarball::has_header(&start[..n]))
}
