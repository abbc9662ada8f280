//! Go's layouts of times.

use super::instant::Time;

/// What stands in a layout for a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    LongMonth,
    Month,
    LongWeekday,
    Weekday,
    Zone,
    Number {
        of: Of,
        width: usize,
        pad: char,
    },
    Upper,
    Lower,
    /// An offset; `z` prints Z for UTC.
    Offset {
        z: bool,
        colon: bool,
        fields: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    Hour12,
    Minute,
    Second,
}

const fn number(of: Of, width: usize) -> Part {
    Part::Number {
        of,
        width,
        pad: '0',
    }
}

const fn padded(of: Of, width: usize) -> Part {
    Part::Number {
        of,
        width,
        pad: ' ',
    }
}

const fn offset(z: bool, colon: bool, fields: u8) -> Part {
    Part::Offset { z, colon, fields }
}

/// What stands for what; the first that fits counts.
const PARTS: [(&str, Part); 37] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::Zone),
    ("01", number(Of::Month, 2)),
    ("02", number(Of::Day, 2)),
    ("03", number(Of::Hour12, 2)),
    ("04", number(Of::Minute, 2)),
    ("05", number(Of::Second, 2)),
    ("06", number(Of::YearOfCentury, 2)),
    ("002", number(Of::DayOfYear, 3)),
    ("15", number(Of::Hour, 2)),
    ("1", number(Of::Month, 0)),
    ("2006", number(Of::Year, 4)),
    ("2", number(Of::Day, 0)),
    ("__2", padded(Of::DayOfYear, 3)),
    ("_2", padded(Of::Day, 2)),
    ("3", number(Of::Hour12, 0)),
    ("4", number(Of::Minute, 0)),
    ("5", number(Of::Second, 0)),
    ("PM", Part::Upper),
    ("pm", Part::Lower),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
    // Fractions begin with these; `fraction` reads them.
    (".0", Part::Zone),
    (".9", Part::Zone),
    (",0", Part::Zone),
    (",9", Part::Zone),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

pub(super) fn format(time: Time, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(len) = fraction(time, rest, &mut out) {
            rest = &rest[len..];
            continue;
        }
        let fits = PARTS.iter().find(|(text, part)| {
            let is_word = matches!(part, Part::Month | Part::Weekday);
            rest.strip_prefix(text).is_some_and(|after| {
                !(is_word && after.starts_with(|c: char| c.is_ascii_lowercase()))
            })
        });
        match fits {
            // A literal `_` before a year.
            Some(_) if rest.starts_with("_2006") => {
                out.push('_');
                rest = &rest[1..];
            }
            Some((text, part)) if !text.starts_with(['.', ',']) => {
                print(time, *part, &mut out);
                rest = &rest[text.len()..];
            }
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Prints a fraction of a second, and returns the length of what stands for it: a dot or comma, and
/// only zeros or only nines.
fn fraction(time: Time, rest: &str, out: &mut String) -> Option<usize> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..]
        .chars()
        .next()
        .filter(|c| matches!(c, '0' | '9'))?;
    let after = rest[1..].trim_start_matches(digit);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let len = rest.len() - after.len();
    let nanos = format!("{:09}", time.nanos);
    let mut digits = &nanos[..(len - 1).min(9)];
    if digit == '9' {
        digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Some(len);
        }
    }
    out.push(separator);
    out.push_str(digits);
    Some(len)
}

fn print(time: Time, part: Part, out: &mut String) {
    let civil = time.civil();
    let month = MONTHS[usize::from(civil.month.clamp(1, 12)) - 1];
    let weekday = WEEKDAYS[usize::from(civil.weekday) % 7];
    match part {
        Part::LongMonth => out.push_str(month),
        Part::Month => out.push_str(&month[..3]),
        Part::LongWeekday => out.push_str(weekday),
        Part::Weekday => out.push_str(&weekday[..3]),
        Part::Upper => out.push_str(if civil.hour >= 12 { "PM" } else { "AM" }),
        Part::Lower => out.push_str(if civil.hour >= 12 { "pm" } else { "am" }),
        Part::Zone if time.offset == 0 => out.push_str("UTC"),
        Part::Zone => print_offset(time.offset, false, 2, out),
        Part::Offset { z: true, .. } if time.offset == 0 => out.push('Z'),
        Part::Offset { colon, fields, .. } => print_offset(time.offset, colon, fields, out),
        Part::Number { of, width, pad } => {
            let value = match of {
                Of::Year => civil.year,
                Of::YearOfCentury => civil.year.abs() % 100,
                Of::Month => i64::from(civil.month),
                Of::Day => i64::from(civil.day),
                Of::DayOfYear => i64::from(civil.day_of_year),
                Of::Hour => i64::from(civil.hour),
                Of::Hour12 => (i64::from(civil.hour) + 11) % 12 + 1,
                Of::Minute => i64::from(civil.minute),
                Of::Second => i64::from(civil.second),
            };
            let digits = value.unsigned_abs().to_string();
            if value < 0 {
                out.push('-');
            }
            for _ in digits.len()..width {
                out.push(pad);
            }
            out.push_str(&digits);
        }
    }
}

fn print_offset(offset: i32, colon: bool, fields: u8, out: &mut String) {
    let colon = if colon { ":" } else { "" };
    let magnitude = offset.unsigned_abs();
    // A zone less than a minute west of UTC prints as east of it.
    out.push(if offset <= -60 { '-' } else { '+' });
    out.extend([format!("{:02}", magnitude / 3_600)]);
    if fields >= 2 {
        out.extend([format!("{colon}{:02}", magnitude / 60 % 60)]);
    }
    if fields >= 3 {
        out.extend([format!("{colon}{:02}", magnitude % 60)]);
    }
}
