//! An open raw volume, whose members are read at their offsets.

use std::path::{Path, PathBuf};

use super::expected::{expect_end, expect_lead, expect_padding, verify_content};
use super::head::VolumeHead;
use crate::error::{BundleError, MemberProblem};
use crate::format::BundleManifest;
use crate::format::volume::{Content, Member, Volume};
use crate::sign::Trust;
use hod_fsx::FileRange;
use hod_oci::Digest;
use hod_tarball::{Input, Mode};

/// How to read bundles.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Directories in which volumes are searched, in addition to that of the given volume.
    pub volume_dirs: Vec<PathBuf>,
    /// The keys of which one must have signed the bundle.
    pub trust: Trust,
}

/// A volume that is open.
#[derive(Debug)]
pub(crate) struct OpenVolume {
    /// The whole file.
    file: FileRange,
    layout: Volume,
    /// The digest of `hod/volume.json`.
    volume_json: Digest,
}

impl OpenVolume {
    pub(crate) fn new(file: FileRange, own: VolumeHead) -> Self {
        Self {
            file,
            layout: own.volume,
            volume_json: own.volume_json,
        }
    }

    /// Its position among the volumes of its bundle.
    pub(crate) fn position(&self) -> usize {
        usize::try_from(self.layout.index() - 1).expect("at most a few thousand")
    }

    pub(crate) fn layout(&self) -> &Volume {
        &self.layout
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// The length of the file in bytes, which can differ from the length of the volume.
    pub(crate) fn len(&self) -> u64 {
        self.file.len
    }

    /// The content of a member.
    pub(crate) fn range(&self, member: &Member) -> FileRange {
        FileRange {
            offset: member.offset,
            len: member.len,
            ..self.file.clone()
        }
    }

    /// Checks the headers before, and the padding after, the member at a position.
    pub(crate) fn check_member(&self, at: usize) -> Result<(), BundleError> {
        let member = &self.layout.members()[at];
        self.read_at(member.lead_offset, member, |input| {
            expect_lead(input, &self.layout, &self.volume_json, at)?;
            input.skip(member.len)?;
            expect_padding(input, member)
        })
    }

    /// Checks the content of a member.
    pub(crate) fn check_content(
        &self,
        member: &Member,
        manifest: &BundleManifest,
        on_bytes: impl Fn(u64),
    ) -> Result<(), BundleError> {
        if let Content::Link(expected) = &member.content {
            let expected = expected.clone();
            if self.read_small(member)? != expected.as_str().as_bytes() {
                let problem = MemberProblem::Link { expected };
                return Err(BundleError::member(&member.path, problem));
            }
            return Ok(());
        }
        let Some(expected) = member.digest(manifest) else {
            return Ok(());
        };
        let on_bytes = |n| {
            if member.is_blob() {
                on_bytes(n);
            }
        };
        self.read_at(member.offset, member, |input| {
            verify_content(input, member, &expected, &on_bytes)
        })
    }

    /// Checks that the archive ends behind its last member.
    pub(crate) fn check_end(&self) -> Result<(), BundleError> {
        let last = self.layout.members().last();
        let last = last.expect("every volume has a head");
        self.read_at(last.end(), last, |input| expect_end(input, &self.layout))
    }

    /// Reads the content of a member that is short by its kind.
    pub(crate) fn read_small(&self, member: &Member) -> Result<Vec<u8>, BundleError> {
        self.read_at(member.offset, member, |input| {
            Ok(input.read_vec(member.len)?)
        })
    }

    /// Reads from an offset in or before a member. If the file is truncated, the error says so of the
    /// file, since every later member is affected.
    fn read_at<T>(
        &self,
        offset: u64,
        member: &Member,
        read: impl FnOnce(&mut Input<'_>) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        let rest = FileRange {
            offset,
            len: self.file.len.saturating_sub(offset),
            ..self.file.clone()
        };
        let mut input = Input::of_range(rest, Mode::Strict);
        input.enter(&member.path);
        let is_short = self.file.len < self.layout.len();
        read(&mut input).map_err(|error| match error {
            BundleError::Member {
                problem: MemberProblem::Truncated,
                ..
            } if is_short => BundleError::Incomplete {
                path: self.file.path.clone(),
                len: self.file.len,
                expected: self.layout.len(),
            },
            error => error,
        })
    }
}

/// Opens a file that should be a raw volume.
pub(crate) fn open_file(path: &Path) -> Result<FileRange, BundleError> {
    let input = Input::open(path, Mode::Strict)?;
    input.whole().ok_or_else(|| BundleError::Compressed {
        path: path.to_owned(),
    })
}
