//! What a local source holds, whatever kind it is, and how a list's lines are found in it.

mod near;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::carry::Carry;
use super::platforms::PlatformOptions;
use super::{FileKind, OpsError};
use crate::archive::ArchiveError;
use crate::bridge;
use crate::bundle::{Bundle, BundleError, BundleImage, BundleKind, ReadOptions};
use crate::fsx;
use crate::layout::{self, Collection, CollectionError, CollectionKind, LayoutError, NamedImage};
use crate::list::{
    self, Collision, ImageList, IndexChoice, Landing, LineOptions, ListEntry, RenameError,
    RenameRules,
};
use crate::oci::{Digest, ReferrerTag, RepositoryName, Tag};
use crate::store::Store;
use crate::transfer::{
    Destination, LocalReferrers, Locate, ReferrerMode, Source, StreamedBundle, Wanted, layout_name,
};

/// What a path was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum SourceKind {
    Store,
    Bundle,
    CompressedBundle,
    /// From stdin, compressed or not.
    PipedBundle,
    Layouts,
    Collection(CollectionKind),
}

impl From<SourceKind> for &'static str {
    fn from(kind: SourceKind) -> Self {
        kind.as_str()
    }
}

impl SourceKind {
    /// The kind in words, with an article.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "a registry tree",
            Self::Bundle => "a bundle",
            Self::CompressedBundle => "a compressed bundle",
            Self::PipedBundle => "a bundle from stdin",
            Self::Layouts => "a directory of `dir:` layouts",
            Self::Collection(CollectionKind::OciLayout) => "an OCI layout",
            Self::Collection(CollectionKind::OciArchive) => "an archive of an OCI layout",
            Self::Collection(CollectionKind::DockerArchive) => "a `docker save` archive",
            Self::Collection(CollectionKind::TreeArchive) => "an archive of a registry tree",
        }
    }
}

/// A local source of images, opened.
#[derive(Debug, Clone)]
pub struct Catalog {
    path: PathBuf,
    kind: SourceKind,
    source: Source,
}

impl Catalog {
    /// Opens `path` as whatever it is, for a verb that reads each blob at most once: `-` is a bundle
    /// from stdin, raw or compressed, whose volumes come one after the other.
    pub async fn open_once(path: &Path, reading: &ReadOptions) -> Result<Self, OpsError> {
        if !fsx::is_stdin(path) {
            let (path, reading) = (path.to_owned(), reading.clone());
            return bridge::run(move || Self::open(&path, &reading)).await;
        }
        let path = PathBuf::from(fsx::STDIN);
        let bundle = StreamedBundle::start(fsx::stdin()?, &path, &reading.trust).await?;
        Ok(Self {
            path,
            kind: SourceKind::PipedBundle,
            source: Source::BundleStream(Arc::new(bundle)),
        })
    }

    /// Opens `path` as whatever it is, but not stdin.
    pub fn open(path: &Path, reading: &ReadOptions) -> Result<Self, OpsError> {
        require_no_pipe(path)?;
        let stat = fsx::try_stat(path)?;
        let stat = stat.ok_or_else(|| OpsError::NoSource {
            path: path.to_owned(),
        })?;
        if let Some(catalog) = Self::open_collection(path, reading)? {
            return Ok(catalog);
        }
        let path = path.to_owned();
        if stat.is_file && stat.len == 0 {
            return Err(BundleError::Empty { path }.into());
        }
        if stat.is_file {
            return match Bundle::detect(&path)? {
                Some(BundleKind::Raw) => {
                    let source = Source::Bundle(Arc::new(Bundle::open(&path, reading)?));
                    Ok(Self {
                        path,
                        kind: SourceKind::Bundle,
                        source,
                    })
                }
                Some(BundleKind::Zstd) => {
                    let source = Source::BundleStream(Arc::new(StreamedBundle::open(
                        &path,
                        &reading.trust,
                    )?));
                    Ok(Self {
                        path,
                        kind: SourceKind::CompressedBundle,
                        source,
                    })
                }
                None => Err(unknown(path)?),
            };
        }
        if Store::detect(&path)? {
            let source = Source::Store(Store::open(&path)?);
            return Ok(Self {
                path,
                kind: SourceKind::Store,
                source,
            });
        }
        if layout::detect(&path)? {
            let source = Source::Layouts(Arc::new(layout::find_layouts(&path)?));
            return Ok(Self {
                path,
                kind: SourceKind::Layouts,
                source,
            });
        }
        let tree = near::tree_near(&path)?;
        Err(OpsError::UnknownSource { path, tree })
    }

    /// Opens `path` if it is what another tool has put together.
    ///
    /// It is signed by nobody, and so refused where only signed bundles are read: a bundle without
    /// its head is an archive of a registry tree.
    pub(super) fn open_collection(
        path: &Path,
        reading: &ReadOptions,
    ) -> Result<Option<Self>, OpsError> {
        let Some(collection) = open_collection(path)? else {
            return Ok(None);
        };
        if reading.trust.is_required() {
            return Err(BundleError::from(reading.trust.refuse_unsigned(path)).into());
        }
        Ok(Some(Self {
            path: path.to_owned(),
            kind: SourceKind::Collection(collection.kind()),
            source: Source::Collection(Arc::new(collection)),
        }))
    }

    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The images to carry under their new names: those that `list` names, or all.
    ///
    /// Every missing image and every collision is found here, before anything is done. An image
    /// that is found twice is wanted once.
    ///
    /// Without a list, what is about an image is carried with it or left, and is no image itself.
    pub fn wanted(
        &self,
        list: Option<&ImageList>,
        rules: &RenameRules,
        carry: &Carry<'_>,
    ) -> Result<Vec<Wanted>, OpsError> {
        let found = match list {
            Some(list) => self.find_listed(list)?,
            None => self.without_referrers(self.all()?)?,
        };
        let (wanted, landings) = self.land(found, rules, carry)?;
        let collisions = list::collisions(&landings);
        if !collisions.is_empty() {
            return Err(RenameError::Collisions(collisions).into());
        }
        let mut seen = HashSet::new();
        let images = wanted.into_iter().zip(landings);
        let images = images.filter(|(_, landing)| {
            let identity = match &landing.digest {
                Some(digest) => digest.to_string(),
                None => landing.source.clone(),
            };
            seen.insert((landing.repository.clone(), landing.tag.clone(), identity))
        });
        Ok(images.map(|(wanted, _)| wanted).collect())
    }

    /// Every image under its own name, with its referrers, for verbs that carry nothing: different
    /// images of one name are a part of what they find.
    pub fn survey(&self) -> Result<(Vec<Wanted>, Vec<Collision>), OpsError> {
        let found = self.without_referrers(self.all()?)?;
        let rules = RenameRules::default();
        let everything = PlatformOptions::default();
        let carry = Carry::local(&everything, ReferrerMode::Carry);
        let (wanted, landings) = self.land(found, &rules, &carry)?;
        Ok((wanted, list::collisions(&landings)))
    }

    /// Gives images their new names.
    fn land(
        &self,
        found: Vec<Found>,
        rules: &RenameRules,
        carry: &Carry<'_>,
    ) -> Result<(Vec<Wanted>, Vec<Landing>), OpsError> {
        if found.is_empty() {
            return Err(OpsError::NoImages {
                path: self.path.clone(),
            });
        }
        rules.require_used(found.iter().map(|image| &image.destination.repository))?;
        let mut wanted = Vec::with_capacity(found.len());
        let mut landings = Vec::with_capacity(found.len());
        for image in found {
            // Registries with projects, above all Harbor, have no place for a name without one.
            let repository = rules.apply(&image.destination.repository)?.with_library();
            let destination = Destination {
                repository,
                tag: image.destination.tag,
            };
            landings.push(Landing {
                source: image.name.clone(),
                repository: destination.repository.clone(),
                tag: destination.tag.clone(),
                digest: image.digest,
            });
            let carried = carry.of(&image.options);
            wanted.push(carried.wanted(image.name, image.locate, destination));
        }
        Ok((wanted, landings))
    }

    fn find_listed(&self, list: &ImageList) -> Result<Vec<Found>, OpsError> {
        // A store is asked for each image, which costs less than reading all of it.
        let known = match &self.source {
            Source::Store(_) => Vec::new(),
            _ => self.all()?,
        };
        let mut found = Vec::with_capacity(list.entries.len());
        let mut missing = Vec::new();
        for entry in &list.entries {
            let images = self.find(entry, &known)?;
            if images.is_empty() {
                missing.push(entry.reference.to_string());
            }
            found.extend(images);
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let n_wanted = list.entries.len();
        Err(OpsError::Missing {
            path: self.path.clone(),
            n_wanted,
            missing,
        })
    }

    /// Looks for the image under the name that `hod pull` gives it, then under those that other
    /// tools give it; it is to go where the list says.
    ///
    /// There are several where the source has one name for different images.
    fn find(&self, entry: &ListEntry, known: &[Found]) -> Result<Vec<Found>, OpsError> {
        let stored = entry.stored();
        let mut names = vec![stored.repository.clone()];
        names.extend(entry.reference.stored_name().ok());
        let bare: Vec<_> = names
            .iter()
            .filter_map(RepositoryName::without_library)
            .collect();
        names.extend(bare);
        // What a rewritten index was made of is at its registry only.
        let digest = match &entry.options.index {
            Some(IndexChoice::Rewrite(Some(rewritten))) => Some(rewritten),
            _ => entry.reference.digest.as_ref(),
        };
        for repository in names {
            for tag in [&stored.tag, &entry.reference.tag] {
                let sought = Sought {
                    repository: &repository,
                    tag: tag.as_ref(),
                    digest,
                };
                let images = self.look_up(&sought, known)?;
                if !images.is_empty() {
                    let image = |(locate, digest)| Found {
                        name: entry.reference.to_string(),
                        locate,
                        destination: Destination {
                            repository: stored.repository.clone(),
                            tag: stored.tag.clone(),
                        },
                        digest,
                        options: entry.options.clone(),
                    };
                    return Ok(images.into_iter().map(image).collect());
                }
            }
        }
        Ok(Vec::new())
    }

    fn look_up(
        &self,
        sought: &Sought<'_>,
        known: &[Found],
    ) -> Result<Vec<(Locate, Option<Digest>)>, OpsError> {
        let Source::Store(store) = &self.source else {
            let found = known.iter().filter(|image| sought.is(image));
            let found = found.map(|image| (image.locate.clone(), image.digest.clone()));
            return Ok(found.collect());
        };
        let digest = match (sought.digest, sought.tag) {
            (Some(digest), _) => store
                .has_revision(sought.repository, digest)?
                .then(|| digest.clone()),
            (None, Some(tag)) => match store.resolve_tag(sought.repository, tag) {
                Ok(digest) => digest,
                Err(error) => return Ok(vec![(Locate::unreadable(error), None)]),
            },
            (None, None) => None,
        };
        let found = digest.map(|digest| (Locate::stored(sought.repository, &digest), Some(digest)));
        Ok(found.into_iter().collect())
    }

    /// Takes out what is carried with the images that remain.
    fn without_referrers(&self, all: Vec<Found>) -> Result<Vec<Found>, OpsError> {
        let mut by_repository: BTreeMap<RepositoryName, Vec<Found>> = BTreeMap::new();
        for found in all {
            let repository = found.destination.repository.clone();
            by_repository.entry(repository).or_default().push(found);
        }
        let mut images = Vec::new();
        for (repository, of_repository) in by_repository {
            let is_plain = |tag: &Tag| ReferrerTag::parse(tag).is_none();
            let is_image = |found: &Found| found.destination.tag.as_ref().is_some_and(is_plain);
            if of_repository.iter().all(is_image) {
                images.extend(of_repository);
                continue;
            }
            let referrers = LocalReferrers::load(&self.source, &repository)?;
            let (others, roots): (Vec<Found>, Vec<Found>) = of_repository
                .into_iter()
                .partition(|found| referrers.is_candidate(found.tag(), found.digest.as_ref()));
            let tops: HashSet<Digest> = roots.iter().filter_map(|i| i.digest.clone()).collect();
            let carried = referrers.carried_with(&tops);
            images.extend(roots);
            images.extend(others.into_iter().filter(|found| {
                let digest = found.digest.as_ref();
                !referrers.is_carried(found.tag(), digest, &carried)
            }));
        }
        Ok(images)
    }

    /// Everything that the source holds, by name.
    fn all(&self) -> Result<Vec<Found>, OpsError> {
        let of_bundle = |images: &[BundleImage]| {
            let found = images.iter().map(|image| {
                Found::stored(
                    image.repository.clone(),
                    image.tag.clone(),
                    image.digest.clone(),
                )
            });
            found.collect()
        };
        match &self.source {
            Source::Store(store) => {
                let listed = store.images()?;
                let mut found: Vec<Found> = Vec::with_capacity(listed.images.len());
                for image in listed.images {
                    found.push(Found::stored(image.repository, image.tag, image.digest));
                }
                for tag in listed.unreadable {
                    found.push(Found {
                        name: tag.to_string(),
                        destination: Destination {
                            repository: tag.repository,
                            tag: Some(tag.tag),
                        },
                        locate: Locate::unreadable(tag.error),
                        digest: None,
                        options: LineOptions::default(),
                    });
                }
                Ok(found)
            }
            Source::Bundle(bundle) => Ok(of_bundle(&bundle.manifest().images)),
            Source::BundleStream(bundle) => Ok(of_bundle(&bundle.document.images)),
            Source::Layouts(layouts) => {
                let mut found = Vec::with_capacity(layouts.len());
                for (at, layout) in layouts.iter().enumerate() {
                    let top = layout::DirLayout::open(&layout.path)
                        .and_then(|layout| layout.top_manifest());
                    let (repository, tag) = layout_name(&layout.reference);
                    let (locate, digest) = match top {
                        Ok(top) => (Locate::Layout(at), Some(top.digest().clone())),
                        Err(error) => (Locate::unreadable(error), None),
                    };
                    found.push(Found {
                        name: layout.reference.to_string(),
                        locate,
                        destination: Destination { repository, tag },
                        digest,
                        options: LineOptions::default(),
                    });
                }
                Ok(found)
            }
            Source::Collection(collection) => {
                let images = collection.images().iter().map(Found::of_collection);
                let unreadable = collection.unreadable().iter().map(|image| Found {
                    name: image.name.clone(),
                    locate: Locate::unreadable(LayoutError::Collection(Arc::clone(&image.error))),
                    destination: Destination {
                        repository: image.repository.clone(),
                        tag: image.tag.clone(),
                    },
                    digest: None,
                    options: LineOptions::default(),
                });
                Ok(images.chain(unreadable).collect())
            }
            Source::Registry(_) => Ok(Vec::new()),
        }
    }
}

/// Refuses stdin, for a verb that needs more than one look at a source.
pub(super) fn require_no_pipe(path: &Path) -> Result<(), OpsError> {
    if fsx::is_stdin(path) {
        return Err(OpsError::Piped);
    }
    Ok(())
}

/// Refuses what cannot be the directory of a store: stdin or stdout, and files.
pub(super) fn require_store_path(path: &Path) -> Result<(), OpsError> {
    let kind = if fsx::is_stdin(path) {
        FileKind::Pipe
    } else if !fsx::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        return Ok(());
    } else if Bundle::detect(path)?.is_some() {
        FileKind::Bundle
    } else {
        FileKind::Other
    };
    let path = path.to_owned();
    Err(OpsError::NotADirectory { path, kind })
}

/// Says of a file that is of no known kind what it is, if it can be told.
fn unknown(path: PathBuf) -> Result<OpsError, OpsError> {
    let file = fsx::open(&path)?;
    let mut start = [0; 6];
    let n = fsx::read_at(&file, &path, &mut start, 0)?;
    let compressions = [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"PK\x03\x04", "zip"),
    ];
    let mut known = compressions.into_iter();
    Ok(
        match known.find(|(magic, _)| start[..n].starts_with(magic)) {
            Some((_, compression)) => OpsError::Compression { path, compression },
            None => OpsError::UnknownSource { path, tree: None },
        },
    )
}

/// Opens what another tool has put together; `None` when that is not what it is.
fn open_collection(path: &Path) -> Result<Option<Collection>, OpsError> {
    let Some(stat) = fsx::try_stat(path)? else {
        return Ok(None);
    };
    if stat.is_dir {
        let is_store = Store::detect(path)?;
        let open = || Collection::open_dir(path).map_err(LayoutError::from);
        return Ok(if is_store { None } else { open()? });
    }
    if !stat.is_file {
        return Ok(None);
    }
    match Collection::open_file(path) {
        // No tar at all, or a bundle whose first header is damaged: others say more of it.
        Err(CollectionError::Archive(ArchiveError::BadHeader { offset: 0, .. })) => Ok(None),
        result => Ok(result.map_err(LayoutError::from)?),
    }
}

/// The names of the images at a path, each as a list that finds it there has it.
pub fn image_names(source: &Path, reading: &ReadOptions) -> Result<Vec<String>, OpsError> {
    let catalog = Catalog::open(source, reading)?;
    let found = catalog.without_referrers(catalog.all()?)?;
    Ok(found.into_iter().map(|image| image.name).collect())
}

/// An image of the source, and where it goes before renaming.
struct Found {
    name: String,
    locate: Locate,
    destination: Destination,
    /// `None` for one that cannot be read.
    digest: Option<Digest>,
    /// What its line of a list asks for.
    options: LineOptions,
}

impl Found {
    fn tag(&self) -> Option<&Tag> {
        self.destination.tag.as_ref()
    }

    fn of_collection(image: &NamedImage) -> Self {
        let (repository, tag) = (image.repository.clone(), image.tag.clone());
        Self {
            name: image.name.clone(),
            locate: Locate::Stored {
                repository: repository.clone(),
                digest: image.digest.clone(),
                len: image.len,
            },
            destination: Destination { repository, tag },
            digest: Some(image.digest.clone()),
            options: LineOptions::default(),
        }
    }

    fn stored(repository: RepositoryName, tag: Option<Tag>, digest: Digest) -> Self {
        let name = match &tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{digest}"),
        };
        let locate = Locate::stored(&repository, &digest);
        Self {
            name,
            locate,
            destination: Destination { repository, tag },
            digest: Some(digest),
            options: LineOptions::default(),
        }
    }
}

/// What an image is looked for by: its digest if that is given, else its tag.
struct Sought<'a> {
    repository: &'a RepositoryName,
    tag: Option<&'a Tag>,
    digest: Option<&'a Digest>,
}

impl Sought<'_> {
    fn is(&self, image: &Found) -> bool {
        image.destination.repository == *self.repository
            && match self.digest {
                Some(digest) => image.digest.as_ref() == Some(digest),
                None => image.destination.tag.as_ref() == self.tag,
            }
    }
}
