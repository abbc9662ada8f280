//! Preflight: looks for all problems that would stop a push before the first blob moves.
//!
//! Any registry: can it be reached, and does it take the login. A Harbor besides: are the names
//! allowed and the projects there, or can they be created; may the user push; is it read-only, a
//! proxy cache, out of quota, or a tag immutable. Projects are created last, when all that was
//! looked at is right: with any finding nothing is changed. What cannot be seen, as by many robots, is not
//! held against the push. How large a request a proxy in front lets through cannot be known without
//! sending one, so that is left to the upload.
//!
//! Requests: none at a registry that requires no login; at a Harbor one for each project, and one for
//! the token that the push needs anyway; the rest only where something is to be pushed.

mod check;
mod early;
mod finding;
mod harbor;
mod partial;
mod proxy_cache;
mod sources;

use super::batch::TargetName;
use super::{Context, RunMode};
use hod_oci::{Manifest, Registry};
use hod_registry::{Client, NewProject, Probe, Repo};
use hod_transfer::{Destination, Plan, RegistrySink};

pub(super) use check::{PreflightCheck, Present};
pub(super) use early::Early;
pub use finding::{Check, Finding, NotReady, TargetsNotReady};
pub use harbor::ProjectReport;
pub(super) use harbor::would_create;
pub(super) use proxy_cache::require_no_proxy_cache;
pub use sources::{SourceCheck, SourcesNotReady};
pub(super) use sources::{
    Undone, check_repositories, check_source, check_sources, not_ready, require_access,
};

/// Whether a push checks its target first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflight {
    Skip,
    /// Check, and create the missing projects at a Harbor, if any are to be created.
    Run {
        create: Option<NewProject>,
    },
}

impl<'a> PreflightCheck<'a> {
    /// Checks the registry, with its `early` answers, and the names of the images; changes nothing.
    pub(super) async fn of_registry(
        cx: &'a Context,
        (client, registry): (&'a Client, &'a Registry),
        (mode, create): (RunMode, Option<NewProject>),
        (plan, early): (&Plan, Early),
    ) -> Self {
        let mut check = Self {
            cx,
            client,
            registry,
            mode,
            create,
            findings: Vec::new(),
            unchecked: Vec::new(),
            harbor: None,
            answers: early.heads,
        };
        let Some(first) = plan.images.first() else {
            return check;
        };
        cx.stage(&format!("checking {registry}"));
        let destination = &first.wanted.destination;
        let repo = Repo {
            registry: registry.clone(),
            name: destination.repository.clone(),
        };
        let at = destination.manifest_ref(first.top().digest());
        let mut probe = match early.probe {
            Some((asked, probe)) if asked == *destination => Ok(probe),
            _ => Probe::run(&client.manifests, &repo, &at).await,
        };
        if let Ok(Probe::WantsPassword | Probe::WantsToken) = probe {
            if let Some(harbor) = client.harbor(registry) {
                check.check_harbor(harbor, plan).await;
                return check;
            }
            probe = Probe::with_login(&client.manifests, &repo, &at).await;
        }
        match probe {
            Err(error) => check.findings.push(Finding::of_error(registry, &error)),
            Ok(Probe::Found(head)) => {
                check.answers.insert(destination.clone(), head);
            }
            Ok(_) => {}
        }
        check
    }

    /// The known content of the destination, if it was requested.
    pub(super) fn answer(&self, destination: &Destination, top: &Manifest) -> Option<Present> {
        let head = self.answers.get(destination)?;
        Some(Present::of(head.as_ref(), top))
    }

    /// Whether requesting the content of the destination makes sense: not in a project that does
    /// not exist.
    pub(super) fn may_ask(&self, destination: &Destination) -> bool {
        match &self.harbor {
            Some(state) => state.is_there(destination),
            None => true,
        }
    }

    /// Returns true if no further checks are possible, because the registry cannot be used.
    pub(super) fn is_fatal(&self) -> bool {
        let is_fatal = |finding: &Finding| {
            let check = finding.check;
            matches!(
                check,
                Check::Reachable | Check::Registry | Check::Tls | Check::Login
            )
        };
        self.findings.iter().any(is_fatal)
    }

    /// Checks what the plan requires; `present` has one answer for each image of the plan.
    pub(super) async fn check_plan(
        &mut self,
        sink: &RegistrySink,
        plan: &Plan,
        present: &[Present],
    ) {
        self.check_indexes(sink, plan).await;
        if !plan.is_empty() {
            self.check_projects(sink, plan, present).await;
        }
        if let (false, Some(first)) = (self.unchecked.is_empty(), plan.images.first()) {
            let repo = Repo {
                registry: self.registry.clone(),
                name: first.wanted.destination.repository.clone(),
            };
            let user = self.client.session.username(&repo);
            let user = user.map_or("a client without a login".to_owned(), |user| {
                format!("`{user}`")
            });
            self.cx.note(&format!(
                "{user} is not allowed to make all checks at `{}`; not checked: {}",
                self.registry,
                self.unchecked.join(", ")
            ));
        }
    }

    /// The projects that were created, or would be.
    pub(super) fn projects(&self) -> Vec<ProjectReport> {
        match &self.harbor {
            Some(state) => state.created(),
            None => Vec::new(),
        }
    }

    /// An error if anything was found.
    pub(super) fn require_none(&mut self) -> Result<(), NotReady> {
        if self.findings.is_empty() {
            return Ok(());
        }
        Err(NotReady {
            target: TargetName::Registry(self.registry.clone()),
            findings: std::mem::take(&mut self.findings),
        })
    }
}
