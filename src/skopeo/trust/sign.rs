//! Signatures that are made for what is copied.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use hod_oci::Digest;
use hod_trust::{Gpg, Passphrase, Payload, PayloadKind, Signature, SigstoreSecretKey};

use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::name::{ImageName, Named};
use crate::screen::Screen;
use crate::wording;

/// The longest file with a key.
const KEY_LEN_MAX: u64 = 64 * 1024;

/// The flags about signing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SigningFlags {
    pub(crate) sign_by: Option<String>,
    pub(crate) sigstore_key: Option<PathBuf>,
    /// Flags that are known and not supported.
    pub(crate) unsupported: Option<&'static str>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) identity: Option<String>,
}

/// How manifests are signed.
#[derive(Debug)]
pub(crate) struct Signing {
    signers: Vec<Signer>,
    identity: Option<Named>,
}

#[derive(Debug)]
enum Signer {
    /// With a key of the user's, which gpg has.
    Gpg {
        fingerprint: String,
        passphrase: Option<Passphrase>,
    },
    Sigstore(Box<SigstoreSecretKey>),
}

impl Signing {
    /// Reads what is needed to sign. Blocks; may ask for a passphrase.
    pub(crate) fn load(host: &dyn Host, flags: &SigningFlags) -> Done<Self> {
        if let Some(flag) = flags.unsupported {
            return Err(Failure::new(format!("--{flag} is not supported")));
        }
        if flags.passphrase_file.is_some()
            && flags.sign_by.is_some()
            && flags.sigstore_key.is_some()
        {
            return Err(Failure::new(
                "Only one of --sign-by, --sign-by-sq-fingerprint and \
                 --sign-by-sigstore-private-key can be used with --sign-passphrase-file",
            ));
        }
        let passphrase = flags.passphrase_file.as_deref().map(Passphrase::read);
        let passphrase = passphrase
            .transpose()
            .map_err(|error| Failure::new(error.to_string()))?;
        let mut signers = Vec::new();
        if let Some(path) = &flags.sigstore_key {
            let passphrase = match &passphrase {
                Some(passphrase) => passphrase.clone(),
                None => ask(host, &path.display().to_string())?,
            };
            let read = hod_fsx::read(path, KEY_LEN_MAX);
            let file = read.map_err(|error| wording::of_file(&error))?;
            let key = SigstoreSecretKey::open(&file, &passphrase);
            let key = key.map_err(|error| Failure::new(error.to_string()))?;
            signers.push(Signer::Sigstore(Box::new(key)));
        }
        if let Some(fingerprint) = &flags.sign_by {
            signers.push(Signer::Gpg {
                fingerprint: fingerprint.clone(),
                passphrase,
            });
        }
        let identity = flags.identity.as_deref().map(|text| {
            let named = Named::parse(text);
            named.map_err(|error| Failure::new(format!("Could not parse --sign-identity: {error}")))
        });
        Ok(Self {
            signers,
            identity: identity.transpose()?,
        })
    }

    /// Whether anything is signed.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Signs a manifest for its destination.
    pub(crate) async fn sign(
        &self,
        screen: &Screen,
        digest: &Digest,
        to: &ImageName,
    ) -> Done<Vec<Signature>> {
        if !self.is_wanted() {
            return Ok(Vec::new());
        }
        let identity = match &self.identity {
            Some(identity) if identity.is_name_only() => {
                return Err(Failure::new(format!(
                    "Sign identity must be a fully specified reference {identity}"
                )));
            }
            Some(identity) => identity,
            None => to.docker_reference().ok_or_else(|| {
                Failure::new(format!(
                    "Cannot determine canonical Docker reference for destination {to}"
                ))
            })?,
        };
        let is_one = self.signers.len() == 1;
        let mut signatures = Vec::new();
        for (at, signer) in self.signers.iter().enumerate() {
            let how = match signer {
                Signer::Gpg { .. } => "Signing image using simple signing",
                Signer::Sigstore(_) => "Signing image using a sigstore signature",
            };
            let number = if is_one {
                String::new()
            } else {
                format!(" {}", at + 1)
            };
            screen.line(&format!("Creating signature{number}: {how}"));
            let signature = signer.sign(digest, identity).await;
            signatures.push(
                signature.map_err(|error| error.during(format!("creating signature{number}")))?,
            );
        }
        Ok(signatures)
    }
}

impl Signer {
    async fn sign(&self, digest: &Digest, identity: &Named) -> Done<Signature> {
        let payload = Payload {
            digest: digest.clone(),
            docker_reference: identity.to_string(),
            creator: Some(concat!("hod ", env!("CARGO_PKG_VERSION")).to_owned()),
            timestamp: Some(now()),
        };
        match self {
            Self::Gpg {
                fingerprint,
                passphrase,
            } => {
                let json = payload.to_json(PayloadKind::SimpleSigning);
                let json = json.map_err(|error| Failure::new(error.to_string()))?;
                let (fingerprint, passphrase) = (fingerprint.clone(), passphrase.clone());
                let signed = hod_bridge::run(move || {
                    Gpg::default().sign(json.as_bytes(), &fingerprint, passphrase.as_ref())
                });
                let signed = signed.await;
                let signed = signed.map_err(|error| Failure::new(error.to_string()))?;
                Ok(Signature::SimpleSigning(signed))
            }
            Self::Sigstore(key) => {
                let signed = key.sign(&payload);
                let signed = signed.map_err(|error| Failure::new(error.to_string()))?;
                Ok(Signature::Sigstore(signed))
            }
        }
    }
}

/// Asks for the passphrase of a key on the terminal.
pub(crate) fn ask(host: &dyn Host, key: &str) -> Done<Passphrase> {
    use std::io::{IsTerminal as _, Write as _};
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "Cannot prompt for a passphrase for key {key}, standard input is not a TTY"
        )));
    }
    let mut stdout = std::io::stdout().lock();
    // The answer is awaited in any case.
    let _ = write!(stdout, "Passphrase for key {key}: ");
    let _ = stdout.flush();
    drop(stdout);
    let line = host.hidden_line();
    let line = line.map_err(|error| Failure::new(format!("Error reading password: {error}")))?;
    Passphrase::new(line).map_err(|error| Failure::new(error.to_string()))
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// A path in quotes, as messages about keys have it.
pub(crate) fn quoted(path: &std::path::Path) -> String {
    hod_gotext::quote(path.display().to_string())
}
