//! The scopes of tokens (distribution's token specification).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use hod_oci::RepositoryName;

/// Limits for the scopes of one token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBound {
    pub(crate) n_scopes: usize,
    /// Maximum length of the token in bytes.
    pub(crate) len: usize,
}

/// Length of a token without scopes: Harbor's, with a signature of 4096 bits.
const TOKEN_LEN_MIN: usize = 1100;
/// Length of a resource in a token, besides its name.
const CLAIM_LEN: usize = 60;

/// How tokens work at registries of one kind, which are recognised by their challenge.
pub(crate) trait ScopeRules: Debug + Send + Sync {
    /// Returns the service that such a registry names in its challenge.
    fn service(&self) -> &'static str;

    /// Returns the scopes to request where `needed` are needed.
    fn requested(&self, needed: &Scopes) -> Scopes;

    /// Returns what a token for `requested` is valid for.
    fn granted(&self, requested: &Scopes) -> Scopes;
}

/// The scopes of a token: for each resource (`repository:app`), the actions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// To read a repository.
    pub(crate) fn pull(repository: &RepositoryName) -> Self {
        Self::parse(&format!("repository:{repository}:pull"))
    }

    /// To list the repositories.
    pub(crate) fn catalog() -> Self {
        Self::parse("registry:catalog:*")
    }

    /// To read and write a repository.
    pub(crate) fn push(repository: &RepositoryName) -> Self {
        Self::parse(&format!("repository:{repository}:pull,push"))
    }

    /// To read a repository and delete from it.
    pub(crate) fn delete(repository: &RepositoryName) -> Self {
        Self::parse(&format!("repository:{repository}:pull,delete"))
    }

    /// Parses scopes separated by blanks; a resource may itself have colons (a port).
    pub(crate) fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_ascii_whitespace() {
            if let Some((resource, actions)) = scope.rsplit_once(':') {
                let actions = actions.split(',').map(str::to_owned);
                scopes
                    .0
                    .entry(resource.to_owned())
                    .or_default()
                    .extend(actions);
            }
        }
        scopes
    }

    /// Adds what `other` allows.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (resource, actions) in &other.0 {
            self.0
                .entry(resource.clone())
                .or_default()
                .extend(actions.iter().cloned());
        }
    }

    /// Whether everything that `other` allows is allowed.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, actions)| {
            self.0
                .get(resource)
                .is_some_and(|own| actions.is_subset(own))
        })
    }

    /// Whether one token can be requested for all scopes.
    pub(crate) fn fits(&self, bound: TokenBound) -> bool {
        let claims = self.0.keys().map(|resource| resource.len() + CLAIM_LEN);
        let claims: usize = claims.sum();
        // In base64.
        let len = TOKEN_LEN_MIN + claims * 4 / 3;
        self.0.len() <= bound.n_scopes && len <= bound.len
    }

    /// Returns the scopes for writing and deleting.
    pub(crate) fn writing(&self) -> Self {
        let writes =
            |actions: &BTreeSet<String>| actions.contains("push") || actions.contains("delete");
        let own = self.0.iter().filter(|(_, actions)| writes(actions));
        Self(
            own.map(|(resource, actions)| (resource.clone(), actions.clone()))
                .collect(),
        )
    }

    pub(crate) fn shares_a_resource_with(&self, other: &Self) -> bool {
        other.0.keys().any(|resource| self.0.contains_key(resource))
    }

    /// Returns one scope for each project, the first component of a name.
    pub(crate) fn one_per_project(&self) -> Self {
        let mut projects: BTreeMap<&str, (&String, BTreeSet<String>)> = BTreeMap::new();
        for (resource, actions) in &self.0 {
            let (_, all) = projects
                .entry(project(resource))
                .or_insert_with(|| (resource, BTreeSet::new()));
            all.extend(actions.iter().cloned());
        }
        let chosen = projects.into_values();
        Self(chosen.map(|(r, actions)| (r.clone(), actions)).collect())
    }

    /// Returns the projects, without actions.
    pub(crate) fn projects(&self) -> Self {
        let projects = self.0.keys().map(|resource| project(resource).to_owned());
        Self(projects.map(|project| (project, BTreeSet::new())).collect())
    }

    /// Whether nothing is allowed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The resources: `repository:app`.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Each scope as it is asked for, `repository:app:pull,push`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

/// `repository:project` of `repository:project/any/thing`.
fn project(resource: &str) -> &str {
    resource
        .split_once('/')
        .map_or(resource, |(project, _)| project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_smaller_needs() {
        #[track_caller]
        fn check(has: &str, needs: &str, expect: bool) {
            assert_eq!(Scopes::parse(has).covers(&Scopes::parse(needs)), expect);
        }
        check("repository:a:pull,push", "repository:a:pull", true);
        check("repository:a:pull", "repository:a:pull,push", false);
        check(
            "repository:a:pull repository:b:pull",
            "repository:b:pull",
            true,
        );
        check("repository:a:pull", "repository:b:pull", false);
        check("repository:a:pull", "", true);
        check("", "repository:a:pull", false);
    }
}
