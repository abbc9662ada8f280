//! Programs that sign with a key that hod never sees: of an HSM, a KMS, a smart card.
//!
//! ```text
//! hod-sign-NAME public-key    prints the public key in minisign's form, as a file or as one line
//! hod-sign-NAME sign          reads a message of at most 200 bytes on stdin, and prints its
//!                             Ed25519 signature (RFC 8032, not prehashed) in base64
//! ```
//!
//! For each bundle it signs twice: the hash of `hod/bundle.json`, then the trusted comment. hod
//! writes the signature file itself. On failure the program exits with a non-zero code and a
//! message on stderr.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::{KeyError, SignError};
use super::public_key::PublicKey;
use hod_report::presentable;

/// A program that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignHelper {
    program: String,
}

impl SignHelper {
    /// Uses the program `hod-sign-NAME` on PATH, or the program at an absolute path.
    pub fn new(name: &str) -> Result<Self, SignError> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let program = if name.starts_with('/') {
            name.to_owned()
        } else if !name.is_empty() && name.bytes().all(is_name) {
            format!("hod-sign-{name}")
        } else {
            return Err(SignError::HelperName {
                helper: presentable(name).unwrap_or_default(),
            });
        };
        Ok(Self { program })
    }

    /// Runs the program to get the public key; blocks.
    pub(super) fn public_key(&self) -> Result<PublicKey, SignError> {
        let wrong = |source| SignError::HelperKey {
            program: self.program.clone(),
            source,
        };
        let stdout = self.run("public-key", b"")?;
        let text = str::from_utf8(&stdout).map_err(|_| {
            wrong(KeyError::Public {
                problem: "it is not text",
            })
        })?;
        text.parse().map_err(wrong)
    }

    /// Runs the program to sign `message`; blocks. The signature is not verified.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let stdout = self.run("sign", message)?;
        let bytes = BASE64.decode(stdout.trim_ascii_end()).ok();
        let signature = bytes.and_then(|bytes| bytes.try_into().ok());
        signature.ok_or_else(|| SignError::HelperAnswer {
            program: self.program.clone(),
        })
    }

    fn run(&self, verb: &str, input: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |message| SignError::HelperFailed {
            program: self.program.clone(),
            message,
        };
        let output =
            hod_program::run(&self.program, &[verb], input).map_err(|error| match error {
                hod_program::Error::Absent { name } => SignError::HelperAbsent { program: name },
                hod_program::Error::Run { source, .. } => failed(source.to_string()),
            })?;
        if output.is_success {
            return Ok(output.stdout);
        }
        let said = presentable(&String::from_utf8_lossy(&output.stderr));
        Err(failed(
            said.unwrap_or_else(|| "it does not say why".to_owned()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_helpers_are_run() {
        for name in ["", "../x", "a b", "x;y", "./x"] {
            let error = SignHelper::new(name).unwrap_err();
            assert!(matches!(error, SignError::HelperName { .. }), "{name}");
        }
        let absent = SignHelper::new("nobody-has-this").unwrap();
        let error = absent.public_key().unwrap_err();
        assert_eq!(
            error.to_string(),
            "signing helper `hod-sign-nobody-has-this` is not on PATH"
        );
    }

    #[test]
    fn wrong_answers_are_refused() {
        let helper = |path: &str| SignHelper::new(path).unwrap();
        // Says its argument.
        let echo = helper("/bin/echo");
        assert!(matches!(
            echo.public_key(),
            Err(SignError::HelperKey { .. })
        ));
        assert!(matches!(
            echo.sign(b"x"),
            Err(SignError::HelperAnswer { .. })
        ));
        // Fails, and says why.
        let error = helper("/bin/cp").sign(b"x").unwrap_err();
        assert!(
            matches!(&error, SignError::HelperFailed { message, .. } if message.contains("sign")),
            "{error}"
        );
        let error = helper("/bin/false").sign(b"x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "signing helper `/bin/false` failed: it does not say why"
        );
    }
}
