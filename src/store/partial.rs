//! Blobs that arrive in pieces, over several attempts and several runs.
//!
//! Such a blob grows in `.hod/partial/<alg>-<hex>`, and is renamed into the tree when it is
//! complete and has its digest. A partial file of a killed run is hashed again before data is
//! added: after a power cut its content may be wrong, which only the digest of the whole reveals.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use hod_bridge::Stop;
use hod_fsx::{Durability, Keeping, KeptFile, Leftover, VerifiedWriter};
use hod_oci::{ContentMismatch, Descriptor, Digest, Verifier};

use super::blob::put_with;
use super::layout::{PARTIAL_DIR, STATE_DIR, Tree};
use super::{Store, StoreError, stamp};

/// Age at which an abandoned partial blob is removed.
const STALE_AFTER: Duration = Duration::from_hours(7 * 24);

/// The result of opening a partial blob.
#[derive(Debug)]
pub enum Partial {
    /// It is locked by this run, which continues it at [`PartialBlob::len`].
    Ours(Box<PartialBlob>),
    /// The store has the whole blob.
    Present,
    /// Another run is at it, and has this many bytes.
    Busy { len: u64 },
    /// The file system cannot lock, so that nothing can be kept.
    Unkept,
}

/// A blob that is not yet whole. Dropped, it stays as it is for a later run.
#[derive(Debug)]
pub struct PartialBlob {
    writer: VerifiedWriter<KeptFile>,
    store: Store,
}

impl Store {
    /// Opens the partial content of a blob, which is hashed; it is empty at first.
    ///
    /// Blocks while it is hashed, unless `stop` is set: then the result is meaningless.
    pub fn partial_blob(&self, blob: &Descriptor, stop: &Stop) -> Result<Partial, StoreError> {
        // Refuses a store that is open for reading only.
        self.temp_path()?;
        let path = self.partial_path(&blob.digest);
        if let Some(dir) = path.parent() {
            hod_fsx::make_own_dir(dir)?;
        }
        let mut file = match KeptFile::open(&path)? {
            Keeping::Ours(file) => file,
            Keeping::Busy => {
                let len = self.partial_len(&blob.digest)?;
                return Ok(Partial::Busy { len });
            }
            Keeping::NoLocks => return Ok(Partial::Unkept),
        };
        // The previous owner may have published it just now.
        if self.keeps(&blob.digest, blob.size)? {
            file.remove()?;
            return Ok(Partial::Present);
        }
        if file.len() > blob.size {
            file.cut(0)?;
        }
        let verifier = seen(&mut file, blob, stop)?;
        Ok(Partial::Ours(Box::new(PartialBlob {
            writer: VerifiedWriter::new(file, verifier),
            store: self.clone(),
        })))
    }

    /// The number of bytes of a blob that an earlier run left.
    pub fn partial_len(&self, digest: &Digest) -> Result<u64, StoreError> {
        let stat = hod_fsx::try_stat(&self.partial_path(digest))?;
        Ok(stat.map_or(0, |stat| stat.len))
    }

    fn partial_path(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        let dir = self.path().join(STATE_DIR).join(PARTIAL_DIR);
        dir.join(format!("{algorithm}-{hex}"))
    }
}

impl PartialBlob {
    /// The number of bytes present.
    pub fn len(&self) -> u64 {
        self.writer.verifier().len()
    }

    /// Whether no bytes are present.
    pub fn is_empty(&self) -> bool {
        self.writer.verifier().is_empty()
    }

    /// Whether all bytes are present, verified or not.
    pub fn is_whole(&self) -> bool {
        self.writer.verifier().is_whole()
    }

    /// Appends `bytes`; more bytes than the blob has are an error, and nothing is kept.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.writer.write(bytes)?)
    }

    /// Publishes the blob.
    ///
    /// Bytes with another digest are removed, so that the next attempt starts from the beginning;
    /// an incomplete blob is an error, and is kept.
    pub fn commit(self, durability: Durability) -> Result<(), StoreError> {
        let (digest, len) = (self.writer.verifier().expected().clone(), self.len());
        let (file, verified) = self.writer.into_parts();
        if let Err(mismatch) = verified {
            if let ContentMismatch::Digest { .. } = mismatch {
                file.remove()?;
            }
            return Err(mismatch.into());
        }
        if self.store.keeps(&digest, len)? {
            return Ok(file.remove()?);
        }
        let path = self.store.blob_path(&digest);
        put_with(&path, durability, || {
            file.persist_with(&path, durability, |file| stamp::set_on_new(file, &digest))
        })
    }
}

/// Hashes the partial file of an earlier run, unless `stop` is set.
fn seen(file: &mut KeptFile, blob: &Descriptor, stop: &Stop) -> Result<Verifier, StoreError> {
    let mut verifier = Verifier::from(blob);
    let mut buffer = vec![0; hod_fsx::CHUNK_LEN];
    while verifier.len() < file.len() && !stop.is_set() {
        match file.read_at(&mut buffer, verifier.len())? {
            // It is shorter than it was.
            0 => file.cut(verifier.len())?,
            n => verifier.update(&buffer[..n])?,
        }
    }
    Ok(verifier)
}

/// Removes stale partial blobs; requires that no other process has the store open.
pub(super) fn sweep(store: &std::path::Path, tree: &Tree) -> Result<(), StoreError> {
    let dir = store.join(STATE_DIR).join(PARTIAL_DIR);
    let judge = |name: &OsStr| match digest_of(name) {
        None => Leftover::Foreign,
        // A blob that came by another way is not resumed.
        Some(digest) => match hod_fsx::try_stat(&tree.blob(&digest)) {
            Ok(None) => Leftover::Useful,
            _ => Leftover::Useless,
        },
    };
    Ok(hod_fsx::sweep_older(&dir, STALE_AFTER, judge)?)
}

/// The digest that the name of a file in the state is made from.
pub(super) fn digest_of(name: &OsStr) -> Option<Digest> {
    name.to_str()?.replacen('-', ":", 1).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_fsx::Durability::Deferred;

    struct TestStore {
        _root: tempfile::TempDir,
        store: Store,
    }

    fn place() -> TestStore {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        TestStore { _root: root, store }
    }

    fn blob(bytes: &[u8]) -> Descriptor {
        Descriptor::new("x/y".into(), Digest::of(bytes), bytes.len() as u64)
    }

    fn ours(store: &Store, blob: &Descriptor) -> Box<PartialBlob> {
        match store.partial_blob(blob, &Stop::default()).unwrap() {
            Partial::Ours(partial) => partial,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_blob_is_gone_on_with_by_the_next_run() {
        let TestStore { store, .. } = &place();
        let blob = blob(b"hello world");
        let mut first = ours(store, &blob);
        first.write(b"hello ").unwrap();
        let busy = store.partial_blob(&blob, &Stop::default()).unwrap();
        assert!(matches!(busy, Partial::Busy { len: 6 }));
        drop(first);
        assert_eq!(store.partial_len(&blob.digest).unwrap(), 6);
        let mut second = ours(store, &blob);
        assert_eq!(second.len(), 6);
        let error = second.write(b"worlds").unwrap_err();
        assert!(matches!(
            error,
            StoreError::Content(ContentMismatch::Length { .. })
        ));
        second.write(b"world").unwrap();
        assert!(second.is_whole());
        second.commit(Deferred).unwrap();
        let read = store.read_blob(&blob.digest, 99).unwrap();
        assert_eq!(read.unwrap(), b"hello world");
        assert_eq!(store.partial_len(&blob.digest).unwrap(), 0);
        let again = store.partial_blob(&blob, &Stop::default()).unwrap();
        assert!(matches!(again, Partial::Present));
    }

    #[test]
    fn what_is_not_whole_is_kept_and_what_is_wrong_is_not() {
        let TestStore { store, .. } = &place();
        let blob = blob(b"hello");
        let mut partial = ours(store, &blob);
        partial.write(b"hel").unwrap();
        let error = partial.commit(Deferred).unwrap_err();
        assert!(matches!(
            error,
            StoreError::Content(ContentMismatch::Length { actual: 3, .. })
        ));
        let mut partial = ours(store, &blob);
        partial.write(b"p!").unwrap();
        let error = partial.commit(Deferred).unwrap_err();
        assert!(matches!(
            error,
            StoreError::Content(ContentMismatch::Digest { .. })
        ));
        assert!(ours(store, &blob).is_empty());
        assert_eq!(store.blob_len(&blob.digest).unwrap(), None);
    }

    #[test]
    fn more_than_a_blob_has_cannot_be_the_start_of_it() {
        let TestStore { store, .. } = &place();
        let blob = blob(b"hello");
        drop(ours(store, &blob));
        hod_fsx::write_file(&store.partial_path(&blob.digest), b"hello world").unwrap();
        assert!(ours(store, &blob).is_empty());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file is made older than it is")]
    fn an_opened_store_is_swept_of_what_nobody_goes_on_with() {
        let place = place();
        let root = place.store.path().to_owned();
        let (young, old, here) = (blob(b"young"), blob(b"old"), blob(b"here"));
        for blob in [&young, &old, &here] {
            ours(&place.store, blob).write(b"x").unwrap();
        }
        let file = std::fs::File::options();
        let old_path = place.store.partial_path(&old.digest);
        let file = file.clone().write(true).open(&old_path).unwrap();
        let age = Duration::from_hours(7 * 24 + 1);
        let long_ago = std::time::SystemTime::now() - age;
        file.set_modified(long_ago).unwrap();
        let mut writer = place.store.blob_writer(&here.digest).unwrap();
        writer.write(b"here").unwrap();
        writer.commit(Deferred).unwrap();
        let stray = root.join(".hod/partial/notes");
        hod_fsx::write_file(&stray, b"").unwrap();
        drop(place.store);
        let store = Store::create(&root).unwrap();
        let left = hod_fsx::read_dir_names(&root.join(".hod/partial")).unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(
            left.iter().any(|name| name == "notes"),
            "hod did not make it"
        );
        assert_eq!(store.partial_len(&young.digest).unwrap(), 1);
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused_by_name() {
        let TestStore { store, .. } = &place();
        let blob = blob(b"hello");
        drop(ours(store, &blob));
        let path = store.partial_path(&blob.digest);
        hod_fsx::remove_file(&path).unwrap();
        let precious = store.path().join("precious");
        hod_fsx::write_file(&precious, b"precious").unwrap();
        let open = || store.partial_blob(&blob, &Stop::default());
        let refused = |what: &str| match open().unwrap_err() {
            StoreError::File(error) => {
                assert_eq!(error.kind(), hod_fsx::IoKind::NotOwn, "{what}");
                assert_eq!(error.path(), path, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        };
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        refused("a symbolic link");
        hod_fsx::remove_file(&path).unwrap();
        let hard = hod_fsx::LinkMode::Hard;
        hod_fsx::link_file(&precious, &path, hard, store.path()).unwrap();
        refused("a hardlink");
        hod_fsx::remove_file(&path).unwrap();
        hod_fsx::create_dir_all(&path).unwrap();
        refused("a directory");
        assert_eq!(hod_fsx::read(&precious, 99).unwrap(), b"precious");
    }
}
