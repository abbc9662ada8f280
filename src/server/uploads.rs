//! Pushing blobs: in one request or many, or not at all when another repository has them
//! (distribution-spec 1.1, "Pushing blobs", "Pushing a blob in chunks", "Mounting").

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use hod_fsx::Durability;
use hod_oci::{ContentMismatch, Digest, RepositoryName};
use hod_store::{Store, StoreError, Upload};

use super::error::{ApiError, Code};
use super::range::{ChunkRange, parse_chunk_range};
use super::reply::{
    DOCKER_UPLOAD_UUID, Parameters, ascii, content_length, created, empty, header_text,
};
use super::route::parse_digest;
use super::session::{SessionGuard, UploadSession};
use super::state::Server;

/// `POST …/blobs/uploads/`: mounts a blob, accepts a whole blob, or opens a session.
pub(super) async fn start(
    server: &Arc<Server>,
    repository: RepositoryName,
    parameters: &Parameters,
    body: Body,
) -> Result<Response, ApiError> {
    if let Some(digest) = parameters.get("mount") {
        let digest = parse_digest(digest)?;
        let from = match parameters.get("from") {
            Some(from) => Some(from.parse().map_err(|error: hod_oci::ReferenceError| {
                ApiError::new(Code::NameInvalid, error.to_string())
            })?),
            None => None,
        };
        let location = blob_location(&repository, &digest);
        if mount(server, repository.clone(), from, digest.clone()).await? {
            return Ok(created(location, &digest));
        }
    } else if let Some(digest) = parameters.get("digest") {
        return whole(server, repository, parse_digest(digest)?, body).await;
    }
    let session = server.sessions.start(repository)?;
    Ok(progress(StatusCode::ACCEPTED, &session, 0))
}

/// `GET …/blobs/uploads/<id>`: how much has arrived.
pub(super) async fn status(session: &UploadSession) -> Result<Response, ApiError> {
    let len = session.guard().await?.len();
    Ok(progress(StatusCode::NO_CONTENT, session, len))
}

/// `DELETE …/blobs/uploads/<id>`: removes the received data.
pub(super) async fn cancel(server: &Server, session: &UploadSession) -> Result<Response, ApiError> {
    let mut guard = session.guard().await?;
    server.sessions.end(session, &mut guard);
    Ok(empty(StatusCode::NO_CONTENT, []))
}

/// `PATCH …/blobs/uploads/<id>`: appends a chunk, or a stream of unknown length.
///
/// Bytes that arrived before the connection broke are kept: the client may query the session and
/// continue.
pub(super) async fn append(
    server: &Arc<Server>,
    session: &UploadSession,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let guard = session.guard().await?;
    let range = chunk_range(session, &guard, headers)?;
    let arriving = (guard, server.store()?.clone());
    let write =
        |(guard, store): &mut (SessionGuard, Store), bytes: &[u8]| guard.append(store, bytes);
    let ((mut guard, _), result) = server.transfers.receive(body, arriving, write).await;
    keep_or_end(server, session, &mut guard, result)?;
    let len = guard.len();
    if range.is_some_and(|range| range.start + range.len != len) {
        server.sessions.end(session, &mut guard);
        return Err(ApiError::new(
            Code::SizeInvalid,
            "the length of the chunk is not that of Content-Range; the upload has ended",
        ));
    }
    Ok(progress(StatusCode::ACCEPTED, session, len))
}

/// `PUT …/blobs/uploads/<id>?digest=`: accepts the last bytes, or all of them, and publishes the
/// blob.
///
/// A wrong digest ends the session; a truncated body does not.
pub(super) async fn finish(
    server: &Arc<Server>,
    session: &UploadSession,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Some(digest) = parameters.get("digest") else {
        return Err(ApiError::new(
            Code::DigestInvalid,
            "the digest parameter is missing",
        ));
    };
    let digest = parse_digest(digest)?;
    let guard = session.guard().await?;
    chunk_range(session, &guard, headers)?;
    let location = blob_location(session.repository(), &digest);
    let (store, durability) = (server.store()?.clone(), server.options.durability);
    let expected = digest.clone();
    let opening = server.transfers.run(move || {
        let mut guard = guard;
        let opened = guard.expect(&store, &expected);
        (guard, store, opened)
    });
    let (guard, store, opened) = opening.await;
    opened?;
    let write =
        |(guard, store): &mut (SessionGuard, Store), bytes: &[u8]| guard.append(store, bytes);
    let receiving = server.transfers.receive(body, (guard, store), write);
    let ((mut guard, store), received) = receiving.await;
    keep_or_end(server, session, &mut guard, received)?;
    let committed = match guard.take() {
        Some(writer) => {
            let (repository, digest) = (session.repository().clone(), digest.clone());
            let commit = move || commit(&store, durability, writer, &repository, &digest);
            server.transfers.run(commit).await
        }
        None => Ok(()),
    };
    server.sessions.end(session, &mut guard);
    committed?;
    Ok(created(location, &digest))
}

/// Ends the session if the store failed: the received data may be damaged, and uses space that may
/// be missing.
fn keep_or_end<T>(
    server: &Server,
    session: &UploadSession,
    guard: &mut SessionGuard,
    result: Result<T, ApiError>,
) -> Result<T, ApiError> {
    if result.as_ref().is_err_and(|error| error.cause().is_some()) {
        server.sessions.end(session, guard);
    }
    result
}

/// Takes a whole blob in the request that starts its upload.
async fn whole(
    server: &Arc<Server>,
    repository: RepositoryName,
    digest: Digest,
    body: Body,
) -> Result<Response, ApiError> {
    let location = blob_location(&repository, &digest);
    let (store, durability) = (server.store()?.clone(), server.options.durability);
    let (opened_in, algorithm) = (store.clone(), digest.algorithm());
    let opening = server.transfers.run(move || opened_in.upload(algorithm));
    let writer = opening.await?;
    let write = |writer: &mut Upload, bytes: &[u8]| Ok(writer.write(bytes)?);
    let (writer, received) = server.transfers.receive(body, writer, write).await;
    received?;
    let expected = digest.clone();
    let commit = move || commit(&store, durability, writer, &repository, &expected);
    server.transfers.run(commit).await?;
    Ok(created(location, &digest))
}

/// Links a blob into `repository` when `from`, or any repository if there is no `from`, has it.
///
/// All repositories share one trust domain: a user who can read one can read all.
async fn mount(
    server: &Arc<Server>,
    repository: RepositoryName,
    from: Option<RepositoryName>,
    digest: Digest,
) -> Result<bool, ApiError> {
    let store = server.store()?.clone();
    hod_bridge::run(move || {
        if let Some(from) = from
            && !store.has_layer(&from, &digest)?
        {
            return Ok(false);
        }
        if store.blob_len(&digest)?.is_none() {
            return Ok(false);
        }
        store.link_blob(&repository, &digest)?;
        Ok(true)
    })
    .await
}

/// Publishes a blob whose bytes have the digest they should have, then links it.
fn commit(
    store: &Store,
    durability: Durability,
    writer: Upload,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), ApiError> {
    match writer.commit(digest, durability) {
        Ok(()) => Ok(store.link_blob(repository, digest)?),
        Err(StoreError::Content(ContentMismatch::Digest { actual, .. })) => Err(ApiError::new(
            Code::DigestInvalid,
            format!("expected digest `{digest}`, found `{actual}`"),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Checks that a chunk continues where the last one ended and has its stated length.
fn chunk_range(
    session: &UploadSession,
    guard: &SessionGuard,
    headers: &HeaderMap,
) -> Result<Option<ChunkRange>, ApiError> {
    let Some(value) = header_text(headers, header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let len = guard.len();
    let Some(range) = parse_chunk_range(value) else {
        return Err(ApiError::new(
            Code::BlobUploadInvalid,
            "Content-Range is not of the form `<start>-<end>`",
        ));
    };
    if range.start != len {
        let error = ApiError::new(
            Code::RangeInvalid,
            format!(
                "expected a chunk that starts at {len}, found {}",
                range.start
            ),
        );
        return Err(error
            .with_header(header::LOCATION, ascii(session.location()))
            .with_header(header::RANGE, arrived_range(len)));
    }
    match content_length(headers) {
        Some(length) if length != range.len => Err(ApiError::new(
            Code::SizeInvalid,
            format!(
                "Content-Length is {length}, but Content-Range has {} bytes",
                range.len
            ),
        )),
        _ => Ok(Some(range)),
    }
}

/// The answer with the location for the rest.
fn progress(status: StatusCode, session: &UploadSession, len: u64) -> Response {
    let mut response = empty(
        status,
        [
            (header::LOCATION, ascii(session.location())),
            (header::RANGE, arrived_range(len)),
            (DOCKER_UPLOAD_UUID, ascii(session.id())),
        ],
    );
    // HTTP forbids a length with 204.
    if status != StatusCode::NO_CONTENT {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

/// `0-<last>`, and also `0-0` for no data, as all registries answer.
fn arrived_range(len: u64) -> HeaderValue {
    ascii(format_args!("0-{}", len.saturating_sub(1)))
}

fn blob_location(repository: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}
