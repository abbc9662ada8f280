//! What a failure means, stated once for each error.

use std::error::Error;

use super::ErrorClass;

/// The meaning of an error: exit codes, `--json` and reports follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub class: ErrorClass,
    pub changes: Changes,
    /// What to do now, including what was kept and whether running again is safe: full sentences,
    /// without the word "hint".
    pub hint: Option<String>,
}

/// Whether anything was changed before the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// The work was refused before anything was changed.
    None,
    Possible,
}

/// An error that knows its meaning.
pub trait Diagnose: Error {
    /// Returns the meaning of the error. An error that only wraps another passes on the meaning of
    /// its source.
    fn diagnose(&self) -> Diagnosis;
}

impl Diagnosis {
    /// A failure of a class, without a hint.
    pub fn new(class: ErrorClass) -> Self {
        Self {
            class,
            changes: Changes::Possible,
            hint: None,
        }
    }

    /// A failure of a class before anything was changed.
    pub fn refused(class: ErrorClass) -> Self {
        Self {
            changes: Changes::None,
            ..Self::new(class)
        }
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Adds another piece of advice to the hint, on a line of its own.
    #[must_use]
    pub fn and(self, advice: &str) -> Self {
        let hint = match &self.hint {
            Some(hint) => format!("{hint}\n{advice}"),
            None => advice.to_owned(),
        };
        self.hint(hint)
    }

    /// Whether the work was refused before anything was changed.
    pub fn is_refusal(&self) -> bool {
        self.changes == Changes::None
    }
}
