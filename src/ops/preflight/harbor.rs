//! Problems that a Harbor may cause: `missing` projects, the `quota`, and tags that are
//! `immutable`.

mod immutable;
mod missing;
mod quota;
mod state;

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use super::check::{PreflightCheck, Present};
use super::{Check, Finding, proxy_cache};
use hod_oci::{Registry, RepositoryName};
use hod_registry::{Harbor, Probe, Project, ProjectKind, RegistryError};
use hod_report::chain;
use hod_transfer::{Plan, RegistrySink};
pub(crate) use missing::would_create;
use quota::Needs;
pub(super) use state::HarborState;
pub use state::ProjectReport;
use state::{ASK_AT_ONCE, Presence, project_name};

/// Maximum length of a repository's name, in characters: the registry behind Harbor allows 255
/// including a host.
const REPOSITORY_LEN_MAX: usize = 245;

impl PreflightCheck<'_> {
    pub(super) async fn check_harbor(&mut self, harbor: Harbor, plan: &Plan) {
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
        self.find_projects(&mut state, &Needs::of(plan)).await;
        if !self.is_fatal() {
            self.check_rights(&mut state).await;
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

    async fn find_projects(&mut self, state: &mut HarborState, needs: &Needs) {
        let harbor = &state.harbor;
        let visible = harbor.visible_projects(state.projects.values().map(|(project, _)| project));
        let visible = match visible.await {
            Ok(visible) => visible,
            Err(error) => return self.find_error(&error),
        };
        let mut unchecked = Vec::new();
        for (name, (project, presence)) in &mut state.projects {
            match visible.get(name) {
                Some(ProjectKind::Own) => *presence = Presence::There,
                Some(ProjectKind::ProxyCache) => {
                    *presence = Presence::Closed;
                    self.find(proxy_cache::finding(name));
                }
                None => unchecked.push((project, presence)),
            }
        }
        let answers: Vec<_> = futures_util::stream::iter(unchecked)
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
                // Whatever it is, this login cannot see that.
                Ok(Some(true)) => *presence = Presence::There,
                Ok(Some(false)) => *presence = Presence::Missing,
                Ok(None) => unknown = Some(project.clone()),
                Err(error) => return self.find_error(&error),
            }
        }
        // Either the login is not allowed to use the API, or it is wrong; requesting a token shows
        // which.
        if let Some(project) = unknown
            && let Err(error) = Probe::check_token(&self.client.session, project.repo()).await
        {
            return self.find_error(&error);
        }
        let is_complete = |(_, presence): &(Project, Presence)| matches!(presence, Presence::There);
        if !state.projects.values().all(is_complete) {
            self.check_missing_projects(state, needs).await;
        }
    }

    /// Requests Harbor's system information, once.
    async fn check_system(&mut self, state: &mut HarborState) {
        let Some((project, _)) = state.projects.values().next() else {
            return;
        };
        if state.info.is_some() {
            return;
        }
        match state.harbor.system_info(project).await {
            Ok(info) => state.info = info,
            Err(error) => self.unchecked.push(format!(
                "whether `{}` is read-only ({})",
                self.registry,
                chain(&error)
            )),
        }
        if state.info.as_ref().and_then(|info| info.read_only) == Some(true) {
            self.find(
                Finding::new(
                    Check::ReadOnly,
                    self.registry.as_str(),
                    "is in read-only mode and accepts no pushes",
                )
                .fix(
                    "Wait until the maintenance ends, or ask an administrator to end read-only mode \
                     (Configuration, System Settings).",
                ),
            );
        }
    }

    /// Fetches the token of the run, and reads the granted rights from it.
    async fn check_rights(&mut self, state: &mut HarborState) {
        let projects: Vec<Project> = state
            .projects
            .values()
            .filter(|(_, presence)| matches!(presence, Presence::There | Presence::Unknown))
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
            let is_api_closed = state.info.is_none();
            let Some((_, presence)) = state.projects.get_mut(&project.name) else {
                continue;
            };
            let is_unknown = *presence == Presence::Unknown;
            // Creating it shows which of the two is true.
            if is_unknown && self.create.is_some() && !is_api_closed {
                *presence = Presence::WouldBeCreated;
                continue;
            }
            *presence = Presence::Closed;
            let mut problem = match self.client.session.username(project.repo()) {
                Some(user) => format!("`{user}` cannot push to it"),
                None => "pushing to it requires a login".to_owned(),
            };
            if is_unknown {
                problem = format!("does not exist, or {problem}");
            }
            let mut fix =
                "Give the user the role Developer in the project or, if it is a robot, the \
                           permissions to pull and push repositories."
                    .to_owned();
            if is_unknown && self.create.is_some() {
                problem += "; it was not created, because Harbor's API cannot be reached";
                fix = format!(
                    "Configure the proxy in front of `{}` to pass `/api/`, or create the project on \
                     Harbor's web pages. If it exists: {fix}",
                    self.registry
                );
            }
            self.find(Finding::new(Check::Right, &project.name, problem).fix(fix));
        }
    }

    pub(super) async fn check_projects(
        &mut self,
        sink: &RegistrySink,
        plan: &Plan,
        present: &[Present],
    ) {
        let Some(mut state) = self.harbor.take() else {
            return;
        };
        self.check_system(&mut state).await;
        let needs = Needs::of(plan);
        for (name, (project, presence)) in &state.projects {
            let Some(need) = needs.of_project(name) else {
                continue;
            };
            match presence {
                Presence::There | Presence::Unknown => {
                    self.check_quota(&state.harbor, project, sink, plan, need)
                        .await;
                }
                Presence::Created
                | Presence::WouldBeCreated
                | Presence::Missing
                | Presence::Closed => {}
            }
        }
        self.check_immutable_tags(&state, sink, plan, present).await;
        self.harbor = Some(state);
    }
}

/// The project of a name that Harbor allows. That a name is in lower case and has at most 255
/// characters is so for every [`RepositoryName`].
fn check_name(registry: &Registry, repository: &RepositoryName) -> Result<Project, Finding> {
    let Some(project) = Project::of(registry, repository) else {
        return Err(
            Finding::new(Check::Name, repository.as_str(), "has no project")
                .fix("In Harbor, every image is in a project. Pass `--project NAME`."),
        );
    };
    let len = repository.as_str().len();
    if len > REPOSITORY_LEN_MAX {
        let problem = format!("has {len} characters; Harbor allows {REPOSITORY_LEN_MAX}");
        return Err(Finding::new(Check::Name, repository.as_str(), problem)
            .fix("Choose a shorter name with `--project`, `--rename` or `--strip-host`."));
    }
    if project.has_valid_name() {
        return Ok(project);
    }
    let problem = "is not a valid project name";
    Err(Finding::new(Check::Name, project.name, problem).fix(
        "A project name has lower-case letters and digits, joined by single `.`, `_` or `-`. Choose \
         another name with `--project` or `--rename`.",
    ))
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
        check("nginx", Err("nginx has no project"));
        check("a__b/c", Err("a__b is not a valid project name"));
        check("a/b__c", Ok("a"));
    }
}
