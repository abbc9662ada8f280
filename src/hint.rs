//! Advice for the person who reads an error, kept apart from what happened.

/// An error that may know what to do about it.
pub trait Hint {
    /// What to do now, including what was kept and whether running again is safe; a sentence or
    /// two, without the word "hint".
    fn hint(&self) -> Option<String>;
}
