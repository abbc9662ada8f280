//! What a registry says of its refusal (distribution-spec, "Error Codes").

use serde::Deserialize;

use super::presentable;
use crate::oci::Digest;
use crate::registry::harbor::{Doubt, HarborAnswer};

/// What a registry says of its refusal: `{"errors":[{"code","message"}]}`, or nothing usable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The code of the first error, `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    pub message: Option<String>,
    /// What few answers have; boxed, since errors are moved about.
    pub(in crate::registry) details: Option<Box<Details>>,
}

/// What only some answers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::registry) struct Details {
    /// Whether the body says that the server expects TLS.
    wants_tls: bool,
    /// Whether the body says that the server expects a client certificate.
    wants_certificate: bool,
    /// The digests of what a manifest names and its repository lacks.
    pub(in crate::registry) missing: Vec<Digest>,
    /// What only a Harbor tells; `None` at any other registry.
    pub(in crate::registry) harbor: Option<HarborAnswer>,
}

#[derive(Deserialize)]
struct WireErrors {
    errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    detail: serde_json::Value,
}

impl WireError {
    /// The digest of a missing blob: distribution sends it as the detail or in it.
    fn missing(&self) -> Option<Digest> {
        if self.code.as_deref() != Some("MANIFEST_BLOB_UNKNOWN") {
            return None;
        }
        let digest = self.detail.as_str().or(self.detail["digest"].as_str())?;
        digest.parse().ok()
    }
}

impl ErrorBody {
    /// Whether the body says that the server expects TLS.
    pub(in crate::registry) fn wants_tls(&self) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.wants_tls)
    }

    /// Whether the body says that the server expects a client certificate.
    pub(in crate::registry) fn wants_certificate(&self) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.wants_certificate)
    }

    /// What only a Harbor tells.
    pub(in crate::registry) fn harbor(&self) -> Option<&HarborAnswer> {
        self.details.as_ref()?.harbor.as_ref()
    }

    /// Whether it is the answer of a Harbor whose database is down.
    pub(in crate::registry) fn is_database_down(&self) -> bool {
        self.harbor()
            .is_some_and(|harbor| harbor.doubt == Doubt::DatabaseDown)
    }

    /// By which the registry's own logs know the request.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.harbor()?.request_id.as_deref()
    }

    /// Reads a body that may be JSON, HTML of some proxy, or empty.
    pub(in crate::registry) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lower = text.to_ascii_lowercase();
        let wants_tls = lower.contains("http request to an https server")
            || lower.contains("plain http request was sent to https port");
        // nginx, which answers so within a connection that TLS allowed.
        let wants_certificate = lower.contains("no required ssl certificate was sent");
        let wire: Option<WireErrors> = serde_json::from_slice(bytes).ok();
        let errors = wire.map(|wire| wire.errors).unwrap_or_default();
        let missing: Vec<Digest> = errors.iter().filter_map(WireError::missing).collect();
        let first = errors.into_iter().next();
        let (code, message) = first.map_or((None, None), |error| (error.code, error.message));
        Self {
            code: code.and_then(|text| presentable(&text)),
            message: message.and_then(|text| presentable(&text)),
            details: (wants_tls || wants_certificate || !missing.is_empty()).then(|| {
                Box::new(Details {
                    wants_tls,
                    wants_certificate,
                    missing,
                    harbor: None,
                })
            }),
        }
    }
}
