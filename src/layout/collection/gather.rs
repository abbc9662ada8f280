//! One pass through an archive: collects the places of its blobs, and its index files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::INDEX_LEN_MAX;
use super::packed::{Allowance, Packed};
use super::role::{Role, role, tree_above};
use super::{CollectionError, MemberRange, UnreadableImage};
use hod_oci::{Algorithm, Digest, MANIFEST_LEN_MAX, Manifest, RepositoryName, Tag};
use hod_tarball::{ArchiveError, Compression, Member, MemberKind, Reader};

/// The longest link of a registry that is read, in bytes.
const LINK_LEN_MAX: u64 = 256;
/// Maximum number of bytes kept of a compressed archive, which cannot be read twice.
pub(super) const HELD_LEN_MAX: u64 = 32 * 1024 * 1024;
/// How many bytes of paths are held.
const PATHS_LEN_MAX: usize = 64 * 1024 * 1024;

/// The content found in an archive of any kind.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) blobs: HashMap<Digest, MemberRange>,
    /// Of a compressed archive, every blob that is a manifest.
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    /// In a compressed archive: members whose bytes do not have the digest in their names.
    pub(super) corrupt: BTreeSet<Digest>,
    /// The index files, by their directories.
    pub(super) heads: BTreeMap<String, Heads>,
    pub(super) tree: Option<Tree>,
    /// All that has no place by its path, but in `docker save` archives by what names it.
    pub(super) files: HashMap<String, FileEntry>,
    pub(super) links: HashMap<String, MemberKind>,
    pub(super) is_compressed: bool,
}

/// The index files of one directory.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) has_oci_layout: bool,
    pub(super) index: Option<Vec<u8>>,
    pub(super) manifest: Option<Vec<u8>>,
}

/// The links of a registry's storage.
#[derive(Debug, Default)]
pub(super) struct Tree {
    above: String,
    pub(super) tags: BTreeMap<(RepositoryName, Tag), Digest>,
    pub(super) named: BTreeMap<RepositoryName, BTreeSet<Digest>>,
    pub(super) revisions: BTreeMap<RepositoryName, BTreeSet<Digest>>,
    /// Tags whose links are empty or garbage.
    pub(super) unreadable: Vec<UnreadableImage>,
}

/// A file by its path.
#[derive(Debug)]
pub(super) struct FileEntry {
    pub(super) place: MemberRange,
    /// Of a compressed archive, the content of what may be a configuration.
    pub(super) content: Option<Vec<u8>>,
    /// In a compressed archive: the members that are compressed themselves, unpacked, by their
    /// sha256.
    pub(super) packed: Option<Packed>,
}

/// Goes through archives that belong together; `None` if they are a bundle of ours.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Option<Gathered>, CollectionError> {
    let mut gather = Gather {
        found: Gathered::default(),
        held_len: 0,
        paths_len: 0,
        allowance: Allowance::default(),
    };
    for (volume, path) in paths.iter().enumerate() {
        let mut reader = Reader::open(path)?;
        let is_compressed = reader.compression() != Compression::None;
        gather.found.is_compressed |= is_compressed;
        while let Some(member) = reader.next_member()? {
            if role(member.path.as_str()) == Role::Ours {
                return Ok(None);
            }
            let at = At {
                path,
                volume,
                member: &member,
                is_compressed,
            };
            gather.add(&mut reader, at)?;
        }
    }
    Ok(Some(gather.found))
}

struct Gather {
    found: Gathered,
    held_len: u64,
    paths_len: usize,
    allowance: Allowance,
}

/// A member and its archive.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a Path,
    volume: usize,
    member: &'a Member,
    is_compressed: bool,
}

impl At<'_> {
    fn place(self) -> MemberRange {
        MemberRange {
            volume: self.volume,
            offset: self.member.offset,
            len: self.member.len,
            member: self.member.path.as_str().into(),
        }
    }

    fn duplicate(self) -> CollectionError {
        let (path, member) = (self.path.to_owned(), self.member.path.to_string());
        ArchiveError::Duplicate { path, member }.into()
    }

    fn content(self, problem: &str) -> CollectionError {
        CollectionError::Content {
            path: self.path.to_owned(),
            member: self.member.path.to_string(),
            problem: problem.to_owned(),
        }
    }
}

impl Gather {
    fn add(&mut self, reader: &mut Reader, at: At<'_>) -> Result<(), CollectionError> {
        let path = at.member.path.as_str();
        if let Some(above) = tree_above(path) {
            let tree = self.found.tree.get_or_insert_with(|| Tree {
                above: above.to_owned(),
                ..Tree::default()
            });
            if tree.above != above {
                return Err(at.content("is in a second registry tree; only one can be read"));
            }
        }
        if at.member.kind != MemberKind::File {
            return self.add_link(at);
        }
        match role(path) {
            // Bundles were told before.
            Role::Ours => Ok(()),
            Role::Blob(digest) => self.add_blob(reader, at, digest),
            Role::Tag(repository, tag) => {
                let digest = match read_link(reader, at)? {
                    Ok(digest) => digest,
                    Err(error) => {
                        self.count_path(at)?;
                        self.tree().unreadable.push(UnreadableImage {
                            name: format!("{repository}:{tag}"),
                            repository,
                            tag: Some(tag),
                            error: Arc::new(error),
                        });
                        return Ok(());
                    }
                };
                let tags = &mut self.tree().tags;
                match tags.insert((repository, tag), digest.clone()) {
                    Some(other) if other != digest => Err(at.duplicate()),
                    _ => Ok(()),
                }
            }
            Role::Named(repository, digest) => {
                self.tree()
                    .named
                    .entry(repository)
                    .or_default()
                    .insert(digest);
                self.count_path(at)
            }
            Role::Revision(repository, digest) => {
                let revisions = &mut self.tree().revisions;
                revisions.entry(repository).or_default().insert(digest);
                self.count_path(at)
            }
            Role::Head(dir, name) => self.add_head(reader, at, dir, name),
            Role::Other if self.found.tree.is_some() => Ok(()),
            Role::Other => self.add_file(reader, at),
        }
    }

    fn tree(&mut self) -> &mut Tree {
        self.found.tree.get_or_insert_default()
    }

    fn add_link(&mut self, at: At<'_>) -> Result<(), CollectionError> {
        self.count_path(at)?;
        let (path, kind) = (at.member.path.to_string(), at.member.kind.clone());
        match self.found.links.insert(path, kind) {
            Some(_) => Err(at.duplicate()),
            None => Ok(()),
        }
    }

    fn add_blob(
        &mut self,
        reader: &mut Reader,
        at: At<'_>,
        digest: Digest,
    ) -> Result<(), CollectionError> {
        self.count_path(at)?;
        if let Some(other) = self.found.blobs.get(&digest) {
            if other.volume == at.volume {
                return Err(at.duplicate());
            }
            // An earlier archive has it as well.
            return Ok(());
        }
        self.found.blobs.insert(digest.clone(), at.place());
        if !at.is_compressed || at.member.len > MANIFEST_LEN_MAX {
            return Ok(());
        }
        let bytes = reader.read_whole(MANIFEST_LEN_MAX)?;
        // Most are configurations and small layers, not manifests.
        if bytes.first() == Some(&b'{')
            && let Ok(manifest) = Manifest::parse_as(bytes.into(), digest.clone(), None)
        {
            if !digest.matches(manifest.bytes()) {
                self.found.corrupt.insert(digest);
                return Ok(());
            }
            self.hold(at, manifest.bytes().len())?;
            self.found.manifests.insert(digest, manifest);
        }
        Ok(())
    }

    fn add_head(
        &mut self,
        reader: &mut Reader,
        at: At<'_>,
        dir: String,
        name: &str,
    ) -> Result<(), CollectionError> {
        // A file of this name that is not needed is not read.
        if at.member.len > INDEX_LEN_MAX && self.found.tree.is_some() {
            return Ok(());
        }
        let bytes = reader.read_whole(INDEX_LEN_MAX)?;
        self.hold(at, bytes.len())?;
        let heads = self.found.heads.entry(dir).or_default();
        let old = match name {
            "oci-layout" => {
                let had_it = std::mem::replace(&mut heads.has_oci_layout, true);
                had_it.then(Vec::new)
            }
            "index.json" => heads.index.replace(bytes),
            _ => heads.manifest.replace(bytes),
        };
        match old {
            Some(_) => Err(at.duplicate()),
            None => Ok(()),
        }
    }

    fn add_file(&mut self, reader: &mut Reader, at: At<'_>) -> Result<(), CollectionError> {
        self.count_path(at)?;
        let mut entry = FileEntry {
            place: at.place(),
            content: None,
            packed: None,
        };
        if at.is_compressed {
            let start = reader.peek(Compression::MAGIC_LEN)?;
            if Compression::of(&start).is_of_layers() {
                let read = |buffer: &mut [u8]| reader.read_some(buffer);
                entry.packed = Some(self.allowance.unpack(Algorithm::Sha256, read)?);
            } else if start.first() == Some(&b'{') && at.member.len <= MANIFEST_LEN_MAX {
                let bytes = reader.read_whole(MANIFEST_LEN_MAX)?;
                self.hold(at, bytes.len())?;
                entry.content = Some(bytes);
            }
        }
        let path = at.member.path.to_string();
        match self.found.files.insert(path, entry) {
            Some(_) => Err(at.duplicate()),
            None => Ok(()),
        }
    }

    fn hold(&mut self, at: At<'_>, len: usize) -> Result<(), CollectionError> {
        self.held_len += len as u64;
        if self.held_len <= HELD_LEN_MAX {
            return Ok(());
        }
        Err(CollectionError::TooMuch {
            path: at.path.to_owned(),
            len_max: HELD_LEN_MAX,
        })
    }

    fn count_path(&mut self, at: At<'_>) -> Result<(), CollectionError> {
        // The overhead of a map entry is about as large as a path.
        self.paths_len += at.member.path.as_str().len() + 100;
        if self.paths_len <= PATHS_LEN_MAX {
            return Ok(());
        }
        Err(at.content("is one file too many: their names need more memory than is allowed"))
    }
}

/// Reads what a tag's link names, or why that cannot be told.
fn read_link(
    reader: &mut Reader,
    at: At<'_>,
) -> Result<Result<Digest, CollectionError>, CollectionError> {
    if at.member.len > LINK_LEN_MAX {
        return Ok(Err(at.content("is not a link: it is too long")));
    }
    let bytes = reader.read_whole(LINK_LEN_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let digest = text.trim().parse();
    Ok(digest.map_err(|error| at.content(&format!("is not a link: {error}"))))
}
