//! `pack`: store → bundle.

mod carried;
mod elf;

pub use carried::{CarriedFile, CarryError, CarryOptions, OwnTool};
pub use elf::NotATool;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::carried::Carried;
use super::base;
use super::batch::{Batch, is_zero, require_space};
use super::parts::Joined;
use super::since::Since;
use super::{Catalog, Context, ImageReport, OpsError};
use crate::bridge::{self, FileRange};
use crate::bundle::{self, BundleFile, BundleImage, Compression, PackBlob, PackPlan, Signer};
use crate::fsx::{self, Durability};
use crate::layout::LayoutError;
use crate::list::{ImageList, RenameRules};
use crate::oci::{Digest, Manifest, ReferrerTagKind, RepositoryName, Tag, sum_len};
use crate::report::{BlobRoute, Event, Reporter};
use crate::template::{BundleKind, Facts, ImageFacts};
use crate::transfer::{OnFailure, Referrer, ReferrerMode, Resolved, Source};

/// What to pack, and how.
#[derive(Debug)]
pub struct PackOptions {
    /// A store, a selected tree, or another bundle.
    pub source: PathBuf,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
    /// Receipts, earlier bundles or stores of the target: what they have is left out.
    pub since: Vec<PathBuf>,
    pub output: PathBuf,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub compression: Compression,
    /// How many bytes a volume may have; one volume of any length when there is none.
    pub volume_size: Option<u64>,
    /// Of all volumes, write this one only.
    pub only_volume: Option<u32>,
    /// The name in the bundle; the output's file name when there is none.
    pub name: Option<String>,
    pub version: Option<String>,
    /// Who signs it, if anybody.
    pub signer: Option<Signer>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The tool, texts and files that go with the images.
    pub carry: CarryOptions,
    /// Whether the file is on the disk, or only in the kernel's hands, when the call returns.
    pub durability: Durability,
    pub reading: Reading,
}

/// Which blobs of a store are read and hashed when they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Those that were not verified before, or were written since.
    Unverified,
    All,
}

/// A written bundle.
#[derive(Debug, Clone, Serialize)]
pub struct PackOutcome {
    pub path: PathBuf,
    /// Names the content: equal for equal input.
    pub id: Digest,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Configs and layers that are left out, since the target has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_blobs: usize,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_bytes: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the tar before compression; the same as `bytes` for a plain one.
    pub tar_bytes: u64,
    /// Bytes that packing each image by itself would have cost besides.
    pub shared_bytes: u64,
    /// What was packed, an image each.
    #[serde(skip)]
    pub images: Vec<ImageReport>,
}

/// Packs images into one file, straight from the store.
///
/// A blob is hashed on the way unless the store has it as verified and nobody wrote it since, so
/// that a damaged store is found here and not at the customer's. The file appears when it is complete; equal input gives equal bytes. Unlike a store,
/// which later runs trust, a bundle is verified by all that read it, so that syncing is a choice.
pub async fn pack(cx: &Context, options: &PackOptions) -> Result<PackOutcome, OpsError> {
    for warning in options.list.iter().flat_map(|list| &list.warnings) {
        cx.warn(warning);
    }
    let catalog = Catalog::open(&options.source, &cx.reading)?;
    if !is_in_place(catalog.source()) {
        let kind = catalog.kind().as_str();
        return Err(OpsError::WrongSource {
            verb: "pack",
            path: options.source.clone(),
            kind,
        });
    }
    let wanted = catalog.wanted(options.list.as_ref(), &options.renames, options.referrers)?;
    let mut batch = Batch::resolve(cx, catalog.source(), wanted, OnFailure::Stop).await;
    if let Some(error) = batch.first_failure() {
        return Err(error.into());
    }
    base::require_whole(catalog.source(), &options.source, &batch.plan)?;
    let since = Since::read(cx, &options.since).await?;
    let carry = options.carry.clone();
    let carried = bridge::run(move || carried::gather(&carry)).await?;
    warn_of_tool(cx, &carried);
    let plan = pack_plan(options, &batch, (&since, &carried))?;
    require_room(options, &plan)?;
    let (n_images, n_blobs) = (batch.plan.images.len(), plan.blobs.len());
    let base_blobs = plan.base.len();
    let base_bytes = sum_len(plan.base.iter().map(|blob| blob.size));
    let len = sum_len(plan.blobs.iter().map(|blob| blob.size));
    cx.reporter.event(Event::Planned {
        n_images,
        n_blobs,
        len,
    });
    let (jobs, reporter, source) = (cx.jobs, Arc::clone(&cx.reporter), catalog.source().clone());
    let (output, compression) = (options.output.clone(), options.compression);
    let (durability, reading) = (options.durability, options.reading);
    let only_volume = options.only_volume;
    let made = made_manifests(&options.output, &batch, &source)?;
    let written = bridge::run_stoppable(move |stop| {
        let mut joined = Joined::default();
        if let Source::Bundle(bundle) = &source {
            let packed: HashSet<&Digest> = plan.blobs.iter().map(|blob| &blob.digest).collect();
            joined.add(bundle, fsx::dir_of(&output), |digest| {
                packed.contains(digest)
            })?;
        }
        let write_options = bundle::WriteOptions {
            output: &output,
            compression,
            jobs,
            durability,
            only_volume,
            knowledge: &Known {
                source: &source,
                reading,
            },
            on_bytes: &|len| {
                reporter.event(Event::BytesMoved { len });
                if stop.is_set() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        };
        let written = bundle::write(
            &plan,
            &|digest| match joined.get(digest) {
                Some(range) => Ok(range),
                None => open(&source, &made, digest),
            },
            &write_options,
        )?;
        tell_done(reporter.as_ref(), &plan);
        Ok::<_, OpsError>(written)
    })
    .await?;
    Ok(PackOutcome {
        path: options.output.clone(),
        bytes: written.len(),
        id: written.manifest.id,
        n_images,
        n_blobs,
        base_blobs,
        base_bytes,
        tar_bytes: written.tar_len,
        shared_bytes: batch.plan.shared_len(),
        images: {
            batch.mark_done();
            batch.finish().images
        },
    })
}

/// Says that the bundle has no tool, where it should.
fn warn_of_tool(cx: &Context, carried: &Carried) {
    if let Some(problem) = carried.left {
        cx.warn(&format!(
            "this hod is not carried in the bundle: {problem}; the site needs a hod of its own. \
             `make dist` builds one that can be carried, `--tool FILE` carries it, and `--no-tool` \
             says that none is wanted"
        ));
    }
}

/// Tells of every blob that it was packed.
pub(super) fn tell_done(reporter: &dyn Reporter, plan: &PackPlan) {
    for blob in &plan.blobs {
        reporter.event(Event::BlobDone {
            digest: &blob.digest,
            len: blob.size,
            route: BlobRoute::Moved,
        });
    }
}

/// Refuses when the volumes that are to be written do not fit.
fn require_room(options: &PackOptions, plan: &PackPlan) -> Result<(), OpsError> {
    let lens = (1..).zip(bundle::planned_lens(plan)?);
    let written = lens.filter(|(index, _)| options.only_volume.is_none_or(|only| only == *index));
    require_space(&options.output, sum_len(written.map(|(_, len)| len)))
}

/// Whether the blobs of a source can be read at any time: offsets are planned, and blobs written
/// in parallel.
fn is_in_place(source: &Source) -> bool {
    match source {
        Source::Store(_) | Source::Bundle(_) => true,
        Source::Collection(collection) => !collection.is_sequential(),
        _ => false,
    }
}

/// Where the manifests are that are made here and so are not among the source's blobs: indexes of
/// referrers, and all of a format that has none.
type Made = HashMap<Digest, FileRange>;

fn made_manifests(output: &Path, batch: &Batch, source: &Source) -> Result<Made, OpsError> {
    let referrers = batch.plan.images.iter().flat_map(|image| &image.referrers);
    let indexes = referrers.filter(|referrer| referrer.kind == ReferrerTagKind::Index);
    let mut bytes = Vec::new();
    let mut places: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
    let of_format = match source {
        Source::Collection(collection) => Some(collection.made_manifests().cloned()),
        _ => None,
    };
    for made in indexes
        .map(Referrer::top)
        .chain(of_format.into_iter().flatten())
    {
        let (offset, len) = (bytes.len() as u64, made.bytes().len() as u64);
        if let std::collections::btree_map::Entry::Vacant(new) = places.entry(made.digest().clone())
        {
            new.insert((offset, len));
            bytes.extend_from_slice(made.bytes());
        }
    }
    if places.is_empty() {
        return Ok(Made::new());
    }
    let file = Arc::new(fsx::scratch_file(fsx::dir_of(output), &bytes)?);
    let range = |(offset, len)| FileRange {
        file: Arc::clone(&file),
        path: output.to_owned(),
        offset,
        len,
    };
    let places = places.into_iter();
    Ok(places
        .map(|(digest, place)| (digest, range(place)))
        .collect())
}

/// What the source knows of its blobs.
struct Known<'a> {
    source: &'a Source,
    reading: Reading,
}

impl bundle::Knowledge for Known<'_> {
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool {
        match self.source {
            Source::Store(store) if self.reading == Reading::Unverified => {
                store.is_verified(digest, blob)
            }
            _ => false,
        }
    }

    fn note_verified(&self, digest: &Digest, blob: &FileRange) {
        if let Source::Store(store) = self.source {
            store.note_verified(digest, blob);
        }
    }

    fn note_damaged(&self, blob: &FileRange) {
        if let Source::Store(store) = self.source {
            store.note_damaged(blob);
        }
    }
}

fn open(source: &Source, made: &Made, digest: &Digest) -> Result<FileRange, OpsError> {
    if let Some(range) = made.get(digest) {
        return Ok(range.clone());
    }
    let range = match source {
        Source::Store(store) => store.open_blob(digest)?,
        Source::Bundle(bundle) => bundle
            .open_blob(digest)
            .and_then(|ranges| ranges.into_iter().next()),
        Source::Collection(collection) => {
            collection.open_blob(digest).map_err(LayoutError::from)?
        }
        _ => None,
    };
    range.ok_or_else(|| {
        crate::transfer::TransferError::BlobAbsent {
            digest: digest.clone(),
        }
        .into()
    })
}

/// The output's file name without its ending, and what that says.
fn file_kind(options: &PackOptions) -> (String, BundleKind) {
    let name = options.output.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let kind = match options.compression {
        Compression::Raw => BundleKind::One,
        Compression::Zstd { .. } => BundleKind::Compressed,
    };
    let stem = name
        .strip_suffix(".tar.zst")
        .or_else(|| name.strip_suffix(".tar"));
    (stem.unwrap_or(&name).to_owned(), kind)
}

fn pack_plan(
    options: &PackOptions,
    batch: &Batch,
    (since, carried): (&Since, &Carried),
) -> Result<PackPlan, OpsError> {
    let mut images: Vec<BundleImage> = batch.plan.images.iter().map(bundle_image).collect();
    let mut tagged: BTreeSet<(RepositoryName, Tag)> = images
        .iter()
        .filter_map(|image| Some((image.repository.clone(), image.tag.clone()?)))
        .collect();
    let mut manifests: Vec<Manifest> = Vec::new();
    for image in &batch.plan.images {
        manifests.extend(image.manifests.iter().cloned());
        for referrer in &image.referrers {
            // Images may have it in common, and it may be listed as an image itself.
            let repository = &image.wanted.destination.repository;
            if tagged.insert((repository.clone(), referrer.tag.clone())) {
                images.push(bundle_referrer(repository, referrer));
                manifests.extend(referrer.with_top());
            }
        }
    }
    let used: HashSet<&Digest> = images.iter().flat_map(|image| &image.blobs).collect();
    let mut blobs: Vec<PackBlob> = Vec::new();
    for manifest in &manifests {
        let size = manifest.bytes().len() as u64;
        blobs.push(PackBlob {
            digest: manifest.digest().clone(),
            size,
            is_manifest: true,
        });
    }
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    let planned = batch.plan.blobs.iter();
    let planned = planned.filter(|blob| used.contains(&blob.descriptor.digest));
    blobs.extend(planned.map(|blob| PackBlob {
        digest: blob.descriptor.digest.clone(),
        size: blob.descriptor.size,
        is_manifest: false,
    }));
    let divided = since.divide(blobs);
    let (stem, kind) = file_kind(options);
    let name = options.name.clone().unwrap_or_else(|| stem.clone());
    let mut list: Vec<String> = batch
        .plan
        .images
        .iter()
        .map(|image| list_line(image) + "\n")
        .collect();
    list.sort();
    // Like the rest of the bundle, in an order that is not the list's.
    let mut images_facts: Vec<ImageFacts> = batch.plan.images.iter().map(image_facts).collect();
    images_facts.sort_by(|a, b| a.name.cmp(&b.name));
    let n_blobs = divided.blobs.len();
    let len = sum_len(divided.blobs.iter().map(|blob| blob.size));
    let facts = |kind| Facts {
        name: name.clone(),
        version: options.version.clone(),
        stem: stem.clone(),
        kind,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        images: images_facts.clone(),
        n_blobs,
        len,
        tools: carried.tools.clone(),
        files: carried.files.clone(),
        set: carried.set.clone(),
    };
    let own = [("images-list.txt", list.concat())];
    let plan = PackPlan {
        name: name.clone(),
        version: options.version.clone(),
        images,
        blobs: divided.blobs,
        files: Vec::new(),
        origins: divided.origins,
        base: divided.base,
        volume_size: options.volume_size,
        mtime: options.mtime,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        signer: options.signer.clone(),
    };
    with_files(&plan, kind, |kind| carried.files(&facts(kind), &own))
}

/// The plan with the files that `files` gives for a kind of bundle, and the lists that
/// `sha256sum -c` and the like read.
///
/// How many volumes there are depends on what lies in them, the texts that say so included.
pub(super) fn with_files(
    plan: &PackPlan,
    kind: BundleKind,
    files: impl Fn(BundleKind) -> Result<Vec<BundleFile>, OpsError>,
) -> Result<PackPlan, OpsError> {
    let fill = |kind| {
        let mut plan = plan.clone();
        plan.files.extend(files(kind)?);
        let sums = bundle::checksum_files(&plan);
        plan.files.extend(sums);
        Ok::<_, OpsError>(plan)
    };
    let filled = fill(kind)?;
    if filled.volume_size.is_some() && bundle::planned_lens(&filled)?.len() > 1 {
        return fill(BundleKind::Volumes);
    }
    Ok(filled)
}

/// The image as a line of a list that finds it in this bundle.
fn list_line(image: &Resolved) -> String {
    let destination = &image.wanted.destination;
    match &destination.tag {
        Some(tag) => format!("{}:{tag}", destination.repository),
        None => format!("{}@{}", destination.repository, image.top().digest()),
    }
}

fn bundle_image(image: &Resolved) -> BundleImage {
    let top = image.top();
    BundleImage {
        repository: image.wanted.destination.repository.clone(),
        tag: image.wanted.destination.tag.clone(),
        digest: top.digest().clone(),
        media_type: top.media_type().clone(),
        manifests: image
            .manifests
            .iter()
            .map(Manifest::digest)
            .cloned()
            .collect(),
        platforms: image.platforms(),
        blobs: image.blobs.iter().map(|blob| blob.digest.clone()).collect(),
    }
}

/// A referrer is an image like any other in a bundle, known by its tag.
fn bundle_referrer(repository: &RepositoryName, referrer: &Referrer) -> BundleImage {
    let manifests = referrer.with_top();
    let top = referrer.top();
    BundleImage {
        repository: repository.clone(),
        tag: Some(referrer.tag.clone()),
        digest: top.digest().clone(),
        media_type: top.media_type().clone(),
        manifests: manifests.iter().map(Manifest::digest).cloned().collect(),
        platforms: Vec::new(),
        blobs: referrer
            .blobs
            .iter()
            .map(|blob| blob.digest.clone())
            .collect(),
    }
}

fn image_facts(image: &Resolved) -> ImageFacts {
    ImageFacts {
        name: list_line(image),
        digest: image.top().digest().clone(),
        len: sum_len(image.blobs.iter().map(|blob| blob.size)),
    }
}
