//! Creates answers, and reads headers, parameters and bodies of requests.

use std::fmt::Display;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use hod_oci::Digest;

use super::error::{ApiError, Code};

/// The digest of the sent or stored content.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");
/// The name of the session, which some clients use in addition to `Location`.
pub(super) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The subject of a manifest that was pushed, to which `…/referrers/…` now leads.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The tags that a manifest got which was put to its digest.
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The filters that a list of referrers went through.
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Maximum time that a client may send nothing before its upload is given up, so that a dead
/// connection does not hold its session forever.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// Makes an answer without a body.
pub(super) fn empty<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

/// Makes a header's value of text that is ASCII by its type: a digest, a name, a number.
pub(super) fn ascii(text: impl Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string())
        .expect("digests, names, ids and numbers are visible ASCII")
}

/// Makes the answer for something that now exists at `location`.
pub(super) fn created(location: impl Display, digest: &Digest) -> Response {
    empty(
        StatusCode::CREATED,
        [
            (header::LOCATION, ascii(location)),
            (DOCKER_CONTENT_DIGEST, ascii(digest)),
            (header::CONTENT_LENGTH, HeaderValue::from(0)),
        ],
    )
}

/// Makes the answer for something that was deleted.
pub(super) fn accepted() -> Response {
    let no_body = (header::CONTENT_LENGTH, HeaderValue::from(0));
    empty(StatusCode::ACCEPTED, [no_body])
}

/// Makes a JSON answer.
pub(super) fn json(value: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// The parameters after the `?`, decoded.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        match Query::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(ApiError::new(Code::NotFound, error.to_string())),
        }
    }

    /// The values of all parameters `name`.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The value of the first parameter `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// The value of a header, if it exists and is text.
pub(super) fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The stated length of a request body.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    header_text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

fn cut(why: &str) -> ApiError {
    ApiError::new(
        Code::BlobUploadInvalid,
        format!("the body ended early: {why}"),
    )
}

/// Streams a request's body; a client that falls silent is an error, and the last item.
pub(super) fn chunks(body: Body) -> impl Stream<Item = Result<Bytes, ApiError>> {
    futures_util::stream::unfold(body.into_data_stream(), move |mut stream| async move {
        let item = match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(bytes))) => Ok(bytes),
            Ok(Some(Err(error))) => Err(cut(&error.to_string())),
            Err(_) => Err(cut("no data for two minutes")),
        };
        Some((item, stream))
    })
}
