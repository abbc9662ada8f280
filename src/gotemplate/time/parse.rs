//! RFC 3339, as strict as Go's JSON is.

use super::instant::{DAY, Time, days_since_1970};

pub(super) fn rfc3339(text: &str) -> Option<Time> {
    let bytes = text.as_bytes();
    let number = |at: usize, len: usize, range: std::ops::RangeInclusive<i64>| {
        let digits = bytes.get(at..at + len)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let value: i64 = is_number.then(|| digits.parse().ok())??;
        range.contains(&value).then_some(value)
    };
    let has = |at: usize, byte: u8| (bytes.get(at) == Some(&byte)).then_some(());
    let (year, month) = (number(0, 4, 0..=9_999)?, number(5, 2, 1..=12)?);
    let day = number(8, 2, 1..=days_in(month, year))?;
    let (hour, minute) = (number(11, 2, 0..=23)?, number(14, 2, 0..=59)?);
    let second = number(17, 2, 0..=59)?;
    has(4, b'-')?;
    has(7, b'-')?;
    has(10, b'T')?;
    has(13, b':')?;
    has(16, b':')?;
    let rest = &text[19..];
    let (nanos, zone) = fraction(rest)?;
    let offset = if zone == "Z" {
        0
    } else {
        let at = text.len() - zone.len();
        let sign = match zone.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = number(at + 1, 2, 0..=23)?;
        let minutes = number(at + 4, 2, 0..=59)?;
        has(at + 3, b':')?;
        (zone.len() == 6).then_some(sign * (hours * 60 + minutes) * 60)?
    };
    let local = days_since_1970(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    Some(Time {
        seconds: local - offset,
        nanos,
        offset: i32::try_from(offset).ok()?,
    })
}

/// Splits a fraction of a second, in nanoseconds, from the zone behind it.
fn fraction(rest: &str) -> Option<(u32, &str)> {
    let Some(digits) = rest.strip_prefix('.') else {
        return Some((0, rest));
    };
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    if end == 0 {
        return None;
    }
    let (digits, zone) = digits.split_at(end);
    // Digits beyond nanoseconds are dropped.
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    Some((nine.parse().ok()?, zone))
}

fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
