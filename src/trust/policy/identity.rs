//! Which name a signature must have been made for.

use crate::docker_name::{DockerName, is_component, is_domain};
use crate::go_text::quoted;
use crate::strict_json::{JsonError, exact_object, string, text_field};

/// How the name in a signature and that of the image must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    ExactReference {
        reference: DockerName,
    },
    ExactRepository {
        repository: DockerName,
    },
    Remap {
        prefix: String,
        signed_prefix: String,
    },
}

impl Identity {
    /// Parses the value of `signedIdentity`.
    pub(super) fn parse(json: &str) -> Result<Self, JsonError> {
        let kind = text_field(json, "type")?;
        match kind.as_str() {
            "matchExact" => exact_object(json, ["type"]).map(|_| Self::MatchExact),
            "matchRepoDigestOrExact" => {
                exact_object(json, ["type"]).map(|_| Self::MatchRepoDigestOrExact)
            }
            "matchRepository" => exact_object(json, ["type"]).map(|_| Self::MatchRepository),
            "exactReference" => {
                let [_, text] = exact_object(json, ["type", "dockerReference"])?;
                let reference = parse_name(&text, "dockerReference")?;
                if reference.is_name_only() {
                    let text = quoted(&string(&text)?);
                    return Err(JsonError(format!(
                        "dockerReference {text} contains neither a tag nor digest"
                    )));
                }
                Ok(Self::ExactReference { reference })
            }
            "exactRepository" => {
                let [_, text] = exact_object(json, ["type", "dockerRepository"])?;
                let repository = parse_name(&text, "dockerRepository")?;
                Ok(Self::ExactRepository { repository })
            }
            "remapIdentity" => {
                let [_, prefix, signed_prefix] =
                    exact_object(json, ["type", "prefix", "signedPrefix"])?;
                Ok(Self::Remap {
                    prefix: parse_prefix(&prefix)?,
                    signed_prefix: parse_prefix(&signed_prefix)?,
                })
            }
            kind => Err(JsonError(format!(
                "Unknown policy reference match type {}",
                quoted(kind)
            ))),
        }
    }

    /// Whether a signature for `signed` is one of the image.
    ///
    /// That the digest in the image's name is that of its manifest must have been verified.
    pub(super) fn accepts(&self, image: Option<&DockerName>, signed: &str) -> bool {
        let Ok(signed) = signed.parse::<DockerName>() else {
            return false;
        };
        match (self, image) {
            (Self::ExactReference { reference }, _) => is_same(reference, &signed),
            (Self::ExactRepository { repository }, _) => repository.name() == signed.name(),
            (_, None) => false,
            (Self::MatchExact, Some(image)) => is_same(image, &signed),
            (Self::MatchRepoDigestOrExact, Some(image)) => is_same_or_digest(image, &signed),
            (Self::MatchRepository, Some(image)) => image.name() == signed.name(),
            (
                Self::Remap {
                    prefix,
                    signed_prefix,
                },
                Some(image),
            ) => match remapped(image, prefix, signed_prefix) {
                Some(image) => is_same_or_digest(&image, &signed),
                None => false,
            },
        }
    }
}

fn parse_name(json: &str, field: &str) -> Result<DockerName, JsonError> {
    let text = string(json)?;
    text.parse().map_err(|error| {
        let text = quoted(&text);
        JsonError(format!("Invalid format of {field} {text}: {error}"))
    })
}

/// Parses the domain, or the beginning of a name with its domain.
fn parse_prefix(json: &str) -> Result<String, JsonError> {
    let text = string(json)?;
    let is_valid = match text.split_once('/') {
        Some((domain, path)) => is_domain(domain) && path.split('/').all(is_component),
        None => is_domain(&text),
    };
    if is_valid {
        Ok(text)
    } else {
        Err(JsonError(format!("prefix {} is not valid", quoted(&text))))
    }
}

fn is_same(image: &DockerName, signed: &DockerName) -> bool {
    !image.is_name_only() && image.to_string() == signed.to_string()
}

/// Whether both are the same; an image named by its digest may have been signed with any tag.
fn is_same_or_digest(image: &DockerName, signed: &DockerName) -> bool {
    if signed.is_name_only() {
        return false;
    }
    match (image.tag(), image.digest()) {
        (None, Some(_)) => image.name() == signed.name(),
        _ => is_same(image, signed),
    }
}

/// Returns the name with the prefix replaced if it has it; `None` if the result is not a full name.
fn remapped(image: &DockerName, prefix: &str, signed_prefix: &str) -> Option<DockerName> {
    let is_in = image
        .name()
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !is_in {
        return Some(image.clone());
    }
    let renamed = image.to_string().replacen(prefix, signed_prefix, 1);
    let parsed: DockerName = renamed.parse().ok()?;
    (parsed.to_string() == renamed).then_some(parsed)
}
