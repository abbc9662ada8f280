//! The class of a refusal by its status and body.

use crate::{ErrorBody, Refuser};
use hod_report::ErrorClass;

/// Returns the class of an answer of `refuser`.
pub(super) fn class((status, body): (u16, &ErrorBody), refuser: &Refuser) -> ErrorClass {
    match (refuser, status) {
        // It is not the image that is missing or forbidden.
        (Refuser::TokenServer { .. }, 404 | 405) | (Refuser::Elsewhere { .. }, 400..=403) => {
            ErrorClass::Server
        }
        _ => of_answer(status, body),
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
