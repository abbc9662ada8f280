//! One line of a list.

use crate::oci::{PlatformChoice, Reference, ReferenceError, RepositoryName};

use super::Destination;
use super::fix;

/// What a line is.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Nothing to carry.
    Blank,
    /// `##name`.
    Section(&'a str),
    /// `## some words`, which may have been meant to open a section.
    Heading(&'a str),
    Image(Box<ImageLine>),
}

/// The columns of a line.
#[derive(Debug, PartialEq)]
pub(super) struct ImageLine {
    pub(super) reference: Reference,
    pub(super) destination: Option<Destination>,
    pub(super) platforms: Option<PlatformChoice>,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) text: String,
    pub(super) reason: String,
    pub(super) fix: Option<String>,
}

impl Bad {
    fn new(text: &str, reason: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            reason: reason.into(),
            fix: None,
        }
    }
}

/// Parses one line, without its line break.
pub(super) fn parse_line(line: &str) -> Result<Line<'_>, Bad> {
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
    match parse_columns(code) {
        Ok(image) => Ok(Line::Image(Box::new(image))),
        Err(mut bad) => {
            // A fix is offered only when it makes the line readable, and rarely needs all of it.
            if bad.fix.is_none() {
                bad.fix = fix::reference(&bad.text).or_else(|| fix::reference(code));
            }
            Err(bad)
        }
    }
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

fn parse_columns(code: &str) -> Result<ImageLine, Bad> {
    let columns: Vec<&str> = code.split_whitespace().collect();
    let (first, rest) = columns.split_first().unwrap_or((&"", &[]));
    if matches!(*first, "-" | "image:" | "-image:") {
        let reason = "a line starts with the image's reference, without YAML";
        return Err(Bad::new(code, reason));
    }
    let mut image = ImageLine {
        reference: first
            .parse()
            .map_err(|error: ReferenceError| Bad::new(first, error.to_string()))?,
        destination: None,
        platforms: None,
    };
    for (n, column) in rest.iter().enumerate() {
        match column.split_once('=') {
            Some(("platform", _)) if image.platforms.is_some() => {
                return Err(Bad::new(column, "`platform=` is given twice"));
            }
            Some(("platform", value)) => {
                image.platforms = Some(parse_platforms(value, &rest[n..])?);
            }
            Some((key, value)) => {
                let reason = format!("`{key}=` is unknown; only `platform=` is known");
                return Err(Bad {
                    fix: is_like_platform(key, value).then(|| format!("platform={value}")),
                    ..Bad::new(column, reason)
                });
            }
            None if n == 0 => image.destination = Some(parse_destination(column)?),
            None if image.platforms.is_some() => {
                return Err(Bad::new(column, "unexpected column after `platform=`"));
            }
            None => return Err(Bad::new(column, "unexpected third column")),
        }
    }
    Ok(image)
}

fn parse_platforms(value: &str, columns: &[&str]) -> Result<PlatformChoice, Bad> {
    let error = match value.parse::<PlatformChoice>() {
        Ok(platforms) => return Ok(platforms),
        Err(error) => error,
    };
    let column = columns[0];
    let all = columns.concat();
    let is_split = columns.len() > 1 && (value.ends_with(',') || columns[1].starts_with(','));
    if is_split && is_like_platform("platform", &all["platform=".len()..]) {
        return Err(Bad {
            fix: Some(all),
            ..Bad::new(column, "no blanks are allowed between platforms")
        });
    }
    let fixed = value.to_lowercase().replace('，', ",");
    let fixed = fixed
        .trim_end_matches([',', ';', '"', '\''])
        .trim_start_matches(['"', '\'']);
    Err(Bad {
        fix: is_like_platform("platform", fixed).then(|| format!("platform={fixed}")),
        ..Bad::new(column, error.to_string())
    })
}

/// Whether `key=value` was likely meant to be `platform=value`.
fn is_like_platform(key: &str, value: &str) -> bool {
    let key = key.to_lowercase();
    let is_key = key.trim_start_matches('-').starts_with("platform") || key == "arch";
    is_key && value.parse::<PlatformChoice>().is_ok()
}

fn parse_destination(column: &str) -> Result<Destination, Bad> {
    if column.contains('@') {
        let (name, _) = column.split_once('@').unwrap_or_default();
        return Err(Bad {
            fix: parse_destination(name).is_ok().then(|| name.to_owned()),
            ..Bad::new(column, "a digest cannot be chosen where an image goes")
        });
    }
    let (name, tag) = match column.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (column, None),
    };
    if let Some((host, rest)) = name.split_once('/')
        && host.contains(':')
    {
        let rest = &column[column.len() - rest.len() - tag.map_or(0, |tag| tag.len() + 1)..];
        return Err(Bad {
            fix: parse_destination(rest).is_ok().then(|| rest.to_owned()),
            ..Bad::new(
                column,
                "where an image goes is a name without a registry's port",
            )
        });
    }
    let bad = |error: ReferenceError| Bad {
        fix: fix::reference(column),
        ..Bad::new(column, error.to_string())
    };
    Ok(Destination {
        repository: name.parse::<RepositoryName>().map_err(bad)?,
        tag: tag.map(str::parse).transpose().map_err(bad)?,
    })
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
                    let platforms = image.platforms.map(|platforms| format!(" for {platforms}"));
                    let (to, platforms) = (to.unwrap_or_default(), platforms.unwrap_or_default());
                    format!("{}{to}{platforms}", image.reference)
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
        check("redis:7 platform=all", "redis:7 for all");
        check(
            "r.io:80/a/b y:2 platform=linux/arm/v7",
            "r.io:80/a/b to y:2 for linux/arm/v7",
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
            "`platforms=` is unknown; only `platform=` is known",
            Some("platform=linux/arm64"),
        );
        check(
            "a:1 x=y",
            "`x=` is unknown; only `platform=` is known",
            None,
        );
        check(
            "a:1 platform=linux/amd64, linux/arm64",
            "no blanks are allowed between platforms",
            Some("platform=linux/amd64,linux/arm64"),
        );
        check(
            "a:1 platform=Linux/arm64,",
            "platform `Linux/arm64` is not of the form `os/architecture` or `os/architecture/variant`",
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
}
