//! JSON as Go's `encoding/json` writes it.

use crate::number;
use crate::value::{Field, Omit, Struct, Text, Value};
use hod_gotext::chars;

/// Whether `<`, `>` and `&` are written as escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HtmlEscapes {
    Yes,
    No,
}

/// Writes a value as `json.Marshal` does: without blanks. `No` is the template function `json`.
pub fn json(value: &Value, escapes: HtmlEscapes) -> String {
    let mut writer = Writer {
        out: String::new(),
        escapes,
        indent: None,
        depth: 0,
    };
    writer.value(value);
    writer.out
}

/// Writes a value as `json.MarshalIndent` does with `indent` and no prefix; no newline at its end.
pub fn json_indented(value: &Value, indent: &str) -> String {
    let mut writer = Writer {
        out: String::new(),
        escapes: HtmlEscapes::Yes,
        indent: Some(indent),
        depth: 0,
    };
    writer.value(value);
    writer.out
}

struct Writer<'a> {
    out: String,
    escapes: HtmlEscapes,
    indent: Option<&'a str>,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Any(inner) => self.value(inner),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.out.push_str(&value.to_string()),
            Value::Byte(value) => self.out.push_str(&value.to_string()),
            Value::Float(value) => self.out.push_str(&number::json(*value)),
            Value::Text(Text { bytes, .. }) => self.text(bytes),
            Value::Time(time) => self.text(time.to_rfc3339().as_bytes()),
            Value::Pointer(pointer) => match &pointer.value {
                Some(value) => self.value(value),
                None => self.out.push_str("null"),
            },
            Value::List(list) => match &list.items {
                Some(items) => self.all('[', ']', items.iter(), Self::value),
                None => self.out.push_str("null"),
            },
            Value::Map(map) => match &map.entries {
                Some(entries) => self.all('{', '}', entries.iter(), |writer, (key, value)| {
                    writer.entry(key, value);
                }),
                None => self.out.push_str("null"),
            },
            Value::Struct(value) => {
                let mut fields = Vec::new();
                written_fields(value, &mut fields);
                self.all('{', '}', fields.into_iter(), |writer, field| {
                    writer.entry(field.json, &field.value);
                });
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Value) {
        self.text(key.as_bytes());
        self.out.push(':');
        if self.indent.is_some() {
            self.out.push(' ');
        }
        self.value(value);
    }

    fn all<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.out.push(open);
        let is_empty = items.len() == 0;
        self.depth += 1;
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.line();
            write(self, item);
        }
        self.depth -= 1;
        if !is_empty {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(self.depth));
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push('"');
        for c in chars(text) {
            match c {
                Err(_) => self.out.push_str("\\ufffd"),
                Ok('"') => self.out.push_str("\\\""),
                Ok('\\') => self.out.push_str("\\\\"),
                Ok('\x08') => self.out.push_str("\\b"),
                Ok('\x0c') => self.out.push_str("\\f"),
                Ok('\n') => self.out.push_str("\\n"),
                Ok('\r') => self.out.push_str("\\r"),
                Ok('\t') => self.out.push_str("\\t"),
                Ok(c @ ('<' | '>' | '&')) if self.escapes == HtmlEscapes::Yes => self.code(c),
                Ok(c) if c < ' ' || matches!(c, '\u{2028}' | '\u{2029}') => self.code(c),
                Ok(c) => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn code(&mut self, c: char) {
        self.out.extend([format!("\\u{:04x}", u32::from(c))]);
    }
}

/// Collects the fields that are written, those of embedded structs at their place.
fn written_fields<'a>(value: &'a Struct, fields: &mut Vec<&'a Field>) {
    for field in value.fields.iter() {
        match &field.value {
            Value::Struct(inner) if field.is_embedded => written_fields(inner, fields),
            value => {
                let is_omitted = match field.omit {
                    Omit::Never => false,
                    Omit::Empty => !value.is_true(),
                    Omit::Zero => is_zero(value),
                };
                if !is_omitted {
                    fields.push(field);
                }
            }
        }
    }
}

/// Returns true for what a new variable has.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Time(time) => time.is_zero(),
        Value::List(list) => list.items.is_none(),
        Value::Map(map) => map.entries.is_none(),
        Value::Struct(value) => value.fields.iter().all(|field| is_zero(&field.value)),
        value => !value.is_true(),
    }
}
