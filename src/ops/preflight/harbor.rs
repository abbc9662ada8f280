//! What may stand in the way at a Harbor.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use super::super::Effect;
use super::super::batch::error_chain;
use super::{Check, Finding, Look, Present, ProjectReport};
use crate::oci::{Registry, RepositoryName, Tag};
use crate::registry::{
    Created, Creation, Harbor, NewProject, Project, ProjectAccess, RegistryError, SystemInfo,
};
use crate::report::amount::format_len;
use crate::transfer::{Destination, Plan, RegistrySink};

/// How many things are asked at once.
const ASK_AT_ONCE: usize = 8;

/// What is known of a Harbor.
pub(super) struct HarborState {
    harbor: Harbor,
    /// By name; without those whose name Harbor does not allow.
    projects: BTreeMap<String, (Project, Presence)>,
    info: Option<SystemInfo>,
}

/// Whether a project is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Created,
    WouldBeCreated,
    Missing,
    /// This login may not know.
    Unknown,
}

impl HarborState {
    /// Whether the destination's project is there, as far as is known.
    pub(super) fn is_there(&self, destination: &Destination) -> bool {
        let name = project_name(&destination.repository);
        let known = name.and_then(|name| self.projects.get(name));
        known.is_some_and(|(_, presence)| {
            matches!(
                presence,
                Presence::There | Presence::Created | Presence::Unknown
            )
        })
    }

    /// The projects that were created, or would be.
    pub(super) fn created(&self) -> Vec<ProjectReport> {
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

fn project_name(repository: &RepositoryName) -> Option<&str> {
    repository.as_str().split_once('/').map(|(name, _)| name)
}

impl Look<'_> {
    pub(super) async fn look_at_harbor(&mut self, harbor: Harbor, plan: &Plan) {
        let mut projects = BTreeMap::new();
        for image in &plan.images {
            match check_name(self.registry, &image.wanted.destination.repository) {
                Ok(project) => {
                    projects
                        .entry(project.name.clone())
                        .or_insert((project, Presence::Unknown));
                }
                Err(finding) => self.find(finding),
            }
        }
        let mut state = HarborState {
            harbor,
            projects,
            info: None,
        };
        let projects = state.projects.values().map(|(project, _)| project);
        if let Err(error) = state.harbor.expect(projects).await {
            return self.find_error(&error);
        }
        self.look_for_projects(&mut state, &Needs::of(plan)).await;
        if !self.is_hopeless() {
            self.look_for_rights(&state).await;
        }
        self.harbor = Some(state);
    }

    fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn find_error(&mut self, error: &RegistryError) {
        self.find(Finding::of_error(self.registry, error));
    }

    async fn look_for_projects(&mut self, state: &mut HarborState, needs: &Needs) {
        let harbor = &state.harbor;
        let answers: Vec<_> = futures_util::stream::iter(state.projects.values_mut())
            .map(|(project, presence)| async move {
                let answer = harbor.has_project(project).await;
                (project, presence, answer)
            })
            .buffered(ASK_AT_ONCE)
            .collect()
            .await;
        let mut unknown = None;
        for (project, presence, answer) in answers {
            match answer {
                Ok(Some(true)) => *presence = Presence::There,
                Ok(Some(false)) => *presence = Presence::Missing,
                Ok(None) => unknown = Some(project.clone()),
                Err(error) => return self.find_error(&error),
            }
        }
        // Either the API is not for this login, or the login is wrong; tokens tell.
        if let Some(project) = unknown
            && let Err(error) = self.client.check_token(project.repo()).await
        {
            return self.find_error(&error);
        }
        let is_complete = |(_, presence): &(Project, Presence)| matches!(presence, Presence::There);
        if !state.projects.values().all(is_complete) {
            self.look_for_missing_projects(state, needs).await;
        }
    }

    async fn look_for_missing_projects(&mut self, state: &mut HarborState, needs: &Needs) {
        self.look_at_system(state).await;
        let is_read_only = state.info.as_ref().and_then(|info| info.read_only);
        let mut created = Vec::new();
        let is_clear = self.findings.is_empty() && is_read_only != Some(true);
        for (project, presence) in state.projects.values_mut() {
            if *presence == Presence::There {
                continue;
            }
            // A proxy that hides the API answers 404 to all of it.
            if state.info.is_none() {
                *presence = Presence::Unknown;
            }
            match (self.create, *presence) {
                (None, Presence::Missing) => {
                    let missing = Finding::new(Check::Project, &project.name, "does not exist");
                    self.find(missing.fix(
                        "create what is missing with `--create-projects`, or push into another \
                         project with `--project`",
                    ));
                }
                (Some(_), _) if !is_clear => {}
                // Nothing is there yet, so that all of the plan will count.
                (Some(new), Presence::Missing) if needs.exceed(&project.name, new) => {
                    let (len, limit) = (needs.len(&project.name), new.storage_limit);
                    let limit = limit.unwrap_or_default();
                    self.find(
                        over_quota(&project.name, len, (limit, limit))
                            .fix("give new projects more with `--project-quota`"),
                    );
                }
                // Whatever hides the API would refuse this as well; the token tells what is there.
                (Some(_), Presence::Unknown) if state.info.is_none() => {}
                (Some(_), Presence::Missing) if self.effect == Effect::DryRun => {
                    *presence = Presence::WouldBeCreated;
                }
                (Some(new), _) if self.effect == Effect::Real => {
                    match state.harbor.create_project(project, new).await {
                        Ok(Created::Now) => {
                            *presence = Presence::Created;
                            created.push(project.name.clone());
                        }
                        Ok(Created::Before) => *presence = Presence::There,
                        Err(error) => {
                            let user = self.client.username(project.repo());
                            let creation = state.info.as_ref().and_then(|info| info.creation);
                            self.find(not_created(project, &error, (user, creation)));
                        }
                    }
                }
                _ => {}
            }
        }
        if let (false, Some(new)) = (created.is_empty(), self.create) {
            let access = access_word(new.access);
            let names: Vec<String> = created.iter().map(|name| format!("`{name}`")).collect();
            self.cx.note(&format!(
                "created {access} {} {} at `{}`",
                if names.len() == 1 {
                    "project"
                } else {
                    "projects"
                },
                names.join(", "),
                self.registry
            ));
        }
    }

    /// Asks what Harbor says of itself, once.
    async fn look_at_system(&mut self, state: &mut HarborState) {
        let Some((project, _)) = state.projects.values().next() else {
            return;
        };
        if state.info.is_some() {
            return;
        }
        match state.harbor.system_info(project).await {
            Ok(info) => state.info = info,
            Err(error) => self.unseen.push(format!(
                "whether `{}` is read-only ({})",
                self.registry,
                error_chain(&error)
            )),
        }
        if state.info.as_ref().and_then(|info| info.read_only) == Some(true) {
            self.find(
                Finding::new(
                    Check::ReadOnly,
                    self.registry.as_str(),
                    "takes nothing, since it is in read-only mode",
                )
                .fix(
                    "Harbor is read-only during maintenance; an administrator ends it \
                     (Configuration, System Settings)",
                ),
            );
        }
    }

    /// Fetches the token of the run, and reads from it what may be done.
    async fn look_for_rights(&mut self, state: &HarborState) {
        let projects: Vec<Project> = state
            .projects
            .values()
            .filter(|(_, presence)| {
                !matches!(presence, Presence::Missing | Presence::WouldBeCreated)
            })
            .map(|(project, _)| project.clone())
            .collect();
        if projects.is_empty() {
            return;
        }
        let rights = match state.harbor.rights(&projects).await {
            Ok(rights) => rights,
            Err(error) => return self.find_error(&error),
        };
        for project in &projects {
            if rights.may_push(project) != Some(false) {
                continue;
            }
            let user = self.client.username(project.repo());
            let user = user.map_or("without a login one".to_owned(), |user| format!("`{user}`"));
            let (_, presence) = &state.projects[&project.name];
            let problem = match presence {
                Presence::Unknown => format!("does not exist, or {user} may not push into it"),
                _ => format!("{user} may not push into it"),
            };
            self.find(Finding::new(Check::Right, &project.name, problem).fix(
                "give the user the project's role Developer or, to a robot, the permissions to \
                 pull and push repositories",
            ));
        }
    }

    pub(super) async fn look_at_plan(
        &mut self,
        sink: &RegistrySink,
        (plan, present): (&Plan, &[Present]),
    ) {
        let Some(mut state) = self.harbor.take() else {
            return;
        };
        self.look_at_system(&mut state).await;
        let needs = Needs::of(plan);
        for (name, (project, presence)) in &state.projects {
            let Some(&need) = needs.0.get(name) else {
                continue;
            };
            let is_of = |finding: &Finding| finding.check == Check::Right && finding.what == *name;
            if self.findings.iter().any(is_of) {
                continue;
            }
            match presence {
                Presence::There | Presence::Unknown | Presence::Created => {
                    self.look_at_project((&state.harbor, project), *presence, (sink, plan, need))
                        .await;
                }
                Presence::WouldBeCreated | Presence::Missing => {}
            }
        }
        self.look_for_immutable_tags(&state, (plan, present)).await;
        self.harbor = Some(state);
    }

    async fn look_at_project(
        &mut self,
        (harbor, project): (&Harbor, &Project),
        presence: Presence,
        (sink, plan, need): (&RegistrySink, &Plan, u64),
    ) {
        let name = &project.name;
        if presence != Presence::Created {
            match harbor.is_proxy_cache(project).await {
                Ok(Some(true)) => {
                    return self.find(
                        Finding::new(Check::ProxyCache, name, "is a cache of another registry")
                            .fix(
                                "nothing can be pushed into a proxy cache: choose another project \
                                 with `--project`",
                            ),
                    );
                }
                Ok(Some(false)) => {}
                Ok(None) => {
                    // Whoever may not see the project may not see its quota either.
                    return self
                        .unseen
                        .push(format!("whether `{name}` is a proxy cache, and its quota"));
                }
                Err(error) => {
                    return self
                        .unseen
                        .push(format!("project `{name}` ({})", error_chain(&error)));
                }
            }
        }
        match harbor.quota(project).await {
            Ok(Some(quota)) => {
                if let (Presence::Created, Some(wanted)) =
                    (presence, self.create.and_then(|new| new.storage_limit))
                    && quota.limit != Some(wanted)
                {
                    let limit = quota.limit.map_or("no quota".to_owned(), |limit| {
                        format!("a quota of {}", format_len(limit))
                    });
                    self.cx.warn(&format!(
                        "project `{name}` has {limit}, not {}: Harbor lets only system \
                         administrators choose",
                        format_len(wanted)
                    ));
                }
                let mut len = need;
                if len > quota.free() {
                    len -= self.len_there(name, (sink, plan)).await.min(len);
                }
                if len > quota.free() {
                    let limit = quota.limit.unwrap_or(u64::MAX);
                    self.find(over_quota(name, len, (quota.free(), limit)));
                }
            }
            Ok(None) => {}
            Err(error) => self
                .unseen
                .push(format!("the quota of `{name}` ({})", error_chain(&error))),
        }
    }

    /// The bytes of the plan's blobs that the destinations in a project have already: asked only
    /// when it matters.
    async fn len_there(&self, project: &str, (sink, plan): (&RegistrySink, &Plan)) -> u64 {
        let lens = futures_util::stream::iter(&plan.blobs)
            .map(|blob| async move {
                let mut names: Vec<&RepositoryName> = Vec::new();
                for &at in &blob.images {
                    let name = &plan.images[at].wanted.destination.repository;
                    if project_name(name) == Some(project) && !names.contains(&name) {
                        names.push(name);
                    }
                }
                for name in names {
                    // What cannot be asked counts as not there: the bound is an upper one.
                    if sink.has_blob(name, &blob.descriptor).await.unwrap_or(false) {
                        return blob.descriptor.size;
                    }
                }
                0
            })
            .buffered(ASK_AT_ONCE);
        lens.fold(0, |sum: u64, len| async move { sum.saturating_add(len) })
            .await
    }

    async fn look_for_immutable_tags(
        &mut self,
        state: &HarborState,
        (plan, present): (&Plan, &[Present]),
    ) {
        let mut by_project: BTreeMap<&str, Vec<(&RepositoryName, &Tag)>> = BTreeMap::new();
        for (image, present) in plan.images.iter().zip(present) {
            let destination = &image.wanted.destination;
            if let (Present::Other, Some(tag), Some(project)) = (
                present,
                &destination.tag,
                project_name(&destination.repository),
            ) {
                let tags = by_project.entry(project).or_default();
                tags.push((&destination.repository, tag));
            }
        }
        for (name, tags) in by_project {
            let Some((project, _)) = state.projects.get(name) else {
                continue;
            };
            if let Ok(Some(false)) = state.harbor.has_immutable_rules(project).await {
                continue;
            }
            let harbor = &state.harbor;
            let answers: Vec<_> = futures_util::stream::iter(tags)
                .map(|(repository, tag)| async move {
                    let answer = harbor.is_immutable((project, repository), tag).await;
                    (format!("{repository}:{tag}"), answer)
                })
                .buffered(ASK_AT_ONCE)
                .collect()
                .await;
            let mut is_hidden = false;
            for (image, answer) in answers {
                match answer {
                    Ok(Some(true)) => self.find(
                        Finding::new(
                            Check::Immutable,
                            image,
                            "is immutable, and names another image",
                        )
                        .fix(
                            "push under another tag with `--rename`, or change the project's rule \
                             (Policy, Tag Immutability)",
                        ),
                    ),
                    Ok(Some(false)) => {}
                    Ok(None) | Err(_) => is_hidden = true,
                }
            }
            if is_hidden {
                self.unseen.push(format!("the immutable tags of `{name}`"));
            }
        }
    }
}

/// The project of a name that Harbor allows. That a name is in lower case and has at most 255
/// characters is so for every [`RepositoryName`].
fn check_name(registry: &Registry, repository: &RepositoryName) -> Result<Project, Finding> {
    let Some(project) = Project::of(registry, repository) else {
        return Err(
            Finding::new(Check::Name, repository.as_str(), "names no project")
                .fix("at a Harbor every image is in a project: pass `--project NAME`"),
        );
    };
    if project.has_valid_name() {
        return Ok(project);
    }
    let problem = "is no name that a project can have";
    Err(Finding::new(Check::Name, project.name, problem).fix(
        "Harbor's projects are named in lower-case letters and digits, joined by single `.`, `_` \
         or `-`: choose another with `--project` or `--rename`",
    ))
}

/// What the plan may add to each project, in bytes. It is an upper bound: what is there already
/// is counted.
struct Needs(BTreeMap<String, u64>);

impl Needs {
    /// Unique blobs by project, and the manifests.
    fn of(plan: &Plan) -> Self {
        let mut needs: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |project: &str, len: u64| {
            let need = needs.entry(project.to_owned()).or_default();
            *need = need.saturating_add(len);
        };
        let project_of = |at: usize| project_name(&plan.images[at].wanted.destination.repository);
        for blob in &plan.blobs {
            let mut projects: Vec<&str> = blob
                .images
                .iter()
                .filter_map(|&at| project_of(at))
                .collect();
            projects.sort_unstable();
            projects.dedup();
            for project in projects {
                add(project, blob.descriptor.size);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for (at, image) in plan.images.iter().enumerate() {
            let Some(project) = project_of(at) else {
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

    fn len(&self, project: &str) -> u64 {
        self.0.get(project).copied().unwrap_or_default()
    }

    /// Whether a new project would be too small.
    fn exceed(&self, project: &str, new: NewProject) -> bool {
        new.storage_limit
            .is_some_and(|limit| self.len(project) > limit)
    }
}

fn over_quota(project: &str, len: u64, (free, limit): (u64, u64)) -> Finding {
    Finding::new(
        Check::Quota,
        project,
        format!(
            "up to {} would be added, and {} of {} are free",
            format_len(len),
            format_len(free),
            format_len(limit)
        ),
    )
    .fix(
        "raise the quota (Administration, Project Quotas) or delete what the project no longer \
         needs; `--no-preflight` goes ahead if the project has most of it under other names",
    )
}

pub(in crate::ops) fn access_word(access: ProjectAccess) -> &'static str {
    match access {
        ProjectAccess::Private => "private",
        ProjectAccess::Public => "public",
    }
}

fn not_created(
    project: &Project,
    error: &RegistryError,
    (user, creation): (Option<String>, Option<Creation>),
) -> Finding {
    use crate::hint::Hint as _;
    let user = user.unwrap_or_default();
    let what = &project.name;
    let problem = format!(
        "does not exist, and cannot be created: {}",
        error_chain(error)
    );
    let is_robots = error.to_string().contains("robot");
    let fix = match error.status() {
        Some(401) => format!(
            "log in to create projects; `{user}` is not known to Harbor's API, as users of OIDC \
             are not"
        ),
        Some(403) if is_robots => format!(
            "`{user}` is a robot of one project, and may never create others: create the project on \
             Harbor's web pages, or log in as a user or a robot of the whole system"
        ),
        Some(403) if creation == Some(Creation::AdminOnly) => format!(
            "at this Harbor only administrators create projects, and `{user}` is none: ask one to \
             create it, or to let everyone (Configuration, Project Creation)"
        ),
        _ => error.hint().unwrap_or_default(),
    };
    Finding::new(Check::Project, what, problem).fix(fix)
}

/// That projects would be created, for a dry run.
pub(in crate::ops) fn would_create(projects: &[ProjectReport], new: NewProject) -> String {
    let names: Vec<String> = projects
        .iter()
        .map(|report| format!("`{}`", report.project))
        .collect();
    format!(
        "would create {} {} {}",
        access_word(new.access),
        if names.len() == 1 {
            "project"
        } else {
            "projects"
        },
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_a_project_that_harbor_allows() {
        #[track_caller]
        fn check(name: &str, expect: Result<&str, &str>) {
            let registry = "harbor.corp".parse().unwrap();
            let found = check_name(&registry, &name.parse().unwrap());
            let found = found.map(|project| project.name);
            let found = found.map_err(|finding| format!("{} {}", finding.what, finding.problem));
            assert_eq!(found.as_deref().map_err(String::as_str), expect, "{name}");
        }
        check("offline/a/b/c", Ok("offline"));
        check("nginx", Err("nginx names no project"));
        check("a__b/c", Err("a__b is no name that a project can have"));
        check("a/b__c", Ok("a"));
    }
}
