//! Texts in their width.

use crate::limits::TEXT_LEN_MAX;
use hod_gotext::{Charset, count};

/// What stands between the percent sign and the verb.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools)]
pub(super) struct Flags {
    pub width: Option<usize>,
    pub precision: Option<usize>,
    pub minus: bool,
    pub plus: bool,
    pub sharp: bool,
    pub space: bool,
    pub zero: bool,
    /// `%#v`.
    pub is_go_syntax: bool,
    /// `%+v`: structs are printed with the names of their fields.
    pub has_names: bool,
}

impl Flags {
    /// The characters that stand for themselves in quotes.
    pub(super) fn charset(&self) -> Charset {
        if self.plus {
            Charset::Ascii
        } else {
            Charset::Unicode
        }
    }
}

/// Prints values one after another.
#[derive(Debug, Default)]
pub(super) struct Printer {
    pub out: Vec<u8>,
    pub flags: Flags,
}

impl Printer {
    pub(super) fn text(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
    }

    /// Writes a text with blanks or zeros up to the width.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let missing = self.flags.width.unwrap_or(0).saturating_sub(count(text));
        if self.flags.minus {
            self.out.extend(text);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.out.extend(text);
        }
    }

    pub(super) fn padding(&mut self, len: usize) {
        let zero = self.flags.zero && !self.flags.minus;
        let byte = if zero { b'0' } else { b' ' };
        // One more than allowed, so that it is refused.
        let len = len.min((TEXT_LEN_MAX + 1).saturating_sub(self.out.len()));
        self.out.resize(self.out.len() + len, byte);
    }
}
