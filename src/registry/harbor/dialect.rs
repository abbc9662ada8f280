//! How Harbor deviates from the specification.

use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Project;
use super::api::head_project;
use super::rights;
use crate::RequestLine;
use crate::error::harbor::Cause;
use crate::login::context::{Context, Dialect, DialectLimits, Refused};
use crate::login::scopes::{ScopeRules, Scopes};
use crate::login::target::Target;
use crate::login::token::basic;
use crate::wire::endpoint::same_origin;
use hod_oci::RepositoryName;

/// Harbor, whose registry checks rights for each project and whose database fails under load.
#[derive(Debug)]
pub(crate) struct HarborDialect;

pub(crate) static HARBOR: HarborDialect = HarborDialect;

impl ScopeRules for HarborDialect {
    fn service(&self) -> &'static str {
        "harbor-registry"
    }

    /// One scope of each project is enough: its token allows all that the user may do there.
    fn requested(&self, needed: &Scopes) -> Scopes {
        needed.one_per_project()
    }

    fn granted(&self, requested: &Scopes) -> Scopes {
        requested.projects()
    }
}

impl Dialect for HarborDialect {
    fn limits(&self) -> DialectLimits {
        DialectLimits {
            writes: 5,
            uploads: 4,
        }
    }

    fn is_anonymous(&self, authorization: &[u8]) -> bool {
        rights::is_anonymous(authorization)
    }

    /// Harbor answers 400 to a mount from a repository that is in no project.
    fn may_mount_from(&self, repository: &RepositoryName) -> bool {
        repository.as_str().contains('/')
    }

    /// Each project is looked up once.
    fn explain<'a>(
        &'a self,
        context: &'a Context,
        target: &'a Target<'a>,
        refused: Refused<'a>,
    ) -> BoxFuture<'a, Cause> {
        cause(context, target, refused).boxed()
    }
}

async fn cause(context: &Context, target: &Target<'_>, refused: Refused<'_>) -> Cause {
    let Refused {
        status,
        challenge,
        message,
    } = refused;
    let cause = cause_in_project(context, target, status).await;
    let names_project = message.is_some_and(|message| message.ends_with("not found"));
    // A right that is missing comes with a challenge, and a missing project with its name.
    let is_about_rights = challenge.is_some() || names_project || cause == Cause::ProjectMissing;
    // Without a login, only its words tell.
    let is_sure = match context.login(target) {
        Some(_) => context.has_accepted_login(target),
        None => message.is_some(),
    };
    if status == 401 && !is_about_rights && is_sure {
        // The tokens that were issued meanwhile allow nothing.
        context.memory(target.registry).forget_tokens();
        return Cause::DatabaseDown;
    }
    cause
}

async fn cause_in_project(context: &Context, target: &Target<'_>, status: u16) -> Cause {
    let project = target
        .repository
        .and_then(|name| Project::of(target.registry, name));
    let (401, Some(project)) = (status, project) else {
        return Cause::Unknown;
    };
    let Some(login) = context.login(target) else {
        return Cause::Unknown;
    };
    let memory = context.memory(target.registry);
    let known = memory.login(&login);
    let mut causes = memory.causes.lock().await;
    if let Some(cause) = causes.get(&project.name) {
        return *cause;
    }
    let sent_at = Instant::now();
    if !known.may_send(sent_at) {
        return Cause::Unknown;
    }
    let cause = look_up(context, target, &project).await;
    if cause == Cause::LoginRefused
        && known.is_accepted()
        && let Ok(call) = head_project(context, &project)
    {
        known.note_unknown(&RequestLine::new(&call.method, &call.url), sent_at);
    }
    // The others may be otherwise a moment later.
    if matches!(cause, Cause::ProjectMissing | Cause::RightMissing) {
        causes.insert(project.name, cause);
    }
    cause
}

/// Looks a project up with one HEAD, without retries: it only explains an error.
async fn look_up(context: &Context, target: &Target<'_>, project: &Project) -> Cause {
    let Some(login) = context.login(target).as_deref().and_then(basic) else {
        return Cause::Unknown;
    };
    let Ok(call) = head_project(context, project) else {
        return Cause::Unknown;
    };
    match context.transport.send(&call, Some(&login)).await {
        Ok(answer) if !same_origin(&answer.url, &call.url) => Cause::Unknown,
        Ok(answer) => match answer.status() {
            200 => Cause::RightMissing,
            404 => Cause::ProjectMissing,
            401 => Cause::LoginRefused,
            _ => Cause::Unknown,
        },
        // The refusal that is explained is the error, and stays it.
        Err(_) => Cause::Unknown,
    }
}
