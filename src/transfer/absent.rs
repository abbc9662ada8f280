//! Children that an index lists and that its source does not have.

use std::fmt;

use hod_oci::{Descriptor, Digest, Manifest, Platform};
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// What to do about a source that lacks content.
pub(crate) const VERIFY: &str =
    "Run `hod verify` on the source: it lists everything that is damaged or missing.";

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
            "{} (`{}`) is listed in the index, but was not found in {}",
            self.role, self.digest, self.holder
        )?;
        if self.present.is_empty() {
            return Ok(());
        }
        write!(f, ", which has {}", self.present.join(", "))
    }
}

impl Diagnose for AbsentChild {
    fn diagnose(&self) -> Diagnosis {
        let missing = Diagnosis::new(ErrorClass::NotFound);
        let there = self.present.first();
        let found = match (self.wish, there, &self.holder) {
            (Wish::Platform, _, Holder::Repository(_)) => {
                return missing.hint(
                    "The registry has lost it, or never had it. Push the image there again from \
                     where it was built, or choose other platforms with `--platform`.",
                );
            }
            (_, None, Holder::Archive) => {
                return missing.hint(
                    "The archive is incomplete. Save it again, with `docker save --platform` for one \
                     platform.",
                );
            }
            (_, None, Holder::Source) => return missing.hint(VERIFY),
            (Wish::Platform, Some(there), _) => missing.hint(format!(
                "`--platform {there}` transfers the platform that is present."
            )),
            (Wish::Whole, there, _) => missing.hint(format!(
                "`--index rewrite` transfers what is present under a new digest, and `--platform {}` \
                 one platform alone.",
                there.map_or("OS/ARCH", String::as_str)
            )),
        };
        match self.holder {
            Holder::Archive => {
                found.and("For an archive of one platform, save it with `docker save --platform`.")
            }
            Holder::Repository(_) | Holder::Source => found,
        }
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
