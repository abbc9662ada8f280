//! Checks whether the places that images are read from can be reached and accept the login: once for
//! each host, before a list of images is read.

use futures_util::future::BoxFuture;
use reqwest::Method;

use crate::api::manifest::{Manifests, fetch_at};
use crate::error::meaning::Meaning;
use crate::login::challenge::Challenge;
use crate::login::session::{Root, Session};
use crate::login::target::Target;
use crate::route::mirrors::Place;
use crate::wire::transport::Call;
use crate::{ManifestRef, RegistryError, Repo, RequestLine};
use hod_oci::Registry;

/// A registry that images may be read from, and some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlace {
    pub registry: Registry,
    insecure: bool,
    sample: (Repo, ManifestRef),
}

impl ReadPlace {
    /// Returns the places that a repository is read from, in order.
    pub fn of(
        manifests: &Manifests,
        repo: &Repo,
        at: &ManifestRef,
    ) -> Result<Vec<Self>, RegistryError> {
        let places = manifests.mirrors().places(repo, Some(at))?.places;
        let place = |place: Place| Self {
            registry: place.repo.registry.clone(),
            insecure: place.insecure,
            sample: (place.repo, at.clone()),
        };
        Ok(places.into_iter().map(place).collect())
    }

    /// Checks that a registry can be reached, is one, and lets this client in, with the login that
    /// is known for it. All of `places` are at that registry; for a token each is tried in turn.
    pub fn check<'a>(
        manifests: &'a Manifests,
        places: &'a [Self],
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let Some(first) = places.first() else {
                return Ok(());
            };
            let session = manifests.session();
            if first.insecure {
                session.transport().find_scheme(&first.registry).await?;
            }
            match session.ask_root(&Target::root(&first.registry)).await {
                Ok(Root::Open | Root::Odd(_)) => Ok(()),
                Ok(Root::Wants(Challenge::Basic)) => first.check_password(manifests, session).await,
                Ok(Root::Wants(Challenge::Bearer { .. })) => {
                    Self::check_tokens(session, places).await
                }
                // Some registries send people on to their web site.
                Err(error) if leads_elsewhere(&error) => {
                    first.check_manifest(manifests, session, error).await
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Sends the password if there is one, else checks whether the image can be read without.
    async fn check_password(
        &self,
        manifests: &Manifests,
        session: &Session,
    ) -> Result<(), RegistryError> {
        let target = Target::root(&self.registry);
        let call = Call::new(Method::GET, session.root(&self.registry)?);
        let answer = session.send(&target, &call).await?;
        if answer.meaning() != Meaning::Unauthorized {
            return Ok(());
        }
        let error = session.refusal(&target, answer).await;
        self.check_manifest(manifests, session, error).await
    }

    /// Fetches a token, which the run needs anyway; without a login any of the images will do.
    async fn check_tokens(session: &Session, places: &[Self]) -> Result<(), RegistryError> {
        let mut refused = None;
        for place in places {
            let (repo, _) = &place.sample;
            let target = session.reading(repo);
            let fetched = session
                .retry(place.registry.as_str(), || session.authorization(&target))
                .await;
            match fetched {
                Ok(_) => return Ok(()),
                Err(error) if session.context().login(&target).is_none() && error.is_refusal() => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Fails with `otherwise` unless an image can be had, by its bytes where nothing has proved yet
    /// that it is a registry, or a registry says that it does not exist.
    async fn check_manifest(
        &self,
        manifests: &Manifests,
        session: &Session,
        otherwise: RegistryError,
    ) -> Result<(), RegistryError> {
        let (repo, at) = &self.sample;
        let memory = session.memory(&self.registry);
        let found = match manifests.head_at(session, repo, at).await {
            Ok(Some(_)) if !memory.is_proven() => {
                let fetched = fetch_at(session, repo, at).await;
                fetched.map(|manifest| manifest.is_some())
            }
            Ok(head) => Ok(head.is_some()),
            Err(error) => Err(error),
        };
        match found {
            Ok(true) => Ok(()),
            Ok(false) if memory.is_proven() => Ok(()),
            _ => Err(otherwise),
        }
    }
}

/// Whether the root of the API is not where the registry is.
fn leads_elsewhere(error: &RegistryError) -> bool {
    let is_redirected = |request: &RequestLine| request.redirected_by().is_some();
    matches!(error, RegistryError::NotARegistry { .. })
        || error.request().is_some_and(is_redirected)
}
