//! Protects users from being locked out: the first request with a password is sent alone, and a
//! password that was refused is not sent again in this run.

use std::sync::Arc;

use reqwest::{Method, Url};

use crate::error::ERROR_LEN_MAX;
use crate::error::meaning::Meaning;
use crate::login::challenge::Challenge;
use crate::login::context::Context;
use crate::login::credentials::Login;
use crate::login::known_login::{FirstUse, Refusal};
use crate::login::memory::RegistryMemory;
use crate::login::registry_check::require_registry;
use crate::login::target::Target;
use crate::login::token::basic;
use crate::wire::endpoint::resolve;
use crate::wire::transport::{Answer, Call};
use crate::{ErrorBody, LoginRefusal, RegistryError, SafeUrl};
use hod_oci::Registry;
use hod_report::presentable;

/// Guards the login for one part of a registry.
pub(crate) struct Lockout<'a> {
    context: &'a Context,
    target: &'a Target<'a>,
    memory: Arc<RegistryMemory>,
}

impl<'a> Lockout<'a> {
    pub(crate) fn new(context: &'a Context, target: &'a Target<'a>) -> Self {
        Self {
            context,
            target,
            memory: context.memory(target.registry),
        }
    }

    /// Runs `fetch`, a token request with `login`, unless the password was refused before; while
    /// nothing is known of it, alone.
    pub(crate) async fn guard<T>(
        &self,
        login: Option<&Arc<Login>>,
        fetch: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let Some(login) = login.filter(|login| is_password(login)) else {
            return fetch.await;
        };
        let Some(first) = self.first_use(login).await? else {
            return fetch.await;
        };
        // It answers a wrong password with an anonymous token, unless no scope is requested.
        if self.memory.has_dialect() {
            self.check_by_token(&first).await?;
            return fetch.await;
        }
        match fetch.await {
            Ok(value) => {
                first.known.accept();
                Ok(value)
            }
            Err(error) if error.is_unauthorized() => {
                // Perhaps only the scope is refused.
                self.check_by_token(&first).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the right to send the first request with a password; `None` if the target requires
    /// no password or it was accepted before.
    pub(crate) async fn first_password(&self) -> Result<Option<FirstUse>, RegistryError> {
        if self.memory.challenge() != Some(Challenge::Basic) {
            return Ok(None);
        }
        self.context.prepare_login(self.target).await?;
        let login = self.context.login(self.target);
        match login.filter(|login| is_password(login)) {
            Some(login) => self.first_use(&login).await,
            None => Ok(None),
        }
    }

    /// Learns from the answer to the first request with a password; fails if the
    /// password is refused.
    pub(crate) async fn learn(
        &self,
        first: &FirstUse,
        meaning: Meaning,
    ) -> Result<(), RegistryError> {
        if meaning == Meaning::Unauthorized {
            // Perhaps only the requested resource is refused.
            let registry = self.target.registry;
            let call = Call::new(Method::GET, self.context.root(registry)?);
            let sent = basic(&first.login);
            let mut answer = self.context.transport.send(&call, sent.as_ref()).await?;
            require_registry(self.context, registry, &mut answer, sent.as_ref()).await?;
            self.conclude(first, answer).await
        } else {
            if !meaning.is_transient() {
                first.known.accept();
            }
            Ok(())
        }
    }

    async fn first_use(&self, login: &Arc<Login>) -> Result<Option<FirstUse>, RegistryError> {
        let known = self.memory.login(login);
        let first = known.first_use(login).await;
        first.map_err(|refusal| self.refused(login, refusal))
    }

    /// Requests a token without a scope, which servers refuse for a wrong password.
    async fn check_by_token(&self, first: &FirstUse) -> Result<(), RegistryError> {
        let Some(challenge) = self.memory.challenge() else {
            return Ok(());
        };
        let registry = self.target.registry;
        let Some(call) = scopeless_call(self.context, registry, &challenge, &first.login)? else {
            return Ok(());
        };
        let sent = basic(&first.login);
        let answer = self.context.transport.send(&call, sent.as_ref()).await?;
        self.conclude(first, answer).await
    }

    async fn conclude(&self, first: &FirstUse, answer: Answer) -> Result<(), RegistryError> {
        if answer.meaning() == Meaning::Success {
            first.known.accept();
        } else if answer.meaning() == Meaning::Unauthorized {
            let (request, status) = (answer.line.clone(), answer.status());
            let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
            let refusal = Refusal {
                request,
                status,
                body: ErrorBody::parse(&body),
            };
            first.known.refuse(refusal.clone());
            return Err(self.refused(&first.login, refusal));
        }
        Ok(())
    }

    fn refused(&self, login: &Login, refusal: Refusal) -> RegistryError {
        let Target {
            registry,
            repository,
            ..
        } = self.target;
        let origin = self.context.credentials.origin(registry, *repository);
        RegistryError::LoginRefused {
            registry: (*registry).clone(),
            refusal: Box::new(LoginRefusal {
                username: login.username().unwrap_or_default().to_owned(),
                origin: origin.map(|origin| origin.to_string()).unwrap_or_default(),
                request: *refusal.request,
                status: refusal.status,
                body: refusal.body,
            }),
        }
    }
}

fn is_password(login: &Login) -> bool {
    matches!(login, Login::Password { .. })
}

/// Returns the URL of a registry's token server; fails if a login must not be sent there.
pub(crate) fn token_url(
    context: &Context,
    registry: &Registry,
    realm: &str,
) -> Result<Url, RegistryError> {
    let root = context.root(registry)?;
    let url = resolve(&root, realm).ok_or_else(|| RegistryError::Realm {
        registry: registry.clone(),
        realm: presentable(realm).unwrap_or_default(),
    })?;
    if root.scheme() == "https" && url.scheme() == "http" {
        return Err(RegistryError::PlainRealm {
            registry: registry.clone(),
            realm: SafeUrl::new(&url),
        });
    }
    Ok(url)
}

/// Returns the request for a token without scopes; `None` if the registry does not use tokens.
pub(crate) fn scopeless_call(
    context: &Context,
    registry: &Registry,
    challenge: &Challenge,
    login: &Login,
) -> Result<Option<Call>, RegistryError> {
    let Challenge::Bearer { realm, service } = challenge else {
        return Ok(None);
    };
    let mut url = token_url(context, registry, realm)?;
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        if let Some(username) = login.username() {
            query.append_pair("account", username);
        }
    }
    let mut call = Call::new(Method::GET, url);
    call.behalf = Some(context.root(registry)?);
    Ok(Some(call))
}
