//! Amounts as people read them.

use std::time::Duration;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Formats a number of bytes: `0 B`, `1023 B`, `1.0 KiB`, `9.6 GiB`.
pub fn format_len(len: u64) -> String {
    let unit = unit_of(len);
    format!("{} {}", in_unit(len, unit), UNITS[unit])
}

/// Formats an exact number of bytes: `20,840,960`.
pub fn format_bytes(len: u64) -> String {
    let digits = len.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats how much of `len` bytes is done, in the unit of the whole: `1.2/9.6 GiB`.
pub fn format_part(done: u64, len: u64) -> String {
    let unit = unit_of(len);
    let (done, whole) = (in_unit(done, unit), in_unit(len, unit));
    format!("{done}/{whole} {}", UNITS[unit])
}

/// Formats bytes per second: `85 MiB/s`, with a decimal below ten of a unit: `8.5 MiB/s`.
pub fn format_rate(len_per_second: u64) -> String {
    let unit = unit_of(len_per_second);
    let tenths = tenths_in_unit(len_per_second, unit);
    if unit == 0 || tenths >= 100 {
        let whole = (tenths + 5) / 10;
        format!("{whole} {}/s", UNITS[unit])
    } else {
        format!("{}/s", format_len(len_per_second))
    }
}

/// Formats a time span: `45 ms`, `12.3 s`, `1m40s`, `2h05m`.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 100 {
        return format!("{millis} ms");
    }
    let tenths = (millis + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    format_whole_seconds((millis + 500) / 1000)
}

/// Formats the time that is left, in whole seconds, rounded up: `8s`, `1m40s`, `2h05m`.
pub fn format_eta(left: Duration) -> String {
    format_whole_seconds(left.as_millis().div_ceil(1000))
}

/// Formats a count with its noun: `1 image`, `3 images`.
///
/// The plural of `noun` is made by adding an `s`.
pub fn format_count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

fn format_whole_seconds(seconds: u128) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m{seconds:02}s")
    } else {
        format!("{seconds}s")
    }
}

/// The largest unit in which `len`, rounded to one decimal, is at least one.
fn unit_of(len: u64) -> usize {
    let mut unit = 0;
    while unit + 1 < UNITS.len() && rounds_up_to_next(len, unit) {
        unit += 1;
    }
    unit
}

/// Whether `len` would be written as 1024 or more of `unit`: 1048575 is `1.0 MiB`, not
/// `1024.0 KiB`.
fn rounds_up_to_next(len: u64, unit: usize) -> bool {
    tenths_in_unit(len, unit) >= 10_240
}

/// `len` in tenths of `unit`, rounded to the nearest.
fn tenths_in_unit(len: u64, unit: usize) -> u128 {
    let divisor = 1_u128 << (10 * unit);
    (u128::from(len) * 10 + divisor / 2) / divisor
}

fn in_unit(len: u64, unit: usize) -> String {
    if unit == 0 {
        return len.to_string();
    }
    let tenths = tenths_in_unit(len, unit);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Volumes by number: "volume 2", "volumes 2, 3 and 7".
pub fn format_volumes(volumes: &[u32]) -> String {
    let numbers: Vec<String> = volumes.iter().map(ToString::to_string).collect();
    match &numbers[..] {
        [rest @ .., last] if !rest.is_empty() => {
            format!("volumes {} and {last}", rest.join(", "))
        }
        _ => format!("volume {}", numbers.concat()),
    }
}

/// Names the missing volumes: "volumes 2, 3 and 4 of 4 are missing".
pub fn format_missing(missing: &[u32], count: u32) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} of {count} {verb} missing", format_volumes(missing))
}

/// Whether a number is zero, and so left out.
pub fn is_zero<N: Default + PartialEq>(n: &N) -> bool {
    *n == N::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_lengths() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (20_840_960, "20,840,960"),
        ];
        for (len, expect) in table {
            assert_eq!(format_bytes(len), expect);
        }
    }

    #[test]
    fn lengths() {
        let table = [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (10_307_921_510, "9.6 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (len, expect) in table {
            assert_eq!(format_len(len), expect, "{len}");
        }
    }

    #[test]
    fn parts_share_the_unit_of_the_whole() {
        let table = [
            (0, 0, "0/0 B"),
            (512, 900, "512/900 B"),
            (0, 10_307_921_510, "0.0/9.6 GiB"),
            (1_288_490_189, 10_307_921_510, "1.2/9.6 GiB"),
            (1_048_575, 1_048_576, "1.0/1.0 MiB"),
        ];
        for (done, len, expect) in table {
            assert_eq!(format_part(done, len), expect);
        }
    }

    #[test]
    fn rates() {
        let table = [
            (0, "0 B/s"),
            (999, "999 B/s"),
            (8_912_896, "8.5 MiB/s"),
            (10_433_331, "9.9 MiB/s"),
            (10_438_574, "10 MiB/s"),
            (89_128_960, "85 MiB/s"),
            (1_073_741_823, "1.0 GiB/s"),
        ];
        for (rate, expect) in table {
            assert_eq!(format_rate(rate), expect, "{rate}");
        }
    }

    #[test]
    fn durations() {
        let table = [
            (0, "0 ms", "0s"),
            (45, "45 ms", "1s"),
            (99, "99 ms", "1s"),
            (100, "0.1 s", "1s"),
            (12_345, "12.3 s", "13s"),
            (59_949, "59.9 s", "1m00s"),
            (59_950, "1m00s", "1m00s"),
            (100_000, "1m40s", "1m40s"),
            (3_599_400, "59m59s", "1h00m"),
            (3_599_500, "1h00m", "1h00m"),
            (7_500_000, "2h05m", "2h05m"),
        ];
        for (millis, duration, eta) in table {
            let span = Duration::from_millis(millis);
            assert_eq!(format_duration(span), duration, "{millis}");
            assert_eq!(format_eta(span), eta, "{millis}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(format_count(0, "image"), "0 images");
        assert_eq!(format_count(1, "image"), "1 image");
        assert_eq!(format_count(2, "blob"), "2 blobs");
    }
}
