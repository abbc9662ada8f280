//! Paths of one kind: what is in front of the colon may say which, and must be right then.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

use hod_transfer::Transport;

/// Why a path is not of the kind that is wanted.
#[derive(Debug, thiserror::Error)]
enum PathError {
    #[error("`{}:` is {}; expected {}", found.word(), found.in_words(), one_of(wanted))]
    OtherKind {
        found: Transport,
        wanted: &'static [Transport],
    },
    #[error("nothing after `{}:`", .0.word())]
    Empty(Transport),
}

fn one_of(kinds: &[Transport]) -> String {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.in_words()).collect();
    kinds.join(" or ")
}

/// Reads a path of one of the kinds `wanted`, with its transport in front or without.
pub(super) fn path_of(wanted: &'static [Transport]) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| match split(&path) {
        None => Ok(path),
        Some((found, rest)) if rest.as_os_str().is_empty() => Err(PathError::Empty(found)),
        Some((found, rest)) if wanted.contains(&found) => Ok(rest),
        Some((found, _)) => Err(PathError::OtherKind { found, wanted }),
    })
}

/// The transport in front of a path, and the rest.
pub(crate) fn split(path: &Path) -> Option<(Transport, PathBuf)> {
    let (transport, rest) = Transport::split(path.to_str()?)?;
    Some((transport, rest.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_in_front_must_be_right() {
        let parse = |text: &str| {
            let command = clap::Command::new("hod");
            let arg = clap::Arg::new("store").value_parser(path_of(&[Transport::Store]));
            let matches = command.arg(arg).try_get_matches_from(["hod", text]).ok()?;
            matches.get_one::<PathBuf>("store").cloned()
        };
        for (text, expect) in [
            ("store", Some("store")),
            ("store:s", Some("s")),
            ("./store:s", Some("./store:s")),
            ("store:", None),
            ("host:5000", Some("host:5000")),
            ("oci:s", None),
            ("bundle:s", None),
        ] {
            assert_eq!(parse(text), expect.map(PathBuf::from), "{text}");
        }
    }
}
