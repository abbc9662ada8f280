//! One value by one verb.

use super::integer::Integer;
use super::padding::Printer;
use crate::limits::TEXT_LEN_MAX;
use crate::number;
use crate::value::{List, Map, Pointer, Struct, Text, Value};
use hod_gotext::{can_backquote, chars, quoted};

/// Whether a value is an argument or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outer,
    Inner,
}

impl Printer {
    /// Prints an argument, unless the text is too long already.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        if self.out.len() > TEXT_LEN_MAX {
            return;
        }
        match (verb, value) {
            ('T' | 'v', Value::Nil) => self.pad(b"<nil>"),
            ('T', value) => self.string(value.type_of().to_string().as_bytes(), 's', value),
            (_, Value::Nil) => self.text(&format!("%!{verb}(<nil>)")),
            (verb, value) => self.value(value, verb, Place::Outer),
        }
    }

    fn value(&mut self, value: &Value, verb: char, place: Place) {
        let is_printed = match value {
            Value::Nil => {
                self.nil(verb);
                true
            }
            Value::Any(inner) => {
                match &**inner {
                    Value::Nil if self.flags.is_go_syntax => self.text("interface {}(nil)"),
                    Value::Nil => self.text("<nil>"),
                    inner => self.value(inner, verb, Place::Inner),
                }
                true
            }
            Value::Bool(value) => self.boolean(*value, verb),
            Value::Int(value) | Value::Int64(value) => {
                let (value, is_signed) = (*value, true);
                self.integer(Integer { value, is_signed }, verb)
            }
            Value::Byte(value) => {
                let (value, is_signed) = (i64::from(*value), false);
                self.integer(Integer { value, is_signed }, verb)
            }
            Value::Float(value) => self.float(*value, verb),
            Value::Text(Text { bytes, .. }) => {
                self.string(bytes, verb, value);
                true
            }
            Value::Time(time) if verb == 'v' && self.flags.is_go_syntax => {
                self.pad(time.go_syntax().as_bytes());
                true
            }
            Value::Time(time) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
                self.string(time.to_string().as_bytes(), verb, value);
                true
            }
            Value::Time(_) => false,
            Value::Pointer(pointer) => self.pointer(pointer, verb, place),
            Value::List(list) => {
                self.list(list, verb);
                true
            }
            Value::Map(map) => {
                self.map(map, verb);
                true
            }
            Value::Struct(value) => {
                self.fields(value, verb);
                true
            }
        };
        if !is_printed {
            self.bad_verb(value, verb);
        }
    }

    /// Prints that a verb is not one for the value: `%!d(string=x)`.
    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.text(&format!("%!{verb}({}=", value.type_of()));
        self.value(value, 'v', Place::Outer);
        self.out.push(b')');
    }

    fn nil(&mut self, verb: char) {
        if verb == 'v' {
            self.text("<nil>");
        } else {
            self.text(&format!("%!{verb}(<nil>)"));
        }
    }

    fn boolean(&mut self, value: bool, verb: char) -> bool {
        let is_for_booleans = matches!(verb, 't' | 'v');
        if is_for_booleans {
            self.pad(if value { b"true" } else { b"false" });
        }
        is_for_booleans
    }

    fn string(&mut self, text: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.is_go_syntax => self.quoted(text),
            'v' | 's' => {
                let text = self.truncated(text).to_vec();
                self.pad(&text);
            }
            'q' => self.quoted(text),
            'x' | 'X' => self.hex(text, verb),
            verb => self.bad_verb(value, verb),
        }
    }

    /// Returns as many characters of the text as the precision allows.
    fn truncated<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let first = chars(text).take(precision);
        let len: usize = first.map(|c| c.map_or(1, char::len_utf8)).sum();
        &text[..len]
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        if self.flags.sharp && can_backquote(text) {
            let text = [b"`", text, b"`"].concat();
            self.pad(&text);
        } else {
            let quoted = quoted(text, '"', self.flags.charset());
            self.pad(quoted.as_bytes());
        }
    }

    fn hex(&mut self, text: &[u8], verb: char) {
        let len = self.flags.precision.unwrap_or(usize::MAX).min(text.len());
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (true, 'X') => "0X",
            (true, _) => "0x",
        };
        let mut out = String::new();
        for (at, byte) in text[..len].iter().enumerate() {
            if at > 0 && self.flags.space {
                out.push(' ');
            }
            if at == 0 || self.flags.space {
                out.push_str(prefix);
            }
            out.extend([match verb {
                'X' => format!("{byte:02X}"),
                _ => format!("{byte:02x}"),
            }]);
        }
        self.pad(out.as_bytes());
    }

    fn float(&mut self, value: f64, verb: char) -> bool {
        let precision = self.flags.precision;
        let text = match verb {
            'v' | 'g' => number::general(value.abs(), precision, 'e'),
            'G' => number::general(value.abs(), precision, 'E'),
            'e' => number::exponent(value.abs(), Some(precision.unwrap_or(6)), 'e'),
            'E' => number::exponent(value.abs(), Some(precision.unwrap_or(6)), 'E'),
            'f' | 'F' => number::fixed(value.abs(), Some(precision.unwrap_or(6))),
            _ => return false,
        };
        let sign = match (value.is_sign_negative(), self.flags.plus, self.flags.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let width = self.flags.width.unwrap_or(0);
        if self.flags.zero && !self.flags.minus && !sign.is_empty() {
            self.text(sign);
            self.padding(width.saturating_sub(sign.len() + text.len()));
            self.text(&text);
        } else {
            self.pad(format!("{sign}{text}").as_bytes());
        }
        true
    }

    fn pointer(&mut self, pointer: &Pointer, verb: char, place: Place) -> bool {
        let Some(value) = &pointer.value else {
            return self.nil_pointer(pointer, verb);
        };
        let is_compound = matches!(**value, Value::Struct(_) | Value::List(_) | Value::Map(_));
        if is_compound && place == Place::Outer {
            self.out.push(b'&');
        }
        // Go prints the address of what is in a struct; the value says more.
        self.value(value, verb, Place::Inner);
        true
    }

    fn nil_pointer(&mut self, pointer: &Pointer, verb: char) -> bool {
        let has_string = pointer.to == crate::kind::Type::Time;
        match verb {
            'v' | 's' | 'x' | 'X' | 'q' if has_string => self.text("<nil>"),
            'v' if self.flags.is_go_syntax => self.text(&format!("(*{})(nil)", pointer.to)),
            'v' => self.pad(b"<nil>"),
            'd' | 'b' | 'o' | 'x' | 'X' => {
                let (value, is_signed) = (0, false);
                self.integer(Integer { value, is_signed }, verb);
            }
            _ => return false,
        }
        true
    }

    fn list(&mut self, list: &List, verb: char) {
        if self.flags.is_go_syntax {
            self.text(&format!("[]{}", list.element));
            if list.items.is_none() {
                self.text("(nil)");
                return;
            }
            self.all("{", ", ", "}", list.items().iter(), |printer, item| {
                printer.value(item, verb, Place::Inner);
            });
        } else {
            self.all("[", " ", "]", list.items().iter(), |printer, item| {
                printer.value(item, verb, Place::Inner);
            });
        }
    }

    fn map(&mut self, map: &Map, verb: char) {
        let entry = |printer: &mut Self, (key, value): (&str, Value)| {
            printer.value(&Value::text(key), verb, Place::Inner);
            printer.out.push(b':');
            printer.value(&value, verb, Place::Inner);
        };
        if self.flags.is_go_syntax {
            self.text(&format!("map[string]{}", map.element));
            if map.entries.is_none() {
                self.text("(nil)");
                return;
            }
            self.all("{", ", ", "}", map.iter(), entry);
        } else {
            self.all("map[", " ", "]", map.iter(), entry);
        }
    }

    fn fields(&mut self, value: &Struct, verb: char) {
        let is_go = self.flags.is_go_syntax;
        if is_go {
            self.text(value.name);
        }
        let separator = if is_go { ", " } else { " " };
        let fields = value.fields.iter();
        self.all("{", separator, "}", fields, |printer, field| {
            if printer.flags.has_names || is_go {
                printer.text(field.name);
                printer.out.push(b':');
            }
            printer.value(field.value.in_interface(), verb, Place::Inner);
        });
    }

    fn all<T>(
        &mut self,
        open: &str,
        separator: &str,
        close: &str,
        items: impl Iterator<Item = T>,
        print: impl Fn(&mut Self, T),
    ) {
        self.text(open);
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.text(separator);
            }
            print(self, item);
        }
        self.text(close);
    }
}
