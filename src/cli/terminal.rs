//! Asks questions on the terminal, independently of stdin.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

const TERMINAL: &str = "/dev/tty";
/// The longest answer, in bytes: tokens are long.
const LINE_LEN_MAX: u64 = 64 * 1024;

/// The settings of the terminal before a question that is not answered yet.
static ASKING: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether the input is echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

/// Waits for a line from the terminal, and returns it without its end; blocks.
///
/// Code that ends the process meanwhile must call [`restore`].
pub(crate) fn read_line(echo: Echo) -> io::Result<String> {
    let terminal = hod_fsx::open(Path::new(TERMINAL)).map_err(io::Error::other)?;
    let before = tcgetattr(&terminal)?;
    let mut during = before.clone();
    if echo == Echo::Hidden {
        during.local_flags.remove(LocalFlags::ECHO);
        // The line break is shown, so that the following output begins on a new line.
        during.local_flags.insert(LocalFlags::ECHONL);
    }
    *asking() = Some(before);
    let result = tcsetattr(&terminal, SetArg::TCSADRAIN, &during)
        .map_err(io::Error::from)
        .and_then(|()| {
            let mut line = String::new();
            BufReader::new(terminal.take(LINE_LEN_MAX)).read_line(&mut line)?;
            Ok(line.trim_end_matches(['\r', '\n']).to_owned())
        });
    restore();
    result
}

/// Restores the terminal after an unanswered question; returns whether there was one.
pub(crate) fn restore() -> bool {
    let Some(before) = asking().take() else {
        return false;
    };
    if let Ok(terminal) = hod_fsx::open(Path::new(TERMINAL)) {
        // If the terminal cannot be restored, there is nothing else to do.
        let _ = tcsetattr(&terminal, SetArg::TCSADRAIN, &before);
    }
    true
}

fn asking() -> MutexGuard<'static, Option<Termios>> {
    ASKING
        .lock()
        .expect("nothing panics while it holds the lock")
}
