//! Stdin as a file that is read once.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;

/// The name of stdin in messages.
pub const STDIN: &str = "<stdin>";

/// Whether a path on the command line means stdin; a file of that name is `./-`.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether stdin was opened already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Opens stdin at its current position; no buffered reader may have consumed any of it.
///
/// Fails on a terminal, since bundles are not typed, and on the second call.
pub fn stdin() -> Result<File, Error> {
    let wrap = |source| Error::new("read", Path::new(STDIN), source);
    let refuse = |text| wrap(io::Error::other(text));
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(refuse("it is a terminal, not a pipe or a file"));
    }
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(refuse("it can be read only once"));
    }
    let own = stdin.as_fd().try_clone_to_owned().map_err(wrap)?;
    Ok(File::from(own))
}
