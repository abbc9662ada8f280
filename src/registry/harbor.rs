//! Harbor's own API: projects, their quotas and rules (`/api/v2.0`), and tokens that contain the
//! rights of their owner.
//!
//! A Harbor is recognised by the service in its challenge; none of these requests is sent to
//! another registry. The API takes user and password with each request, and no cookies: with a
//! session it would ask for CSRF tokens, on `/v2/` too. The login is sent only to the registry's
//! own origin.
//!
//! Most of the API may be closed to robots, and a proxy may forward `/v2/` only. So information
//! that is not accessible is `None`, not an error.

mod advice;
mod api;
mod creator;
mod rights;

use std::time::Instant;

use crate::client::Target;
use crate::login::challenge::Challenge;
use crate::login::token::basic;
use crate::wire::endpoint::same_origin;
use crate::{Client, Repo, RequestLine};
use hod_oci::{Registry, RepositoryName};

pub(crate) use advice::{Doubt, HarborAnswer, database_down, harbor_hint};
pub use api::{
    Created, Creation, NewProject, ProjectAccess, ProjectKind, StorageQuota, SystemInfo,
};
pub use creator::Creator;
pub use rights::Rights;
pub(crate) use rights::is_for_nobody;

/// The service that a Harbor names in its challenge.
pub(crate) const HARBOR_SERVICE: &str = "harbor-registry";
/// Maximum number of concurrent uploads to a Harbor: its database fails under more (facts D9).
const UPLOADS_AT_ONCE_MAX: usize = 4;

/// The first component of a name at a Harbor, which rights and quotas hang on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Project {
    pub name: String,
    /// One of its repositories: tokens are for repositories, and logins may be.
    repo: Repo,
}

impl Project {
    /// The project of a repository; `None` for a name of one component.
    pub fn of(registry: &Registry, repository: &RepositoryName) -> Option<Self> {
        let (name, _) = repository.as_str().split_once('/')?;
        Some(Self {
            name: name.to_owned(),
            repo: Repo {
                registry: registry.clone(),
                name: repository.clone(),
            },
        })
    }

    /// The project of a repository, or the one that a name of one component is.
    pub fn holding(registry: &Registry, name: &RepositoryName) -> Option<Self> {
        let below = || format!("{name}/any").parse().ok();
        Self::of(registry, name).or_else(|| Self::of(registry, &below()?))
    }

    /// A repository that represents the project.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Whether Harbor allows the name: 1 to 255 of lower-case letters and digits, in parts joined
    /// by one of `.`, `_` and `-` (facts D2).
    pub fn has_valid_name(&self) -> bool {
        let is_part = |part: &str| {
            let is_ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !part.is_empty() && part.chars().all(is_ok)
        };
        self.name.len() <= 255 && self.name.split(['.', '_', '-']).all(is_part)
    }
}

/// The API of a registry that is a Harbor.
#[derive(Debug, Clone)]
pub struct Harbor {
    client: Client,
    registry: Registry,
}

impl Client {
    /// Whether the registry is a Harbor, as far as it has answered yet.
    pub fn is_harbor(&self, registry: &Registry) -> bool {
        self.auth().of(registry).is_harbor()
    }

    /// The API of a registry that is a Harbor, as far as it has answered yet.
    pub fn harbor(&self, registry: &Registry) -> Option<Harbor> {
        self.is_harbor(registry).then(|| Harbor {
            client: self.clone(),
            registry: registry.clone(),
        })
    }

    /// Maximum number of concurrent uploads to the registry, if it is limited.
    pub fn uploads_at_once_max(&self, registry: &Registry) -> Option<usize> {
        self.is_harbor(registry).then_some(UPLOADS_AT_ONCE_MAX)
    }

    /// Determines what a refusal by Harbor may mean beyond its `message`. Each project is looked up
    /// once.
    pub(crate) async fn doubt(
        &self,
        target: &Target<'_>,
        (status, challenge, message): (u16, Option<&Challenge>, Option<&str>),
    ) -> Doubt {
        let doubt = self.doubt_of_project(target, status).await;
        let names_project = message.is_some_and(|message| message.ends_with("not found"));
        // A right that is missing comes with a challenge, and a missing project with its name.
        let is_about_rights =
            challenge.is_some() || names_project || doubt == Doubt::ProjectMissing;
        // Without a login, only its words tell.
        let is_sure = match self.login(target) {
            Some(_) => self.has_accepted_login(target),
            None => message.is_some(),
        };
        if status == 401 && !is_about_rights && is_sure {
            // Those that it gave meanwhile allow nothing.
            self.auth().of(target.registry).forget_tokens();
            return Doubt::DatabaseDown;
        }
        doubt
    }

    async fn doubt_of_project(&self, target: &Target<'_>, status: u16) -> Doubt {
        let project = target
            .repository
            .and_then(|name| Project::of(target.registry, name));
        let (401, Some(project)) = (status, project) else {
            return Doubt::None;
        };
        let Some(login) = self.login(target) else {
            return Doubt::None;
        };
        let auth = self.auth().of(target.registry);
        let proof = auth.proof(&login);
        let mut doubts = auth.doubts.lock().await;
        if let Some(doubt) = doubts.get(&project.name) {
            return *doubt;
        }
        let shown_at = Instant::now();
        if !proof.take_turn(shown_at) {
            return Doubt::None;
        }
        let doubt = self.ask_about(target, &project).await;
        if doubt == Doubt::LoginRefused
            && self.has_accepted_login(target)
            && let Ok(call) = api::head_project(self, &project)
        {
            proof.note_forgotten(&RequestLine::new(&call.method, &call.url), shown_at);
        }
        // The others may be otherwise a moment later.
        if matches!(doubt, Doubt::ProjectMissing | Doubt::RightMissing) {
            doubts.insert(project.name, doubt);
        }
        doubt
    }

    /// One HEAD, without retries: it only explains an error.
    async fn ask_about(&self, target: &Target<'_>, project: &Project) -> Doubt {
        let Some(login) = self.login(target).as_deref().and_then(basic) else {
            return Doubt::None;
        };
        let Ok(call) = api::head_project(self, project) else {
            return Doubt::None;
        };
        match self.transport().send(&call, Some(&login)).await {
            Ok(answer) if !same_origin(&answer.url, &call.url) => Doubt::None,
            Ok(answer) => match answer.status().as_u16() {
                200 => Doubt::RightMissing,
                404 => Doubt::ProjectMissing,
                401 => Doubt::LoginRefused,
                _ => Doubt::None,
            },
            // The refusal that is explained is the error, and stays it.
            Err(_) => Doubt::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_names_of_their_own_kind() {
        #[track_caller]
        fn check(repository: &str, expect: Option<(&str, bool)>) {
            let registry = "harbor.corp".parse().unwrap();
            let project = Project::of(&registry, &repository.parse().unwrap());
            let actual = project
                .as_ref()
                .map(|project| (project.name.as_str(), project.has_valid_name()));
            assert_eq!(actual, expect, "{repository}");
        }
        check("offline/nginx", Some(("offline", true)));
        check("a.b_c-d0/x/y/z", Some(("a.b_c-d0", true)));
        check("7/x", Some(("7", true)));
        check("a__b/x", Some(("a__b", false)));
        check("a--b/x", Some(("a--b", false)));
        check("a---b/x", Some(("a---b", false)));
        check("nginx", None);
    }
}
