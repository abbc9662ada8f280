//! The two headers that name a part of a blob: `Range` of a download (RFC 9110, 14.1) and
//! `Content-Range` of an upload's chunk, which the distribution-spec spells its own way.

/// The meaning of a `Range` header for a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: no header, or one that a server may ignore (another unit, several ranges).
    Whole,
    /// `len` bytes, at least one, from `start`.
    Part { start: u64, len: u64 },
    /// Bytes that the blob does not have.
    Unsatisfiable,
}

/// Reads the value of a `Range` header for a blob of `total` bytes.
pub(super) fn parse_range(value: &str, total: u64) -> Asked {
    let Some((first, last)) = value
        .trim()
        .strip_prefix("bytes=")
        .and_then(|spec| spec.split_once('-'))
    else {
        return Asked::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let last = match (number(last), last) {
        (Some(last), _) => Some(last),
        (None, "") => None,
        (None, _) => return Asked::Whole,
    };
    let (start, end) = match (number(first), first, last) {
        (Some(start), _, Some(last)) if last < start => return Asked::Whole,
        (Some(start), _, Some(last)) => (start, last.saturating_add(1).min(total)),
        (Some(start), _, None) => (start, total),
        (None, "", Some(suffix)) => (total.saturating_sub(suffix), total),
        (None, _, _) => return Asked::Whole,
    };
    if start >= end {
        return Asked::Unsatisfiable;
    }
    Asked::Part {
        start,
        len: end - start,
    }
}

/// A chunk's place in its blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkRange {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// Reads `<start>-<end>`, the end included; `bytes ` before and `/…` after it are tolerated, as
/// HTTP proper has them.
pub(super) fn parse_chunk_range(value: &str) -> Option<ChunkRange> {
    let value = value.trim();
    let value = value.strip_prefix("bytes").unwrap_or(value);
    let value = value.trim_start_matches(['=', ' ']);
    let value = value.split_once('/').map_or(value, |(range, _)| range);
    let (start, end) = value.split_once('-')?;
    let (start, end) = (number(start)?, number(end)?);
    let len = end.checked_sub(start)?.checked_add(1)?;
    Some(ChunkRange { start, len })
}

/// Digits only: `parse` also accepts a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        #[track_caller]
        fn check(value: &str, expect: Asked) {
            assert_eq!(parse_range(value, 10), expect, "{value}");
        }
        let part = |start, len| Asked::Part { start, len };
        check("bytes=0-3", part(0, 4));
        check("bytes=4-", part(4, 6));
        check("bytes=9-9", part(9, 1));
        check("bytes=5-999", part(5, 5));
        check("bytes=-3", part(7, 3));
        check("bytes=-99", part(0, 10));
        check("bytes=0-18446744073709551615", part(0, 10));
        check("bytes=10-", Asked::Unsatisfiable);
        check("bytes=-0", Asked::Unsatisfiable);
        for ignored in [
            "bytes=3-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=-",
            "bytes=+1-2",
            "",
        ] {
            check(ignored, Asked::Whole);
        }
        assert_eq!(parse_range("bytes=0-", 0), Asked::Unsatisfiable);
    }

    #[test]
    fn places_of_chunks() {
        #[track_caller]
        fn check(value: &str, expect: Option<(u64, u64)>) {
            let actual = parse_chunk_range(value).map(|range| (range.start, range.len));
            assert_eq!(actual, expect, "{value}");
        }
        check("0-0", Some((0, 1)));
        check("5-9", Some((5, 5)));
        check("bytes 5-9/*", Some((5, 5)));
        for bad in ["", "5", "9-5", "a-b", "0-18446744073709551615", "-1-2"] {
            check(bad, None);
        }
    }
}
