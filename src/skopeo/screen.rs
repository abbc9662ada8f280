//! What a command says on stdout.

use std::io::Write as _;

use crate::failure::{Done, Failure};

/// Progress and results; progress may be switched off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) is_quiet: bool,
}

impl Screen {
    /// A line of progress. That nobody reads it stops nothing.
    pub(crate) fn line(self, line: &str) {
        if !self.is_quiet {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// A line on stderr that is not of the log.
    pub(crate) fn complain(line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// The result of a command, as it is.
    pub(crate) fn result(bytes: &[u8]) -> Done {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|error| Failure::new(format!("writing to stdout: {error}")))
    }
}
