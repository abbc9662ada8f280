//! Whole flows against a server of scripted answers.

#![expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]

mod login;
mod outages;
mod server;
mod tokens;
mod transfer;
mod uploads;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use self::server::Reply;
use crate::*;
use hod_oci::{Descriptor, MediaType};

pub(crate) const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

pub(crate) fn tag() -> ManifestRef {
    ManifestRef::Tag("1.0".parse().unwrap())
}

pub(crate) fn manifest_reply() -> Reply {
    Reply::new(200)
        .header(format!("Content-Type: {}", MediaType::OCI_MANIFEST))
        .body(MANIFEST)
}

pub(crate) fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new("x/y".into(), Digest::of(bytes), bytes.len() as u64)
}

pub(crate) async fn fetch_all(
    client: &Client,
    repo: &Repo,
    blob: &Descriptor,
) -> Result<Vec<u8>, RegistryError> {
    let body = client.blobs.fetch(repo, blob, 0).await?;
    let chunks: Vec<Bytes> = body.stream.try_collect().await?;
    Ok(chunks.concat())
}

/// Data that can be opened at any byte.
pub(crate) fn reopenable(bytes: Bytes) -> UploadBody {
    UploadBody::Again(Box::new(move |from| {
        let rest = bytes.slice(usize::try_from(from).unwrap()..);
        let stream: UploadStream = Box::pin(futures_util::stream::iter([Ok(rest)]));
        Box::pin(std::future::ready(Ok(stream)))
    }))
}

pub(crate) async fn session(client: &Client, repo: &Repo) -> UploadSession {
    match client.uploads.start(repo, &blob(b""), None).await.unwrap() {
        UploadStart::Session(session) => session,
        UploadStart::Mounted => panic!("nothing was to be mounted"),
    }
}
