//! The layout of a volume: computed from the plan, before the first byte is written.
//!
//! ```text
//! hod/volume.json  hod/bundle.json  [its signature]  common files  manifests    the same in every volume
//! own files  [the part that continues]  blobs  [the part that begins]           of this volume alone
//! links and marker directories                                                  of the last volume
//! 2 × 512 zeros
//! ```
//!
//! The order and every header follow from `hod/bundle.json` alone. A writer therefore knows every
//! offset beforehand, and a reader every byte that is not content: what it finds must be equal.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{BundleFileEntry, BundleManifest, Part, Placement};
use super::paths::{BUNDLE_PATH, SIGNATURE_PATH, TREE, VOLUME_PATH, blob_path, part_path};
use crate::error::{BundleError, ImageProblem, MemberProblem};
use hod_oci::Digest;
use hod_tarball::{Comment, END_LEN, Entry, EntryKind, padded};

/// The lengths of the first members, in bytes; the two JSON files have the same lengths in every
/// volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HeadLens {
    pub(crate) volume_json: u64,
    pub(crate) bundle_json: u64,
    /// 0 for a bundle that is not signed.
    pub(crate) signature: u64,
}

/// One volume's members, in order.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    index: u32,
    members: Vec<Member>,
    mtime: u64,
    len: u64,
}

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) path: String,
    pub(crate) content: Content,
    /// The offset of its headers.
    pub(crate) lead_offset: u64,
    /// The offset of its content.
    pub(crate) offset: u64,
    /// The length of its content in bytes.
    pub(crate) len: u64,
}

/// The content of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    VolumeJson,
    BundleJson,
    Signature,
    /// An index in [`BundleManifest::files`].
    File(usize, EntryKind),
    /// An index in [`BundleManifest::blobs`].
    Blob(usize),
    /// An index in [`BundleManifest::blobs`], and one in the parts of that blob.
    Part(usize, usize),
    /// A directory that marks a repository, which may hold nothing.
    Dir,
    /// A link file: the text of a digest.
    Link(Digest),
}

impl Member {
    /// Returns the offset after the content and its padding.
    pub(crate) fn end(&self) -> u64 {
        self.offset + padded(self.len)
    }

    /// Returns the digest of the content, if `manifest` or the member itself has it.
    pub(crate) fn digest(&self, manifest: &BundleManifest) -> Option<Digest> {
        match &self.content {
            Content::File(at, _) => Some(manifest.files[*at].digest.clone()),
            Content::Blob(at) => Some(manifest.blobs[*at].digest.clone()),
            Content::Part(at, part) => Some(manifest.blobs[*at].parts()[*part].digest.clone()),
            Content::Link(digest) => Some(Digest::of(digest.as_str().as_bytes())),
            // A file cannot hold its own digest: the header before it does.
            Content::Dir | Content::VolumeJson | Content::BundleJson | Content::Signature => None,
        }
    }

    /// Returns whether it contains a blob or a part of one.
    pub(crate) fn is_blob(&self) -> bool {
        matches!(self.content, Content::Blob(_) | Content::Part(..))
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
                Content::Blob(_) | Content::Part(..) => Comment::Align,
                _ => Comment::None,
            },
        }
    }
}

impl Volume {
    /// Lays out the volume with this number, counted from 1.
    ///
    /// The manifest must have passed [`super::check::check`].
    pub(crate) fn new(
        manifest: &BundleManifest,
        index: u32,
        lens: HeadLens,
    ) -> Result<Self, BundleError> {
        let mut volume = Self {
            index,
            members: Vec::new(),
            mtime: manifest.created,
            len: 0,
        };
        volume.push_common(manifest, lens)?;
        volume.push_files(manifest, Some(index))?;
        volume.push_blobs(manifest)?;
        if index == manifest.n_volumes {
            for (path, digest) in links(manifest)? {
                let len = digest.as_ref().map_or(0, |d| d.as_str().len() as u64);
                volume.push(path, digest.map_or(Content::Dir, Content::Link), len)?;
            }
        }
        volume.len = volume
            .len
            .checked_add(END_LEN)
            .ok_or(BundleError::TooLarge)?;
        Ok(volume)
    }

    /// Lays out the members that are the same in every volume.
    fn push_common(
        &mut self,
        manifest: &BundleManifest,
        lens: HeadLens,
    ) -> Result<(), BundleError> {
        let json = Content::VolumeJson;
        self.push(VOLUME_PATH.to_owned(), json, lens.volume_json)?;
        let json = Content::BundleJson;
        self.push(BUNDLE_PATH.to_owned(), json, lens.bundle_json)?;
        if manifest.signed_by.is_some() {
            let signature = Content::Signature;
            self.push(SIGNATURE_PATH.to_owned(), signature, lens.signature)?;
        }
        self.push_files(manifest, None)?;
        for (at, blob) in manifest.blobs.iter().enumerate() {
            if blob.place == Placement::Everywhere {
                self.push(blob_path(&blob.digest), Content::Blob(at), blob.size)?;
            }
        }
        Ok(())
    }

    fn push_files(
        &mut self,
        manifest: &BundleManifest,
        volume: Option<u32>,
    ) -> Result<(), BundleError> {
        let files = manifest.files.iter().enumerate();
        for (at, file) in files.filter(|(_, file)| file.volume == volume) {
            let content = Content::File(at, file_kind(file));
            self.push(file.path.to_string(), content, file.size)?;
        }
        Ok(())
    }

    /// Lays out the blobs of this volume: first the part of one that began before, last the part of
    /// one that continues, so that one pass over all volumes meets the parts of a blob
    /// consecutively.
    fn push_blobs(&mut self, manifest: &BundleManifest) -> Result<(), BundleError> {
        let index = self.index;
        let part = |at: usize| -> Option<(usize, &Part)> {
            let mut parts = manifest.blobs[at].parts().iter().enumerate();
            parts.find(|(_, part)| part.volume == index)
        };
        let cut: Vec<usize> = (0..manifest.blobs.len())
            .filter(|&at| part(at).is_some())
            .collect();
        let push_parts = |volume: &mut Self, is_begin: bool| -> Result<(), BundleError> {
            for &at in &cut {
                let (number, part) = part(at).expect("only such are listed");
                if (number == 0) == is_begin {
                    let digest = &manifest.blobs[at].digest;
                    let n_parts = manifest.blobs[at].parts().len();
                    let path = part_path(digest, number, n_parts);
                    volume.push(path, Content::Part(at, number), part.size)?;
                }
            }
            Ok(())
        };
        push_parts(self, false)?;
        for (at, blob) in manifest.blobs.iter().enumerate() {
            if blob.place == Placement::Volume(index) {
                self.push(blob_path(&blob.digest), Content::Blob(at), blob.size)?;
            }
        }
        push_parts(self, true)
    }

    fn push(&mut self, path: String, content: Content, len: u64) -> Result<(), BundleError> {
        let mut member = Member {
            path,
            content,
            lead_offset: self.len,
            offset: 0,
            len,
        };
        let place = member.entry(self.mtime).place(self.len);
        (member.offset, self.len) = place.ok_or(BundleError::TooLarge)?;
        self.members.push(member);
        Ok(())
    }

    /// Returns its number, counted from 1.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Returns all members in order.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the length of the volume in bytes, including the two empty blocks at its end.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the offset of the first member that is not in every volume.
    pub(crate) fn common_len(&self, manifest: &BundleManifest) -> u64 {
        let is_own = |member: &&Member| match &member.content {
            Content::File(at, _) => manifest.files[*at].volume.is_some(),
            Content::Blob(at) => manifest.blobs[*at].place != Placement::Everywhere,
            Content::Part(..) | Content::Link(_) | Content::Dir => true,
            Content::VolumeJson | Content::BundleJson | Content::Signature => false,
        };
        let own = self.members.iter().find(is_own);
        own.map_or(self.len, |member| member.lead_offset)
    }

    /// Returns the length of all links and marker directories with their headers.
    pub(crate) fn links_len(&self) -> u64 {
        let is_link = |member: &&Member| matches!(member.content, Content::Link(_) | Content::Dir);
        let links = self.members.iter().filter(is_link);
        links.map(|member| member.end() - member.lead_offset).sum()
    }

    /// Returns the bytes between the previous member and the content of `member`. `volume_json` is
    /// the digest of the first member, which is in that member's own header.
    pub(crate) fn lead(&self, member: &Member, volume_json: &Digest) -> Vec<u8> {
        let note = format!("hod bundle; {VOLUME_PATH} has the digest {volume_json}");
        let mut entry = member.entry(self.mtime);
        if member.content == Content::VolumeJson {
            entry.comment = Comment::Note(&note);
        }
        entry.lead(member.lead_offset)
    }
}

fn file_kind(file: &BundleFileEntry) -> EntryKind {
    if file.executable {
        EntryKind::Executable
    } else {
        EntryKind::File
    }
}

/// Returns the link files with their content, and the marker directories, sorted by path.
///
/// In this order, the tags of a repository follow everything that they reference.
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

/// Fails if the path of a file is that of another member, or is above or below one.
pub(crate) fn check_files(manifest: &BundleManifest) -> Result<(), BundleError> {
    let mut taken = BTreeSet::from([VOLUME_PATH, BUNDLE_PATH, SIGNATURE_PATH, "docker"]);
    for file in &manifest.files {
        if !taken.insert(file.path.as_str()) {
            let path = file.path.as_str();
            let problem = match path {
                VOLUME_PATH | BUNDLE_PATH | SIGNATURE_PATH | "docker" => MemberProblem::Reserved,
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
