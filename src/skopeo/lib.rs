//! skopeo's command line over the same engine (skopeo 1.22): its flags, outputs, logs and exit codes.
mod archive;
mod client;
mod config;
mod convert;
mod converted;
mod copy;
mod daemon;
mod failure;
mod files;
mod go_json;
mod host;
mod inspect;
mod layers;
mod list_tags;
mod log;
mod login;
mod made;
mod manifest_digest;
mod name;
mod oci_index;
mod platform;
mod screen;
mod signing_verbs;
mod source;
mod storage;
mod sync;
mod tarball;
mod target;
mod tls_details;
mod trust;
mod wording;

pub use host::{Host, HostError};
pub use log::{Level, full_timestamp_line};

mod command;
mod completion;
mod compression;
mod delete;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use hod_pflag::{Request, UsageError};

use crate::command::Command;
use crate::command::Values;
use crate::failure::{Done, Failure};
use crate::log::Log;
use crate::screen::Screen;

/// Runs a command line, without the name of the program; returns the exit code.
pub async fn run(args: Vec<String>, host: Arc<dyn Host>) -> u8 {
    let authfile = host.variable("REGISTRY_AUTH_FILE").unwrap_or_default();
    let program = command::root(&authfile);
    let log = Log::new(args.iter().any(|arg| arg == "--debug"));
    let (failure, help) = match dispatch(&program, &args, host.as_ref(), &log).await {
        Ok(()) => return 0,
        Err(failure) => failure,
    };
    if let Some(help) = help.filter(|_| failure.shows_usage) {
        // The failure is told in any case.
        let _ = std::io::stderr().lock().write_all(help.as_bytes());
    }
    log.line(Level::Fatal, &failure.text, &[]);
    failure.code
}

type Refused = (Failure, Option<String>);

async fn dispatch(
    program: &hod_pflag::Program,
    args: &[String],
    host: &dyn Host,
    log: &Log,
) -> Result<(), Refused> {
    let plain = |failure| (failure, None);
    if let Some(done) = completion::run(program, args) {
        return done.map_err(plain);
    }
    let request = program.parse(args);
    let request = request.map_err(|error| plain(Failure::new(error.to_string())))?;
    let invocation = match request {
        Request::Run(invocation) => invocation,
        Request::Version => {
            let line = program.version_line();
            return Screen::result(line.as_bytes()).map_err(plain);
        }
        Request::Help(command) => {
            return Screen::result(program.help(command).as_bytes()).map_err(plain);
        }
        Request::HelpOfHelp => {
            return Screen::result(program.help_of_help().as_bytes()).map_err(plain);
        }
        Request::UnknownTopic(words) => {
            let text = program.unknown_topic(&words);
            return Screen::result(text.as_bytes()).map_err(plain);
        }
    };
    if invocation.globals.is_set("tls-verify") {
        log.warn("'--tls-verify' is deprecated, please set this on the specific subcommand");
    }
    if invocation.globals.bool("insecure-policy") && invocation.globals.bool("require-signed") {
        let text = "--insecure-policy and --require-signed are mutually exclusive";
        return Err(plain(Failure::new(text)));
    }
    if let Some(path) = invocation.globals.optional_text("tls-details") {
        let path = PathBuf::from(path);
        if !path.as_os_str().is_empty() {
            let heeded = hod_bridge::run(move || tls_details::heed(&path)).await;
            heeded.map_err(plain)?;
        }
    }
    let Some(asked) = invocation.command else {
        let error: UsageError = program.no_command(&invocation.arguments);
        return Err(plain(Failure::new(error.to_string())));
    };
    let command = Command {
        host,
        log,
        values: Values {
            flags: &invocation.flags,
            globals: &invocation.globals,
        },
    };
    let done = timed(&command, asked.name, &invocation.arguments).await;
    done.map_err(|failure| {
        let help = failure.shows_usage.then(|| program.help(Some(asked)));
        (failure, help)
    })
}

/// Runs a command within the time that `--command-timeout` gives it.
async fn timed(command: &Command<'_>, name: &str, args: &[String]) -> Done {
    let running = command.run(name, args);
    match command.values.duration("command-timeout") {
        Some(limit) if !limit.is_zero() => match tokio::time::timeout(limit, running).await {
            Ok(done) => done,
            Err(_) => Err(Failure::new("context deadline exceeded")),
        },
        _ => running.await,
    }
}
