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

mod api;
mod creator;
mod dialect;
mod repositories;
mod rights;
mod tags;

use crate::Repo;
use crate::login::session::Session;
use hod_oci::{Registry, RepositoryName};

pub use api::{
    Created, Creation, NewProject, ProjectAccess, ProjectKind, StorageQuota, SystemInfo,
};
pub use creator::Creator;
pub(crate) use dialect::HARBOR;
pub use rights::Rights;

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
    /// by one of `.`, `_` and `-`.
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
    session: Session,
    registry: Registry,
}

impl Harbor {
    /// Returns the API of a registry that is a Harbor, as far as it has answered yet.
    pub(crate) fn new(session: &Session, registry: &Registry) -> Option<Self> {
        session.dialect(registry).map(|_| Self {
            session: session.clone(),
            registry: registry.clone(),
        })
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
