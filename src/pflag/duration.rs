//! Go's durations.

use crate::error::ValueError;

/// The units, in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds of the longest negative duration.
const MAX: u64 = 1 << 63;

/// Reads a duration in nanoseconds: decimal numbers with units, `1h15m30.5s`.
pub(crate) fn parse(text: &str) -> Result<i64, ValueError> {
    let fail = |problem: String| ValueError::Duration {
        problem,
        text: text.to_owned(),
    };
    let invalid = || fail("invalid duration".to_owned());
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit());
        let (unit, after) = after.split_at(unit_end.unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(fail("missing unit in duration".to_owned()));
        }
        let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(fail(format!(
                "unknown unit {} in duration",
                hod_gotext::quote_time(unit)
            )));
        };
        let part = nanoseconds(whole, fraction, *nanos);
        sum = part
            .and_then(|part| sum.checked_add(part))
            .filter(|sum| *sum <= MAX)
            .ok_or_else(invalid)?;
        rest = after;
    }
    if is_negative {
        return Ok(0i64.wrapping_sub_unsigned(sum));
    }
    i64::try_from(sum).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn nanoseconds(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = match whole {
        "" => 0,
        whole => whole.parse().ok().filter(|whole| *whole <= MAX)?,
    };
    let whole = whole.checked_mul(unit).filter(|nanos| *nanos <= MAX)?;
    // No unit has more digits than this behind the point, and what is less than one is dropped.
    let digits: String = fraction
        .chars()
        .chain("0".repeat(18).chars())
        .take(18)
        .collect();
    let fraction: u128 = digits.parse().ok()?;
    let part = fraction * u128::from(unit) / 10u128.pow(18);
    whole
        .checked_add(u64::try_from(part).ok()?)
        .filter(|nanos| *nanos <= MAX)
}
