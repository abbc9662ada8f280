//! Pulling and deleting blobs (distribution-spec 1.1, "Pulling blobs", "Deleting Blobs").

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use hod_oci::{Digest, Manifest, RepositoryName};

use super::conditions::{etag, is_range_current, unless_changed};
use super::error::{ApiError, Code};
use super::range::{Asked, parse_range};
use super::reply::{DOCKER_CONTENT_DIGEST, accepted, ascii, empty, header_text};
use super::state::Server;

/// `GET` or `HEAD …/blobs/<digest>`, all of it or one range.
pub(super) async fn get(
    server: &Arc<Server>,
    repository: RepositoryName,
    digest: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (content, wanted) = (server.content.clone(), digest.clone());
    let found = hod_bridge::run(move || content.open_blob(&repository, &wanted)).await?;
    let Some(mut blob) = found else {
        return Err(unknown(&digest));
    };
    if let Some(response) = unless_changed(headers, &digest)? {
        return Ok(response);
    }
    let total = blob.len();
    let asked = match header_text(headers, header::RANGE) {
        Some(value) if method == Method::GET && is_range_current(headers, &digest) => {
            parse_range(value, total)
        }
        _ => Asked::Whole,
    };
    let mut response = empty(
        StatusCode::OK,
        [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            // The content of a digest never changes.
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("max-age=31536000"),
            ),
            (header::ETAG, etag(&digest)),
            (DOCKER_CONTENT_DIGEST, ascii(&digest)),
        ],
    );
    match asked {
        Asked::Whole => {}
        Asked::Part { start, len } => {
            blob.cut(start, len);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{}/{total}", start + len - 1);
            response
                .headers_mut()
                .insert(header::CONTENT_RANGE, ascii(range));
        }
        Asked::Unsatisfiable => {
            let error = ApiError::new(Code::RangeInvalid, format!("the blob is {total} bytes"));
            let range = ascii(format_args!("bytes */{total}"));
            return Err(error.with_header(header::CONTENT_RANGE, range));
        }
    }
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(blob.len()));
    if method == Method::GET {
        let (lane, reporter) = (
            server.transfers.clone(),
            Arc::clone(&server.options.reporter),
        );
        *response.body_mut() = Body::from_stream(blob.into_stream(lane, reporter));
    }
    Ok(response)
}

/// `DELETE …/blobs/<digest>`: removes the blob from the repository; the bytes stay, since other
/// repositories may have them.
///
/// A blob that a manifest of the repository needs is refused: its image could no longer be pulled.
pub(super) async fn delete(
    server: &Arc<Server>,
    repository: RepositoryName,
    digest: Digest,
) -> Result<Response, ApiError> {
    let server = Arc::clone(server);
    hod_bridge::run(move || {
        let store = server.store_to_delete_from()?;
        if !store.has_layer(&repository, &digest)? {
            return Err(unknown(&digest));
        }
        for revision in store.revisions(&repository)? {
            let manifest = store.read_manifest(&revision)?;
            let mut blobs = manifest.iter().flat_map(Manifest::blobs);
            if blobs.any(|blob| blob.digest == digest) {
                let message = format!("manifest `{revision}` requires the blob: delete it first");
                return Err(ApiError::new(Code::BlobUsed, message));
            }
        }
        store.delete_layer(&repository, &digest)?;
        Ok(())
    })
    .await?;
    Ok(accepted())
}

fn unknown(digest: &Digest) -> ApiError {
    ApiError::new(
        Code::BlobUnknown,
        format!("blob `{digest}` not found in this repository"),
    )
}
