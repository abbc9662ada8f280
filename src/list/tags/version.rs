//! Versions as tags have them, and the order of tags by age.

use std::cmp::Ordering;

use hod_oci::Tag;

/// A version: one to three numbers, with `v` in front or not, and perhaps a pre-release.
///
/// The grammar is semver's, with missing numbers taken for zero and leading zeros allowed. The part
/// after a dash is a pre-release, also the suffix of `1.27-alpine`.
#[derive(Debug, Clone)]
pub struct Version {
    pub(super) numbers: [u64; 3],
    /// The identifiers after the dash; empty for a release.
    pub(super) pre: Vec<Box<str>>,
}

impl Version {
    /// Parses a version; `None` for a text that is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (core, pre) = match text.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (text, None),
        };
        let mut numbers = [0; 3];
        for (n, part) in core.split('.').enumerate() {
            *numbers.get_mut(n)? = number(part)?;
        }
        let pre: Vec<Box<str>> = pre
            .into_iter()
            .flat_map(|pre| pre.split('.'))
            .map(Box::from)
            .collect();
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let is_identifier = |word: &str| !word.is_empty() && word.bytes().all(is_word);
        pre.iter()
            .all(|word| is_identifier(word))
            .then_some(Self { numbers, pre })
    }

    /// Whether it is a pre-release.
    pub(super) fn is_pre(&self) -> bool {
        !self.pre.is_empty()
    }
}

/// A number of ASCII digits.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

impl Ord for Version {
    /// Semver's precedence, except that words with numbers in them are compared by these: `rc9`
    /// comes before `rc10`.
    fn cmp(&self, other: &Self) -> Ordering {
        let of_core = self.numbers.cmp(&other.numbers);
        of_core.then_with(|| match (self.pre.as_slice(), other.pre.as_slice()) {
            ([], []) => Ordering::Equal,
            ([], _) => Ordering::Greater,
            (_, []) => Ordering::Less,
            (own, others) => {
                let pairs = own.iter().zip(others);
                let mut orders = pairs.map(|(own, other)| compare_identifiers(own, other));
                let first = orders.find(|order| order.is_ne());
                first.unwrap_or_else(|| own.len().cmp(&others.len()))
            }
        })
    }
}

fn compare_identifiers(own: &str, other: &str) -> Ordering {
    let is_word = |text: &str| !text.bytes().all(|b| b.is_ascii_digit());
    let kinds = is_word(own).cmp(&is_word(other));
    kinds.then_with(|| natural(own, other))
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

/// The natural order: runs of digits are compared as numbers, everything else by its bytes.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut rest, mut other_rest) = (one.as_bytes(), other.as_bytes());
    loop {
        let (Some(own), Some(others)) = (rest.first(), other_rest.first()) else {
            let is_longer = rest.len().cmp(&other_rest.len());
            // Equal but for zeros in front of a number.
            return is_longer.then_with(|| one.cmp(other));
        };
        let order;
        if own.is_ascii_digit() && others.is_ascii_digit() {
            let (number, other_number);
            (number, rest) = digits(rest);
            (other_number, other_rest) = digits(other_rest);
            let is_longer = number.len().cmp(&other_number.len());
            order = is_longer.then_with(|| number.cmp(other_number));
        } else {
            order = own.cmp(others);
            (rest, other_rest) = (&rest[1..], &other_rest[1..]);
        }
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes a number off the front, without the zeros that it begins with.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (run, rest) = text.split_at(end.unwrap_or(text.len()));
    let start = run.iter().position(|b| *b != b'0');
    (&run[start.unwrap_or(run.len())..], rest)
}

/// The place of a tag among others by age: versions are newer than other tags and ordered by their
/// precedence, others by the natural order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Age {
    version: Option<Version>,
    tag: Tag,
}

impl Age {
    pub(super) fn of(tag: &Tag) -> Self {
        Self {
            version: Version::parse(tag.as_str()),
            tag: tag.clone(),
        }
    }
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        // `None` comes first.
        let by_version = self.version.cmp(&other.version);
        by_version.then_with(|| natural(self.tag.as_str(), other.tag.as_str()))
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_ordered_by_age() {
        let ordered = [
            "RELEASE.2023-01-02",
            "RELEASE.2023-10-01",
            "latest",
            "nightly-9",
            "nightly-10",
            "0.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-rc9",
            "1.0.0-rc10",
            "1.0.0",
            "v1.0.1",
            "1.2-alpine",
            "1.2",
            "1.2.0",
            "v1.2",
            "1.10",
            "2024.01.15",
        ];
        let mut tags: Vec<Tag> = ordered
            .iter()
            .rev()
            .map(|tag| tag.parse().unwrap())
            .collect();
        tags.sort_by_cached_key(Age::of);
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, ordered);
    }

    #[test]
    fn what_is_not_a_version_is_told() {
        for (text, expect) in [
            ("1", true),
            ("v1.2.3-rc.1", true),
            ("1.27-alpine3.18", true),
            ("01.002", true),
            ("1.2.3+build.5", true),
            ("latest", false),
            ("1.2.3.4", false),
            ("1.", false),
            ("v", false),
            ("", false),
            ("1.2-", false),
            ("1.2-a..b", false),
            ("1.2_3", false),
            ("1.2-a_b", false),
            ("99999999999999999999", false),
        ] {
            assert_eq!(Version::parse(text).is_some(), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_tags_is_total(tags in prop::collection::vec("[v0-9a-c.-]{1,6}", 3)) {
            let tags: Result<Vec<Tag>, _> = tags.iter().map(|tag| tag.parse()).collect();
            if let Ok(tags) = tags {
                let ages: Vec<Age> = tags.iter().map(Age::of).collect();
                for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                    prop_assert_eq!(ages[a].cmp(&ages[b]), ages[b].cmp(&ages[a]).reverse());
                    prop_assert_eq!(ages[a].cmp(&ages[b]).is_eq(), tags[a] == tags[b]);
                }
                if ages[0] <= ages[1] && ages[1] <= ages[2] {
                    prop_assert!(ages[0] <= ages[2]);
                }
            }
        }
    }
}
