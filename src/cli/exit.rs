//! The exit codes, which scripts rely on.

use std::process::ExitCode;

use hod_ops::{BatchOutcome, DeleteOutcome, UnreadImage};
use hod_report::{Diagnose as _, Diagnosis, ErrorClass};

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
    /// Content of an image, or of several, did not verify; the others may be done.
    NotVerified = 4,
    /// Refused before starting: no space, no project, no right, or a missing base.
    Refused = 5,
    /// Interrupted by the user (128 + SIGINT, as a shell counts).
    Interrupted = 130,
}

impl Exit {
    /// The code of a failure. No other place decides it.
    pub fn of(diagnosis: &Diagnosis) -> Self {
        match diagnosis.class {
            ErrorClass::Usage => Self::Usage,
            ErrorClass::Verify => Self::NotVerified,
            ErrorClass::Interrupted => Self::Interrupted,
            _ if diagnosis.is_refusal() => Self::Refused,
            ErrorClass::Auth
            | ErrorClass::NotFound
            | ErrorClass::Network
            | ErrorClass::RateLimit
            | ErrorClass::Server
            | ErrorClass::Policy
            | ErrorClass::Space
            | ErrorClass::File
            | ErrorClass::Stopped
            | ErrorClass::Internal => Self::Failed,
        }
    }

    /// Returns the code of a batch: [`Exit::NotVerified`] if the content of any image did not verify;
    /// otherwise [`Exit::SomeFailed`] if any image is done, and [`Exit::Refused`] if all were refused.
    pub(super) fn of_batch(outcome: &BatchOutcome) -> Self {
        let failures = outcome.images.iter();
        let failures = failures.filter_map(|image| image.status.error());
        let exits: Vec<Self> = failures.map(|error| Self::of(&error.diagnose())).collect();
        if outcome.source_damage.is_some() || exits.contains(&Self::NotVerified) {
            return Self::NotVerified;
        }
        match exits.len() + outcome.n_not_tried() {
            0 if outcome.n_waiting() == 0 => Self::Done,
            n if n < outcome.images.len() || n == 0 => Self::SomeFailed,
            _ if exits.iter().all(|exit| *exit == Self::Refused) => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// The code of images that were to be deleted: [`Exit::of_batch`], but one that does not exist has
    /// failed, since it was looked for.
    pub(super) fn of_deletion(outcome: &DeleteOutcome) -> Self {
        match Self::of_batch(&outcome.batch()) {
            Self::Refused if outcome.is_any_not_found() => Self::Failed,
            exit => exit,
        }
    }

    /// The code of a verb that only looks, by the images that it could not read.
    pub(super) fn of_unread<'a>(images: impl IntoIterator<Item = &'a UnreadImage>) -> Self {
        let mut exit = Self::Done;
        for image in images {
            if image.class == ErrorClass::Verify {
                return Self::NotVerified;
            }
            exit = Self::SomeFailed;
        }
        exit
    }

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
