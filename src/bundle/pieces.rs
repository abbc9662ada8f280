//! Where the bytes of a blob are that is to be packed.

use std::path::Path;

use crate::bridge::FileRange;
use crate::fsx::SourceRange;
use crate::oci::sum_len;

/// The bytes of a blob: a range of a file, or several in order, as another bundle has a blob that
/// is in parts in its volumes.
#[derive(Debug, Clone)]
pub struct Pieces(Vec<FileRange>);

impl From<FileRange> for Pieces {
    fn from(range: FileRange) -> Self {
        Self(vec![range])
    }
}

impl From<Vec<FileRange>> for Pieces {
    fn from(ranges: Vec<FileRange>) -> Self {
        Self(ranges)
    }
}

impl Pieces {
    /// The length of all of them in bytes.
    pub(super) fn len(&self) -> u64 {
        sum_len(self.0.iter().map(|range| range.len))
    }

    /// The one range that has the whole blob.
    pub(super) fn whole(&self) -> Option<&FileRange> {
        match &self.0[..] {
            [range] => Some(range),
            _ => None,
        }
    }

    /// The file to name when the blob is not what it should be.
    pub(super) fn path(&self) -> &Path {
        self.0.first().map_or(Path::new(""), |range| &range.path)
    }

    /// What is left after `done` bytes of the blob in the piece that has the next byte, at most
    /// `len` bytes of it; `None` at the end.
    pub(super) fn after(&self, mut done: u64, len: u64) -> Option<SourceRange<'_>> {
        for range in &self.0 {
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
        let pieces = Pieces::from(vec![range(100, 4), range(200, 0), range(300, 2)]);
        assert_eq!((pieces.len(), pieces.path()), (6, Path::new("at-100")));
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
