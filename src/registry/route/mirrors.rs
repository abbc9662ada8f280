//! Mirrors: where an image is really read from, as `registries.conf` says it, and how a mirror that
//! fails gives way to the next.
//!
//! Only for reading: what is written goes where the user says. Who reads a repository need not
//! know of it; that a mirror serves it is said once.

mod conf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use reqwest::Method;
use tokio::sync::OnceCell;

use conf::{Alias, Mirror, PullFrom, Rule, Rules};
pub use conf::{Aliases, ConfFile, RegistriesConfError};

use crate::client::{Client, Patience};
use crate::route::origin::Garblers;
use crate::wire::endpoint::{Scheme, api_root};
use crate::{ManifestRef, RegistryError, Repo, TlsFailure};
use hod_oci::{Reference, Registry, RepositoryName};
use hod_report::Event;

/// The content of the user's `registries.conf`.
#[derive(Debug, Clone, Default)]
pub struct RegistriesConf {
    rules: Vec<Rule>,
    aliases: BTreeMap<String, Alias>,
    files: Vec<String>,
}

/// A place from which a repository may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) repo: Repo,
    /// Its TLS is not verified, and it may have none.
    pub(crate) insecure: bool,
    /// As the file names it, if it is a mirror.
    pub(crate) mirror: Option<String>,
}

/// The places for a repository, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// In order; the last is the primary one.
    pub(crate) places: Vec<Place>,
    pub(crate) rule: Option<RuleName>,
}

/// Identifies the rule that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleName {
    pub(crate) file: String,
    pub(crate) prefix: String,
}

impl RegistriesConf {
    /// Parses all files; of two rules for one prefix the later counts.
    pub fn parse(files: &[ConfFile<'_>]) -> Result<Self, RegistriesConfError> {
        let mut rules = Rules::default();
        for file in files {
            rules.add(file)?;
        }
        Ok(Self {
            rules: rules.rules,
            aliases: rules.aliases,
            files: files.iter().map(|file| file.name.to_owned()).collect(),
        })
    }

    /// The files that were read, in their order.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The target of an alias for a name without a registry, and the file that defines it.
    pub fn alias(&self, name: &RepositoryName) -> Option<(&Reference, &str)> {
        let alias = self.aliases.get(name.as_str())?;
        Some((&alias.target, &alias.file))
    }

    /// The places that a repository, or a manifest in it, may be read from.
    pub(crate) fn places(
        &self,
        repo: &Repo,
        at: Option<&ManifestRef>,
    ) -> Result<Places, RegistryError> {
        let full = match at {
            None => repo.to_string(),
            Some(ManifestRef::Tag(tag)) => format!("{repo}:{tag}"),
            Some(ManifestRef::Digest(digest)) => format!("{repo}@{digest}"),
        };
        let found = self.rules.iter().filter_map(|rule| {
            let len = match_len(&full, &rule.prefix)?;
            Some((len, rule))
        });
        // Of equals the first, as `max_by_key` would not have it.
        let found = found.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let own = |insecure| Place {
            repo: repo.clone(),
            insecure,
            mirror: None,
        };
        let Some((len, rule)) = found else {
            return Ok(Places {
                places: vec![own(false)],
                rule: None,
            });
        };
        if rule.blocked {
            return Err(RegistryError::Blocked {
                reference: full,
                prefix: rule.prefix.clone(),
                file: rule.file.clone(),
            });
        }
        let is_digest = matches!(at, Some(ManifestRef::Digest(_)) | None);
        let is_for = |mirror: &&Mirror| match mirror.pull {
            _ if rule.mirror_by_digest_only => is_digest,
            PullFrom::All => true,
            PullFrom::DigestOnly => is_digest,
            PullFrom::TagOnly => !is_digest,
        };
        let mut places: Vec<Place> = rule
            .mirrors
            .iter()
            .filter(is_for)
            .filter_map(|mirror| {
                Some(Place {
                    repo: rewrite(&full, len, &mirror.location)?,
                    insecure: mirror.insecure,
                    mirror: Some(mirror.location.clone()),
                })
            })
            .collect();
        let rewritten = rewrite(&full, len, &rule.location).filter(|_| !rule.location.is_empty());
        places.push(match rewritten {
            Some(repo) => Place {
                repo,
                insecure: rule.insecure,
                mirror: None,
            },
            None => own(rule.insecure),
        });
        Ok(Places {
            places,
            rule: Some(RuleName {
                file: rule.file.clone(),
                prefix: rule.prefix.clone(),
            }),
        })
    }
}

/// The length of the part of `full` that a prefix matches, if it does: up to `:`, `/`, `@` or the
/// end.
///
/// As in containers, `example.com` therefore matches `example.com:5000`.
fn match_len(full: &str, prefix: &str) -> Option<usize> {
    let len = match prefix.strip_prefix('*') {
        Some(suffix) => {
            let at = full.find(suffix)?;
            if full[..at].contains('/') {
                return None;
            }
            at + suffix.len()
        }
        None => full.starts_with(prefix).then_some(prefix.len())?,
    };
    let rest = &full.as_bytes()[len..];
    matches!(rest.first(), None | Some(b':' | b'/' | b'@')).then_some(len)
}

/// The repository at `location`, in place of the first `len` bytes.
fn rewrite(full: &str, len: usize, location: &str) -> Option<Repo> {
    let text = format!("{location}{}", &full[len..]);
    // Not parsed as a reference: the location defines where the registry ends.
    let (registry, rest) = text.split_once('/')?;
    let rest = rest.split('@').next()?;
    let name = match rest.rfind(':') {
        Some(at) if !rest[at..].contains('/') => &rest[..at],
        _ => rest,
    };
    Some(Repo {
        registry: registry.parse().ok()?,
        name: name.parse().ok()?,
    })
}

/// What a run has learned about its mirrors.
#[derive(Debug, Default)]
pub(crate) struct MirrorState {
    /// Out of reach, and left out from then on.
    down: Mutex<HashSet<String>>,
    /// The places that have served manifests of a repository, and so have its blobs, too.
    served: Mutex<HashMap<Repo, Vec<Place>>>,
    /// Said already.
    noted: Mutex<HashSet<String>>,
    /// The places, mirrors or not, that sent wrong bytes of a blob.
    pub(crate) garblers: Garblers,
    /// The scheme of each mirror that may lack TLS.
    schemes: Mutex<HashMap<Registry, Arc<OnceCell<Scheme>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

impl MirrorState {
    /// The scheme that was found out for a registry, if there was need to.
    pub(crate) fn scheme(&self, registry: &Registry) -> Option<Scheme> {
        let cell = Arc::clone(lock(&self.schemes).get(registry)?);
        cell.get().copied()
    }

    fn is_down(&self, mirror: &str) -> bool {
        lock(&self.down).contains(mirror)
    }

    fn is_first(&self, text: &str) -> bool {
        lock(&self.noted).insert(text.to_owned())
    }
}

impl Client {
    /// Reads from the mirrors of a repository, in order, then from the registry itself.
    ///
    /// A mirror that cannot be reached is not used again in this run; one that refuses, or does not
    /// have the image, as `is_there` tells, is skipped only this time. The last answer counts.
    pub(crate) async fn read_from<T, F>(
        &self,
        (repo, at): (&Repo, Option<&ManifestRef>),
        is_there: impl Fn(&T) -> bool,
        read: impl Fn(Self, Repo) -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let Some(conf) = self.registries_conf() else {
            return read(self.clone(), repo.clone()).await;
        };
        let Places { mut places, .. } = conf.places(repo, at)?;
        let is_by_digest = !matches!(at, Some(ManifestRef::Tag(_)));
        if is_by_digest {
            // A place that has the manifest also has its blobs, even if it is configured for tags
            // only.
            let known = lock(&self.mirrors().served).get(repo).cloned();
            for place in known.into_iter().flatten().rev() {
                if let Some(at) = places.iter().position(|other| *other == place) {
                    // The last is the one whose answer counts.
                    if at + 1 == places.len() {
                        continue;
                    }
                    places.remove(at);
                }
                places.insert(0, place);
            }
        }
        let last = places.len().saturating_sub(1);
        for (n, place) in places.iter().enumerate() {
            let mirror = place.mirror.as_deref().filter(|_| n < last);
            if mirror.is_some_and(|mirror| self.mirrors().is_down(mirror)) {
                continue;
            }
            if place.insecure {
                self.find_scheme(&place.repo.registry).await?;
            }
            let Some(mirror) = mirror else {
                let value = read(self.clone(), place.repo.clone()).await?;
                if n == last {
                    self.note_served(repo, place, is_there(&value));
                    return Ok(value);
                }
                if is_there(&value) {
                    return Ok(value);
                }
                continue;
            };
            let client = self.with_patience(Patience::Mirror);
            match read(client, place.repo.clone()).await {
                Ok(value) if is_there(&value) => {
                    self.note_served(repo, place, true);
                    return Ok(value);
                }
                Ok(_) => {}
                Err(error) => self.give_way(repo, mirror, &error),
            }
        }
        unreachable!("the last place returns")
    }

    /// Remembers who serves a repository, and says it once for each mirror.
    fn note_served(&self, repo: &Repo, place: &Place, is_there: bool) {
        if !is_there {
            return;
        }
        let mut served = lock(&self.mirrors().served);
        let places = served.entry(repo.clone()).or_default();
        if !places.contains(place) {
            places.push(place.clone());
        }
        drop(served);
        if let Some(mirror) = &place.mirror {
            let text = format!(
                "pulling images of `{}` from mirror `{mirror}`",
                repo.registry
            );
            if self.mirrors().is_first(&text) {
                self.reporter().event(Event::Note { text: &text });
            }
        }
    }

    fn give_way(&self, repo: &Repo, mirror: &str, error: &RegistryError) {
        let is_answer = matches!(error.status(), Some(400..=499));
        if is_answer && !matches!(error, RegistryError::GaveUp { .. }) {
            return;
        }
        lock(&self.mirrors().down).insert(mirror.to_owned());
        let registry = &repo.registry;
        let text = format!("mirror `{mirror}` of `{registry}` is no longer used: {error}");
        if self.mirrors().is_first(mirror) {
            self.reporter().event(Event::Warning { text: &text });
        }
    }

    /// Finds out whether a registry that may lack TLS has it, once.
    pub(crate) async fn find_scheme(&self, registry: &Registry) -> Result<(), RegistryError> {
        let cell = {
            let mut schemes = lock(&self.mirrors().schemes);
            Arc::clone(schemes.entry(registry.clone()).or_default())
        };
        cell.get_or_try_init(|| async {
            let url = api_root(registry, Scheme::Https).ok_or_else(|| RegistryError::Host {
                registry: registry.clone(),
            })?;
            let ping = crate::wire::transport::Call::new(Method::GET, url);
            Ok::<_, RegistryError>(match self.transport().send(&ping, None).await {
                Err(
                    RegistryError::Transport { .. }
                    | RegistryError::Tls {
                        failure: TlsFailure::PlainAnswer | TlsFailure::Handshake,
                        ..
                    },
                ) => Scheme::Http,
                _ => Scheme::Https,
            })
        })
        .await
        .map(drop)
    }
}

impl RegistriesConf {
    /// The registries that need no certificate.
    pub(crate) fn insecure(&self) -> Vec<Registry> {
        let locations = self.rules.iter().flat_map(|rule| {
            let mirrors = rule.mirrors.iter();
            let mirrors = mirrors.filter(|mirror| mirror.insecure);
            let own = rule.insecure.then_some(&rule.location);
            mirrors.map(|mirror| &mirror.location).chain(own)
        });
        let hosts = locations.filter_map(|location| location.split('/').next());
        hosts.filter_map(|host| host.parse().ok()).collect()
    }

    /// Whether it says nothing about where to read from.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
