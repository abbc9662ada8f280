//! Checks whether a login is accepted, once for each registry.
//!
//! Many registries lock a user out after a few wrong passwords, and a batch sends many requests at
//! once. So the first request with a password is sent alone; and once a login is refused
//! permanently, no further request is made with it in this run.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};

use crate::client::{Client, Target};
use crate::error::{ERROR_LEN_MAX, presentable};
use crate::login::auth::RegistryAuth;
use crate::login::challenge::{Challenge, Challenged};
use crate::login::forgotten::{Forgotten, Memory};
use crate::login::token::{basic, read_token};
use crate::wire::endpoint::resolve;
use crate::wire::transport::{Answer, Call};
use crate::{ErrorBody, Login, LoginRefusal, RegistryError, RequestLine, SafeUrl};
use hod_oci::Registry;

/// The state of a login.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    verdict: Mutex<Verdict>,
    gate: Arc<tokio::sync::Mutex<()>>,
    forgotten: Mutex<Forgotten>,
}

#[derive(Debug, Clone, Default)]
enum Verdict {
    #[default]
    Unknown,
    Accepted,
    Refused(Refusal),
}

/// Details of a refused login.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    request: Box<RequestLine>,
    status: u16,
    body: ErrorBody,
}

/// The turn of the first request with a login.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) login: Arc<Login>,
    proof: Arc<Proof>,
    _held: tokio::sync::OwnedMutexGuard<()>,
}

/// The answer of a registry to a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginCheck {
    Accepted,
    /// It does not require a login.
    NotNeeded,
    /// Its answer, for people.
    Refused(String),
}

impl Proof {
    /// Whether the login is known to be good; an error when it is known to be refused.
    fn is_accepted(&self) -> Result<bool, Refusal> {
        match &*lock(&self.verdict) {
            Verdict::Unknown => Ok(false),
            Verdict::Accepted => Ok(true),
            Verdict::Refused(refusal) => Err(refusal.clone()),
        }
    }

    /// Takes the turn to show, at `now`, a login that was accepted.
    pub(crate) fn take_turn(&self, now: Instant) -> bool {
        lock(&self.forgotten).take_turn(now)
    }

    /// Notes that a login that was accepted, and was shown with `request` at `shown_at`, is not
    /// known any more.
    pub(crate) fn note_forgotten(&self, request: &RequestLine, shown_at: Instant) {
        let memory = lock(&self.forgotten).note(shown_at, Instant::now());
        if memory == Memory::Lost {
            self.conclude(Verdict::Refused(Refusal {
                request: Box::new(request.clone()),
                status: 401,
                body: ErrorBody::default(),
            }));
        }
    }

    /// Notes that a login that was accepted is known.
    pub(crate) fn note_known(&self) {
        lock(&self.forgotten).over();
    }

    fn conclude(&self, verdict: Verdict) {
        *lock(&self.verdict) = verdict;
    }

    /// Waits for the turn to be the first; `None` when the login is known to be good.
    async fn turn(self: &Arc<Self>, login: &Arc<Login>) -> Result<Option<Turn>, Refusal> {
        if self.is_accepted()? {
            return Ok(None);
        }
        let held = Arc::clone(&self.gate).lock_owned().await;
        if self.is_accepted()? {
            return Ok(None);
        }
        Ok(Some(Turn {
            login: Arc::clone(login),
            proof: Arc::clone(self),
            _held: held,
        }))
    }
}

impl Client {
    /// Fetches with a password what only who has the right one gets (a token), unless it was
    /// refused before.
    pub(crate) async fn prove<T>(
        &self,
        target: &Target<'_>,
        login: Option<&Arc<Login>>,
        fetch: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let Some(login) = login.filter(|login| matches!(***login, Login::Password { .. })) else {
            return fetch.await;
        };
        let auth = self.auth().of(target.registry);
        let refused = |refusal| self.refused(target, login, refusal);
        let Some(turn) = auth.proof(login).turn(login).await.map_err(refused)? else {
            return fetch.await;
        };
        // It answers a wrong password with an anonymous token, unless no scope is requested.
        if auth.is_harbor() {
            self.judge_by_token(target, &auth, &turn).await?;
            return fetch.await;
        }
        match fetch.await {
            Ok(value) => {
                turn.proof.conclude(Verdict::Accepted);
                Ok(value)
            }
            Err(error) if error.status() == Some(401) => {
                // Perhaps only the scope is refused.
                self.judge_by_token(target, &auth, &turn).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that the login for `target` was taken, elsewhere than where it is usually shown.
    pub(crate) fn note_login_taken(&self, target: &Target<'_>) {
        if let Some(login) = self.login(target) {
            let auth = self.auth().of(target.registry);
            auth.proof(&login).conclude(Verdict::Accepted);
        }
    }

    /// Whether the login for `target` was accepted earlier in this run.
    pub(crate) fn has_accepted_login(&self, target: &Target<'_>) -> bool {
        let auth = self.auth().of(target.registry);
        self.login(target)
            .is_some_and(|login| matches!(auth.proof(&login).is_accepted(), Ok(true)))
    }

    /// The turn of a request with a password to `target`, if it uses basic authentication.
    pub(crate) async fn turn(&self, target: &Target<'_>) -> Result<Option<Turn>, RegistryError> {
        let auth = self.auth().of(target.registry);
        if auth.challenge() != Some(Challenge::Basic) {
            return Ok(None);
        }
        self.prepare_login(target).await?;
        let login = self.login(target);
        let Some(login) = login.filter(|login| matches!(**login, Login::Password { .. })) else {
            return Ok(None);
        };
        let refused = |refusal| self.refused(target, &login, refusal);
        auth.proof(&login).turn(&login).await.map_err(refused)
    }

    /// Evaluates an answer to a password: an error when it is refused permanently.
    pub(crate) async fn judge(
        &self,
        target: &Target<'_>,
        turn: &Turn,
        status: StatusCode,
    ) -> Result<(), RegistryError> {
        if status == StatusCode::UNAUTHORIZED {
            // Perhaps only the requested resource is refused.
            let call = Call::new(Method::GET, self.root(target.registry)?);
            let sent = basic(&turn.login);
            let mut answer = self.transport().send(&call, sent.as_ref()).await?;
            self.require_registry(target.registry, &mut answer, sent.as_ref())
                .await?;
            self.conclude(target, turn, answer).await
        } else {
            if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                turn.proof.conclude(Verdict::Accepted);
            }
            Ok(())
        }
    }

    /// Requests a token without a scope, which servers refuse for a wrong password.
    async fn judge_by_token(
        &self,
        target: &Target<'_>,
        auth: &RegistryAuth,
        turn: &Turn,
    ) -> Result<(), RegistryError> {
        let Some(challenge) = auth.challenge() else {
            return Ok(());
        };
        let Some(call) = self.scopeless(target.registry, &challenge, &turn.login)? else {
            return Ok(());
        };
        let answer = self
            .transport()
            .send(&call, basic(&turn.login).as_ref())
            .await?;
        self.conclude(target, turn, answer).await
    }

    async fn conclude(
        &self,
        target: &Target<'_>,
        turn: &Turn,
        answer: Answer,
    ) -> Result<(), RegistryError> {
        if answer.status().is_success() {
            turn.proof.conclude(Verdict::Accepted);
        } else if answer.status() == StatusCode::UNAUTHORIZED {
            let (request, status) = (answer.line.clone(), answer.status().as_u16());
            let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
            let refusal = Refusal {
                request,
                status,
                body: ErrorBody::parse(&body),
            };
            turn.proof.conclude(Verdict::Refused(refusal.clone()));
            return Err(self.refused(target, &turn.login, refusal));
        }
        Ok(())
    }

    fn refused(&self, target: &Target<'_>, login: &Login, refusal: Refusal) -> RegistryError {
        let origin = self
            .credentials()
            .origin(target.registry, target.repository);
        RegistryError::LoginRefused {
            registry: target.registry.clone(),
            refusal: Box::new(LoginRefusal {
                username: login.username().unwrap_or_default().to_owned(),
                origin: origin.map(|origin| origin.to_string()).unwrap_or_default(),
                request: *refusal.request,
                status: refusal.status,
                body: refusal.body,
            }),
        }
    }

    /// The request for a token without scopes; `None` if the registry does not use tokens.
    fn scopeless(
        &self,
        registry: &Registry,
        challenge: &Challenge,
        login: &Login,
    ) -> Result<Option<Call>, RegistryError> {
        let Challenge::Bearer { realm, service } = challenge else {
            return Ok(None);
        };
        let root = self.root(registry)?;
        let mut url = resolve(&root, realm).ok_or_else(|| RegistryError::Realm {
            registry: registry.clone(),
            realm: presentable(realm).unwrap_or_default(),
        })?;
        if root.scheme() == "https" && url.scheme() == "http" {
            return Err(RegistryError::PlainRealm {
                registry: registry.clone(),
                realm: SafeUrl::new(&url),
            });
        }
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
        call.behalf = Some(root);
        Ok(Some(call))
    }

    /// Asks a registry whether it accepts a login, ignoring the stored credentials.
    ///
    /// As in Docker: a token without scope, or the root of the API with the password.
    pub async fn check_login(
        &self,
        registry: &Registry,
        login: &Login,
    ) -> Result<LoginCheck, RegistryError> {
        let root = Call::new(Method::GET, self.root(registry)?);
        self.retry(registry.as_str(), || async {
            let mut answer = self.transport().send(&root, None).await?;
            self.require_registry(registry, &mut answer, None).await?;
            if answer.status().is_success() {
                return Ok(LoginCheck::NotNeeded);
            }
            let challenge = Challenged::parse(answer.headers()).challenge;
            if answer.status() != StatusCode::UNAUTHORIZED || challenge.is_none() {
                return Err(self.refusal(&Target::root(registry), answer).await);
            }
            let challenge = challenge.unwrap_or(Challenge::Basic);
            let mut authorization = basic(login);
            if let Some(call) = self.scopeless(registry, &challenge, login)? {
                let answer = self.transport().send(&call, authorization.as_ref()).await?;
                match answer.status().as_u16() {
                    200 => authorization = Some(read_token(answer).await?),
                    401 | 403 => return Ok(LoginCheck::Refused(said(answer).await)),
                    _ => return Err(self.refusal(&Target::root(registry), answer).await),
                }
            }
            self.show(registry, &root, authorization).await
        })
        .await
    }

    async fn show(
        &self,
        registry: &Registry,
        root: &Call,
        authorization: Option<HeaderValue>,
    ) -> Result<LoginCheck, RegistryError> {
        let sent = authorization.as_ref();
        let mut answer = self.transport().send(root, sent).await?;
        self.require_registry(registry, &mut answer, sent).await?;
        match answer.status().as_u16() {
            401 | 403 => Ok(LoginCheck::Refused(said(answer).await)),
            status if status < 400 || status == 404 => Ok(LoginCheck::Accepted),
            _ => Err(self.refusal(&Target::root(registry), answer).await),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

/// A refusal in the words of who refuses.
async fn said(answer: Answer) -> String {
    let status = answer.status().as_u16();
    let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
    crate::error::in_words(status, &ErrorBody::parse(&body))
}
