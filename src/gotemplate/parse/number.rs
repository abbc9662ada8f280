//! Number and character constants.

use crate::node::Number;
use hod_gotext::{Unquoted, quote, unquote_one};

/// Why a constant is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// An escape that does not exist.
    Syntax,
    MalformedCharacter,
    Overflow,
    Illegal,
    /// A complex number, which nothing prints.
    Complex,
}

impl NumberError {
    pub(super) fn message(self, source: &str) -> String {
        let quoted = quote(source);
        match self {
            Self::Syntax => "invalid syntax".to_owned(),
            Self::MalformedCharacter => format!("malformed character constant: {source}"),
            Self::Overflow => format!("integer overflow: {quoted}"),
            Self::Illegal => format!("illegal number syntax: {quoted}"),
            Self::Complex => format!("complex numbers are not supported: {quoted}"),
        }
    }
}

/// Reads a character in its quotes.
pub(super) fn character(source: &str) -> Result<Number, NumberError> {
    let (c, rest) = unquote_one(&source[1..], '\'').ok_or(NumberError::Syntax)?;
    if rest != "'" {
        return Err(NumberError::MalformedCharacter);
    }
    let code = match c {
        Unquoted::Char(c) => u32::from(c),
        Unquoted::Byte(byte) => u32::from(byte),
    };
    Ok(Number {
        source: source.to_owned(),
        int: Some(i64::from(code)),
        uint: Some(u64::from(code)),
        float: Some(f64::from(code)),
    })
}

pub(super) fn number(source: &str) -> Result<Number, NumberError> {
    if source.ends_with('i') {
        return Err(NumberError::Complex);
    }
    let mut number = Number {
        source: source.to_owned(),
        ..Number::default()
    };
    let magnitude = integer(source.trim_start_matches(['+', '-']));
    let is_signed = source.starts_with(['+', '-']);
    number.uint = magnitude.filter(|_| !is_signed);
    number.int = magnitude.and_then(|magnitude| {
        if source.starts_with('-') {
            0i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    });
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    if let Some(int) = number.int {
        number.float = Some(to_float(int));
    } else if let Some(uint) = number.uint {
        number.float = Some(format!("{uint}").parse().unwrap_or_default());
    } else if let Some(float) = float(source) {
        if !source.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(NumberError::Overflow);
        }
        number.float = Some(float);
        let is_whole = float.fract() == 0.0 && float.abs() < 9.0e18;
        number.int = is_whole
            .then(|| format!("{float:.0}").parse().ok())
            .flatten();
        number.uint = number.int.and_then(|int| u64::try_from(int).ok());
    } else {
        return Err(NumberError::Illegal);
    }
    Ok(number)
}

fn to_float(int: i64) -> f64 {
    format!("{int}").parse().unwrap_or_default()
}

/// Reads an integer without a sign in the base that its prefix says.
fn integer(text: &str) -> Option<u64> {
    if !has_good_underscores(text) {
        return None;
    }
    let text = text.replace('_', "").to_lowercase();
    let (digits, base) = if let Some(digits) = text.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = text.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = text.strip_prefix("0o") {
        (digits, 8)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], 8)
    } else {
        (&*text, 10)
    };
    u64::from_str_radix(digits, base).ok()
}

fn float(source: &str) -> Option<f64> {
    if !has_good_underscores(source.trim_start_matches(['+', '-'])) {
        return None;
    }
    let text = source.replace('_', "").to_lowercase();
    let unsigned = text.trim_start_matches(['+', '-']);
    if let Some(hex) = unsigned.strip_prefix("0x") {
        let value = hex_float(hex)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    if unsigned.starts_with("0b") || unsigned.starts_with("0o") {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Reads `1.8p3`: a mantissa in hexadecimal and a power of two.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, power) = text.split_once('p')?;
    let mut power: i32 = power.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let value = u32::from_str_radix(&digits, 16).ok()?;
    power = power.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let value = f64::from(value) * 2f64.powi(power);
    value.is_finite().then_some(value)
}

/// Returns true if underscores only stand between digits, or behind the prefix of the base.
fn has_good_underscores(text: &str) -> bool {
    let mut before = '^';
    let lower = text.to_lowercase();
    let digits = match lower.get(..2) {
        Some("0x" | "0b" | "0o") => {
            before = '0';
            &lower[2..]
        }
        _ => &lower,
    };
    let is_hex = lower.starts_with("0x");
    for c in digits.chars() {
        let is_digit = c.is_ascii_digit() || is_hex && c.is_ascii_hexdigit();
        let is_bad = match c {
            '_' => before != '0',
            _ => before == '_' && !is_digit,
        };
        if is_bad && text.contains('_') {
            return false;
        }
        before = match c {
            '_' => '_',
            _ if is_digit => '0',
            _ => '!',
        };
    }
    before != '_' || !text.contains('_')
}
