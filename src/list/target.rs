//! Where `hod sync` brings the images of a line.

use std::fmt;

use hod_oci::{Reference, Registry, RepositoryName, Tag};

/// A place for an image at a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SyncTarget {
    pub registry: Registry,
    pub repository: RepositoryName,
    /// `None` keeps the reference's tag, or its digest if it has no tag.
    pub tag: Option<Tag>,
}

impl SyncTarget {
    /// Parses `registry/repository[:tag]`, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
        let Some(registry) = reference.registry else {
            return Err("names no registry; write `HOST/REPOSITORY[:TAG]`".to_owned());
        };
        if reference.digest.is_some() {
            return Err("a digest cannot be chosen where an image goes".to_owned());
        }
        Ok(Self {
            registry,
            repository: reference.repository,
            tag: reference.tag,
        })
    }
}

impl fmt::Display for SyncTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}
