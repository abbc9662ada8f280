//! The first request to a registry that will be written to: checks whether it is a registry and
//! accepts the login.

use futures_util::future::BoxFuture;
use reqwest::Method;

use crate::api::manifest::{HeadManifest, Manifests, manifest_call};
use crate::error::meaning::Meaning;
use crate::login::challenge::{Challenge, Challenged};
use crate::login::registry_check::{note_absence, says_version};
use crate::login::scopes::Scopes;
use crate::login::session::{Root, Session};
use crate::login::target::Target;
use crate::wire::transport::Answer;
use crate::{ManifestRef, RegistryError, Repo};

/// The answer of a registry to an anonymous request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It allows anonymous access; contains the requested manifest, if it exists.
    Found(Option<HeadManifest>),
    /// It requires no login.
    Open,
    /// It requires user and password.
    WantsPassword,
    /// It requires a token.
    WantsToken,
    /// It answered with this status, which says nothing about logins.
    Odd(u16),
}

impl Probe {
    fn of(challenge: &Challenge) -> Self {
        match challenge {
            Challenge::Basic => Self::WantsPassword,
            Challenge::Bearer { .. } => Self::WantsToken,
        }
    }
}

impl Probe {
    /// Requests a manifest without a login, and learns how to log in.
    ///
    /// This request comes first anyway, so it costs nothing extra. It is sent once; its failure may
    /// concern only that one image, so the root of the API is requested next, whose error counts.
    pub fn run<'a>(
        manifests: &'a Manifests,
        repo: &'a Repo,
        at: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Self, RegistryError>> {
        Box::pin(async move {
            let session = manifests.session();
            let head = manifest_call(session, Method::HEAD, repo, at)?;
            let mut unproved = None;
            match session.transport().send(&head, None).await {
                // It would be the same with the root.
                Err(error)
                    if error.is_tls() || matches!(error, RegistryError::UnknownHost { .. }) =>
                {
                    return Err(error);
                }
                Err(_) => {}
                Ok(answer) => {
                    let is_registry =
                        says_version(&answer) || session.memory(&repo.registry).is_proven();
                    let probe = match answer.status() {
                        401 => Self::learn(session, repo, &answer),
                        _ => Self::found(manifests, repo, at, answer).await,
                    };
                    match probe {
                        // Any server answers 200, and a header is soon written.
                        Some(Self::Found(Some(_))) if !is_registry => unproved = probe,
                        Some(probe) => return Ok(probe),
                        None => {}
                    }
                }
            }
            match session.ask_root(&Target::push(repo)).await? {
                Root::Open => Ok(unproved.unwrap_or(Self::Open)),
                Root::Wants(challenge) => Ok(Self::of(&challenge)),
                Root::Odd(status) => Ok(Self::Odd(status)),
            }
        })
    }

    /// Judges the answer to a HEAD of a manifest; `None` where it decides nothing.
    async fn found(
        manifests: &Manifests,
        repo: &Repo,
        at: &ManifestRef,
        answer: Answer,
    ) -> Option<Self> {
        let session = manifests.session();
        match answer.status() {
            // An answer that may be any web page is not final.
            200 | 404 if answer.is_page() => None,
            200 if answer.digest().is_none() => None,
            200 => Some(Self::Found(Some(HeadManifest::of(&answer)))),
            404 => {
                note_absence(session.context(), &repo.registry, answer).await;
                // Other failures concern only that one image.
                let found = manifests.confirm_absence(session, repo, at).await;
                let found = found.unwrap_or_default();
                // Any web server answers 404.
                let is_proved = found.is_some() || session.memory(&repo.registry).is_proven();
                is_proved.then_some(Self::Found(found))
            }
            _ => None,
        }
    }

    fn learn(session: &Session, repo: &Repo, answer: &Answer) -> Option<Self> {
        let challenge = Challenged::parse(answer.headers()).challenge?;
        let probe = Self::of(&challenge);
        session.memory(&repo.registry).learn(challenge);
        Some(probe)
    }

    /// Has the token server check the login for `repo`, after [`Self::run`]; fails with an
    /// error about the login if it is refused.
    ///
    /// The token, for pushing to `repo`, is kept. Harbor returns an anonymous one for a wrong
    /// password, unless no scope is requested.
    pub fn check_token<'a>(
        session: &'a Session,
        repo: &'a Repo,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let mut target = Target::push(repo);
            if session.dialect(&repo.registry).is_some() {
                target.scopes = Scopes::default();
            }
            session
                .retry(repo.registry.as_str(), || session.authorization(&target))
                .await
                .map(|_| ())
        })
    }

    /// Has the registry check the login for `repo`, as [`Self::check_token`] does, or with the
    /// next request that comes anyway, whose answer is then [`Self::Found`].
    pub fn with_login<'a>(
        manifests: &'a Manifests,
        repo: &'a Repo,
        at: &'a ManifestRef,
    ) -> BoxFuture<'a, Result<Self, RegistryError>> {
        Box::pin(async move {
            let session = manifests.session();
            if let Some(Challenge::Bearer { .. }) = session.memory(&repo.registry).challenge() {
                Self::check_token(session, repo).await?;
                return Ok(Self::WantsToken);
            }
            let target = Target::push(repo);
            let head = manifest_call(session, Method::HEAD, repo, at)?;
            // It may be the repository that is refused, not the login.
            if let Ok(answer) = session.send(&target, &head).await
                && let Some(probe) = Self::found(manifests, repo, at, answer).await
            {
                return Ok(probe);
            }
            // Whatever else it says, it says to those who are let in.
            let is_let_in = |meaning| meaning != Meaning::Unauthorized;
            session.ask_with_login(&target, is_let_in).await?;
            Ok(Self::WantsPassword)
        })
    }
}
