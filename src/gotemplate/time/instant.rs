//! An instant and its zone, as a date and a time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// An instant, and the zone it is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    /// Seconds east of UTC.
    pub(super) offset: i32,
}

/// A date and a time of day in some zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: u8,
    /// From 1.
    pub(super) day: u8,
    /// From 1.
    pub(super) day_of_year: u16,
    /// 0 is Sunday.
    pub(super) weekday: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

pub(super) const DAY: i64 = 86_400;

impl Time {
    /// The zero of Go's `time.Time`: the first of January of year 1.
    pub const ZERO: Time = Time {
        seconds: -62_135_596_800,
        nanos: 0,
        offset: 0,
    };

    /// Makes an instant in UTC, `seconds` after 1970-01-01T00:00:00Z.
    pub fn utc(seconds: i64, nanos: u32) -> Self {
        Self {
            seconds,
            nanos: nanos.min(999_999_999),
            offset: 0,
        }
    }

    /// Returns the instant in UTC.
    pub(crate) fn to_utc(self) -> Self {
        Self { offset: 0, ..self }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.seconds == Self::ZERO.seconds && self.nanos == 0
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// Returns year, day of the year, day of the month, hour, minute or second by Go's name of it.
    pub(crate) fn part(self, name: &str) -> Option<i64> {
        let civil = self.civil();
        Some(match name {
            "Year" => civil.year,
            "YearDay" => i64::from(civil.day_of_year),
            "Day" => i64::from(civil.day),
            "Hour" => i64::from(civil.hour),
            "Minute" => i64::from(civil.minute),
            "Second" => i64::from(civil.second),
            "Nanosecond" => i64::from(self.nanos),
            _ => return None,
        })
    }

    pub(super) fn civil(self) -> Civil {
        let local = self.seconds.saturating_add(i64::from(self.offset));
        let (days, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // Eras of 400 years that begin in March, so that a leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Civil {
            year,
            month: small(month),
            day: small(day),
            day_of_year: u16::try_from(days - days_before_year(year) + 1).unwrap_or_default(),
            weekday: small((days + 4).rem_euclid(7)),
            hour: small(second / 3_600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
        }
    }
}

/// Narrows a part of a date, which is never large.
fn small(part: i64) -> u8 {
    u8::try_from(part).unwrap_or_default()
}

/// Returns the days between 1970-01-01 and the first of January of the year.
fn days_before_year(year: i64) -> i64 {
    days_since_1970(year, 1, 1)
}

pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl From<SystemTime> for Time {
    /// The instant in UTC; what is before 1970 is 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self::utc(seconds, since.subsec_nanos())
    }
}
