//! The exit codes, which scripts rely on.

use std::process::ExitCode;

/// The exit code of `hod`. The numbers are part of the interface and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything requested is done.
    Done = 0,
    /// Failed; finished work is kept.
    Failed = 1,
    /// The flags or the lists cannot be read; nothing was started.
    Usage = 2,
    /// Some images failed, the rest are done.
    SomeFailed = 3,
    /// Content did not verify.
    NotVerified = 4,
    /// Refused before starting: no space, no project, no right, or a missing base.
    Refused = 5,
    /// Interrupted by the user (128 + SIGINT, as a shell counts).
    Interrupted = 130,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::SomeFailed, 3),
            (Exit::NotVerified, 4),
            (Exit::Refused, 5),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
