//! Why a text is not a pattern.

use super::range::RangeError;

/// The longest pattern, in bytes.
const PATTERN_LEN_MAX: usize = 1000;

/// Why a text is not a pattern for tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the regular expression is empty")]
    EmptyRegex,
    #[error("the pattern has {len} bytes; at most {PATTERN_LEN_MAX} are allowed")]
    Length { len: usize },
    #[error("the regular expression cannot be used: {reason}")]
    Regex { reason: String },
    #[error(transparent)]
    Range(#[from] RangeError),
}

/// Refuses a pattern that is too long.
pub(super) fn require_short(text: &str) -> Result<(), PatternError> {
    match text.len() {
        0..=PATTERN_LEN_MAX => Ok(()),
        len => Err(PatternError::Length { len }),
    }
}
