//! Patterns for tags in a line: `repo:*`, `repo:~REGEX`, `repo:>=1.2 <2`.

use std::num::NonZeroUsize;

use super::problem::LineProblem;
use super::tags::{PatternError, TagRegex, TagRule, TagVersions};

/// The start of a pattern; no tag or port starts like this.
const MARKS: &[char] = &['*', '~', '<', '>', '=', '!', '^'];
/// What each further column of a range of versions begins with; no destination and no option does.
const OPERATORS: &[char] = &['~', '<', '>', '=', '!', '^', '|', ','];

/// Splits the first column of a line before the colon of a pattern; `None` where it has none.
pub(super) fn split(column: &str) -> Option<(&str, &str)> {
    let mut colons = column.match_indices(':');
    let (at, _) = colons.find(|(at, _)| column[at + 1..].starts_with(MARKS))?;
    Some((&column[..at], &column[at + 1..]))
}

/// Parses the pattern of a line; `text` is the end of its first column and `rest` are the others.
/// Returns how many of these belong to it.
pub(super) fn rule(
    first: &str,
    text: &str,
    rest: &[&str],
) -> Result<(TagRule, usize), LineProblem> {
    let bad = |text: &str, error: &PatternError| LineProblem::new(text, error.to_string());
    if text == "*" {
        return Ok((TagRule::Any, 0));
    }
    if text.starts_with('*') {
        return Err(LineProblem {
            fix: meant(first),
            ..LineProblem::new(
                first,
                "only `*` alone is a pattern; others are regular expressions",
            )
        });
    }
    if let Some(regex) = text.strip_prefix('~') {
        let regex = TagRegex::whole(regex).map_err(|error| bad(first, &error))?;
        return Ok((TagRule::Regex(regex), 0));
    }
    let mut range = text.to_owned();
    let mut n = 0;
    for column in rest {
        let is_open = range.ends_with(OPERATORS);
        if !is_open && !column.starts_with(OPERATORS) {
            break;
        }
        range.push(' ');
        range.push_str(column);
        n += 1;
    }
    let versions = TagVersions::parse(&range).map_err(|error| {
        let whole = [&[first], &rest[..n]].concat().join(" ");
        bad(&whole, &error)
    })?;
    Ok((TagRule::Versions(versions), n))
}

/// Parses `limit=N`.
pub(super) fn limit(
    column: &str,
    value: &str,
    rule: Option<&TagRule>,
) -> Result<NonZeroUsize, LineProblem> {
    if rule.is_none() {
        let reason = "`limit=` belongs to a pattern of tags, and this line names one image";
        return Err(LineProblem::new(column, reason));
    }
    let limit = value.parse();
    limit.map_err(|_| LineProblem::new(column, "`limit=` takes a number from 1"))
}

/// The suggested pattern for a tag with `*` in it, as in shells.
pub(super) fn meant(column: &str) -> Option<String> {
    let (name, tag) = column.rsplit_once(':')?;
    let is_glob = |c: char| c.is_ascii_alphanumeric() || "._-*".contains(c);
    if !tag.contains('*') || !tag.chars().all(is_glob) {
        return None;
    }
    let regex = tag.replace('.', "\\.").replace('*', ".*");
    Some(format!("{name}:~{regex}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ListLine, ListSource, parse, write_lines};

    fn read(text: &str) -> Result<Vec<ListLine>, String> {
        let source = ListSource { name: "l", text };
        let list = parse(&[source], &[]);
        list.map(|list| list.lines).map_err(|error| match error {
            crate::ListError::Invalid { problems, .. } => {
                let problem = &problems[0];
                match &problem.fix {
                    Some(fix) => format!("{}: {} -> {fix}", problem.text, problem.reason),
                    None => format!("{}: {}", problem.text, problem.reason),
                }
            }
            error => error.to_string(),
        })
    }

    #[test]
    fn a_pattern_ends_where_no_operator_follows() {
        #[track_caller]
        fn check(line: &str, expect: &str) {
            let lines = read(line).unwrap();
            assert!(matches!(lines[..], [ListLine::Pattern(_)]), "{line}");
            assert_eq!(write_lines(&lines).trim_end(), expect, "{line}");
        }
        check("redis:*", "redis:*");
        check("redis:*  # all", "redis:*");
        check("q.io:80/a/b:~v1\\.[0-9]+", "q.io:80/a/b:~v1\\.[0-9]+");
        check("redis:~7#a cache", "redis:~7#a cache");
        check("redis:>=1.2 <2", "redis:>=1.2 <2");
        check("redis:>=1.2  <2  cache", "redis:>=1.2 <2 cache");
        check("redis:>=1.2, <2 cache", "redis:>=1.2, <2 cache");
        check("redis:>= 1.2 < 2 cache", "redis:>= 1.2 < 2 cache");
        check("redis:^1 || ^3 ~3.1 team/x", "redis:^1 || ^3 ~3.1 team/x");
        check("redis:!=1.2 limit=3", "redis:!=1.2 limit=3");
        check(
            "--platform=linux/arm64 redis:=1.x limit=3 as=5.0",
            "redis:=1.x as=5.0 platform=linux/arm64 limit=3",
        );
        check(
            "a/b:>=1 platform=all referrers=no --limit=1",
            "a/b:>=1 platform=all referrers=no limit=1",
        );
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong() {
        #[track_caller]
        fn check(line: &str, expect: &str) {
            assert_eq!(read(line).unwrap_err(), expect, "{line}");
        }
        let glob = "only `*` alone is a pattern; others are regular expressions";
        check("a:*-alpine", &format!("a:*-alpine: {glob} -> a:~.*-alpine"));
        check("a:*[", &format!("a:*[: {glob}"));
        check("a:1.*", "a:1.*: `1.*` is not a valid tag -> a:~1\\..*");
        check("a:~", "a:~: the regular expression is empty");
        check(
            "a:>=1.2 <latest x",
            "a:>=1.2 <latest: `latest` is not a version",
        );
        check("a:>=", "a:>=: no version after `>=`");
        check("a:>= x=y", "a:>= x=y: `x=y` is not a version");
        check("a:^1.2.3.4", "a:^1.2.3.4: `1.2.3.4` is not a version");
        check("A:*", "A:*: uppercase letter in repository name");
        check(
            "a:1:*",
            "a:1:*: has a tag or digest and a pattern for tags; write one of them",
        );
        check(
            "a:* x:1",
            "x:1: a pattern keeps its tags, so it goes to a repository -> x",
        );
        check("a:* limit=0", "limit=0: `limit=` takes a number from 1");
        check("a:* limit=", "limit=: `limit=` takes a number from 1");
        check("a:* limit=1 limit=2", "limit=2: `limit=` is given twice");
        check(
            "a:1 limit=1",
            "limit=1: `limit=` belongs to a pattern of tags, and this line names one image",
        );
        check(
            "a:* 5.0",
            "5.0: could be the tag (`a:5.0`) or the destination (`library/5.0`); write the one you \
             mean -> a:5.0",
        );
        check("a:=>x/b:2", "a:=>x/b:2: `x/b:2` is not a version");
    }

    #[test]
    fn equal_patterns_are_one_line() {
        let lines = read(
            "a:* platform=linux/amd64,linux/arm64\n##s\na:* platform=linux/arm64,linux/amd64\n\
             a:* limit=1\nb:*\na:1\n",
        );
        assert_eq!(lines.unwrap().len(), 4);
    }

    proptest! {
        /// Whatever is read is the same when it is written and read again.
        #[test]
        fn what_is_written_is_what_was_read(
            line in "(--platform=all )?[a-c./:0-9]{1,6}(:[*~<>=!^|,.0-9a-z -]{0,12})?( [a-z0-9=/:|<]{0,10})?( limit=[0-9]{1,2})?",
        ) {
            if let Ok(lines) = read(&line) {
                let text = write_lines(&lines);
                let again = read(&text);
                prop_assert_eq!(again.as_ref(), Ok(&lines), "{}", text);
            }
        }

        #[test]
        fn no_line_is_too_much(line in "\\PC{0,4}:[*~<>=!^]\\PC{0,40}") {
            let _ = read(&line);
        }
    }
}
