//! Missing projects: checks that the login can create them, and creates them last, if there are no
//! other findings.

use super::super::super::RunMode;
use super::super::{Check, Finding, PreflightCheck, ProjectReport};
use super::quota::{Needs, over_quota};
use super::{HarborState, Presence};
use hod_registry::{Created, Creator, Harbor, NewProject, Project, ProjectAccess};
use hod_report::amount::format_len;
use hod_report::{Diagnose as _, chain};

impl PreflightCheck<'_> {
    /// Decides how to treat the projects that are not known to exist; changes nothing.
    pub(super) async fn check_missing_projects(&mut self, state: &mut HarborState, needs: &Needs) {
        self.check_system(state).await;
        let creation = state.info.as_ref().and_then(|info| info.creation);
        for (project, presence) in state.projects.values_mut() {
            if *presence == Presence::There {
                continue;
            }
            // A proxy that hides the API answers 404 to all of it.
            if state.info.is_none() {
                *presence = Presence::Unknown;
            }
            let Some(new) = self.create else {
                if *presence == Presence::Missing {
                    let missing = Finding::new(Check::Project, &project.name, "does not exist");
                    self.find(missing.fix(
                        "Create missing projects with `--create-projects`, or push to another \
                         project with `--project`.",
                    ));
                }
                continue;
            };
            if *presence != Presence::Missing {
                continue;
            }
            let len = needs.len(&project.name);
            if let Some(limit) = new.storage_limit.filter(|&limit| len > limit) {
                self.find(
                    over_quota(&project.name, len, limit, limit)
                        .fix("Set a larger quota for new projects with `--project-quota`."),
                );
            }
            let creator = match state.harbor.creator(project, creation).await {
                Ok(creator) => creator,
                // Creating the project shows it.
                Err(_) => Creator::Unknown,
            };
            let user = self
                .client
                .session
                .username(project.repo())
                .unwrap_or_default();
            if let Some(finding) = not_allowed(&project.name, &user, creator) {
                self.find(finding);
                continue;
            }
            *presence = Presence::WouldBeCreated;
            if creator == Creator::Unknown && self.mode == RunMode::DryRun {
                let name = &project.name;
                self.unchecked
                    .push(format!("whether it can create `{name}`"));
            }
        }
    }

    /// Creates the missing projects; call it if there are no findings.
    pub(crate) async fn create_projects(&mut self) {
        let (Some(mut state), Some(new)) = (self.harbor.take(), self.create) else {
            return;
        };
        if self.mode == RunMode::Real && self.findings.is_empty() {
            self.create_missing(&mut state, new).await;
        }
        self.harbor = Some(state);
    }

    async fn create_missing(&mut self, state: &mut HarborState, new: NewProject) {
        let mut created = Vec::new();
        for (project, presence) in state.projects.values_mut() {
            if *presence != Presence::WouldBeCreated {
                continue;
            }
            match state.harbor.create_project(project, new).await {
                Ok(Created::Now) => {
                    *presence = Presence::Created;
                    created.push(project.name.clone());
                    self.check_new_quota(&state.harbor, project, new).await;
                }
                Ok(Created::Before) => *presence = Presence::There,
                Err(error) => {
                    let problem = format!(
                        "does not exist, and could not be created: {}",
                        chain(&error)
                    );
                    let finding = Finding::new(Check::Project, &project.name, problem);
                    self.find(finding.fix(error.diagnose().hint.unwrap_or_default()));
                }
            }
        }
        if !created.is_empty() {
            let names: Vec<String> = created.iter().map(|name| format!("`{name}`")).collect();
            self.cx.note(&format!(
                "created {} {} {} at `{}`",
                access_word(new.access),
                project_word(names.len()),
                names.join(", "),
                self.registry
            ));
        }
    }

    /// Checks that a new project has the requested quota: Harbor may ignore it.
    async fn check_new_quota(&self, harbor: &Harbor, project: &Project, new: NewProject) {
        let Some(wanted) = new.storage_limit else {
            return;
        };
        let Ok(Some(quota)) = harbor.quota(project).await else {
            let user = self
                .client
                .session
                .username(project.repo())
                .unwrap_or_default();
            return self.cx.warn(&format!(
                "`{user}` cannot check that project `{}` has the quota of {}: Harbor allows only \
                 administrators, and robots that can create projects, to set it",
                project.name,
                format_len(wanted)
            ));
        };
        if quota.limit != Some(wanted) {
            let limit = quota.limit.map_or("no quota".to_owned(), |limit| {
                format!("a quota of {}", format_len(limit))
            });
            self.cx.warn(&format!(
                "project `{}` has {limit}, not {}: Harbor allows only administrators to set it",
                project.name,
                format_len(wanted)
            ));
        }
    }
}

/// The finding that a login may not create a project, and advice about it.
fn not_allowed(project: &str, user: &str, creator: Creator) -> Option<Finding> {
    let fix = match creator {
        Creator::Allowed | Creator::Unknown => return None,
        Creator::ProjectRobot => format!(
            "`{user}` is a robot of one project and cannot create others. Create the project on \
             Harbor's web pages, or log in as a user or a system robot."
        ),
        Creator::NotAdmin => {
            "Only administrators can create projects in this Harbor. Ask one to create it, or to \
             allow everyone to create projects (Configuration, Project Creation)."
                .to_owned()
        }
    };
    let problem = format!("does not exist, and `{user}` cannot create it");
    Some(Finding::new(Check::Project, project, problem).fix(fix))
}

fn access_word(access: ProjectAccess) -> &'static str {
    match access {
        ProjectAccess::Private => "private",
        ProjectAccess::Public => "public",
    }
}

fn project_word(n: usize) -> &'static str {
    if n == 1 { "project" } else { "projects" }
}

/// The note that projects would be created, for a dry run.
pub(crate) fn would_create(projects: &[ProjectReport], new: NewProject) -> String {
    let names: Vec<String> = projects
        .iter()
        .map(|report| format!("`{}`", report.project))
        .collect();
    format!(
        "would create {} {} {}",
        access_word(new.access),
        project_word(names.len()),
        names.join(", ")
    )
}
