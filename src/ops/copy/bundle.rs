//! A bundle as a target.

mod carry_error;
mod elf;
mod extra_files;
mod fill;
mod forecast;
mod outcome;
mod plan;
mod rest;
pub(crate) mod stale_volumes;
mod target;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use self::carry_error::CarryError;
pub use self::elf::NotATool;
use self::extra_files::ExtraFiles;
pub use self::extra_files::{CarryOptions, ExtraFile, OwnTool};
use self::fill::Looked;
pub(crate) use self::fill::tell_manifests;
pub use self::outcome::{
    PackFacts, PackForecast, PackOutcome, ProjectNeed, TargetNeeds, VolumeForecast,
};
pub(crate) use self::plan::with_files;
use self::target::Output;
pub use self::target::{BundleTarget, Reading};
use super::target::{CopyOptions, CopyTarget, Prepared};
use crate::baseline::Baseline;
use crate::batch::{
    Batch, TargetName, require_file_len, require_other, require_reachable, require_space,
    require_writable,
};
use crate::input::OpenInput;
use crate::written::{self, Checksums, Existing};
use crate::{Context, Fewer, OpsError, RunMode, base, inventory, platforms};
use hod_bundle::{Compression, Planned, PlannedFile};
use hod_fsx::Durability;
use hod_oci::{Digest, sum_len};
use hod_transfer::{Resolved, TransferError};

impl BundleTarget {
    /// A bundle in one volume, with the default content only.
    pub fn new(output: PathBuf, compression: Compression, mtime: u64) -> Self {
        Self {
            output,
            baseline: Vec::new(),
            compression,
            volume_size: None,
            only_volume: None,
            name: None,
            version: None,
            signer: None,
            mtime,
            carry: CarryOptions::default(),
            durability: Durability::Deferred,
            reading: Reading::Unverified,
            existing: Existing::Refuse,
            checksums: Checksums::None,
        }
    }

    /// Refuses images that cannot be packed, and reads the data of the others that the index
    /// requires.
    async fn narrow(
        &self,
        cx: &Context,
        input: &OpenInput<'_>,
        batch: &mut Batch,
    ) -> Result<(), OpsError> {
        let source = input.source.as_ref();
        refuse_manifests_as_blobs(cx, batch);
        if let Some(error) = batch.first_failure().filter(|_| batch.plan.is_empty()) {
            return Err(error.into());
        }
        platforms::warn_of_partial(cx, source, batch);
        base::require_whole(source, input.path(), &batch.plan)?;
        // Stored in the bundle, so that listing it does not require the configs, which a delta may
        // lack.
        inventory::read_platforms(source, batch).await?;
        Ok(())
    }

    /// Plans every byte of the bundle.
    async fn plan(&self, cx: &Context, batch: &Batch) -> Result<Planned, OpsError> {
        let baseline = Baseline::read(cx, &self.baseline).await?;
        let carry = self.carry.clone();
        let extra = hod_bridge::run(move || extra_files::gather(&carry)).await?;
        warn_of_tool(cx, &extra);
        plan::pack_plan(self, batch, &baseline, &extra)
    }

    /// The files that are to be written, or why they cannot be.
    fn files(
        &self,
        planned: &Planned,
        inputs: &[PathBuf],
    ) -> Result<(Vec<PlannedFile>, Output), OpsError> {
        let output = if hod_fsx::is_stream(&self.output)? {
            Output::Stream
        } else {
            Output::Files
        };
        if self.compression != Compression::Raw || output == Output::Stream {
            planned.require_one_stream()?;
        }
        let files = planned.files(&self.output, self.only_volume)?;
        require_others(&files, inputs)?;
        Ok((files, output))
    }

    /// Refuses files that exist, and those that do not fit on the disk.
    fn require_room(&self, files: &[PlannedFile], fewer: Fewer) -> Result<(), OpsError> {
        written::require_absent(self.existing, &self.output, self.checksums, files)?;
        if hod_fsx::is_stream(&self.output)? {
            return Ok(());
        }
        // The length of a compressed bundle is not known beforehand.
        if self.compression == Compression::Raw {
            require_lens(&self.output, files)?;
        }
        let len = sum_len(files.iter().map(|file| file.len));
        require_space(&self.output, len, fewer)
    }
}

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl CopyTarget for BundleTarget {
    fn name(&self) -> TargetName {
        TargetName::Path(self.output.clone())
    }

    /// Refuses a terminal.
    async fn check(&self) -> Result<(), OpsError> {
        if hod_fsx::is_stdout(&self.output) {
            return require_writable(&self.output, hod_fsx::stdout().map(drop));
        }
        require_reachable(&self.output).await
    }

    /// Offsets are planned before the first byte is written, which requires reading some content.
    async fn accept(&self, _: &Context, input: &OpenInput<'_>) -> Result<(), OpsError> {
        if input.source.is_sequential() {
            return Err(input.refused("pack"));
        }
        let output = self.output.clone();
        hod_bridge::run(move || {
            if hod_fsx::is_stream(&output)? {
                return Ok(());
            }
            require_writable(&output, hod_fsx::require_writable_file(&output))
        })
        .await
    }

    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        input: &OpenInput<'a>,
        mut batch: Batch,
    ) -> Result<Box<dyn Prepared + 'a>, OpsError> {
        self.narrow(cx, input, &mut batch).await?;
        let source = input.source.as_ref();
        let left_files = rest::warn_of_rest(cx, source, input.path(), self);
        let planned = self.plan(cx, &batch).await?;
        let inputs = stale_volumes::inputs(source, input.input().path(), self);
        let fewer = match options.from.list() {
            Some(_) => Fewer::List,
            None => Fewer::ListOfStore,
        };
        let (this, read) = (self.clone(), inputs.clone());
        let look = move || {
            let (files, output) = this.files(&planned, &read)?;
            let refusal = this.require_room(&files, fewer).err();
            Ok::<_, OpsError>(((planned, output), files, refusal))
        };
        let ((planned, output), files, refusal) = hod_bridge::run(look).await?;
        let made = (batch, planned, output);
        let mut looked = Looked::new((cx, self), made, (source, left_files, inputs));
        looked.needed = sum_len(files.iter().map(|file| file.len));
        match (options.mode, refusal) {
            (RunMode::Real, Some(refusal)) => return Err(refusal),
            (RunMode::Real, None) => {}
            (RunMode::DryRun, refusal) => {
                looked.forecast(files, refusal).await?;
            }
        }
        Ok(Box::new(looked))
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

/// Warns that the bundle contains no tool.
fn warn_of_tool(cx: &Context, extra: &ExtraFiles) {
    if let Some(problem) = extra.left {
        cx.warn(&format!(
            "did not add this hod to the bundle: {problem}. Build a static one (`make dist`), or pass \
             `--tool FILE` or `--no-tool` to `hod pack`"
        ));
    }
}

/// Refuses a file that is longer than the file system of `output` supports.
pub(crate) fn require_lens(output: &Path, files: &[PlannedFile]) -> Result<(), OpsError> {
    let longest = files.iter().map(|file| file.len).max();
    require_file_len(output, longest.unwrap_or(0))
}

/// Refuses to write a file that is also read: a bundle that is packed again would lose its content,
/// and a delta is useless without the bundle it requires.
pub(crate) fn require_others(files: &[PlannedFile], inputs: &[PathBuf]) -> Result<(), OpsError> {
    files
        .iter()
        .try_for_each(|file| require_other(&file.path, inputs.iter().map(PathBuf::as_path)))
}
