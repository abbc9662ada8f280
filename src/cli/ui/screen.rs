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

/// A terminal that shows stderr.
pub(super) struct Terminal {
    pub(super) bars: ProgressDrawTarget,
    /// Returns the number of columns, which changes with the size of the window.
    pub(super) width: fn() -> usize,
}

pub(super) struct Screen {
    bars: MultiProgress,
    stderr: Mutex<Box<dyn Write + Send>>,
    width: Option<fn() -> usize>,
}

impl Screen {
    /// Takes over stderr, and the terminal if it is one.
    pub(super) fn new(stderr: Box<dyn Write + Send>, terminal: Option<Terminal>) -> Self {
        let width = terminal.as_ref().map(|terminal| terminal.width);
        let bars = terminal.map_or_else(ProgressDrawTarget::hidden, |terminal| terminal.bars);
        Self {
            bars: MultiProgress::with_draw_target(bars),
            stderr: Mutex::new(stderr),
            width,
        }
    }

    pub(super) fn motion(&self) -> Motion {
        match self.width {
            Some(_) => Motion::Bars,
            None => Motion::Lines,
        }
    }

    /// The number of columns of the terminal; `None` if stderr is not one.
    pub(super) fn width(&self) -> Option<usize> {
        self.width.map(|width| width())
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
        debug
            .field("motion", &self.motion())
            .finish_non_exhaustive()
    }
}
