//! `login` and `logout`: the one file of logins that hod writes.

use hod_oci::{Registry, RepositoryName};
use hod_registry::{Client, Kept, Login, LoginCheck, LoginFile};

use super::{Context, OpsError, Verb};
use crate::preflight::{Undone, not_ready};

/// The login to store, and the place.
#[derive(Debug)]
pub struct LoginOptions {
    pub client: Client,
    pub registry: Registry,
    /// The part of the registry that the login is limited to.
    pub repository: Option<RepositoryName>,
    pub login: Login,
    pub file: LoginFile,
}

/// The result of storing a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOutcome {
    pub check: LoginCheck,
    pub kept: Kept,
}

/// Verifies a login at the registry, then stores it; a refused login is not stored.
pub fn login<'a>(cx: &'a Context, options: &'a LoginOptions) -> Verb<'a, LoginOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &LoginOptions) -> Result<LoginOutcome, OpsError> {
    let registry = &options.registry;
    cx.stage(&format!("verifying the login at {registry}"));
    let check = LoginCheck::run(&options.client.session, registry, &options.login)
        .await
        .map_err(|error| not_ready(registry, &error, Undone::Login))?;
    match &check {
        LoginCheck::Accepted => {}
        LoginCheck::NotNeeded => cx.warn(&format!(
            "`{registry}` requires no login, so this one was stored without verification"
        )),
        LoginCheck::Refused(said) => {
            return Err(OpsError::LoginRefused {
                registry: registry.clone(),
                said: said.clone(),
            });
        }
    }
    let (file, login) = (options.file.clone(), options.login.clone());
    let (registry, repository) = (registry.clone(), options.repository.clone());
    let kept = hod_bridge::run(move || file.keep(&registry, repository.as_ref(), &login)).await?;
    Ok(LoginOutcome { check, kept })
}

/// The logins to remove, and the file.
#[derive(Debug)]
pub struct LogoutOptions {
    pub file: LoginFile,
    pub scope: LogoutScope,
}

/// The logins to remove.
#[derive(Debug, Clone)]
pub enum LogoutScope {
    All,
    One {
        registry: Registry,
        repository: Option<RepositoryName>,
    },
}

/// The number of logins removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutOutcome {
    pub n_forgotten: usize,
}

/// Forgets logins, those too that a helper keeps for the file.
pub async fn logout(options: &LogoutOptions) -> Result<LogoutOutcome, OpsError> {
    let (file, scope) = (options.file.clone(), options.scope.clone());
    hod_bridge::run(move || match scope {
        LogoutScope::All => {
            let n_forgotten = file.forget_all()?;
            Ok(LogoutOutcome { n_forgotten })
        }
        LogoutScope::One {
            registry,
            repository,
        } => {
            if file.forget(&registry, repository.as_ref())? {
                return Ok(LogoutOutcome { n_forgotten: 1 });
            }
            let name = match repository {
                Some(repository) => format!("{registry}/{repository}"),
                None => registry.to_string(),
            };
            Err(OpsError::NotLoggedIn {
                name,
                path: file.path().to_owned(),
            })
        }
    })
    .await
}
