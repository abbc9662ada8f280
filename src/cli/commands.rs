//! One command a file: build the verb's options, run it, print its outcome.

mod completions;
mod diff;
mod doctor;
mod export;
mod keygen;
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
mod unpack;
mod verify;
mod why;

use std::sync::Arc;
use std::time::Duration;

use super::args::{
    BundleArgs, BundleVerb, BundleVerbArgs, Cli, Command, DiffArgs, ExportArgs, LsArgs, MergeArgs,
    PackArgs, PushArgs, ReceiptArgs, ServeArgs, UnpackArgs, VerifyArgs, WhyArgs,
};
use super::error::CommandError;
use super::ui::{Printer, ProgressReporter};
use super::{Exit, settings};
use crate::bundle::ReadOptions;
use crate::ops::Context;
use crate::registry::{Drain, RetryPolicy};
use crate::report::Reporter;

/// What every command works with.
pub(super) struct Session<'a> {
    pub(super) printer: &'a Printer,
    pub(super) progress: Arc<ProgressReporter>,
    pub(super) jobs: usize,
    /// By which uploads are stopped between two chunks.
    pub(super) drain: &'a Drain,
    /// How bundles are opened.
    pub(super) reading: ReadOptions,
}

impl Session<'_> {
    fn reporter(&self) -> Arc<dyn Reporter> {
        Arc::clone(&self.progress) as Arc<dyn Reporter>
    }

    /// The context of a verb that reaches no registry.
    fn local(&self) -> Context {
        let never = RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            max: Duration::ZERO,
        };
        Context {
            reporter: self.reporter(),
            jobs: self.jobs,
            retry: never,
            reading: self.reading.clone(),
        }
    }

    /// The context of a verb that reaches registries.
    fn remote(&self, retry: RetryPolicy) -> Context {
        Context {
            reporter: self.reporter(),
            jobs: self.jobs,
            retry,
            reading: self.reading.clone(),
        }
    }
}

/// How the command reads bundles; keys that it does not need are not read, lest a bad one stop it.
fn reading(command: &Command) -> Result<ReadOptions, CommandError> {
    match command {
        Command::Pack(PackArgs { reading, .. })
        | Command::Unpack(UnpackArgs { reading, .. })
        | Command::Export(ExportArgs { reading, .. })
        | Command::Push(PushArgs { reading, .. })
        | Command::Verify(VerifyArgs { reading, .. })
        | Command::Ls(LsArgs { reading, .. })
        | Command::Serve(ServeArgs { reading, .. })
        | Command::Diff(DiffArgs { reading, .. })
        | Command::Why(WhyArgs { reading, .. })
        | Command::Receipt(ReceiptArgs { reading, .. })
        | Command::Bundle(BundleVerbArgs {
            verb: BundleVerb::Merge(MergeArgs { reading, .. }),
        }) => settings::reading(reading),
        // It reads a bundle only to refuse it.
        Command::Select(_) => settings::reading(&BundleArgs::default()),
        Command::Pull(_)
        | Command::Keygen(_)
        | Command::Login(_)
        | Command::Logout(_)
        | Command::Doctor(_)
        | Command::Completions(_) => Ok(ReadOptions::default()),
    }
}

/// Runs the command that the user chose.
pub(super) async fn run(cli: &Cli, printer: &Printer, drain: &Drain) -> Result<Exit, CommandError> {
    let progress = Arc::new(ProgressReporter::new(printer));
    let session = Session {
        printer,
        progress: Arc::clone(&progress),
        jobs: cli.jobs(),
        drain,
        reading: reading(&cli.command)?,
    };
    let result = match &cli.command {
        Command::Pull(args) => pull::run(&session, args).await,
        Command::Select(args) => select::run(&session, args).await,
        Command::Pack(args) => pack::run(&session, args).await,
        Command::Unpack(args) => unpack::run(&session, args).await,
        Command::Export(args) => export::run(&session, args).await,
        Command::Push(args) => push::run(&session, args).await,
        Command::Verify(args) => verify::run(&session, args).await,
        Command::Ls(args) => ls::run(&session, args).await,
        Command::Diff(args) => diff::run(&session, args).await,
        Command::Why(args) => why::run(&session, args).await,
        Command::Receipt(args) => receipt::run(&session, args).await,
        Command::Bundle(args) => merge::run(&session, args).await,
        Command::Serve(args) => serve::run(&session, args).await,
        Command::Keygen(args) => keygen::run(&session, args).await,
        Command::Login(args) => login::run(&session, args).await,
        Command::Logout(args) => logout::run(&session, args).await,
        Command::Doctor(args) => doctor::run(&session, args).await,
        Command::Completions(args) => completions::run(printer, args),
    };
    progress.finish();
    result
}
