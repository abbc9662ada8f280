//! Free space, and which file system a path is on.

use std::path::Path;

use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC};

use super::Error;

/// Returns the bytes that this user may still write on the file system of `path`.
pub fn available(path: &Path) -> Result<u64, Error> {
    let stat = nix::sys::statvfs::statvfs(path)
        .map_err(|errno| Error::new("measure the free space of", path, errno.into()))?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether two existing paths are on one file system, so that hardlinks between them work.
pub fn same_filesystem(a: &Path, b: &Path) -> Result<bool, Error> {
    Ok(super::stat(a)?.identity.0 == super::stat(b)?.identity.0)
}

/// Returns the most bytes that a file may have on the file system of `path`, where that is less
/// than anybody would ask for.
pub fn file_len_max(path: &Path) -> Result<Option<u64>, Error> {
    let stat = nix::sys::statfs::statfs(path)
        .map_err(|errno| Error::new("look at the file system of", path, errno.into()))?;
    Ok(len_max_of(stat.filesystem_type()))
}

fn len_max_of(kind: FsType) -> Option<u64> {
    // FAT stores lengths in 32 bits; exFAT, which has another number, does not.
    (kind == MSDOS_SUPER_MAGIC).then_some(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::{EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC};

    use super::*;

    #[test]
    fn files_on_fat_are_short() {
        // The type that `stat -f` reports for a FAT32 drive.
        assert_eq!(len_max_of(FsType(0x4d44)), Some(4_294_967_295));
        // exFAT.
        assert_eq!(len_max_of(FsType(0x2011_bab0)), None);
        for kind in [EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC] {
            assert_eq!(len_max_of(kind), None);
        }
        assert_eq!(file_len_max(Path::new("/proc")).unwrap(), None);
    }
}
