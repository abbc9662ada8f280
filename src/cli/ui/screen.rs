//! The one owner of stderr: lines and bars take turns.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

/// Maximum number of redraws of bars per second.
pub(super) const DRAWS_PER_SECOND: u8 = 10;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    /// A bar that is drawn over: a terminal.
    Bars,
    /// A line now and then: a pipe or a file.
    Lines,
}

pub(super) struct Screen {
    bars: MultiProgress,
    stderr: Mutex<Box<dyn Write + Send>>,
    motion: Motion,
}

impl Screen {
    /// Takes over stderr. Bars are drawn on `bars`; `None` if stderr is not a terminal.
    pub(super) fn new(stderr: Box<dyn Write + Send>, bars: Option<ProgressDrawTarget>) -> Self {
        let motion = match bars {
            Some(_) => Motion::Bars,
            None => Motion::Lines,
        };
        let target = bars.unwrap_or_else(ProgressDrawTarget::hidden);
        Self {
            bars: MultiProgress::with_draw_target(target),
            stderr: Mutex::new(stderr),
            motion,
        }
    }

    pub(super) fn motion(&self) -> Motion {
        self.motion
    }

    /// Writes `text` and a line break, above the bars.
    pub(super) fn line(&self, text: &str) {
        self.without_bars(|| {
            let mut stderr = self
                .stderr
                .lock()
                .expect("nobody panics while writing a line");
            // If stderr cannot be written, there is no other place to report that.
            let _ = writeln!(stderr, "{text}").and_then(|()| stderr.flush());
        });
    }

    /// Runs `write`, which writes to the terminal, with the bars out of its way.
    pub(super) fn without_bars<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bars.suspend(write)
    }

    /// Adds a bar below all lines.
    pub(super) fn add_bar(&self) -> ProgressBar {
        self.bars.add(ProgressBar::no_length())
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Screen");
        debug.field("motion", &self.motion).finish_non_exhaustive()
    }
}
