//! A raw bundle that is read in place: any blob, in any order, without unpacking.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::closure;
use super::error::{BundleError, MemberProblem};
use super::format::BundleManifest;
use super::hashing::BUFFER_LEN;
use super::head::{self, Head};
use super::header::{BLOCK_LEN, LEAD_LEN_MAX};
use super::input::{self, Input, ZSTD_MAGIC};
use super::intruder;
use super::verify;
use super::volume::{Content, Member, Volume};
use crate::bridge::FileRange;
use crate::fsx::{self, File};
use crate::oci::{Digest, Manifest};

/// How a tar is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// As it is.
    Raw,
    /// As a zstd stream.
    Zstd,
}

/// A raw bundle, open for reading.
///
/// Its list of content is checked; the content itself is not, until it is read and hashed.
#[derive(Debug)]
pub struct Bundle {
    file: Arc<File>,
    path: PathBuf,
    len: u64,
    head: Head,
    first_blob: usize,
    /// From a blob to its position.
    blobs: HashMap<Digest, usize>,
}

impl Bundle {
    /// Looks whether there is a tar at `path`, and how it is stored; whether it is a bundle is for
    /// [`Bundle::open`] to say. `None` for anything else, a directory too.
    pub fn detect(path: &Path) -> Result<Option<BundleKind>, BundleError> {
        let wrap = |source| read_error(path, source);
        let stat = fsx::try_stat(path).map_err(wrap)?;
        if !stat.is_some_and(|stat| stat.is_file) {
            return Ok(None);
        }
        let file = fsx::open(path).map_err(wrap)?;
        let mut block = vec![0; usize::try_from(BLOCK_LEN).expect("a block is short")];
        let n = fsx::read_at(&file, path, &mut block, 0).map_err(wrap)?;
        let kind = if block.starts_with(&ZSTD_MAGIC) {
            let mut unpacked = Vec::new();
            let decoder = input::decoder(&file).map_err(|error| input::read_error(path, error))?;
            if let Err(error) = decoder.take(BLOCK_LEN).read_to_end(&mut unpacked) {
                // A damaged stream may still be meant as a bundle, and opening it says more.
                return match error.raw_os_error() {
                    Some(_) => Err(input::read_error(path, error)),
                    None => Ok(Some(BundleKind::Zstd)),
                };
            }
            block = unpacked;
            BundleKind::Zstd
        } else {
            block.truncate(n);
            BundleKind::Raw
        };
        // One of the two is enough, so that a damaged bundle is still told from other files.
        let is_tar = intruder::is_header(&block) || block.get(257..262) == Some(b"ustar");
        Ok(is_tar.then_some(kind))
    }

    /// Opens a raw bundle; reads its two json files, and compares its length with what they say.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let bundle = Self::open_any_len(path)?;
        if bundle.len != bundle.head.volume.len() {
            // Says where it goes wrong; the end is wrong in any case.
            bundle.check_all_but_blobs()?;
        }
        Ok(bundle)
    }

    /// Opens a raw bundle that may be too short or too long.
    pub(super) fn open_any_len(path: &Path) -> Result<Self, BundleError> {
        let wrap = |source| read_error(path, source);
        let file = fsx::open(path).map_err(wrap)?;
        let len = fsx::stat(path).map_err(wrap)?.len;
        let mut magic = ZSTD_MAGIC;
        let n = fsx::read_at(&file, path, &mut magic, 0).map_err(wrap)?;
        if n == magic.len() && magic == ZSTD_MAGIC {
            let path = path.to_owned();
            return Err(BundleError::Compressed { path });
        }
        let head = head::read(&mut Input::new(BufReader::new(&file), path)?)?;
        let blobs = head.manifest.blobs.iter().enumerate();
        let blobs = blobs.map(|(at, blob)| (blob.digest.clone(), at)).collect();
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            len,
            first_blob: head.volume.first_blob(),
            head,
            blobs,
        })
    }

    /// The path it was opened at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// What is in it.
    pub fn manifest(&self) -> &BundleManifest {
        &self.head.manifest
    }

    /// Where a blob lies; its bytes are not verified. `None` when the bundle does not have it.
    pub fn open_blob(&self, digest: &Digest) -> Option<FileRange> {
        let at = *self.blobs.get(digest)?;
        let member = self.blob_member(at);
        Some(FileRange {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            offset: member.offset,
            len: member.len,
        })
    }

    /// Reads and verifies a manifest; `None` when the bundle does not have it as one.
    pub fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, BundleError> {
        let Some(&at) = self.blobs.get(digest) else {
            return Ok(None);
        };
        if !self.head.manifest.blobs[at].is_manifest {
            return Ok(None);
        }
        let bytes = self.read_small(self.blob_member(at))?;
        if !digest.matches(&bytes) {
            let problem = MemberProblem::Digest {
                expected: digest.clone(),
                actual: Digest::of(&bytes),
            };
            return Err(BundleError::member(&self.blob_member(at).path, problem));
        }
        let mut images = self.head.manifest.images.iter();
        let declared = images.find(|image| image.digest == *digest);
        let declared = declared.map(|image| &image.media_type);
        closure::parse_manifest(digest, bytes, declared).map(Some)
    }

    /// Checks every byte that is not a blob's: headers, padding, links, the files for people, the
    /// end. Refuses members that are no files, that are not listed, that are there twice, or whose
    /// paths are not safe.
    pub fn check_all_but_blobs(&self) -> Result<(), BundleError> {
        let mut buffer = vec![0; BUFFER_LEN];
        let members = self.head.volume.members();
        for (at, member) in members.iter().enumerate().skip(head::N_MEMBERS) {
            self.check_member(at)?;
            if !matches!(member.content, Content::Blob(_)) {
                verify::check_content(self, at, (&mut buffer, &|_| ()))?;
            }
        }
        self.check_end()
    }

    /// Checks the headers before, and the padding after, the member at a position.
    pub(super) fn check_member(&self, at: usize) -> Result<(), BundleError> {
        let member = &self.head.volume.members()[at];
        let expected = self.head.volume.lead(member, &self.head.volume_json);
        let found = self.read_up_to(member.lead_offset, expected.len() as u64)?;
        if found != expected {
            let found = self.read_up_to(member.lead_offset, LEAD_LEN_MAX)?;
            return Err(intruder::examine(self.head.volume.members(), at, &found));
        }
        if self.len < member.end() {
            return Err(BundleError::member(&member.path, MemberProblem::Truncated));
        }
        let end = member.offset + member.len;
        let padding = self.read_up_to(end, member.end() - end)?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(BundleError::member(&member.path, MemberProblem::Padding));
        }
        Ok(())
    }

    /// Checks that the archive ends behind its last member.
    pub(super) fn check_end(&self) -> Result<(), BundleError> {
        let members = self.head.volume.members();
        let end = members.last().map_or(0, Member::end);
        intruder::examine_end(members, &self.read_up_to(end, LEAD_LEN_MAX)?)
    }

    /// Reads the content of a member that is short by its kind.
    pub(super) fn read_small(&self, member: &Member) -> Result<Vec<u8>, BundleError> {
        let bytes = self.read_up_to(member.offset, member.len)?;
        if (bytes.len() as u64) < member.len {
            return Err(BundleError::member(&member.path, MemberProblem::Truncated));
        }
        Ok(bytes)
    }

    pub(super) fn volume(&self) -> &Volume {
        &self.head.volume
    }

    /// Reads some of a member's content from `done` bytes on; 0 only where the file ends.
    pub(super) fn read_content(
        &self,
        member: &Member,
        buffer: &mut [u8],
        done: u64,
    ) -> Result<usize, BundleError> {
        let left = member.len - done;
        let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..want];
        fsx::read_at(&self.file, &self.path, buffer, member.offset + done)
            .map_err(|source| read_error(&self.path, source))
    }

    fn blob_member(&self, at: usize) -> &Member {
        &self.head.volume.members()[self.first_blob + at]
    }

    fn read_up_to(&self, offset: u64, len: u64) -> Result<Vec<u8>, BundleError> {
        let len = len.min(self.len.saturating_sub(offset));
        let len = usize::try_from(len).map_err(|_| BundleError::TooLarge)?;
        fsx::read_range(&self.file, &self.path, offset, len)
            .map_err(|source| read_error(&self.path, source))
    }
}

fn read_error(path: &Path, source: fsx::Error) -> BundleError {
    BundleError::Read {
        path: path.to_owned(),
        source,
    }
}
