//! Publishing: makes images visible, each atomically and complete.
//!
//! A new repository is built in `.hod/tmp` and appears by two renames, a new tag by one; a link in
//! an existing repository is replaced by rename. So a reader sees neither an empty link nor half an
//! image, and a kill leaves nothing to repair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hod_fsx::{Durability, IoKind, RealDirs, TempDir, TempFile};
use hod_oci::{Digest, RepositoryName, Tag};

use super::layout::{RepositoryDir, TagDir};
use super::{Store, StoreError};

/// One image to be made visible; the bytes of all that it names must be in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    /// The digest that the tag will name.
    pub top: Digest,
    /// The manifests, children before those that list them, `top` among them.
    pub manifests: Vec<Digest>,
    /// The configs and layers.
    pub blobs: Vec<Digest>,
}

/// All that a batch wants of one repository.
#[derive(Debug, Default)]
struct Wanted<'a> {
    layers: BTreeSet<&'a Digest>,
    /// In the order given.
    revisions: Vec<&'a Digest>,
    /// In the order given, so that the last of two wins.
    tags: Vec<(&'a Tag, &'a Digest)>,
}

impl Store {
    /// Makes images visible: their blobs' links, their manifests' links, then their tags.
    ///
    /// Idempotent: a correct link is left alone. With [`Durability::Synced`] everything that a tag
    /// leads to is on the disk before the tag is, and the tags are on return; this includes data
    /// written earlier without a sync. Fails with [`StoreError::MissingBlob`], and changes nothing,
    /// when a blob or manifest is not in the store.
    pub fn publish(
        &self,
        images: &[Publication],
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.require_all(images)?;
        self.publish_seen(images, durability)
    }

    /// Makes images visible as [`Store::publish`] does, without checking their blobs and manifests,
    /// which were all found or written since the store was opened.
    pub fn publish_seen(
        &self,
        images: &[Publication],
        durability: Durability,
    ) -> Result<(), StoreError> {
        if images.is_empty() {
            return Ok(());
        }
        let temp = TempDir::create_in(self.temp_path()?, "publish-")?;
        let wanted = gather(images);
        let mut batch = Batch {
            dirs: RealDirs::below(self.tree().root()),
            temp: &temp,
            n_names: 0,
        };
        let mut standing = Vec::new();
        let mut built = Vec::new();
        for (name, wanted) in &wanted {
            let target = self.tree().repository(name);
            batch.require_real(&target.layers())?;
            batch.require_real(&target.tags())?;
            if stands(&target)? {
                batch.link(&target, wanted)?;
                standing.push((target, wanted));
            } else {
                built.push((target, wanted, batch.build(wanted)?));
            }
        }
        self.sync(durability)?;
        for (target, wanted, source) in built {
            if !appear(&source, &target)? {
                // Somebody else made the repository meanwhile.
                batch.link(&target, wanted)?;
                self.sync(durability)?;
                standing.push((target, wanted));
            }
        }
        for (target, wanted) in standing {
            batch.tag(&target, wanted)?;
        }
        self.sync(durability)
    }

    /// Links a blob into a repository ahead of the manifest that will need it; not synced, which
    /// publishing that manifest does.
    ///
    /// Idempotent. Fails with [`StoreError::MissingBlob`] when the blob is not in the store.
    pub fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        if self.blob_len(digest)?.is_none() {
            return Err(StoreError::MissingBlob {
                repository: repository.clone(),
                digest: digest.clone(),
            });
        }
        let temp = TempDir::create_in(self.temp_path()?, "link-")?;
        let mut batch = Batch {
            dirs: RealDirs::below(self.tree().root()),
            temp: &temp,
            n_names: 0,
        };
        let wanted = Wanted {
            layers: BTreeSet::from([digest]),
            ..Wanted::default()
        };
        batch.link(&self.tree().repository(repository), &wanted)
    }

    /// Refuses images that are not complete in the store.
    fn require_all(&self, images: &[Publication]) -> Result<(), StoreError> {
        let mut present = BTreeSet::new();
        for image in images {
            let manifests = image.manifests.iter().chain([&image.top]);
            for digest in image.blobs.iter().chain(manifests) {
                if present.insert(digest) && self.blob_len(digest)?.is_none() {
                    return Err(StoreError::MissingBlob {
                        repository: image.repository.clone(),
                        digest: digest.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn sync(&self, durability: Durability) -> Result<(), StoreError> {
        match durability {
            Durability::Synced => Ok(hod_fsx::sync_filesystem(&self.tree().blobs())?),
            Durability::Deferred => Ok(()),
        }
    }
}

/// Sorts a batch by repository.
fn gather(images: &[Publication]) -> BTreeMap<&RepositoryName, Wanted<'_>> {
    let mut wanted: BTreeMap<&RepositoryName, Wanted<'_>> = BTreeMap::new();
    for image in images {
        let of_repository = wanted.entry(&image.repository).or_default();
        of_repository.layers.extend(&image.blobs);
        for digest in image.manifests.iter().chain([&image.top]) {
            if !of_repository.revisions.contains(&digest) {
                of_repository.revisions.push(digest);
            }
        }
        of_repository
            .tags
            .extend(image.tag.as_ref().map(|tag| (tag, &image.top)));
    }
    wanted
}

/// The private directory of one call of [`Store::publish`].
struct Batch<'a> {
    /// Directories of the tree, in which nothing is written through a link.
    dirs: RealDirs,
    temp: &'a TempDir,
    n_names: u32,
}

impl Batch<'_> {
    /// Fails if a directory of the tree is a link, `dir` included.
    fn require_real(&mut self, dir: &Path) -> Result<(), StoreError> {
        Ok(self.dirs.require(&dir.join("-"))?)
    }

    /// Links blobs and manifests into an existing repository.
    fn link(&mut self, target: &RepositoryDir, wanted: &Wanted<'_>) -> Result<(), StoreError> {
        self.dirs.create_all(&target.layers())?;
        self.dirs.create_all(&target.manifests())?;
        for digest in &wanted.layers {
            self.put_link(&target.layer(digest), digest)?;
        }
        for digest in &wanted.revisions {
            self.put_link(&target.revision(digest), digest)?;
        }
        Ok(())
    }

    /// Builds a whole repository aside.
    fn build(&mut self, wanted: &Wanted<'_>) -> Result<RepositoryDir, StoreError> {
        let dir = RepositoryDir::new(self.temp.path().join(self.new_name()));
        for dir in [dir.path(), &dir.layers(), &dir.manifests()] {
            hod_fsx::create_dir_all(dir)?;
        }
        for digest in &wanted.layers {
            build_link(&dir.layer(digest), digest)?;
        }
        for digest in &wanted.revisions {
            build_link(&dir.revision(digest), digest)?;
        }
        for (tag, digest) in &wanted.tags {
            build_tag(&dir.tag(tag), digest)?;
        }
        Ok(dir)
    }

    /// Points tags of an existing repository to their new digests.
    fn tag(&mut self, target: &RepositoryDir, wanted: &Wanted<'_>) -> Result<(), StoreError> {
        for (tag, digest) in &wanted.tags {
            let dir = target.tag(tag);
            self.require_real(dir.path())?;
            if hod_fsx::try_stat(dir.path())?.is_none() {
                let aside = TagDir::new(self.temp.path().join(self.new_name()));
                build_tag(&aside, digest)?;
                if rename_new(aside.path(), dir.path())? {
                    continue;
                }
            }
            self.put_link(&dir.past(digest), digest)?;
            self.put_link(&dir.current(), digest)?;
        }
        Ok(())
    }

    /// Replaces a link in a tree that others read, by rename; a correct one is left alone.
    fn put_link(&mut self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let bytes = digest.as_str().as_bytes();
        if hod_fsx::has_content(path, bytes)? {
            return Ok(());
        }
        let mut temp = TempFile::create_in(self.temp.path(), "link-")?;
        temp.write_all(bytes)?;
        if let Some(dir) = path.parent() {
            self.dirs.create_all(dir)?;
        }
        Ok(temp.persist(path, Durability::Deferred)?)
    }

    fn new_name(&mut self) -> String {
        self.n_names += 1;
        self.n_names.to_string()
    }
}

/// Whether a repository has anything in it yet; those below it do not count.
fn stands(target: &RepositoryDir) -> Result<bool, StoreError> {
    Ok(hod_fsx::try_stat(&target.manifests())?.is_some()
        || hod_fsx::try_stat(&target.layers())?.is_some())
}

/// Moves a repository that was built elsewhere to its path; false if one exists.
///
/// Mostly one rename, which also keeps the number of removed directories small: ext4 is slow to
/// create files for a minute after many were removed.
fn appear(source: &RepositoryDir, target: &RepositoryDir) -> Result<bool, StoreError> {
    if rename_new(source.path(), target.path())? {
        return Ok(true);
    }
    // The directory exists already because of repositories below it. Blobs come before manifests,
    // whose directory contains the tags.
    Ok(rename_new(&source.layers(), &target.layers())?
        && rename_new(&source.manifests(), &target.manifests())?)
}

/// Writes a new tag's links into a directory that is not visible yet.
fn build_tag(dir: &TagDir, digest: &Digest) -> Result<(), StoreError> {
    build_link(&dir.past(digest), digest)?;
    build_link(&dir.current(), digest)
}

/// Writes a link into a directory that is not visible yet.
fn build_link(path: &Path, digest: &Digest) -> Result<(), StoreError> {
    // Nearly every link has its own directory, so the directory is created without trying to write
    // first.
    if let Some(dir) = path.parent() {
        hod_fsx::create_dir_all(dir)?;
    }
    Ok(hod_fsx::write_file(path, digest.as_str().as_bytes())?)
}

/// Renames a directory, creating the new parent; false if a non-empty one exists.
fn rename_new(from: &Path, to: &Path) -> Result<bool, StoreError> {
    let mut renamed = hod_fsx::rename(from, to);
    if let (Err(error), Some(parent)) = (&renamed, to.parent())
        && error.kind() == IoKind::NotFound
    {
        hod_fsx::create_dir_all(parent)?;
        renamed = hod_fsx::rename(from, to);
    }
    match renamed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == IoKind::Exists => Ok(false),
        Err(error) => Err(error.into()),
    }
}
