//! An OCI layout in a directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::entry::{OldIndex, index};
use super::{BLOBS, INDEX, MARKER, MARKER_TEXT, OciEntry, blob_member};
use crate::blob::BlobOutput;
use crate::{BlobWriter, LayoutError};
use hod_fsx::{Durability, LinkMode, WalkKind};
use hod_oci::{Digest, Manifest, Verifier};

/// The longest index that is added to, in bytes.
const INDEX_LEN_MAX: u64 = 16 * 1024 * 1024;

/// A layout that is being built, in a hidden directory next to its destination.
///
/// Blobs may be added from several threads. The content of the destination is kept: its blobs are
/// hardlinked, and its images stay unless new ones have their names. Dropped, it leaves nothing
/// behind.
#[derive(Debug)]
pub struct OciDirWriter {
    output: hod_fsx::OutputDir,
}

impl OciDirWriter {
    /// Refuses a destination whose content [`Self::create`] would refuse.
    pub fn check(destination: &Path) -> Result<(), LayoutError> {
        look_at(destination).map(|_| ())
    }

    /// Fails if this user cannot create `destination` or replace what exists.
    pub fn require_writable(destination: &Path) -> Result<(), hod_fsx::Error> {
        hod_fsx::OutputDir::require_writable(destination)?;
        let blobs = destination.join(BLOBS);
        hod_fsx::require_writable(&blobs)?;
        let algorithms = hod_fsx::try_read_dir_names(&blobs)?.unwrap_or_default();
        let mut dirs = algorithms.iter().map(|name| blobs.join(name));
        dirs.try_for_each(|dir| hod_fsx::require_writable(&dir))
    }

    /// Starts a layout at `destination`, whose parents are created.
    ///
    /// An existing destination must be an OCI layout without foreign files, or an empty directory.
    pub fn create(destination: &Path) -> Result<Self, LayoutError> {
        look_at(destination)?;
        match hod_fsx::OutputDir::create(destination, is_member)? {
            Some(output) => Ok(Self { output }),
            None => Err(LayoutError::Busy {
                path: destination.to_owned(),
            }),
        }
    }

    /// Gives the file `source`, which must hold `digest`, a second place here. Its bytes are not
    /// verified.
    pub fn link_blob(
        &self,
        source: &Path,
        digest: &Digest,
        mode: LinkMode,
    ) -> Result<(), LayoutError> {
        hod_fsx::link_file(source, &self.blob_path(digest), mode, self.output.path())?;
        Ok(())
    }

    /// Starts a blob with an expected digest and, if a descriptor has one, an expected length.
    pub fn blob_writer(&self, expected: impl Into<Verifier>) -> Result<BlobWriter, LayoutError> {
        let expected = expected.into();
        let destination = self.blob_path(expected.expected());
        if let Some(dir) = destination.parent() {
            hod_fsx::create_dir_all(dir)?;
        }
        let temp = hod_fsx::TempFile::create_in(self.output.path(), "blob-")?;
        Ok(BlobWriter::new(
            BlobOutput::File(temp, destination),
            expected,
        ))
    }

    /// Adds a manifest, byte for byte; several images may have it, and add it at once. `file` is a
    /// file that has it, which is linked where that is possible.
    pub fn add_manifest(
        &self,
        manifest: &Manifest,
        file: Option<&Path>,
    ) -> Result<(), LayoutError> {
        let path = self.blob_path(manifest.digest());
        if let Some(file) = file
            && hod_fsx::link_where_possible(file, &path, self.output.path())?
        {
            return Ok(());
        }
        let mut blob = self.blob_writer(manifest.digest())?;
        blob.write(manifest.bytes())?;
        blob.commit()
    }

    /// Makes the layout appear at its destination with these images and those that it had.
    ///
    /// Atomic where the file system can exchange two names.
    pub fn commit(self, images: &[OciEntry], durability: Durability) -> Result<(), LayoutError> {
        self.finish(|old| index(images, &old.unwrap_or_default()), durability)
    }

    /// The same with an `index.json` that the caller makes of the one of the existing layout.
    pub fn commit_index(
        self,
        index: impl FnOnce(Option<&[u8]>) -> Vec<u8>,
        durability: Durability,
    ) -> Result<(), LayoutError> {
        let path = self.output.destination().join(INDEX);
        let old = hod_fsx::try_read(&path, INDEX_LEN_MAX)?;
        self.finish(|_| index(old.as_deref()), durability)
    }

    fn finish(
        self,
        index: impl FnOnce(Option<OldIndex>) -> Vec<u8>,
        durability: Durability,
    ) -> Result<(), LayoutError> {
        let destination = self.output.destination().to_owned();
        let old = look_at(&destination)?;
        let is_there = old.is_some();
        if is_there {
            self.keep_blobs(&destination)?;
        }
        hod_fsx::write_file(&self.output.path().join(INDEX), &index(old))?;
        hod_fsx::write_file(&self.output.path().join(MARKER), MARKER_TEXT)?;
        if is_there {
            self.output.replace(durability)?;
        } else {
            self.output.commit(durability)?;
        }
        Ok(())
    }

    /// Links the blobs of the existing layout into the one that replaces it.
    fn keep_blobs(&self, old: &Path) -> Result<(), LayoutError> {
        for entry in hod_fsx::walk(&old.join(BLOBS), |_| true) {
            let entry = entry?;
            let Ok(relative) = entry.path.strip_prefix(old) else {
                continue;
            };
            if entry.kind == WalkKind::File {
                let new = self.output.path().join(relative);
                hod_fsx::link_or_copy_file(&entry.path, &new, self.output.path())?;
            }
        }
        Ok(())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.output.path().join(blob_member(digest))
    }
}

/// Whether a layout, finished or in the making, has a file or directory of this path: the only ones
/// that are removed with it.
fn is_member(path: &Path) -> bool {
    let Some(names) = path.iter().map(OsStr::to_str).collect::<Option<Vec<_>>>() else {
        return false;
    };
    match names[..] {
        [MARKER | INDEX | BLOBS] => true,
        [name] => hod_fsx::is_scratch_name(OsStr::new(name)),
        [BLOBS, algorithm] => is_word(algorithm, b"+._-"),
        [BLOBS, algorithm, encoded] => is_word(algorithm, b"+._-") && is_word(encoded, b"=_-"),
        _ => false,
    }
}

/// Whether a name is of letters, digits and, not at its start, some other characters: other
/// programs know more algorithms than this one.
fn is_word(name: &str, others: &[u8]) -> bool {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric();
    name.as_bytes().first().is_some_and(is_usual)
        && name
            .bytes()
            .all(|byte| is_usual(&byte) || others.contains(&byte))
}

/// The index of the layout at `path`; `None` when nothing exists there, an error when it is
/// something that must not be replaced.
fn look_at(path: &Path) -> Result<Option<OldIndex>, LayoutError> {
    let foreign = |found: Option<String>| LayoutError::Foreign {
        path: path.to_owned(),
        format: "an OCI layout",
        found,
    };
    match hod_fsx::try_stat(path)? {
        None => return Ok(None),
        Some(stat) if !stat.is_dir => return Err(foreign(None)),
        Some(_) => {}
    }
    let names = hod_fsx::try_read_dir_names(path)?.unwrap_or_default();
    if names.is_empty() {
        return Ok(None);
    }
    let known = [MARKER, INDEX, BLOBS];
    if let Some(name) = names.iter().find(|name| known.iter().all(|k| name != k)) {
        return Err(foreign(Some(name.to_string_lossy().into_owned())));
    }
    for entry in hod_fsx::walk(path, |_| true) {
        let entry = entry?;
        let member = entry.path.strip_prefix(path).unwrap_or(&entry.path);
        if !is_member(member) || entry.kind == WalkKind::Special {
            return Err(foreign(Some(member.to_string_lossy().into_owned())));
        }
    }
    match hod_fsx::try_read(&path.join(INDEX), INDEX_LEN_MAX)? {
        Some(bytes) if names.iter().any(|name| name == MARKER) => {
            OldIndex::parse(&bytes, path).map(Some)
        }
        _ => Err(foreign(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layouts_members_are_told_from_others() {
        for (path, expect) in [
            ("oci-layout", true),
            ("index.json", true),
            ("blobs", true),
            ("blob-aB3dE6", true),
            ("blobs/sha256", true),
            ("blobs/sha256/00aa", true),
            ("notes", false),
            ("blobs/sha256+b64u/_a=", false),
            ("blobs/sha256+b64u/a_=", true),
            ("blobs/.hidden", false),
            ("blobs/sha256/notes.txt", false),
            ("blobs/sha256/00aa/x", false),
            ("sha256/00aa", false),
        ] {
            assert_eq!(is_member(Path::new(path)), expect, "{path}");
        }
    }
}
