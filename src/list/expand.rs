//! Patterns become images: a line for each tag that one matches.

use std::collections::HashMap;

use hod_oci::{Digest, Registry, Tag};

use super::problem::LineProblem;
use super::{BadLine, ImageList, ListEntry, ListError, ListLine, PatternLine, StoredAs};

/// The images of a list by the names that they go to, each once.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    source: &'a Registry,
    /// The position of the image that has a name; images without a tag use their digest.
    taken: HashMap<(StoredAs, Option<Digest>), usize>,
}

impl<'a> Claims<'a> {
    /// Of lists in which names without a registry are `source`'s.
    pub(super) fn new(source: &'a Registry) -> Self {
        Self {
            source,
            taken: HashMap::new(),
        }
    }

    /// Claims the name of an image for the position `at`, or returns the position that has it.
    pub(super) fn claim(&mut self, entry: &ListEntry, at: usize) -> Option<usize> {
        let stored = entry.stored();
        let digest = match stored.tag {
            Some(_) => None,
            None => entry.reference.digest.clone(),
        };
        let mut has = None;
        let taken = self.taken.entry((stored, digest));
        taken.and_modify(|at| has = Some(*at)).or_insert(at);
        has
    }

    /// Compares an image with the first of its name: the same image folds, another is a problem.
    pub(super) fn compare(&self, first: &ListEntry, entry: &ListEntry) -> Result<(), String> {
        let (known, other) = (first.options.normalised(), entry.options.normalised());
        let origin = &first.origin;
        if self.identity(first) != self.identity(entry) {
            let (stored, holder) = (entry.stored(), &first.reference);
            Err(format!(
                "goes to `{stored}`, where `{holder}` of {origin} goes"
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
        mut tags_of: impl FnMut(&PatternLine) -> Result<Vec<Tag>, E>,
    ) -> Result<Vec<Expanded<E>>, ListError> {
        let mut claims = Claims::new(source);
        let mut expanded: Vec<Expanded<E>> = Vec::with_capacity(self.lines.len());
        let mut problems = Vec::new();
        let mut add = |expanded: &mut Vec<Expanded<E>>, entry: ListEntry| {
            let has = claims.claim(&entry, expanded.len());
            let Some(Expanded::Image(first)) = has.map(|at| &expanded[at]) else {
                expanded.push(Expanded::Image(entry));
                return;
            };
            if let Err(reason) = claims.compare(first, &entry) {
                let bad = LineProblem::new(&entry.reference.to_string(), reason);
                problems.push(BadLine::new(entry.origin, bad));
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
        if problems.is_empty() {
            return Ok(expanded);
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
}
