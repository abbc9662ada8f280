//! Other programs' command lines: what hod does when it is called by their names.

mod image_syncer;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_registry::{Credentials, RegistriesConf, TrustOptions};
use hod_report::Silent;
use hod_skopeo::{Host, HostError};

use super::error::CommandError;
use super::interrupt::Interrupt;
use super::settings;
use super::terminal::{self, Echo};

/// A program whose command line hod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Skopeo,
    ImageSyncer,
}

impl Tool {
    /// Its name, and that of the verb which stands for it.
    fn of(name: &str) -> Option<Self> {
        match name {
            "skopeo" => Some(Self::Skopeo),
            "image-syncer" => Some(Self::ImageSyncer),
            _ => None,
        }
    }
}

/// The program that was called, by a link of its name or as a verb of hod, and its arguments.
pub(super) fn called(arguments: &[OsString]) -> Option<(Tool, Vec<OsString>)> {
    let (program, rest) = arguments.split_first()?;
    let name = Path::new(program).file_name()?.to_str();
    let (tool, rest) = match (name.and_then(Tool::of), rest.split_first()) {
        (Some(tool), _) => (tool, rest),
        (None, Some((verb, rest))) => (verb.to_str().and_then(Tool::of)?, rest),
        (None, None) => return None,
    };
    Some((tool, rest.to_vec()))
}

/// Runs its command line; returns the exit code.
pub(super) async fn run(tool: Tool, arguments: Vec<String>, interrupt: &Interrupt) -> u8 {
    match tool {
        Tool::Skopeo => hod_skopeo::run(arguments, Arc::new(Machine)).await,
        Tool::ImageSyncer => Box::pin(image_syncer::run(&arguments, interrupt)).await,
    }
}

/// The user's files and variables.
#[derive(Debug)]
struct Machine;

impl Host for Machine {
    fn credentials(&self, authfile: Option<&Path>) -> Result<Credentials, HostError> {
        settings::stored_credentials(authfile, &Silent).map_err(|error| refused(&error))
    }

    fn trust(&self) -> Result<TrustOptions, HostError> {
        settings::system_trust().map_err(|error| refused(&error))
    }

    fn registries_conf(&self, path: Option<&Path>) -> Result<RegistriesConf, HostError> {
        settings::registries_conf_of(path).map_err(|error| refused(&error))
    }

    fn login_file(&self, authfile: Option<&Path>) -> Result<PathBuf, HostError> {
        settings::containers_login_file(authfile).map_err(|error| refused(&error))
    }

    fn hidden_line(&self) -> io::Result<String> {
        terminal::read_line(Echo::Hidden)
    }

    fn variable(&self, name: &str) -> Option<String> {
        settings::variable(name)
    }
}

fn refused(error: &CommandError) -> HostError {
    HostError(hod_report::chain(error))
}
