//! Storage of signatures beside a registry.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use hod_oci::Digest;

use super::error::LookasideError;
use super::url::SignatureUrl;
use crate::signature::{SIGNATURE_LEN_MAX, Signature};

/// The most signatures of an image that are read.
const N_SIGNATURES_MAX: usize = 128;

/// The storage of the signatures of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookaside {
    /// The URL up to its path, and what follows the path.
    base: SignatureUrl,
    suffix: String,
    path: String,
}

/// Where a signature is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureLocation {
    File(PathBuf),
    /// With `http:` or `https:`; 404 means that there are no more.
    Http(SignatureUrl),
}

/// What is done to the storage.
#[derive(Debug, Clone, Copy)]
enum Change {
    Write,
    Delete,
}

impl SignatureLocation {
    /// Parses what is there.
    pub fn parse(&self, blob: &[u8]) -> Result<Signature, LookasideError> {
        Signature::from_blob(blob).map_err(|source| match self {
            Self::File(path) => LookasideError::Format {
                path: path.clone(),
                source,
            },
            Self::Http(url) => LookasideError::FormatAt {
                url: url.clone(),
                source,
            },
        })
    }

    /// Reads a file; `None` if it does not exist. Blocks.
    pub fn read_file(path: &Path) -> Result<Option<Signature>, LookasideError> {
        let blob = hod_fsx::try_read(path, SIGNATURE_LEN_MAX).map_err(LookasideError::File)?;
        let parse = |blob: Vec<u8>| Self::File(path.to_owned()).parse(&blob);
        blob.map(parse).transpose()
    }
}

impl Lookaside {
    /// The storage at `url` for the repository with this path.
    pub(super) fn new(url: &str, repository: &str) -> Result<Self, LookasideError> {
        let wrong = || LookasideError::Url {
            url: SignatureUrl::new(url).to_string(),
        };
        if url.chars().any(char::is_control) {
            return Err(wrong());
        }
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let (whole, suffix) = url.split_at(end);
        let (base, path) = match whole.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => match rest.strip_prefix("//") {
                Some(rest) => {
                    let start = rest.find('/').unwrap_or(rest.len());
                    let start = whole.len() - rest.len() + start;
                    whole.split_at(start)
                }
                // Without a path to which something could be appended.
                None if !rest.starts_with('/') => return Err(wrong()),
                None => whole.split_at(scheme.len() + 1),
            },
            Some((before, _)) if !before.contains('/') => return Err(wrong()),
            _ => ("", whole),
        };
        unescaped(path).ok_or_else(wrong)?;
        Ok(Self {
            base: SignatureUrl::new(base),
            suffix: suffix.to_owned(),
            path: format!("{path}/{repository}"),
        })
    }

    /// Returns the URL of the repository, which is the beginning of those of its signatures.
    pub fn url(&self) -> SignatureUrl {
        SignatureUrl::new(format!(
            "{}{}{}",
            self.base.as_str(),
            self.path,
            self.suffix
        ))
    }

    /// Returns where the signature of a manifest with this number, from 1, is read.
    pub fn location(
        &self,
        manifest: &Digest,
        number: usize,
    ) -> Result<SignatureLocation, LookasideError> {
        let (path, url) = self.signature(manifest, number);
        match url.scheme() {
            "file" => Ok(SignatureLocation::File(path)),
            "http" | "https" => Ok(SignatureLocation::Http(url)),
            _ => Err(LookasideError::ReadScheme { url }),
        }
    }

    fn signature(&self, manifest: &Digest, number: usize) -> (PathBuf, SignatureUrl) {
        let (algorithm, hex) = (manifest.algorithm().as_str(), manifest.hex());
        let path = format!("{}@{algorithm}={hex}/signature-{number}", self.path);
        let url = SignatureUrl::new(format!("{}{path}{}", self.base.as_str(), self.suffix));
        let path = unescaped(&path).unwrap_or_default();
        (PathBuf::from(std::ffi::OsString::from_vec(path)), url)
    }

    /// Returns where all signatures of a manifest that are read can be: the first that does not
    /// exist ends them. After the last comes an error.
    pub fn locations(
        &self,
        manifest: &Digest,
    ) -> impl Iterator<Item = Result<SignatureLocation, LookasideError>> {
        let locations = (1..=N_SIGNATURES_MAX).map(|number| self.location(manifest, number));
        let count = N_SIGNATURES_MAX;
        locations.chain([Err(LookasideError::TooMany { count })])
    }

    /// Makes these the signatures of a manifest; does nothing if there are none. Blocks.
    ///
    /// Not atomic: a failure may leave some of them, and some of the former ones.
    pub fn write(&self, manifest: &Digest, signatures: &[Signature]) -> Result<(), LookasideError> {
        if signatures.is_empty() {
            return Ok(());
        }
        for (number, signature) in (1..).zip(signatures) {
            let path = self.writable(manifest, number, Change::Write)?;
            hod_fsx::write_file(&path, &signature.to_blob()).map_err(LookasideError::File)?;
        }
        self.remove_from(manifest, signatures.len() + 1, Change::Write)
    }

    /// Removes all signatures of a manifest. Blocks.
    ///
    /// Not atomic: a failure may leave some of them.
    pub fn remove(&self, manifest: &Digest) -> Result<(), LookasideError> {
        self.remove_from(manifest, 1, Change::Delete)
    }

    /// Removes the signatures of a manifest with this number and those after it.
    fn remove_from(
        &self,
        manifest: &Digest,
        first: usize,
        change: Change,
    ) -> Result<(), LookasideError> {
        for number in first.. {
            let path = self.writable(manifest, number, change)?;
            if hod_fsx::try_stat(&path)
                .map_err(LookasideError::File)?
                .is_none()
            {
                break;
            }
            hod_fsx::remove_file(&path).map_err(LookasideError::File)?;
        }
        Ok(())
    }

    fn writable(
        &self,
        manifest: &Digest,
        number: usize,
        change: Change,
    ) -> Result<PathBuf, LookasideError> {
        let (path, url) = self.signature(manifest, number);
        match (url.scheme(), change) {
            ("file", _) => Ok(path),
            ("http" | "https", _) => Err(LookasideError::WriteHttp { url }),
            (_, Change::Write) => Err(LookasideError::WriteScheme { url }),
            (_, Change::Delete) => Err(LookasideError::DeleteScheme { url }),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let is_first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    is_first
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Replaces `%XX`; `None` if what follows a `%` is not a number.
fn unescaped(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut parts = path.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let digits = part.get(..2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part[2..].bytes());
    }
    Some(bytes)
}
