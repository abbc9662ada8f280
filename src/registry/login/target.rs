//! The part of a registry that a call concerns.

use hod_oci::{Registry, RepositoryName};

use crate::Repo;
use crate::login::scopes::Scopes;

/// The part of a registry that a call concerns: it decides the login and the scopes of the token.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) repository: Option<&'a RepositoryName>,
    pub(crate) scopes: Scopes,
}

impl<'a> Target<'a> {
    /// The registry as a whole.
    pub(crate) fn root(registry: &'a Registry) -> Self {
        Self {
            registry,
            repository: None,
            scopes: Scopes::default(),
        }
    }

    /// To read a repository.
    pub(crate) fn pull(repo: &'a Repo) -> Self {
        Self {
            scopes: Scopes::pull(&repo.name),
            ..Self::push(repo)
        }
    }

    /// To read a repository and delete from it.
    pub(crate) fn delete(repo: &'a Repo) -> Self {
        Self {
            scopes: Scopes::delete(&repo.name),
            ..Self::push(repo)
        }
    }

    /// To read and write a repository.
    pub(crate) fn push(repo: &'a Repo) -> Self {
        Self {
            registry: &repo.registry,
            repository: Some(&repo.name),
            scopes: Scopes::push(&repo.name),
        }
    }
}
