//! Reading one `dir:` layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_fsx::FileRange;
use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest};

use super::LayoutError;
use super::file_name;

/// One image as skopeo's `dir:` transport keeps it.
#[derive(Debug, Clone)]
pub struct DirLayout {
    path: PathBuf,
}

impl DirLayout {
    /// Opens the layout at `path`: checks that it has a manifest and a version that is known.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        if !is_layout(path)? {
            return Err(LayoutError::NotALayout {
                path: path.to_owned(),
            });
        }
        let version = path.join(file_name::VERSION);
        match hod_fsx::try_read(&version, file_name::VERSION_LEN_MAX)? {
            Some(text) if !file_name::is_known_version(&text) => Err(LayoutError::UnknownVersion {
                path: version,
                text: String::from_utf8_lossy(&text).trim_end().to_owned(),
            }),
            _ => Ok(Self {
                path: path.to_owned(),
            }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the top manifest or index.
    ///
    /// A layout does not contain its digest; compare it with a digest from elsewhere.
    pub fn top_manifest(&self) -> Result<Manifest, LayoutError> {
        let path = self.path.join(file_name::MANIFEST);
        let bytes = hod_fsx::read(&path, MANIFEST_LEN_MAX)?;
        Manifest::parse(bytes.into(), None)
            .map_err(|source| LayoutError::BadManifest { path, source })
    }

    /// Reads the manifest with this digest, the top one or a child; `None` when it is not found.
    pub fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, LayoutError> {
        for path in self.children(digest) {
            let Some(bytes) = hod_fsx::try_read(&path, MANIFEST_LEN_MAX)? else {
                continue;
            };
            if !digest.matches(&bytes) {
                let digest = digest.clone();
                return Err(LayoutError::Corrupt { path, digest });
            }
            return parse(bytes, digest, path).map(Some);
        }
        let path = self.path.join(file_name::MANIFEST);
        let bytes = hod_fsx::read(&path, MANIFEST_LEN_MAX)?;
        if digest.matches(&bytes) {
            parse(bytes, digest, path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The file of the manifest with this digest, if it exists: a separate file, as for children of
    /// an index, or the file of the top manifest.
    pub fn manifest_path(&self, digest: &Digest) -> PathBuf {
        let mut children = self.children(digest);
        let is_there = |path: &PathBuf| hod_fsx::try_stat(path).is_ok_and(|stat| stat.is_some());
        children
            .find(is_there)
            .unwrap_or_else(|| self.path.join(file_name::MANIFEST))
    }

    /// The names that a child of an index may have.
    fn children(&self, digest: &Digest) -> impl Iterator<Item = PathBuf> {
        file_name::blob_names(digest)
            .map(|name| self.path.join(format!("{name}.{}", file_name::MANIFEST)))
    }

    /// Opens a config or a layer; `None` when it is not found. Its bytes are not verified.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<FileRange>, LayoutError> {
        for name in file_name::blob_names(digest) {
            let path = self.path.join(name);
            // Opening a pipe would wait for a writer.
            let Some(stat) = hod_fsx::try_stat(&path)? else {
                continue;
            };
            if !stat.is_file {
                return Err(LayoutError::NotAFile { path });
            }
            if let Some(file) = hod_fsx::try_open(&path)? {
                return Ok(Some(FileRange {
                    file: Arc::new(file),
                    path,
                    offset: 0,
                    len: stat.len,
                }));
            }
        }
        Ok(None)
    }
}

fn parse(bytes: Vec<u8>, digest: &Digest, path: PathBuf) -> Result<Manifest, LayoutError> {
    Manifest::parse_as(bytes.into(), digest.clone(), None)
        .map_err(|source| LayoutError::BadManifest { path, source })
}

/// Whether `path` is a directory with a manifest in it.
pub(super) fn is_layout(path: &Path) -> Result<bool, LayoutError> {
    let stat = hod_fsx::try_stat(&path.join(file_name::MANIFEST))?;
    Ok(stat.is_some_and(|stat| stat.is_file))
}
