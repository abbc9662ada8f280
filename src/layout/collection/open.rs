//! Finding out what a path is, and what images it has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gather::{FileEntry, Gathered, gather};
use super::index::{self, INDEX_LEN_MAX};
use super::{
    Blobs, Collection, CollectionError, CollectionKind, TopManifest, UnreadableImage, Volume,
    docker, tree,
};
use hod_oci::{Digest, Manifest, RepositoryName};
use hod_report::amount::format_count;

/// The prefix of oc-mirror's archives, followed by six digits and `.tar`.
const SEQUENCE: &str = "mirror_";
const N_DIGITS: usize = 6;

impl Collection {
    /// Opens the OCI layout in the directory `path`, or the archives there that oc-mirror wrote;
    /// `None` when it is neither.
    pub fn open_dir(path: &Path) -> Result<Option<Self>, CollectionError> {
        let is_file = |name: &str| {
            let stat = hod_fsx::try_stat(&path.join(name))?;
            Ok::<_, CollectionError>(stat.is_some_and(|stat| stat.is_file))
        };
        if is_file("oci-layout")? && is_file(INDEX)? {
            return Self::open_layout(path, None).map(Some);
        }
        let names = hod_fsx::read_dir_names(path)?;
        let mut volumes = names.iter().filter_map(|name| name.to_str());
        match volumes.find(|name| sequence_number(name).is_some()) {
            Some(first) => Self::open_file(&path.join(first)),
            None => Ok(None),
        }
    }

    /// Opens an archive of images; `None` when it has none, or is a bundle of ours.
    pub fn open_file(path: &Path) -> Result<Option<Self>, CollectionError> {
        let paths = volumes_of(path)?;
        let Some(gathered) = gather(&paths)? else {
            return Ok(None);
        };
        let gathered = &mut { gathered };
        if gathered.tree.is_some() {
            return Self::open_tree(&paths, gathered).map(Some);
        }
        let layout = gathered.heads.iter().find_map(|(dir, heads)| {
            let index = heads.index.clone().filter(|_| heads.has_oci_layout)?;
            Some((format!("{dir}{INDEX}"), index))
        });
        if let Some((member, index)) = layout {
            let listed = index::read(&index, path, &member)?;
            let mut collection = Self::of(&paths, CollectionKind::OciArchive, gathered)?;
            collection.entries = listed.entries;
            collection.take(listed.tops, listed.unreadable);
            return Ok(Some(collection));
        }
        Self::saved(&paths, gathered)
    }

    /// Opens an archive of `docker save` by its `manifest.json`, even if it is an OCI layout as well,
    /// as Docker 25 and later write it; `None` when it has none.
    pub fn open_saved(path: &Path) -> Result<Option<Self>, CollectionError> {
        let paths = [path.to_owned()];
        let Some(mut gathered) = gather(&paths)? else {
            return Ok(None);
        };
        // There the layers are named by their paths among the blobs of the layout.
        let blobs = gathered.blobs.values().map(|place| {
            let entry = FileEntry {
                place: place.clone(),
                content: None,
                packed: None,
            };
            (place.member.to_string(), entry)
        });
        let blobs: Vec<_> = blobs.collect();
        gathered.files.extend(blobs);
        Self::saved(&paths, &mut gathered)
    }

    fn saved(paths: &[PathBuf], gathered: &mut Gathered) -> Result<Option<Self>, CollectionError> {
        let saved = gathered.heads.iter().find_map(|(dir, heads)| {
            let manifest = heads.manifest.clone()?;
            Some((dir.clone(), manifest))
        });
        let (Some((dir, manifest)), Some(path)) = (saved, paths.first()) else {
            return Ok(None);
        };
        let images = docker::read(&manifest, path, &dir, gathered)?;
        gathered.blobs = images.blobs;
        gathered.manifests = images.manifests;
        let mut collection = Self::of(paths, CollectionKind::DockerArchive, gathered)?;
        collection.entries = images.entries;
        collection.take(images.tops, images.unreadable);
        Ok(Some(collection))
    }

    /// Opens the OCI layout in the directory `path`, whose blobs are in `shared_blobs` if that is
    /// given, below the name of their algorithm.
    pub fn open_layout(path: &Path, shared_blobs: Option<&Path>) -> Result<Self, CollectionError> {
        let index = hod_fsx::read(&path.join(INDEX), INDEX_LEN_MAX)?;
        let listed = index::read(&index, path, INDEX)?;
        let own_blobs = path.join("blobs");
        let mut collection = Self {
            path: path.to_owned(),
            kind: CollectionKind::OciLayout,
            images: Vec::new(),
            unreadable: Vec::new(),
            entries: listed.entries,
            blobs_dir: shared_blobs.map_or(own_blobs, Path::to_owned),
            declared: HashMap::new(),
            held: BTreeMap::new(),
            corrupt: BTreeSet::new(),
            blobs: Blobs::Directory,
            notes: Vec::new(),
        };
        collection.take(listed.tops, listed.unreadable);
        Ok(collection)
    }

    fn open_tree(paths: &[PathBuf], gathered: &mut Gathered) -> Result<Self, CollectionError> {
        let found = gathered.tree.take().unwrap_or_default();
        let mut collection = Self::of(paths, CollectionKind::TreeArchive, gathered)?;
        let (images, n_elsewhere) = tree::images(&collection, &found);
        collection.images = images;
        collection.unreadable = found.unreadable;
        let path = collection.path.display();
        if n_elsewhere > 0 {
            collection.notes.push(format!(
                "`{path}` lacks {} that its registry had; an earlier archive has what they name",
                format_count(n_elsewhere, "tag")
            ));
        }
        let numbers: Vec<u32> = paths.iter().filter_map(|path| number_of(path)).collect();
        let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
        if let Some(pair) = gap {
            collection.notes.push(format!(
                "archive number {} of those beside `{path}` is not found",
                pair[0] + 1
            ));
        }
        Ok(collection)
    }

    fn of(
        paths: &[PathBuf],
        kind: CollectionKind,
        gathered: &mut Gathered,
    ) -> Result<Self, CollectionError> {
        let places = std::mem::take(&mut gathered.blobs);
        let blobs = if gathered.is_compressed {
            Blobs::Sequential {
                volumes: paths.to_vec(),
                places,
            }
        } else {
            let volumes = paths.iter().map(|path| {
                Ok(Volume {
                    file: Arc::new(hod_fsx::open(path)?),
                    path: path.clone(),
                })
            });
            Blobs::InPlace {
                volumes: volumes.collect::<Result<_, CollectionError>>()?,
                places,
            }
        };
        Ok(Self {
            path: paths.first().cloned().unwrap_or_default(),
            kind,
            images: Vec::new(),
            unreadable: Vec::new(),
            entries: Vec::new(),
            blobs_dir: PathBuf::new(),
            declared: HashMap::new(),
            held: std::mem::take(&mut gathered.manifests),
            corrupt: std::mem::take(&mut gathered.corrupt),
            blobs,
            notes: Vec::new(),
        })
    }

    /// Takes the images, each once however often it is listed, and gives unnamed referrers the name
    /// of their image.
    fn take(&mut self, mut tops: Vec<TopManifest>, mut unreadable: Vec<UnreadableImage>) {
        let mut listed = HashSet::new();
        tops.retain(|top| listed.insert(top.image.clone()));
        let mut listed = HashSet::new();
        unreadable.retain(|image| listed.insert(image.name.clone()));
        self.unreadable = unreadable;
        for top in &tops {
            if let Some(media_type) = &top.media_type {
                let digest = top.image.digest.clone();
                self.declared.insert(digest, media_type.clone());
            }
        }
        if tops.iter().any(|top| !top.is_named) && tops.iter().any(|top| top.is_named) {
            let mut repositories: HashMap<Digest, RepositoryName> = HashMap::new();
            let mut named = HashSet::new();
            for top in tops.iter().filter(|top| top.is_named) {
                named.insert(top.image.digest.clone());
                let repository = &top.image.repository;
                let manifest = self.try_manifest(&top.image.digest);
                let children = manifest.iter().flat_map(Manifest::children);
                for digest in children
                    .map(|child| &child.digest)
                    .chain([&top.image.digest])
                {
                    repositories.insert(digest.clone(), repository.clone());
                }
            }
            // Some tools list an image by its name and, once more, without.
            tops.retain(|top| top.is_named || !named.contains(&top.image.digest));
            for top in tops.iter_mut().filter(|top| !top.is_named) {
                let manifest = self.try_manifest(&top.image.digest);
                let subject = manifest.as_ref().and_then(Manifest::subject);
                if let Some(repository) = subject.and_then(|s| repositories.get(&s.digest)) {
                    let (digest, len) = (top.image.digest.clone(), top.image.len);
                    let image = super::NamedImage::stored(repository.clone(), None, digest);
                    top.image = super::NamedImage { len, ..image };
                }
            }
        }
        self.images = tops.into_iter().map(|top| top.image).collect();
    }

    /// A manifest; one that cannot be read is listed as an image, and fails when it is used.
    pub(super) fn try_manifest(&self, digest: &Digest) -> Option<Manifest> {
        self.read_manifest(digest).unwrap_or_default()
    }
}

const INDEX: &str = "index.json";

/// The archives that belong together with the one at `path`.
fn volumes_of(path: &Path) -> Result<Vec<PathBuf>, CollectionError> {
    if number_of(path).is_none() {
        return Ok(vec![path.to_owned()]);
    }
    let names = hod_fsx::read_dir_names(hod_fsx::dir_of(path))?;
    let names = names.iter().filter_map(|name| name.to_str());
    let names = names.filter(|name| sequence_number(name).is_some());
    Ok(names.map(|name| path.with_file_name(name)).collect())
}

fn number_of(path: &Path) -> Option<u32> {
    sequence_number(path.file_name()?.to_str()?)
}

fn sequence_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(SEQUENCE)?.strip_suffix(".tar")?;
    let is_number = digits.len() == N_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}
