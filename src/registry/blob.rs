//! Blobs: head and fetch.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use reqwest::Method;

use super::endpoint::object_url;
use super::transport::{Answer, Call};
use super::{Client, RegistryError, Repo};
use crate::oci::{Descriptor, Digest};

impl Client {
    /// Asks whether a repository has a blob: its length, or `None`.
    pub async fn head_blob(
        &self,
        repo: &Repo,
        digest: &Digest,
    ) -> Result<Option<u64>, RegistryError> {
        let target = self.reading(repo);
        let url = object_url(&self.root(&repo.registry)?, repo, "blobs", digest);
        let head = Call::new(Method::HEAD, url.clone());
        let get = Call::new(Method::GET, url);
        let what = format!("{repo} {digest}");
        self.retry(&what, || async {
            let mut answer = self.send(&target, &head).await?;
            if answer.status().as_u16() == 405 {
                // Its body is not read, which costs the connection and nothing else.
                answer = self.send(&target, &get).await?;
            }
            match (answer.status().as_u16(), answer.content_length()) {
                (200, Some(len)) => Ok(Some(len)),
                (200, None) => Err(RegistryError::Protocol {
                    request: answer.line,
                    problem: "the answer does not say how long the blob is",
                }),
                (404, _) => Ok(None),
                _ => Err(self.refusal(&target, answer).await),
            }
        })
        .await
    }

    /// Fetches a blob as a stream of chunks: one attempt, which the caller may [`Client::retry`].
    ///
    /// The stream fails unless it has exactly the descriptor's length. The digest is **not**
    /// checked: who writes the bytes hashes them. A stream that is dropped closes its connection.
    pub async fn fetch_blob(
        &self,
        repo: &Repo,
        blob: &Descriptor,
    ) -> Result<impl Stream<Item = Result<Bytes, RegistryError>> + Send + use<>, RegistryError>
    {
        let read =
            |client: Self, repo: Repo| async move { client.fetch_blob_at(&repo, blob).await };
        self.read_from((repo, None), |_| true, read).await
    }

    async fn fetch_blob_at(
        &self,
        repo: &Repo,
        blob: &Descriptor,
    ) -> Result<impl Stream<Item = Result<Bytes, RegistryError>> + Send + use<>, RegistryError>
    {
        let target = self.reading(repo);
        let url = object_url(&self.root(&repo.registry)?, repo, "blobs", &blob.digest);
        let answer = self.send(&target, &Call::new(Method::GET, url)).await?;
        if answer.status().as_u16() != 200 {
            return Err(self.refusal(&target, answer).await);
        }
        if let Some(actual) = answer.content_length().filter(|&len| len != blob.size) {
            return Err(RegistryError::Length {
                request: answer.line,
                expected: blob.size,
                actual,
            });
        }
        Ok(stream(answer, blob.size))
    }
}

/// The chunks of a body that must have `expected` bytes.
fn stream(
    answer: Answer,
    expected: u64,
) -> impl Stream<Item = Result<Bytes, RegistryError>> + Send {
    try_unfold((answer, 0_u64), move |(mut answer, before)| async move {
        let chunk = answer.chunk().await?;
        let len = chunk.as_ref().map_or(0, Bytes::len) as u64;
        let actual = before + len;
        match chunk {
            Some(_) if actual > expected => Err(RegistryError::Length {
                request: answer.line,
                expected,
                actual,
            }),
            Some(chunk) => Ok(Some((chunk, (answer, actual)))),
            None if actual < expected => Err(RegistryError::Truncated {
                request: answer.line,
                expected,
                actual,
            }),
            None => Ok(None),
        }
    })
}
