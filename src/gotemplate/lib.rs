//! Go's `text/template`, `fmt` and JSON, as far as `skopeo inspect --format` uses them.
//!
//! Pure: takes text and values, and gives bytes. Data is a [`Value`], which carries the types that Go
//! would have, since errors name them, and functions refuse some. [`Report`] is a format of `skopeo
//! inspect`; [`json_indented`] prints the document without one.
//!
//! The errors are Go's, to the byte. What is missing: complex numbers, functions that are called by
//! `call`, and those methods of `time.Time` and `digest.Digest` that return other types. What Go
//! prints as an address is printed as the value at that address. A template is bounded by [`Limits`],
//! and blocks and parentheses nest at most 100 deep.

mod error;
mod escape;
mod exec;
mod format;
mod functions;
mod json;
mod kind;
mod lex;
mod limits;
mod node;
mod number;
mod parse;
mod report;
mod tabwriter;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use error::TemplateError;
pub use json::{HtmlEscapes, json, json_indented};
pub use kind::Type;
pub use limits::Limits;
pub use report::{Report, ReportError, is_json};
pub use time::Time;
pub use value::{Field, List, Map, Pointer, Struct, Text, Value};
