//! Certificates from files: CAs that the user names, and what a `certs.d` has for a host.
//!
//! The layout is that of Docker and containers: in `certs.d/host[:port]`, each `*.crt` is a CA
//! besides those of the system, and `X.cert` with `X.key` is what the client shows of itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use reqwest::Identity;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::CertificatesError;
use crate::wire::pinned::ClientPair;

/// The longest file of certificates, in bytes.
const PEM_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A file of CAs.
#[derive(Debug, Clone)]
pub struct CaFile {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl CaFile {
    /// Reads a PEM file of one or more certificates; blocks.
    pub fn load(path: &Path) -> Result<Self, CertificatesError> {
        let bytes = hod_fsx::read_input(path, PEM_LEN_MAX).map_err(CertificatesError::File)?;
        // Looked at here: later a bad one would be refused only as a part of the whole client.
        let is_good = |certificate: &CertificateDer<'static>| {
            RootCertStore::empty().add(certificate.clone()).is_ok()
        };
        let certificates: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&bytes).collect();
        let certificates = certificates.unwrap_or_default();
        let are_good = certificates.iter().all(is_good);
        if certificates.is_empty() || !are_good {
            return Err(CertificatesError::NoCertificate {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            certificates,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

/// The certificates for a host in a `certs.d`.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    pub(crate) ca_files: Vec<CaFile>,
    /// The paths of the client's certificate and its key.
    pub(crate) pair: Option<(PathBuf, PathBuf)>,
    /// The PEM of both.
    pair_pem: Vec<u8>,
}

impl HostCertificates {
    /// Reads the directory; blocks. One that does not exist or may not be read is treated as empty,
    /// as in containers. Of several pairs the first by name is used.
    pub(crate) fn load(dir: &Path) -> Result<Self, CertificatesError> {
        let names = hod_fsx::try_read_dir_names(dir)
            .ok()
            .flatten()
            .unwrap_or_default();
        let mut found = Self::default();
        for name in &names {
            let path = dir.join(name);
            let extension = path.extension().and_then(|extension| extension.to_str());
            match extension {
                Some("crt") => found.ca_files.push(CaFile::load(&path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !has(&names, &key) {
                        return Err(CertificatesError::NoKey {
                            certificate: path,
                            key,
                        });
                    }
                    if found.pair.is_none() {
                        found.pair_pem = load_pair(&path, &key)?;
                        found.pair = Some((path, key));
                    }
                }
                Some("key") => {
                    let certificate = path.with_extension("cert");
                    if !has(&names, &certificate) {
                        return Err(CertificatesError::NoClientCertificate {
                            key: path,
                            certificate,
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    pub(crate) fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.ca_files.iter().flat_map(CaFile::certificates)
    }

    /// The client's certificate, for a connection that verifies the server.
    pub(crate) fn client_pair(&self) -> Result<Option<ClientPair>, CertificatesError> {
        let Some((certificate, key)) = &self.pair else {
            return Ok(None);
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.pair_pem).collect();
        match (chain, PrivateKeyDer::from_pem_slice(&self.pair_pem)) {
            (Ok(chain), Ok(key)) => Ok(Some(ClientPair { chain, key })),
            _ => Err(CertificatesError::Pair {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
        }
    }

    /// The same for a connection that does not.
    pub(crate) fn identity(&self) -> Option<Identity> {
        Identity::from_pem(&self.pair_pem).ok()
    }
}

fn has(names: &[OsString], path: &Path) -> bool {
    names
        .iter()
        .any(|name| Some(name.as_os_str()) == path.file_name())
}

fn load_pair(certificate: &Path, key: &Path) -> Result<Vec<u8>, CertificatesError> {
    let mut pem = hod_fsx::read(certificate, PEM_LEN_MAX).map_err(CertificatesError::File)?;
    pem.push(b'\n');
    pem.extend(hod_fsx::read(key, PEM_LEN_MAX).map_err(CertificatesError::File)?);
    match Identity::from_pem(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(CertificatesError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["a.b".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_directory_has_authorities_and_a_pair() {
        #[track_caller]
        fn check(files: &[(&str, &str)], expect: Result<(usize, bool), &str>) {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                hod_fsx::write_file(&dir.path().join(name), text.as_bytes()).unwrap();
            }
            let found = HostCertificates::load(dir.path());
            let found = found
                .map(|found| {
                    let pair = found.client_pair().unwrap();
                    (found.authorities().count(), pair.is_some())
                })
                .map_err(|error| {
                    error
                        .to_string()
                        .replace(&format!("{}/", dir.path().display()), "")
                });
            assert_eq!(found, expect.map_err(str::to_owned));
        }
        let (pem, key) = self_signed();
        let two = format!("{pem}{pem}");
        check(&[], Ok((0, false)));
        check(
            &[("ca.crt", &two), ("b.crt", &pem), ("readme", "x")],
            Ok((3, false)),
        );
        check(&[("c.cert", &pem), ("c.key", &key)], Ok((0, true)));
        check(
            &[("b.cert", &pem), ("c.key", &key), ("c.cert", &pem)],
            Err("client certificate `b.cert` has no key `b.key` beside it"),
        );
        check(
            &[("c.key", &key)],
            Err("key `c.key` has no client certificate `c.cert` beside it"),
        );
        check(
            &[("ca.crt", "x")],
            Err("`ca.crt` has no certificate in PEM form"),
        );
        check(
            &[("ca.crt", &key)],
            Err("`ca.crt` has no certificate in PEM form"),
        );
        check(
            &[("c.cert", &pem), ("c.key", &pem)],
            Err("`c.cert` and `c.key` are not a client certificate and its key in PEM form"),
        );
        let absent = HostCertificates::load(Path::new("/nonexistent")).unwrap();
        assert!(absent.ca_files.is_empty());
    }
}
