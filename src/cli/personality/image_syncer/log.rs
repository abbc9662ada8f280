//! image-syncer's log: logrus lines on stderr or in a file.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use hod_report::{Event, Reporter};
use hod_skopeo::{Level, full_timestamp_line};

use crate::cli::ui;

/// Writes lines, and counts tasks: one for each image.
pub(super) struct SyncLog {
    state: Mutex<State>,
}

struct State {
    /// `None` for stderr.
    file: Option<Box<dyn Write + Send>>,
    n_done: usize,
    n_all: usize,
}

impl SyncLog {
    /// Opens the log file, which is emptied; without one that can be opened, stderr is the log.
    pub(super) async fn open(path: Option<PathBuf>) -> Self {
        let file = match path {
            Some(path) => hod_bridge::run(move || hod_fsx::create_log(&path))
                .await
                .ok(),
            None => None,
        };
        let is_stderr = file.is_none();
        let log = Self {
            state: Mutex::new(State {
                file: file.map(|file| Box::new(file) as _),
                n_done: 0,
                n_all: 0,
            }),
        };
        if is_stderr {
            log.info("Failed to log to file, using default stderr");
        }
        log
    }

    pub(super) fn info(&self, text: &str) {
        self.line(Level::Info, text);
    }

    pub(super) fn warn(&self, text: &str) {
        self.line(Level::Warning, text);
    }

    pub(super) fn error(&self, text: &str) {
        self.line(Level::Error, text);
    }

    /// A task that succeeded.
    pub(super) fn finished(&self, what: &str) {
        let counted = self.count();
        self.info(&format!("Finish {what}. {counted}"));
    }

    /// A task that failed.
    pub(super) fn failed(&self, what: &str) {
        let counted = self.count();
        self.error(&format!("Failed to executed {what}. {counted}"));
    }

    fn count(&self) -> String {
        let mut state = self.state.lock().expect("no panic while logging");
        state.n_done += 1;
        state.n_all = state.n_all.max(state.n_done);
        let State { n_done, n_all, .. } = *state;
        format!("Now {n_done}/{n_all} tasks have been processed.")
    }

    fn line(&self, level: Level, text: &str) {
        let text = ui::concealed(text);
        let mut state = self.state.lock().expect("no panic while logging");
        // Where nobody reads the log, nothing can be said about it.
        let _ = if let Some(file) = &mut state.file {
            let line = full_timestamp_line(level, false, &text);
            file.write_all(line.as_bytes()).and_then(|()| file.flush())
        } else {
            let stderr = std::io::stderr();
            let line = full_timestamp_line(level, stderr.is_terminal(), &text);
            stderr.lock().write_all(line.as_bytes())
        };
    }
}

impl std::fmt::Debug for SyncLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SyncLog")
    }
}

impl Reporter for SyncLog {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::ImageResolved { .. } => {
                self.state.lock().expect("no panic while logging").n_all += 1;
            }
            Event::ImageDone { image } => {
                self.finished(&format!("synchronizing manifest from {image}"));
            }
            Event::Retry { what, error, .. } => {
                self.warn(&format!("Start to retry {what}: {error}"));
            }
            Event::Warning { text } => self.warn(text),
            Event::Note { text } => self.info(text),
            // Failures are logged with their destinations at the end.
            Event::ImageFailed { .. }
            | Event::Stage { .. }
            | Event::Planned { .. }
            | Event::BytesMoved { .. }
            | Event::BytesLost { .. }
            | Event::BytesKept { .. }
            | Event::KeptLost { .. }
            | Event::BlobDone { .. } => {}
        }
    }
}
