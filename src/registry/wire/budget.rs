//! The number of pulls that a registry still allows according to its answers: Docker Hub's `ratelimit-limit:
//! 100;w=21600` and `ratelimit-remaining: 76;w=21600`. They are absent where nothing is limited.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;

use hod_report::amount::format_eta;

/// The number of requests that a registry allows within a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub remaining: u64,
    /// The number allowed at the start of the window, if the registry says so.
    pub limit: Option<u64>,
    pub window: Option<Duration>,
}

impl Budget {
    pub(crate) fn parse(headers: &HeaderMap) -> Option<Self> {
        let read = |name: &str| headers.get(name)?.to_str().ok().and_then(quantity);
        let (remaining, window) = read("ratelimit-remaining")?;
        let limit = read("ratelimit-limit");
        Some(Self {
            remaining,
            limit: limit.map(|(limit, _)| limit),
            window: window.or_else(|| limit.and_then(|(_, window)| window)),
        })
    }
}

impl fmt::Display for Budget {
    /// `76 of 100 pulls left in a window of 6h00m`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.remaining)?;
        if let Some(limit) = self.limit {
            write!(f, " of {limit}")?;
        }
        f.write_str(" pulls left")?;
        match self.window {
            Some(window) => write!(f, " in a window of {}", format_eta(window)),
            None => Ok(()),
        }
    }
}

/// Reads `100;w=21600`, the first of several.
fn quantity(value: &str) -> Option<(u64, Option<Duration>)> {
    let first = value.split(',').next()?;
    let mut parts = first.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    Some((number, window.map(Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_parse() {
        #[track_caller]
        fn check(remaining: Option<&str>, limit: Option<&str>, expect: Option<&str>) {
            let mut headers = HeaderMap::new();
            if let Some(value) = remaining {
                headers.insert("ratelimit-remaining", value.parse().unwrap());
            }
            if let Some(value) = limit {
                headers.insert("ratelimit-limit", value.parse().unwrap());
            }
            let actual = Budget::parse(&headers).map(|budget| budget.to_string());
            assert_eq!(actual.as_deref(), expect);
        }
        check(
            Some("76;w=21600"),
            Some("100;w=21600"),
            Some("76 of 100 pulls left in a window of 6h00m"),
        );
        check(
            Some("0"),
            Some(" 200 ; w=3600"),
            Some("0 of 200 pulls left in a window of 1h00m"),
        );
        check(Some("5, 10;w=60"), None, Some("5 pulls left"));
        check(Some("5;q=1;w=x"), Some("?"), Some("5 pulls left"));
        check(None, Some("100;w=21600"), None);
        check(Some("-1"), Some("100"), None);
        check(Some("many"), None, None);
    }
}
