//! What kind of failure it was, in the few words that programs act on.

use std::fmt;

use serde::Serialize;

/// The kind of a failure. The words are part of the interface and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// A login is missing, wrong, or has not the right to do this.
    Auth,
    /// The requested content does not exist.
    NotFound,
    /// No connection, or one that broke, stalled, or cannot be trusted.
    Network,
    /// Too much was asked in too short a time.
    RateLimit,
    /// The registry fails, or does not answer as specified.
    Server,
    /// Content does not match its digest, length or signature.
    Verify,
    /// A rule is against it: an immutable tag, a limit of size, a pin.
    Policy,
    /// The disk or a quota is full, or would be.
    Space,
    /// Flags or lists, or a source of the wrong kind.
    Usage,
    /// The file system refused for another reason.
    File,
    /// It was not tried, since something else had failed.
    Stopped,
    /// The user ended it.
    Interrupted,
    /// Anything else; please report it.
    Internal,
}

impl ErrorClass {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::NotFound => "not-found",
            Self::Network => "network",
            Self::RateLimit => "rate-limit",
            Self::Server => "server",
            Self::Verify => "verify",
            Self::Policy => "policy",
            Self::Space => "space",
            Self::Usage => "usage",
            Self::File => "file",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_everywhere() {
        for class in [
            ErrorClass::Auth,
            ErrorClass::NotFound,
            ErrorClass::Network,
            ErrorClass::RateLimit,
            ErrorClass::Server,
            ErrorClass::Verify,
            ErrorClass::Policy,
            ErrorClass::Space,
            ErrorClass::Usage,
            ErrorClass::File,
            ErrorClass::Stopped,
            ErrorClass::Interrupted,
            ErrorClass::Internal,
        ] {
            let json = serde_json::to_value(class).unwrap();
            assert_eq!(json, class.as_str());
        }
    }
}
