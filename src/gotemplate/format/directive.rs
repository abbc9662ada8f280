//! The directives of a format: `%-8.3[2]v`.

use super::padding::{Flags, Printer};
use crate::value::Value;
use hod_gotext::chars;

/// Widths and precisions above this are not taken, as in Go.
const NUMBER_MAX: i64 = 1_000_000;

pub(super) fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut directives = Directives {
        printer: Printer::default(),
        rest: format,
        values,
        next: 0,
        is_good: true,
        is_reordered: false,
    };
    while let Some(at) = directives.rest.iter().position(|byte| *byte == b'%') {
        directives.printer.out.extend(&directives.rest[..at]);
        directives.rest = &directives.rest[at + 1..];
        directives.print_one();
    }
    let rest = directives.rest;
    directives.printer.out.extend(rest);
    directives.print_extra();
    directives.printer.out
}

struct Directives<'a> {
    printer: Printer,
    /// What follows in the format.
    rest: &'a [u8],
    values: &'a [Value],
    /// Index of the next value.
    next: usize,
    /// False if an index of this directive is wrong.
    is_good: bool,
    /// Whether any directive had an index.
    is_reordered: bool,
}

impl Directives<'_> {
    /// Prints what a directive stands for; the percent sign is taken already.
    fn print_one(&mut self) {
        self.is_good = true;
        self.printer.flags = Flags::default();
        self.take_flags();
        let mut after_index = self.take_index();
        if self.take(b'*') {
            self.take_width_argument();
            after_index = false;
        } else {
            let width = self.take_number();
            if after_index && width.is_some() {
                self.is_good = false;
            }
            self.printer.flags.width = width;
        }
        if self.rest.len() > 1 && self.rest[0] == b'.' {
            self.rest = &self.rest[1..];
            if after_index {
                self.is_good = false;
            }
            after_index = self.take_index();
            if self.take(b'*') {
                self.take_precision_argument();
                after_index = false;
            } else {
                self.printer.flags.precision = Some(self.take_number().unwrap_or(0));
            }
        }
        if !after_index {
            self.take_index();
        }
        self.print_verb();
    }

    fn print_verb(&mut self) {
        let Some(first) = chars(self.rest).next() else {
            self.printer.out.extend(b"%!(NOVERB)");
            return;
        };
        let verb = first.unwrap_or('\u{fffd}');
        let len = first.map_or(1, char::len_utf8);
        self.rest = &self.rest[len..];
        if verb == '%' {
            self.printer.out.push(b'%');
        } else if !self.is_good {
            self.printer.text(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(value) = self.values.get(self.next) {
            if matches!(verb, 'v' | 'w') {
                let flags = &mut self.printer.flags;
                flags.is_go_syntax = std::mem::take(&mut flags.sharp);
                flags.has_names = std::mem::take(&mut flags.plus);
            }
            self.printer.argument(value.in_interface(), verb);
            self.next += 1;
        } else {
            self.printer.text(&format!("%!{verb}(MISSING)"));
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn take_flags(&mut self) {
        while let Some(byte) = self.rest.first() {
            let flags = &mut self.printer.flags;
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => return,
            }
            self.rest = &self.rest[1..];
        }
    }

    /// Takes a number; `None` if there is none, or if it is too large.
    fn take_number(&mut self) -> Option<usize> {
        let (number, rest) = number(self.rest);
        self.rest = rest;
        number
    }

    /// Takes `[N]`, which says what the next value is, and returns whether it was there.
    fn take_index(&mut self) -> bool {
        if self.rest.first() != Some(&b'[') {
            return false;
        }
        self.is_reordered = true;
        let end = self.rest.iter().position(|byte| *byte == b']');
        let Some(end) = end.filter(|_| self.rest.len() >= 3) else {
            self.is_good = false;
            self.rest = &self.rest[1..];
            return false;
        };
        let (index, after) = number(&self.rest[1..end]);
        self.rest = &self.rest[end + 1..];
        let index = index.filter(|_| after.is_empty());
        match index {
            Some(index) if (1..=self.values.len()).contains(&index) => self.next = index - 1,
            _ => self.is_good = false,
        }
        index.is_some()
    }

    /// Takes a value that is an integer in the range of widths.
    fn take_integer(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = value.in_interface().integer()?;
        (-NUMBER_MAX..=NUMBER_MAX)
            .contains(&number)
            .then_some(number)
    }

    fn take_width_argument(&mut self) {
        match self.take_integer() {
            Some(width) => {
                if width < 0 {
                    self.printer.flags.minus = true;
                    self.printer.flags.zero = false;
                }
                self.printer.flags.width = usize::try_from(width.unsigned_abs()).ok();
            }
            None => self.printer.out.extend(b"%!(BADWIDTH)"),
        }
    }

    fn take_precision_argument(&mut self) {
        match self.take_integer().map(usize::try_from) {
            Some(Ok(precision)) => self.printer.flags.precision = Some(precision),
            _ => self.printer.out.extend(b"%!(BADPREC)"),
        }
    }

    /// Prints the values that no directive has taken.
    fn print_extra(&mut self) {
        if self.is_reordered || self.next >= self.values.len() {
            return;
        }
        self.printer.flags = Flags::default();
        self.printer.out.extend(b"%!(EXTRA ");
        for (at, value) in self.values[self.next..].iter().enumerate() {
            if at > 0 {
                self.printer.out.extend(b", ");
            }
            match value.in_interface() {
                Value::Nil => self.printer.out.extend(b"<nil>"),
                value => {
                    self.printer.text(&format!("{}=", value.type_of()));
                    self.printer.argument(value, 'v');
                }
            }
        }
        self.printer.out.push(b')');
    }
}

/// Reads a number, and returns it with what follows. A number that is too large takes all the rest.
fn number(text: &[u8]) -> (Option<usize>, &[u8]) {
    let mut value: Option<i64> = None;
    for (at, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return (as_len(value), &text[at..]);
        }
        let before = value.unwrap_or(0);
        if before > NUMBER_MAX {
            return (None, &[]);
        }
        value = Some(before * 10 + i64::from(byte - b'0'));
    }
    (as_len(value), &[])
}

fn as_len(value: Option<i64>) -> Option<usize> {
    usize::try_from(value?).ok()
}
