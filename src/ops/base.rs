//! The base of a bundle: configs and layers that it does not contain, or has in volumes that were
//! not found, and that its target must have.
//!
//! All of it is checked before anything is written. If the target lacks blobs that the bundle left
//! out, the whole bundle is refused; images whose blobs are in missing volumes wait for these.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::base_missing::{BaseMissing, HeldBy, MissingBlob};
use super::batch::{Batch, PresentVolumes};
use super::preflight::PreflightCheck;
use super::{Context, OpsError};
use crate::input::OpenInput;
use hod_bundle::{BaseBlob, BundleBlob, BundleImage, BundleManifest, OriginKind};
use hod_list::RenameRules;
use hod_oci::{Descriptor, Digest, RepositoryName};
use hod_report::amount::format_count;
use hod_store::{Holding, Store};
use hod_transfer::{Destination, Plan, Presence, RegistrySink, Source, TransferError};

/// Number of blobs looked up at once.
const ASK_AT_ONCE: usize = 16;
/// Maximum number of repositories in which a blob is looked up: they are named in the bundle, which
/// is not trusted.
const HOLDERS_MAX: usize = 32;

/// Asks the registry for the blobs that the source lacks. A missing blob of the base fails the run;
/// missing blobs in absent volumes make their images wait.
///
/// Costs one HEAD for each such blob and repository that needs it, and where none of these has it,
/// one for each repository that may.
pub(super) async fn await_at_registry(
    cx: &Context,
    input: &OpenInput<'_>,
    sink: &RegistrySink,
    renames: &RenameRules,
    check: Option<&PreflightCheck<'_>>,
    batch: &mut Batch,
) -> Result<(), OpsError> {
    let (source, path) = (input.source.as_ref(), input.path());
    let (Some(document), lacking) = (source.document(), lacking(source, &batch.plan)) else {
        return Ok(());
    };
    if lacking.is_empty() {
        return Ok(());
    }
    let target = sink.registry().to_string();
    cx.stage(&format!(
        "checking {} of the base at {target}",
        format_count(lacking.len(), "blob")
    ));
    let base = base_of(document);
    let plan = &batch.plan;
    let found: Vec<(usize, Presence)> = futures_util::stream::iter(lacking)
        .map(|at| {
            let base = base.get(&plan.blobs[at].descriptor.digest).copied();
            async move {
                let blob = &plan.blobs[at].descriptor;
                let mut there = Vec::new();
                for name in destinations(plan, at, check) {
                    if sink.has_blob(&name, blob).await? {
                        there.push(name);
                    }
                }
                if there.is_empty() {
                    let asked = destinations(plan, at, None);
                    let holders = holders(base, document, renames)?;
                    for name in holders.into_iter().take(HOLDERS_MAX) {
                        if !asked.contains(&name) && may_have(sink, &name, blob).await? {
                            there.push(name);
                            break;
                        }
                    }
                }
                let presence = if there.is_empty() {
                    Presence::Nowhere
                } else {
                    Presence::Target(there)
                };
                Ok::<_, OpsError>((at, presence))
            }
        })
        .buffered(ASK_AT_ONCE)
        .try_collect()
        .await?;
    settle(batch, found, source, path, Some(target))
}

/// Looks up the blobs that the source lacks in the store; `None` for a store that does not exist
/// yet.
pub(super) async fn await_at_store(
    source: &dyn Source,
    path: &Path,
    store: Option<Store>,
    target: &Path,
    batch: &mut Batch,
) -> Result<(), OpsError> {
    let wanted: Vec<(usize, Descriptor)> = lacking(source, &batch.plan)
        .into_iter()
        .map(|at| (at, batch.plan.blobs[at].descriptor.clone()))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let found = hod_bridge::run(move || {
        let mut found = Vec::with_capacity(wanted.len());
        for (at, blob) in wanted {
            let is_there = match &store {
                Some(store) => store.holding(&blob)? == Holding::Sound,
                None => false,
            };
            let presence = if is_there {
                Presence::Target(Vec::new())
            } else {
                Presence::Nowhere
            };
            found.push((at, presence));
        }
        Ok::<_, OpsError>(found)
    })
    .await?;
    let target = target.display().to_string();
    settle(batch, found, source, path, Some(target))
}

/// Refuses a source that does not have every blob of the plan.
pub(super) fn require_whole(source: &dyn Source, path: &Path, plan: &Plan) -> Result<(), OpsError> {
    let lacking = lacking(source, plan);
    if lacking.is_empty() {
        return Ok(());
    }
    if let Some(bundle) = source.as_bundle() {
        bundle.require_complete()?;
    }
    Err(missing(plan, &lacking, source, path, None))
}

/// Refuses a bundle that does not contain everything its images need.
pub(super) fn require_no_base(document: &BundleManifest, path: &Path) -> Result<(), OpsError> {
    if document.base.is_empty() {
        return Ok(());
    }
    let blob = |base: &BaseBlob| {
        let images = document.images.iter();
        let needs = images.filter(|image| image.blobs.contains(&base.digest));
        MissingBlob {
            digest: base.digest.clone(),
            size: base.size,
            images: needs.map(BundleImage::name).collect(),
            held: held_by(Some(base), document),
        }
    };
    Err(OpsError::BaseMissing(Box::new(BaseMissing {
        source: path.to_owned(),
        target: None,
        blobs: document.base.iter().map(blob).collect(),
    })))
}

/// Positions of the blobs that the source does not have.
fn lacking(source: &dyn Source, plan: &Plan) -> Vec<usize> {
    if source.document().is_none() {
        return Vec::new();
    }
    let blobs = plan.blobs.iter().enumerate();
    let lacking = blobs.filter(|(_, blob)| !source.has_blob(&blob.descriptor.digest));
    lacking.map(|(at, _)| at).collect()
}

fn base_of(document: &BundleManifest) -> BTreeMap<&Digest, &BaseBlob> {
    let base = document.base.iter();
    base.map(|blob| (&blob.digest, blob)).collect()
}

/// The destination repositories of a blob whose projects exist, each once.
pub(super) fn destinations(
    plan: &Plan,
    at: usize,
    check: Option<&PreflightCheck<'_>>,
) -> Vec<RepositoryName> {
    let images = plan.blobs[at].images.iter();
    let destinations = images.map(|&image| &plan.images[image].wanted.destination);
    let may_ask = |to: &&Destination| check.is_none_or(|check| check.may_ask(to));
    let names: BTreeSet<&RepositoryName> = destinations
        .filter(may_ask)
        .map(|to| &to.repository)
        .collect();
    names.into_iter().cloned().collect()
}

/// The repositories of the target that may have a blob of the base.
fn holders(
    base: Option<&BaseBlob>,
    document: &BundleManifest,
    renames: &RenameRules,
) -> Result<BTreeSet<RepositoryName>, OpsError> {
    let mut names = BTreeSet::new();
    for held in base.iter().flat_map(|base| &base.held) {
        let origin = &document.origins[held.origin];
        for name in &held.repositories {
            let pushed_as =
                |name: &RepositoryName| renames.apply(name).map(|name| name.with_library());
            if origin.kind != OriginKind::Registry {
                names.insert(pushed_as(name)?);
                continue;
            }
            // A receipt of a registry has the names of that registry. At another registry or
            // prefix, the same images have the names that this push gives them.
            if let Some(name) = without_prefix(name, &origin.name) {
                names.insert(pushed_as(&name)?);
            }
            names.insert(name.clone());
        }
    }
    Ok(names)
}

/// The name of a repository of `registry`, a host and perhaps a prefix, as it was before a push
/// added it.
fn without_prefix(name: &RepositoryName, registry: &str) -> Option<RepositoryName> {
    let (_, prefix) = registry.split_once('/')?;
    let rest = name.as_str().strip_prefix(prefix)?.strip_prefix('/')?;
    rest.parse().ok()
}

/// Returns true if a repository has a blob, and false also if the repository may not exist.
async fn may_have(
    sink: &RegistrySink,
    name: &RepositoryName,
    blob: &Descriptor,
) -> Result<bool, TransferError> {
    match sink.has_blob(name, blob).await {
        Err(TransferError::Registry(error)) if error.may_mean_absent() => Ok(false),
        result => result,
    }
}

/// Records the results in the plan.
fn settle(
    batch: &mut Batch,
    found: Vec<(usize, Presence)>,
    source: &dyn Source,
    path: &Path,
    target: Option<String>,
) -> Result<(), OpsError> {
    let mut absent = Vec::new();
    for (at, presence) in &found {
        let digest = &batch.plan.blobs[*at].descriptor.digest;
        if *presence == Presence::Nowhere && volumes_of(source, digest).is_empty() {
            absent.push(*at);
        }
    }
    if !absent.is_empty() {
        return Err(missing(&batch.plan, &absent, source, path, target));
    }
    let mut waiting: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    let mut next: Option<Vec<u32>> = None;
    for (at, presence) in &found {
        if *presence != Presence::Nowhere {
            continue;
        }
        let blob = &batch.plan.blobs[*at];
        let volumes = volumes_of(source, &blob.descriptor.digest);
        for image in &blob.images {
            waiting.entry(*image).or_default().extend(&volumes);
        }
        // The first of those that can be had one by one; a layer in parts needs them together.
        let all = all_volumes_of(source, &blob.descriptor.digest);
        let order = |volumes: &Vec<u32>| (volumes.len(), volumes.clone());
        if next.as_ref().is_none_or(|next| order(&all) < order(next)) {
            next = Some(all);
        }
    }
    batch.set_presence(found);
    if let (Some(bundle), false) = (source.as_bundle(), waiting.is_empty()) {
        let missing = bundle.missing_volumes();
        let n_volumes = bundle.manifest().n_volumes;
        batch.present_volumes = Some(PresentVolumes {
            present: (1..=n_volumes)
                .filter(|volume| !missing.contains(volume))
                .collect(),
            n_volumes,
        });
    }
    for (image, volumes) in waiting {
        batch.wait(image, volumes.into_iter().collect());
    }
    batch.next_volumes = next.unwrap_or_default();
    Ok(())
}

/// The missing volumes that have the blob, or a part of it.
fn volumes_of(source: &dyn Source, digest: &Digest) -> Vec<u32> {
    let Some(bundle) = source.as_bundle() else {
        return Vec::new();
    };
    let missing = bundle.missing_volumes();
    let mut volumes = all_volumes_of(source, digest);
    volumes.retain(|volume| missing.contains(volume));
    volumes
}

fn all_volumes_of(source: &dyn Source, digest: &Digest) -> Vec<u32> {
    let blobs = source.document().into_iter().flat_map(|doc| &doc.blobs);
    let mut found = blobs.filter(|blob| blob.digest == *digest);
    found.next().map(BundleBlob::volumes).unwrap_or_default()
}

fn missing(
    plan: &Plan,
    lacking: &[usize],
    source: &dyn Source,
    path: &Path,
    target: Option<String>,
) -> OpsError {
    let document = source.document();
    let base = document.map(base_of).unwrap_or_default();
    let blob = |at: &usize| {
        let blob = &plan.blobs[*at];
        let images = blob.images.iter();
        let held = base.get(&blob.descriptor.digest).copied();
        MissingBlob {
            digest: blob.descriptor.digest.clone(),
            size: blob.descriptor.size,
            images: images
                .map(|&image| plan.images[image].wanted.name.clone())
                .collect(),
            held: document.map_or_else(Vec::new, |document| held_by(held, document)),
        }
    };
    let mut blobs: Vec<MissingBlob> = lacking.iter().map(blob).collect();
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    OpsError::BaseMissing(Box::new(BaseMissing {
        source: path.to_owned(),
        target,
        blobs,
    }))
}

/// A bundle, store or registry that has a blob of the base.
fn held_by(base: Option<&BaseBlob>, document: &BundleManifest) -> Vec<HeldBy> {
    let held = base.into_iter().flat_map(|base| &base.held);
    held.map(|held| HeldBy {
        origin: document.origins[held.origin].clone(),
        repositories: held.repositories.clone(),
    })
    .collect()
}
