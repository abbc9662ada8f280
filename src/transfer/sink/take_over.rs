//! Taking over a blob that is a file, by a link where that works.

use std::path::Path;

use super::Content;
use super::store::require_sound;
use crate::bridge;
use crate::fsx::{IoKind, LinkMode};
use crate::layout::LayoutError;
use crate::transfer::TransferError;

/// How blobs that are files are taken over into a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkChoice {
    /// In this way, or not at all.
    Only(LinkMode),
    /// By a hardlink, and by a copy where a file cannot have another name.
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
        let digest = content.handover.blob.descriptor.digest.clone();
        let holder = content.handover.source.caps().holder;
        bridge::run(move || {
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
