//! One command a file: build the verb's options, run it, print its outcome.

mod aliases;
mod bundle;
mod completions;
mod copy;
mod delete;
mod diff;
mod digest;
mod doctor;
mod export;
mod filling;
mod input;
mod inspect;
mod keygen;
mod locked;
mod login;
mod logout;
mod ls;
mod merge;
mod outcome;
mod pack;
mod pull;
mod push;
mod receipt;
mod select;
mod serve;
mod session;
pub(super) mod sync;
mod tags;
mod target;
mod unpack;
mod verify;
mod why;
mod written;

use std::sync::Arc;

use serde::Serialize;

use super::args::{
    BundleVerb, BundleVerbArgs, Cli, Command, CopyArgs, DiffArgs, ExportArgs, InspectArgs, LsArgs,
    MergeArgs, PackArgs, PushArgs, ReceiptArgs, SelectArgs, ServeArgs, TagsArgs, UnpackArgs,
    VerifyArgs, WhyArgs,
};
use super::error::CommandError;
use super::interrupt::Interrupt;
use super::results::Failure;
use super::ui::{OutputError, Printer, ProgressReporter};
use super::{Exit, settings};
use hod_bundle::ReadOptions;
use hod_ops::{BaseMissing, NotReady, OpsError, SourcesNotReady, TargetsNotReady};
use hod_registry::Drain;
use hod_report::Diagnose as _;
use session::Session;

/// Prints the document of a command line that cannot be parsed.
pub(super) fn refuse(
    printer: &Printer,
    verb: Option<&str>,
    error: &CommandError,
) -> Result<(), OutputError> {
    printer.document(&Failed::new(verb, error))
}

/// The document of a command that failed.
#[derive(Serialize)]
struct Failed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'a str>,
    exit: u8,
    error: Failure,
    /// Structured details of the refusal, for programs.
    #[serde(flatten)]
    refusal: Option<Refusal<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Refusal<'a> {
    NotReady(&'a NotReady),
    SourcesNotReady(&'a SourcesNotReady),
    TargetsNotReady(&'a TargetsNotReady),
    BaseMissing(&'a BaseMissing),
}

impl<'a> Failed<'a> {
    fn new(verb: Option<&'a str>, error: &'a CommandError) -> Self {
        Self {
            verb,
            exit: Exit::of(&error.diagnose()).code(),
            error: Failure::of_run(error),
            refusal: match error {
                CommandError::Ops(OpsError::NotReady(not_ready)) => {
                    Some(Refusal::NotReady(not_ready))
                }
                CommandError::Ops(OpsError::SourcesNotReady(not_ready)) => {
                    Some(Refusal::SourcesNotReady(not_ready))
                }
                CommandError::Ops(OpsError::TargetsNotReady(not_ready)) => {
                    Some(Refusal::TargetsNotReady(not_ready))
                }
                CommandError::Ops(OpsError::BaseMissing(missing)) => {
                    Some(Refusal::BaseMissing(missing))
                }
                _ => None,
            },
        }
    }
}

/// Options for reading bundles. Keys that the command does not need are not read, so that an
/// invalid one does not stop it.
fn reading(command: &Command) -> Result<ReadOptions, CommandError> {
    match command {
        Command::Pack(PackArgs { reading, .. })
        | Command::Unpack(UnpackArgs { reading, .. })
        | Command::Export(ExportArgs { reading, .. })
        | Command::Push(PushArgs { reading, .. })
        | Command::Copy(CopyArgs { reading, .. })
        | Command::Select(SelectArgs { reading, .. })
        | Command::Serve(ServeArgs { reading, .. })
        | Command::Tags(TagsArgs { reading, .. })
        | Command::Bundle(BundleVerbArgs {
            verb: BundleVerb::Merge(MergeArgs { reading, .. }),
        }) => settings::reading(reading),
        Command::Sync(args) => settings::reading(&args.reading),
        Command::Verify(VerifyArgs { look, .. })
        | Command::Ls(LsArgs { look, .. })
        | Command::Diff(DiffArgs { look, .. })
        | Command::Why(WhyArgs { look, .. }) => settings::reading(&look.reading),
        Command::Receipt(ReceiptArgs { look, .. }) => settings::reading(&look.reading),
        Command::Inspect(InspectArgs { look, .. }) => settings::reading(&look.reading),
        Command::Pull(_)
        | Command::Digest(_)
        | Command::Delete(_)
        | Command::Keygen(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Doctor(_)
        | Command::Completions(_)
        | Command::Skopeo(_)
        | Command::ImageSyncer(_) => Ok(ReadOptions::default()),
    }
}

/// The name of a command, as users write it.
fn verb(command: &Command) -> &'static str {
    match command {
        Command::Pull(_) => "pull",
        Command::Select(_) => "select",
        Command::Pack(_) => "pack",
        Command::Unpack(_) => "unpack",
        Command::Export(_) => "export",
        Command::Push(_) => "push",
        Command::Copy(_) => "copy",
        Command::Sync(_) => "sync",
        Command::Verify(_) => "verify",
        Command::Ls(_) => "ls",
        Command::Serve(_) => "serve",
        Command::Diff(_) => "diff",
        Command::Why(_) => "why",
        Command::Receipt(_) => "receipt",
        Command::Inspect(_) => "inspect",
        Command::Tags(_) => "tags",
        Command::Digest(_) => "digest",
        Command::Delete(_) => "delete",
        Command::Bundle(_) => "bundle merge",
        Command::Keygen(_) => "keygen",
        Command::Login(_) => "login",
        Command::Logout(_) => "logout",
        Command::Doctor(_) => "doctor",
        Command::Completions(_) => "completions",
        Command::Skopeo(_) => "skopeo",
        Command::ImageSyncer(_) => "image-syncer",
    }
}

/// Runs the command that the user chose. With `--json`, a failure is a document too.
pub(super) async fn run(
    cli: &Cli,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Exit, CommandError> {
    let progress = Arc::new(ProgressReporter::new(printer));
    let mut session = Session {
        printer,
        progress: Arc::clone(&progress),
        log: None,
        jobs: cli.jobs(),
        drain: Drain::default(),
        interrupt,
        reading: ReadOptions::default(),
    };
    let result = match reading(&cli.command) {
        Ok(reading) => {
            session.reading = reading;
            dispatch(&session, &cli.command).await
        }
        Err(error) => Err(error),
    };
    progress.finish();
    if let Err(error) = &result
        && !printer.has_document()
        && !matches!(error, CommandError::Output(_))
        && !is_stdout_taken(&cli.command)
    {
        session.document(&Failed::new(Some(verb(&cli.command)), error))?;
    }
    result
}

/// Whether the result itself goes to stdout, where a document would be mixed with it.
fn is_stdout_taken(command: &Command) -> bool {
    match command {
        Command::Pack(args) => hod_fsx::is_stdout(&args.output),
        Command::Receipt(args) => hod_fsx::is_stdout(&args.output),
        Command::Inspect(args) => args.raw || args.config,
        _ => false,
    }
}

/// Commands that write reports handle an interrupt themselves and report what is done; so does the
/// server, which finishes its requests.
async fn dispatch(session: &Session<'_>, command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Pull(args) => pull::run(session, args).await,
        Command::Select(args) => select::run(session, args).await,
        Command::Pack(args) => pack::run(session, args).await,
        Command::Unpack(args) => unpack::run(session, args).await,
        Command::Export(args) => export::run(session, args).await,
        Command::Push(args) => Box::pin(push::run(session, args)).await,
        Command::Copy(args) => Box::pin(copy::run(session, args)).await,
        Command::Sync(args) => Box::pin(sync::run(session, args)).await,
        Command::Verify(args) => session.interruptible(verify::run(session, args)).await,
        Command::Ls(args) => session.interruptible(ls::run(session, args)).await,
        Command::Diff(args) => session.interruptible(diff::run(session, args)).await,
        Command::Why(args) => session.interruptible(why::run(session, args)).await,
        Command::Receipt(args) => session.interruptible(receipt::run(session, args)).await,
        Command::Inspect(args) => session.interruptible(inspect::run(session, args)).await,
        Command::Tags(args) => session.interruptible(tags::run(session, args)).await,
        Command::Digest(args) => session.interruptible(digest::run(session, args)).await,
        Command::Delete(args) => Box::pin(delete::run(session, args)).await,
        Command::Bundle(args) => session.interruptible(merge::run(session, args)).await,
        Command::Serve(args) => serve::run(session, args).await,
        Command::Keygen(args) => session.interruptible(keygen::run(session, args)).await,
        Command::Login(args) => session.interruptible(login::run(session, args)).await,
        Command::Logout(args) => session.interruptible(logout::run(session, args)).await,
        Command::Doctor(args) => session.interruptible(doctor::run(session, args)).await,
        Command::Completions(args) => completions::run(session.printer, args),
        Command::Skopeo(_) | Command::ImageSyncer(_) => {
            unreachable!("other programs' command lines are not run here")
        }
    }
}
