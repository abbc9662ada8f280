//! Answers that say no: the spec's error codes as JSON (distribution-spec 1.1, "Error Codes").

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use hod_bundle::BundleError;
use hod_report::{Diagnose, ErrorClass, chain};
use hod_store::StoreError;

/// A code of the spec, or of distribution where the spec has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    BlobUsed,
    Denied,
    BadRequest,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestTooLong,
    ManifestUnknown,
    Misdirected,
    NameInvalid,
    NameUnknown,
    NoSpace,
    NotFound,
    PageInvalid,
    PreconditionFailed,
    RangeInvalid,
    SizeInvalid,
    TagInvalid,
    TooManyRequests,
    Unauthorized,
    Unknown,
    Unsupported,
    UploadBusy,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid | Self::UploadBusy => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::BlobUsed | Self::Denied | Self::Misdirected => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid | Self::ManifestTooLong => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::NotFound => "NOT_FOUND",
            Self::PageInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::BadRequest | Self::Unknown | Self::NoSpace | Self::PreconditionFailed => {
                "UNKNOWN"
            }
            Self::Unsupported => "UNSUPPORTED",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest
            | Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::PageInvalid
            | Self::SizeInvalid
            | Self::TagInvalid => StatusCode::BAD_REQUEST,
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown
            | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ManifestTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::BlobUsed | Self::UploadBusy => StatusCode::CONFLICT,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A request that was not done, and why.
#[derive(Debug)]
pub(super) struct ApiError {
    code: Code,
    /// One or more messages, each with its detail.
    messages: Vec<(String, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the operator of the server; the client only learns that the server failed.
    cause: Option<String>,
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            messages: vec![(message.into(), Value::Null)],
            headers: Vec::new(),
            cause: None,
        }
    }

    /// One error for each of `details`.
    pub(super) fn each(code: Code, message: &str, details: Vec<Value>) -> Self {
        let messages = details
            .into_iter()
            .map(|detail| (message.to_owned(), detail));
        Self {
            messages: messages.collect(),
            ..Self::new(code, message)
        }
    }

    /// Adds a header to the answer.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The cause of a failure on the server's side, if it was one.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn into_response(self) -> Response {
        let errors: Vec<Value> = self
            .messages
            .into_iter()
            .map(|(message, detail)| {
                let mut error = json!({"code": self.code.as_str(), "message": message});
                if !detail.is_null() {
                    error["detail"] = detail;
                }
                error
            })
            .collect();
        let body = json!({ "errors": errors }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.code.status();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::failed(&error)
    }
}

impl From<BundleError> for ApiError {
    fn from(error: BundleError) -> Self {
        Self::failed(&error)
    }
}

impl ApiError {
    /// Stored content could not be read or written.
    pub(super) fn failed(error: &impl Diagnose) -> Self {
        let told = if error.diagnose().class == ErrorClass::Space {
            Self::new(Code::NoSpace, "no space left on the registry's disk")
        } else {
            let message = "the storage of the registry failed; see its log";
            Self::new(Code::Unknown, message)
        };
        Self {
            cause: Some(chain(error)),
            ..told
        }
    }
}
