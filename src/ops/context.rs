//! What no verb can do without.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bridge;
use crate::bundle::ReadOptions;
use crate::registry::RetryPolicy;
use crate::report::{Event, Reporter};

/// How long a lock is waited for without a word.
const LOCK_WAIT_SILENT: Duration = Duration::from_secs(1);

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

    /// Runs `open`, which opens the store at a path for writing. Says so where it has to wait for
    /// another process, which holds the lock of the store alone.
    pub(super) async fn open_store<T: Send + 'static>(
        &self,
        path: &Path,
        open: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> T {
        let path_again = path.to_owned();
        let mut opened = std::pin::pin!(bridge::run(move || open(&path_again)));
        tokio::select! {
            opened = &mut opened => return opened,
            () = tokio::time::sleep(LOCK_WAIT_SILENT) => {}
        }
        self.note(&format!(
            "waiting for another process that has locked `{}`",
            path.display()
        ));
        opened.await
    }
}
