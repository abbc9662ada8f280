//! `diff`: the differences between two sources, and the size of a delta between them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use futures_util::future::try_join;
use serde::Serialize;

use super::input::Look;
use super::inventory::{Detail, Inventoried, Inventory};
use super::unread::Unread;
use super::{Context, OpsError, UnreadImage, Verb};
use hod_bundle::{RECEIPT_LEN_MAX, Receipt};
use hod_list::{ImageList, ListLine, RenameRules};
use hod_oci::{Digest, Tag, sum_len};

/// Number of bytes of a file that are read to recognise a receipt.
const START_LEN: usize = 256;

/// The sources to compare.
#[derive(Debug)]
pub struct DiffOptions {
    pub old: Compared,
    pub new: Compared,
    /// Lists whose lines are named.
    pub list: Option<ImageList>,
}

/// The sources to compare.
#[derive(Debug)]
pub enum Compared {
    Receipt(PathBuf),
    Images {
        look: Box<Look>,
        /// What gives the images the names under which they are compared.
        renames: Option<RenameRules>,
    },
}

impl Compared {
    fn path(&self) -> &Path {
        match self {
            Self::Receipt(path) => path,
            Self::Images { look, .. } => look.input.word(),
        }
    }
}

/// The differences.
#[derive(Debug, Serialize)]
pub struct DiffOutcome {
    pub old: DiffSide,
    pub new: DiffSide,
    /// By name.
    pub images: Vec<ImageChange>,
    pub n_unchanged: usize,
    /// Configs and layers of the new that the old does not have; absent when the new is a receipt.
    pub added: Option<BlobCount>,
    /// Blobs of OLD that NEW does not have; absent if OLD is a receipt.
    pub removed: Option<BlobCount>,
    pub shared: BlobCount,
    /// The size of a bundle of the new source for a target with the old one: added blobs, and all
    /// manifests.
    pub delta_bytes: Option<u64>,
}

impl DiffOutcome {
    /// Whether both have the same images.
    pub fn is_same(&self) -> bool {
        let is_none = |count: &Option<BlobCount>| count.is_none_or(|count| count.blobs == 0);
        self.images.is_empty() && is_none(&self.added) && is_none(&self.removed)
    }
}

/// One of the two.
#[derive(Debug, Serialize)]
pub struct DiffSide {
    pub source: PathBuf,
    pub kind: &'static str,
    /// Absent for a receipt, which knows digests only.
    pub images: Option<usize>,
    /// Images that cannot be read, and are not compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<UnreadImage>,
    /// Named images that are in neither source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<UnreadImage>,
}

/// An image that is not the same in both.
#[derive(Debug, Serialize)]
pub struct ImageChange {
    pub image: String,
    pub change: Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_digest: Option<Digest>,
    /// Bytes of its configs and layers that OLD does not have.
    pub new_bytes: u64,
    /// The line of a list that it comes from, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

/// The change of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Removed,
    /// Its name has another digest.
    Changed,
}

/// So many configs and layers, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BlobCount {
    pub blobs: usize,
    pub bytes: u64,
}

/// One side of the comparison.
enum Side {
    Inventory(Box<Inventory>),
    Receipt(Box<Receipt>),
}

impl Side {
    async fn open(cx: &Context, compared: &Compared) -> Result<Self, OpsError> {
        match compared {
            Compared::Receipt(path) => Ok(Self::Receipt(Box::new(read_receipt(path)?))),
            Compared::Images { look, renames } => {
                let mut inventory = Inventory::take(cx, look, Detail::Content).await?;
                if let Some(rules) = renames {
                    inventory.rename(rules)?;
                }
                Ok(Self::Inventory(Box::new(inventory)))
            }
        }
    }

    fn facts(&self, source: &Path, other: &Self) -> DiffSide {
        let source = source.to_owned();
        let damaged = self.damaged().iter();
        match self {
            Self::Inventory(inventory) => DiffSide {
                source,
                kind: inventory.kind.as_str(),
                images: Some(inventory.images.len()),
                damaged: damaged.map(|unread| unread.image.clone()).collect(),
                absent: absent_in_both(inventory, other.images()),
            },
            Self::Receipt(_) => DiffSide {
                source,
                kind: "a receipt",
                images: None,
                damaged: Vec::new(),
                absent: Vec::new(),
            },
        }
    }

    /// The images that cannot be read.
    fn damaged(&self) -> &[Unread] {
        match self {
            Self::Inventory(inventory) => &inventory.damaged,
            Self::Receipt(_) => &[],
        }
    }

    /// The names under which they are compared.
    fn unread_names(&self) -> HashSet<String> {
        let damaged = self.damaged().iter();
        damaged.filter_map(Unread::stored_name).collect()
    }

    /// The images by the names under which they are compared.
    fn named(&self) -> BTreeMap<String, &Inventoried> {
        let images = self.images().iter();
        images.map(|image| (image.stored_name(), image)).collect()
    }

    fn images(&self) -> &[Inventoried] {
        match self {
            Self::Inventory(inventory) => &inventory.images,
            Self::Receipt(_) => &[],
        }
    }

    /// Whether it has a digest, or requires it at its target.
    fn has(&self, digest: &Digest) -> bool {
        match self {
            Self::Inventory(inventory) => {
                inventory.held.contains_key(digest) || inventory.base.contains_key(digest)
            }
            Self::Receipt(receipt) => receipt.has(digest),
        }
    }
}

/// The images that were not found on one side, without those that the other has: these are a
/// difference.
fn absent_in_both(inventory: &Inventory, other: &[Inventoried]) -> Vec<UnreadImage> {
    let names: HashSet<String> = match inventory.absent.len() {
        0 => HashSet::new(),
        _ => other.iter().map(Inventoried::stored_name).collect(),
    };
    let is_there = |absent: &Unread| match absent.stored_name() {
        Some(name) => names.contains(&name),
        None => other
            .iter()
            .any(|image| absent.matches(&image.repository, image.tag.as_ref())),
    };
    let absent = inventory.absent.iter();
    let absent = absent.filter(|absent| !is_there(absent));
    absent.map(|absent| absent.image.clone()).collect()
}

/// Returns true if the start of a file is that of a receipt.
pub fn is_receipt(path: &Path) -> Result<bool, OpsError> {
    if !hod_fsx::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        return Ok(false);
    }
    let file = hod_fsx::open(path)?;
    let mut start = [0; START_LEN];
    let n = hod_fsx::read_at(&file, path, &mut start, 0)?;
    Ok(Receipt::is_receipt(&start[..n]))
}

/// Reads a receipt.
pub(super) fn read_receipt(path: &Path) -> Result<Receipt, OpsError> {
    let bytes = hod_fsx::read(path, RECEIPT_LEN_MAX)?;
    Receipt::parse(&bytes).map_err(|source| OpsError::Receipt {
        path: path.to_owned(),
        source,
    })
}

/// Compares two sources, or one with a receipt.
///
/// Images are equal when the names under which a push puts them and their digests are. A receipt has
/// an image when it has the digest, under any name. An image that cannot be read on one side is not
/// compared. Of bundles only their own lists are read.
pub fn diff<'a>(cx: &'a Context, options: &'a DiffOptions) -> Verb<'a, DiffOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &DiffOptions) -> Result<DiffOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    // Both at the same time: with many images, reading manifests is nearly all the work.
    let (old, new) = try_join(Side::open(cx, &options.old), Side::open(cx, &options.new)).await?;
    if let (Side::Receipt(_), Side::Receipt(_)) = (&old, &new) {
        return Err(OpsError::TwoReceipts {
            old: options.old.path().to_owned(),
            new: options.new.path().to_owned(),
        });
    }
    let lines = Lines::of(options.list.as_ref());
    let (images, n_unchanged) = changes(&old, &new, &lines);
    let (old_blobs, new_blobs) = (blobs(&old), blobs(&new));
    let count = |blobs: &HashMap<&Digest, u64>, is_counted: &dyn Fn(&Digest) -> bool| {
        let counted = blobs.iter().filter(|(digest, _)| is_counted(digest));
        BlobCount {
            blobs: counted.clone().count(),
            bytes: sum_len(counted.map(|(_, len)| *len)),
        }
    };
    let has_images = |side: &Side| matches!(side, Side::Inventory(_));
    let shared = if has_images(&new) {
        count(&new_blobs, &|digest| old.has(digest))
    } else {
        count(&old_blobs, &|digest| new.has(digest))
    };
    let added = has_images(&new).then(|| count(&new_blobs, &|digest| !old.has(digest)));
    let removed = has_images(&old).then(|| count(&old_blobs, &|digest| !new.has(digest)));
    Ok(DiffOutcome {
        old: old.facts(options.old.path(), &new),
        new: new.facts(options.new.path(), &old),
        images,
        n_unchanged,
        added,
        removed,
        shared,
        delta_bytes: added.map(|added| sum_len([added.bytes, manifests_len(&new)])),
    })
}

/// The configs and layers of all images, with their lengths.
fn blobs(side: &Side) -> HashMap<&Digest, u64> {
    let Side::Inventory(inventory) = side else {
        return HashMap::new();
    };
    let groups = inventory.images.iter().flat_map(|image| &image.groups);
    groups
        .flat_map(|group| &group.blobs)
        .map(|digest| (digest, inventory.len_of(digest)))
        .collect()
}

fn manifests_len(side: &Side) -> u64 {
    let Side::Inventory(inventory) = side else {
        return 0;
    };
    let groups = inventory.images.iter().flat_map(|image| &image.groups);
    let manifests: HashSet<&Digest> = groups.flat_map(|group| &group.manifests).collect();
    sum_len(manifests.into_iter().map(|digest| inventory.len_of(digest)))
}

fn changes(old: &Side, new: &Side, lines: &Lines<'_>) -> (Vec<ImageChange>, usize) {
    let (old_images, new_images) = (old.named(), new.named());
    let (old_unread, new_unread) = (old.unread_names(), new.unread_names());
    let mut changes = BTreeMap::new();
    let mut n_unchanged = 0;
    for (name, &image) in &new_images {
        let before = old_images.get(name).copied();
        if before.is_none() && old_unread.contains(name) {
            continue;
        }
        let is_same = match (old, before) {
            (Side::Receipt(receipt), _) => receipt.has(&image.digest),
            (_, before) => before.is_some_and(|before| before.digest == image.digest),
        };
        if is_same {
            n_unchanged += 1;
            continue;
        }
        let change = ImageChange {
            image: name.clone(),
            change: before.map_or(Change::Added, |_| Change::Changed),
            old_digest: before.map(|before| before.digest.clone()),
            new_digest: Some(image.digest.clone()),
            new_bytes: new_bytes(image, old, new),
            line: lines.of_image(image),
        };
        changes.insert(name, change);
    }
    let gone = |name: &&String| !new_images.contains_key(*name) && !new_unread.contains(*name);
    for name in old_images.keys().filter(gone) {
        let image = old_images[name];
        if matches!(new, Side::Receipt(receipt) if receipt.has(&image.digest)) {
            n_unchanged += 1;
            continue;
        }
        let change = ImageChange {
            image: name.clone(),
            change: Change::Removed,
            old_digest: Some(image.digest.clone()),
            new_digest: None,
            new_bytes: 0,
            line: lines.of_image(image),
        };
        changes.insert(name, change);
    }
    (changes.into_values().collect(), n_unchanged)
}

fn new_bytes(image: &Inventoried, old: &Side, new: &Side) -> u64 {
    let Side::Inventory(inventory) = new else {
        return 0;
    };
    let blobs: HashSet<&Digest> = image
        .groups
        .iter()
        .flat_map(|group| &group.blobs)
        .filter(|digest| !old.has(digest))
        .collect();
    sum_len(blobs.into_iter().map(|digest| inventory.len_of(digest)))
}

/// The lines of lists, by their image.
struct Lines<'a> {
    images: HashMap<(String, &'a str), String>,
    list: Option<&'a ImageList>,
}

impl<'a> Lines<'a> {
    fn of(list: Option<&'a ImageList>) -> Self {
        let mut images = HashMap::new();
        let lines = list.iter().flat_map(|list| &list.lines);
        for entry in lines.map(ListLine::stem) {
            let stored = entry.stored();
            let name = stored.repository.with_library().to_string();
            let tags = [
                entry.destination.as_ref().and_then(|to| to.tag.as_ref()),
                entry.reference.tag.as_ref(),
            ];
            let tag = tags.into_iter().flatten().next().map(Tag::as_str);
            let digest = entry.reference.digest.as_ref().map(Digest::as_str);
            if let Some(reference) = tag.or(digest) {
                let line = entry.origin.to_string();
                images.entry((name, reference)).or_insert(line);
            }
        }
        Self { images, list }
    }

    fn of_image(&self, image: &Inventoried) -> Option<String> {
        let name = image.repository.with_library().to_string();
        let reference = match &image.tag {
            Some(tag) => tag.as_str(),
            None => image.digest.as_str(),
        };
        let pattern = || {
            let mut patterns = self.list.iter().flat_map(|list| list.patterns());
            let pattern = patterns.find(|line| line.has(&image.repository, image.tag.as_ref()));
            pattern.map(|line| line.stem.origin.to_string())
        };
        let image = self.images.get(&(name, reference)).cloned();
        image.or_else(pattern)
    }
}
