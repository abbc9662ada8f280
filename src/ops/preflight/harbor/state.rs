//! The known state of a Harbor.

use std::collections::BTreeMap;

use serde::Serialize;

use hod_oci::RepositoryName;
use hod_registry::{Harbor, Project, SystemInfo};
use hod_transfer::Destination;

/// Number of concurrent requests.
pub(super) const ASK_AT_ONCE: usize = 8;

/// A project that a push creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectReport {
    pub project: String,
    /// False for a dry run.
    pub created: bool,
}

/// The known state of a Harbor.
pub(crate) struct HarborState {
    pub(super) harbor: Harbor,
    /// By name; without those whose name Harbor does not allow.
    pub(super) projects: BTreeMap<String, (Project, Presence)>,
    pub(super) info: Option<SystemInfo>,
}

/// Whether a project exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    Created,
    /// It does not exist, and is created if there are no other findings.
    WouldBeCreated,
    Missing,
    /// This login may not know.
    Unknown,
    /// Nothing may be pushed into it, and so nothing in it is asked for.
    Closed,
}

impl HarborState {
    /// Whether the destination's project exists, as far as is known.
    pub(crate) fn is_there(&self, destination: &Destination) -> bool {
        let name = project_name(&destination.repository);
        let known = name.and_then(|name| self.projects.get(name));
        known.is_some_and(|(_, presence)| matches!(presence, Presence::There | Presence::Unknown))
    }

    /// The projects that were created, or would be.
    pub(crate) fn created(&self) -> Vec<ProjectReport> {
        let of = |(name, (_, presence)): (&String, &(Project, Presence))| {
            let created = match presence {
                Presence::Created => true,
                Presence::WouldBeCreated => false,
                _ => return None,
            };
            Some(ProjectReport {
                project: name.clone(),
                created,
            })
        };
        self.projects.iter().filter_map(of).collect()
    }
}

pub(super) fn project_name(repository: &RepositoryName) -> Option<&str> {
    repository.as_str().split_once('/').map(|(name, _)| name)
}
