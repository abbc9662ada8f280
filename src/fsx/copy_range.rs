//! Copying a range of one file into another, by the kernel where it can.

use std::fs::File;
use std::path::Path;

use nix::errno::Errno;

use super::{Error, TempFile, read_at};

/// Number of bytes that the kernel is asked to copy at once; progress is reported between two
/// calls.
const STEP_LEN: u64 = 16 * 1024 * 1024;
/// Block size of file systems that share blocks: only ranges aligned to it are shared.
const BLOCK_LEN: u64 = 4096;
/// Number of bytes read and written at once where the kernel cannot copy.
const BUFFER_LEN: usize = 256 * 1024;

/// A range of an open file that is to be copied.
#[derive(Debug, Clone, Copy)]
pub struct SourceRange<'a> {
    pub file: &'a File,
    /// For errors.
    pub path: &'a Path,
    pub offset: u64,
    /// In bytes.
    pub len: u64,
}

/// Copies ranges of files into a [`TempFile`], step by step.
///
/// With `copy_file_range`, which shares the blocks on file systems that can (XFS, Btrfs) when both
/// offsets are multiples of 4096, and elsewhere copies without leaving the kernel. Where that does
/// not work (other file systems, old kernels) the bytes are read and written.
#[derive(Debug)]
pub struct RangeCopier {
    by_kernel: bool,
    buffer: Vec<u8>,
}

impl Default for RangeCopier {
    fn default() -> Self {
        Self {
            by_kernel: true,
            buffer: Vec::new(),
        }
    }
}

impl RangeCopier {
    /// Copies the start of `from` to `offset` in `to`, and returns the number of bytes; 0 only at
    /// the end of the source.
    pub fn step(
        &mut self,
        from: SourceRange<'_>,
        to: &TempFile,
        offset: u64,
    ) -> Result<u64, Error> {
        if self.by_kernel
            && let (Ok(mut from_offset), Ok(mut to_offset)) =
                (from.offset.try_into(), offset.try_into())
        {
            let copied = nix::fcntl::copy_file_range(
                from.file,
                Some(&mut from_offset),
                to.file(),
                Some(&mut to_offset),
                step_len(from.len),
            );
            match copied {
                // At the end, or on a file system that does not report that it lacks support.
                Ok(0) => {}
                Ok(n) => return Ok(n as u64),
                Err(Errno::EINTR) => return self.step(from, to, offset),
                // Reading and writing works, or returns a better error.
                Err(_) => self.by_kernel = false,
            }
        }
        self.buffer.resize(BUFFER_LEN, 0);
        let want = usize::try_from(from.len).map_or(BUFFER_LEN, |len| len.min(BUFFER_LEN));
        let n = read_at(from.file, from.path, &mut self.buffer[..want], from.offset)?;
        to.write_all_at(&self.buffer[..n], offset)?;
        Ok(n as u64)
    }
}

/// Number of bytes of `len` to copy in one call: whole blocks as long as possible, since kernels
/// before 4.20 share either all blocks of a range or none.
fn step_len(len: u64) -> usize {
    let whole = len - len % BLOCK_LEN;
    let step = if whole == 0 { len } else { whole.min(STEP_LEN) };
    usize::try_from(step).expect("at most a step")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Durability;

    #[test]
    fn steps_are_of_whole_blocks_before_the_rest() {
        for (len, expect) in [
            (0, 0),
            (1, 1),
            (4095, 4095),
            (4096, 4096),
            (10_000, 8192),
            (STEP_LEN + 1, 16 * 1024 * 1024),
        ] {
            assert_eq!(step_len(len), expect, "{len}");
        }
    }

    fn copy(by_kernel: bool, offset: u64, len: u64, to_offset: u64) {
        let root = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1_000_003u32).map(|n| (n % 251) as u8).collect();
        let path = root.path().join("source");
        crate::write_file(&path, &bytes).unwrap();
        let file = crate::open(&path).unwrap();
        let to = TempFile::create_in(root.path(), "x").unwrap();
        let mut copier = RangeCopier {
            by_kernel,
            ..RangeCopier::default()
        };
        let mut done = 0;
        loop {
            let from = SourceRange {
                file: &file,
                path: &path,
                offset: offset + done,
                len: len - done,
            };
            match copier.step(from, &to, to_offset + done).unwrap() {
                0 => break,
                n => done += n,
            }
        }
        let end = root.path().join("end");
        to.persist(&end, Durability::Deferred).unwrap();
        let written = crate::read(&end, u64::MAX / 2).unwrap();
        let start = usize::try_from(offset).unwrap();
        let end = bytes.len().min(start + usize::try_from(len).unwrap());
        assert_eq!(done, (end - start) as u64);
        let at = usize::try_from(to_offset).unwrap();
        assert!(written[at..] == bytes[start..end]);
        assert!(written[..at].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn ranges_arrive_where_they_should_with_and_without_the_kernel() {
        for by_kernel in [true, false] {
            copy(by_kernel, 0, 1_000_003, 4096);
            copy(by_kernel, 4096, 500_000, 8192);
            copy(by_kernel, 777, 300_001, 13);
            copy(by_kernel, 5, 0, 0);
            // A source that ends early.
            copy(by_kernel, 999_000, 5000, 512);
        }
    }

    #[test]
    fn what_the_kernel_cannot_copy_is_read_and_written() {
        let root = tempfile::tempdir().unwrap();
        let path = Path::new("/proc/self/status");
        let file = crate::open(path).unwrap();
        let to = TempFile::create_in(root.path(), "x").unwrap();
        let from = SourceRange {
            file: &file,
            path,
            offset: 0,
            len: 5,
        };
        let n = RangeCopier::default().step(from, &to, 0).unwrap();
        assert_eq!(n, 5);
        assert_eq!(crate::read(to.path(), 9).unwrap(), b"Name:");
    }
}
