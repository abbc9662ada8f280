//! How much a template may take: it may come from a script that was given to somebody else.

/// The limits of one template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of source text.
    pub source_len: usize,
    /// Bytes that it may print, and bytes of each text that a function makes.
    pub output_len: usize,
    /// Steps of its execution: actions, texts and passes of loops.
    pub steps: u64,
}

impl Default for Limits {
    /// 1 MiB of source, 64 MiB of output, 10 million steps.
    fn default() -> Self {
        Self {
            source_len: 1 << 20,
            output_len: 64 << 20,
            steps: 10_000_000,
        }
    }
}

/// Bytes of one text that a function makes, whatever the limits of the template.
pub(crate) const TEXT_LEN_MAX: usize = 64 << 20;
/// Texts that one text is split into.
pub(crate) const PARTS_MAX: usize = 1 << 20;
/// How many times the output all texts that functions make may be.
pub(crate) const MADE_FACTOR: usize = 4;
/// Columns of a table.
pub(crate) const COLUMNS_MAX: usize = 200;
/// Blocks and parentheses in each other, in the source.
pub(crate) const NESTING_MAX: usize = 100;
/// The same during execution, where templates call each other.
pub(crate) const DEPTH_MAX: usize = 250;
