//! What kind of failure each of a registry's is.

use crate::{ErrorBody, Refuser, RegistryError, TlsFailure};
use hod_report::ErrorClass;

impl RegistryError {
    /// What kind of failure it is, for programs.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Status {
                status,
                body,
                context,
                ..
            } => match (&context.refuser, status) {
                // It is not the image that is missing or forbidden.
                (Refuser::TokenServer { .. }, 404 | 405)
                | (Refuser::Elsewhere { .. }, 400..=403) => ErrorClass::Server,
                _ => of_answer(*status, body),
            },
            Self::Transport { .. }
            | Self::UnknownHost { .. }
            | Self::Lookup { .. }
            | Self::TooSlow { .. }
            | Self::Stalled { .. }
            | Self::Truncated { .. }
            | Self::NotARegistry { .. }
            | Self::Redirects { .. } => ErrorClass::Network,
            Self::Tls { failure, .. } => match failure {
                TlsFailure::PlainAnswer
                | TlsFailure::TlsAnswer
                | TlsFailure::UnknownIssuer
                | TlsFailure::CaCertificate
                | TlsFailure::WrongName
                | TlsFailure::Expired
                | TlsFailure::Handshake => ErrorClass::Network,
                TlsFailure::ClientCertificate => ErrorClass::Auth,
            },
            Self::Length { .. }
            | Self::WrongClaim { .. }
            | Self::DigestMismatch { .. }
            | Self::DamagedUpload { .. } => ErrorClass::Verify,
            Self::Manifest { .. }
            | Self::AnswerTooLong { .. }
            | Self::Endless { .. }
            | Self::Protocol { .. }
            | Self::NotStored { .. }
            | Self::LoginForgotten { .. } => ErrorClass::Server,
            Self::Host { .. } | Self::Certificates(_) => ErrorClass::Usage,
            Self::LoginRefused { .. }
            | Self::Helper { .. }
            | Self::IdentityToken { .. }
            | Self::Token { .. }
            | Self::Realm { .. }
            | Self::PlainRealm { .. } => ErrorClass::Auth,
            Self::Blocked { .. } | Self::ForeignUrl { .. } => ErrorClass::Policy,
            Self::Closed { .. } => ErrorClass::RateLimit,
            Self::UploadSource { source, .. } => source
                .get_ref()
                .and_then(|source| source.downcast_ref::<Self>())
                .map_or(ErrorClass::File, Self::class),
            Self::ForeignLayer { source, .. }
            | Self::GaveUp { source, .. }
            | Self::ReadOnce { source } => source.class(),
            Self::Setup { .. } | Self::UserAgent { .. } => ErrorClass::Internal,
        }
    }
}

fn of_answer(status: u16, body: &ErrorBody) -> ErrorClass {
    // Harbor has one code for a right that is missing, a quota that is used up, and its own rules.
    let message = body.message.as_deref().unwrap_or_default();
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    match status {
        413 if body.code.as_deref() == Some("DENIED") || says("quota") => ErrorClass::Space,
        403 if body.harbor().is_some() && says("upper limit") => ErrorClass::Space,
        403 if body.harbor().is_some() && (says("proxy project") || says("read only")) => {
            ErrorClass::Policy
        }
        401 if body.is_database_down() => ErrorClass::Server,
        status => of_status(status),
    }
}

fn of_status(status: u16) -> ErrorClass {
    match status {
        401 | 403 | 407 => ErrorClass::Auth,
        404 | 410 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Network,
        412 | 413 | 451 => ErrorClass::Policy,
        429 => ErrorClass::RateLimit,
        507 => ErrorClass::Space,
        _ => ErrorClass::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_classes() {
        for (status, expect) in [
            (400, ErrorClass::Server),
            (401, ErrorClass::Auth),
            (403, ErrorClass::Auth),
            (404, ErrorClass::NotFound),
            (412, ErrorClass::Policy),
            (413, ErrorClass::Policy),
            (429, ErrorClass::RateLimit),
            (500, ErrorClass::Server),
            (504, ErrorClass::Network),
            (507, ErrorClass::Space),
        ] {
            assert_eq!(of_status(status), expect, "{status}");
        }
    }
}
