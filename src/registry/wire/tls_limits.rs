//! What TLS may use, for the whole program.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, ProtocolVersion};

use super::hybrid::X25519MLKEM768;

/// The versions of TLS that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// The oldest that is ever spoken.
    V1_2,
    V1_3,
}

/// What TLS may use; `None` is everything that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsLimits {
    pub min_version: Option<TlsVersion>,
    /// IANA's names of cipher suites. Those of TLS 1.3 cannot be limited, as in Go.
    pub cipher_suites: Option<Vec<String>>,
    /// IANA's names of supported groups.
    pub named_groups: Option<Vec<String>>,
}

/// Limits that leave nothing to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsLimitsError {
    #[error("no TLS cipher suite of {0} is supported")]
    CipherSuites(String),
    #[error("no TLS named group of {0} is supported")]
    NamedGroups(String),
    #[error("TLS was used before it was limited")]
    TooLate,
}

impl TlsLimits {
    /// Limits all connections that the program makes from now on.
    ///
    /// Fails if there has been one.
    pub fn install(&self) -> Result<(), TlsLimitsError> {
        let provider = self.provider()?;
        let installed = provider.install_default();
        installed.map_err(|_| TlsLimitsError::TooLate)
    }

    /// Makes TLS usable where it is not limited.
    pub fn ensure() {
        provider();
    }

    fn provider(&self) -> Result<CryptoProvider, TlsLimitsError> {
        let mut provider = rustls::crypto::ring::default_provider();
        // Last: its share is long, and is sent only to servers that ask for it.
        provider.kx_groups.push(X25519MLKEM768);
        if self.min_version == Some(TlsVersion::V1_3) {
            let suites = &mut provider.cipher_suites;
            suites.retain(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
        }
        if let Some(names) = &self.cipher_suites {
            provider.cipher_suites.retain(|suite| {
                let is_named = || names.iter().any(|name| *name == name_of(suite.suite()));
                suite.version().version == ProtocolVersion::TLSv1_3 || is_named()
            });
        }
        if provider.cipher_suites.is_empty() {
            let names = self.cipher_suites.iter().flatten();
            return Err(TlsLimitsError::CipherSuites(listed(names)));
        }
        if let Some(names) = self.named_groups.as_ref().filter(|names| !names.is_empty()) {
            let known = std::mem::take(&mut provider.kx_groups);
            let named = |name: &String| known.iter().find(|group| is_named(**group, name));
            provider.kx_groups = names.iter().filter_map(named).copied().collect();
            if provider.kx_groups.is_empty() {
                return Err(TlsLimitsError::NamedGroups(listed(names.iter())));
            }
        }
        Ok(provider)
    }
}

/// What TLS uses in this program.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default();
    installed.cloned().unwrap_or_else(|| {
        // Fails only when another one was installed meanwhile, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        CryptoProvider::get_default().map_or_else(
            || Arc::new(rustls::crypto::ring::default_provider()),
            Arc::clone,
        )
    })
}

/// IANA's name of a suite; rustls names those of TLS 1.3 after their version.
fn name_of(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

/// IANA writes some groups with small letters, and rustls others.
fn is_named(group: &dyn SupportedKxGroup, name: &str) -> bool {
    format!("{:?}", group.name()).eq_ignore_ascii_case(name)
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The number of suites of TLS 1.2 and of 1.3, and the groups.
    #[track_caller]
    fn check(limits: &TlsLimits, n_suites: [usize; 2], groups: &str) {
        let provider = limits.provider().unwrap();
        let count = |version| {
            let suites = provider.cipher_suites.iter();
            suites
                .filter(|suite| suite.version().version == version)
                .count()
        };
        let found = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3].map(count);
        assert_eq!(found, n_suites);
        let names = provider.kx_groups.iter();
        let names: Vec<String> = names.map(|group| format!("{:?}", group.name())).collect();
        assert_eq!(names.join(" "), groups);
    }

    #[test]
    fn versions_suites_and_groups_are_limited() {
        const ALL: &str = "X25519 secp256r1 secp384r1 X25519MLKEM768";
        check(&TlsLimits::default(), [6, 3], ALL);
        let limits = TlsLimits {
            min_version: Some(TlsVersion::V1_3),
            named_groups: Some(own(&["X25519MLKEM768"])),
            ..TlsLimits::default()
        };
        check(&limits, [0, 3], "X25519MLKEM768");
        let limits = TlsLimits {
            min_version: Some(TlsVersion::V1_2),
            cipher_suites: Some(own(&[
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_AES_128_GCM_SHA256",
            ])),
            named_groups: Some(own(&["secp384r1", "secp521r1", "x25519"])),
        };
        check(&limits, [1, 3], "secp384r1 X25519");
    }

    #[test]
    fn limits_that_leave_nothing_are_refused_by_name() {
        let limits = TlsLimits {
            named_groups: Some(own(&["secp521r1"])),
            ..TlsLimits::default()
        };
        let error = limits.provider().unwrap_err();
        assert_eq!(error, TlsLimitsError::NamedGroups("`secp521r1`".to_owned()));
    }
}
