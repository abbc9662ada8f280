//! Reads the rights of a user from Harbor's tokens: the actions granted are those that the user
//! has, regardless of what was requested, and none if the project does not exist.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Harbor, Project};
use crate::RegistryError;
use crate::login::target::Target;

/// The actions allowed in each project, as far as tokens tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<String, BTreeSet<String>>);

impl Rights {
    /// Whether images may be pushed into the project; `None` when the token does not tell.
    pub fn may_push(&self, project: &Project) -> Option<bool> {
        let actions = self.0.get(&project.name)?;
        Some(actions.contains("push") || actions.contains("*"))
    }

    /// Reads the claims of a JSON web token. Its signature is the registry's to check.
    fn read(&mut self, authorization: &[u8]) -> Option<()> {
        let claims = Claims::parse(authorization)?;
        for access in claims.access? {
            if access.kind == "repository"
                && let Some((project, _)) = access.name.split_once('/')
            {
                let actions = self.0.entry(project.to_owned()).or_default();
                actions.extend(access.actions.into_iter().flatten());
            }
        }
        Some(())
    }
}

/// Whether the token is anonymous.
pub(super) fn is_anonymous(authorization: &[u8]) -> bool {
    let is_unnamed = |claims: Claims| claims.sub.is_none_or(|name| name.is_empty());
    Claims::parse(authorization).is_some_and(is_unnamed)
}

impl Claims {
    /// Parses `Bearer` and a JSON web token; `None` for a token of another kind.
    fn parse(authorization: &[u8]) -> Option<Self> {
        let payload = authorization.split(|&byte| byte == b'.').nth(1)?;
        let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    access: Option<Vec<Access>>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Option<Vec<String>>,
}

impl Harbor {
    /// Announces the projects of the run, so that as few tokens as possible are requested for them.
    pub fn expect<'a>(
        &'a self,
        projects: impl IntoIterator<Item = &'a Project>,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        let projects: Vec<&Project> = projects.into_iter().collect();
        Box::pin(async move {
            let memory = self.session.memory(&self.registry);
            memory.forget_expected();
            for project in projects {
                let target = Target::push(&project.repo);
                self.session.context().prepare_login(&target).await?;
                memory.expect(self.session.context().login(&target), &target.scopes);
            }
            Ok(())
        })
    }

    /// Fetches the tokens that the rest of the run uses as well, and reads the allowed actions from
    /// them.
    pub fn rights<'a>(
        &'a self,
        projects: &'a [Project],
    ) -> BoxFuture<'a, Result<Rights, RegistryError>> {
        Box::pin(async move {
            let mut rights = Rights::default();
            for project in projects {
                let target = Target::push(&project.repo);
                let authorization = self
                    .session
                    .retry(self.registry.as_str(), || {
                        self.session.authorization(&target)
                    })
                    .await?;
                if let Some(authorization) = authorization {
                    // A token of another kind tells nothing.
                    let _ = rights.read(authorization.as_bytes());
                }
            }
            Ok(rights)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whom_it_was_given_to() {
        #[track_caller]
        fn check(payload: &str, expect: bool) {
            let token = format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
            assert_eq!(is_anonymous(token.as_bytes()), expect, "{payload}");
        }
        check(r#"{"sub":"admin","access":[]}"#, false);
        check(r#"{"sub":"","access":[]}"#, true);
        check(r#"{"access":[]}"#, true);
        check("not json", false);
        assert!(!is_anonymous(b"Bearer opaque"));
    }

    #[test]
    fn a_token_tells_what_its_owner_may() {
        #[track_caller]
        fn check(payload: &str, expect: Option<bool>) {
            let project = Project::of(
                &"harbor.corp".parse().unwrap(),
                &"offline/app".parse().unwrap(),
            )
            .unwrap();
            let token = format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
            let mut rights = Rights::default();
            let _ = rights.read(token.as_bytes());
            assert_eq!(rights.may_push(&project), expect, "{payload}");
        }
        let access = |actions: &str| {
            format!(
                r#"{{"access":[{{"type":"repository","name":"offline/x","actions":{actions}}}]}}"#
            )
        };
        check(&access(r#"["pull","push"]"#), Some(true));
        check(&access(r#"["*"]"#), Some(true));
        check(&access(r#"["pull"]"#), Some(false));
        check(&access("[]"), Some(false));
        check(&access("null"), Some(false));
        check(
            r#"{"access":[{"type":"registry","name":"catalog","actions":["*"]}]}"#,
            None,
        );
        check(r#"{"access":null}"#, None);
        check("{}", None);
        check("not json", None);
        let mut rights = Rights::default();
        for opaque in ["Bearer opaque", "Bearer a.!.c", "Bearer ..", ""] {
            assert_eq!(rights.read(opaque.as_bytes()), None, "{opaque}");
        }
    }
}
