//! One line of a list.

use hod_oci::{Reference, ReferenceError};
use hod_report::redact;

use super::problem::LineProblem;
use super::{Destination, LineOptions, SyncTarget, TagPattern};
use super::{column, fix, options, pattern, shape};

/// The kind of a line.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing to carry.
    Blank,
    /// `##name`.
    Section(&'a str),
    /// `## some words`, which may be intended as a section.
    Heading(&'a str),
    Image(Box<ImageLine>),
}

/// The columns of a line.
#[derive(Debug, PartialEq)]
pub(super) struct ImageLine {
    /// With a pattern: without tag and digest.
    pub(super) reference: Reference,
    pub(super) tags: Option<TagPattern>,
    pub(super) destination: Option<Destination>,
    pub(super) targets: Vec<SyncTarget>,
    pub(super) options: LineOptions,
}

/// Parses one line, without its line break.
pub(super) fn parse_line(line: &str) -> Result<Line<'_>, LineProblem> {
    let line = line.trim();
    if let Some(comment) = line.strip_prefix('#') {
        return Ok(parse_comment(line, comment));
    }
    let code = match line
        .match_indices('#')
        .find(|(at, _)| ends_blank(&line[..*at]))
    {
        Some((at, _)) => line[..at].trim_end(),
        None => line,
    };
    if code.is_empty() {
        return Ok(Line::Blank);
    }
    if let Some(masked) = redact::without_logins(code) {
        let reason = "has a login in it; log in with `hod login` instead";
        return Err(LineProblem::new(&masked, reason));
    }
    if let Some(bad) = shape::known(code) {
        return Err(bad);
    }
    match parse_columns(code) {
        Ok(image) => Ok(Line::Image(Box::new(image))),
        Err(bad) => Err(explain(code, bad)),
    }
}

/// Adds a suggestion.
fn explain(code: &str, mut bad: LineProblem) -> LineProblem {
    if bad.fix.is_some() {
        return bad;
    }
    if let Some(separated) = shape::separated(code, parse_columns) {
        return separated;
    }
    // A fix is offered only when it makes the line readable, and rarely needs all of it.
    bad.fix = fix::reference(&bad.text).or_else(|| fix::reference(code));
    bad
}

fn ends_blank(text: &str) -> bool {
    text.ends_with(char::is_whitespace)
}

fn parse_comment<'a>(line: &'a str, comment: &'a str) -> Line<'a> {
    let Some(name) = comment.strip_prefix('#').map(str::trim) else {
        return Line::Blank;
    };
    if name.is_empty() || name.starts_with('#') {
        Line::Blank
    } else if name.contains(char::is_whitespace) {
        Line::Heading(line)
    } else {
        Line::Section(name)
    }
}

fn parse_columns(code: &str) -> Result<ImageLine, LineProblem> {
    let columns: Vec<&str> = code.split_whitespace().collect();
    let (mut options, columns) = leading_platform(&columns)?;
    let (first, rest) = columns.split_first().unwrap_or((&"", &[]));
    if matches!(*first, "-" | "image:" | "-image:") {
        let reason = "a line starts with the image's reference, without YAML";
        return Err(LineProblem::new(code, reason));
    }
    let (name, rule, rest) = match pattern::split(first) {
        Some((name, text)) => {
            let (rule, n) = pattern::rule(first, text, rest).map_err(|mut bad| {
                bad.fix = bad.fix.filter(|fix| is_image(fix));
                bad
            })?;
            (name, Some(rule), &rest[n..])
        }
        None => (*first, None, rest),
    };
    let reference: Reference = name
        .parse()
        .map_err(|error: ReferenceError| bad_name(first, &error))?;
    if rule.is_some() && (reference.tag.is_some() || reference.digest.is_some()) {
        let reason = "has a tag or digest and a pattern for tags; write one of them";
        return Err(LineProblem::new(first, reason));
    }
    if name.contains('/')
        && let Some(platform) = column::platform_of(name)
    {
        return Err(LineProblem {
            fix: rest
                .first()
                .map(|image| format!("{image} platform={platform}")),
            ..LineProblem::new(first, "is a platform; a line starts with the image")
        });
    }
    let mut destination = None;
    let mut targets: Vec<SyncTarget> = Vec::new();
    let mut limit = None;
    for (n, column) in rest.iter().enumerate() {
        match column.trim_start_matches("--").split_once('=') {
            Some(("as", _)) if destination.is_some() => {
                return Err(LineProblem::new(column, "a destination is given twice"));
            }
            Some(("as", value)) => destination = Some(column::parse(value)?),
            Some(("to", value)) => targets.push(target(column, value)?),
            Some(("limit", _)) if limit.is_some() => {
                return Err(LineProblem::new(column, "`limit=` is given twice"));
            }
            Some(("limit", value)) => limit = Some(pattern::limit(column, value, rule.as_ref())?),
            Some((key, value)) => options.set(key, value, &rest[n..])?,
            None if n == 0 => destination = Some(column::destination(column, &reference)?),
            None => {
                let before = rest[n - 1].trim_start_matches("--").split_once('=');
                let reason = match before {
                    Some((key, _)) => format!("unexpected column after `{key}=`"),
                    None => "unexpected third column".to_owned(),
                };
                return Err(LineProblem::new(column, reason));
            }
        }
    }
    if rule.is_some() {
        let reason = "a pattern keeps its tags, so it goes to a repository";
        if let Some(to) = destination.as_ref().filter(|to| to.tag.is_some()) {
            return Err(LineProblem {
                fix: Some(to.repository.to_string()),
                ..LineProblem::new(&to.to_string(), reason)
            });
        }
        if let Some(to) = targets.iter().find(|to| to.tag.is_some()) {
            return Err(LineProblem::new(&to.to_string(), reason));
        }
    }
    Ok(ImageLine {
        reference,
        tags: rule.map(|rule| TagPattern { rule, limit }),
        destination,
        targets,
        options,
    })
}

/// Parses the value of `to=`.
fn target(column: &str, value: &str) -> Result<SyncTarget, LineProblem> {
    SyncTarget::parse(value).map_err(|reason| LineProblem::new(column, reason))
}

/// The problem with a reference, or with an unknown pattern in it.
fn bad_name(first: &str, error: &ReferenceError) -> LineProblem {
    LineProblem {
        fix: pattern::meant(first).filter(|fix| is_image(fix)),
        ..LineProblem::new(first, error.to_string())
    }
}

/// Whether a line with these columns is one.
fn is_image(code: &str) -> bool {
    parse_columns(code).is_ok()
}

/// Removes a leading `--platform=X` or `--platform X`, as in scripts for `docker pull`.
fn leading_platform<'c, 'a>(
    columns: &'c [&'a str],
) -> Result<(LineOptions, &'c [&'a str]), LineProblem> {
    let none = LineOptions::default();
    let [flag, rest @ ..] = columns else {
        return Ok((none, columns));
    };
    let Some(name) = flag.strip_prefix("--") else {
        return Ok((none, columns));
    };
    let of = |value: &str, column: &str| {
        let platforms = Some(options::platforms(value, &[column])?);
        Ok(LineOptions { platforms, ..none })
    };
    match (name.split_once('='), rest) {
        (Some(("platform", value)), _) => Ok((of(value, &flag[2..])?, rest)),
        (None, [value, rest @ ..]) if name == "platform" => {
            Ok((of(value, &format!("platform={value}"))?, rest))
        }
        _ => {
            let reason = "is an unknown option; only `--platform=` is known, and the second column \
                          says where an image goes";
            Err(LineProblem::new(flag, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        #[track_caller]
        fn check(line: &str, expect: &str) {
            let got = match parse_line(line).unwrap() {
                Line::Blank => "blank".to_owned(),
                Line::Section(name) => format!("section {name}"),
                Line::Heading(text) => format!("heading {text}"),
                Line::Image(image) => {
                    let to = image.destination.map(|to| format!(" to {to}"));
                    let to = to.unwrap_or_default();
                    let tags = image
                        .tags
                        .map(|tags| format!(":{tags:?}"))
                        .unwrap_or_default();
                    format!("{}{tags}{to}{}", image.reference, image.options)
                }
            };
            assert_eq!(got, expect, "{line:?}");
        }
        check("", "blank");
        check(" \t\u{3000}", "blank");
        check("# x:1", "blank");
        check("##", "blank");
        check("######", "blank");
        check("### a", "blank");
        check("##a", "section a");
        check("  ## a.b-c/d  ", "section a.b-c/d");
        check("## a b", "heading ## a b");
        check("redis:7\t# comment", "redis:7");
        check("redis:7 x/y", "redis:7 to x/y");
        check("redis:7 harbor.corp/y:2 # z", "redis:7 to harbor.corp/y:2");
        check("redis:7 platform=all", "redis:7 platform=all");
        check(
            "redis:7 --platform=linux/arm64",
            "redis:7 platform=linux/arm64",
        );
        check(
            "--platform=linux/arm64 redis:7",
            "redis:7 platform=linux/arm64",
        );
        check(
            "--platform linux/arm64 redis:7 x/y # z",
            "redis:7 to x/y platform=linux/arm64",
        );
        check(
            "r.io:80/a/b y:2 platform=linux/arm/v7",
            "r.io:80/a/b to y:2 platform=linux/arm/v7",
        );
    }

    #[test]
    fn bad_lines_say_what_is_wrong_and_what_was_likely_meant() {
        #[track_caller]
        fn check(line: &str, reason: &str, fix: Option<&str>) {
            let bad = parse_line(line).unwrap_err();
            assert_eq!(
                (bad.reason.as_str(), bad.fix.as_deref()),
                (reason, fix),
                "{line}"
            );
        }
        let yaml = "a line starts with the image's reference, without YAML";
        check("image: Foo/bar:1", yaml, Some("foo/bar:1"));
        check("- image: \"foo/bar:1\"", yaml, Some("foo/bar:1"));
        check("- foo/bar:1,", yaml, Some("foo/bar:1"));
        check(
            "a:1 to=x/b",
            "names no registry; write `HOST/REPOSITORY[:TAG]`",
            None,
        );
        check("a:1 to=h.io/B", "uppercase letter in repository name", None);
        check(
            "a:* to=h.io/b:1",
            "a pattern keeps its tags, so it goes to a repository",
            None,
        );
        check("a:1#b", "`1#b` is not a valid tag", None);
        check("a:1 b c", "unexpected third column", None);
        check(
            "a:1 b@c",
            "a digest cannot be chosen where an image goes",
            Some("b"),
        );
        check(
            "a:1 harbor:80/p/b:2",
            "where an image goes is a name without a registry's port",
            Some("p/b:2"),
        );
        check(
            "a:1 B:2",
            "uppercase letter in repository name",
            Some("b:2"),
        );
        check("a:1 b:-", "`-` is not a valid tag", None);
        check(
            "a:1 platforms=linux/arm64",
            "`platforms=` is unknown; `platform=`, `index=`, `referrers=`, `foreign-layers=`, \
             `as=`, `to=` and `limit=` are known",
            Some("platform=linux/arm64"),
        );
        check(
            "a:1 x=y",
            "`x=` is unknown; `platform=`, `index=`, `referrers=`, `foreign-layers=`, \
             `as=`, `to=` and `limit=` are known",
            None,
        );
        check(
            "a:1 platform=linux/amd64, linux/arm64",
            "no blanks are allowed between platforms",
            Some("platform=linux/amd64,linux/arm64"),
        );
        check(
            "a:1 platform=Linux/arm64,",
            "platform `Linux/arm64` is not of the form `os/architecture`, `os/architecture/variant` or \
             `os/architecture:os.version`",
            Some("platform=linux/arm64"),
        );
        check(
            "a:1 platform=all platform=all",
            "`platform=` is given twice",
            None,
        );
        check(
            "a:1 platform=all x",
            "unexpected column after `platform=`",
            None,
        );
    }

    #[test]
    fn lines_of_other_shapes_have_words_of_their_own() {
        #[track_caller]
        fn check(line: &str, reason: &str, fix: Option<&str>) {
            let bad = parse_line(line).unwrap_err();
            let found = (bad.reason.as_str(), bad.fix.as_deref());
            assert_eq!(found, (reason, fix), "{line}");
        }
        let option = "is an unknown option; only `--platform=` is known, and the second column \
                      says where an image goes";
        check("--alias=x a:1", option, None);
        check("--platform", option, None);
        check(
            "--platform=arm64 a:1",
            "platform `arm64` is not of the form `os/architecture`, `os/architecture/variant` or \
             `os/architecture:os.version`",
            Some("platform=linux/arm64"),
        );
        check(
            "linux/arm64 a:1",
            "is a platform; a line starts with the image",
            Some("a:1 platform=linux/arm64"),
        );
        let login = "has a login in it; log in with `hod login` instead";
        check("admin:pw@h.io/a:1", login, None);
        check("a:1 admin:pw@h.io/a:1", login, None);
        let header = "is the heading of a table, not an image; delete the line";
        check("REPOSITORY   TAG   IMAGE ID", header, None);
        check("IMAGE:TAG", header, None);
        check("image,tag", header, None);
        let nameless = "has `<none>`, where `docker images` knows no name or tag; write it, or \
                        delete the line";
        check("redis <none> 0123456789ab", nameless, None);
        check("<none>:<none>", nameless, None);
        let comment = "comments start with `#`";
        check("// redis", comment, Some("# redis"));
        check("＃ redis", comment, Some("# redis"));
        check("a:1 // redis", comment, Some("a:1 # redis"));
        check("a:1 ＃redis", comment, Some("a:1 #redis"));
        let lacks_image = "the image is missing; options follow its reference on the same line";
        check("platform=linux/amd64", lacks_image, None);
        check("referrers=no", lacks_image, None);
        let two_columns = |by: &str| format!("columns are separated by blanks, not by `{by}`");
        for (line, by) in [
            ("a:1 => x/b:2", "=>"),
            ("a:1=>x/b:2", "=>"),
            ("a:1 -> x/b:2", "->"),
            ("a:1 → x/b:2", "→"),
            ("a:1|x/b:2", "|"),
            ("| a:1 | x/b:2 |", "|"),
            ("a:1=x/b:2", "="),
            ("a:1 = x/b:2", "="),
        ] {
            check(line, &two_columns(by), Some("a:1 x/b:2"));
        }
        check("redis,5.0", &two_columns(","), Some("redis:5.0"));
        check("| redis | 5.0 |", &two_columns("|"), Some("redis:5.0"));
        check("a:1,x/b:2", &two_columns(","), None);
    }
}
