//! Passphrases of secret keys.

use std::fmt;
use std::path::Path;

use hod_report::ErrorClass::Usage;
use hod_report::{Diagnose, Diagnosis};

/// The longest passphrase file that is read, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// What unlocks a secret key; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

/// Why there is no passphrase. Contains nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    #[error("invalid passphrase: must not contain a line break")]
    LineBreak,
    #[error("passphrase file `{path}` is not text in UTF-8")]
    NotText { path: String },
    #[error(transparent)]
    File(hod_fsx::Error),
}

impl Diagnose for PassphraseError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::LineBreak | Self::NotText { .. } => Diagnosis::refused(Usage),
            Self::File(error) => error.diagnose(),
        }
    }
}

impl Passphrase {
    /// Takes the text, which has one line.
    pub fn new(text: impl Into<String>) -> Result<Self, PassphraseError> {
        let text = text.into();
        if text.contains('\n') {
            return Err(PassphraseError::LineBreak);
        }
        Ok(Self(text))
    }

    /// Reads the first line of a file, as gpg does. Blocks; the file may be a pipe.
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let bytes = hod_fsx::read_input(path, FILE_LEN_MAX).map_err(PassphraseError::File)?;
        let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let path = || path.display().to_string();
        let text = str::from_utf8(line).map_err(|_| PassphraseError::NotText { path: path() })?;
        Ok(Self(text.to_owned()))
    }

    /// Whether it is empty, which protects nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read_and_never_shown() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("passphrase");
        for (content, expect) in [
            (&b"secret\nmore"[..], "secret"),
            (b"secret\r\n", "secret\r"),
            (b"no end", "no end"),
            (b"", ""),
        ] {
            hod_fsx::write_file(&path, content).unwrap();
            let passphrase = Passphrase::read(&path).unwrap();
            assert_eq!(passphrase.bytes(), expect.as_bytes());
            assert_eq!(format!("{passphrase:?}"), "[redacted]");
        }
        hod_fsx::write_file(&path, b"\xff\n").unwrap();
        assert!(matches!(
            Passphrase::read(&path),
            Err(PassphraseError::NotText { .. })
        ));
        assert!(Passphrase::new("a\nb").is_err());
    }
}
