//! The face: the only home of flags, environment, terminal and exit codes.
//!
//! `args` is what clap parses; `settings` merges it with environment and files, once; each of
//! `commands` builds a verb's options, runs it and prints its outcome through [`ui`].

mod args;
mod commands;
mod error;
pub mod exit;
mod results;
mod settings;
pub mod ui;

pub use exit::Exit;

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser as _;
use tokio::runtime::Builder;

use crate::registry::Drain;
use args::Cli;
use error::CommandError;
use ui::{OutputError, Printer};

/// How long an interrupted program waits for chunks. Less than what systemd (90 s) grants, and
/// enough for a chunk at 10 Mbit/s.
const DRAIN_MAX: Duration = Duration::from_mins(1);

/// Parses `arguments`, runs the verb, and returns the code to exit with.
///
/// The one place that enters the runtime. An interrupt ends the verb where it stands: what is
/// published stays, temporary files go.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that enters the runtime"
)]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no failure; clap knows which is which. A
            // closed pipe is no news to anybody.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.code()
            } else {
                Exit::Done.code()
            };
        }
    };
    let printer = cli.printer();
    let runtime = match Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            printer.error(&CommandError::Runtime(source), None);
            return Exit::Failed.code();
        }
    };
    let result = runtime.block_on(run_until_interrupted(&cli, &printer));
    if crate::terminal::restore() {
        // A thread waits for a person who will not answer any more.
        runtime.shutdown_background();
        printer.message("interrupted");
        return Exit::Interrupted.code();
    }
    // Threads that are in the middle of a write see their channel close and clean up.
    runtime.shutdown_timeout(Duration::from_secs(5));
    match result {
        Ok(Exit::Interrupted) => {
            printer.message(match cli.command {
                // That is how a server ends.
                args::Command::Serve(_) => "interrupted; nothing is served any more",
                _ => "interrupted; what was finished is kept, and running again continues",
            });
            Exit::Interrupted.code()
        }
        Ok(exit) => exit.code(),
        Err(CommandError::Output(OutputError::Closed)) => Exit::Done.code(),
        Err(error) => {
            printer.error(&error, error.advice().as_deref());
            error.exit().code()
        }
    }
}

/// Runs the verb to its end, or until an interrupt.
///
/// Where chunks of blobs are on their way, those are waited for: the next run can go on after them,
/// and with some registries (every Harbor) only after whole ones. A second interrupt ends that.
async fn run_until_interrupted(cli: &Cli, printer: &Printer) -> Result<Exit, CommandError> {
    let drain = Drain::default();
    let mut verb = std::pin::pin!(commands::run(cli, printer, &drain));
    tokio::select! {
        result = &mut verb => return result,
        () = interrupted() => {}
    }
    if drain.is_idle() {
        return Ok(Exit::Interrupted);
    }
    printer.message(
        "interrupted; waiting for what is being uploaded, so that the next run goes on after it; \
         interrupt again to stop at once",
    );
    tokio::select! {
        result = verb => result,
        _ = drain.stop() => Ok(Exit::Interrupted),
        () = interrupted() => Ok(Exit::Interrupted),
        () = tokio::time::sleep(DRAIN_MAX) => Ok(Exit::Interrupted),
    }
}

/// Completes on Ctrl-C or on a polite request to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
