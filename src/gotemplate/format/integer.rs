//! Integers in all bases.

use super::padding::{Flags, Printer};
use hod_gotext::{character, is_print, quote_char};

/// The bases that verbs print.
const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// An integer, and whether its type has negative values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integer {
    pub value: i64,
    pub is_signed: bool,
}

impl Printer {
    /// Prints an integer; false if the verb is not one for integers.
    pub(super) fn integer(&mut self, integer: Integer, verb: char) -> bool {
        // What is negative is a very large number to these verbs.
        let code = integer.value.cast_unsigned();
        match verb {
            'v' if self.flags.is_go_syntax && !integer.is_signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(integer, 16, 'v');
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(integer, 10, verb),
            'b' => self.digits(integer, 2, verb),
            'o' | 'O' => self.digits(integer, 8, verb),
            'x' | 'X' => self.digits(integer, 16, verb),
            'c' => self.pad(character(code).encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let charset = self.flags.charset();
                self.pad(quote_char(code, charset).as_bytes());
            }
            'U' => self.unicode(code),
            _ => return false,
        }
        true
    }

    fn digits(&mut self, integer: Integer, base: u64, verb: char) {
        let Flags {
            width,
            precision,
            zero,
            minus,
            plus,
            space,
            ..
        } = self.flags;
        let is_negative = integer.value < 0;
        if precision == Some(0) && integer.value == 0 {
            self.unpadded_zero(|printer| printer.pad(b""));
            return;
        }
        let wanted = match (precision, width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if zero && !minus => {
                width.saturating_sub(usize::from(is_negative || plus || space))
            }
            _ => 0,
        };
        let table = if verb == 'X' { UPPER } else { LOWER };
        // The digits from the last to the first.
        let mut text = Vec::new();
        let mut rest = integer.value.unsigned_abs();
        loop {
            let digit = usize::try_from(rest % base).unwrap_or_default();
            text.push(table[digit]);
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        let missing = wanted.saturating_sub(text.len());
        text.resize(text.len() + missing, b'0');
        if self.flags.sharp {
            match base {
                2 => text.extend(b"b0"),
                8 if text.last() != Some(&b'0') => text.push(b'0'),
                16 => text.extend(if verb == 'X' { b"X0" } else { b"x0" }),
                _ => {}
            }
        }
        if verb == 'O' {
            text.extend(b"o0");
        }
        if is_negative {
            text.push(b'-');
        } else if plus {
            text.push(b'+');
        } else if space {
            text.push(b' ');
        }
        text.reverse();
        self.unpadded_zero(|printer| printer.pad(&text));
    }

    fn unicode(&mut self, code: u64) {
        let precision = self.flags.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{code:0precision$X}");
        let printed = u32::try_from(code).ok().and_then(char::from_u32);
        if let Some(c) = printed.filter(|c| self.flags.sharp && is_print(*c)) {
            text.extend([format!(" '{c}'")]);
        }
        self.unpadded_zero(|printer| printer.pad(text.as_bytes()));
    }

    /// Runs without the flag for zeros: they are among the digits.
    fn unpadded_zero(&mut self, print: impl Fn(&mut Self)) {
        let zero = std::mem::take(&mut self.flags.zero);
        print(self);
        self.flags.zero = zero;
    }
}
