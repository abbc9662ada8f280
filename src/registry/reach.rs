//! Whether the places that images are read from can be reached and let this client in: asked once
//! for each host, before a list of images is.

use reqwest::Method;

use super::challenge::{Challenge, Challenged};
use super::client::{Patience, Target};
use super::endpoint::same_origin;
use super::evidence::{is_page, require_registry};
use super::mirrors::Place;
use super::transport::{Answer, Call};
use super::{Client, ManifestRef, RegistryError, Repo};
use crate::oci::Registry;

/// A registry that images may be read from, and some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlace {
    pub registry: Registry,
    insecure: bool,
    sample: (Repo, ManifestRef),
}

/// What the root of the API says to somebody whom it does not know.
enum Greeting {
    /// It lets everyone in.
    Open,
    Wants(Challenge),
    /// Nothing that decides: a status of its own kind, or the answer of another host.
    Unsaid,
    /// A web page.
    Page(Box<RegistryError>),
}

impl Client {
    /// The places that a repository may be read from, in the order in which they are asked.
    pub fn read_places(
        &self,
        repo: &Repo,
        at: &ManifestRef,
    ) -> Result<Vec<ReadPlace>, RegistryError> {
        let own = || Place {
            repo: repo.clone(),
            insecure: false,
            mirror: None,
        };
        let places = match self.registries_conf() {
            Some(conf) => conf.places(repo, Some(at))?.places,
            None => vec![own()],
        };
        let place = |place: Place| ReadPlace {
            registry: place.repo.registry.clone(),
            insecure: place.insecure,
            sample: (place.repo, at.clone()),
        };
        Ok(places.into_iter().map(place).collect())
    }

    /// Checks that a registry can be reached, is one, and lets this client in, with the login that
    /// is known for it. All of `places` are at that registry; for a token each is tried in turn.
    pub async fn check_readable(&self, places: &[ReadPlace]) -> Result<(), RegistryError> {
        let Some(first) = places.first() else {
            return Ok(());
        };
        let client = self.with_patience(Patience::Brief);
        if first.insecure {
            client.find_scheme(&first.registry).await?;
        }
        match client.greeting(&first.registry).await? {
            Greeting::Open | Greeting::Unsaid => Ok(()),
            Greeting::Wants(Challenge::Basic) => client.check_password(first).await,
            Greeting::Wants(Challenge::Bearer { .. }) => client.check_tokens(places).await,
            Greeting::Page(error) => client.check_manifest(first, *error).await,
        }
    }

    async fn greeting(&self, registry: &Registry) -> Result<Greeting, RegistryError> {
        let call = Call::new(Method::GET, self.root(registry)?);
        self.retry(registry.as_str(), || async {
            let answer = match self.transport().send(&call, None).await {
                Ok(answer) => answer,
                Err(error) => {
                    // Some registries send people on to their web site.
                    let is_elsewhere =
                        |request: &super::RequestLine| request.redirected_by().is_some();
                    return if error.request().is_some_and(is_elsewhere) {
                        Ok(Greeting::Unsaid)
                    } else {
                        Err(error)
                    };
                }
            };
            if !same_origin(&answer.url, &call.url) {
                return Ok(Greeting::Unsaid);
            }
            self.judge_greeting(registry, answer).await
        })
        .await
    }

    async fn judge_greeting(
        &self,
        registry: &Registry,
        mut answer: Answer,
    ) -> Result<Greeting, RegistryError> {
        let target = Target::root(registry);
        match require_registry(&mut answer).await {
            Err(error @ RegistryError::NotARegistry { .. }) => {
                return Ok(Greeting::Page(Box::new(error)));
            }
            result => result?,
        }
        match answer.status().as_u16() {
            200..=299 => Ok(Greeting::Open),
            401 => Ok(match Challenged::parse(answer.headers()).challenge {
                Some(challenge) => {
                    self.auth().of(registry).learn(challenge.clone());
                    Greeting::Wants(challenge)
                }
                None => Greeting::Unsaid,
            }),
            408 | 429 | 500..=599 => Err(self.refusal(&target, answer).await),
            400 => match self.refusal(&target, answer).await {
                // It may be a server that expects TLS, or a client certificate.
                error if error.is_tls() => Err(error),
                RegistryError::Status { .. } => Ok(Greeting::Unsaid),
                error => Err(error),
            },
            _ => Ok(Greeting::Unsaid),
        }
    }

    /// Shows the password, if there is one; else asks whether the image can be had without.
    async fn check_password(&self, place: &ReadPlace) -> Result<(), RegistryError> {
        let target = Target::root(&place.registry);
        let call = Call::new(Method::GET, self.root(&place.registry)?);
        let answer = self.send(&target, &call).await?;
        if answer.status().as_u16() != 401 {
            return Ok(());
        }
        let error = self.refusal(&target, answer).await;
        self.check_manifest(place, error).await
    }

    /// Fetches a token, which the run needs anyway; without a login any of the images will do.
    async fn check_tokens(&self, places: &[ReadPlace]) -> Result<(), RegistryError> {
        let mut refused = None;
        for place in places {
            let (repo, _) = &place.sample;
            let target = self.reading(repo);
            let fetched = self
                .retry(place.registry.as_str(), || self.authorization(&target))
                .await;
            match fetched {
                Ok(_) => return Ok(()),
                Err(error)
                    if self.login(&target).is_none()
                        && matches!(error.status(), Some(400 | 401 | 403 | 404)) =>
                {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Fails with `otherwise` unless an image can be had, or is said not to be there.
    async fn check_manifest(
        &self,
        place: &ReadPlace,
        otherwise: RegistryError,
    ) -> Result<(), RegistryError> {
        let (repo, at) = &place.sample;
        let call = self.manifest_call(Method::HEAD, repo, at)?;
        match self.send(&self.reading(repo), &call).await {
            Ok(answer) if matches!(answer.status().as_u16(), 200 | 404) && !is_page(&answer) => {
                Ok(())
            }
            _ => Err(otherwise),
        }
    }
}
