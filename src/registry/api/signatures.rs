//! Lookaside storage of signatures on a web server, which is no registry and gets no login.

use futures_util::future::BoxFuture;
use reqwest::{Method, Url};

use bytes::Bytes;

use crate::api::outside::{FirstUrl, follow};
use crate::login::session::Session;
use crate::wire::transport::Call;
use crate::{RegistryError, Repo};

/// How much of a URL that cannot be parsed is shown, in characters.
const SHOWN_MAX: usize = 200;

/// The files of signatures beside registries.
#[derive(Debug, Clone)]
pub struct SignatureFiles {
    session: Session,
}

impl SignatureFiles {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Fetches the file at an `http` or `https` URL that the administrator has configured for the
    /// signatures of `repo`; `None` if the server does not have it.
    ///
    /// What is trusted for the registry is trusted for the server. No login is sent, not even one in
    /// the URL. A file of more than `len_max` bytes is an error, and so is every answer but 200 and
    /// 404.
    pub fn fetch<'a>(
        &'a self,
        repo: &'a Repo,
        url: &'a str,
        len_max: u64,
    ) -> BoxFuture<'a, Result<Option<Bytes>, RegistryError>> {
        Box::pin(async move {
            let session = &self.session;
            let target = session.reading(repo);
            let call = Call {
                behalf: Some(session.root(&repo.registry)?),
                ..Call::new(Method::GET, without_login(url)?)
            };
            let what = format!("signatures of {repo}");
            session
                .retry(&what, || async {
                    let answer = follow(session, call.clone(), FirstUrl::Configured).await?;
                    match answer.status() {
                        200 => answer.read(len_max).await.map(Some),
                        404 => Ok(None),
                        _ => Err(session.refusal(&target, answer).await),
                    }
                })
                .await
        })
    }
}

/// The URL without the login in it.
fn without_login(text: &str) -> Result<Url, RegistryError> {
    let wrong = |problem| RegistryError::ForeignUrl {
        url: text.chars().take(SHOWN_MAX).collect(),
        problem,
    };
    let mut url = text.parse::<Url>().map_err(|_| wrong("it is not a URL"))?;
    let is_cut = url.set_username("").is_ok() && url.set_password(None).is_ok();
    if !is_cut || !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is not an `http` or `https` URL"));
    }
    Ok(url)
}
