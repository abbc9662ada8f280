//! What is wrong with a command line, in the words of pflag and cobra.

use hod_gotext::{Charset, quote, quote_char};

/// A flag that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    #[error("unknown flag: --{name}")]
    Unknown { name: String },
    #[error("unknown shorthand flag: {} in -{cluster}", quote_char((*.shorthand).into(), Charset::Unicode))]
    UnknownShorthand { shorthand: char, cluster: String },
    #[error("flag needs an argument: --{name}")]
    MissingValue { name: String },
    #[error("flag needs an argument: {} in -{cluster}", quote_char((*.shorthand).into(), Charset::Unicode))]
    MissingShorthandValue { shorthand: char, cluster: String },
    #[error("bad flag syntax: {argument}")]
    Syntax { argument: String },
    #[error("invalid argument {} for {} flag: {reason}", quote(.value), quote(.flag))]
    Invalid {
        /// The flag as errors spell it.
        flag: String,
        value: String,
        reason: ValueError,
    },
    /// `--help` of a command that has no such flag yet: it was given before the command.
    #[error("pflag: help requested")]
    Help,
}

/// A value that its flag does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("strconv.{function}: parsing {}: {problem}", quote(.text))]
    Number {
        /// The function of Go that reads it.
        function: &'static str,
        text: String,
        problem: &'static str,
    },
    #[error("time: {problem} {}", hod_gotext::quote_time(.text))]
    Duration { problem: String, text: String },
    #[error("parse error on line {line}, column {column}: {problem}")]
    Csv {
        line: usize,
        column: usize,
        problem: &'static str,
    },
    /// A record that begins in a line before the one with the error.
    #[error("record on line {start}; parse error on line {line}, column {column}: {problem}")]
    CsvRecord {
        start: usize,
        line: usize,
        column: usize,
        problem: &'static str,
    },
    #[error("EOF")]
    NoRecord,
}

/// A command line that names no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("Missing command '{program} COMMAND'\nTry '{program} --help' for more information")]
    Missing { program: &'static str },
    #[error(
        "Unrecognized command `{program} {word}`{}\nTry '{program} --help' for more information",
        did_you_mean(.suggestions)
    )]
    Unrecognized {
        program: &'static str,
        word: String,
        suggestions: Vec<&'static str>,
    },
}

fn did_you_mean(suggestions: &[&str]) -> String {
    if suggestions.is_empty() {
        return String::new();
    }
    format!("\n\nDid you mean this?\n\t{}\n", suggestions.join("\n\t"))
}
