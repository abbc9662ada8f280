//! Where every member of a volume lies: computed from the plan, before the first byte.
//!
//! ```text
//! hod/volume.json  hod/bundle.json  files  blobs (aligned)  links and marker directories  2 × 512 zeros
//! ```
//!
//! The order and every header follow from `hod/bundle.json` alone. A writer therefore knows every
//! offset beforehand, and a reader every byte that is not content: what it finds must be equal.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{BundleError, ImageProblem, MemberProblem};
use super::format::{BUNDLE_PATH, BundleManifest, VOLUME_PATH};
use super::header::{BLOCK_LEN, Comment, Entry, EntryKind, padded};
use crate::oci::Digest;

/// The two empty blocks that end a tar.
pub(super) const END_LEN: u64 = 2 * BLOCK_LEN;
/// The storage of a registry, below the root of the archive.
const TREE: &str = "docker/registry/v2";

/// One volume's members, in order.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    members: Vec<Member>,
    mtime: u64,
    len: u64,
}

/// One member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) path: String,
    pub(super) content: Content,
    /// Where its headers start.
    pub(super) lead_offset: u64,
    /// Where its content starts.
    pub(super) offset: u64,
    /// The length of its content in bytes.
    pub(super) len: u64,
}

/// What is in a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    VolumeJson,
    BundleJson,
    /// A position in [`BundleManifest::files`].
    File(usize, EntryKind),
    /// A position in [`BundleManifest::blobs`].
    Blob(usize),
    /// A directory that marks a repository, which may hold nothing.
    Dir,
    /// A link file: the text of a digest.
    Link(Digest),
}

impl Member {
    /// The offset behind the content and its padding.
    pub(super) fn end(&self) -> u64 {
        self.offset + padded(self.len)
    }

    /// The digest of the content; `None` for a directory.
    pub(super) fn digest(&self, manifest: &BundleManifest, bundle_json: &Digest) -> Option<Digest> {
        match &self.content {
            Content::BundleJson => Some(bundle_json.clone()),
            Content::File(at, _) => Some(manifest.files[*at].digest.clone()),
            Content::Blob(at) => Some(manifest.blobs[*at].digest.clone()),
            Content::Link(digest) => Some(Digest::of(digest.as_str().as_bytes())),
            // A file cannot hold its own digest: the header before it does.
            Content::Dir | Content::VolumeJson => None,
        }
    }

    fn entry(&self, mtime: u64) -> Entry<'_> {
        Entry {
            path: &self.path,
            kind: match self.content {
                Content::Dir => EntryKind::Dir,
                Content::File(_, kind) => kind,
                _ => EntryKind::File,
            },
            len: self.len,
            mtime,
            comment: match self.content {
                Content::VolumeJson => Comment::Note(""),
                Content::Blob(_) => Comment::Align,
                _ => Comment::None,
            },
        }
    }
}

impl Volume {
    /// Lays out the bundle, whose two json files have the given lengths.
    ///
    /// The manifest must be one that [`super::plan::check`] accepts.
    pub(super) fn new(
        manifest: &BundleManifest,
        (volume_json, bundle_json): (u64, u64),
    ) -> Result<Self, BundleError> {
        let mut volume = Self {
            members: Vec::new(),
            mtime: manifest.created,
            len: 0,
        };
        volume.push(VOLUME_PATH.to_owned(), Content::VolumeJson, volume_json)?;
        volume.push(BUNDLE_PATH.to_owned(), Content::BundleJson, bundle_json)?;
        for (at, file) in manifest.files.iter().enumerate() {
            let kind = if file.executable {
                EntryKind::Executable
            } else {
                EntryKind::File
            };
            volume.push(file.path.to_string(), Content::File(at, kind), file.size)?;
        }
        for (at, blob) in manifest.blobs.iter().enumerate() {
            let hex = blob.digest.hex();
            let algorithm = blob.digest.algorithm().as_str();
            let path = format!("{TREE}/blobs/{algorithm}/{}/{hex}/data", &hex[..2]);
            volume.push(path, Content::Blob(at), blob.size)?;
        }
        for (path, digest) in links(manifest)? {
            let len = digest.as_ref().map_or(0, |d| d.as_str().len() as u64);
            volume.push(path, digest.map_or(Content::Dir, Content::Link), len)?;
        }
        volume.len = volume
            .len
            .checked_add(END_LEN)
            .ok_or(BundleError::TooLarge)?;
        Ok(volume)
    }

    fn push(&mut self, path: String, content: Content, len: u64) -> Result<(), BundleError> {
        let mut member = Member {
            path,
            content,
            lead_offset: self.len,
            offset: 0,
            len,
        };
        let lead_len = member.entry(self.mtime).lead_len(self.len);
        // Half of all numbers, so that neither padding nor an end can overflow.
        let limit = |at: &u64| *at <= u64::MAX / 4;
        let offset = self.len.checked_add(lead_len).filter(limit);
        member.offset = offset.ok_or(BundleError::TooLarge)?;
        Some(len).filter(limit).ok_or(BundleError::TooLarge)?;
        self.len = member.end();
        self.members.push(member);
        Ok(())
    }

    /// All members in order.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The length of the whole volume in bytes, with the two empty blocks at its end.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The position of the first blob among the members; blobs lie side by side.
    pub(super) fn first_blob(&self) -> usize {
        let mut members = self.members.iter();
        let first = members.position(|member| matches!(member.content, Content::Blob(_)));
        first.unwrap_or(self.members.len())
    }

    /// Where the content of each blob starts, in the order of [`BundleManifest::blobs`].
    pub(super) fn blob_offsets(&self) -> impl Iterator<Item = u64> {
        let blobs = self.members.iter();
        blobs
            .filter(|member| matches!(member.content, Content::Blob(_)))
            .map(|member| member.offset)
    }

    /// The bytes from the end of the member before `member` to its content. `volume_json` is the
    /// digest of the first member's content, which its own header holds.
    pub(super) fn lead(&self, member: &Member, volume_json: &Digest) -> Vec<u8> {
        let note = format!("hod bundle; {VOLUME_PATH} has the digest {volume_json}");
        let mut entry = member.entry(self.mtime);
        if member.content == Content::VolumeJson {
            entry.comment = Comment::Note(&note);
        }
        entry.lead(member.lead_offset)
    }
}

/// The link files with what they hold, and the marker directories, sorted by path.
///
/// In this order a repository's tags come after all that they need.
fn links(manifest: &BundleManifest) -> Result<BTreeMap<String, Option<Digest>>, BundleError> {
    let mut links = BTreeMap::new();
    for image in &manifest.images {
        let root = format!("{TREE}/repositories/{}", image.repository);
        let link = |digest: &Digest| {
            let algorithm = digest.algorithm().as_str();
            (format!("{algorithm}/{}/link", digest.hex()), digest.clone())
        };
        let mut add =
            |path: String, digest: Option<Digest>| match links.insert(path, digest.clone()) {
                Some(before) if before != digest => Err(BundleError::Image {
                    image: image.name(),
                    problem: ImageProblem::TagTwice,
                }),
                _ => Ok(()),
            };
        for marker in ["_layers", "_manifests"] {
            add(format!("{root}/{marker}/"), None)?;
        }
        for (path, digest) in image.blobs.iter().map(link) {
            add(format!("{root}/_layers/{path}"), Some(digest))?;
        }
        for (path, digest) in image.manifests.iter().map(link) {
            add(format!("{root}/_manifests/revisions/{path}"), Some(digest))?;
        }
        if let Some(tag) = &image.tag {
            let tag = format!("{root}/_manifests/tags/{tag}");
            let (path, digest) = link(&image.digest);
            add(format!("{tag}/index/{path}"), Some(digest.clone()))?;
            add(format!("{tag}/current/link"), Some(digest))?;
        }
    }
    Ok(links)
}

/// Refuses a path of a file that another member has, or lies below or above.
pub(super) fn check_files(manifest: &BundleManifest) -> Result<(), BundleError> {
    let mut taken = BTreeSet::from([VOLUME_PATH, BUNDLE_PATH, "docker"]);
    for file in &manifest.files {
        if !taken.insert(file.path.as_str()) {
            let path = file.path.as_str();
            let problem = match path {
                VOLUME_PATH | BUNDLE_PATH | "docker" => MemberProblem::Reserved,
                _ => MemberProblem::Duplicate,
            };
            return Err(BundleError::member(path, problem));
        }
    }
    for file in &manifest.files {
        // `hod` itself is a directory, as is every parent of a file.
        if file.path.as_str() == "hod" || file.path.parents().any(|p| taken.contains(p)) {
            return Err(BundleError::member(
                file.path.as_str(),
                MemberProblem::Reserved,
            ));
        }
    }
    Ok(())
}
