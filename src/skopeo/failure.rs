//! Why a command failed, in skopeo's words, and the exit code.

use std::fmt;

/// The exit code of an image that is not found, since skopeo 1.11.
pub(crate) const NOT_FOUND: u8 = 2;

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) code: u8,
    /// Whether the help of the command is shown too.
    pub(crate) shows_usage: bool,
    /// Whether another attempt may succeed: not where something is absent, refused or wrong.
    pub(crate) is_transient: bool,
}

/// What a command returns.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            code: 1,
            shows_usage: false,
            is_transient: false,
        }
    }

    /// An image, or its repository, that is not found.
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self {
            code: NOT_FOUND,
            ..Self::new(text)
        }
    }

    /// A wrong number of arguments.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            shows_usage: true,
            ..Self::new(text)
        }
    }

    /// The same with what was attempted in front.
    pub(crate) fn during(self, what: impl fmt::Display) -> Self {
        Self {
            text: format!("{what}: {}", self.text),
            ..self
        }
    }

    /// The same for a failure of that kind.
    pub(crate) fn of_kind(self, kind: hod_retry::Failure) -> Self {
        let is_transient = kind != hod_retry::Failure::Lasting;
        Self {
            is_transient,
            ..self
        }
    }

    /// The same as a plain failure, whatever was not found.
    pub(crate) fn plain(self) -> Self {
        Self { code: 1, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
