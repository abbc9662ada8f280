//! Ranges of versions: `>=1.2 <2`, `^1.4 || 2.x`, in the grammar of Masterminds' semver, which
//! skopeo and Helm use.

use std::fmt;

use super::version::{Version, number};

/// A version range: alternatives of comparators; all comparators of one alternative must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(Vec<Vec<Comparator>>);

/// Why a text is not a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("the range of versions is empty")]
    Empty,
    #[error("`{text}` is not a version")]
    Version { text: String },
    #[error("no version after `{operator}`")]
    Operator { operator: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    version: Version,
    /// How many of its numbers are given; the others are any.
    precision: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// By how they are written; longer ones first.
const OPERATORS: [(&str, Operator); 11] = [
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl VersionRange {
    /// Parses groups separated by `||`, of comparators separated by blanks or commas.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        text.split("||")
            .map(group)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a version is in the range. A pre-release is in a group only if one of its comparators
    /// names a pre-release.
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            let names_pre = group.iter().any(|comparator| comparator.version.is_pre());
            (names_pre || !version.is_pre()) && group.iter().all(|one| one.accepts(version))
        })
    }
}

impl fmt::Display for VersionRange {
    /// Writes the range as a line of a list has it: every comparator begins with its operator, and
    /// the first one not with `~`, which begins a regular expression there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, group) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" || ")?;
            }
            let begins_with_tilde = group
                .first()
                .is_some_and(|one| one.operator == Operator::Tilde);
            if n == 0 && begins_with_tilde {
                f.write_str("=x ")?;
            }
            for (n, comparator) in group.iter().enumerate() {
                let blank = if n > 0 { " " } else { "" };
                write!(f, "{blank}{comparator}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.operator {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Tilde => "~",
            Operator::Caret => "^",
        })?;
        if self.precision == 0 {
            return f.write_str("x");
        }
        let numbers = &self.version.numbers[..self.precision];
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))?;
        if self.version.is_pre() {
            write!(f, "-{}", self.version.pre.join("."))?;
        }
        Ok(())
    }
}

fn group(text: &str) -> Result<Vec<Comparator>, RangeError> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    let mut group = Vec::new();
    while let Some(word) = words.next() {
        let (written, operator) = operator(word);
        let mut version = &word[written.len()..];
        if version.is_empty() {
            version = words.next().ok_or_else(|| RangeError::Operator {
                operator: word.to_owned(),
            })?;
        }
        if written.is_empty() && words.next_if_eq(&"-").is_some() {
            let operator = "-".to_owned();
            let end = words.next().ok_or(RangeError::Operator { operator })?;
            group.push(comparator(Operator::GreaterOrEqual, version)?);
            group.push(comparator(Operator::LessOrEqual, end)?);
        } else {
            group.push(comparator(operator, version)?);
        }
    }
    if group.is_empty() {
        return Err(RangeError::Empty);
    }
    Ok(group)
}

/// The operator at the start of a word; a version without one must be equal.
fn operator(word: &str) -> (&'static str, Operator) {
    let mut operators = OPERATORS.into_iter();
    let found = operators.find(|(written, _)| word.starts_with(written));
    found.unwrap_or(("", Operator::Equal))
}

/// Parses the version of a comparator, in which numbers may be left out or written `x` or `*`.
fn comparator(operator: Operator, text: &str) -> Result<Comparator, RangeError> {
    let bad = || RangeError::Version {
        text: text.to_owned(),
    };
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let core = bare.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let precision = parts
        .iter()
        .position(|part| matches!(*part, "x" | "X" | "*"));
    let is_open = precision.is_some();
    let precision = precision.unwrap_or(parts.len());
    let is_part = |part: &&str| matches!(*part, "x" | "X" | "*") || number(part).is_some();
    let is_plain = core.len() == bare.len() && parts.iter().all(is_part);
    if parts.len() > 3 || is_open && !is_plain {
        return Err(bad());
    }
    let version = match (is_open, precision) {
        (true, 0) => Version::parse("0"),
        (true, _) => Version::parse(&parts[..precision].join(".")),
        _ => Version::parse(bare),
    };
    let version = version.ok_or_else(bad)?;
    Ok(Comparator {
        operator,
        // A pre-release is of one version.
        precision: if version.is_pre() { 3 } else { precision },
        version,
    })
}

impl Comparator {
    fn accepts(&self, version: &Version) -> bool {
        let bound = &self.version;
        // The numbers that the comparator gives.
        let given = |version: &Version| version.numbers[..self.precision].to_vec();
        let is_whole = self.precision == 3;
        match self.operator {
            Operator::Equal if is_whole => version == bound,
            Operator::NotEqual if is_whole => version != bound,
            Operator::NotEqual => given(version) != given(bound),
            Operator::Greater if is_whole => version > bound,
            // `1.0` matches all of `1.0.x`.
            Operator::Greater => given(version) > given(bound),
            Operator::GreaterOrEqual => version >= bound,
            Operator::Less => version < bound,
            Operator::LessOrEqual if is_whole => version <= bound,
            Operator::LessOrEqual => given(version) <= given(bound),
            Operator::Equal | Operator::Tilde => {
                let fixed = self.precision.min(2);
                version >= bound && version.numbers[..fixed] == bound.numbers[..fixed]
            }
            Operator::Caret => {
                // Up to the first number that is not zero, or the last that is given.
                let leading = bound.numbers.iter().position(|n| *n != 0);
                let fixed = leading.map_or(self.precision, |at| (at + 1).min(self.precision));
                version >= bound && version.numbers[..fixed] == bound.numbers[..fixed]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tags: &[&str], range: &str, expect: &str) {
        let parsed = VersionRange::parse(range).unwrap();
        let is_in = |tag: &&&str| Version::parse(tag).is_some_and(|v| parsed.contains(&v));
        let found: Vec<&str> = tags.iter().filter(is_in).copied().collect();
        assert_eq!(found.join(" "), expect, "{range}");
        let written = VersionRange::parse(&parsed.to_string()).unwrap();
        let is_in = |tag: &&&str| Version::parse(tag).is_some_and(|v| written.contains(&v));
        let again: Vec<&str> = tags.iter().filter(is_in).copied().collect();
        assert_eq!(again, found, "{range} as {parsed}");
    }

    #[test]
    fn ranges_choose_what_skopeo_chooses() {
        let tags = [
            "1.0.0",
            "1.1.0",
            "1.10.0",
            "2.0.0-rc1",
            "v1.2",
            "latest",
            "weird_tag",
        ];
        let releases = "1.0.0 1.1.0 1.10.0 v1.2";
        for range in [
            "^1.0", "*", "1.x", "1", ">=1.0.0", "1.*", "=1", "x", ">= 1.0", "<2", "<=1",
        ] {
            check(&tags, range, releases);
        }
        for (range, expect) in [
            ("~1.1", "1.1.0"),
            (">=2.0.0-0", "2.0.0-rc1"),
            ("1.0.0 - 1.1.0", "1.0.0 1.1.0"),
            ("!=1.0.0", "1.1.0 1.10.0 v1.2"),
            ("!=1.1", "1.0.0 1.10.0 v1.2"),
            ("1.1.0 || 1.0.0", "1.0.0 1.1.0"),
            (">1.0 <1.5", "1.1.0 v1.2"),
            (">1.0, <1.5", "1.1.0 v1.2"),
            (">1.0,<1.5", "1.1.0 v1.2"),
            ("=1.2", "v1.2"),
            ("v1.2", "v1.2"),
            (">1", ""),
            ("<=1.1", "1.0.0 1.1.0"),
            ("<1.1", "1.0.0"),
            ("~1", releases),
            ("~>1.10", "1.10.0"),
            ("^1.2", "1.10.0 v1.2"),
            (">=1.2 <2", "1.10.0 v1.2"),
            (">=1.2-0 <2", "1.10.0 2.0.0-rc1 v1.2"),
            ("2.0.0-rc1", "2.0.0-rc1"),
            (">=1.27", ""),
        ] {
            check(&tags, range, expect);
        }
        let small = [
            "0.0.1",
            "0.0.2",
            "0.1.0",
            "0.1.5",
            "0.2.0",
            "1.27",
            "1.27-alpine",
        ];
        for (range, expect) in [
            ("^0", "0.0.1 0.0.2 0.1.0 0.1.5 0.2.0"),
            ("^0.0", "0.0.1 0.0.2"),
            ("^0.0.1", "0.0.1"),
            ("^0.1.1", "0.1.5"),
            (">=1.2", "1.27"),
            ("1.27-alpine", "1.27-alpine"),
        ] {
            check(&small, range, expect);
        }
    }

    #[test]
    fn what_is_not_a_range_is_named() {
        let version = |text: &str| RangeError::Version {
            text: text.to_owned(),
        };
        let operator = |operator: &str| RangeError::Operator {
            operator: operator.to_owned(),
        };
        for (text, expect) in [
            ("", RangeError::Empty),
            (">=1 ||", RangeError::Empty),
            ("latest", version("latest")),
            (">=1.2.3.4", version("1.2.3.4")),
            (">=1.x-rc", version("1.x-rc")),
            (">=1.x.y", version("1.x.y")),
            (">1<2", version("1<2")),
            (">=", operator(">=")),
            ("1.0 -", operator("-")),
            ("1.0 >=", operator(">=")),
            ("- 1", version("-")),
        ] {
            assert_eq!(VersionRange::parse(text), Err(expect), "{text}");
        }
    }
}
