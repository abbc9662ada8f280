//! The members of a volume as they are read, which must be those that are laid out.

use std::io::Read;
use std::path::Path;

use super::error::{BundleError, MemberProblem};
use super::json::VOLUME_PATH;
use super::unexpected::unexpected;
use super::volume::{Member, Volume};
use crate::fsx::FileRange;
use crate::oci::Digest;
use crate::tarball::{self, END, Fault, Mode, RawMember};

/// A tar that is read from start to end. Every error names the file, or the member.
pub(super) struct Input<'a>(tarball::Input<'a>);

/// What went wrong in `member` of the file at `path`.
pub(super) fn failure(fault: Fault, (path, member): (&Path, &str)) -> BundleError {
    let path = path.to_owned();
    let problem = match fault {
        Fault::Read(source) => return BundleError::Read { path, source },
        Fault::Decompress(source) => {
            return BundleError::Decompress {
                path,
                member: member.to_owned(),
                source,
            };
        }
        Fault::Truncated => MemberProblem::Truncated,
        Fault::Header(_) => MemberProblem::HeaderDamaged,
        Fault::Extension(len) => MemberProblem::ExtendedHeader { len },
    };
    BundleError::member(member, problem)
}

impl<'a> Input<'a> {
    /// Looks at the first bytes to see whether it is compressed. `path` is for messages.
    pub(super) fn new(input: impl Read + Send + 'a, path: &Path) -> Result<Self, BundleError> {
        let input = tarball::Input::of_stream(input, path, Mode::Strict);
        let input = input.map_err(|fault| failure(fault, (path, VOLUME_PATH)))?;
        Ok(Self(input))
    }

    /// Reads a file, or a part of one, that is not compressed.
    pub(super) fn of_range(range: FileRange) -> Self {
        Self(tarball::Input::of_range(range, Mode::Strict))
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn named<T>(&self, result: Result<T, Fault>, member: &str) -> Result<T, BundleError> {
        result.map_err(|fault| failure(fault, (self.path(), member)))
    }

    /// Reads some bytes of `member`; 0 only at the end of the archive.
    pub(super) fn read_some(
        &mut self,
        buffer: &mut [u8],
        member: &str,
    ) -> Result<usize, BundleError> {
        let read = self.0.read_some(buffer);
        self.named(read, member)
    }

    /// Reads exactly `len` bytes of `member` into memory, which grows only as they arrive.
    pub(super) fn read_vec(&mut self, len: u64, member: &str) -> Result<Vec<u8>, BundleError> {
        let read = self.0.read_vec(len);
        self.named(read, member)
    }

    /// Passes over the content of a member.
    pub(super) fn skip(&mut self, member: &Member) -> Result<(), BundleError> {
        let skipped = self.0.skip(member.len);
        self.named(skipped, &member.path)
    }

    /// Returns the next bytes, at most `len` of them, which are still to be read.
    pub(super) fn peek(&mut self, len: usize, member: &str) -> Result<Vec<u8>, BundleError> {
        let bytes = self.0.peek(len);
        self.named(bytes, member)
    }

    /// Reads the headers of the next member, whatever it is, where `member` is expected; `None` at
    /// the end of the archive.
    pub(super) fn next_header(&mut self, member: &str) -> Result<Option<RawMember>, BundleError> {
        let header = self.0.next_header();
        self.named(header, member)
    }

    /// Reads the headers of the member at position `at`, which must be those that are implied.
    pub(super) fn expect_lead(
        &mut self,
        (volume, volume_json): (&Volume, &Digest),
        at: usize,
    ) -> Result<(), BundleError> {
        let member = &volume.members()[at];
        let is_it = self.0.expect(&volume.lead(member, volume_json));
        if self.named(is_it, &member.path)? {
            return Ok(());
        }
        Err(match self.next_header(&member.path)? {
            Some(found) => unexpected(volume.members(), at, &found),
            None => BundleError::member(&member.path, MemberProblem::Missing),
        })
    }

    /// Reads the padding behind a member, which must be empty.
    pub(super) fn expect_padding(&mut self, member: &Member) -> Result<(), BundleError> {
        let len = member.end() - member.offset - member.len;
        let bytes = self.read_vec(len, &member.path)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(BundleError::member(&member.path, MemberProblem::Padding));
        }
        Ok(())
    }

    /// Reads the end of a volume, after which the next may come.
    pub(super) fn expect_volume_end(&mut self, volume: &Volume) -> Result<(), BundleError> {
        let members = volume.members();
        let last = members.last().map_or("", |last| &last.path);
        let is_end = self.0.expect(&END);
        if self.named(is_end, last)? {
            return Ok(());
        }
        match self.next_header(last) {
            Ok(Some(found)) => Err(unexpected(members, members.len(), &found)),
            Err(error) if !error.is_content() => Err(error),
            Ok(None) | Err(_) => Err(BundleError::member(last, MemberProblem::Trailing)),
        }
    }

    /// Reads the end of the archive, after which nothing may come.
    pub(super) fn expect_end(&mut self, volume: &Volume) -> Result<(), BundleError> {
        self.expect_volume_end(volume)?;
        let last = volume.members().last().map_or("", |last| &last.path);
        // Reads to the end of a compressed stream too, where its checksum is.
        if self.peek(1, last)?.is_empty() {
            return Ok(());
        }
        Err(BundleError::member(last, MemberProblem::Trailing))
    }
}
