//! What no verb can do without.

use std::sync::Arc;

use crate::bundle::ReadOptions;
use crate::registry::RetryPolicy;
use crate::report::{Event, Reporter};

/// Whom to tell, and how much to do at once.
#[derive(Clone)]
pub struct Context {
    pub reporter: Arc<dyn Reporter>,
    /// How many blobs move, or are hashed, at once.
    pub jobs: usize,
    pub retry: RetryPolicy,
    /// How bundles are opened.
    pub reading: ReadOptions,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Context {
    pub(super) fn stage(&self, text: &str) {
        self.reporter.event(Event::Stage { text });
    }

    pub(super) fn note(&self, text: &str) {
        self.reporter.event(Event::Note { text });
    }

    pub(super) fn warn(&self, text: &str) {
        self.reporter.event(Event::Warning { text });
    }
}
