//! What an engine answers while it loads an archive: one JSON object after the other.

use serde::Deserialize;

use crate::failure::{Done, Failure};

/// A message; of most of them nothing matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    error_detail: Option<Detail>,
    /// The same text, which is all that old engines state.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    message: String,
}

/// Fails if the engine says that it did not load the archive.
pub(super) fn check(answer: &[u8]) -> Done {
    for message in serde_json::Deserializer::from_slice(answer).into_iter::<Message>() {
        let message = message.map_err(|error| {
            let problem = if error.is_eof() {
                "unexpected EOF".to_owned()
            } else {
                error.to_string()
            };
            Failure::new(format!("parsing docker load progress: {problem}"))
        })?;
        let reported = message.error_detail.map(|detail| detail.message);
        if let Some(reported) = reported.or(message.error) {
            return Err(Failure::new(format!(
                "docker engine reported: {}",
                hod_gotext::quote(&reported)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_among_the_messages_fails() {
        #[track_caller]
        fn check_text(answer: &str, expect: Option<&str>) {
            let failure = check(answer.as_bytes()).err().map(|failure| failure.text);
            assert_eq!(failure.as_deref(), expect);
        }
        check_text("", None);
        check_text(
            "{\"stream\":\"Loaded image: a:b\\n\"}\r\n{\"status\":\"x\"}",
            None,
        );
        check_text(
            "{\"stream\":\"x\"}{\"errorDetail\":{\"code\":1,\"message\":\"no \\\"space\\\"\"},\"error\":\"y\"}",
            Some("docker engine reported: \"no \\\"space\\\"\""),
        );
        check_text(
            "{\"error\":\"old\"}",
            Some("docker engine reported: \"old\""),
        );
        check_text(
            "{\"stream\":",
            Some("parsing docker load progress: unexpected EOF"),
        );
        assert!(check(b"<html>").is_err());
    }
}
