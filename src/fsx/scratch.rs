//! Bytes that are needed as a file for a moment.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::Error;

/// Puts `bytes`, which should be few, into a file in memory; it is gone when it is closed.
pub fn memory_file(bytes: &[u8]) -> Result<File, Error> {
    let wrap = |source| Error::new("make a file in", Path::new("memory"), source);
    let made = memfd_create(c"hod", MFdFlags::MFD_CLOEXEC);
    let mut file = File::from(made.map_err(|errno| wrap(errno.into()))?);
    file.write_all(bytes).map_err(wrap)?;
    Ok(file)
}
