//! The second column of a line: a destination, unless it can be read in another way.
//!
//! Lists are often made from tables of other shapes (`docker images` prints name and tag in two
//! columns), so a bare word that is usually a tag, a platform or a registry is refused with both
//! readings. A destination with a `/` or a `:` is always accepted.

use hod_oci::{Platform, PlatformChoice, Reference, ReferenceError, RepositoryName};

use super::problem::LineProblem;
use super::{Destination, fix};

const SYSTEMS: &[&str] = &["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd"];
/// Names as in Go; names of other tools are translated first.
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm",
];
const TAG_WORDS: &[&str] = &[
    "latest", "stable", "edge", "nightly", "main", "master", "dev", "develop", "lts", "beta", "rc",
    "alpine", "slim",
];
/// The number of hex digits of a short image ID.
const SHORT_ID_LEN: usize = 12;

/// Parses the second column of the line of `reference`.
pub(super) fn destination(column: &str, reference: &Reference) -> Result<Destination, LineProblem> {
    refuse_other_readings(column, reference)?;
    parse(column)
}

/// Returns the platform that a single word denotes: `linux/arm64`, `aarch64`.
pub(super) fn platform_of(word: &str) -> Option<PlatformChoice> {
    if word == "all" {
        return Some(PlatformChoice::All);
    }
    // Only Windows has versions; after anything else a colon begins a tag.
    if word.contains(':') && !word.starts_with("windows/") {
        return None;
    }
    let one = |word: &str| {
        let platform = match word.split_once('/') {
            Some((os, _)) if SYSTEMS.contains(&os) => word.parse().ok()?,
            Some(_) => return None,
            None => of_architecture(word),
        };
        let is_known = ARCHITECTURES.contains(&platform.architecture.as_str());
        // `linux/arm64:7` is a name with a tag; only Windows is chosen by its version.
        let is_tagged = platform.os_version.is_some() && platform.os != "windows";
        (is_known && !is_tagged).then_some(platform)
    };
    let platforms: Option<Vec<Platform>> = word.split(',').map(one).collect();
    platforms.map(PlatformChoice::These)
}

fn of_architecture(word: &str) -> Platform {
    let variant = match word {
        "armv6" | "arm32v6" | "armel" => Some("v6"),
        "armv7" | "armv7l" | "arm32v7" | "armhf" => Some("v7"),
        _ => None,
    };
    let architecture = match word {
        _ if variant.is_some() => "arm",
        "arm64v8" => "arm64",
        "loongarch64" => "loong64",
        other => other,
    };
    Platform {
        variant: variant.map(str::to_owned),
        ..Platform::new("linux", architecture)
    }
}

/// Whether a word is usually a tag: a version, `latest`, or a text that is not a valid repository.
fn is_like_tag(word: &str) -> bool {
    let bytes = word.as_bytes();
    let is_version = |bytes: &[u8]| bytes.first().is_some_and(u8::is_ascii_digit);
    let has_version = bytes
        .windows(3)
        .any(|w| w[0].is_ascii_digit() && w[1] == b'.' && w[2].is_ascii_digit());
    is_version(bytes)
        || matches!(bytes, [b'v' | b'V', rest @ ..] if is_version(rest))
        || has_version
        || TAG_WORDS.contains(&word)
        || bytes.iter().any(u8::is_ascii_uppercase)
}

fn refuse_other_readings(column: &str, reference: &Reference) -> Result<(), LineProblem> {
    let Some((other, fix)) = other_reading(column, reference) else {
        return Ok(());
    };
    let explicit = format!("library/{column}");
    let is_name = !column.contains(['/', ':']) && parse(&explicit).is_ok();
    let reason = if is_name {
        format!("could be {other} or the destination (`{explicit}`); write the one you mean")
    } else {
        format!("looks like {other}, not like a destination")
    };
    Err(LineProblem {
        fix,
        ..LineProblem::new(column, reason)
    })
}

/// The usual meaning of a column in tables of other shapes, and the line that expresses it.
fn other_reading(column: &str, reference: &Reference) -> Option<(String, Option<String>)> {
    if let Some(platforms) = platform_of(column) {
        let other = format!("the platform (`platform={platforms}`)");
        return Some((other, Some(format!("{reference} platform={platforms}"))));
    }
    if let Some((host, port)) = column.split_once(':')
        && !host.contains('/')
        && (host.contains('.') || host == "localhost")
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Some(("a registry".to_owned(), None));
    }
    if column.contains(['/', ':', '@', '=']) {
        return None;
    }
    if column.len() == SHORT_ID_LEN && column.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(("an image ID".to_owned(), None));
    }
    if is_like_tag(column) {
        let mut tagged = reference.clone();
        tagged.digest = None;
        tagged.tag = Some(column.parse().ok()?);
        let is_free = reference.tag.is_none() && reference.digest.is_none();
        let other = format!("the tag (`{tagged}`)");
        return Some((other, is_free.then(|| tagged.to_string())));
    }
    if column.contains('.') || column == "localhost" {
        return Some(("a registry".to_owned(), None));
    }
    None
}

/// Parses a destination, even if it resembles something else.
pub(super) fn parse(column: &str) -> Result<Destination, LineProblem> {
    if column.contains('@') {
        let (name, _) = column.split_once('@').unwrap_or_default();
        return Err(LineProblem {
            fix: parse(name).is_ok().then(|| name.to_owned()),
            ..LineProblem::new(column, "a digest cannot be chosen where an image goes")
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
        return Err(LineProblem {
            fix: parse(rest).is_ok().then(|| rest.to_owned()),
            ..LineProblem::new(
                column,
                "where an image goes is a name without a registry's port",
            )
        });
    }
    let bad = |error: ReferenceError| LineProblem {
        fix: fix::reference(column),
        ..LineProblem::new(column, error.to_string())
    };
    Ok(Destination {
        repository: name.parse::<RepositoryName>().map_err(bad)?,
        tag: tag.map(str::parse).transpose().map_err(bad)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(column: &str) -> Result<Destination, LineProblem> {
        destination(column, &"redis".parse().unwrap())
    }

    #[test]
    fn words_with_two_usual_readings_are_refused_with_both() {
        #[track_caller]
        fn check(column: &str, reason: &str, fix: Option<&str>) {
            let bad = read(column).unwrap_err();
            assert_eq!((bad.reason.as_str(), bad.fix.as_deref()), (reason, fix));
            assert_eq!(bad.text, column);
        }
        let tags = [
            "5.0",
            "7",
            "v3",
            "v1.2-rc.1",
            "latest",
            "alpine3.18",
            "stable",
        ];
        for tag in tags {
            let reason = format!(
                "could be the tag (`redis:{tag}`) or the destination (`library/{tag}`); write the \
                 one you mean"
            );
            check(tag, &reason, Some(&format!("redis:{tag}")));
        }
        check(
            "RELEASE.2023",
            "looks like the tag (`redis:RELEASE.2023`), not like a destination",
            Some("redis:RELEASE.2023"),
        );
        let platforms = [
            ("amd64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("armv7", "linux/arm/v7"),
            ("all", "all"),
        ];
        for (word, platform) in platforms {
            let reason = format!(
                "could be the platform (`platform={platform}`) or the destination \
                 (`library/{word}`); write the one you mean"
            );
            check(word, &reason, Some(&format!("redis platform={platform}")));
        }
        for word in [
            "linux/arm64",
            "windows/amd64",
            "linux/arm/v7",
            "linux/amd64,linux/arm64",
        ] {
            let reason =
                format!("looks like the platform (`platform={word}`), not like a destination");
            check(word, &reason, Some(&format!("redis platform={word}")));
        }
        let registry = |name: &str| {
            format!(
                "could be a registry or the destination (`library/{name}`); write the one you \
                 mean"
            )
        };
        check("harbor.corp", &registry("harbor.corp"), None);
        check("localhost", &registry("localhost"), None);
        check(
            "harbor.corp:5000",
            "looks like a registry, not like a destination",
            None,
        );
        check(
            "localhost:5000",
            "looks like a registry, not like a destination",
            None,
        );
        check(
            "abcdef012345",
            "could be an image ID or the destination (`library/abcdef012345`); write the one you mean",
            None,
        );
    }

    #[test]
    fn a_second_tag_is_refused_too() {
        let reference = "redis:7".parse().unwrap();
        let bad = destination("5.0", &reference).unwrap_err();
        assert!(bad.reason.contains("`redis:5.0`"), "{}", bad.reason);
        assert_eq!(bad.fix, None, "either may be right");
    }

    #[test]
    fn explicit_destinations_are_taken() {
        for column in [
            "library/5.0",
            "5.0:latest",
            "cache",
            "my-cache",
            "python3",
            "team/latest",
            "harbor.corp/y:2",
            "library/harbor.corp",
            "amd64/redis",
            "arm64:7",
            "x/linux/arm64",
            "linux/arm64:7",
        ] {
            let taken = read(column).map(|to| to.to_string());
            assert_eq!(taken.unwrap(), column);
        }
    }

    proptest! {
        /// A bare destination must not look like a version, platform, architecture or host.
        #[test]
        fn no_bare_word_of_another_shape_is_taken(word in "[a-zA-Z]?[a-z0-9._-]{1,16}") {
            if read(&word).is_ok() {
                prop_assert!(!word.contains('.'));
                prop_assert!(!word.starts_with(|c: char| c.is_ascii_digit()));
                let after_v = word.strip_prefix('v').unwrap_or("x");
                prop_assert!(!after_v.starts_with(|c: char| c.is_ascii_digit()));
            }
        }

        /// A line whose second column reads as a platform never names an image by it.
        #[test]
        fn no_platform_is_taken_for_a_name(
            os in prop::sample::select(SYSTEMS),
            architecture in prop::sample::select(ARCHITECTURES),
            tail in "(/v[5-9])?",
        ) {
            prop_assert!(read(architecture).is_err());
            let platform = format!("{os}/{architecture}{tail}");
            prop_assert!(read(&platform).is_err());
        }
    }
}
