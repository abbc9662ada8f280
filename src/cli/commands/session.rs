//! The state of a command while it runs.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::results::Failure;
use crate::cli::ui::{OutputError, Printer, ProgressReporter};
use hod_bundle::ReadOptions;
use hod_ops::Context;
use hod_registry::Drain;
use hod_report::{Diagnose as _, Reporter};
use hod_retry::RetryPolicy;

/// How long an interrupted command waits for chunks: less than systemd grants (90 s), and enough
/// for a chunk at 10 Mbit/s.
const DRAIN_MAX: Duration = Duration::from_mins(1);

/// The state that every command works with.
pub(super) struct Session<'a> {
    pub(super) printer: &'a Printer,
    pub(super) progress: Arc<ProgressReporter>,
    /// Takes the events in place of `progress`, for another program's command line.
    pub(super) log: Option<Arc<dyn Reporter>>,
    pub(super) jobs: usize,
    /// Stops uploads between two chunks.
    pub(super) drain: Drain,
    pub(super) interrupt: &'a Interrupt,
    /// Options for opening bundles.
    pub(super) reading: ReadOptions,
}

impl Session<'_> {
    /// Runs `work` to its end, or until the user interrupts it; it is dropped then.
    ///
    /// Chunks of blobs that are being uploaded are waited for: the next run can resume after them,
    /// and with some registries (every Harbor) only after whole ones. A second interrupt ends that.
    pub(super) fn interruptible<'s, T: 's, E: 's>(
        &'s self,
        work: impl Future<Output = Result<T, E>> + 's,
    ) -> impl Future<Output = Result<T, CommandError>> + 's
    where
        CommandError: From<E>,
    {
        self.wait_for(Box::pin(work))
    }

    async fn wait_for<T, E>(
        &self,
        mut work: Pin<Box<impl Future<Output = Result<T, E>>>>,
    ) -> Result<T, CommandError>
    where
        CommandError: From<E>,
    {
        tokio::select! {
            result = &mut work => return Ok(result?),
            error = hod_bridge::refusal() => return Err(CommandError::Runtime(error)),
            () = self.interrupt.request(1) => {}
        }
        if !self.drain.is_idle() {
            self.printer.message(
                "interrupted: finishing the current upload chunks, so that the next run can resume \
                 after them; interrupt again to stop at once",
            );
            tokio::select! {
                result = work => return Ok(result?),
                _ = self.drain.stop() => {}
                () = self.interrupt.request(2) => {}
                () = tokio::time::sleep(DRAIN_MAX) => {}
            }
        }
        Err(CommandError::Interrupted {
            progress: self.progress.position(),
        })
    }

    /// Prints the result document, if JSON is wanted, with the warnings of the run.
    pub(super) fn document(&self, result: &impl Serialize) -> Result<(), OutputError> {
        self.document_of(result, Exit::Done, None)
    }

    /// As [`Session::document`], for a run that ends with `exit`, which the document has unless all
    /// is done.
    pub(super) fn document_of(
        &self,
        result: &impl Serialize,
        exit: Exit,
        hint: Option<&str>,
    ) -> Result<(), OutputError> {
        self.document_with_files(result, None, exit, hint)
    }

    /// As [`Session::document_of`], for a run that was asked for files. If they are `unwritten`, it
    /// ends with that error.
    pub(super) fn document_with_files(
        &self,
        result: &impl Serialize,
        unwritten: Option<&CommandError>,
        exit: Exit,
        hint: Option<&str>,
    ) -> Result<(), OutputError> {
        let (exit, hint) = match unwritten {
            Some(error) => (Exit::of(&error.diagnose()), None),
            None => (exit, hint),
        };
        self.printer.document(&Document {
            result,
            exit: (exit != Exit::Done).then(|| exit.code()),
            hint,
            error: unwritten.map(Failure::of_run),
            warnings: self.progress.warnings(),
        })
    }

    pub(super) fn reporter(&self) -> Arc<dyn Reporter> {
        match &self.log {
            Some(log) => Arc::clone(log),
            None => Arc::clone(&self.progress) as Arc<dyn Reporter>,
        }
    }

    /// The context of a verb that reaches no registry.
    pub(super) fn local(&self) -> Context {
        let never = RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            max: Duration::ZERO,
            outage: Duration::ZERO,
        };
        Context {
            reporter: self.reporter(),
            jobs: self.jobs,
            retry: never,
            reading: self.reading.clone(),
        }
    }

    /// The context of a verb that reaches registries.
    pub(super) fn remote(&self, retry: RetryPolicy) -> Context {
        Context {
            reporter: self.reporter(),
            jobs: self.jobs,
            retry,
            reading: self.reading.clone(),
        }
    }
}

/// A result document.
#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}
