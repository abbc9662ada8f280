//! The requirements that a policy can have.

use super::identity::Identity;
use super::signed_by::SignedBy;
use super::sigstore_signed::SigstoreSigned;
use crate::go_text::quoted;
use crate::strict_json::{JsonError, exact_object, text_field};

/// What must be true of an image.
#[derive(Debug, Clone)]
pub(super) enum Requirement {
    InsecureAcceptAnything,
    Reject,
    SignedBy(Box<SignedBy>),
    SigstoreSigned(Box<SigstoreSigned>),
    /// Planned in containers/image since 2016, and always refused.
    SignedBaseLayer,
}

impl Requirement {
    pub(super) fn parse(json: &str) -> Result<Self, JsonError> {
        let kind = text_field(json, "type")?;
        match kind.as_str() {
            "insecureAcceptAnything" => {
                exact_object(json, ["type"]).map(|_| Self::InsecureAcceptAnything)
            }
            "reject" => exact_object(json, ["type"]).map(|_| Self::Reject),
            "signedBy" => {
                let parsed = SignedBy::parse(json)?;
                Ok(Self::SignedBy(Box::new(parsed)))
            }
            "sigstoreSigned" => {
                let parsed = SigstoreSigned::parse(json)?;
                Ok(Self::SigstoreSigned(Box::new(parsed)))
            }
            "signedBaseLayer" => {
                let [_, identity] = exact_object(json, ["type", "baseLayerIdentity"])?;
                Identity::parse(&identity).map(|_| Self::SignedBaseLayer)
            }
            kind => Err(JsonError(format!(
                "Unknown policy requirement type {}",
                quoted(kind)
            ))),
        }
    }

    /// Whether signatures are read to decide.
    pub(super) fn reads_signatures(&self) -> bool {
        match self {
            Self::SignedBy(_) | Self::SigstoreSigned(_) => true,
            Self::InsecureAcceptAnything | Self::Reject | Self::SignedBaseLayer => false,
        }
    }
}
