//! The state that every verb needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hod_bundle::ReadOptions;
use hod_report::{Event, Reporter};
use hod_retry::RetryPolicy;

/// How long to wait for a lock before a message is shown.
const LOCK_WAIT_SILENT: Duration = Duration::from_secs(1);

/// The reporter, and the number of jobs at once.
#[derive(Clone)]
pub struct Context {
    pub reporter: Arc<dyn Reporter>,
    /// The number of blobs moved, or hashed, at once.
    pub jobs: usize,
    pub retry: RetryPolicy,
    /// Options for opening bundles.
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

    /// Runs `open`, which opens the store at a path for writing. Shows a message while another
    /// process holds the lock of the store exclusively.
    pub(super) async fn open_store<T: Send + 'static>(
        &self,
        path: &Path,
        open: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> T {
        let path_again = path.to_owned();
        let mut opened = std::pin::pin!(hod_bridge::run(move || open(&path_again)));
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
