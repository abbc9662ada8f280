//! Foreign layers: fetched from the registry, which may have them nevertheless (Microsoft's does since
//! 2023), then from the URLs in their manifest.
//!
//! The URLs are written by the author of an image and are not trusted: see [`crate::api::outside`]. The
//! bytes are hashed when they are written, as with any blob.

use futures_util::future::BoxFuture;
use reqwest::{Method, Url};

use crate::api::blob::{Blobs, part_body, part_of, whole_body};
use crate::api::outside::{FirstUrl, follow};
use crate::login::session::Session;
use crate::wire::transport::Call;
use crate::{BlobBody, RegistryError, Repo, RequestLine};
use hod_oci::Descriptor;

/// How many URLs of a layer are tried.
const URLS_MAX: usize = 5;
/// How much of a URL that cannot be parsed is shown, in characters.
const SHOWN_MAX: usize = 200;

/// Where a layer may be.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Registry(&'a Repo),
    Url(&'a str),
}

/// Layers that may be fetched from URLs in their manifest.
#[derive(Debug, Clone)]
pub struct ForeignLayers {
    blobs: Blobs,
}

impl ForeignLayers {
    pub(crate) fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }

    fn session(&self) -> &Session {
        self.blobs.mirrors().session()
    }

    /// Fetches a foreign layer from the byte `from` on, as [`Blobs::fetch`] does a blob.
    pub fn fetch<'a>(
        &'a self,
        repo: &'a Repo,
        layer: &'a Descriptor,
        from: u64,
    ) -> BoxFuture<'a, Result<BlobBody, RegistryError>> {
        Box::pin(async move {
            let mut places = vec![Place::Registry(repo)];
            let urls = layer.urls.iter().take(URLS_MAX);
            places.extend(urls.map(|url| Place::Url(url)));
            // Those that sent wrong bytes before come last.
            let (distrusted, mut places): (Vec<_>, Vec<_>) = places
                .into_iter()
                .partition(|place| self.is_distrusted(place, layer));
            places.extend(distrusted);
            let (mut absent, mut failed) = (None, Vec::new());
            for place in places {
                match place {
                    Place::Registry(repo) => match self.blobs.fetch(repo, layer, from).await {
                        Ok(body) => return Ok(body),
                        Err(error) if error.is_not_found() || error.may_mean_absent() => {
                            absent = Some(error);
                        }
                        Err(error) => return Err(error),
                    },
                    Place::Url(text) => match self.fetch_from_url(repo, text, layer, from).await {
                        Ok(body) => return Ok(body),
                        Err(error) => failed.push(error),
                    },
                }
            }
            // One that may pass decides whether all is tried again.
            let passing = failed.iter().rposition(RegistryError::is_transient);
            let source = passing
                .map(|n| failed.remove(n))
                .or_else(|| failed.pop())
                .or(absent)
                .expect("the registry is among the places");
            Err(RegistryError::ForeignLayer {
                digest: layer.digest.clone(),
                registry: repo.registry.clone(),
                tried: failed.iter().map(ToString::to_string).collect(),
                source: Box::new(source),
            })
        })
    }

    /// Whether a place sent wrong bytes of a layer before.
    fn is_distrusted(&self, place: &Place<'_>, layer: &Descriptor) -> bool {
        match place {
            Place::Registry(repo) => self.blobs.garbles(repo, layer),
            Place::Url(text) => text.parse().is_ok_and(|url| {
                let request = RequestLine::new(&Method::GET, &url);
                self.blobs.mirrors().garblers().has(&request)
            }),
        }
    }

    async fn fetch_from_url(
        &self,
        repo: &Repo,
        text: &str,
        layer: &Descriptor,
        from: u64,
    ) -> Result<BlobBody, RegistryError> {
        let url = text.parse::<Url>().map_err(|_| RegistryError::ForeignUrl {
            url: text.chars().take(SHOWN_MAX).collect(),
            problem: "it is not a URL",
        })?;
        let session = self.session();
        let target = session.reading(repo);
        let whole = Call::new(Method::GET, url);
        if from > 0 {
            let answer = follow(session, part_of(&whole, from), FirstUrl::Untrusted).await?;
            if let Some(body) = part_body(session, &target, answer, layer, from).await? {
                return Ok(self.blobs.blob_body(body, from));
            }
        }
        let answer = follow(session, whole, FirstUrl::Untrusted).await?;
        let body = whole_body(session, &target, answer, layer).await?;
        Ok(self.blobs.blob_body(body, from))
    }
}
