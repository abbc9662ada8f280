//! A store as the target of a copy.

use std::path::{Path, PathBuf};

use crate::OpsError;
use hod_fsx::{Durability, LinkMode};
use hod_store::Store;
use hod_transfer::Visibility;

/// A store to copy to; it is created if it does not exist.
#[derive(Debug)]
pub struct StoreTarget {
    pub path: PathBuf,
    /// How to place blobs that are files.
    pub link: LinkMode,
    pub durability: Durability,
    pub visibility: Visibility,
    pub others: Others,
}

/// How to treat images in a tree that are not copied to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// The copy is refused if there are any.
    Refuse,
    Keep,
    /// They are removed if the source store has them as well.
    Remove,
}

/// The store, if it exists.
pub(super) fn existing(path: &Path) -> Result<Option<Store>, OpsError> {
    if Store::detect(path)? {
        return Ok(Some(Store::open(path)?));
    }
    Ok(None)
}
