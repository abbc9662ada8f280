//! Conditional requests (RFC 9110, 13): the content of a digest never changes, so a cache only has
//! to ask whether a tag still names it.

use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use hod_oci::Digest;

use super::error::{ApiError, Code};
use super::reply::{DOCKER_CONTENT_DIGEST, ascii, empty};

/// The entity tag of a manifest or blob.
pub(super) fn etag(digest: &Digest) -> HeaderValue {
    ascii(format_args!("\"{digest}\""))
}

/// Evaluates `If-Match` and `If-None-Match` of a GET or HEAD: `None` when the content is to be sent.
pub(super) fn unless_changed(
    headers: &HeaderMap,
    digest: &Digest,
) -> Result<Option<Response>, ApiError> {
    if headers.contains_key(header::IF_MATCH) && !lists(headers, header::IF_MATCH, digest) {
        let message = format!("the content is `{digest}`, which `If-Match` does not list");
        return Err(ApiError::new(Code::PreconditionFailed, message));
    }
    if !lists(headers, header::IF_NONE_MATCH, digest) {
        return Ok(None);
    }
    let response = empty(
        StatusCode::NOT_MODIFIED,
        [
            (header::ETAG, etag(digest)),
            (DOCKER_CONTENT_DIGEST, ascii(digest)),
        ],
    );
    Ok(Some(response))
}

/// Returns true if a `Range` applies: without `If-Range`, or if that is the entity tag. A date
/// never matches.
pub(super) fn is_range_current(headers: &HeaderMap, digest: &Digest) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|value| *value == etag(digest))
}

/// Whether a header lists the entity tag of `digest`, or has `*`.
fn lists(headers: &HeaderMap, name: HeaderName, digest: &Digest) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.trim_matches('"') == digest.as_str())
}
