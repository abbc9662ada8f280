//! The functions that the library has beside those of Go.

use std::sync::Arc;

use super::signature::Called;
use crate::limits::{PARTS_MAX, TEXT_LEN_MAX};
use crate::value::{Text, Value};
use hod_gotext::chars;

pub(super) fn join(given: &[Value]) -> Called {
    let texts: Vec<&[u8]> = given[0].items().iter().map(Value::bytes).collect();
    let separators = given[1].bytes().len().saturating_mul(texts.len());
    let len = texts.iter().map(|text| text.len()).sum::<usize>();
    if len.saturating_add(separators) > TEXT_LEN_MAX {
        return Err("strings: Join output length overflow".to_owned());
    }
    Ok(Value::text(texts.join(given[1].bytes())))
}

pub(super) fn split(given: &[Value]) -> Called {
    let (text, separator) = (given[0].bytes(), given[1].bytes());
    let mut parts: Vec<Vec<u8>> = Vec::new();
    if separator.is_empty() {
        let one = |c: Result<char, u8>| match c {
            Ok(c) => c.to_string().into_bytes(),
            Err(byte) => vec![byte],
        };
        parts.extend(chars(text).map(one).take(PARTS_MAX + 1));
    } else {
        let mut rest = text;
        while parts.len() <= PARTS_MAX
            && let Some(at) = rest
                .windows(separator.len())
                .position(|part| part == separator)
        {
            parts.push(rest[..at].to_vec());
            rest = &rest[at + separator.len()..];
        }
        parts.push(rest.to_vec());
    }
    if parts.len() > PARTS_MAX {
        return Err(format!("more than {PARTS_MAX} parts"));
    }
    let parts = parts.into_iter().map(Value::text).collect();
    Ok(Value::list(crate::kind::Type::TEXT, Some(parts)))
}

pub(super) fn lower(text: &Value) -> Value {
    mapped(text, lower_char)
}

pub(super) fn upper(text: &Value) -> Value {
    mapped(text, upper_char)
}

/// Makes the first letter of each word a capital.
pub(super) fn title(text: &Value) -> Value {
    let mut before = ' ';
    mapped(text, |c| {
        let is_first = match before {
            before if before.is_ascii() => !before.is_ascii_alphanumeric() && before != '_',
            before => !before.is_alphanumeric() && before.is_whitespace(),
        };
        before = c;
        if is_first { upper_char(c) } else { c }
    })
}

fn mapped(text: &Value, mut map: impl FnMut(char) -> char) -> Value {
    let characters = chars(text.bytes()).map(|c| map(c.unwrap_or('\u{fffd}')));
    Value::text(characters.collect::<String>())
}

/// The one letter that is the capital; letters whose capital is two letters stay.
fn upper_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn lower_char(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Puts blanks before and behind a text that is not empty.
pub(super) fn pad(given: &[Value]) -> Called {
    let text = given[0].bytes();
    if text.is_empty() {
        return Ok(given[0].clone());
    }
    let before = blanks(&given[1])?;
    let after = blanks(&given[2])?;
    Ok(Value::text([&before, text, &after].concat()))
}

fn blanks(n: &Value) -> Result<Vec<u8>, String> {
    let n = n.integer().unwrap_or(0);
    let n = usize::try_from(n).map_err(|_| "strings: negative Repeat count".to_owned())?;
    if n > TEXT_LEN_MAX {
        return Err("strings: Repeat output length overflow".to_owned());
    }
    Ok(vec![b' '; n])
}

/// Cuts a text to a number of bytes.
pub(super) fn truncate(given: &[Value]) -> Called {
    let text = given[0].bytes();
    let len = given[1].integer().unwrap_or(0);
    let Ok(end) = usize::try_from(len) else {
        return Err(format!("runtime error: slice bounds out of range [:{len}]"));
    };
    Ok(Value::Text(Text {
        named: None,
        bytes: Arc::from(&text[..end.min(text.len())]),
    }))
}
