//! The face: the only home of flags, environment, terminal and exit codes.
//!
//! `args` is what clap parses; `settings` merges it with environment and files, once; each of
//! `commands` builds a verb's options, runs it and prints its outcome through [`ui`].

mod args;
mod commands;
mod error;
pub mod exit;
mod interrupt;
mod personality;
mod results;
mod settings;
mod terminal;
pub mod ui;

pub use exit::Exit;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::{Builder, Runtime};

use args::{Cli, Command};
use error::CommandError;
use interrupt::Interrupt;
use personality::Tool;
use ui::{OutputError, Printer, PrinterOptions, ResultFormat};

use hod_report::Diagnose as _;
use hod_report::redact::Secrets;

/// Maximum time for threads that are writing to clean up.
const CLEAN_UP_MAX: Duration = Duration::from_secs(2);

/// Minimum number of threads that the process needs: one for signals, two workers, and some for
/// blocking calls.
const N_THREADS_MIN: usize = 6;

/// Parses `arguments`, runs the verb, and returns the exit code.
///
/// The only place that enters the runtime. An interrupt stops the verb: published content stays,
/// temporary files are removed.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that enters the runtime"
)]
pub fn run(mut arguments: Vec<OsString>) -> u8 {
    if let Some((tool, arguments)) = personality::called(&arguments) {
        let texts = arguments.into_iter().map(OsString::into_string);
        return match texts.collect() {
            Ok(texts) => run_tool(tool, texts),
            Err(argument) => {
                let text = format!("`{}` is not UTF-8", argument.display());
                say(Cli::command().error(ErrorKind::InvalidUtf8, text), &[])
            }
        };
    }
    // It joins them itself.
    if !arguments.iter().any(|argument| argument == "merge") {
        arguments = hod_bundle::fold_volumes(arguments);
    }
    ui::conceal(settings::secrets(&arguments));
    let cli = match Cli::try_parse_from(&arguments).and_then(Cli::checked) {
        Ok(cli) => cli,
        Err(error) => return say(error, &arguments),
    };
    match cli.command {
        Command::Skopeo(args) => return run_tool(Tool::Skopeo, args.arguments),
        Command::ImageSyncer(args) => return run_tool(Tool::ImageSyncer, args.arguments),
        _ => {}
    }
    let printer = cli.printer();
    let (runtime, interrupt) = match start(&printer) {
        Ok(started) => started,
        Err(source) => {
            printer.error(&CommandError::Runtime(source), None);
            return Exit::Failed.code();
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            result = commands::run(&cli, &printer, &interrupt) => result,
            error = hod_bridge::refusal() => Err(CommandError::Runtime(error)),
        }
    });
    end(runtime);
    match result {
        Ok(exit) => exit.code(),
        Err(CommandError::Output(OutputError::Closed)) => Exit::Done.code(),
        Err(error @ CommandError::Interrupted { .. }) => {
            printer.message(&error.to_string());
            Exit::Interrupted.code()
        }
        Err(error) => {
            let diagnosis = error.diagnose();
            printer.error(&error, diagnosis.hint.as_deref());
            Exit::of(&diagnosis).code()
        }
    }
}

/// Runs another program's command line; an interrupt ends it, and what it was writing is removed.
#[expect(
    clippy::disallowed_methods,
    reason = "the other place that enters the runtime"
)]
fn run_tool(tool: Tool, arguments: Vec<String>) -> u8 {
    let printer = Printer::for_process(PrinterOptions::default());
    let (runtime, interrupt) = match start(&printer) {
        Ok(started) => started,
        Err(source) => {
            printer.error(&CommandError::Runtime(source), None);
            return Exit::Failed.code();
        }
    };
    let code = runtime.block_on(async {
        tokio::select! {
            biased;
            code = personality::run(tool, arguments, &interrupt) => code,
            () = interrupt.request(1) => Exit::Interrupted.code(),
            error = hod_bridge::refusal() => {
                printer.error(&CommandError::Runtime(error), None);
                Exit::Failed.code()
            }
        }
    });
    end(runtime);
    code
}

/// Ends the runtime, after the work that is in the middle of something.
fn end(runtime: Runtime) {
    if crate::cli::terminal::restore() {
        // A thread waits for an answer that will not come.
        runtime.shutdown_background();
    } else {
        // Threads that are in the middle of a write see their channel close and clean up.
        runtime.shutdown_timeout(CLEAN_UP_MAX);
        hod_bridge::wait_until_idle(CLEAN_UP_MAX);
    }
}

/// Prints clap's error, help or version; returns the exit code.
fn say(mut error: clap::Error, arguments: &[OsString]) -> u8 {
    args::tips::improve(&mut error, arguments);
    let (plain, text) = (error.to_string(), without_secrets(&error, arguments));
    // Help and version go to stdout and are not failures, which clap distinguishes. A closed pipe
    // is not reported.
    let written = if error.use_stderr() && text != plain {
        io::stderr().lock().write_all(text.as_bytes())
    } else {
        error.print().and_then(|()| io::stdout().flush())
    };
    let mut written = written.map_err(OutputError::new);
    if error.use_stderr() && asks_for_document(arguments) {
        let printer = Printer::for_process(PrinterOptions {
            format: ResultFormat::Json,
            ..PrinterOptions::default()
        });
        let verb = args::tips::verb_of(arguments);
        written = commands::refuse(&printer, verb.as_deref(), &unparsed(&text));
    }
    match written {
        _ if error.use_stderr() => Exit::Usage.code(),
        Ok(()) | Err(OutputError::Closed) => Exit::Done.code(),
        Err(error) => {
            let printer = Printer::for_process(PrinterOptions::default());
            printer.error(&CommandError::Output(error), None);
            Exit::Failed.code()
        }
    }
}

/// Whether a command line that cannot be parsed asks for a JSON document, and not for another result
/// on stdout.
fn asks_for_document(arguments: &[OsString]) -> bool {
    let words = || arguments.iter().take_while(|word| *word != "--");
    let has = |flag: &str| words().any(|word| word == flag);
    let is_output = |word: &OsString| word == "--output" || word == "-o";
    let mut pairs = arguments.windows(2);
    has("--json")
        && !has("--output=-")
        && !has("-o-")
        && !pairs.any(|pair| is_output(&pair[0]) && pair[1] == "-")
}

/// The first paragraph of clap's text, and its tips.
fn unparsed(text: &str) -> CommandError {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (first, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let tips = rest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    let tips: Vec<&str> = tips.collect();
    CommandError::Arguments {
        text: first.trim_end().to_owned(),
        tip: (!tips.is_empty()).then(|| tips.join("\n")),
    }
}

/// The text of clap's error without the secrets that are in it.
fn without_secrets(error: &clap::Error, arguments: &[OsString]) -> String {
    let mut text = error.to_string();
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && settings::is_login_argument(word, arguments)
    {
        let mut login = Secrets::default();
        login.add_login(word);
        text = login.hide(&text).into_owned();
    }
    ui::concealed(&text).into_owned()
}

/// Starts the runtime, and the thread that receives signals.
fn start(printer: &Printer) -> io::Result<(Runtime, Interrupt)> {
    hod_bridge::require_threads(N_THREADS_MIN)?;
    let interrupt = Interrupt::watch(printer)?;
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    end_on_panic(printer.clone());
    let runtime = builder.build();
    drop(std::panic::take_hook());
    Ok((runtime?, interrupt))
}

/// Has a panic end the process as a failed start does: a runtime that gets no thread panics, which
/// nothing can prevent that was looked at before.
#[expect(clippy::exit, reason = "a panic cannot be returned from")]
fn end_on_panic(printer: Printer) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic
            .payload_as_str()
            .unwrap_or("a thread cannot be started");
        printer.error(
            &CommandError::Runtime(io::Error::other(text.to_owned())),
            None,
        );
        std::process::exit(Exit::Failed.code().into());
    }));
}
