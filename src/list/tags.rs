//! Patterns for tags: all, those that a regular expression matches, or a range of versions.

mod error;
mod range;
mod regex;
mod version;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

pub use self::regex::TagRegex;
pub use error::PatternError;
pub use range::{RangeError, VersionRange};
pub use version::Version;

use self::version::Age;
use error::require_short;
use hod_oci::{ReferrerTag, Tag};

/// Selects tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPattern {
    pub rule: TagRule,
    /// Maximum number of tags: the newest ones.
    pub limit: Option<NonZeroUsize>,
}

/// The condition for a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagRule {
    /// `*`
    Any,
    /// `~REGEX`
    Regex(TagRegex),
    /// `>=1.2 <2`
    Versions(TagVersions),
}

/// A range of versions for tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersions {
    text: String,
    range: VersionRange,
}

impl TagPattern {
    /// Returns true if a tag matches, without limits. Tags of referrers never match: they are
    /// carried with their images.
    pub fn matches(&self, tag: &Tag) -> bool {
        ReferrerTag::parse(tag).is_none() && self.rule.matches(tag)
    }

    /// The matching tags, from the oldest to the newest.
    ///
    /// Versions are newer than all other tags and compared as versions; the others are in the
    /// natural order, in which `nightly-10` comes after `nightly-9`.
    pub fn choose(&self, tags: impl IntoIterator<Item = Tag>) -> Vec<Tag> {
        self.newest(tags.into_iter().filter(|tag| self.matches(tag)))
    }

    /// As [`Self::choose`], with the tags of referrers.
    pub fn choose_any(&self, tags: impl IntoIterator<Item = Tag>) -> Vec<Tag> {
        self.newest(tags.into_iter().filter(|tag| self.rule.matches(tag)))
    }

    fn newest(&self, matching: impl Iterator<Item = Tag>) -> Vec<Tag> {
        let mut chosen: Vec<Tag> = matching.collect();
        chosen.sort_by_cached_key(Age::of);
        chosen.dedup();
        let n_left = match self.limit {
            Some(limit) => chosen.len().saturating_sub(limit.get()),
            None => 0,
        };
        chosen.split_off(n_left)
    }
}

impl FromStr for TagRule {
    type Err = PatternError;

    /// Parses `*`, `~REGEX` or a range of versions.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.strip_prefix('~') {
            _ if text == "*" => Ok(Self::Any),
            // `~1.2` is a range of versions elsewhere, but here as in lists an expression.
            Some(regex) => Ok(Self::Regex(TagRegex::whole(regex)?)),
            None => Ok(Self::Versions(TagVersions::parse(text)?)),
        }
    }
}

impl TagRule {
    fn matches(&self, tag: &Tag) -> bool {
        match self {
            Self::Any => true,
            Self::Regex(regex) => regex.matches(tag),
            Self::Versions(versions) => {
                let version = Version::parse(tag.as_str());
                version.is_some_and(|version| versions.range.contains(&version))
            }
        }
    }
}

impl TagVersions {
    /// A range of versions.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        require_short(text)?;
        Ok(Self {
            range: VersionRange::parse(text)?,
            text: text.to_owned(),
        })
    }

    /// A range of versions from a file in which it stands alone (`1.x`, `1.0 - 1.4`, `*`). Its text
    /// is the same range as a line of a list has it after the colon: `=1`.
    pub fn constraint(text: &str) -> Result<Self, PatternError> {
        let range = Self::parse(text)?.range;
        let text = range.to_string();
        require_short(&text)?;
        Ok(Self { text, range })
    }
}

impl fmt::Display for TagRule {
    /// As a line of a list has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Regex(regex) => write!(f, "~{regex}"),
            Self::Versions(versions) => f.write_str(&versions.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(rule: TagRule, limit: usize) -> TagPattern {
        TagPattern {
            rule,
            limit: NonZeroUsize::new(limit),
        }
    }

    fn regex(text: &str) -> TagRule {
        TagRule::Regex(TagRegex::whole(text).unwrap())
    }

    #[test]
    fn patterns_choose_tags_and_the_newest_of_them() {
        let referrer = format!("sha256-{}", "a".repeat(64));
        let tags = [
            "1.10.0",
            "1.9.0",
            "latest",
            "v1.2",
            "2.0.0-rc1",
            "1.27-alpine",
            "nightly-10",
            "nightly-9",
            &referrer,
        ];
        let versions = |text: &str| TagRule::Versions(TagVersions::parse(text).unwrap());
        for (pattern, expect) in [
            (
                pattern(TagRule::Any, 0),
                "latest nightly-9 nightly-10 v1.2 1.9.0 1.10.0 1.27-alpine 2.0.0-rc1",
            ),
            (pattern(TagRule::Any, 2), "1.27-alpine 2.0.0-rc1"),
            (pattern(versions(">=1.2 <2"), 0), "v1.2 1.9.0 1.10.0"),
            (pattern(versions(">=1.2 <2"), 1), "1.10.0"),
            (pattern(regex("nightly-.*"), 1), "nightly-10"),
            (pattern(regex("1"), 0), ""),
            (pattern(regex(r"1\.|v1\.2|late"), 0), "v1.2"),
            (pattern(regex(".*-alpine"), 9), "1.27-alpine"),
            (pattern(regex("sha256.*"), 0), ""),
        ] {
            let chosen = pattern.choose(tags.iter().map(|tag| tag.parse().unwrap()));
            let chosen: Vec<&str> = chosen.iter().map(Tag::as_str).collect();
            assert_eq!(chosen.join(" "), expect, "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_has_a_length() {
        assert!(TagVersions::parse(&">=1 ".repeat(300)).is_err());
    }
}
