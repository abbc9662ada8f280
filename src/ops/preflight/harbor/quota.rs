//! Checks that the push fits into the quota of a project.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;

use super::super::check::PreflightCheck;
use super::super::{Check, Finding};
use super::state::{ASK_AT_ONCE, project_name};
use hod_oci::RepositoryName;
use hod_registry::{Harbor, Project};
use hod_report::amount::format_len;
use hod_report::chain;
use hod_transfer::{Plan, PlannedBlob, RegistrySink};

/// In how many other repositories of a project a blob is looked for.
const OTHERS_MAX: usize = 30;
/// Maximum number of requests spent on that.
const OTHER_REQUESTS_MAX: usize = 300;

/// The bytes that the plan may add to each project. It is an upper bound, since content that exists
/// already is included.
pub(super) struct Needs(BTreeMap<String, u64>);

impl Needs {
    /// Unique blobs by project, and the manifests.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut needs: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |project: &str, len: u64| {
            let need = needs.entry(project.to_owned()).or_default();
            *need = need.saturating_add(len);
        };
        for blob in &plan.blobs {
            for project in projects_of(plan, blob) {
                add(project, blob.descriptor.size);
            }
        }
        let mut seen = BTreeSet::new();
        for image in &plan.images {
            let Some(project) = project_name(&image.wanted.destination.repository) else {
                continue;
            };
            for manifest in &image.manifests {
                if seen.insert((project, manifest.digest())) {
                    add(project, manifest.bytes().len() as u64);
                }
            }
        }
        Self(needs)
    }

    pub(super) fn len(&self, project: &str) -> u64 {
        self.0.get(project).copied().unwrap_or_default()
    }

    /// The bytes needed in a project that is pushed to.
    pub(super) fn of_project(&self, project: &str) -> Option<u64> {
        self.0.get(project).copied()
    }
}

fn projects_of<'p>(plan: &'p Plan, blob: &PlannedBlob) -> BTreeSet<&'p str> {
    let images = blob.images.iter();
    let names = images.map(|&at| &plan.images[at].wanted.destination.repository);
    names.filter_map(project_name).collect()
}

impl PreflightCheck<'_> {
    /// Compares the quota with the size of the push, minus the content that the project already
    /// has.
    pub(super) async fn check_quota(
        &mut self,
        harbor: &Harbor,
        project: &Project,
        sink: &RegistrySink,
        plan: &Plan,
        need: u64,
    ) {
        let name = &project.name;
        let quota = match harbor.quota(project).await {
            Ok(Some(quota)) => quota,
            Ok(None) => return self.unchecked.push(format!("the quota of `{name}`")),
            Err(error) => {
                let unchecked = format!("the quota of `{name}` ({})", chain(&error));
                return self.unchecked.push(unchecked);
            }
        };
        if need <= quota.free() {
            return;
        }
        let blobs = plan.blobs.iter();
        let blobs = blobs.filter(|blob| projects_of(plan, blob).contains(name.as_str()));
        let (there, absent) = self
            .in_destinations(name, sink, plan, blobs.collect())
            .await;
        let mut len = need.saturating_sub(there);
        let mut counted = Counted::Destinations;
        if len > quota.free() {
            // Harbor counts a blob once for a project, in whichever of its repositories it is.
            let prefix = name.parse::<RepositoryName>().ok();
            let listed = match &prefix {
                Some(prefix) => harbor.repositories(Some(prefix)).await.ok(),
                None => None,
            };
            if let Some(listed) = listed {
                let excess = len - quota.free();
                let (there, is_complete) = self.in_others(sink, absent, listed, excess).await;
                len = len.saturating_sub(there);
                counted = if is_complete {
                    Counted::Project
                } else {
                    Counted::Part
                };
            }
        }
        if len > quota.free() {
            let limit = quota.limit.unwrap_or(u64::MAX);
            let finding = over_quota(name, len, quota.free(), limit);
            self.find(finding.fix(counted.fix()));
        }
    }

    /// The bytes of the blobs that the destinations in a project have already, and the other blobs.
    async fn in_destinations<'p>(
        &self,
        project: &str,
        sink: &RegistrySink,
        plan: &'p Plan,
        blobs: Vec<&'p PlannedBlob>,
    ) -> (u64, Vec<&'p PlannedBlob>) {
        let found: Vec<(&PlannedBlob, bool)> = futures_util::stream::iter(blobs)
            .map(|blob| async move {
                let images = blob.images.iter();
                let names = images.map(|&at| &plan.images[at].wanted.destination.repository);
                let names: BTreeSet<&RepositoryName> = names
                    .filter(|name| project_name(name) == Some(project))
                    .collect();
                for name in names {
                    if has_blob(sink, name, blob).await {
                        return (blob, true);
                    }
                }
                (blob, false)
            })
            .buffered(ASK_AT_ONCE)
            .collect()
            .await;
        let there = found.iter().filter(|(_, is_there)| *is_there);
        let len = hod_oci::sum_len(there.map(|(blob, _)| blob.descriptor.size));
        let absent = found.into_iter().filter(|(_, is_there)| !is_there);
        (len, absent.map(|(blob, _)| blob).collect())
    }

    /// The bytes of blobs that other repositories of the project have, largest first, until these
    /// are `excess` bytes; and whether all was asked. The sink mounts them from there.
    async fn in_others(
        &self,
        sink: &RegistrySink,
        blobs: Vec<&PlannedBlob>,
        repositories: Vec<RepositoryName>,
        excess: u64,
    ) -> (u64, bool) {
        if repositories.is_empty() {
            return (0, true);
        }
        let mut n_left = OTHER_REQUESTS_MAX;
        let is_all = repositories.len() <= OTHERS_MAX;
        let mut found: u64 = 0;
        for blob in blobs {
            let some = repositories.iter().take(OTHERS_MAX.min(n_left));
            if found >= excess || some.len() == 0 {
                return (found, found >= excess);
            }
            n_left -= some.len();
            let answers: Vec<bool> = futures_util::stream::iter(some)
                .map(|name| has_blob(sink, name, blob))
                .buffered(ASK_AT_ONCE)
                .collect()
                .await;
            let mut having = repositories.iter().zip(answers);
            if let Some((name, _)) = having.find(|(_, has)| *has) {
                found = found.saturating_add(blob.descriptor.size);
                sink.note_elsewhere(&blob.descriptor.digest, name);
            }
        }
        (found, is_all)
    }
}

/// A blob that cannot be checked counts as absent, since the result is an upper bound.
async fn has_blob(sink: &RegistrySink, name: &RepositoryName, blob: &PlannedBlob) -> bool {
    let answer = sink.has_blob(name, &blob.descriptor).await;
    answer.unwrap_or(false)
}

/// The repositories that were searched for content that the project already has.
#[derive(Debug, Clone, Copy)]
enum Counted {
    /// Only the destinations, because the other repositories cannot be listed.
    Destinations,
    /// Also some of the other repositories.
    Part,
    /// All repositories.
    Project,
}

impl Counted {
    fn fix(self) -> String {
        let raise = "Raise the quota (Administration, Project Quotas), or delete content that the \
                     project no longer requires.";
        let rest = match self {
            Self::Project => return raise.to_owned(),
            Self::Destinations => {
                "This login cannot list the repositories of the project: content that only other \
                 repositories have is counted as new."
            }
            Self::Part => {
                "The project has too many repositories to check all: content that only unchecked \
                 ones have is counted as new."
            }
        };
        format!("{raise} {rest} `--no-preflight` skips this check.")
    }
}

pub(super) fn over_quota(project: &str, len: u64, free: u64, limit: u64) -> Finding {
    Finding::new(
        Check::Quota,
        project,
        format!(
            "requires up to {}, but only {} of {} are free",
            format_len(len),
            format_len(free),
            format_len(limit)
        ),
    )
}
