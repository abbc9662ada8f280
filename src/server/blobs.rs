//! Pulling blobs (distribution-spec 1.1, "Pulling blobs").

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use crate::bridge;
use crate::oci::{Digest, RepositoryName};

use super::Server;
use super::error::{ApiError, Code};
use super::range::{Asked, parse_range};
use super::reply::{DOCKER_CONTENT_DIGEST, ascii, empty, header_text};

/// `GET` or `HEAD …/blobs/<digest>`, all of it or one range.
pub(super) async fn get(
    server: &Arc<Server>,
    name: (RepositoryName, Digest),
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (repository, digest) = name;
    let (content, wanted) = (server.content.clone(), digest.clone());
    let found = bridge::run(move || content.open_blob(&repository, &wanted)).await?;
    let Some(mut blob) = found else {
        return Err(ApiError::new(
            Code::BlobUnknown,
            format!("blob `{digest}` is not in this repository"),
        ));
    };
    let total = blob.len();
    let asked = match header_text(headers, header::RANGE) {
        Some(value) if method == Method::GET => parse_range(value, total),
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
            // What a digest names never changes.
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("max-age=31536000"),
            ),
            (header::ETAG, ascii(format_args!("\"{digest}\""))),
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
            let error = ApiError::new(Code::RangeInvalid, format!("the blob has {total} bytes"));
            let range = ascii(format_args!("bytes */{total}"));
            return Err(error.with_header(header::CONTENT_RANGE, range));
        }
    }
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(blob.len()));
    if method == Method::GET {
        *response.body_mut() =
            Body::from_stream(blob.into_stream(Arc::clone(&server.options.reporter)));
    }
    Ok(response)
}
