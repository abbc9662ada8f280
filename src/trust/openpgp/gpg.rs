//! Signing with the user's keys, which gpg has.

use std::path::PathBuf;

use super::error::GpgError;
use crate::passphrase::Passphrase;
use hod_report::presentable;

/// The program that has the user's keys. Blocks, for as long as it asks for a passphrase.
#[derive(Debug, Clone)]
pub struct Gpg {
    /// Its name on PATH, or its path.
    pub program: String,
    /// The directory of its keys, if it is not the user's.
    pub home: Option<PathBuf>,
}

impl Default for Gpg {
    fn default() -> Self {
        Self {
            program: "gpg".to_owned(),
            home: None,
        }
    }
}

impl Gpg {
    /// Signs a payload with the key that has this fingerprint, or another name that gpg knows.
    ///
    /// Without a passphrase gpg's agent is asked, which may ask the user.
    pub fn sign(
        &self,
        payload: &[u8],
        key: &str,
        passphrase: Option<&Passphrase>,
    ) -> Result<Vec<u8>, GpgError> {
        let mut arguments = vec!["--no-armor", "--no-textmode", "--local-user", key];
        let mut input = Vec::new();
        if let Some(passphrase) = passphrase {
            arguments.extend(["--pinentry-mode", "loopback", "--passphrase-fd", "0"]);
            // gpg reads its first line, and what follows as the content.
            input.extend_from_slice(passphrase.bytes());
            input.push(b'\n');
        }
        input.extend_from_slice(payload);
        arguments.push("--sign");
        self.run(&arguments, &input)
    }

    /// Returns the public keys with these fingerprints or IDs; none that is not found.
    ///
    /// To verify with the user's keys, export that which [`Unverified::key_id`] names: a message by
    /// another key than the expected ones is then told from one by an unknown key.
    ///
    /// [`Unverified::key_id`]: super::Unverified::key_id
    pub fn export(&self, keys: &[String]) -> Result<Vec<u8>, GpgError> {
        let mut arguments = vec!["--no-armor", "--export", "--"];
        arguments.extend(keys.iter().map(String::as_str));
        self.run(&arguments, b"")
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, GpgError> {
        let home = self.home.as_ref().map(|home| home.display().to_string());
        let mut all = vec!["--batch", "--no-tty"];
        if let Some(home) = &home {
            all.extend(["--homedir", home]);
        }
        all.extend(arguments);
        let program = || self.program.clone();
        let failed = |message| GpgError::Failed {
            program: program(),
            message,
        };
        let output = hod_program::run(&self.program, &all, input).map_err(|error| match error {
            hod_program::Error::Absent { name } => GpgError::Absent { program: name },
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
