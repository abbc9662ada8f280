//! Detects images that only seem to be at their destination: a proxy cache answers with the content
//! of the registry behind it, and stores nothing.

use std::collections::BTreeMap;

use super::super::batch::TargetName;
use super::{Check, Finding, NotReady};
use hod_oci::{Registry, RepositoryName};
use hod_registry::{Client, Project, ProjectKind};

/// Fails if a repository that seems to have its image is in a proxy cache of a Harbor.
///
/// Projects that this login may not see do not prevent the push.
pub(crate) async fn require_no_proxy_cache(
    client: &Client,
    registry: &Registry,
    repositories: impl Iterator<Item = &RepositoryName>,
) -> Result<(), NotReady> {
    let Some(harbor) = client.harbor(registry) else {
        return Ok(());
    };
    let projects: BTreeMap<String, Project> = repositories
        .filter_map(|name| Project::of(registry, name))
        .map(|project| (project.name.clone(), project))
        .collect();
    // Projects that cannot be checked do not prevent the push.
    let visible = harbor.visible_projects(projects.values()).await;
    let caches = visible.unwrap_or_default().into_iter();
    let findings: Vec<Finding> = caches
        .filter(|(_, kind)| *kind == ProjectKind::ProxyCache)
        .map(|(name, _)| finding(&name))
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    Err(NotReady {
        target: TargetName::Registry(registry.clone()),
        findings,
    })
}

/// The finding that a project is a proxy cache.
pub(super) fn finding(project: &str) -> Finding {
    Finding::new(Check::ProxyCache, project, "is a proxy cache")
        .fix("A proxy cache accepts no pushes. Choose another project with `--project`.")
}
