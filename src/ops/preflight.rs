//! Preflight: what would stop a push is looked for before the first blob moves, all of it at once.
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

mod early;
mod finding;
mod harbor;
mod partial;
mod proxy_cache;
mod sources;

use std::collections::BTreeMap;

use serde::Serialize;

use super::batch::{Standing, Target, TargetName};
use super::{Context, Effect};
use hod_oci::{Digest, Manifest, Registry};
use hod_registry::{Client, Evidence, HeadManifest, NewProject, Probe, Repo};
use hod_transfer::{Destination, Plan, RegistrySink};

pub(super) use early::Early;
pub use finding::{Check, Finding, NotReady, TargetsNotReady};
use harbor::HarborState;
pub(super) use harbor::would_create;
pub(super) use proxy_cache::require_no_proxy_cache;
pub use sources::{SourceCheck, SourcesNotReady};
pub(super) use sources::{
    Undone, check_repositories, check_source, check_sources, not_ready, require_access,
};

/// Whether to look before a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflight {
    Skip,
    /// Look, and create at a Harbor the projects that are missing, if any are to be.
    Run {
        create: Option<NewProject>,
    },
}

/// A project that a push creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectReport {
    pub project: String,
    /// False for a dry run.
    pub created: bool,
}

/// The content of a destination before the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    /// The very image.
    Same,
    /// The same image, but not all of its referrers.
    SameWithoutReferrers,
    /// The very image, of which every part is to be asked for: that is wanted, or a foreign layer
    /// was not found.
    SameToRecheck,
    /// Another image, with this digest where the registry says so.
    Other(Option<Digest>),
    /// Content that a policy of the registry prevents reading.
    Hidden,
}

impl Present {
    pub(super) fn of(head: Option<&HeadManifest>, top: &Manifest) -> Self {
        match head.map(|head| head.evidence(top)) {
            None | Some(Evidence::Absent) => Self::Nothing,
            Some(Evidence::Present) => Self::Same,
            Some(Evidence::Differs { .. } | Evidence::Unknown) => {
                let digest = head.and_then(|head| head.digest.clone());
                Self::Other(digest.filter(|digest| digest != top.digest()))
            }
        }
    }

    /// The consequence for an image that is pushed there.
    pub(super) fn target(&self) -> (Target, Option<Digest>) {
        match self {
            Self::Nothing => (Target::New, None),
            Self::Same | Self::SameWithoutReferrers | Self::SameToRecheck => {
                (Target::Unchanged, None)
            }
            Self::Other(digest) => (Target::Replaces, digest.clone()),
            Self::Hidden => (Target::Unreadable, None),
        }
    }
}

impl From<Present> for Standing {
    fn from(present: Present) -> Self {
        match present {
            Present::Nothing | Present::Other(_) | Present::Hidden | Present::SameToRecheck => {
                Self::New
            }
            Present::SameWithoutReferrers => Self::WithoutReferrers,
            Present::Same => Self::Unchanged,
        }
    }
}

/// The results of the first look at the target.
pub(super) struct Look<'a> {
    cx: &'a Context,
    client: &'a Client,
    registry: &'a Registry,
    effect: Effect,
    create: Option<NewProject>,
    pub(super) findings: Vec<Finding>,
    /// Checks that were not possible.
    unseen: Vec<String>,
    harbor: Option<HarborState>,
    /// What destinations name, as far as it is known.
    answers: BTreeMap<Destination, Option<HeadManifest>>,
}

impl<'a> Look<'a> {
    /// Looks at the registry, of which it is known what it said `early`, and at what the names of
    /// the images say; changes nothing.
    pub(super) async fn first(
        cx: &'a Context,
        (client, registry): (&'a Client, &'a Registry),
        (effect, create): (Effect, Option<NewProject>),
        (plan, early): (&Plan, Early),
    ) -> Self {
        let mut look = Self {
            cx,
            client,
            registry,
            effect,
            create,
            findings: Vec::new(),
            unseen: Vec::new(),
            harbor: None,
            answers: early.heads,
        };
        let Some(first) = plan.images.first() else {
            return look;
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
            _ => client.probe(&repo, &at).await,
        };
        if let Ok(Probe::WantsPassword | Probe::WantsToken) = probe {
            if let Some(harbor) = client.harbor(registry) {
                look.look_at_harbor(harbor, plan).await;
                return look;
            }
            probe = client.admit(&repo, &at).await;
        }
        match probe {
            Err(error) => look.findings.push(Finding::of_error(registry, &error)),
            Ok(Probe::Found(head)) => {
                look.answers.insert(destination.clone(), head);
            }
            Ok(_) => {}
        }
        look
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

    /// Whether nothing more can be found out, since nothing can be asked.
    pub(super) fn is_hopeless(&self) -> bool {
        let is_fatal = |finding: &Finding| {
            let check = finding.check;
            matches!(
                check,
                Check::Reachable | Check::Registry | Check::Tls | Check::Login
            )
        };
        self.findings.iter().any(is_fatal)
    }

    /// Looks at what the plan needs; `present` has one answer for each image of the plan.
    pub(super) async fn second(
        &mut self,
        sink: &RegistrySink,
        (plan, present): (&Plan, &[Present]),
    ) {
        self.look_at_indexes(sink, plan).await;
        if !plan.is_empty() {
            self.look_at_plan(sink, (plan, present)).await;
        }
        if let (false, Some(first)) = (self.unseen.is_empty(), plan.images.first()) {
            let repo = Repo {
                registry: self.registry.clone(),
                name: first.wanted.destination.repository.clone(),
            };
            let user = self.client.username(&repo).unwrap_or_default();
            self.cx.note(&format!(
                "`{user}` is not allowed to make all checks at `{}`; not checked: {}",
                self.registry,
                self.unseen.join(", ")
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
    pub(super) fn go_on(&mut self) -> Result<(), NotReady> {
        if self.findings.is_empty() {
            return Ok(());
        }
        Err(NotReady {
            target: TargetName::Registry(self.registry.clone()),
            findings: std::mem::take(&mut self.findings),
        })
    }
}
