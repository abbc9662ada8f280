//! Children that an index lists and that its source does not have.

use std::fmt;

use hod_oci::{Descriptor, Digest, Manifest, Platform};
use hod_report::Hint;

/// The annotation with which `BuildKit` marks an attestation in an index.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation of an attestation that contains the digest of its manifest.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// A child of an index that is needed and was not found.
#[derive(Debug, Clone)]
pub struct AbsentChild {
    pub digest: Digest,
    /// Its role: "linux/arm64", "attestation of linux/arm64".
    pub role: String,
    pub holder: Holder,
    /// The platforms of the index that the source has, if known.
    pub present: Vec<String>,
    pub wish: Wish,
}

/// The holder that lacks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A repository of a registry.
    Repository(String),
    /// A store, tree, bundle or directory of layouts.
    Source,
    /// An OCI layout or an archive that another tool wrote.
    Archive,
}

/// Why it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Its platform was asked for.
    Platform,
    /// All of the index was.
    Whole,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => write!(f, "`{repository}`"),
            Self::Source => f.write_str("the source"),
            Self::Archive => f.write_str("the archive"),
        }
    }
}

impl std::error::Error for AbsentChild {}

impl fmt::Display for AbsentChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (`{}`) is listed in the index and was not found in {}",
            self.role, self.digest, self.holder
        )?;
        if self.present.is_empty() {
            return Ok(());
        }
        write!(f, ", which has {}", self.present.join(", "))
    }
}

impl Hint for AbsentChild {
    fn hint(&self) -> Option<String> {
        let from_docker = match self.holder {
            Holder::Archive => {
                "; for an archive of one platform, save it with `docker save --platform`"
            }
            _ => "",
        };
        let there = self.present.first();
        Some(match (self.wish, there, &self.holder) {
            (Wish::Platform, _, Holder::Repository(_)) => {
                "The registry has lost it, or never had it: push the image there again from where \
                 it was built, or choose other platforms with `--platform`."
                    .to_owned()
            }
            (Wish::Platform, Some(there), _) => {
                format!("`--platform {there}` carries the platform that is there{from_docker}.")
            }
            (Wish::Whole, Some(there), _) => format!(
                "`--index rewrite` carries what is there under a new digest, and `--platform \
                 {there}` that platform alone{from_docker}."
            ),
            (Wish::Whole, None, Holder::Repository(_)) => {
                "`--index rewrite` carries what is there under a new digest, and `--platform \
                 OS/ARCH` one platform alone."
                    .to_owned()
            }
            (_, None, Holder::Archive) => {
                "The archive is incomplete: save it again, with `docker save --platform` for one \
                 platform."
                    .to_owned()
            }
            (_, None, Holder::Source) => {
                "`hod verify` names everything that is damaged or missing there".to_owned()
            }
        })
    }
}

/// Returns true if the child describes another child of the index, as attestations of `BuildKit`
/// do, and does not run on any platform.
pub fn is_about_another(child: &Descriptor) -> bool {
    let is_unknown = child.platform.as_ref().is_some_and(Platform::is_unknown);
    is_unknown
        || [REFERENCE_TYPE, REFERENCE_DIGEST]
            .iter()
            .any(|key| child.annotations.contains_key(*key))
}

/// The digest of the child that an attestation refers to.
pub(super) fn reference(child: &Descriptor) -> Option<&str> {
    child.annotations.get(REFERENCE_DIGEST).map(String::as_str)
}

/// The stated platform; `None` if it is empty.
pub(super) fn stated(child: &Descriptor) -> Option<&Platform> {
    child
        .platform
        .as_ref()
        .filter(|platform| platform.is_stated())
}

/// The role of a child of `index`, in words: "linux/arm64", "attestation of linux/arm64".
pub(super) fn role(index: &Manifest, child: &Descriptor) -> String {
    if is_about_another(child) {
        let about = reference(child);
        let mut siblings = index.children().iter();
        let of = about.and_then(|about| siblings.find(|other| other.digest.as_str() == about));
        return match of.and_then(stated) {
            Some(platform) => format!("attestation of {platform}"),
            None => "attestation".to_owned(),
        };
    }
    match stated(child) {
        Some(platform) => platform.to_string(),
        None => "manifest without a platform".to_owned(),
    }
}
