//! image-syncer's command line (1.5.5, and the flags of old versions) over `hod sync`.

mod flags;
mod log;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hod_ops::{BatchOutcome, ImageReport, ImageStatus};
use hod_pflag::{Request, Values};
use hod_report::{Reporter, chain};

use self::flags::{ABOUT, USAGE, VERSION, program};
use self::log::SyncLog;
use super::super::Exit;
use super::super::args::SyncArgs;
use super::super::commands;
use super::super::error::CommandError;
use super::super::interrupt::Interrupt;
use super::super::settings;
use hod_list::DefaultTarget;

/// The exit code of every failure: -1.
const FAILED: u8 = 255;

/// What a failure prints on stdout, and whether the usage is shown.
struct Failure {
    text: String,
    shows_usage: bool,
    code: u8,
}

impl Failure {
    fn at_start(text: impl std::fmt::Display) -> Self {
        Self {
            text: format!("init sync client error: {text}"),
            shows_usage: true,
            code: FAILED,
        }
    }
}

/// Runs a command line, without the name of the program; returns the exit code.
pub(super) async fn run(arguments: &[String], interrupt: &Interrupt) -> u8 {
    let program = program();
    let request = program.parse(arguments);
    let values = match &request {
        Ok(Request::Run(invocation)) => {
            // Old scripts ask so, which image-syncer itself does not understand.
            if invocation.arguments == ["version"] {
                return print(VERSION);
            }
            &invocation.globals
        }
        Ok(Request::Version) => return print(VERSION),
        Ok(_) => return print(&format!("{ABOUT}\n\n{USAGE}")),
        Err(error) => {
            let text = error.to_string();
            let _ = io::stderr()
                .lock()
                .write_all(format!("Error: {text}\n{USAGE}\n").as_bytes());
            print(&format!("{text}\n"));
            return FAILED;
        }
    };
    match sync(values, interrupt).await {
        Ok(()) => 0,
        Err(failure) => {
            if failure.shows_usage {
                let _ = io::stderr()
                    .lock()
                    .write_all(format!("{USAGE}\n").as_bytes());
            }
            print(&format!("{}\n", failure.text));
            failure.code
        }
    }
}

/// Prints a result; nothing can be said where it cannot be printed.
fn print(text: &str) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => 0,
        Err(_) => FAILED,
    }
}

async fn sync(values: &Values, interrupt: &Interrupt) -> Result<(), Failure> {
    let began = Instant::now();
    let log = Arc::new(SyncLog::open(values.optional_text("log").map(PathBuf::from)).await);
    if !values.is_set("config") && !values.is_set("auth") {
        log.warn(
            "[Warning] No authentication information found because neither config.json nor \
             auth.json provided, image-syncer may not work fine.",
        );
    }
    if !values.is_set("config") && !values.is_set("images") {
        return Err(Failure::at_start(
            "generate config error: neither config.json nor images.json is provided",
        ));
    }
    let args = args(values).map_err(Failure::at_start)?;
    let reporter = Arc::clone(&log) as Arc<dyn Reporter>;
    let found = commands::sync::logged(&args, interrupt, reporter).await;
    let outcome = match found {
        Ok(outcome) => outcome,
        Err(
            error @ (CommandError::Lists(_)
            | CommandError::Given { .. }
            | CommandError::List { .. }),
        ) => {
            let text = chain(&error);
            return Err(Failure::at_start(format!("generate config error: {text}")));
        }
        Err(error @ CommandError::Interrupted { .. }) => {
            return Err(Failure {
                text: error.to_string(),
                shows_usage: false,
                code: Exit::Interrupted.code(),
            });
        }
        Err(error) => {
            let text = chain(&error);
            log.error(&format!("Failed to handle tasks: {text}"));
            finish(&log, 1, began);
            return Err(failed());
        }
    };
    tell(&log, &outcome);
    let n_failed = outcome.n_failed() + outcome.n_not_tried();
    finish(&log, n_failed, began);
    if n_failed > 0 {
        return Err(failed());
    }
    Ok(())
}

fn failed() -> Failure {
    Failure {
        text: "failed tasks exist".to_owned(),
        shows_usage: false,
        code: FAILED,
    }
}

/// Logs what became of images that were not transferred.
fn tell(log: &SyncLog, outcome: &BatchOutcome) {
    for image in &outcome.images {
        let between = between(image);
        match &image.status {
            ImageStatus::Unchanged => log.finished(&format!(
                "generating sync tasks {between}: skip synchronization because destination image \
                 exists"
            )),
            ImageStatus::Failed { text, .. } => {
                log.failed(&format!("generating sync tasks {between}: {text}"));
            }
            _ => {}
        }
    }
}

fn between(image: &ImageReport) -> String {
    match &image.at {
        Some(target) => format!("from {} to {target}/{}", image.image, image.destination),
        None => format!("from {}", image.image),
    }
}

fn finish(log: &SyncLog, n_failed: usize, began: Instant) {
    let cost = began.elapsed().as_secs_f64();
    log.info(&format!(
        "Synchronization finished, {n_failed} tasks failed, cost {cost:.3}s."
    ));
}

/// The flags of `hod sync` with the same meaning.
fn args(values: &Values) -> Result<SyncArgs, String> {
    let mut words: Vec<String> = vec!["hod".to_owned(), "sync".to_owned()];
    let mut add = |flag: &str, value: &str| {
        words.push(format!("--{flag}={value}"));
    };
    // The old file alone counts, as in image-syncer.
    let files: &[&str] = if values.is_set("config") {
        &["config"]
    } else {
        &["images", "auth"]
    };
    for flag in files {
        if let Some(file) = values.optional_text(flag) {
            add(flag, file);
        }
    }
    for flag in ["os", "arch"] {
        for word in values.texts(flag).iter().filter(|word| !word.is_empty()) {
            add(flag, word);
        }
    }
    if let Some(n) = flags::number(values, "proc") {
        add("proc", &n.clamp(1, 64).to_string());
    }
    if let Some(n) = flags::number(values, "retries") {
        add("retries", &n.max(0).to_string());
    }
    if let Some(file) = values.optional_text("output-success-images") {
        add("output-success-images", file);
    }
    if values.text("output-images-format") == "json" {
        add("output-images-format", "json");
    }
    if values.bool("force") {
        words.push("--recheck".to_owned());
    }
    let mut args = commands::sync::parse(&words)?;
    args.syncer.default_target = default_target(values)?;
    Ok(args)
}

/// Where images without a destination go, as old versions of image-syncer have it.
fn default_target(values: &Values) -> Result<Option<DefaultTarget>, String> {
    let given = |flag: &str, variable: &str| {
        let flag = values.optional_text(flag).map(str::to_owned);
        flag.or_else(|| settings::variable(variable))
    };
    let registry = given("registry", "DEFAULT_REGISTRY");
    let namespace = given("namespace", "DEFAULT_NAMESPACE");
    match (registry, namespace) {
        (Some(registry), Some(namespace)) => Ok(Some(DefaultTarget {
            registry: registry.parse().map_err(|error| format!("{error}"))?,
            namespace: namespace.parse().map_err(|error| format!("{error}"))?,
        })),
        _ => Ok(None),
    }
}
