//! What is wrong with a line.

/// The problem with a line.
#[derive(Debug)]
pub(super) struct LineProblem {
    pub(super) text: String,
    pub(super) reason: String,
    pub(super) fix: Option<String>,
}

impl LineProblem {
    pub(super) fn new(text: &str, reason: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            reason: reason.into(),
            fix: None,
        }
    }
}
