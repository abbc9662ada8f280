//! Problems in a tree.

use std::path::{Path, PathBuf};

use hod_oci::{Digest, RepositoryName, Tag};

/// One thing that is wrong; shown as one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// The content of a blob does not match its digest.
    #[error(
        "blob `{digest}` is damaged: the bytes of `{}` have digest `{actual}`", path.display()
    )]
    DamagedBlob {
        path: PathBuf,
        digest: Digest,
        actual: Digest,
    },
    /// A file could not be read.
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// A file named `data` is not in the directory of a digest; garbage collection stops at it.
    #[error("`{}` is named as blob data, but is not at the path of a digest", path.display())]
    StrayData { path: PathBuf },
    /// A link file does not contain exactly its digest.
    #[error("link `{}` {fault}", path.display())]
    BadLink { path: PathBuf, fault: LinkFault },
    /// A file named `link` is in the wrong place.
    #[error("`{}` is named as a link, but is not at the path of one", path.display())]
    StrayLink { path: PathBuf },
    /// An entry among the tags is not a tag; registries list it as one.
    #[error("`{}` is among the tags, but is not a tag", path.display())]
    StrayTag { path: PathBuf },
    /// A symbolic link, a device or a directory is in place of a file.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The name of a repository is invalid; garbage collection stops at it.
    #[error("`{}` is not a valid repository name", path.display())]
    BadRepositoryName { path: PathBuf },
    /// A tag has no current digest.
    #[error("tag `{repository}:{}` does not name a manifest", tag.as_str())]
    EmptyTag {
        repository: RepositoryName,
        tag: Tag,
    },
    /// A tag names a manifest that does not belong to the repository.
    #[error("tag `{repository}:{}` names `{digest}`, which is not in the repository", tag.as_str())]
    TagWithoutRevision {
        repository: RepositoryName,
        tag: Tag,
        digest: Digest,
    },
    /// The blob of a manifest is missing.
    #[error("manifest `{digest}` of `{repository}` is missing")]
    MissingManifest {
        repository: RepositoryName,
        digest: Digest,
    },
    /// A manifest has the right digest and is invalid.
    #[error("manifest `{digest}` cannot be read: {reason}")]
    BadManifest { digest: Digest, reason: String },
    /// The link of a child manifest is missing; its blob is not.
    #[error("manifest `{child}`, which `{index}` lists, is not linked in `{repository}`")]
    MissingRevisionLink {
        repository: RepositoryName,
        index: Digest,
        child: Digest,
    },
    /// An index has none of its children.
    #[error("none of the manifests that index `{digest}` lists is in `{repository}`")]
    NoChildren {
        repository: RepositoryName,
        digest: Digest,
    },
    /// The blob of a config or layer is missing.
    #[error("blob `{digest}` of `{repository}` is missing; manifest `{manifest}` requires it")]
    MissingBlob {
        repository: RepositoryName,
        manifest: Digest,
        digest: Digest,
    },
    /// A config or layer is not linked, so registries do not serve it.
    #[error("blob `{digest}` is not linked in `{repository}`; manifest `{manifest}` requires it")]
    MissingLayerLink {
        repository: RepositoryName,
        manifest: Digest,
        digest: Digest,
    },
    /// The length of a blob is not the one in its manifest.
    #[error("blob `{digest}` is {actual} bytes, but manifest `{manifest}` says {expected}")]
    WrongSize {
        manifest: Digest,
        digest: Digest,
        expected: u64,
        actual: u64,
    },
}

/// What is wrong with a link file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum LinkFault {
    #[error("is empty")]
    Empty,
    /// A trailing newline mostly; registries fail on it.
    #[error("has white space around its digest")]
    WhiteSpace,
    #[error("does not name the digest of its path")]
    OtherDigest,
    #[error("does not hold a digest")]
    NoDigest,
}

impl Problem {
    pub(super) fn unreadable(path: &Path, error: &hod_fsx::Error) -> Self {
        let reason = match std::error::Error::source(error) {
            Some(source) => source.to_string(),
            None => error.to_string(),
        };
        Self::Unreadable {
            path: path.to_owned(),
            reason,
        }
    }

    /// The kind of problem, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DamagedBlob { .. } => "damaged-blob",
            Self::Unreadable { .. } => "unreadable",
            Self::StrayData { .. } => "stray-data",
            Self::BadLink { .. } => "bad-link",
            Self::StrayLink { .. } => "stray-link",
            Self::StrayTag { .. } => "stray-tag",
            Self::NotAFile { .. } => "not-a-file",
            Self::BadRepositoryName { .. } => "bad-repository-name",
            Self::EmptyTag { .. } => "empty-tag",
            Self::TagWithoutRevision { .. } => "tag-without-revision",
            Self::MissingManifest { .. } => "missing-manifest",
            Self::BadManifest { .. } => "bad-manifest",
            Self::MissingRevisionLink { .. } => "missing-revision-link",
            Self::NoChildren { .. } => "no-children",
            Self::MissingBlob { .. } => "missing-blob",
            Self::MissingLayerLink { .. } => "missing-layer-link",
            Self::WrongSize { .. } => "wrong-size",
        }
    }
}

/// The findings of the parts of a verification, in any order.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<String>,
}
