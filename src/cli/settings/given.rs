//! Files and directories that flags and variables name.

use std::path::Path;

use crate::cli::error::{CommandError, transport};

/// Reads a file of at most `len_max` bytes that the flag or variable `by` names.
pub(super) fn read_given(
    by: &'static str,
    path: &Path,
    len_max: u64,
) -> Result<Vec<u8>, CommandError> {
    hod_fsx::read_input(path, len_max).map_err(|source| given(by, path, source))
}

/// Refuses the path of the flag `by` if it does not exist; stdin is accepted.
pub(crate) fn require_given(by: &'static str, path: &Path) -> Result<(), CommandError> {
    if hod_fsx::is_stdin(path) {
        return Ok(());
    }
    hod_fsx::stat(path)
        .map(drop)
        .map_err(|source| given(by, path, source))
}

/// Refuses a value of the flag `by` that is not a directory.
pub(crate) fn require_directory(by: &'static str, path: &Path) -> Result<(), CommandError> {
    let stat = hod_fsx::stat(path).map_err(|source| given(by, path, source))?;
    if stat.is_dir {
        return Ok(());
    }
    Err(CommandError::GivenNoDirectory {
        by,
        path: path.to_owned(),
    })
}

/// Refuses an output that looks like a registry or a path with a transport.
pub(crate) fn require_path(output: &Path) -> Result<(), CommandError> {
    let text = output.to_str().unwrap_or_default();
    if has_port(text) && !hod_fsx::try_stat(output).is_ok_and(|found| found.is_some()) {
        let path = output.to_owned();
        return Err(CommandError::OutputRegistry { path });
    }
    match transport(text) {
        None => Ok(()),
        Some(transport) => Err(CommandError::OutputTransport {
            path: output.to_owned(),
            transport: transport.to_owned(),
        }),
    }
}

/// Whether a text starts with `HOST:PORT`.
fn has_port(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or_default();
    !name.is_empty() && port.parse::<u16>().is_ok()
}

fn given(by: &'static str, path: &Path, source: hod_fsx::Error) -> CommandError {
    CommandError::Given {
        by,
        path: path.to_owned(),
        source,
    }
}

/// The text of a file that is one.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, CommandError> {
    hod_list::decode(bytes).map_err(|source| CommandError::NotText {
        path: path.to_owned(),
        source,
    })
}
