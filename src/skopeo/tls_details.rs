//! The file of `--tls-details` (containers-tls-details.yaml(5)).

use std::path::Path;

use hod_gotext::quote;
use hod_registry::{TlsLimits, TlsVersion};
use saphyr_parser::{Event, Parser};

use crate::failure::{Done, Failure};
use crate::wording;

/// The longest file that is read, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// Limits TLS, for the whole program, as the file says. Blocks.
pub(crate) fn heed(path: &Path) -> Done {
    let shown = quote(path.display().to_string());
    let bytes = hod_fsx::read_input(path, FILE_LEN_MAX);
    let bytes =
        bytes.map_err(|error| wording::of_file(&error).during(format!("reading {shown}")))?;
    let details = parse(&String::from_utf8_lossy(&bytes))
        .map_err(|problem| Failure::new(format!("parsing {shown}: {problem}")))?;
    let during = |problem: String| Failure::new(format!("parsing TLS details {shown}: {problem}"));
    let limits = details.limits().map_err(during)?;
    limits.install().map_err(|error| during(error.to_string()))
}

/// The fields of the file, as written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Details {
    min_version: String,
    cipher_suites: Option<Vec<String>>,
    named_groups: Option<Vec<String>>,
}

impl Details {
    fn limits(self) -> Result<TlsLimits, String> {
        let min_version = match self.min_version.as_str() {
            "" => None,
            // Older ones are never spoken.
            "1.0" | "1.1" | "1.2" => Some(TlsVersion::V1_2),
            "1.3" => Some(TlsVersion::V1_3),
            other => {
                let other = quote(other);
                return Err(format!("unrecognized TLS minimum version {other}"));
            }
        };
        let unknown_suite = self.cipher_suites.iter().flatten().find(|name| {
            !(name.starts_with("TLS_")
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        });
        if let Some(name) = unknown_suite {
            return Err(format!("unrecognized TLS cipher suite {}", quote(name)));
        }
        let unknown_group = self.named_groups.iter().flatten();
        let unknown_group = unknown_group
            .into_iter()
            .find(|name| !GROUPS.contains(&name.as_str()));
        if let Some(name) = unknown_group {
            return Err(format!("unrecognized TLS named group {}", quote(name)));
        }
        Ok(TlsLimits {
            min_version,
            cipher_suites: self.cipher_suites,
            named_groups: self.named_groups,
        })
    }
}

/// The groups that such files name.
const GROUPS: [&str; 5] = [
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "x25519",
    "X25519MLKEM768",
];

/// Where the parser is in the file.
enum At {
    Start,
    Key,
    Value(String),
    List(String, Vec<String>),
    End,
}

/// Reads a mapping of texts and of lists of texts.
fn parse(text: &str) -> Result<Details, String> {
    let mut details = Details::default();
    let mut seen: Vec<String> = Vec::new();
    let mut at = At::Start;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| format!("yaml: {}", error.info()))?;
        let line = span.start.line();
        at = match (at, event) {
            (at, Event::Nothing | Event::StreamStart | Event::DocumentStart(_)) => at,
            (_, Event::StreamEnd | Event::DocumentEnd) => break,
            (At::Start, Event::MappingStart(..)) => At::Key,
            (At::Start, Event::Scalar(text, ..)) if is_null(&text) => At::End,
            (At::Key, Event::MappingEnd) => At::End,
            (At::Key, Event::Scalar(key, ..)) => {
                let key = key.into_owned();
                if !["minVersion", "cipherSuites", "namedGroups"].contains(&key.as_str()) {
                    return Err(format!("yaml: line {line}: field {key} not found"));
                }
                if seen.contains(&key) {
                    return Err(format!(
                        "yaml: line {line}: mapping key {key:?} already defined"
                    ));
                }
                seen.push(key.clone());
                At::Value(key)
            }
            (At::Value(_), Event::Scalar(text, ..)) if is_null(&text) => At::Key,
            (At::Value(key), Event::Scalar(text, ..)) if key == "minVersion" => {
                details.min_version = text.into_owned();
                At::Key
            }
            (At::Value(key), Event::SequenceStart(..)) if key != "minVersion" => {
                At::List(key, Vec::new())
            }
            (At::List(key, mut names), Event::Scalar(name, ..)) => {
                names.push(name.into_owned());
                At::List(key, names)
            }
            (At::List(key, names), Event::SequenceEnd) => {
                if key == "cipherSuites" {
                    details.cipher_suites = Some(names);
                } else {
                    details.named_groups = Some(names);
                }
                At::Key
            }
            _ => return Err(format!("yaml: line {line}: cannot unmarshal the value")),
        };
    }
    Ok(details)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<TlsLimits, &str>) {
        let limits = parse(text).and_then(Details::limits);
        assert_eq!(limits, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn files_state_versions_suites_and_groups() {
        let all = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        check("{} # No fields", Ok(TlsLimits::default()));
        check("", Ok(TlsLimits::default()));
        let limits = TlsLimits {
            min_version: Some(TlsVersion::V1_2),
            cipher_suites: all(&["TLS_AES_128_GCM_SHA256"]),
            named_groups: all(&["secp256r1", "x25519"]),
        };
        let text = "minVersion: 1.2\ncipherSuites:\n  - TLS_AES_128_GCM_SHA256\n\
                    namedGroups: [secp256r1, \"x25519\"]\n";
        check(text, Ok(limits));
        check(
            "minVersion: \"1.4\"",
            Err("unrecognized TLS minimum version \"1.4\""),
        );
        check(
            "namedGroups: [x448]",
            Err("unrecognized TLS named group \"x448\""),
        );
        check(
            "cipherSuites: [foo]",
            Err("unrecognized TLS cipher suite \"foo\""),
        );
        check("this: 1", Err("yaml: line 1: field this not found"));
        check(
            "minVersion: {}",
            Err("yaml: line 1: cannot unmarshal the value"),
        );
        check(
            "cipherSuites: x",
            Err("yaml: line 1: cannot unmarshal the value"),
        );
        check(
            "minVersion: 1.2\nminVersion: 1.3",
            Err("yaml: line 2: mapping key \"minVersion\" already defined"),
        );
    }
}
