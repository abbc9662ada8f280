//! The state that all requests share.

use std::sync::Mutex;

use super::content::Content;
use super::error::{ApiError, Code};
use super::lane::Lane;
use super::options::{Access, ServeOptions};
use super::session::Sessions;
use super::subjects::Subjects;
use hod_store::Store;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) content: Content,
    pub(super) options: ServeOptions,
    pub(super) sessions: Sessions,
    pub(super) subjects: Subjects,
    /// Lets one request at a time rewrite the tags of referrers, so that none undoes what another did.
    pub(super) fallback_tags: Mutex<()>,
    pub(super) transfers: Lane,
}

impl Server {
    pub(super) fn new(content: Content, options: ServeOptions) -> Self {
        Self {
            content,
            options,
            sessions: Sessions::default(),
            subjects: Subjects::default(),
            fallback_tags: Mutex::default(),
            transfers: Lane::default(),
        }
    }

    /// Returns the store to write to.
    pub(super) fn store(&self) -> Result<&Store, ApiError> {
        match (&self.content, self.options.access) {
            (Content::Store(store), Access::Push | Access::PushAndDelete) => Ok(store),
            (Content::Store(_), Access::ReadOnly) => Err(ApiError::new(
                Code::Unsupported,
                "this registry is read-only: it was started without `--writable`",
            )),
            (Content::Bundle(_), _) => Err(ApiError::new(
                Code::Unsupported,
                "this registry is read-only: it serves a bundle",
            )),
        }
    }

    /// Returns the store to delete from.
    pub(super) fn store_to_delete_from(&self) -> Result<&Store, ApiError> {
        match self.options.access {
            Access::Push => Err(ApiError::new(
                Code::Unsupported,
                "this registry accepts no deletes: it was started without `--allow-delete`",
            )),
            Access::ReadOnly | Access::PushAndDelete => self.store(),
        }
    }
}
