//! Gives every line of a list a place where `hod sync` brings its images.

use hod_oci::{ReferenceError, Registry, RepositoryName};

use super::problem::LineProblem;
use super::{BadLine, ImageList, ListError, ListLine, SyncTarget};

/// The place for images whose line names none, as old versions of image-syncer have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultTarget {
    pub registry: Registry,
    pub namespace: RepositoryName,
}

impl DefaultTarget {
    /// The place of a repository: its last component in the namespace.
    fn of(&self, repository: &RepositoryName) -> Result<SyncTarget, ReferenceError> {
        let last = repository.as_str().rsplit('/').next().unwrap_or_default();
        Ok(SyncTarget {
            registry: self.registry.clone(),
            repository: format!("{}/{last}", self.namespace).parse()?,
            tag: None,
        })
    }
}

impl ImageList {
    /// Gives a target to lines without one; without a default, they are problems. Fails if no line
    /// has a target.
    pub fn with_targets(mut self, default: Option<&DefaultTarget>) -> Result<Self, ListError> {
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut bad = Vec::new();
        for mut line in self.lines {
            if line.stem().targets.is_empty() {
                let repository = &line.stem().reference.repository;
                match default.map(|default| default.of(repository)) {
                    Some(Ok(target)) => line.stem_mut().targets.push(target),
                    Some(Err(error)) => bad.push(untargeted(&line, error.to_string())),
                    None => bad.push(untargeted(&line, "names no destination".to_owned())),
                }
            }
            if !line.stem().targets.is_empty() {
                lines.push(line);
            }
        }
        self.lines = lines;
        if self.lines.is_empty() {
            let mut files: Vec<&String> = bad.iter().map(|bad| &bad.file).collect();
            files.sort();
            files.dedup();
            return Err(ListError::NoTargets {
                files: files.into_iter().cloned().collect(),
            });
        }
        self.problems.extend(bad);
        Ok(self)
    }
}

fn untargeted(line: &ListLine, reason: String) -> BadLine {
    let problem = LineProblem::new(&line.name(), reason);
    BadLine::new(line.stem().origin.clone(), problem)
}
