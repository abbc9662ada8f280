//! An error and its causes on one line.

use std::error::Error;

/// Returns the text of an error and those of its causes, separated by colons. A cause whose text
/// is in the line already is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Failure {
        text: &'static str,
        source: Option<Box<Failure>>,
    }

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.text)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.source.as_deref().map(|cause| cause as &dyn Error)
        }
    }

    fn failure(text: &'static str, source: Option<Failure>) -> Failure {
        let source = source.map(Box::new);
        Failure { text, source }
    }

    #[test]
    fn a_cause_is_said_once() {
        let refused = failure("connection refused", None);
        let connect = failure("cannot connect: connection refused", Some(refused));
        let again = failure("cannot connect: connection refused", Some(connect));
        let error = failure("GET /v2/", Some(again));
        assert_eq!(
            chain(&error),
            "GET /v2/: cannot connect: connection refused"
        );
    }
}
