//! `pack`: store → bundle.

mod carried;
mod elf;
mod forecast;
mod plan;
mod sources;
pub(super) mod strays;

pub use carried::{CarriedFile, CarryError, CarryOptions, OwnTool};
pub use elf::NotATool;
pub use forecast::{PackForecast, ProjectNeed, TargetNeeds, VolumeForecast, forecast};

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::carried::Carried;
pub(super) use self::plan::with_files;
use self::sources::{Known, Made};
use super::batch::{Batch, is_zero, require_file_len, require_other, require_space};
use super::carry::Carry;
use super::platforms::{self, PlatformOptions};
use super::since::Since;
use super::written::{self, Checksums, Existing, WrittenFile};
use super::{Catalog, Context, Fewer, ImageReport, OpsError, base, inventory};
use crate::bridge::{self, Stop};
use crate::bundle::{
    self, BundleManifest, Compression, KeyId, OpenBlob, Planned, PlannedFile, Signer, WriteOptions,
    WriteOutcome,
};
use crate::fsx::{self, Durability};
use crate::list::{ImageList, RenameRules};
use crate::oci::{Digest, sum_len};
use crate::report::{BlobRoute, Event, Reporter};
use crate::transfer::{OnFailure, ReferrerMode, Resolved, Source, TransferError};

/// The images to pack, and the options.
#[derive(Debug)]
pub struct PackOptions {
    /// A store, a selected tree, or another bundle.
    pub source: PathBuf,
    /// Only these images; all when there is none.
    pub list: Option<ImageList>,
    /// Receipts, earlier bundles or stores of the target: their content is left out.
    pub since: Vec<PathBuf>,
    /// The file, or what the names of volumes are made from; `-` for stdout. A pipe or a device is
    /// written from start to end.
    pub output: PathBuf,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub platforms: PlatformOptions,
    pub compression: Compression,
    /// Maximum size of a volume in bytes; `None` for one volume of any length.
    pub volume_size: Option<u64>,
    /// Of all volumes, write this one only.
    pub only_volume: Option<u32>,
    /// The name in the bundle; the output's file name when there is none.
    pub name: Option<String>,
    pub version: Option<String>,
    /// The signer, if the bundle is to be signed.
    pub signer: Option<Signer>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The tool, texts and files that go with the images.
    pub carry: CarryOptions,
    /// Whether the file is on the disk, or only in the kernel's hands, when the call returns.
    pub durability: Durability,
    pub reading: Reading,
    pub existing: Existing,
    pub checksums: Checksums,
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
    /// The files; none for stdout.
    pub files: Vec<WrittenFile>,
    /// The number of volumes of the bundle, of which only one may have been written.
    pub n_volumes: u32,
    /// Names the content: equal for equal input.
    pub id: Digest,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<KeyId>,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Configs and layers that are left out, since the target has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_blobs: usize,
    /// Their bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub base_bytes: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of the tar before compression; the same as `bytes` for a plain one.
    pub tar_bytes: u64,
    /// Additional bytes that packing each image separately would have cost.
    pub shared_bytes: u64,
    /// Files that the bundle it was made from carries besides images, and that were left in that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_files: Vec<String>,
    /// The packed images.
    #[serde(skip)]
    pub images: Vec<ImageReport>,
}

/// Packs images into one file, directly from the store.
///
/// An image that cannot be read is left out and has failed; the others are packed.
///
/// A blob is hashed on the way unless the store has it as verified and it was not written since, so
/// that a damaged store is detected here and not at the customer's. The file appears when it is
/// complete; equal input gives equal bytes. Unlike a store, which later runs trust, a bundle is
/// verified by all its readers, so syncing is optional.
///
/// To stdout, a pipe or a device it is written in one pass, and the reader sees an incomplete
/// bundle when it fails.
pub async fn pack(cx: &Context, options: &PackOptions) -> Result<PackOutcome, OpsError> {
    let is_stream = fsx::is_stream(&options.output)?;
    if fsx::is_stdout(&options.output) {
        // A terminal is refused before anything is read.
        fsx::stdout()?;
    }
    let Prepared {
        mut batch,
        planned,
        files,
        left_files,
        inputs,
        writing,
    } = Prepared::new(cx, options).await?;
    require_absent(options, &files)?;
    require_room(options, &files)?;
    let manifest = planned.manifest();
    let outcome = PackOutcome {
        path: options.output.clone(),
        files: Vec::new(),
        n_volumes: manifest.n_volumes,
        signed_by: manifest.signed_by,
        id: manifest.id.clone(),
        bytes: 0,
        tar_bytes: 0,
        n_images: batch.plan.images.len(),
        n_blobs: manifest.blobs.len(),
        base_blobs: manifest.base.len(),
        base_bytes: sum_len(manifest.base.iter().map(|blob| blob.size)),
        shared_bytes: batch.plan.shared_len(),
        left_files,
        images: Vec::new(),
    };
    cx.reporter.event(Event::Planned {
        n_images: outcome.n_images,
        n_blobs: outcome.n_blobs,
        len: sum_len(manifest.blobs.iter().map(|blob| blob.size)),
    });
    let written = if is_stream {
        writing.run_to_stream(planned).await?
    } else {
        writing.run_in_place(planned).await?
    };
    tell_done(cx.reporter.as_ref(), &written.manifest);
    if !is_stream {
        let n_volumes = options.volume_size.map(|_| written.manifest.n_volumes);
        strays::warn_of_strays(cx, (&options.output, n_volumes), &inputs);
    }
    batch.mark_done();
    let output = (options.output.as_path(), options.checksums);
    let files = written::describe(&written, output, (cx.jobs, options.durability)).await?;
    let bytes = written.len();
    Ok(PackOutcome {
        files,
        bytes,
        n_volumes: written.manifest.n_volumes,
        signed_by: written.manifest.signed_by,
        id: written.manifest.id,
        tar_bytes: match options.compression {
            Compression::Raw => bytes,
            Compression::Zstd { .. } => written.tar_len,
        },
        images: batch.finish().images,
        ..outcome
    })
}

/// All that is known before the first byte is written.
struct Prepared {
    batch: Batch,
    planned: Planned,
    /// The files to be written, none of which is among the inputs.
    files: Vec<PlannedFile>,
    /// Files of the source that are not packed.
    left_files: Vec<String>,
    /// The files that it is made from.
    inputs: Vec<PathBuf>,
    writing: Writing,
}

impl Prepared {
    async fn new(cx: &Context, options: &PackOptions) -> Result<Self, OpsError> {
        for warning in options.list.iter().flat_map(|list| &list.warnings) {
            cx.warn(warning);
        }
        let catalog = Catalog::open(&options.source, &cx.reading);
        let catalog = catalog.map_err(|error| match error {
            OpsError::UnknownSource { path, .. } if is_like_list(&path) => {
                OpsError::ListWithoutStore { path }
            }
            error => error,
        })?;
        let source = catalog.source();
        if !sources::is_in_place(source) {
            return Err(OpsError::WrongSource {
                verb: "pack",
                path: options.source.clone(),
                kind: catalog.kind(),
            });
        }
        let wanted = catalog
            .wanted(
                options.list.as_ref(),
                &options.renames,
                &Carry::local(&options.platforms, options.referrers),
            )
            .await?;
        let mut batch = Batch::resolve(cx, source, wanted, OnFailure::GoOn).await;
        platforms::check(cx, source, &mut batch, options.platforms.mismatch).await;
        refuse_manifests_as_blobs(cx, &mut batch);
        if let Some(error) = batch.first_failure().filter(|_| batch.plan.is_empty()) {
            return Err(error.into());
        }
        platforms::warn_of_partial(cx, &batch, platforms::NOT_KEPT);
        base::require_whole(source, &options.source, &batch.plan)?;
        let left_files = sources::warn_of_rest(cx, source, options);
        // Stored in the bundle, so that listing it does not require the configs, which a delta may
        // lack.
        inventory::read_platforms(source, &mut batch).await;
        let since = Since::read(cx, &options.since).await?;
        let carry = options.carry.clone();
        let carried = bridge::run(move || carried::gather(&carry)).await?;
        warn_of_tool(cx, &carried);
        let planned = plan::pack_plan(options, &batch, (&since, &carried))?;
        let files = files(options, &planned)?;
        let inputs = strays::inputs(source, options);
        require_others(&files, &inputs)?;
        let writing = Writing {
            made: sources::made_manifests(&batch, source)?,
            source: catalog.shared_source(),
            jobs: cx.jobs,
            reporter: Arc::clone(&cx.reporter),
            output: options.output.clone(),
            compression: options.compression,
            durability: options.durability,
            reading: options.reading,
            only_volume: options.only_volume,
        };
        Ok(Self {
            batch,
            planned,
            files,
            left_files,
            inputs,
            writing,
        })
    }
}

/// The state that a thread needs to write a bundle, or a sample of it.
struct Writing {
    source: Arc<dyn Source>,
    made: Made,
    jobs: usize,
    reporter: Arc<dyn Reporter>,
    output: PathBuf,
    compression: Compression,
    durability: Durability,
    reading: Reading,
    only_volume: Option<u32>,
}

impl Writing {
    /// Writes the files.
    async fn run_in_place(self, planned: Planned) -> Result<WriteOutcome, OpsError> {
        let write =
            move |stop| self.run(&stop, |open, options| bundle::write(planned, open, options));
        bridge::run_stoppable(write).await
    }

    /// Writes to a pipe or a device, on a thread that is abandoned when the process ends: the
    /// reader may start, and continue, at any time.
    async fn run_to_stream(mut self, planned: Planned) -> Result<WriteOutcome, OpsError> {
        let path = self.output.clone();
        if fsx::is_stdout(&path) {
            self.output = PathBuf::from(fsx::STDOUT);
        }
        let name = self.output.clone();
        let write = move || {
            let mut stream = fsx::open_stream(&path)?;
            self.run(&Stop::default(), |open, options| {
                bundle::write_to(planned, &mut stream, open, options)
            })
        };
        let written = bridge::run_apart(write).await;
        written.map_err(|source| fsx::Error::new("write", &name, source))?
    }

    /// Has `work` done with the blobs of the source, until `stop` is set.
    fn run<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&OpenBlob<'_, OpsError>, &WriteOptions<'_>) -> Result<T, OpsError>,
    ) -> Result<T, OpsError> {
        let options = WriteOptions {
            output: &self.output,
            compression: self.compression,
            jobs: self.jobs,
            durability: self.durability,
            only_volume: self.only_volume,
            knowledge: &Known {
                source: self.source.as_ref(),
                reading: self.reading,
            },
            on_bytes: &|len| {
                self.reporter.event(Event::BytesMoved { len });
                stop.flow()
            },
        };
        let open = |digest: &Digest| sources::open(self.source.as_ref(), &self.made, digest);
        work(&open, &options)
    }
}

/// Refuses images that have a manifest for a config or layer: a bundle holds each digest as one or
/// the other.
fn refuse_manifests_as_blobs(cx: &Context, batch: &mut Batch) {
    let manifests = batch.plan.images.iter().flat_map(Resolved::all_manifests);
    let manifests: HashSet<Digest> = manifests
        .map(|manifest| manifest.digest().clone())
        .collect();
    batch.narrow(cx, |image| {
        let mut blobs = image.all_blobs();
        match blobs.find(|(blob, _)| manifests.contains(&blob.digest)) {
            None => Ok(()),
            Some((blob, _)) => Err(TransferError::ManifestAsBlob {
                digest: blob.digest.clone(),
            }),
        }
    });
}

fn is_like_list(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension == "txt" || extension == "list")
}

/// Says that the bundle has no tool, where it should.
fn warn_of_tool(cx: &Context, carried: &Carried) {
    if let Some(problem) = carried.left {
        cx.warn(&format!(
            "hod is not included, because {problem}: build a static one (`make dist`), pass \
             `--tool FILE`, or `--no-tool`"
        ));
    }
}

/// Tells of every blob that it was packed.
pub(super) fn tell_done(reporter: &dyn Reporter, packed: &BundleManifest) {
    for blob in &packed.blobs {
        reporter.event(Event::BlobDone {
            digest: &blob.digest,
            len: blob.size,
            route: BlobRoute::Moved,
        });
    }
}

/// The files that are to be written, or why they cannot be.
fn files(options: &PackOptions, planned: &Planned) -> Result<Vec<PlannedFile>, OpsError> {
    if options.compression != Compression::Raw || fsx::is_stream(&options.output)? {
        planned.require_one_stream()?;
    }
    Ok(planned.files(&options.output, options.only_volume)?)
}

/// Refuses when files that are to be written exist.
fn require_absent(options: &PackOptions, files: &[PlannedFile]) -> Result<(), OpsError> {
    let output = (options.output.as_path(), options.checksums);
    written::require_absent(options.existing, output, files)
}

/// Refuses when the files that are to be written do not fit, or are longer than any there.
fn require_room(options: &PackOptions, files: &[PlannedFile]) -> Result<(), OpsError> {
    if fsx::is_stream(&options.output)? {
        return Ok(());
    }
    // The length of a compressed bundle is not known beforehand.
    if options.compression == Compression::Raw {
        require_lens(&options.output, files)?;
    }
    let fewer = match options.list {
        Some(_) => Fewer::List,
        None => Fewer::ListOfStore,
    };
    let len = sum_len(files.iter().map(|file| file.len));
    require_space(&options.output, len, fewer)
}

/// Refuses when a file that is to be written is longer than any where `output` is.
pub(super) fn require_lens(output: &Path, files: &[PlannedFile]) -> Result<(), OpsError> {
    let longest = files.iter().map(|file| file.len).max();
    require_file_len(output, longest.unwrap_or(0))
}

/// Refuses to write a file that is also read: a bundle that is packed again would lose its content,
/// and a delta is useless without the bundle it requires.
pub(super) fn require_others(files: &[PlannedFile], inputs: &[PathBuf]) -> Result<(), OpsError> {
    files
        .iter()
        .try_for_each(|file| require_other(&file.path, inputs.iter().map(PathBuf::as_path)))
}
