//! Stamps: record which blob files were verified and need not be read again.
//!
//! ```text
//! user.hod.verified = sha256:0123456789abcdef 1732479429.000000000
//! ```
//!
//! An extended attribute of the data file, so that hardlinks share it: the start of the digest that
//! the file was verified to have, and the time of its last modification. It is short, so that ext4
//! has room for it in the inode. It is valid as long as the file has that modification time.
//! Writing to the file changes the time; damage to the disk does not, so `verify` reads everything,
//! and replaces a wrong stamp by `damaged`, which is never valid. Readers of a bundle verify all
//! bytes regardless of stamps.
//!
//! An invalid stamp makes a file suspect: it was verified once and changed since, so it is hashed
//! before it is used. A file without a stamp is not suspect, and only its length is checked:
//! another tool wrote it, or the file system has no attributes, or they were lost in a copy.
//! Hashing those each time would make every run over a foreign tree as long as `verify`.
//!
//! A file is stamped when its data are on the disk and its modification time is one that every
//! later write changes: before it gets its name, with its time set back, or when it has not been
//! written for long.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hod_fsx::{File, FileRange};
use hod_oci::Digest;

use super::Store;
use super::layout::STATE_DIR;

/// The name of the attribute.
const NAME: &str = "user.hod.verified";
/// Number of hex digits of the digest in a stamp: enough to detect accidents, not attacks, against
/// which the readers of a bundle verify it.
const HEX_LEN: usize = 16;
/// The stamp of a file that was found to be damaged.
const DAMAGED: &str = "damaged";
/// Time without changes after which a file counts as written to the disk: longer than any kernel
/// keeps dirty pages, and longer than reading it takes.
const SETTLED_AFTER: Duration = Duration::from_hours(24);

/// The state of a file according to its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// It was verified and not written since.
    Holds,
    /// It was verified, and written since; or it was found to be damaged.
    Broken,
    Absent,
}

/// The state of a blob's file after reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soundness {
    /// Nothing speaks against it.
    Sound,
    /// It has another digest.
    Damaged { actual: Digest },
}

/// Hashes an open file that is suspect, since it was changed after it was verified; other files are
/// not read. Blocks for as long as hashing takes.
pub fn examine(digest: &Digest, blob: &FileRange) -> Result<Soundness, hod_fsx::Error> {
    if read(&blob.file, digest) != Stamp::Broken {
        return Ok(Soundness::Sound);
    }
    let found = hash(digest, blob)?;
    if found != Soundness::Sound {
        hod_fsx::set_mark(&blob.file, NAME, DAMAGED);
    }
    Ok(found)
}

/// As [`examine`], for a file that another tool wrote: it is hashed unless it was verified and has
/// not been written since.
pub fn examine_foreign(digest: &Digest, blob: &FileRange) -> Result<Soundness, hod_fsx::Error> {
    match read(&blob.file, digest) {
        Stamp::Holds => Ok(Soundness::Sound),
        Stamp::Absent | Stamp::Broken => hash(digest, blob),
    }
}

fn hash(digest: &Digest, blob: &FileRange) -> Result<Soundness, hod_fsx::Error> {
    let (actual, _) = hod_fsx::digest_of(&blob.file, &blob.path, digest.algorithm(), &|_| ())?;
    if actual == *digest {
        Ok(Soundness::Sound)
    } else {
        Ok(Soundness::Damaged { actual })
    }
}

/// Reads the stamp of an open file.
pub(super) fn read(file: &File, digest: &Digest) -> Stamp {
    read_as_of(file, digest, || hod_fsx::modified(file))
}

/// The same of a file whose time of modification `modified` knows.
pub(super) fn read_as_of(
    file: &File,
    digest: &Digest,
    modified: impl FnOnce() -> Option<SystemTime>,
) -> Stamp {
    let Some(mark) = hod_fsx::read_mark(file, NAME) else {
        return Stamp::Absent;
    };
    let expected = modified().and_then(|modified| text(digest, modified));
    if expected == Some(mark) {
        Stamp::Holds
    } else {
        Stamp::Broken
    }
}

impl Store {
    /// Whether an opened blob was verified earlier and has not been written since.
    pub fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool {
        read(&blob.file, digest) == Stamp::Holds
    }

    /// Notes that an opened blob was read just now, and has the digest.
    ///
    /// Does nothing to a tree that is not ours, nor to a file that was changed not long ago.
    pub fn record_verified(&self, digest: &Digest, blob: &FileRange) {
        record_verified(self.path(), &blob.file, digest);
    }

    /// Records that an opened blob was read and is damaged.
    pub fn record_damaged(&self, blob: &FileRange) {
        record_damaged(self.path(), &blob.file);
    }
}

/// Stamps a file that was verified, is on the disk, and is not visible yet.
pub(super) fn set_on_new(file: &File, digest: &Digest) {
    if let Some(text) = hod_fsx::set_back(file).and_then(|modified| text(digest, modified)) {
        hod_fsx::set_mark(file, NAME, &text);
    }
}

/// Stamps the file of a blob in the store at `root` that was verified.
pub(super) fn record_verified(root: &Path, file: &File, digest: &Digest) {
    record_verified_at(SystemTime::now(), root, file, digest);
}

fn record_verified_at(now: SystemTime, root: &Path, file: &File, digest: &Digest) {
    // Not the time of writing, which is old in a copy that keeps the times of the original.
    let age = hod_fsx::changed(file).and_then(|changed| now.duration_since(changed).ok());
    if age.is_some_and(|age| age >= SETTLED_AFTER)
        && is_ours(root)
        && let Some(text) = hod_fsx::modified(file).and_then(|modified| text(digest, modified))
    {
        hod_fsx::set_mark(file, NAME, &text);
    }
}

/// Stamps a file that was found to be damaged, so that it is not relied on.
pub(super) fn record_damaged(root: &Path, file: &File) {
    if is_ours(root) || hod_fsx::read_mark(file, NAME).is_some() {
        hod_fsx::set_mark(file, NAME, DAMAGED);
    }
}

/// Whether the store at `root` is one of ours, which may be stamped.
fn is_ours(root: &Path) -> bool {
    matches!(hod_fsx::try_stat(&root.join(STATE_DIR)), Ok(Some(_)))
}

fn text(digest: &Digest, modified: SystemTime) -> Option<String> {
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let (algorithm, hex) = (digest.algorithm().as_str(), &digest.hex()[..HEX_LEN]);
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    Some(format!("{algorithm}:{hex} {seconds}.{nanos:09}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::Holding;
    use hod_fsx::Durability;

    fn put(store: &Store, bytes: &[u8], durability: Durability) -> Digest {
        let digest = Digest::of(bytes);
        let mut writer = store.blob_writer(&digest).unwrap();
        writer.write(bytes).unwrap();
        writer.commit(durability).unwrap();
        digest
    }

    /// Whether the file was changed after it was verified.
    fn is_changed(store: &Store, digest: &Digest) -> bool {
        let range = store.open_unverified(digest).unwrap().unwrap();
        read(&range.file, digest) == Stamp::Broken
    }

    fn is_verified(store: &Store, digest: &Digest) -> bool {
        store.is_verified(digest, &store.open_unverified(digest).unwrap().unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "a file is written in place")]
    fn opened_for_writing(store: &Store, digest: &Digest) -> File {
        let path = store.blob_path(digest);
        File::options().write(true).open(path).unwrap()
    }

    #[test]
    fn what_was_put_on_the_disk_is_known_until_it_is_written() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let digest = put(&store, b"hello", Durability::Synced);
        assert!(is_verified(&store, &digest));
        let other = Digest::of(b"other");
        let blob = store.open_unverified(&digest).unwrap().unwrap();
        assert!(!store.is_verified(&other, &blob));
        // Even writing the same byte.
        opened_for_writing(&store, &digest).write_all(b"h").unwrap();
        assert!(!is_verified(&store, &digest));
    }

    #[test]
    fn what_may_not_be_on_the_disk_is_not_known() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let digest = put(&store, b"hello", Durability::Deferred);
        assert!(!is_verified(&store, &digest));
        store.record_verified(&digest, &store.open_unverified(&digest).unwrap().unwrap());
        assert!(!is_verified(&store, &digest), "it was written a moment ago");
        let file = opened_for_writing(&store, &digest);
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        store.record_verified(&digest, &store.open_unverified(&digest).unwrap().unwrap());
        assert!(
            !is_verified(&store, &digest),
            "nor is it older than it says"
        );
        let later = SystemTime::now() + SETTLED_AFTER + Duration::from_secs(1);
        record_verified_at(later, root.path(), &file, &digest);
        assert!(is_verified(&store, &digest));
        record_damaged(root.path(), &file);
        assert!(!is_verified(&store, &digest));
    }

    #[test]
    fn what_was_changed_is_hashed_before_it_is_relied_on() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let blob = |digest: &Digest| hod_oci::Descriptor::new("x/y".into(), digest.clone(), 5);
        let holding = |digest: &Digest| store.holding(&blob(digest)).unwrap();
        let stamped = put(&store, b"hello", Durability::Synced);
        assert_eq!(holding(&stamped), Holding::Sound);
        // Written, and right.
        let mut file = opened_for_writing(&store, &stamped);
        file.write_all(b"h").unwrap();
        assert!(is_changed(&store, &stamped));
        assert_eq!(holding(&stamped), Holding::Sound);
        // Written, and wrong; it stays so until it is replaced.
        file.write_all(b"E").unwrap();
        let actual = Digest::of(b"hEllo");
        let damaged = Holding::Damaged {
            actual: actual.clone(),
        };
        assert_eq!(holding(&stamped), damaged);
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(holding(&stamped), damaged);
        assert_eq!(put(&store, b"hello", Durability::Deferred), stamped);
        assert!(!is_changed(&store, &stamped));
        assert_eq!(holding(&stamped), Holding::Sound);
        // For content that was never verified, only the length is known.
        let foreign = put(&store, b"other", Durability::Deferred);
        opened_for_writing(&store, &foreign)
            .write_all(b"O")
            .unwrap();
        assert_eq!(holding(&foreign), Holding::Sound);
        opened_for_writing(&store, &foreign).set_len(4).unwrap();
        assert_eq!(holding(&foreign), Holding::Absent);
        // The result of a verification is remembered.
        let range = store.open_unverified(&foreign).unwrap().unwrap();
        store.record_damaged(&range);
        assert!(is_changed(&store, &foreign));
    }

    #[test]
    fn a_tree_of_others_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let digest = put(&store, b"hello", Durability::Deferred);
        let file = opened_for_writing(&store, &digest);
        let tree = Store::open(&root.path().join("docker/registry/v2")).unwrap();
        let later = SystemTime::now() + SETTLED_AFTER + Duration::from_secs(1);
        record_verified_at(later, tree.path(), &file, &digest);
        assert!(!is_verified(&store, &digest));
    }
}
