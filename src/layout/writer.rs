//! Writing one `dir:` layout.

use std::path::{Path, PathBuf};

use hod_fsx::{Durability, LinkMode};
use hod_oci::{Algorithm, Digest, Manifest, Verifier};

use super::blob::BlobOutput;
use super::{BlobWriter, LayoutError, file_name};

/// A layout that is being built, in a hidden directory next to its destination.
///
/// Blobs may be added from several threads. Dropped, it leaves nothing behind; the files of a
/// killed process are removed when the same layout is made again.
#[derive(Debug)]
pub struct DirWriter {
    output: hod_fsx::OutputDir,
    top: Option<Manifest>,
    children: Vec<Manifest>,
    /// Whether an index may be there without any of its children.
    is_bare: bool,
}

/// The result of finishing a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is new.
    Created,
    /// It took the place of an older layout.
    Replaced,
    /// The same files existed and are kept.
    Unchanged,
}

/// The state of a destination.
enum Destination {
    Free,
    Layout(Vec<String>),
}

impl DirWriter {
    /// Starts a layout at `destination`, whose parents are created.
    ///
    /// An existing destination must be a layout (with a version file and without foreign files) or
    /// an empty directory, and stays until [`DirWriter::commit`].
    pub fn create(destination: &Path) -> Result<Self, LayoutError> {
        look_at(destination)?;
        match hod_fsx::OutputDir::create(destination, is_member)? {
            Some(output) => Ok(Self {
                output,
                top: None,
                children: Vec::new(),
                is_bare: false,
            }),
            None => Err(LayoutError::Busy {
                path: destination.to_owned(),
            }),
        }
    }

    /// Allows an index without any of its children.
    pub fn allow_bare_index(&mut self) {
        self.is_bare = true;
    }

    /// The final path of the layout.
    pub fn destination(&self) -> &Path {
        self.output.destination()
    }

    /// Adds the top manifest or index, byte for byte; `file` is a file that has it, which is linked
    /// where that is possible.
    pub fn add_manifest_top(
        &mut self,
        manifest: &Manifest,
        file: Option<&Path>,
    ) -> Result<(), LayoutError> {
        self.put_manifest(file_name::MANIFEST, manifest, file)?;
        self.top = Some(manifest.clone());
        Ok(())
    }

    /// Adds a manifest that an index lists, in the same way.
    pub fn add_child(
        &mut self,
        manifest: &Manifest,
        file: Option<&Path>,
    ) -> Result<(), LayoutError> {
        let name = file_name::child(manifest.digest());
        self.put_manifest(&name, manifest, file)?;
        self.children.push(manifest.clone());
        Ok(())
    }

    fn put_manifest(
        &self,
        name: &str,
        manifest: &Manifest,
        file: Option<&Path>,
    ) -> Result<(), LayoutError> {
        let path = self.output.path().join(name);
        if let Some(file) = file
            && hod_fsx::link_where_possible(file, &path, self.output.path())?
        {
            return Ok(());
        }
        hod_fsx::write_file(&path, manifest.bytes())?;
        Ok(())
    }

    /// The path of a blob while the layout is being built.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.output.path().join(file_name::blob(digest))
    }

    /// Gives the file `source`, which must hold `digest`, a second place here; returns whether the
    /// blob is new. Its bytes are not verified.
    pub fn link_blob(
        &self,
        source: &Path,
        digest: &Digest,
        mode: LinkMode,
    ) -> Result<bool, LayoutError> {
        let is_new = hod_fsx::link_file(source, &self.blob_path(digest), mode, self.output.path())?;
        Ok(is_new)
    }

    /// Links the blob of another layout that is being built into this one.
    pub fn share_blob(&self, other: &Self, digest: &Digest) -> Result<(), LayoutError> {
        let source = other.blob_path(digest);
        hod_fsx::link_or_copy_file(&source, &self.blob_path(digest), self.output.path())?;
        Ok(())
    }

    /// Starts a blob with an expected digest and, if a descriptor has one, an expected length.
    pub fn blob_writer(&self, expected: impl Into<Verifier>) -> Result<BlobWriter, LayoutError> {
        let expected = expected.into();
        let temp = hod_fsx::TempFile::create_in(self.output.path(), "dir-put-blob")?;
        let place = BlobOutput::File(temp, self.blob_path(expected.expected()));
        Ok(BlobWriter::new(place, expected))
    }

    /// Checks that the layout is complete and makes it appear at its destination.
    ///
    /// Complete means: every blob that a manifest here stores, with its length, and at least one
    /// child of every index that lists any. On failure, the destination is unchanged.
    pub fn commit(self, durability: Durability) -> Result<Committed, LayoutError> {
        self.check_complete()?;
        let version = self.output.path().join(file_name::VERSION);
        hod_fsx::write_file(&version, self.version().as_bytes())?;
        match look_at(self.output.destination())? {
            Destination::Free => {
                self.output.commit(durability)?;
                Ok(Committed::Created)
            }
            Destination::Layout(names) if self.is_same_as(&names)? => Ok(Committed::Unchanged),
            Destination::Layout(_) => {
                self.output.replace(durability)?;
                Ok(Committed::Replaced)
            }
        }
    }

    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.top.iter().chain(&self.children)
    }

    fn version(&self) -> &'static str {
        let mut digests = self.children.iter().map(Manifest::digest).chain(
            self.manifests()
                .flat_map(Manifest::stored_blobs)
                .map(|blob| &blob.digest),
        );
        if digests.all(|digest| digest.algorithm() == Algorithm::Sha256) {
            file_name::VERSION_1_1
        } else {
            file_name::VERSION_1_2
        }
    }

    fn check_complete(&self) -> Result<(), LayoutError> {
        let path = || self.output.destination().to_owned();
        if self.top.is_none() {
            return Err(LayoutError::NoManifest { path: path() });
        }
        for manifest in self.manifests() {
            let is_here = |digest: &Digest| self.manifests().any(|m| m.digest() == digest);
            let children = manifest.children();
            if !self.is_bare
                && let Some(first) = children.first()
                && !children.iter().any(|child| is_here(&child.digest))
            {
                let digest = first.digest.clone();
                return Err(LayoutError::Incomplete {
                    path: path(),
                    digest,
                });
            }
            for blob in manifest.stored_blobs() {
                let digest = blob.digest.clone();
                let file = self.output.path().join(file_name::blob(&digest));
                let Some(stat) = hod_fsx::try_stat(&file)? else {
                    return Err(LayoutError::Incomplete {
                        path: path(),
                        digest,
                    });
                };
                if stat.len != blob.size {
                    return Err(LayoutError::WrongLength {
                        path: path(),
                        digest,
                        expected: blob.size,
                        actual: stat.len,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether the destination, which has the files `names`, holds the same: the manifests byte
    /// for byte, and of every blob the very inode, since equal lengths prove nothing.
    fn is_same_as(&self, names: &[String]) -> Result<bool, LayoutError> {
        let own: Vec<_> = hod_fsx::read_dir_names(self.output.path())?;
        if own.len() != names.len() || !own.iter().zip(names).all(|(a, b)| **a == **b) {
            return Ok(false);
        }
        for name in names {
            let (new, old) = (self.output.path().join(name), self.destination().join(name));
            let (new_stat, old_stat) = (hod_fsx::stat(&new)?, hod_fsx::stat(&old)?);
            if new_stat.identity == old_stat.identity {
                continue;
            }
            let is_text = name == file_name::VERSION || name.ends_with(file_name::MANIFEST);
            let len_max = new_stat.len;
            if !is_text
                || new_stat.len != old_stat.len
                || hod_fsx::read(&new, len_max)? != hod_fsx::read(&old, len_max)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a layout that is being built may have a file of this path.
fn is_member(path: &Path) -> bool {
    let name = path.as_os_str();
    name.to_str().is_some_and(file_name::is_layout_file) || hod_fsx::is_scratch_name(name)
}

/// Checks what is at `path`; an error if hod must not replace it.
fn look_at(path: &Path) -> Result<Destination, LayoutError> {
    let occupied = |found: Option<String>| LayoutError::Occupied {
        path: path.to_owned(),
        found,
    };
    match hod_fsx::try_stat(path)? {
        None => return Ok(Destination::Free),
        Some(stat) if !stat.is_dir => return Err(occupied(None)),
        Some(_) => {}
    }
    let mut names = Vec::new();
    for name in hod_fsx::try_read_dir_names(path)?.unwrap_or_default() {
        // A layout never contains directories.
        let is_dir = hod_fsx::try_stat(&path.join(&name))?.is_some_and(|stat| stat.is_dir);
        match name.into_string() {
            Ok(name) if file_name::is_layout_file(&name) && !is_dir => names.push(name),
            Ok(name) => return Err(occupied(Some(name))),
            Err(name) => return Err(occupied(Some(name.to_string_lossy().into_owned()))),
        }
    }
    if names.is_empty() {
        return Ok(Destination::Free);
    }
    let version = path.join(file_name::VERSION);
    match hod_fsx::try_read(&version, file_name::VERSION_LEN_MAX)? {
        Some(text) if file_name::is_known_version(&text) => Ok(Destination::Layout(names)),
        _ => Err(occupied(None)),
    }
}
