//! How an upload reacts to a failure.

use super::parts::Why;
use crate::RegistryError;
use crate::error::meaning::Meaning;
use hod_retry::Failure;

/// The kind of request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All of the blob, in the PUT that ends the upload.
    Whole,
    /// The first of its chunks.
    FirstChunk,
    Chunk,
    /// The PUT after the last chunk.
    Close,
}

/// The reaction to a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing can be done.
    Fatal,
    /// The same in smaller parts.
    Smaller(Why),
    /// Wait, then ask the registry how much it has, and continue from there.
    Ask,
    /// Wait, then check whether the blob exists, and start again if it does not.
    Restart,
    /// Start again, once: the registry has other bytes, perhaps because of an earlier failure.
    RestartOnce,
    /// Start again with all bytes in one request: the registry does not accept chunks.
    InOne,
}

/// Judges a failure.
pub(super) fn verdict(error: &RegistryError, phase: Phase) -> Verdict {
    let again = match phase {
        Phase::FirstChunk | Phase::Chunk => Verdict::Ask,
        Phase::Whole | Phase::Close => Verdict::Restart,
    };
    let Some(meaning) = error.meaning() else {
        return if error.is_transient() {
            again
        } else {
            Verdict::Fatal
        };
    };
    match meaning {
        Meaning::TooLarge => Verdict::Smaller(Why::TooLarge),
        Meaning::RequestTimeout | Meaning::GatewayTimeout if phase != Phase::Close => {
            Verdict::Smaller(Why::TooSlow)
        }
        // The session is not known: several replicas, a restart, or an older Location.
        Meaning::NotFound => Verdict::Restart,
        _ if error.is_session_lost() => Verdict::Restart,
        // It has another idea of how much arrived.
        Meaning::OutOfRange => again,
        Meaning::Conflict if again == Verdict::Ask => Verdict::Ask,
        Meaning::BadRequest | Meaning::MethodNotAllowed | Meaning::Unsupported
            if phase == Phase::FirstChunk =>
        {
            Verdict::InOne
        }
        _ => match error.failure() {
            Failure::Garbled => Verdict::RestartOnce,
            Failure::Passing { .. } | Failure::Limited { .. } => again,
            Failure::Lasting => Verdict::Fatal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorBody, LoginState, Purpose, Refusal, Refuser, RequestLine, Subject};

    #[test]
    fn failures_are_told_apart() {
        #[track_caller]
        fn check(status: u16, code: &str, phases: [Verdict; 4]) {
            let url = "https://h/v2/a/blobs/uploads/1".parse().unwrap();
            let body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
            let error = RegistryError::Refused(Box::new(Refusal {
                request: RequestLine::new(&reqwest::Method::PATCH, &url),
                status,
                body: ErrorBody::parse(body.as_bytes()),
                has_foreign_layers: false,
                retry_after: None,
                subject: Subject::Upload,
                refuser: Refuser::Registry,
                purpose: Purpose::Push,
                login: LoginState::Anonymous,
            }));
            let actual = [Phase::Whole, Phase::FirstChunk, Phase::Chunk, Phase::Close]
                .map(|phase| verdict(&error, phase));
            assert_eq!(actual, phases, "{status} {code}");
        }
        use Verdict::{Ask, Fatal, InOne, Restart, RestartOnce, Smaller};
        check(413, "", [Smaller(Why::TooLarge); 4]);
        let slow = Smaller(Why::TooSlow);
        check(504, "", [slow, slow, slow, Restart]);
        check(408, "", [slow, slow, slow, Restart]);
        for status in [429, 500, 502, 503, 520] {
            check(status, "", [Restart, Ask, Ask, Restart]);
        }
        check(404, "NOT_FOUND", [Restart; 4]);
        check(404, "BLOB_UPLOAD_UNKNOWN", [Restart; 4]);
        check(400, "BLOB_UPLOAD_INVALID", [Restart; 4]);
        check(416, "RANGE_INVALID", [Restart, Ask, Ask, Restart]);
        check(409, "", [Fatal, Ask, Ask, Fatal]);
        for status in [405, 415, 501] {
            check(status, "", [Fatal, InOne, Fatal, Fatal]);
        }
        check(
            400,
            "DIGEST_INVALID",
            [RestartOnce, InOne, RestartOnce, RestartOnce],
        );
        for status in [401, 403, 412, 422] {
            check(status, "DENIED", [Fatal; 4]);
        }
    }
}
