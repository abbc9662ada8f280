//! The values of flags, and how they are read.

use crate::csv;
use crate::duration;
use crate::error::ValueError;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True, or a boolean behind `=`. Whether it was given at all says [`Values::is_set`](crate::Values::is_set).
    Bool,
    Text,
    /// A text whose type has a name in `--help`.
    Named(&'static str),
    /// Any number of texts, each as it is given.
    TextArray,
    /// Texts that are separated by commas, as CSV.
    TextSlice,
    Int,
    /// Integers that are separated by commas.
    IntSlice,
    Uint,
    /// A duration of Go: `1h30m`, `500ms`.
    Duration,
}

/// The value of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Int(i64),
    Ints(Vec<i64>),
    Uint(u64),
    /// Nanoseconds.
    Duration(i64),
}

/// Reads a value for a flag of this kind. `before` is what the flag was set to already.
pub(crate) fn read(kind: Kind, text: &str, before: Option<&Value>) -> Result<Value, ValueError> {
    Ok(match kind {
        Kind::Bool => Value::Bool(boolean(text)?),
        Kind::Text | Kind::Named(_) => Value::Text(text.to_owned()),
        Kind::TextArray => appended(before, vec![text.to_owned()]),
        Kind::TextSlice => appended(before, csv::record(text)?),
        Kind::Int => Value::Int(integer(text, Base::Any, "ParseInt")?),
        Kind::IntSlice => {
            let parts = text.split(',').map(|part| integer(part, Base::Ten, "Atoi"));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let mut all = match before {
                Some(Value::Ints(before)) => before.clone(),
                _ => Vec::new(),
            };
            all.extend(parts);
            Value::Ints(all)
        }
        Kind::Uint => Value::Uint(unsigned(text)?),
        Kind::Duration => Value::Duration(duration::parse(text)?),
    })
}

fn appended(before: Option<&Value>, texts: Vec<String>) -> Value {
    let mut all = match before {
        Some(Value::Texts(before)) => before.clone(),
        _ => Vec::new(),
    };
    all.extend(texts);
    Value::Texts(all)
}

fn boolean(text: &str) -> Result<bool, ValueError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(syntax("ParseBool", text)),
    }
}

fn syntax(function: &'static str, text: &str) -> ValueError {
    ValueError::Number {
        function,
        text: text.to_owned(),
        problem: "invalid syntax",
    }
}

fn range(function: &'static str, text: &str) -> ValueError {
    ValueError::Number {
        function,
        text: text.to_owned(),
        problem: "value out of range",
    }
}

/// How the base of a number is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Ten,
    /// By its prefix.
    Any,
}

fn integer(text: &str, base: Base, function: &'static str) -> Result<i64, ValueError> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = magnitude(unsigned, base).ok_or_else(|| syntax(function, text))?;
    let value = u64::try_from(magnitude).ok().and_then(|magnitude| {
        if is_negative {
            0i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    });
    value.ok_or_else(|| range(function, text))
}

fn unsigned(text: &str) -> Result<u64, ValueError> {
    let function = "ParseUint";
    let magnitude = magnitude(text, Base::Any).ok_or_else(|| syntax(function, text))?;
    u64::try_from(magnitude).map_err(|_| range(function, text))
}

/// Reads digits; `None` if they are not a number. One that is too large is the largest.
fn magnitude(text: &str, base: Base) -> Option<u128> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match (base, lower.get(..2)) {
        (Base::Any, Some("0x")) => (&lower[2..], 16),
        (Base::Any, Some("0b")) => (&lower[2..], 2),
        (Base::Any, Some("0o")) => (&lower[2..], 8),
        (Base::Any, Some(_)) if lower.starts_with('0') => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    let has_prefix = digits.len() < lower.len();
    let has_underscores = digits.contains('_');
    if has_underscores && (base == Base::Ten || !has_good_underscores(digits, has_prefix)) {
        return None;
    }
    let digits = digits.replace('_', "");
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let value = || u128::from_str_radix(&digits, radix).unwrap_or(u128::MAX);
    is_number.then(value)
}

/// Returns true if underscores only stand between digits, or behind the prefix.
fn has_good_underscores(digits: &str, has_prefix: bool) -> bool {
    let begins_well = has_prefix || !digits.starts_with('_');
    begins_well && !digits.ends_with('_') && !digits.contains("__")
}
