//! The refusal of a delta whose target lacks blobs of its base.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use hod_bundle::{BaseOrigin, OriginKind};
use hod_oci::{Digest, RepositoryName};
use hod_report::amount::{format_count, format_len};
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// Maximum number of blobs named.
const BLOBS_SHOWN_MAX: usize = 3;
/// Maximum number of images named that need a blob.
const IMAGES_SHOWN_MAX: usize = 3;

/// Blobs that are missing at the target; nothing was done.
#[derive(Debug, Serialize)]
pub struct BaseMissing {
    #[serde(serialize_with = "as_text")]
    pub source: PathBuf,
    /// The target that lacks them; `None` for a verb that needs all blobs in the source itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(rename = "missing_blobs")]
    pub blobs: Vec<MissingBlob>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct MissingBlob {
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The images that need it.
    pub images: Vec<String>,
    /// Its repositories when the bundle was packed.
    pub held: Vec<HeldBy>,
}

/// A bundle, store or registry that has a blob, and the repositories in it.
#[derive(Debug, Serialize)]
pub struct HeldBy {
    #[serde(flatten)]
    pub origin: BaseOrigin,
    #[serde(serialize_with = "as_texts")]
    pub repositories: Vec<RepositoryName>,
}

fn as_texts<S: serde::Serializer>(names: &[RepositoryName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(RepositoryName::to_string))
}

fn as_text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

impl fmt::Display for HeldBy {
    /// "bundle `site` 1.2 (in team/app)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.origin.kind {
            OriginKind::Bundle => "bundle",
            OriginKind::Store => "store",
            OriginKind::Registry => "registry",
        };
        write!(f, "{kind} `{}`", self.origin.name)?;
        if let Some(version) = &self.origin.version {
            write!(f, " {version}")?;
        }
        match &self.repositories[..] {
            [] => Ok(()),
            [name] => write!(f, " (in {name})"),
            [name, rest @ ..] => write!(f, " (in {name} and {} more)", rest.len()),
        }
    }
}

impl BaseMissing {
    /// The bundles that contain the missing blobs.
    fn required(&self) -> Vec<String> {
        let held = || self.blobs.iter().flat_map(|blob| &blob.held);
        let bundles = held().filter(|held| held.origin.kind == OriginKind::Bundle);
        let names: BTreeSet<String> = bundles
            .map(|held| format!("`{}`", held.origin.title()))
            .collect();
        names.into_iter().collect()
    }
}

impl std::error::Error for BaseMissing {}

impl fmt::Display for BaseMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = format_count(self.blobs.len(), "blob");
        let source = self.source.display();
        let required = self.required();
        match (&self.target, &required[..]) {
            (Some(target), []) => write!(
                f,
                "`{source}` requires {n} that it does not contain and `{target}` does not have; \
                 nothing was written"
            )?,
            (Some(target), required) => write!(
                f,
                "`{source}` requires {} first: {n} of it {} not in `{target}`; nothing was written",
                required.join(" and "),
                if self.blobs.len() == 1 { "is" } else { "are" },
            )?,
            (None, _) => write!(
                f,
                "`{source}` is a delta: it requires {n} that it does not contain; nothing was done"
            )?,
        }
        for blob in self.blobs.iter().take(BLOBS_SHOWN_MAX) {
            let digest = blob.digest.short();
            write!(f, "\n  {digest} ({})", format_len(blob.size))?;
            let shown = &blob.images[..blob.images.len().min(IMAGES_SHOWN_MAX)];
            write!(f, ", for {}", shown.join(", "))?;
            if blob.images.len() > shown.len() {
                write!(f, " and {} more", blob.images.len() - shown.len())?;
            }
            if !blob.held.is_empty() {
                let held: Vec<String> = blob.held.iter().map(HeldBy::to_string).collect();
                write!(f, "; {} contained it", held.join(", and "))?;
            }
        }
        if self.blobs.len() > BLOBS_SHOWN_MAX {
            write!(f, "\n  and {} more", self.blobs.len() - BLOBS_SHOWN_MAX)?;
        }
        Ok(())
    }
}

impl Diagnose for BaseMissing {
    fn diagnose(&self) -> Diagnosis {
        Diagnosis::refused(ErrorClass::NotFound).hint(match &self.target {
            Some(_) => {
                "Push or unpack the earlier bundle first. If you do not have it, ask \
                 your supplier for it, or for a bundle that is packed with `--since` a receipt of \
                 this target (`hod receipt`) or without `--since`."
            }
            None => {
                "Merge it with the earlier bundles (`hod bundle merge`), or unpack them into one \
                 store, the earlier ones first. If you do not have an earlier one, ask \
                 your supplier for it."
            }
        })
    }
}
