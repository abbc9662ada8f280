//! `bundle merge`: several bundles folded into one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::try_join;
use serde::Serialize;

use super::batch::require_space;
use super::copy::stale_volumes::warn_of_stale_volumes;
use super::copy::{require_lens, require_others, tell_manifests, with_files};
use super::written::{self, Checksums, Existing, WrittenFile};
use super::{Context, Fewer, OpsError, SourceKind, Verb};
use hod_bundle::{
    BaseBlob, BaseOrigin, Bundle, BundleFile, BundleFileEntry, BundleImage, Compression,
    FileContent, Held, KeyId, PackBlob, PackPlan, Planned, Signer, WriteOptions, WriteOutcome,
};
use hod_fsx::Durability;
use hod_oci::{Descriptor, Digest, MediaType, ReferrerTag, RepositoryName, Tag, sum_len};
use hod_report::Event;
use hod_store::Store;
use hod_template::{BundleKind, Facts, FileFacts, ImageFacts, ToolFacts};
use hod_transfer::{
    BundleSink, BundlesSource, Location, OnFailure, PlannedBlob, Presence, Source as _, Transfer,
    TransferError,
};

/// Files that are generated for every bundle, since they describe its content.
const MADE_ANEW: [&str; 9] = [
    "MIRRORS.txt",
    "README.txt",
    "SHA256SUMS",
    "SHA384SUMS",
    "SHA512SUMS",
    "hod-serve.service",
    "hosts.toml",
    "images-list.txt",
    "install.sh",
];
/// The prefix of the path of a carried program.
const TOOL: &str = "hod/bin/hod-linux-";

/// The bundles to merge, and the options.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// Bundles, each by any one of its volumes.
    pub sources: Vec<PathBuf>,
    pub output: PathBuf,
    /// The bundle whose images and files are used where they differ; without it, a difference is
    /// refused.
    pub prefer: Option<Prefer>,
    /// Maximum size of a volume in bytes; `None` for one volume of any length.
    pub volume_size: Option<u64>,
    /// The name of the bundle; by default that of the last bundle.
    pub name: Option<String>,
    /// The version of the bundle; by default that of the last bundle.
    pub version: Option<String>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    pub durability: Durability,
    /// The signer.
    pub signer: Option<Signer>,
    pub existing: Existing,
    pub checksums: Checksums,
}

/// The bundle that takes precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    First,
    Last,
}

/// A merged bundle.
#[derive(Debug, Clone, Serialize)]
pub struct MergeOutcome {
    pub path: PathBuf,
    pub files: Vec<WrittenFile>,
    /// Names the content.
    pub id: Digest,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<KeyId>,
    /// The number of images, without referrers of others.
    pub n_images: usize,
    pub n_blobs: usize,
    /// Bytes of the files.
    pub bytes: u64,
    /// Configs and layers that none of the bundles carries, and that the target must still have.
    pub base_blobs: usize,
    /// Their bytes.
    pub base_bytes: u64,
}

/// Merges bundles into one that has the images, blobs and files of all of them.
///
/// A blob that one requires and another contains is included. A tag that names different images, or
/// a file that differs, is refused unless one side is preferred. Every blob is hashed on the way.
pub fn merge<'a>(cx: &'a Context, options: &'a MergeOptions) -> Verb<'a, MergeOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &MergeOptions) -> Result<MergeOutcome, OpsError> {
    let (paths, reading) = (options.sources.clone(), cx.reading.clone());
    let bundles: Arc<[Arc<Bundle>]> = hod_bridge::run(move || {
        let mut bundles = Vec::with_capacity(paths.len());
        for path in &paths {
            if hod_fsx::try_stat(path)?.is_none() {
                return Err(OpsError::NoSource { path: path.clone() });
            }
            if Store::detect(path)? {
                return Err(OpsError::WrongSource {
                    verb: "merge",
                    path: path.clone(),
                    kind: SourceKind::Store,
                });
            }
            let bundle = Bundle::open(path, &reading)?;
            bundle.require_complete()?;
            bundles.push(Arc::new(bundle));
        }
        Ok::<_, OpsError>(bundles.into())
    })
    .await?;
    let paths = bundles
        .iter()
        .flat_map(|bundle| bundle.volume_paths())
        .flatten();
    let inputs: Vec<PathBuf> = paths.map(Path::to_owned).collect();
    warn_of_signatures(cx, &bundles, options.signer.as_ref());
    let (from, merge_options, read) = (Arc::clone(&bundles), options.clone(), inputs.clone());
    let planned = hod_bridge::run(move || plan(&from, &merge_options, &read)).await?;
    let manifest = planned.manifest();
    let (n_blobs, base_blobs) = (manifest.blobs.len(), manifest.base.len());
    let base_bytes = sum_len(manifest.base.iter().map(|blob| blob.size));
    cx.reporter.event(Event::Planned {
        n_images: manifest.images.len(),
        n_blobs,
        len: sum_len(manifest.blobs.iter().map(|blob| blob.size)),
    });
    let written = write(cx, options, (&bundles, planned)).await?;
    let n_volumes = options.volume_size.map(|_| written.manifest.n_volumes);
    warn_of_stale_volumes(cx, &options.output, n_volumes, &inputs).await;
    let (output, checksums) = (&options.output, options.checksums);
    let files = written::describe(&written, output, checksums, cx.jobs, options.durability).await?;
    Ok(MergeOutcome {
        path: options.output.clone(),
        files,
        signed_by: written.manifest.signed_by,
        n_images: written.manifest.n_images(),
        n_blobs,
        bytes: written.len(),
        id: written.manifest.id,
        base_blobs,
        base_bytes,
    })
}

/// Plans the merged bundle, and refuses an output that cannot be written. Blocks.
fn plan(
    bundles: &[Arc<Bundle>],
    options: &MergeOptions,
    inputs: &[PathBuf],
) -> Result<Planned, OpsError> {
    let planned = Union::of(bundles, options.prefer)?.plan(options)?;
    let files = planned.files(&options.output, None)?;
    require_others(&files, inputs)?;
    written::require_absent(options.existing, &options.output, options.checksums, &files)?;
    crate::batch::require_writable_file(&options.output)?;
    require_lens(&options.output, &files)?;
    let len = sum_len(files.iter().map(|file| file.len));
    require_space(&options.output, len, Fewer::Never)?;
    Ok(planned)
}

/// Says that a signature of one bundle is not one of another.
fn warn_of_signatures(cx: &Context, bundles: &[Arc<Bundle>], signer: Option<&Signer>) {
    let is_signed = |bundle: &&Arc<Bundle>| bundle.manifest().signed_by.is_some();
    let n_signed = bundles.iter().filter(is_signed).count();
    if n_signed > 0 && signer.is_none() {
        cx.warn(&format!(
            "{n_signed} of {} signed, and the merged bundle is not: a site that requires a \
             signature will refuse it. Sign it with `--sign KEY`",
            if bundles.len() == 1 {
                "1 bundle is".to_owned()
            } else {
                format!("{} bundles are", bundles.len())
            },
        ));
    }
}

/// Writes the merged bundle.
async fn write(
    cx: &Context,
    options: &MergeOptions,
    (bundles, planned): (&Arc<[Arc<Bundle>]>, Planned),
) -> Result<WriteOutcome, OpsError> {
    let from = Arc::clone(bundles);
    let (planned, blobs) = hod_bridge::run(move || read_manifests(&from, planned)).await?;
    let write_options = WriteOptions {
        output: options.output.clone(),
        compression: Compression::Raw,
        jobs: cx.jobs,
        durability: options.durability,
        only_volume: None,
    };
    let source = BundlesSource::new(bundles);
    let reporter = Arc::clone(&cx.reporter);
    let sink = BundleSink::create(
        planned,
        write_options,
        source.verification_cache(),
        reporter,
    )
    .await?;
    let sink = Arc::new(sink);
    let transfer = Transfer {
        source: Arc::new(source),
        share: None,
        sink: Arc::clone(&sink) as _,
        reporter: Arc::clone(&cx.reporter),
        jobs: cx.jobs,
        on_failure: OnFailure::Stop,
        retry: cx.retry,
        timings: Arc::default(),
    };
    let blobs = async { transfer.move_blobs(blobs).await.map_err(OpsError::from) };
    let files = async { Ok(sink.put_files().await?) };
    let filled = try_join(blobs, files).await;
    if let Some(error) = sink.failure() {
        return Err(error.into());
    }
    filled?;
    let written = sink.finish().await?;
    tell_manifests(cx.reporter.as_ref(), &written.manifest);
    Ok(written)
}

/// The plan with the bytes of its manifests, and the blobs that are to be moved. Blocks.
fn read_manifests(
    bundles: &[Arc<Bundle>],
    planned: Planned,
) -> Result<(Planned, Vec<PlannedBlob>), OpsError> {
    let (mut manifests, mut blobs) = (Vec::new(), Vec::new());
    for blob in &planned.manifest().blobs {
        let digest = blob.digest.clone();
        if !blob.is_manifest {
            blobs.push(PlannedBlob {
                descriptor: Descriptor::new(MediaType::new(""), digest, blob.size),
                from: vec![Location::Pool],
                images: Vec::new(),
                presence: Presence::Source,
            });
            continue;
        }
        let mut read = None;
        for bundle in bundles {
            read = bundle.read_manifest(&digest)?;
            if read.is_some() {
                break;
            }
        }
        let absent = || TransferError::BlobAbsent {
            digest: digest.clone(),
        };
        let bytes = read.ok_or_else(absent)?.bytes().clone();
        manifests.push((digest, bytes));
    }
    Ok((planned.with_manifests(manifests), blobs))
}

/// The identity of an image.
type Key = (RepositoryName, Option<Tag>);

/// All that bundles have together.
struct Union<'a> {
    images: Vec<&'a BundleImage>,
    blobs: BTreeMap<&'a Digest, PackBlob>,
    files: BTreeMap<&'a str, (&'a Bundle, &'a BundleFileEntry)>,
    origins: Vec<BaseOrigin>,
    base: BTreeMap<&'a Digest, (u64, BTreeMap<usize, BTreeSet<RepositoryName>>)>,
    last: &'a Bundle,
}

impl<'a> Union<'a> {
    fn of(bundles: &'a [Arc<Bundle>], prefer: Option<Prefer>) -> Result<Self, OpsError> {
        let mut union = Self {
            images: Vec::new(),
            blobs: BTreeMap::new(),
            files: BTreeMap::new(),
            origins: Vec::new(),
            base: BTreeMap::new(),
            last: bundles.last().expect("the command line asks for two"),
        };
        let mut conflicts = Vec::new();
        union.add_images(bundles, prefer, &mut conflicts);
        for bundle in bundles {
            union.add_blobs(bundle);
            union.add_files(bundle, prefer, &mut conflicts);
        }
        if conflicts.is_empty() {
            return Ok(union);
        }
        Err(OpsError::Conflicts { conflicts })
    }

    fn add_images(
        &mut self,
        bundles: &'a [Arc<Bundle>],
        prefer: Option<Prefer>,
        conflicts: &mut Vec<String>,
    ) {
        // Untagged images are distinguished by digest: they are different images, not versions of
        // one.
        let mut by_key: BTreeMap<(Key, Option<&Digest>), &BundleImage> = BTreeMap::new();
        let mut dropped: Vec<&BundleImage> = Vec::new();
        for image in bundles.iter().flat_map(|bundle| &bundle.manifest().images) {
            let key = (image.repository.clone(), image.tag.clone());
            let by = image.tag.is_none().then_some(&image.digest);
            let Some(known) = by_key.get_mut(&(key.clone(), by)) else {
                by_key.insert((key, by), image);
                continue;
            };
            // An index may be carried with more of its children by one than by the other.
            if known.digest == image.digest {
                if known.manifests.len() < image.manifests.len() {
                    *known = image;
                }
                continue;
            }
            match prefer {
                Some(Prefer::First) => dropped.push(image),
                Some(Prefer::Last) => dropped.push(std::mem::replace(known, image)),
                None => conflicts.push(format!(
                    "image {} is {} and {}",
                    image.name(),
                    known.digest,
                    image.digest
                )),
            }
        }
        let images: Vec<&BundleImage> = by_key.into_values().collect();
        let manifests = |images: &[&'a BundleImage]| -> HashSet<(&'a RepositoryName, &'a Digest)> {
            let all = images.iter();
            all.flat_map(|i| i.manifests.iter().map(|digest| (&i.repository, digest)))
                .collect()
        };
        let (kept, dropped) = (manifests(&images), manifests(&dropped));
        // Referrers of an image that is left out are left out, too.
        let is_orphan = |image: &&BundleImage| {
            let form = image.tag.as_ref().and_then(ReferrerTag::parse);
            let subject = form.and_then(|form| form.subject());
            subject.is_some_and(|subject| {
                let member = (&image.repository, &subject);
                dropped.contains(&member) && !kept.contains(&member)
            })
        };
        self.images = images.into_iter().filter(|i| !is_orphan(i)).collect();
    }

    fn add_blobs(&mut self, bundle: &'a Bundle) {
        let manifest = bundle.manifest();
        for blob in &manifest.blobs {
            self.blobs.entry(&blob.digest).or_insert_with(|| PackBlob {
                digest: blob.digest.clone(),
                size: blob.size,
                is_manifest: blob.is_manifest,
            });
        }
        let mut positions = Vec::with_capacity(manifest.origins.len());
        for origin in &manifest.origins {
            let known = self.origins.iter().position(|known| known == origin);
            positions.push(known.unwrap_or_else(|| {
                self.origins.push(origin.clone());
                self.origins.len() - 1
            }));
        }
        for blob in &manifest.base {
            let (_, held) = self
                .base
                .entry(&blob.digest)
                .or_insert((blob.size, BTreeMap::new()));
            for other in &blob.held {
                let names = held.entry(positions[other.origin]).or_default();
                names.extend(other.repositories.iter().cloned());
            }
        }
    }

    fn add_files(
        &mut self,
        bundle: &'a Bundle,
        prefer: Option<Prefer>,
        conflicts: &mut Vec<String>,
    ) {
        for file in &bundle.manifest().files {
            let path = file.path.as_str();
            if MADE_ANEW.contains(&path) {
                continue;
            }
            match self.files.get(path) {
                Some((_, known)) if known.digest != file.digest => match prefer {
                    Some(Prefer::First) => continue,
                    Some(Prefer::Last) => {}
                    None => {
                        conflicts.push(format!(
                            "file {path} is {} and {}",
                            known.digest, file.digest
                        ));
                        continue;
                    }
                },
                Some(_) => continue,
                None => {}
            }
            self.files.insert(path, (bundle, file));
        }
    }

    fn plan(mut self, options: &MergeOptions) -> Result<Planned, OpsError> {
        let images: Vec<BundleImage> = self.images.iter().map(|&image| image.clone()).collect();
        let used: BTreeSet<&Digest> = images
            .iter()
            .flat_map(|image| image.manifests.iter().chain(&image.blobs))
            .collect();
        self.blobs.retain(|digest, _| used.contains(*digest));
        let carried = &self.blobs;
        self.base
            .retain(|digest, _| used.contains(*digest) && !carried.contains_key(*digest));
        let last = self.last.manifest();
        let blobs: Vec<PackBlob> = self.blobs.values().cloned().collect();
        let base: Vec<BaseBlob> = self
            .base
            .iter()
            .map(|(digest, (size, held))| BaseBlob {
                digest: (*digest).clone(),
                size: *size,
                held: held
                    .iter()
                    .map(|(origin, names)| Held {
                        origin: *origin,
                        repositories: names.iter().cloned().collect(),
                    })
                    .collect(),
            })
            .collect();
        let plan = PackPlan {
            name: options.name.clone().unwrap_or_else(|| last.name.clone()),
            version: options.version.clone().or_else(|| last.version.clone()),
            images,
            blobs,
            files: self.files()?,
            origins: if base.is_empty() {
                Vec::new()
            } else {
                self.origins
            },
            base,
            volume_size: options.volume_size,
            signer: options.signer.clone(),
            mtime: options.mtime,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        with_files(&plan, BundleKind::One, |kind| texts(&plan, kind, options))
    }

    fn files(&self) -> Result<Vec<BundleFile>, OpsError> {
        let mut files = Vec::with_capacity(self.files.len());
        for (bundle, file) in self.files.values() {
            let absent = || TransferError::BlobAbsent {
                digest: file.digest.clone(),
            };
            let range = bundle.open_file(&file.path).ok_or_else(absent)?;
            files.push(BundleFile {
                path: file.path.clone(),
                content: FileContent::Range(range, file.digest.clone()),
                executable: file.executable,
                is_everywhere: file.volume.is_none(),
            });
        }
        Ok(files)
    }
}

/// The texts that describe the bundle.
fn texts(
    plan: &PackPlan,
    kind: BundleKind,
    options: &MergeOptions,
) -> Result<Vec<BundleFile>, OpsError> {
    let sizes: HashMap<&Digest, u64> = plan
        .blobs
        .iter()
        .map(|blob| (&blob.digest, blob.size))
        .chain(plan.base.iter().map(|blob| (&blob.digest, blob.size)))
        .collect();
    let is_image = |image: &&BundleImage| {
        let tag = image.tag.as_ref();
        tag.is_none_or(|tag| ReferrerTag::parse(tag).is_none())
    };
    let images: BTreeMap<String, &BundleImage> = plan
        .images
        .iter()
        .filter(is_image)
        .map(|image| (image.name(), image))
        .collect();
    let mut list = String::new();
    for name in images.keys() {
        list.push_str(name);
        list.push('\n');
    }
    let row = |(name, image): (String, &BundleImage)| ImageFacts {
        name,
        digest: image.digest.clone(),
        len: sum_len(image.blobs.iter().map(|digest| sizes[digest])),
    };
    let file_name = options.output.file_name().unwrap_or_default();
    let file_name = file_name.to_string_lossy();
    let facts = Facts {
        name: plan.name.clone(),
        version: plan.version.clone(),
        stem: file_name
            .strip_suffix(".tar")
            .unwrap_or(&file_name)
            .to_owned(),
        kind,
        tool_version: plan.tool_version.clone(),
        images: images.into_iter().map(row).collect(),
        n_blobs: plan.blobs.len(),
        n_base: plan.base.len(),
        base: plan.origins.iter().map(BaseOrigin::title).collect(),
        len: sum_len(plan.blobs.iter().map(|blob| blob.size)),
        tools: tools(plan),
        files: other_files(plan),
        set: BTreeMap::new(),
    };
    let file = |path: &str, text: String, executable| BundleFile {
        path: path.parse().expect("a plain file name is a valid path"),
        content: FileContent::Bytes(text.into_bytes()),
        executable,
        is_everywhere: true,
    };
    let mut files = vec![file("images-list.txt", list, false)];
    for text in hod_template::render(&facts, &[])? {
        files.push(file(&text.name, text.text, text.executable));
    }
    Ok(files)
}

/// The programs that the bundles carry.
fn tools(plan: &PackPlan) -> Vec<ToolFacts> {
    let tool = |file: &BundleFile| match &file.content {
        FileContent::Range(_, digest) => Some(ToolFacts {
            arch: file.path.as_str().strip_prefix(TOOL)?.to_owned(),
            digest: digest.clone(),
        }),
        // A merge adds no files from outside the bundles.
        FileContent::Bytes(_) | FileContent::Path { .. } => None,
    };
    plan.files.iter().filter_map(tool).collect()
}

/// Other carried files, except texts that hod generates.
fn other_files(plan: &PackPlan) -> Vec<FileFacts> {
    let file = |file: &BundleFile| match &file.content {
        FileContent::Range(range, digest) if !file.path.as_str().starts_with(TOOL) => {
            Some(FileFacts {
                path: file.path.to_string(),
                digest: digest.clone(),
                len: range.len,
            })
        }
        _ => None,
    };
    plan.files.iter().filter_map(file).collect()
}
