//! Mirrors: the places that an image is read from according to `registries.conf`, one after the
//! other.
//!
//! Only for reading: what is written goes where the user says. A mirror that serves a repository is
//! reported once.

mod conf;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use conf::{Alias, Mirror, PullFrom, Rule, Rules};
pub use conf::{Aliases, ConfFile, RegistriesConfError};

use crate::login::session::Session;
use crate::route::origin::Garblers;
use crate::{ManifestRef, RegistryError, Repo};
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

/// The places for a repository, and the rule that names them.
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
    /// Mirrors that cannot be reached and are not used again.
    down: Mutex<HashSet<String>>,
    /// The places that have served manifests of a repository, and so have its blobs, too.
    served: Mutex<HashMap<Repo, Vec<Place>>>,
    /// Messages that were reported already.
    noted: Mutex<HashSet<String>>,
    /// The places, mirrors or not, that sent wrong bytes of a blob.
    pub(crate) garblers: Garblers,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

impl MirrorState {
    fn is_down(&self, mirror: &str) -> bool {
        lock(&self.down).contains(mirror)
    }

    fn is_first(&self, text: &str) -> bool {
        lock(&self.noted).insert(text.to_owned())
    }
}

/// Reads from registries and their mirrors. Cheap to clone; all clones share what they learn.
#[derive(Debug, Clone)]
pub(crate) struct Mirrors {
    session: Session,
    conf: Arc<RegistriesConf>,
    state: Arc<MirrorState>,
}

impl Mirrors {
    pub(crate) fn new(session: Session, conf: RegistriesConf) -> Self {
        Self {
            session,
            conf: Arc::new(conf),
            state: Arc::default(),
        }
    }

    /// Returns the same mirrors, read in another session.
    pub(crate) fn within(&self, session: Session) -> Self {
        Self {
            session,
            ..self.clone()
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the files of the rules, whether any rule applies or not.
    pub(crate) fn files(&self) -> &[String] {
        &self.conf.files
    }

    /// Returns the places that sent wrong bytes of a blob.
    pub(crate) fn garblers(&self) -> &Garblers {
        &self.state.garblers
    }

    /// Returns the places that a repository, or a manifest in it, is read from.
    pub(crate) fn places(
        &self,
        repo: &Repo,
        at: Option<&ManifestRef>,
    ) -> Result<Places, RegistryError> {
        if self.has_rules() {
            self.conf.places(repo, at)
        } else {
            RegistriesConf::default().places(repo, at)
        }
    }

    /// Whether rules apply: what is written is not read from mirrors.
    fn has_rules(&self) -> bool {
        !self.session.is_for_push() && !self.conf.rules.is_empty()
    }

    /// Reads from the mirrors of a repository, in order, then from the registry itself.
    ///
    /// A mirror that cannot be reached is not used again in this run; one that refuses, or does not
    /// have the image, as `is_there` tells, is skipped only this time. The last answer counts.
    pub(crate) async fn read<T, F>(
        &self,
        repo: &Repo,
        at: Option<&ManifestRef>,
        is_there: impl Fn(&T) -> bool,
        read: impl Fn(Session, Repo) -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        if !self.has_rules() {
            return read(self.session.clone(), repo.clone()).await;
        }
        let Places { mut places, .. } = self.conf.places(repo, at)?;
        let is_by_digest = !matches!(at, Some(ManifestRef::Tag(_)));
        if is_by_digest {
            // A place that has the manifest also has its blobs, even if it is configured for tags
            // only.
            let known = lock(&self.state.served).get(repo).cloned();
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
            if mirror.is_some_and(|mirror| self.state.is_down(mirror)) {
                continue;
            }
            if place.insecure {
                let transport = self.session.transport();
                transport.find_scheme(&place.repo.registry).await?;
            }
            let Some(mirror) = mirror else {
                let value = read(self.session.clone(), place.repo.clone()).await?;
                if n == last {
                    self.note_served(repo, place, is_there(&value));
                    return Ok(value);
                }
                if is_there(&value) {
                    return Ok(value);
                }
                continue;
            };
            let session = self.session.for_mirror();
            match read(session, place.repo.clone()).await {
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

    /// Remembers which place serves a repository; reports each mirror once.
    fn note_served(&self, repo: &Repo, place: &Place, is_there: bool) {
        if !is_there {
            return;
        }
        let mut served = lock(&self.state.served);
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
            if self.state.is_first(&text) {
                self.session.reporter().event(Event::Note { text: &text });
            }
        }
    }

    fn give_way(&self, repo: &Repo, mirror: &str, error: &RegistryError) {
        if error.is_refusal() && !matches!(error, RegistryError::GaveUp { .. }) {
            return;
        }
        lock(&self.state.down).insert(mirror.to_owned());
        let registry = &repo.registry;
        let text = format!("mirror `{mirror}` of `{registry}` is no longer used: {error}");
        if self.state.is_first(mirror) {
            self.session
                .reporter()
                .event(Event::Warning { text: &text });
        }
    }
}

impl RegistriesConf {
    /// The registries that need no certificate.
    pub fn insecure(&self) -> Vec<Registry> {
        let locations = self.rules.iter().flat_map(|rule| {
            let mirrors = rule.mirrors.iter();
            let mirrors = mirrors.filter(|mirror| mirror.insecure);
            let own = rule.insecure.then_some(&rule.location);
            mirrors.map(|mirror| &mirror.location).chain(own)
        });
        let hosts = locations.filter_map(|location| location.split('/').next());
        hosts.filter_map(|host| host.parse().ok()).collect()
    }
}
