//! Checks a login before it is stored: `hod login`.

use std::time::Instant;

use futures_util::future::BoxFuture;
use hod_oci::Registry;
use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::error::meaning::Meaning;
use crate::error::{ERROR_LEN_MAX, in_words};
use crate::login::challenge::{Challenge, Challenged};
use crate::login::credentials::Login;
use crate::login::lockout::scopeless_call;
use crate::login::registry_check::require_registry;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::login::token::basic;
use crate::login::token_server::read_token;
use crate::wire::transport::{Answer, Call};
use crate::{ErrorBody, RegistryError};

/// The answer of a registry to a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginCheck {
    Accepted,
    /// It does not require a login.
    NotNeeded,
    /// Its answer, for people.
    Refused(String),
}

impl LoginCheck {
    /// Asks a registry whether it accepts `login`, ignoring the stored credentials.
    ///
    /// As in Docker: a token without scope, or the root of the API with the password.
    pub fn run<'a>(
        session: &'a Session,
        registry: &'a Registry,
        login: &'a Login,
    ) -> BoxFuture<'a, Result<Self, RegistryError>> {
        Box::pin(async move {
            let root = Call::new(Method::GET, session.root(registry)?);
            session
                .retry(registry.as_str(), || async {
                    let mut answer = session.transport().send(&root, None).await?;
                    require_registry(session.context(), registry, &mut answer, None).await?;
                    if answer.meaning() == Meaning::Success {
                        return Ok(Self::NotNeeded);
                    }
                    let challenge = Challenged::parse(answer.headers()).challenge;
                    if answer.meaning() != Meaning::Unauthorized || challenge.is_none() {
                        return Err(session.refusal(&Target::root(registry), answer).await);
                    }
                    let challenge = challenge.unwrap_or(Challenge::Basic);
                    let mut authorization = basic(login);
                    if let Some(call) =
                        scopeless_call(session.context(), registry, &challenge, login)?
                    {
                        let answer = session
                            .transport()
                            .send(&call, authorization.as_ref())
                            .await?;
                        match answer.meaning() {
                            Meaning::Success => {
                                let token = read_token(answer, Instant::now()).await?;
                                authorization = Some(token.authorization().clone());
                            }
                            meaning if meaning.is_about_login() => {
                                return Ok(Self::Refused(said(answer).await));
                            }
                            _ => {
                                return Err(session.refusal(&Target::root(registry), answer).await);
                            }
                        }
                    }
                    Self::show(session, registry, &root, authorization).await
                })
                .await
        })
    }

    async fn show(
        session: &Session,
        registry: &Registry,
        root: &Call,
        authorization: Option<HeaderValue>,
    ) -> Result<Self, RegistryError> {
        let sent = authorization.as_ref();
        let mut answer = session.transport().send(root, sent).await?;
        require_registry(session.context(), registry, &mut answer, sent).await?;
        match answer.meaning() {
            meaning if meaning.is_about_login() => Ok(Self::Refused(said(answer).await)),
            Meaning::Success | Meaning::NotFinal | Meaning::NotFound => Ok(Self::Accepted),
            _ => Err(session.refusal(&Target::root(registry), answer).await),
        }
    }
}

/// A refusal in the words of who refuses.
async fn said(answer: Answer) -> String {
    let status = answer.status();
    let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
    in_words(status, &ErrorBody::parse(&body))
}
