//! The surplus content of a tree, and the check that its origin has it, too.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::lost::{Lost, WhyLost};
use super::planned::{Planned, open_tree};
use super::proof::{Prover, Verdict};
use super::retained::Retained;
use super::shape::{TreeDir, TreeFile};
use crate::{Store, StoreError, StoredImage, UnreadableTag};
use hod_bridge::Stop;
use hod_fsx::{PinnedDir, WalkKind};
use hod_oci::{Digest, Manifest, RepositoryName};

/// The content of a tree that is not to be kept.
#[derive(Debug)]
pub struct Surplus {
    /// The files to remove, in this order.
    pub(super) files: Vec<Planned>,
    /// Directories with nothing in them.
    pub(super) empty_dirs: Vec<PathBuf>,
    /// The repositories that stay.
    pub(super) kept: HashSet<RepositoryName>,
    pub(super) tree: Store,
    images: Vec<StoredImage>,
    /// The manifests that no tag of the origin names.
    untagged: HashSet<Digest>,
    lost: Vec<Lost>,
    pub(super) left: Vec<PathBuf>,
    unreadable: Vec<UnreadableTag>,
    pub(super) unreadable_files: Vec<PathBuf>,
}

impl Surplus {
    /// The images that are to be removed, sorted.
    pub fn images(&self) -> &[StoredImage] {
        &self.images
    }

    /// Whether no tag of the origin names an image that is to be removed, so that it can be selected
    /// by its digest only.
    pub fn is_untagged(&self, image: &StoredImage) -> bool {
        self.untagged.contains(&image.digest)
    }

    /// The images that are not complete in the origin, sorted: if there are any, nothing may be
    /// removed.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Files that do not occur in a finished tree, and unreferenced blobs that the origin lacks:
    /// they are kept.
    pub fn left(&self) -> &[PathBuf] {
        &self.left
    }

    /// Unwanted tags that cannot be read: they are kept.
    pub fn unreadable(&self) -> &[UnreadableTag] {
        &self.unreadable
    }

    /// The links of these tags.
    pub fn unreadable_files(&self) -> &[PathBuf] {
        &self.unreadable_files
    }
}

impl Store {
    /// Lists the surplus of the tree, and checks that `origin` has it, too.
    ///
    /// Fails with [`StoreError::Indirect`] or [`StoreError::IndirectFile`] if a symbolic link is in
    /// place of a directory or file of the tree. Changes nothing but stamps. Hashes the origin's
    /// copies that are not known to be right.
    pub fn surplus(
        &self,
        kept: &Retained,
        origin: &Self,
        stop: &Stop,
    ) -> Result<Surplus, StoreError> {
        let root = self.tree().root();
        if root == self.path() {
            let path = root.to_owned();
            return Err(StoreError::InsideTree { path });
        }
        let dir = open_tree(self.path(), root)?;
        let Listing {
            mut found,
            mut left,
            empty_dirs,
        } = list(root, kept, &dir)?;
        let listed = self.images()?;
        let mut images = listed.images;
        images.retain(|image| !kept.has(image));
        let mut unreadable = listed.unreadable;
        unreadable.retain(|tag| found.iter().any(|planned| planned.file.is_current_of(tag)));
        let is_unreadable = |planned: &mut Planned| {
            let mut tags = unreadable.iter();
            tags.any(|tag| planned.file.is_of(tag))
        };
        let unreadable_files = found.extract_if(.., is_unreadable);
        let unreadable_files = unreadable_files.map(|planned| planned.path).collect();
        let mut survey = Survey {
            kept,
            manifests: HashMap::new(),
            surplus: found.iter().filter_map(Planned::blob).cloned().collect(),
            verdicts: HashMap::new(),
            prover: Prover::new(self, origin),
        };
        for planned in &found {
            if stop.is_set() {
                break;
            }
            survey.judge(planned)?;
        }
        if stop.is_set() {
            // The run was stopped, so the incomplete result is discarded.
            found.clear();
        }
        let lost = survey.lost(&images, &found)?;
        let untagged = survey.untagged(&images)?;
        let order = survey.order(&found)?;
        let mut files = removable(found, survey.verdicts, &mut left);
        files.sort_by_cached_key(|planned| planned.rank(&order));
        Ok(Surplus {
            files,
            empty_dirs: empty_dirs.into_iter().collect(),
            kept: kept.repositories.keys().cloned().collect(),
            tree: self.clone(),
            images,
            untagged,
            lost,
            left,
            unreadable,
            unreadable_files,
        })
    }
}

/// Returns the files that can be removed, each blob with its copy; adds the paths of the others to
/// `left`.
fn removable(
    found: Vec<Planned>,
    mut verdicts: HashMap<Digest, Verdict>,
    left: &mut Vec<PathBuf>,
) -> Vec<Planned> {
    let is_lost = |(_, verdict): &(&Digest, &Verdict)| matches!(verdict, Verdict::Lost(_));
    let lacking = verdicts.iter().filter(is_lost);
    let lacking: HashSet<Digest> = lacking.map(|(digest, _)| digest.clone()).collect();
    let mut files = Vec::with_capacity(found.len());
    for mut planned in found {
        let verdict = planned.blob().map(|digest| verdicts.remove(digest));
        let stays = match (verdict, &planned.file) {
            (Some(Some(Verdict::Copied(copy))), _) => {
                planned.copy = Some(copy);
                false
            }
            (Some(Some(Verdict::Lost(_)) | None), _) => true,
            // A foreign layer of an image that stays.
            (None, TreeFile::Layer(_, digest)) => lacking.contains(digest),
            (Some(Some(Verdict::Derived)) | None, _) => false,
        };
        if stays {
            left.push(planned.path);
        } else {
            files.push(planned);
        }
    }
    files
}

/// Files and empty directories of a tree that no kept image uses.
struct Listing {
    found: Vec<Planned>,
    left: Vec<PathBuf>,
    empty_dirs: BTreeSet<PathBuf>,
}

/// Walks the tree at `root`, which is in `dir`; fails at a symbolic link in place of a directory or
/// file of the tree.
fn list(root: &Path, kept: &Retained, dir: &PinnedDir) -> Result<Listing, StoreError> {
    let mut found = Vec::new();
    let mut left = Vec::new();
    let mut empty_dirs = BTreeSet::new();
    for entry in hod_fsx::walk(root, |_| true) {
        let entry = entry?;
        let within = entry.path.strip_prefix(root).unwrap_or(&entry.path);
        if let Some(parent) = entry.path.parent() {
            empty_dirs.remove(parent);
        }
        let file = match entry.kind {
            WalkKind::Dir => {
                if TreeDir::parse(within).is_some() {
                    empty_dirs.insert(entry.path);
                }
                continue;
            }
            WalkKind::File => TreeFile::parse(within),
            // Images behind a link are listed, but can neither be kept nor removed.
            WalkKind::Special if TreeDir::parse(within).is_some() => {
                return Err(StoreError::Indirect { path: entry.path });
            }
            WalkKind::Special if TreeFile::parse(within).is_some() => {
                return Err(StoreError::IndirectFile { path: entry.path });
            }
            WalkKind::Special => None,
        };
        match file {
            Some(file) if kept.keeps(&file) => {}
            Some(file) => found.extend(Planned::new(file, &entry.path, dir)?),
            None => left.push(entry.path),
        }
    }
    Ok(Listing {
        found,
        left,
        empty_dirs,
    })
}

/// State of the survey of a tree's blobs.
struct Survey<'a> {
    kept: &'a Retained,
    manifests: HashMap<Digest, Option<Manifest>>,
    /// The blobs that are not kept.
    surplus: HashSet<Digest>,
    verdicts: HashMap<Digest, Verdict>,
    prover: Prover<'a>,
}

impl Survey<'_> {
    /// Reads a manifest of the tree; one that cannot be understood has nothing below it.
    fn manifest(&mut self, digest: &Digest) -> Result<Option<&Manifest>, StoreError> {
        if !self.manifests.contains_key(digest) {
            let read = match self.prover.tree.read_manifest(digest) {
                Err(error @ StoreError::File(_)) => return Err(error),
                read => read.ok().flatten(),
            };
            self.manifests.insert(digest.clone(), read);
        }
        Ok(self.manifests[digest].as_ref())
    }

    fn judge(&mut self, planned: &Planned) -> Result<(), StoreError> {
        let Some(digest) = planned.blob() else {
            return Ok(());
        };
        let mut verdict = self.prover.prove(digest, planned)?;
        if let Verdict::Lost(_) = verdict
            && let Some(manifest) = self.manifest(digest)?.cloned()
            && self.prover.can_make(&manifest, &self.kept.blobs)?
        {
            verdict = Verdict::Derived;
        }
        self.verdicts.insert(digest.clone(), verdict);
        Ok(())
    }

    /// The first digest of a manifest of the tree, apart from its children, that the origin lacks.
    fn lacks(&mut self, digest: &Digest) -> Result<Option<(Digest, WhyLost)>, StoreError> {
        let mut needed = vec![digest.clone()];
        if let Some(manifest) = self.manifest(digest)? {
            // Foreign layers, too: whether the tree has them is seen from the verdicts.
            needed.extend(manifest.blobs().map(|blob| blob.digest.clone()));
        }
        for needed in needed {
            if let Some(Verdict::Lost(why)) = self.verdicts.get(&needed) {
                return Ok(Some((needed, *why)));
            }
        }
        let is_surplus = self.surplus.contains(digest);
        let is_derived = matches!(self.verdicts.get(digest), Some(Verdict::Derived));
        if is_surplus && !is_derived && !self.prover.has_image(digest)? {
            return Ok(Some((digest.clone(), WhyLost::Unlinked)));
        }
        Ok(None)
    }

    /// The images that would be lost, and the manifests without a tag that would.
    fn lost(&mut self, images: &[StoredImage], found: &[Planned]) -> Result<Vec<Lost>, StoreError> {
        let mut explained: HashSet<Digest> = HashSet::new();
        let mut lost = Vec::new();
        for image in images {
            let (mut seen, mut queue) = (BTreeSet::new(), vec![image.digest.clone()]);
            let mut lacking = None;
            while let Some(digest) = queue.pop() {
                if !seen.insert(digest.clone()) {
                    continue;
                }
                let lacks = self.lacks(&digest)?;
                lacking = lacking.or(lacks);
                let manifest = self.manifest(&digest)?;
                let children = manifest.into_iter().flat_map(Manifest::children);
                queue.extend(children.map(|child| child.digest.clone()));
            }
            if let Some((digest, why)) = lacking {
                explained.extend(seen);
                let image = image.clone();
                lost.push(Lost { image, digest, why });
            }
        }
        for planned in found {
            let TreeFile::Revision(repository, digest) = &planned.file else {
                continue;
            };
            if !explained.contains(digest)
                && let Some((lacking, why)) = self.lacks(digest)?
            {
                let image = StoredImage {
                    repository: repository.clone(),
                    tag: None,
                    digest: digest.clone(),
                };
                let digest = lacking;
                lost.push(Lost { image, digest, why });
            }
        }
        lost.sort_unstable();
        Ok(lost)
    }

    /// The manifests of images that the origin neither tags nor can make again.
    fn untagged(&mut self, images: &[StoredImage]) -> Result<HashSet<Digest>, StoreError> {
        let mut untagged = HashSet::new();
        for image in images {
            let digest = &image.digest;
            let is_derived = matches!(self.verdicts.get(digest), Some(Verdict::Derived));
            if image.tag.is_some() && !is_derived && !self.prover.has_tag_of(digest)? {
                untagged.insert(digest.clone());
            }
        }
        Ok(untagged)
    }

    /// Sorts the manifests to be removed, so that an index comes before its children.
    fn order(&mut self, found: &[Planned]) -> Result<HashMap<Digest, usize>, StoreError> {
        let mut children: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for planned in found {
            if let TreeFile::Revision(_, digest) = &planned.file {
                let manifest = self.manifest(digest)?;
                let below = manifest.into_iter().flat_map(Manifest::children);
                let below = below.map(|child| child.digest.clone()).collect();
                children.insert(digest.clone(), below);
            }
        }
        let mut n_parents: HashMap<Digest, usize> = HashMap::new();
        for child in children.values().flatten() {
            *n_parents.entry(child.clone()).or_default() += 1;
        }
        let is_top = |digest: &&Digest| !n_parents.contains_key(*digest);
        let mut queue: Vec<Digest> = children.keys().filter(is_top).cloned().collect();
        let mut order = HashMap::new();
        while let Some(digest) = queue.pop() {
            for child in children.get(&digest).into_iter().flatten() {
                if let Some(n) = n_parents.get_mut(child) {
                    *n -= 1;
                    if *n == 0 {
                        queue.push(child.clone());
                    }
                }
            }
            order.insert(digest, order.len());
        }
        Ok(order)
    }
}
