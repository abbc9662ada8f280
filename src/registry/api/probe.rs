//! The first request to a registry that will be written to: its kind, and whether it accepts the
//! login.

use reqwest::Method;

use crate::api::manifest::HeadManifest;
use crate::client::{Patience, Target};
use crate::login::challenge::{Challenge, Challenged};
use crate::login::root::{Root, says_version};
use crate::login::scopes::Scopes;
use crate::wire::evidence::is_page;
use crate::wire::transport::{Answer, Call};
use crate::{Client, ManifestRef, RegistryError, Repo};

/// The answer of a registry to an anonymous request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It allows anonymous access; contains the requested manifest, if it exists.
    Found(Option<HeadManifest>),
    /// It lets everyone in.
    Open,
    /// It wants user and password.
    WantsPassword,
    /// It wants a token.
    WantsToken,
    /// With this status, which says nothing of logins.
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

impl Client {
    /// Requests a manifest without a login, and learns how to log in.
    ///
    /// This request comes first anyway, so it costs nothing extra. It is sent once; its failure may
    /// concern only that one image, so the root of the API is requested next, whose error counts.
    pub async fn probe(&self, repo: &Repo, at: &ManifestRef) -> Result<Probe, RegistryError> {
        let head = self.manifest_call(Method::HEAD, repo, at)?;
        let mut unproved = None;
        match self.transport().send(&head, None).await {
            // It would be the same with the root.
            Err(error) if error.is_tls() || matches!(error, RegistryError::UnknownHost { .. }) => {
                return Err(error);
            }
            Err(_) => {}
            Ok(answer) => {
                let is_registry = says_version(&answer) || self.is_proven(&repo.registry);
                let probe = match answer.status().as_u16() {
                    401 => self.learn(repo, &answer),
                    _ => self.found((repo, at), answer).await,
                };
                match probe {
                    // Any server answers 200, and a header is soon written.
                    Some(Probe::Found(Some(_))) if !is_registry => unproved = probe,
                    Some(probe) => return Ok(probe),
                    None => {}
                }
            }
        }
        let brief = self.with_patience(Patience::Brief);
        match brief.ask_root(&Target::push(repo)).await? {
            Root::Open => Ok(unproved.unwrap_or(Probe::Open)),
            Root::Wants(challenge) => Ok(Probe::of(&challenge)),
            Root::Odd(status) => Ok(Probe::Odd(status)),
        }
    }

    /// Judges the answer to a HEAD of a manifest; `None` where it decides nothing.
    async fn found(&self, (repo, at): (&Repo, &ManifestRef), answer: Answer) -> Option<Probe> {
        match answer.status().as_u16() {
            // An answer that may be any web page is not final.
            200 | 404 if is_page(&answer) => None,
            200 if answer.digest().is_none() => None,
            200 => Some(Probe::Found(Some(HeadManifest::of(&answer)))),
            404 => {
                self.note_absence(&repo.registry, answer).await;
                // Other failures concern only that one image.
                let found = self.confirm_absence(repo, at).await.unwrap_or_default();
                // Any web server answers 404.
                let is_proved = found.is_some() || self.is_proven(&repo.registry);
                is_proved.then_some(Probe::Found(found))
            }
            _ => None,
        }
    }

    fn learn(&self, repo: &Repo, answer: &Answer) -> Option<Probe> {
        let challenge = Challenged::parse(answer.headers()).challenge?;
        let probe = Probe::of(&challenge);
        self.auth().of(&repo.registry).learn(challenge);
        Some(probe)
    }

    /// Has the token server check the login for `repo`, after [`Client::probe`]; fails with an
    /// error about the login if it is refused.
    ///
    /// The token, for pushing to `repo`, is kept. Harbor returns an anonymous one for a wrong
    /// password, unless no scope is requested (facts D4).
    pub async fn check_token(&self, repo: &Repo) -> Result<(), RegistryError> {
        let mut target = Target::push(repo);
        if self.is_harbor(&repo.registry) {
            target.scopes = Scopes::default();
        }
        self.retry(repo.registry.as_str(), || self.authorization(&target))
            .await
            .map(|_| ())
    }

    /// Has the registry check the login for `repo`, as [`Client::check_token`] does, or with the
    /// next request that comes anyway, whose answer is then [`Probe::Found`].
    pub async fn admit(&self, repo: &Repo, at: &ManifestRef) -> Result<Probe, RegistryError> {
        let auth = self.auth().of(&repo.registry);
        if let Some(Challenge::Bearer { .. }) = auth.challenge() {
            self.check_token(repo).await?;
            return Ok(Probe::WantsToken);
        }
        let target = Target::push(repo);
        let head = self.manifest_call(Method::HEAD, repo, at)?;
        // It may be the repository that is refused, not the login.
        if let Ok(answer) = self.send(&target, &head).await
            && let Some(probe) = self.found((repo, at), answer).await
        {
            return Ok(probe);
        }
        let call = Call::new(Method::GET, self.root(&repo.registry)?);
        self.retry(repo.registry.as_str(), || async {
            let mut answer = self.send(&target, &call).await?;
            let sent = self.authorization(&target).await?;
            self.require_registry(&repo.registry, &mut answer, sent.as_ref())
                .await?;
            match answer.status().as_u16() {
                401 => Err(self.refusal(&target, answer).await),
                // Whatever else it says, it says to those who are let in.
                _ => Ok(Probe::WantsPassword),
            }
        })
        .await
    }

    /// The name by which the registry is asked to know who pushes to `repo`, if there is one.
    pub fn username(&self, repo: &Repo) -> Option<String> {
        let login = self.login(&Target::push(repo))?;
        login.username().map(str::to_owned)
    }
}
