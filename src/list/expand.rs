//! Patterns become images: a line for each tag that one matches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use std::fmt;

use hod_oci::{Digest, Registry, Tag};

use super::problem::LineProblem;
use super::{BadLine, ImageList, ListEntry, ListError, ListLine, PatternLine, StoredAs};

/// The images of a list by the names that they go to, each once.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    source: &'a Registry,
    /// The position of the image that has a name; images without a tag use their digest.
    taken: HashMap<(Name, Option<Digest>), usize>,
}

/// A name that an image goes to: in a store, or at a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    registry: Option<Registry>,
    stored: StoredAs,
}

/// Another image that has a name already.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) name: Name,
    pub(super) at: usize,
}

/// The result of a claim.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The images that have one of the names.
    pub(super) holders: Vec<Holder>,
    /// Whether the image has a name for itself.
    pub(super) is_new: bool,
}

impl<'a> Claims<'a> {
    /// Of lists in which names without a registry are `source`'s.
    pub(super) fn new(source: &'a Registry) -> Self {
        Self {
            source,
            taken: HashMap::new(),
        }
    }

    /// Claims the names of an image for the position `at`: its targets, or else its name in a store.
    pub(super) fn claim(&mut self, entry: &ListEntry, at: usize) -> Claimed {
        let mut claimed = Claimed {
            holders: Vec::new(),
            is_new: false,
        };
        for name in Name::all_of(entry) {
            let digest = match name.stored.tag {
                Some(_) => None,
                None => entry.reference.digest.clone(),
            };
            match self.taken.entry((name, digest)) {
                Entry::Vacant(free) => {
                    free.insert(at);
                    claimed.is_new = true;
                }
                Entry::Occupied(taken) => claimed.holders.push(Holder {
                    name: taken.key().0.clone(),
                    at: *taken.get(),
                }),
            }
        }
        // A target that one line has twice.
        claimed.holders.retain(|holder| holder.at != at);
        claimed
    }

    /// Compares an image with the first that has one of its names: the same image folds, another is
    /// a problem.
    pub(super) fn compare(
        &self,
        name: &Name,
        first: &ListEntry,
        entry: &ListEntry,
    ) -> Result<(), String> {
        let (known, other) = (first.options.normalised(), entry.options.normalised());
        let origin = &first.origin;
        if self.identity(first) != self.identity(entry) {
            let holder = &first.reference;
            Err(format!(
                "goes to `{name}`, where `{holder}` of {origin} goes"
            ))
        } else if known.platforms != other.platforms {
            Err(format!("is listed at {origin} with other platforms"))
        } else if known != other {
            Err(format!("is listed at {origin} with other options"))
        } else {
            Ok(())
        }
    }

    /// The reference with its defaults written out.
    fn identity(&self, entry: &ListEntry) -> String {
        let mut reference = entry.reference.clone();
        let is_bare = reference.registry.is_none();
        let registry = reference
            .registry
            .get_or_insert_with(|| self.source.clone());
        if is_bare || registry.is_docker_hub() {
            reference.repository = reference.repository.with_library();
        }
        reference.to_string()
    }
}

impl Name {
    fn all_of(entry: &ListEntry) -> Vec<Self> {
        if entry.targets.is_empty() {
            return vec![Self {
                registry: None,
                stored: entry.stored(),
            }];
        }
        let targets = entry.targets.iter().map(|target| Self {
            registry: Some(target.registry.clone()),
            stored: StoredAs {
                repository: target.repository.clone(),
                tag: target.tag.clone().or_else(|| entry.reference.tag.clone()),
            },
        });
        targets.collect()
    }
}

impl Name {
    /// Takes the target with this name from an image; its only name stays.
    pub(super) fn leave(&self, entry: &mut ListEntry) {
        let Some(registry) = &self.registry else {
            return;
        };
        let tag = entry.reference.tag.clone();
        entry.targets.retain(|target| {
            let stored = StoredAs {
                repository: target.repository.clone(),
                tag: target.tag.clone().or_else(|| tag.clone()),
            };
            target.registry != *registry || stored != self.stored
        });
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.stored)
    }
}

/// An image, or a pattern that matches none.
#[derive(Debug, Clone)]
pub enum Expanded<E> {
    Image(ListEntry),
    Nothing(PatternLine, E),
}

impl ImageList {
    /// The lines that are patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &PatternLine> {
        self.lines.iter().filter_map(|line| match line {
            ListLine::Image(_) => None,
            ListLine::Pattern(pattern) => Some(pattern),
        })
    }

    /// The images, in the order of the list and each once; `tags_of` returns the tags that match a
    /// pattern, or the reason why none does. It is called once for each pattern, in order.
    ///
    /// Names without a registry belong to `source`. Images with the same destination are refused,
    /// as in other lines.
    pub fn expand<E>(
        &self,
        source: &Registry,
        tags_of: impl FnMut(&PatternLine) -> Result<Vec<Tag>, E>,
    ) -> Result<Vec<Expanded<E>>, ListError> {
        let (expanded, problems) = self.expand_usable(source, tags_of);
        self.refuse(problems).map(|()| expanded)
    }

    /// Fails with the problems of its lines, if there are any.
    pub fn refuse(&self, problems: Vec<BadLine>) -> Result<(), ListError> {
        if problems.is_empty() {
            return Ok(());
        }
        let files = self.lines.iter().map(|line| &line.stem().origin.file);
        let mut files: Vec<&String> = files.collect();
        files.sort();
        files.dedup();
        Err(ListError::Invalid {
            problems,
            n_files: files.len(),
        })
    }

    /// As [`ImageList::expand`], but an image whose destination another image has is left out, and
    /// is a problem of its line.
    pub fn expand_usable<E>(
        &self,
        source: &Registry,
        mut tags_of: impl FnMut(&PatternLine) -> Result<Vec<Tag>, E>,
    ) -> (Vec<Expanded<E>>, Vec<BadLine>) {
        let mut claims = Claims::new(source);
        let mut expanded: Vec<Expanded<E>> = Vec::with_capacity(self.lines.len());
        let mut problems = Vec::new();
        let mut add = |expanded: &mut Vec<Expanded<E>>, mut entry: ListEntry| {
            let claimed = claims.claim(&entry, expanded.len());
            for Holder { name, at } in claimed.holders {
                if let Expanded::Image(first) = &expanded[at]
                    && let Err(reason) = claims.compare(&name, first, &entry)
                {
                    let bad = LineProblem::new(&entry.reference.to_string(), reason);
                    problems.push(BadLine::new(entry.origin.clone(), bad));
                    name.leave(&mut entry);
                }
            }
            if claimed.is_new {
                expanded.push(Expanded::Image(entry));
            }
        };
        for line in &self.lines {
            match line {
                ListLine::Image(entry) => add(&mut expanded, entry.clone()),
                ListLine::Pattern(pattern) => match tags_of(pattern) {
                    Ok(tags) => {
                        let entries = tags.iter().map(|tag| pattern.entry(tag));
                        entries.for_each(|entry| add(&mut expanded, entry));
                    }
                    Err(error) => expanded.push(Expanded::Nothing(pattern.clone(), error)),
                },
            }
        }
        (expanded, problems)
    }
}
