//! What an engine says when it refuses a call.

use serde::Deserialize;

use crate::failure::Failure;

/// The longest message that is shown, in characters.
const MESSAGE_LEN_MAX: usize = 2048;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    message: String,
}

/// A call that was answered with a failure.
pub(super) fn of(status: reqwest::StatusCode, is_json: bool, body: &[u8], url: &str) -> Failure {
    let words = status.canonical_reason().unwrap_or_default();
    let code = status.as_u16();
    if body.is_empty() {
        return Failure::new(format!(
            "request returned {code} {words} for API route and version {url}, check if the server \
             supports the requested API version"
        ));
    }
    let message = if is_json {
        match serde_json::from_slice::<Answer>(body) {
            Err(error) => return Failure::new(format!("error reading JSON: {error}")),
            Ok(answer) if answer.message.is_empty() => {
                format!("API returned a {code} ({words}) but provided no error-message")
            }
            Ok(answer) => answer.message,
        }
    } else {
        String::from_utf8_lossy(body).into_owned()
    };
    let message: String = message.trim().chars().take(MESSAGE_LEN_MAX).collect();
    Failure::new(format!("Error response from daemon: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_worded_as_docker_does() {
        #[track_caller]
        fn check(is_json: bool, body: &str, expect: &str) {
            let status = reqwest::StatusCode::BAD_REQUEST;
            let failure = of(status, is_json, body.as_bytes(), "/v1.22/images/get");
            assert_eq!(failure.text, expect);
        }
        check(
            true,
            "{\"message\":\"client version 1.22 is too old\\n\"}",
            "Error response from daemon: client version 1.22 is too old",
        );
        check(
            false,
            " page not found\n",
            "Error response from daemon: page not found",
        );
        check(
            true,
            "{}",
            "Error response from daemon: API returned a 400 (Bad Request) but provided no error-message",
        );
        check(
            false,
            "",
            "request returned 400 Bad Request for API route and version /v1.22/images/get, check if \
             the server supports the requested API version",
        );
    }
}
