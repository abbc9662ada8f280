//! Layers that are in parts in the volumes of a bundle, joined for those that need them whole.

use std::collections::HashMap;
use std::path::Path;

use super::OpsError;
use crate::bridge::{CHUNK_LEN, FileRange};
use crate::bundle::Bundle;
use crate::fsx::{self, TempFile};
use crate::oci::{Digest, sum_len};

/// Whole layers in files beside the output, which are gone when this is dropped.
#[derive(Default)]
pub(super) struct Joined {
    ranges: HashMap<Digest, FileRange>,
    /// Removed when dropped.
    files: Vec<TempFile>,
}

impl Joined {
    /// Joins the parts of the blobs that `is_wanted` and that a bundle has in parts, in files in
    /// `dir`. Blocks; nothing is verified.
    pub(super) fn add(
        &mut self,
        bundle: &Bundle,
        dir: &Path,
        is_wanted: impl Fn(&Digest) -> bool,
    ) -> Result<(), OpsError> {
        let blobs = bundle.manifest().blobs.iter();
        for blob in blobs.filter(|blob| !blob.parts().is_empty() && is_wanted(&blob.digest)) {
            let Some(parts) = bundle.open_blob(&blob.digest) else {
                continue;
            };
            if self.ranges.contains_key(&blob.digest) {
                continue;
            }
            let mut joined = TempFile::create_in(dir, ".joined-")?;
            let len = sum_len(parts.iter().map(|part| part.len));
            let mut buffer = vec![0; CHUNK_LEN];
            for part in parts {
                let mut done = 0;
                while done < part.len {
                    let left = part.len - done;
                    let want = usize::try_from(left).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
                    let at = part.offset + done;
                    let n = fsx::read_at(&part.file, &part.path, &mut buffer[..want], at)?;
                    if n == 0 {
                        break;
                    }
                    joined.write_all(&buffer[..n])?;
                    done += n as u64;
                }
            }
            let range = FileRange {
                file: fsx::open(joined.path())?.into(),
                path: joined.path().to_owned(),
                offset: 0,
                len,
            };
            self.ranges.insert(blob.digest.clone(), range);
            self.files.push(joined);
        }
        Ok(())
    }

    /// A layer that was joined.
    pub(super) fn get(&self, digest: &Digest) -> Option<FileRange> {
        self.ranges.get(digest).cloned()
    }
}
