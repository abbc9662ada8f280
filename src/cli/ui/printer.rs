//! Writes results to stdout and everything else to stderr.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::ProgressDrawTarget;
use serde::Serialize;

use super::colour::{Colour, ColourChoice, Label};
use super::error::render;
use super::screen::{DRAWS_PER_SECOND, Motion, Screen, Terminal};
use super::text::{Fit, indented, one_line, visible, visible_json};

/// Width of a terminal that does not say its own.
const WIDTH: usize = 80;

/// The amount of output on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// Warnings and errors only.
    Quiet,
    /// Progress, notes and a summary too.
    #[default]
    Normal,
}

/// The format of results on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResultFormat {
    /// Text for people and shells.
    #[default]
    Text,
    /// One JSON document, and nothing else.
    Json,
}

/// Settings of a [`Printer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrinterOptions {
    pub verbosity: Verbosity,
    pub format: ResultFormat,
    pub colour: ColourChoice,
}

/// A failure to write a result.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of stdout has closed it (`hod ls | head -1`): not an error, but printing stops.
    #[error("standard output was closed")]
    Closed,
    #[error("failed to write to standard output")]
    Write { source: io::Error },
    #[error("failed to write the result as JSON")]
    Json { source: serde_json::Error },
}

impl OutputError {
    pub(crate) fn new(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Write { source }
        }
    }
}

/// Prints; cheap to clone. Clones share the terminal, so that lines and bars do not fight.
#[derive(Clone)]
pub struct Printer {
    options: PrinterOptions,
    colour: Colour,
    screen: Arc<Screen>,
    stdout: Arc<Mutex<Box<dyn Write + Send>>>,
    has_document: Arc<AtomicBool>,
}

impl Printer {
    /// Creates the printer of this process, which has only one. Bars and colour require a terminal.
    pub fn for_process(options: PrinterOptions) -> Self {
        let stderr = io::stderr();
        let terminal = stderr.is_terminal().then(|| Terminal {
            bars: ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            width: || {
                let size = terminal_size::terminal_size_of(io::stderr());
                size.map_or(WIDTH, |(width, _)| width.0.into())
            },
        });
        let screen = Screen::new(Box::new(stderr), terminal);
        Self::with_streams(options, screen, Box::new(io::stdout()))
    }

    /// Makes a printer that writes elsewhere: not to a terminal, so without bars and colour.
    pub fn with_writers(
        options: PrinterOptions,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        Self::with_streams(options, Screen::new(stderr, None), stdout)
    }

    pub(super) fn with_streams(
        options: PrinterOptions,
        screen: Screen,
        stdout: Box<dyn Write + Send>,
    ) -> Self {
        let colour = match (options.colour, screen.motion()) {
            (ColourChoice::Auto, Motion::Bars) => Colour::Ansi,
            (ColourChoice::Never, _) | (_, Motion::Lines) => Colour::Plain,
        };
        Self {
            options,
            colour,
            screen: Arc::new(screen),
            stdout: Arc::new(Mutex::new(stdout)),
            has_document: Arc::default(),
        }
    }

    /// The amount of output on stderr.
    pub fn verbosity(&self) -> Verbosity {
        self.options.verbosity
    }

    /// The format of results on stdout.
    pub fn format(&self) -> ResultFormat {
        self.options.format
    }

    pub(super) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Hands out stdout for a text result: it collects, and [`Stdout::finish`] writes.
    pub fn stdout(&self) -> Stdout<'_> {
        Stdout {
            printer: self,
            text: String::new(),
        }
    }

    /// Writes a result of one line, if text is wanted.
    pub fn result(&self, text: impl Display) -> Result<(), OutputError> {
        let mut stdout = self.stdout();
        stdout.line(text);
        stdout.finish()
    }

    /// Writes a result of several lines, such as a table, if the format is text.
    pub fn block(&self, text: impl Display) -> Result<(), OutputError> {
        let mut stdout = self.stdout();
        stdout.text.push_str(&visible(&text.to_string()));
        stdout.text.push('\n');
        stdout.finish()
    }

    /// Whether results go to a terminal.
    pub fn is_read_by_a_person(&self) -> bool {
        self.options.format == ResultFormat::Text && std::io::stdout().is_terminal()
    }

    /// Writes a result that is a file's content, in whichever format.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write_stdout(bytes)
    }

    /// Writes the result document, if JSON is wanted.
    pub fn document(&self, document: &impl Serialize) -> Result<(), OutputError> {
        if self.options.format == ResultFormat::Text {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(document);
        let text = text.map_err(|source| OutputError::Json { source })?;
        self.has_document.store(true, Ordering::Relaxed);
        self.write_stdout(format!("{}\n", visible_json(&text)).as_bytes())
    }

    /// Whether the result document, of which there is at most one, was written.
    pub fn has_document(&self) -> bool {
        self.has_document.load(Ordering::Relaxed)
    }

    /// Says `text` on stderr, unless quiet.
    pub fn message(&self, text: &str) {
        if self.options.verbosity == Verbosity::Normal {
            self.screen
                .line(&self.fit().lines(&indented(&visible(text)), 0, 0));
        }
    }

    /// Writes a line of a log to stderr, even if quiet.
    pub fn log(&self, line: &str) {
        self.screen.line(&visible(line));
    }

    /// Prints a warning on stderr, even if quiet.
    pub fn warning(&self, text: &str) {
        self.labelled(Label::Warning, "warning:", text);
    }

    /// Prints a note on stderr, unless quiet.
    pub fn note(&self, text: &str) {
        if self.options.verbosity == Verbosity::Normal {
            self.labelled(Label::Advice, "note:", text);
        }
    }

    /// Prints an error, its causes and a hint on stderr.
    pub fn error(&self, error: &dyn Error, hint: Option<&str>) {
        self.screen
            .line(&render(error, hint, self.colour, self.fit()));
    }

    pub(super) fn labelled(&self, label: Label, name: &str, text: &str) {
        let text = self.fit().lines(&visible(text), name.len() + 1, 2);
        let name = self.colour.paint(label, name);
        self.screen.line(&format!("{name} {text}"));
    }

    fn fit(&self) -> Fit {
        Fit(self.screen.width())
    }

    fn write_stdout(&self, bytes: &[u8]) -> Result<(), OutputError> {
        self.screen.without_bars(|| {
            let mut stdout = self.stdout.lock().expect("nobody panics while writing");
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            written.map_err(OutputError::new)
        })
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Printer");
        debug
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A text result being collected.
#[derive(Debug)]
#[must_use = "nothing is written before `finish`"]
pub struct Stdout<'a> {
    printer: &'a Printer,
    text: String,
}

impl Stdout<'_> {
    /// Adds `text` as a single line, with line breaks escaped.
    pub fn line(&mut self, text: impl Display) {
        self.text.push_str(&one_line(&text.to_string()));
        self.text.push('\n');
    }

    /// Writes all of it at once; nothing when JSON is wanted.
    pub fn finish(self) -> Result<(), OutputError> {
        match self.printer.options.format {
            ResultFormat::Text => self.printer.write_stdout(self.text.as_bytes()),
            ResultFormat::Json => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::captured::Captured;
    use super::*;

    fn printer(options: PrinterOptions) -> (Printer, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let printer =
            Printer::with_writers(options, Box::new(stdout.clone()), Box::new(stderr.clone()));
        (printer, stdout, stderr)
    }

    #[test]
    fn results_are_text_or_one_document() {
        let table = [
            (ResultFormat::Text, "a\nb\\n\\u{1b}\nc\n\\u{9b}d\n"),
            (
                ResultFormat::Json,
                "{\n  \"n\": \"\\u001b\\u009b\\u202e\"\n}\n",
            ),
        ];
        for (format, expect) in table {
            let (printer, stdout, stderr) = printer(PrinterOptions {
                format,
                ..PrinterOptions::default()
            });
            let mut out = printer.stdout();
            out.line("a");
            out.line("b\n\u{1b}");
            out.finish().unwrap();
            printer.block("c\n\u{9b}d").unwrap();
            printer
                .document(&serde_json::json!({ "n": "\u{1b}\u{9b}\u{202e}" }))
                .unwrap();
            assert_eq!(stdout.text(), expect);
            assert_eq!(stderr.text(), "");
        }
    }

    #[test]
    fn quiet_leaves_warnings_and_errors() {
        let table = [
            (
                Verbosity::Normal,
                "hello\n  error: none\nwarning: disk\n  slow\nnote: x\\u{1b}\nerror: e\n",
            ),
            (Verbosity::Quiet, "warning: disk\n  slow\nerror: e\n"),
        ];
        for (verbosity, expect) in table {
            let (printer, stdout, stderr) = printer(PrinterOptions {
                verbosity,
                ..PrinterOptions::default()
            });
            printer.message("hello\nerror: none");
            printer.warning("disk\nslow");
            printer.note("x\u{1b}");
            printer.error(&io::Error::other("e"), None);
            assert_eq!(stderr.text(), expect);
            assert_eq!(stdout.text(), "");
        }
    }

    #[test]
    fn a_closed_pipe_is_a_value() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let result = |kind| {
            let stderr = Box::new(Captured::default());
            Printer::with_writers(PrinterOptions::default(), Box::new(Broken(kind)), stderr)
                .result("x")
        };
        let closed = result(io::ErrorKind::BrokenPipe);
        assert!(matches!(closed, Err(OutputError::Closed)), "{closed:?}");
        let full = result(io::ErrorKind::StorageFull);
        assert!(matches!(full, Err(OutputError::Write { .. })), "{full:?}");
    }
}
