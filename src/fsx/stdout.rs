//! Stdout as a file that is written once.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use super::Error;

/// The name of stdout in messages.
pub const STDOUT: &str = "<stdout>";

/// Whether a path on the command line is `-`, which means stdout; a file of that name is `./-`.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens stdout without a buffer.
///
/// Fails on a terminal, since the output is binary.
pub fn stdout() -> Result<File, Error> {
    let wrap = |source| Error::new("write", Path::new(STDOUT), source);
    let stdout = io::stdout();
    if stdout.is_terminal() {
        let text = "it is a terminal, not a pipe or a file";
        return Err(wrap(io::Error::other(text)));
    }
    let own = stdout.as_fd().try_clone_to_owned().map_err(wrap)?;
    Ok(File::from(own))
}
