//! What a token of Harbor's says that its owner may do: the actions that Harbor grants are all that
//! the user has, whatever was asked for, and none where there is no such project (facts D4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::super::client::Target;
use super::super::scopes::Scopes;
use super::super::{Login, RegistryError};
use super::{Harbor, Project};

/// How many projects one token is asked for: it travels in a header, and proxies bound those.
const PROJECTS_PER_TOKEN_MAX: usize = 25;

/// What may be done in each project, as far as tokens tell.
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
        let payload = authorization.split(|&byte| byte == b'.').nth(1)?;
        let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Claims = serde_json::from_slice(&json).ok()?;
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

#[derive(Deserialize)]
struct Claims {
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
    /// Fetches one token for all these projects, by which the rest of the run goes as well, and
    /// reads from it what may be done in each.
    pub async fn rights(&self, projects: &[Project]) -> Result<Rights, RegistryError> {
        let mut by_login: Vec<(Option<Arc<Login>>, Vec<&Project>)> = Vec::new();
        for project in projects {
            let target = Target::push(&project.repo);
            self.client.prepare_login(&target).await?;
            let login = self.client.login(&target);
            match by_login.iter_mut().find(|(known, _)| *known == login) {
                Some((_, projects)) => projects.push(project),
                None => by_login.push((login, vec![project])),
            }
        }
        let mut rights = Rights::default();
        let auth = self.client.auth().of(&self.registry);
        for (login, projects) in by_login {
            for some in projects.chunks(PROJECTS_PER_TOKEN_MAX) {
                let scopes = Scopes::push_all(some.iter().map(|project| &project.repo.name));
                auth.expect(login.clone(), &scopes);
                let mut target = Target::push(&some[0].repo);
                target.scopes = scopes;
                let authorization = self
                    .client
                    .retry(self.registry.as_str(), || {
                        self.client.authorization(&target)
                    })
                    .await?;
                if let Some(authorization) = authorization {
                    // A token of another kind tells nothing.
                    let _ = rights.read(authorization.as_bytes());
                }
            }
        }
        Ok(rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
