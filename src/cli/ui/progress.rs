//! Progress on stderr: a bar on a terminal, a line every few seconds in a pipe.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use hod_report::{Event, Reporter};

use super::colour::Label;
use super::counters::{Counters, Meter};
use super::printer::{Printer, Verbosity};
use super::repeats::{Repeats, brief, cause, common};
use super::screen::Motion;
use super::text::with_short_digests;
use super::totals::Totals;
use hod_report::amount::format_duration;

/// Interval of progress lines without bars. A shorter run prints none.
const LINE_PERIOD: Duration = Duration::from_secs(5);
/// Interval at which a bar is redrawn.
const BAR_PERIOD: Duration = Duration::from_millis(100);

/// Shows events on stderr and counts them.
///
/// On a terminal one bar shows bytes and images, and lines appear above it; elsewhere a line is
/// written every five seconds; quiet, only warnings are. Notes and warnings of the same text are
/// written once. The last state is not written: that is for the summary, from [`Self::totals`].
pub struct ProgressReporter {
    shared: Arc<Shared>,
    ticker: Mutex<Option<Ticker>>,
}

struct Shared {
    printer: Printer,
    bar: Option<ProgressBar>,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counters: Counters,
    meter: Meter,
    /// Texts of warnings and notes.
    said: HashSet<String>,
    /// The warnings among them, in their order.
    warnings: Vec<String>,
    /// Names of the images that are complete at their destination.
    done: BTreeMap<String, usize>,
    repeats: Repeats,
    /// The bar's length, when it has one.
    bar_len: Option<u64>,
}

/// The thread that shows progress; it ends when `stop` is dropped.
struct Ticker {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl ProgressReporter {
    /// Starts to show progress, unless `printer` is quiet.
    pub fn new(printer: &Printer) -> Self {
        let shared = Arc::new(Shared::new(printer.clone(), Instant::now()));
        let period = match printer.screen().motion() {
            Motion::Bars => BAR_PERIOD,
            Motion::Lines => LINE_PERIOD,
        };
        let ticker = match printer.verbosity() {
            Verbosity::Normal => Ticker::start(Arc::clone(&shared), period),
            Verbosity::Quiet => None,
        };
        Self {
            shared,
            ticker: Mutex::new(ticker),
        }
    }

    /// The totals so far, with the time since the start.
    pub fn totals(&self) -> Totals {
        Totals {
            elapsed: self.shared.started.elapsed(),
            ..self.shared.state().counters.totals()
        }
    }

    /// The warnings so far, each once.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.state().warnings.clone()
    }

    /// The names of the images that are complete at the given number of targets.
    pub fn done_images(&self, n_targets: usize) -> BTreeSet<String> {
        let state = self.shared.state();
        let done = state.done.iter().filter(|(_, n)| **n >= n_targets);
        done.map(|(image, _)| image.clone()).collect()
    }

    /// The progress of the run, if it is known: `images 3/10, 8.3/29.6 MiB`.
    pub fn position(&self) -> Option<String> {
        self.shared.state().counters.line(None)
    }

    /// Takes the bar away and stops writing lines; events are still counted, and their warnings
    /// written. Dropping does it too.
    pub fn finish(&self) {
        let ticker = self.ticker.lock().expect("nobody panics here").take();
        if let Some(Ticker { stop, thread }) = ticker {
            drop(stop);
            // A panic of the thread was printed already, and affects only its progress.
            let _ = thread.join();
        }
        if let Some(bar) = &self.shared.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ProgressReporter {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for ProgressReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressReporter")
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

impl Reporter for ProgressReporter {
    fn event(&self, event: Event<'_>) {
        self.shared.event(event, Instant::now());
    }
}

impl Ticker {
    /// Starts the thread. If the system cannot start one, progress is not shown and the work
    /// continues.
    fn start(shared: Arc<Shared>, period: Duration) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    shared.tick(Instant::now());
                }
            })
            .ok()?;
        Some(Self { stop, thread })
    }
}

impl Shared {
    fn new(printer: Printer, started: Instant) -> Self {
        let bar = match (printer.verbosity(), printer.screen().motion()) {
            (Verbosity::Normal, Motion::Bars) => {
                let bar = printer.screen().add_bar();
                bar.set_style(spinner_style());
                Some(bar)
            }
            (Verbosity::Quiet, _) | (_, Motion::Lines) => None,
        };
        let state = State::default();
        Self {
            printer,
            bar,
            started,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while counting")
    }

    fn event(&self, event: Event<'_>, now: Instant) {
        let shown = {
            let mut state = self.state();
            if state.counters.moved_len() == 0 {
                state.meter.rate(now, 0);
            }
            state.counters.apply(event);
            match event {
                Event::Warning { text } | Event::Note { text } => {
                    let is_new = !state.said.contains(text) && state.said.insert(text.to_owned());
                    if is_new && matches!(event, Event::Warning { .. }) {
                        state.warnings.push(text.to_owned());
                    }
                    is_new.then_some(0)
                }
                Event::ImageDone { image } => {
                    *state.done.entry(image.to_owned()).or_default() += 1;
                    Some(0)
                }
                Event::Retry { error, .. } => state.repeats.retry(&common(cause(error)), now),
                Event::ImageFailed { error, .. } => {
                    state.repeats.failure(&common(cause(error))).then_some(0)
                }
                _ => Some(0),
            }
        };
        // Written without the lock, so that a slow terminal does not delay the counters.
        if let Some(n_hidden) = shown {
            self.say(event, n_hidden);
        }
    }

    /// Writes the line of an event, after `n_hidden` similar events that were not printed.
    fn say(&self, event: Event<'_>, n_hidden: usize) {
        let printer = &self.printer;
        if let Event::Warning { text } = event {
            printer.warning(text);
        }
        if printer.verbosity() == Verbosity::Quiet {
            return;
        }
        match event {
            Event::Note { text } => printer.note(text),
            Event::Retry {
                what,
                attempt,
                delay,
                error,
            } => {
                let delay = format_duration(delay);
                let (what, cause) = (with_short_digests(what), brief(cause(error), what));
                let mut text = format!("{what}: {cause}; attempt {attempt} in {delay}");
                if n_hidden > 0 {
                    text = format!("{text}; {n_hidden} more for the same reason");
                }
                printer.labelled(Label::Aside, "retry:", &text);
            }
            Event::ImageFailed { image, error } => {
                printer.labelled(Label::Error, "failed:", &format!("{image}: {error}"));
            }
            Event::Warning { .. }
            | Event::Stage { .. }
            | Event::ImageResolved { .. }
            | Event::Planned { .. }
            | Event::BytesMoved { .. }
            | Event::BytesLost { .. }
            | Event::BytesKept { .. }
            | Event::KeptLost { .. }
            | Event::BlobDone { .. }
            | Event::ImageDone { .. } => {}
        }
    }

    /// Shows how far it is.
    fn tick(&self, now: Instant) {
        let mut state = self.state();
        let moved_len = state.counters.moved_len();
        let rate = state.meter.rate(now, moved_len);
        let line = state.counters.line(rate);
        let position = state.counters.position();
        let bar_len = position.map(|(_, len)| len);
        let is_new_len = std::mem::replace(&mut state.bar_len, bar_len) != bar_len;
        drop(state);

        let Some(line) = line else { return };
        let Some(bar) = &self.bar else {
            self.printer.message(&line);
            return;
        };
        if let (Some(len), true) = (bar_len, is_new_len) {
            bar.set_style(bar_style());
            bar.set_length(len);
        }
        if let Some((at, _)) = position {
            bar.set_position(at);
        }
        bar.set_message(line);
        bar.tick();
    }
}

fn spinner_style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}")
        .expect("the template is a constant, and tested")
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("[{bar:20}] {wide_msg}")
        .expect("the template is a constant, and tested")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::captured::Captured;
    use super::super::printer::PrinterOptions;
    use super::super::screen::Terminal;
    use super::*;
    use crate::cli::ui::screen::Screen;
    use hod_oci::Digest;
    use hod_report::BlobRoute;

    fn options(verbosity: Verbosity) -> PrinterOptions {
        PrinterOptions {
            verbosity,
            ..PrinterOptions::default()
        }
    }

    fn lines_printer(verbosity: Verbosity) -> (Printer, Captured) {
        let stderr = Captured::default();
        let stdout = Box::new(Captured::default());
        let printer = Printer::with_writers(options(verbosity), stdout, Box::new(stderr.clone()));
        (printer, stderr)
    }

    fn bars_printer() -> (Printer, Captured) {
        let stderr = Captured::default();
        let target = indicatif::ProgressDrawTarget::term_like(Box::new(stderr.clone()));
        let screen = Screen::new(
            Box::new(stderr.clone()),
            Some(Terminal {
                bars: target,
                width: || 100,
            }),
        );
        let stdout = Box::new(Captured::default());
        let printer = Printer::with_streams(options(Verbosity::Normal), screen, stdout);
        (printer, stderr)
    }

    /// A run of thirty seconds.
    fn play(shared: &Shared) {
        let digest = Digest::of(b"");
        let at = |seconds| shared.started + Duration::from_secs(seconds);
        let tell = |seconds, event| shared.event(event, at(seconds));
        shared.tick(at(5));
        tell(
            5,
            Event::Stage {
                text: "resolving 2 images",
            },
        );
        tell(5, Event::ImageResolved { image: "a" });
        shared.tick(at(10));
        for _ in 0..2 {
            tell(10, Event::Warning { text: "no tag" });
            tell(10, Event::Note { text: "skipped" });
        }
        tell(
            10,
            Event::Planned {
                n_images: 2,
                n_blobs: 3,
                len: 10 << 30,
            },
        );
        shared.tick(at(20));
        tell(25, Event::BytesMoved { len: 1 << 30 });
        tell(
            20,
            Event::Retry {
                what: "GET /v2/ on h",
                attempt: 2,
                delay: Duration::from_millis(1500),
                error: "timed out\u{1b}",
            },
        );
        tell(
            20,
            Event::BlobDone {
                digest: &digest,
                len: 1 << 30,
                route: BlobRoute::Moved,
            },
        );
        tell(20, Event::ImageDone { image: "a" });
        shared.tick(at(30));
        tell(
            30,
            Event::ImageFailed {
                image: "b",
                error: "401",
            },
        );
    }

    #[test]
    fn a_pipe_gets_lines() {
        let (printer, stderr) = lines_printer(Verbosity::Normal);
        play(&Shared::new(printer, Instant::now()));
        assert_snapshot!(stderr.text(), @r"
        resolving 2 images, 1 done
        warning: no tag
        note: skipped
        images 0/2, 0.0/10.0 GiB
        retry: GET /v2/ on h: timed out\u{1b}; attempt 2 in 1.5 s
        images 1/2, 1.0/10.0 GiB, 205 MiB/s, eta 45s
        failed: b: 401
        ");
    }

    #[test]
    fn a_retry_names_its_host_once_whatever_the_id_of_the_request() {
        let (printer, stderr) = lines_printer(Verbosity::Normal);
        let reporter = ProgressReporter::new(&printer);
        for id in ["1c26", "9f00"] {
            reporter.event(Event::Retry {
                what: "h:5000",
                attempt: 1,
                delay: Duration::from_millis(500),
                error: &format!("GET /v2/ on h:5000: 502 Bad Gateway (request {id})"),
            });
        }
        reporter.finish();
        let said = "retry: h:5000: 502 Bad Gateway (request 1c26); attempt 1 in 0.5 s\n";
        assert_eq!(stderr.text(), said);
    }

    #[test]
    fn quiet_is_quiet() {
        let (printer, stderr) = lines_printer(Verbosity::Quiet);
        let reporter = ProgressReporter::new(&printer);
        reporter.event(Event::Warning { text: "no tag" });
        reporter.event(Event::Note { text: "skipped" });
        reporter.event(Event::ImageFailed {
            image: "b",
            error: "401",
        });
        reporter.finish();
        assert_eq!(stderr.text(), "warning: no tag\n");
        let totals = reporter.totals();
        assert_eq!((totals.n_failed, totals.n_warnings), (1, 1));
    }

    #[test]
    fn a_terminal_gets_a_bar_below_the_lines() {
        let (printer, stderr) = bars_printer();
        let shared = Shared::new(printer.clone(), Instant::now());
        play(&shared);
        shared.bar.as_ref().expect("there is a terminal").tick();
        let text = stderr.text();
        assert!(text.contains("resolving 2 images, 1 done"), "{text}");
        assert!(
            text.contains("\u{1b}[1;33mwarning:\u{1b}[0m no tag\n"),
            "{text}"
        );
        assert!(
            text.contains("[==>                 ] images 1/2, 1.0/10.0 GiB, 205 MiB/s, eta 45s"),
            "{text}"
        );
        let (_, after_failure) = text.rsplit_once("b: 401\n").expect("the failure was said");
        assert!(after_failure.contains("images"), "the bar is below: {text}");
    }

    #[test]
    fn what_ends_soon_leaves_no_line() {
        let (printer, stderr) = lines_printer(Verbosity::Normal);
        let reporter = ProgressReporter::new(&printer);
        reporter.event(Event::BytesMoved { len: 1 });
        reporter.finish();
        reporter.finish();
        drop(reporter);
        assert_eq!(stderr.text(), "");
    }
}
