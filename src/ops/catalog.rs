//! What a local source holds, whatever kind it is, and how a list's lines are found in it.

mod near;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::carry::Carry;
use super::platforms::PlatformOptions;
use super::{FileKind, OpsError};
use crate::archive::ArchiveError;
use crate::bridge;
use crate::bundle::{Bundle, BundleError, BundleKind, ReadOptions};
use crate::fsx;
use crate::layout::{self, Collection, CollectionError, CollectionKind, LayoutError};
use crate::list::{
    self, Collision, Expanded, ImageList, IndexChoice, Landing, LineOptions, ListEntry,
    RenameError, RenameRules,
};
use crate::oci::{Digest, ReferrerTag, Registry, RepositoryName, Tag};
use crate::store::Store;
use crate::transfer::{
    BundleSource, ChosenImage, CollectionSource, Destination, LayoutsSource, Listed, ReferrerMode,
    Sought, Source, Stated, StreamedBundle, Transport, Wanted,
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
    /// Whether it is what a transport names.
    fn is(self, transport: Transport) -> bool {
        transport
            == match self {
                Self::Store => Transport::Store,
                Self::Bundle
                | Self::CompressedBundle
                | Self::PipedBundle
                | Self::Collection(CollectionKind::TreeArchive) => Transport::Bundle,
                Self::Layouts => Transport::Dir,
                Self::Collection(CollectionKind::OciLayout) => Transport::Oci,
                Self::Collection(CollectionKind::OciArchive) => Transport::OciArchive,
                Self::Collection(CollectionKind::DockerArchive) => Transport::DockerArchive,
            }
    }

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
    source: Arc<dyn Source>,
    /// The only image that is meant.
    image: Option<ChosenImage>,
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
            source: Arc::new(bundle),
            image: None,
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
                    let source = BundleSource(Arc::new(Bundle::open(&path, reading)?));
                    Ok(Self {
                        path,
                        kind: SourceKind::Bundle,
                        source: Arc::new(source),
                        image: None,
                    })
                }
                Some(BundleKind::Zstd) => {
                    let source = StreamedBundle::open(&path, &reading.trust)?;
                    Ok(Self {
                        path,
                        kind: SourceKind::CompressedBundle,
                        source: Arc::new(source),
                        image: None,
                    })
                }
                None => Err(unknown(path)?),
            };
        }
        if Store::detect(&path)? {
            let source = Arc::new(Store::open(&path)?);
            return Ok(Self {
                path,
                kind: SourceKind::Store,
                source,
                image: None,
            });
        }
        if layout::detect(&path)? {
            let layouts = layout::find_layouts(&path)?;
            let source = Arc::new(LayoutsSource(Arc::new(layouts)));
            return Ok(Self {
                path,
                kind: SourceKind::Layouts,
                source,
                image: None,
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
            source: Arc::new(CollectionSource(Arc::new(collection))),
            image: None,
        }))
    }

    /// Refuses what is not of the kind that an endpoint states, and takes the one image that it
    /// chooses, if it does.
    pub(super) fn taken_as(mut self, stated: &Stated) -> Result<Self, OpsError> {
        if let Some(transport) = stated.transport.filter(|stated| !self.kind.is(*stated)) {
            return Err(OpsError::OtherKind {
                path: self.path,
                kind: self.kind,
                transport,
            });
        }
        self.image.clone_from(&stated.image);
        Ok(self)
    }

    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    pub fn shared_source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }

    /// The images to carry under their new names: those that `list` names, or all.
    ///
    /// Every missing image and every collision is found here, before anything is done. An image
    /// that is found twice is wanted once.
    ///
    /// Without a list, what is about an image is carried with it or left, and is no image itself.
    pub async fn wanted(
        &self,
        list: Option<&ImageList>,
        rules: &RenameRules,
        carry: &Carry<'_>,
    ) -> Result<Vec<Wanted>, OpsError> {
        let rules = std::slice::from_ref(rules);
        let mut wanted = self.wanted_under(list, rules, carry).await?;
        Ok(wanted.pop().unwrap_or_default())
    }

    /// The same images in the same order under the names that each of several rules gives them.
    pub async fn wanted_under(
        &self,
        list: Option<&ImageList>,
        rules: &[RenameRules],
        carry: &Carry<'_>,
    ) -> Result<Vec<Vec<Wanted>>, OpsError> {
        let found = match list {
            Some(list) => self.find_listed(list).await?,
            None => self.images().await?,
        };
        let mut is_new = vec![false; found.len()];
        let mut all = Vec::with_capacity(rules.len());
        for rules in rules {
            let (wanted, landings) = self.land(found.clone(), rules, carry)?;
            require_apart(&landings)?;
            let mut seen = HashSet::new();
            for (is_new, landing) in is_new.iter_mut().zip(landings) {
                let identity = match landing.digest {
                    Some(digest) => digest.to_string(),
                    None => landing.source,
                };
                *is_new |= seen.insert((landing.repository, landing.tag, identity));
            }
            all.push(wanted);
        }
        let kept = |wanted: Vec<Wanted>| {
            let images = wanted.into_iter().zip(&is_new);
            images.filter_map(|(image, &is_new)| is_new.then_some(image))
        };
        Ok(all
            .into_iter()
            .map(|wanted| kept(wanted).collect())
            .collect())
    }

    /// Every image under its own name, with its referrers, for verbs that carry nothing: different
    /// images of one name are a part of what they find.
    pub async fn survey(&self) -> Result<(Vec<Wanted>, Vec<Collision>), OpsError> {
        let found = self.images().await?;
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
        let names = found
            .iter()
            .map(|found| &found.image.destination.repository);
        rules.require_used(names)?;
        let mut wanted = Vec::with_capacity(found.len());
        let mut landings = Vec::with_capacity(found.len());
        for Found { image, options } in found {
            let (destination, landing) =
                landed(rules, (&image.name, image.digest), image.destination)?;
            landings.push(landing);
            let carried = carry.of(&options);
            wanted.push(carried.wanted(image.name, image.locate, destination));
        }
        Ok((wanted, landings))
    }

    async fn find_listed(&self, list: &ImageList) -> Result<Vec<Found>, OpsError> {
        let mut entries = Vec::with_capacity(list.lines.len());
        let mut missing = Vec::new();
        for image in self.expand(list).await? {
            match image {
                Expanded::Image(entry) => entries.push(entry),
                Expanded::Nothing(line, ()) => missing.push(line.to_string()),
            }
        }
        let n_wanted = entries.len() + missing.len();
        let sought = entries.iter().map(names).collect();
        let found_by_name = self.source.find(sought).await?;
        let mut found = Vec::with_capacity(entries.len());
        for (entry, images) in entries.iter().zip(found_by_name) {
            if images.is_empty() {
                missing.push(entry.reference.to_string());
            }
            let stored = entry.stored();
            found.extend(images.into_iter().map(|(locate, digest)| Found {
                image: Listed {
                    name: entry.reference.to_string(),
                    locate,
                    destination: Destination {
                        repository: stored.repository.clone(),
                        tag: stored.tag.clone(),
                    },
                    digest,
                },
                options: entry.options.clone(),
            }));
        }
        if missing.is_empty() {
            return Ok(found);
        }
        Err(OpsError::Missing {
            path: self.path.clone(),
            n_wanted,
            missing,
        })
    }

    /// The images of a list; a pattern stands for tags that the source has, under the first of the
    /// names that its repository may have there.
    async fn expand(&self, list: &ImageList) -> Result<Vec<Expanded<()>>, OpsError> {
        let mut tags: HashMap<RepositoryName, Vec<Tag>> = HashMap::new();
        if list.patterns().next().is_some() {
            for image in self.source.list().await? {
                let Destination { repository, tag } = image.destination;
                tags.entry(repository).or_default().extend(tag);
            }
        }
        let list = list.clone();
        let expanded = bridge::run(move || {
            list.expand(&Registry::docker_hub(), |line| {
                let mut repositories = repositories(&line.stem).into_iter();
                let chosen = repositories.find_map(|repository| {
                    let chosen = line.tags.choose(tags.get(&repository)?.iter().cloned());
                    (!chosen.is_empty()).then_some(chosen)
                });
                chosen.ok_or(())
            })
        });
        Ok(expanded.await?)
    }

    /// The images that are meant without a list: the one that was chosen, or all.
    async fn images(&self) -> Result<Vec<Found>, OpsError> {
        let mut images = self.all_images().await?;
        let Some(chosen) = &self.image else {
            return Ok(images);
        };
        let listed: Vec<Listed> = images.iter().map(|found| found.image.clone()).collect();
        let found = chosen.find(&listed);
        let name = |at: &usize| listed[*at].name.clone();
        match found.as_slice() {
            [at] => Ok(vec![images.swap_remove(*at)]),
            [] => Err(OpsError::NoSuchImage {
                path: self.path.clone(),
                image: chosen.to_string(),
                present: listed.iter().map(|image| image.name.clone()).collect(),
            }),
            several => Err(OpsError::AmbiguousImage {
                path: self.path.clone(),
                image: chosen.to_string(),
                found: several.iter().map(name).collect(),
            }),
        }
    }

    /// Every image, without what is carried with one of them.
    async fn all_images(&self) -> Result<Vec<Found>, OpsError> {
        let mut by_repository: BTreeMap<RepositoryName, Vec<Listed>> = BTreeMap::new();
        for image in self.source.list().await? {
            let repository = image.destination.repository.clone();
            by_repository.entry(repository).or_default().push(image);
        }
        let mut images = Vec::new();
        for (repository, of_repository) in by_repository {
            let is_plain = |tag: &Tag| ReferrerTag::parse(tag).is_none();
            let tag = |image: &Listed| image.destination.tag.clone();
            if of_repository
                .iter()
                .all(|i| tag(i).as_ref().is_some_and(is_plain))
            {
                images.extend(of_repository);
                continue;
            }
            let referrers = self.source.referrers(&repository).await?;
            let (others, roots): (Vec<Listed>, Vec<Listed>) = of_repository
                .into_iter()
                .partition(|i| referrers.is_candidate(tag(i).as_ref(), i.digest.as_ref()));
            let tops: HashSet<Digest> = roots.iter().filter_map(|i| i.digest.clone()).collect();
            let carried = referrers.carried_with(&tops);
            images.extend(roots);
            images.extend(others.into_iter().filter(|image| {
                let digest = image.digest.as_ref();
                !referrers.is_carried(tag(image).as_ref(), digest, &carried)
            }));
        }
        let options = LineOptions::default;
        let found = images.into_iter().map(|image| Found {
            image,
            options: options(),
        });
        Ok(found.collect())
    }
}

/// Where an image goes by the rules, and how that is compared with others.
pub(super) fn landed(
    rules: &RenameRules,
    (name, digest): (&str, Option<Digest>),
    destination: Destination,
) -> Result<(Destination, Landing), OpsError> {
    // Registries with projects, above all Harbor, have no place for a name without one.
    let repository = rules.apply(&destination.repository)?.with_library();
    let landing = Landing {
        source: name.to_owned(),
        repository: repository.clone(),
        tag: destination.tag.clone(),
        digest,
    };
    let tag = destination.tag;
    Ok((Destination { repository, tag }, landing))
}

/// Refuses different images that would have one name.
pub(super) fn require_apart(landings: &[Landing]) -> Result<(), OpsError> {
    let collisions = list::collisions(landings);
    if collisions.is_empty() {
        Ok(())
    } else {
        Err(RenameError::Collisions(collisions).into())
    }
}

/// The names that an image of a list is looked for under: that which `hod pull` gives it, then those
/// that other tools give it.
fn names(entry: &ListEntry) -> Vec<Sought> {
    let stored = entry.stored();
    let names = repositories(entry);
    // What a rewritten index was made of is at its registry only.
    let digest = match &entry.options.index {
        Some(IndexChoice::Rewrite(Some(rewritten))) => Some(rewritten),
        _ => entry.reference.digest.as_ref(),
    };
    let sought = names.iter().flat_map(|repository| {
        let tags = [stored.tag.clone(), entry.reference.tag.clone()];
        tags.map(|tag| Sought {
            repository: repository.clone(),
            tag,
            digest: digest.cloned(),
        })
    });
    sought.collect()
}

/// The repositories that it is looked for in.
fn repositories(entry: &ListEntry) -> Vec<RepositoryName> {
    let mut names = vec![entry.stored().repository];
    names.extend(entry.reference.stored_name().ok());
    let bare: Vec<_> = names
        .iter()
        .filter_map(RepositoryName::without_library)
        .collect();
    names.extend(bare);
    names
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
pub async fn image_names(source: &Path, reading: &ReadOptions) -> Result<Vec<String>, OpsError> {
    let (path, reading) = (source.to_owned(), reading.clone());
    let catalog = bridge::run(move || Catalog::open(&path, &reading)).await?;
    let found = catalog.images().await?;
    Ok(found.into_iter().map(|found| found.image.name).collect())
}

/// An image of the source, and what its line of a list asks for.
#[derive(Clone)]
struct Found {
    image: Listed,
    options: LineOptions,
}
