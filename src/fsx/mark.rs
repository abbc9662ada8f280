//! Marks: short texts that files carry as extended attributes, beside their content.
//!
//! They belong to the file, not to one of its names, so hardlinks share them. Not every file system
//! has them and not every user may set them, so a mark may save work but must not be relied on.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

/// The longest mark in bytes.
const LEN_MAX: usize = 255;

/// Marks an open file; returns whether it could.
pub fn set_mark(file: &File, name: &str, text: &str) -> bool {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(file, name, text.as_bytes(), flags).is_ok()
}

/// Reads a mark of an open file; `None` when it has none that could be ours.
pub fn read_mark(file: &File, name: &str) -> Option<String> {
    let mut buffer = vec![0; LEN_MAX];
    let n = rustix::fs::fgetxattr(file, name, &mut buffer[..]).ok()?;
    buffer.truncate(n);
    String::from_utf8(buffer).ok()
}

/// Takes a mark away; returns whether there was one.
pub fn remove_mark(file: &File, name: &str) -> bool {
    rustix::fs::fremovexattr(file, name).is_ok()
}

/// When an open file was last written.
pub fn modified(file: &File) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

/// The time of the last change of an open file's data or metadata (ctime), which cannot be set.
pub fn changed(file: &File) -> Option<SystemTime> {
    let seconds = u64::try_from(file.metadata().ok()?.ctime()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Sets the time at which a file was last written to the last whole second that is over, and returns
/// it: a time that no later write leaves as it is, however coarse the file system's clock.
pub fn set_back(file: &File) -> Option<SystemTime> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let second = Duration::from_secs(now.ok()?.as_secs().checked_sub(1)?);
    file.set_modified(SystemTime::UNIX_EPOCH + second).ok()?;
    // File systems may round it.
    modified(file)
}
