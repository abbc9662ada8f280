//! How long a registry asks to wait: `Retry-After`, or Docker Hub's `X-Retry-After`.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Returns the delay that the headers of an answer ask for.
///
/// A date is compared with the clock of the server that sent it, since its clock or ours may be
/// wrong.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let date = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let now = date.unwrap_or_else(SystemTime::now);
    if let Some(value) = text(RETRY_AFTER.as_str()) {
        return parse_retry_after(value, now);
    }
    // Docker Hub's, in seconds since 1970.
    let seconds = text("x-retry-after")?.trim().parse().ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Parses `Retry-After`: seconds, or an HTTP date; one in the past means no delay.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        #[track_caller]
        fn check(value: &str, expect: Option<u64>) {
            let now = httpdate::parse_http_date("Tue, 24 Nov 2026 12:00:00 GMT").unwrap();
            let actual = parse_retry_after(value, now);
            assert_eq!(actual, expect.map(Duration::from_secs), "{value}");
        }
        check("17", Some(17));
        check(" 0 ", Some(0));
        check("Tue, 24 Nov 2026 12:01:30 GMT", Some(90));
        check("Tue, 24 Nov 2026 11:00:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
        check("99999999999999999999999", None);
    }

    #[test]
    fn dates_are_taken_by_the_clock_that_wrote_them() {
        #[track_caller]
        fn check(headers: &[(&'static str, &str)], expect: Option<u64>) {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let actual = retry_after(&map);
            assert_eq!(actual, expect.map(Duration::from_secs), "{headers:?}");
        }
        let (date, later) = (
            "Fri, 24 Nov 2000 12:00:00 GMT",
            "Fri, 24 Nov 2000 12:00:30 GMT",
        );
        check(&[("date", date), ("retry-after", later)], Some(30));
        check(&[("retry-after", later)], Some(0));
        check(&[("date", date), ("retry-after", "7")], Some(7));
        check(&[("date", date), ("x-retry-after", "975067210")], Some(10));
        check(&[("x-retry-after", "soon")], None);
        check(&[], None);
    }
}
