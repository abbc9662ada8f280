//! What can go wrong with a template, in the words of Go.

/// A template that cannot be parsed or executed. The text is Go's, with what the template and the data
/// contain quoted in it, so it can have characters that a terminal obeys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("template: {name}:{line}: {message}")]
    Parse {
        name: String,
        line: usize,
        message: String,
    },
    #[error(
        "template: {name}:{line}:{column}: executing {template} at <{context}>: {message}",
        template = hod_gotext::quote(template)
    )]
    Execute {
        /// The name of the text.
        name: String,
        line: usize,
        /// Bytes before the place in its line.
        column: usize,
        /// The name of the definition in it.
        template: String,
        /// What was executed, as source text.
        context: String,
        message: String,
    },
    #[error(
        "template: {name}: table has more than {} columns or is longer than {max} bytes",
        crate::limits::COLUMNS_MAX
    )]
    TableTooLarge { name: String, max: usize },
    #[error("template: {name}: longer than {max} bytes")]
    TooLong { name: String, max: usize },
}
