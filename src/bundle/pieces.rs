//! Where the bytes of a blob are that is to be packed.

use std::fmt;
use std::path::PathBuf;

use crate::bridge::FileRange;
use crate::fsx::SourceRange;
use crate::oci::sum_len;

/// The bytes of a blob: a range of a file, or several in order, as another bundle has a blob that
/// is in parts in its volumes.
#[derive(Debug, Clone)]
pub struct Pieces {
    ranges: Vec<FileRange>,
    holder: BlobHolder,
}

/// The kind of place that holds a blob; decides the advice when it is damaged there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobHolder {
    /// A store, which has a file for each blob and is filled by pulling.
    Store,
    /// Another bundle.
    Bundle,
    /// A layout or an archive of another tool, say.
    Other,
}

/// The files that a blob is in, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFiles {
    /// Each once, in order.
    pub paths: Vec<PathBuf>,
    pub holder: BlobHolder,
}

impl fmt::Display for BlobFiles {
    /// Writes the paths as the subject of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, path) in self.paths.iter().enumerate() {
            let joint = match at {
                0 => "",
                _ if at + 1 == self.paths.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joint}`{}`", path.display())?;
        }
        Ok(())
    }
}

impl BlobFiles {
    /// The verb after them.
    pub(super) fn have(&self) -> &'static str {
        if self.paths.len() == 1 {
            "has"
        } else {
            "together have"
        }
    }
}

impl From<FileRange> for Pieces {
    fn from(range: FileRange) -> Self {
        Self {
            ranges: vec![range],
            holder: BlobHolder::Other,
        }
    }
}

impl Pieces {
    /// A blob of a store.
    pub fn of_store(range: FileRange) -> Self {
        Self {
            ranges: vec![range],
            holder: BlobHolder::Store,
        }
    }

    /// A blob of a bundle, whole or in parts.
    pub fn of_bundle(ranges: Vec<FileRange>) -> Self {
        Self {
            ranges,
            holder: BlobHolder::Bundle,
        }
    }

    /// The length of all of them in bytes.
    pub(super) fn len(&self) -> u64 {
        sum_len(self.ranges.iter().map(|range| range.len))
    }

    /// The one range that has the whole blob.
    pub(super) fn whole(&self) -> Option<&FileRange> {
        match &self.ranges[..] {
            [range] => Some(range),
            _ => None,
        }
    }

    /// The files to name when the blob is damaged: of a blob in parts, any may be.
    pub(super) fn files(&self) -> BlobFiles {
        let mut paths: Vec<PathBuf> = self.ranges.iter().map(|r| r.path.clone()).collect();
        paths.dedup();
        BlobFiles {
            paths,
            holder: self.holder,
        }
    }

    /// The file of a blob that is in one.
    pub(super) fn path(&self) -> PathBuf {
        let first = self.ranges.first();
        first.map(|range| range.path.clone()).unwrap_or_default()
    }

    /// What is left after `done` bytes of the blob in the piece that has the next byte, at most
    /// `len` bytes of it; `None` at the end.
    pub(super) fn after(&self, mut done: u64, len: u64) -> Option<SourceRange<'_>> {
        for range in &self.ranges {
            if done < range.len {
                return Some(SourceRange {
                    file: &range.file,
                    path: &range.path,
                    offset: range.offset + done,
                    len: len.min(range.len - done),
                });
            }
            done -= range.len;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fsx::memory_file;

    #[test]
    fn pieces_follow_each_other() {
        let file = Arc::new(memory_file(b"").unwrap());
        let range = |offset, len| FileRange {
            file: Arc::clone(&file),
            path: format!("at-{offset}").into(),
            offset,
            len,
        };
        let pieces = Pieces::of_bundle(vec![range(100, 4), range(200, 0), range(300, 2)]);
        let files = pieces.files();
        assert_eq!((pieces.len(), files.have()), (6, "together have"));
        assert_eq!(files.to_string(), "`at-100`, `at-200` and `at-300`");
        assert!(pieces.whole().is_none());
        let after = |done, len| {
            let range = pieces.after(done, len)?;
            Some((range.offset, range.len))
        };
        assert_eq!(after(0, 9), Some((100, 4)));
        assert_eq!(after(3, 9), Some((103, 1)));
        assert_eq!(after(4, 1), Some((300, 1)));
        assert_eq!(after(5, 9), Some((301, 1)));
        assert_eq!(after(6, 9), None);
        assert!(Pieces::from(range(7, 3)).whole().is_some());
    }
}
