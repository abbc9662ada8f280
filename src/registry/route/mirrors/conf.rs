//! `registries.conf`, version 2, with what is left of version 1 (containers-registries.conf(5)).
//!
//! Pure: text in, rules out. Later files override the rules of earlier ones for the same prefix.

use std::collections::BTreeMap;

use serde::Deserialize;

use hod_oci::Reference;

/// One file, in the order in which they are read.
#[derive(Debug, Clone, Copy)]
pub struct ConfFile<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub aliases: Aliases,
}

/// Whether the short names of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    Heed,
    /// Those that come with a distribution would make one list mean other images on every machine.
    Ignore,
}

/// Why a `registries.conf` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistriesConfError {
    #[error("`{file}`, line {line}: {problem}")]
    Toml {
        file: String,
        line: usize,
        problem: String,
    },
    #[error("`{file}`: `{text}` is not a location of the form `host[:port][/path]`")]
    Location { file: String, text: String },
    #[error("`{file}`: a registry has neither `location` nor a prefix of the form `*.host`")]
    NoLocation { file: String },
    #[error(
        "`{file}`: prefix `{prefix}` has a `*` that is not at its start, as in `*.example.com`"
    )]
    Prefix { file: String, prefix: String },
    #[error(
        "`{file}`: `pull-from-mirror` of `{location}` is `{value}`, but must be `all`, `digest-only` or `tag-only`, without `mirror-by-digest-only`"
    )]
    PullFromMirror {
        file: String,
        location: String,
        value: String,
    },
    #[error("`{file}`: alias `{name}` must name a repository with its registry and without a tag")]
    Alias { file: String, name: String },
}

/// The rules for the registries under one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) prefix: String,
    /// Empty for `*.` prefixes that change nothing about where it is.
    pub(super) location: String,
    pub(super) insecure: bool,
    pub(super) blocked: bool,
    pub(super) mirror_by_digest_only: bool,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) file: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) location: String,
    pub(super) insecure: bool,
    pub(super) pull: PullFrom,
}

/// The kinds of references that a mirror serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PullFrom {
    All,
    DigestOnly,
    TagOnly,
}

/// An alias, and the file that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) target: Reference,
    pub(super) file: String,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    registry: Vec<WireRegistry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    registries: WireV1,
}

#[derive(Default, Deserialize)]
struct WireV1 {
    #[serde(default)]
    insecure: WireHosts,
    #[serde(default)]
    block: WireHosts,
}

#[derive(Default, Deserialize)]
struct WireHosts {
    #[serde(default)]
    registries: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WireRegistry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<WireMirror>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WireMirror {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) aliases: BTreeMap<String, Alias>,
}

impl Rules {
    /// Adds what a file says, in place of what earlier ones said under the same names.
    pub(super) fn add(&mut self, file: &ConfFile<'_>) -> Result<(), RegistriesConfError> {
        let wire: Wire = toml::from_str(file.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = file.text.get(..at).unwrap_or_default();
            RegistriesConfError::Toml {
                file: file.name.to_owned(),
                line: before.matches('\n').count() + 1,
                problem: error.message().replace('\n', " "),
            }
        })?;
        for registry in wire.registry {
            self.add_rule(rule(registry, file.name)?);
        }
        let v1 = wire.registries;
        for (hosts, is_block) in [(v1.insecure, false), (v1.block, true)] {
            for host in hosts.registries {
                let registry = WireRegistry {
                    location: host,
                    insecure: !is_block,
                    blocked: is_block,
                    ..WireRegistry::default()
                };
                self.add_rule(rule(registry, file.name)?);
            }
        }
        if file.aliases == Aliases::Heed {
            for (name, target) in wire.aliases {
                self.add_alias(file.name, name, &target)?;
            }
        }
        Ok(())
    }

    fn add_rule(&mut self, rule: Rule) {
        self.rules.retain(|other| other.prefix != rule.prefix);
        self.rules.push(rule);
    }

    fn add_alias(
        &mut self,
        file: &str,
        name: String,
        target: &str,
    ) -> Result<(), RegistriesConfError> {
        if target.is_empty() {
            self.aliases.remove(&name);
            return Ok(());
        }
        let good = target.parse::<Reference>().ok().filter(|target| {
            target.registry.is_some() && target.tag.is_none() && target.digest.is_none()
        });
        let Some(target) = good else {
            return Err(RegistriesConfError::Alias {
                file: file.to_owned(),
                name,
            });
        };
        let file = file.to_owned();
        self.aliases.insert(name, Alias { target, file });
        Ok(())
    }
}

fn rule(wire: WireRegistry, file: &str) -> Result<Rule, RegistriesConfError> {
    let location = location(&wire.location, file)?;
    let prefix = match wire.prefix.trim_end_matches('/') {
        "" => location.clone(),
        prefix => prefix.to_owned(),
    };
    let is_wild = prefix.starts_with("*.");
    let rest = if is_wild { &prefix[2..] } else { &prefix[..] };
    if rest.contains('*') || (is_wild && rest.contains('/')) {
        return Err(RegistriesConfError::Prefix {
            file: file.to_owned(),
            prefix,
        });
    }
    if location.is_empty() && !is_wild {
        return Err(RegistriesConfError::NoLocation {
            file: file.to_owned(),
        });
    }
    let mut mirrors = Vec::new();
    for mirror in wire.mirror {
        mirrors.push(read_mirror(&mirror, wire.mirror_by_digest_only, file)?);
    }
    Ok(Rule {
        prefix,
        location,
        insecure: wire.insecure,
        blocked: wire.blocked,
        mirror_by_digest_only: wire.mirror_by_digest_only,
        mirrors,
        file: file.to_owned(),
    })
}

fn read_mirror(
    wire: &WireMirror,
    by_digest_only: bool,
    file: &str,
) -> Result<Mirror, RegistriesConfError> {
    let location = location(&wire.location, file)?;
    if location.is_empty() {
        return Err(RegistriesConfError::NoLocation {
            file: file.to_owned(),
        });
    }
    let pull = match wire.pull_from_mirror.as_str() {
        "" => Some(PullFrom::All),
        _ if by_digest_only => None,
        "all" => Some(PullFrom::All),
        "digest-only" => Some(PullFrom::DigestOnly),
        "tag-only" => Some(PullFrom::TagOnly),
        _ => None,
    };
    let pull = pull.ok_or_else(|| RegistriesConfError::PullFromMirror {
        file: file.to_owned(),
        location: location.clone(),
        value: wire.pull_from_mirror.clone(),
    })?;
    Ok(Mirror {
        location,
        insecure: wire.insecure,
        pull,
    })
}

/// `host[:port][/path]`, or nothing.
fn location(text: &str, file: &str) -> Result<String, RegistriesConfError> {
    let text = text.trim_end_matches('/');
    // With something behind it, it is a reference; the host may have no dot.
    let (host, path) = text.split_once('/').unwrap_or((text, "x"));
    let is_good = host.parse::<hod_oci::Registry>().is_ok()
        && path.parse::<hod_oci::RepositoryName>().is_ok();
    if text.is_empty() || is_good {
        Ok(text.to_owned())
    } else {
        Err(RegistriesConfError::Location {
            file: file.to_owned(),
            text: text.to_owned(),
        })
    }
}
