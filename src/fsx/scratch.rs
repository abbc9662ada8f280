//! Bytes that are needed as a file for a moment.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::Error;

/// Puts `bytes` into a file without a name on the file system of `dir`; it is gone when it is
/// closed, however the process ends.
pub fn scratch_file(dir: &Path, bytes: &[u8]) -> Result<File, Error> {
    let wrap = |source| Error::new("write a temporary file in", dir, source);
    let mut file = tempfile::tempfile_in(dir).map_err(wrap)?;
    file.write_all(bytes).map_err(wrap)?;
    Ok(file)
}
