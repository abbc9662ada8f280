//! Other programs' command lines: what hod does when it is called by their names.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_registry::{Credentials, RegistriesConf, TrustOptions};
use hod_report::Silent;
use hod_skopeo::{Host, HostError};

use super::error::CommandError;
use super::settings;
use super::terminal::{self, Echo};

/// The name of the program, and of the verb that stands for it.
const SKOPEO: &str = "skopeo";

/// The arguments for skopeo, if that is what was called: a link of that name, or `hod skopeo`.
pub(super) fn skopeo(arguments: &[OsString]) -> Option<Vec<String>> {
    let (program, rest) = arguments.split_first()?;
    let is_link = Path::new(program)
        .file_name()
        .is_some_and(|name| name == SKOPEO);
    let rest = match rest.split_first() {
        _ if is_link => rest,
        Some((verb, rest)) if verb == SKOPEO => rest,
        _ => return None,
    };
    let texts = rest
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned());
    Some(texts.collect())
}

/// Runs skopeo's command line.
pub(super) fn run(arguments: Vec<String>) -> impl Future<Output = u8> {
    hod_skopeo::run(arguments, Arc::new(Machine))
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
