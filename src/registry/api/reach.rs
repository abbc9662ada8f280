//! Whether the places that images are read from can be reached and let this client in: asked once
//! for each host, before a list of images is.

use reqwest::Method;

use crate::client::{Patience, Target};
use crate::login::challenge::Challenge;
use crate::login::root::Root;
use crate::route::mirrors::Place;
use crate::wire::transport::Call;
use crate::{Client, ManifestRef, RegistryError, Repo, RequestLine};
use hod_oci::Registry;

/// A registry that images may be read from, and some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlace {
    pub registry: Registry,
    insecure: bool,
    sample: (Repo, ManifestRef),
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
        match client.ask_root(&Target::root(&first.registry)).await {
            Ok(Root::Open | Root::Odd(_)) => Ok(()),
            Ok(Root::Wants(Challenge::Basic)) => client.check_password(first).await,
            Ok(Root::Wants(Challenge::Bearer { .. })) => client.check_tokens(places).await,
            // Some registries send people on to their web site.
            Err(error) if leads_elsewhere(&error) => client.check_manifest(first, error).await,
            Err(error) => Err(error),
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

    /// Fails with `otherwise` unless an image can be had, by its bytes where nothing has proved yet
    /// that it is a registry, or a registry says that it does not exist.
    async fn check_manifest(
        &self,
        place: &ReadPlace,
        otherwise: RegistryError,
    ) -> Result<(), RegistryError> {
        let (repo, at) = &place.sample;
        let found = match self.head_manifest_at(repo, at).await {
            Ok(Some(_)) if !self.is_proven(&repo.registry) => {
                let fetched = self.fetch_manifest_at(repo, at).await;
                fetched.map(|manifest| manifest.is_some())
            }
            Ok(head) => Ok(head.is_some()),
            Err(error) => Err(error),
        };
        match found {
            Ok(true) => Ok(()),
            Ok(false) if self.is_proven(&repo.registry) => Ok(()),
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
