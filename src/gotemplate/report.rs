//! A `--format` of `skopeo inspect`: what surrounds a template there.

use crate::error::TemplateError;
use crate::exec::{self, Program};
use crate::functions::is_function;
use crate::kind::Type;
use crate::limits::Limits;
use crate::parse::{self, Definitions};
use crate::tabwriter::{Columns, align};
use crate::value::Value;

/// Returns true if a format asks for the JSON document itself: `json`, or the function without what
/// it takes.
pub fn is_json(format: &str) -> bool {
    let format = format.trim_matches(SPACES);
    if format == "json" {
        return true;
    }
    let inner = format.strip_prefix("{{").and_then(|f| f.strip_suffix("}}"));
    let inner = inner.map(|inner| inner.trim_matches(SPACES));
    matches!(inner, Some("json" | "json."))
}

/// The blanks of Go's regular expressions.
const SPACES: [char; 5] = [' ', '\t', '\n', '\x0c', '\r'];

/// The columns of a table.
const COLUMNS: Columns = Columns {
    min_width: 12,
    padding: 2,
};

/// A parsed format.
#[derive(Debug, Clone)]
pub struct Report {
    name: String,
    text: String,
    definitions: Definitions,
    is_table: bool,
    limits: Limits,
}

/// A format that could not be executed, and what it had printed until then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct ReportError {
    pub error: TemplateError,
    /// Go writes this to the output before it fails.
    pub printed: Vec<u8>,
}

impl Report {
    /// Parses a format. `name` is what errors call it.
    ///
    /// `\t` and `\n` stand for a tab and a newline unless the format is not valid with them, and
    /// without a newline at its end it gets one. `table ` in front is dropped; then blanks separate
    /// columns.
    pub fn parse(name: &str, format: &str, limits: Limits) -> Result<Self, TemplateError> {
        if format.len() > limits.source_len {
            return Err(TemplateError::TooLong {
                name: name.to_owned(),
                max: limits.source_len,
            });
        }
        let table = format.strip_prefix("table ");
        let (replaced, plain) = match table {
            Some(columns) => (ranged(&replaced(format)), ranged(columns)),
            None => (enforce_range(&replaced(format)), enforce_range(format)),
        };
        let parse = |text: String| {
            let definitions = parse::parse(name, &text, &is_function)?;
            Ok(Self {
                name: name.to_owned(),
                text,
                definitions,
                is_table: table.is_some(),
                limits,
            })
        };
        parse(replaced)
            .or_else(|_| parse(plain))
            .map_err(|error: Box<TemplateError>| *error)
    }

    /// Prints the data.
    pub fn execute(&self, data: Value) -> Result<Vec<u8>, Box<ReportError>> {
        let program = Program {
            name: &self.name,
            text: &self.text,
            definitions: &self.definitions,
            limits: self.limits,
        };
        // Formats are for lists of things; here it is one thing.
        let data = Value::list(Type::Any, Some(vec![data]));
        let result = exec::execute(program, &data);
        if !self.is_table {
            return result.map_err(|failed| {
                Box::new(ReportError {
                    error: failed.error,
                    printed: failed.printed,
                })
            });
        }
        let (text, error) = match result {
            Ok(text) => (text, None),
            Err(failed) => (failed.printed, Some(failed.error)),
        };
        let max = self.limits.output_len;
        let aligned = align(&text, COLUMNS, max);
        let too_large = || TemplateError::TableTooLarge {
            name: self.name.clone(),
            max,
        };
        match (aligned, error) {
            (Some(text), None) => Ok(text),
            (Some(printed), Some(error)) => Err(Box::new(ReportError { error, printed })),
            (None, error) => Err(Box::new(ReportError {
                error: error.unwrap_or_else(too_large),
                printed: Vec::new(),
            })),
        }
    }
}

/// Replaces what stands for blanks, and ends the text with a newline.
fn replaced(format: &str) -> String {
    let mut text = if format.starts_with("table ") {
        let mut text = String::new();
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            // The first that fits is taken, at each place.
            let (from, to) = [("table ", ""), ("\\t", "\t"), (" ", "\t"), ("\\n", "\n")]
                .into_iter()
                .find(|(from, _)| rest.starts_with(from))
                .unwrap_or((&rest[..c.len_utf8()], &rest[..c.len_utf8()]));
            text.push_str(to);
            rest = &rest[from.len()..];
        }
        text
    } else {
        format.replace("\\t", "\t").replace("\\n", "\n")
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn ranged(format: &str) -> String {
    format!("{{{{range .}}}}{format}{{{{end -}}}}")
}

/// Puts a loop around a format that has none.
fn enforce_range(format: &str) -> String {
    if has_range(format) {
        format.to_owned()
    } else {
        ranged(format)
    }
}

/// Returns true if `{{range .}}` and, behind it, `{{end}}` are in the format, with any blanks.
fn has_range(format: &str) -> bool {
    let mut rest = format;
    while let Some(at) = rest.find("{{") {
        rest = &rest[at + 2..];
        let after = starts_with(rest, &["range", "."]);
        if let Some(after) = after
            && has_end(after)
        {
            return true;
        }
    }
    false
}

fn has_end(text: &str) -> bool {
    text.match_indices("{{").any(|(at, braces)| {
        let inner = &text[at + braces.len()..];
        starts_with(inner, &["end"]).is_some() || starts_with(inner, &["end", "-"]).is_some()
    })
}

/// Returns what follows the words and the closing braces.
fn starts_with<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let mut rest = text.trim_start_matches(SPACES);
    for word in words {
        rest = rest.strip_prefix(word)?.trim_start_matches(SPACES);
    }
    rest.strip_prefix("}}")
}
