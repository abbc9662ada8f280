//! Places blobs that are files, by a link where possible.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{BlobHolder, Content, Location, Source, TransferError};
use hod_fsx::{FileRange, IoKind, LinkMode};
use hod_layout::LayoutError;
use hod_oci::{Digest, Manifest};
use hod_store::Soundness;

/// How to place blobs that are files in a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkChoice {
    /// In this way, or not at all.
    Only(LinkMode),
    /// By hardlink, or by copy if a hardlink is impossible.
    HardOrCopy,
}

impl LinkChoice {
    /// Has `link` take the blob over if it is a file; false when it is to be copied instead.
    pub(super) async fn take_over(
        self,
        content: &mut Content<'_>,
        link: impl FnOnce(&Path, LinkMode) -> Result<(), LayoutError> + Send + 'static,
    ) -> Result<bool, TransferError> {
        let mode = match self {
            Self::Only(mode) => mode,
            Self::HardOrCopy => LinkMode::Hard,
        };
        let Some(source) = content.file().filter(|_| mode != LinkMode::Copy) else {
            return Ok(false);
        };
        // Opened first, so that a missing blob and a wrong length are named as such.
        content.open().await?;
        let digest = content.task.blob.descriptor.digest.clone();
        let holder = content.task.source.caps().holder;
        hod_bridge::run(move || {
            require_sound(&digest, &source, holder)?;
            match link(&source, mode) {
                Ok(()) => Ok(true),
                Err(LayoutError::File(error))
                    if self == Self::HardOrCopy && error.kind() == IoKind::CannotLink =>
                {
                    Ok(false)
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// The files that a source has its manifests in, which are hardlinked as its blobs are.
#[derive(Debug, Clone)]
pub struct ManifestFiles(Option<Arc<dyn Source>>);

impl ManifestFiles {
    /// The manifests of `source` if its blobs are hardlinked; otherwise none.
    pub fn of(source: &Arc<dyn Source>, link: LinkChoice) -> Self {
        let is_linked = matches!(
            link,
            LinkChoice::HardOrCopy | LinkChoice::Only(LinkMode::Hard)
        );
        Self(is_linked.then(|| Arc::clone(source)))
    }

    /// The file that has a manifest and nothing else, at one of these places. Blocks.
    pub(super) fn find(&self, locations: &[Location], manifest: &Manifest) -> Option<PathBuf> {
        let source = self.0.as_ref()?;
        let at = |location| source.manifest_file(location, manifest.digest());
        let mut files = locations.iter().filter_map(at);
        // An unreadable or different file is not used: the manifest is in memory.
        let file =
            files.find(|path| hod_fsx::has_content(path, manifest.bytes()).is_ok_and(|is| is))?;
        // A link of a link would lead elsewhere.
        hod_fsx::resolve(&file).ok()
    }
}

/// Hashes a file that is to be linked, if another tool wrote it or it was changed after it was
/// verified.
pub(super) fn require_sound(
    digest: &Digest,
    path: &Path,
    holder: BlobHolder,
) -> Result<(), TransferError> {
    let range = FileRange {
        file: Arc::new(hod_fsx::open(path)?),
        path: path.to_owned(),
        offset: 0,
        len: 0,
    };
    let found = match holder {
        BlobHolder::Other => hod_store::examine_foreign(digest, &range)?,
        BlobHolder::Store | BlobHolder::Bundle => hod_store::examine(digest, &range)?,
    };
    match found {
        Soundness::Sound => Ok(()),
        Soundness::Damaged { actual } => Err(TransferError::DamagedSource {
            paths: vec![range.path],
            holder,
            digest: digest.clone(),
            actual,
        }),
    }
}
