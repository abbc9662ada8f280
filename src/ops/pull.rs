//! `pull`: registries → store.

mod lock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{Batch, require_space, resolve_images};
use super::carry::Carry;
use super::catalog::require_store_path;
use super::indirect;
use super::platforms::{self, Mismatch};
use super::preflight::{check_sources, require_access};
use super::{BatchOutcome, Context, Effect, Fewer, OpsError, SourceCheck};
use crate::bridge;
use crate::fsx::Durability;
use crate::list::{ImageList, ListEntry};
use crate::oci::{Digest, ForeignLayers, PlatformChoice, Registry, Tag, sum_len};
use crate::registry::{Client, ManifestRef, Repo};
use crate::store::Store;
use crate::transfer::{
    Destination, IndexMode, Locate, OnFailure, Plan, ReferrerMode, ReferrerTags, RegistrySource,
    Resolved, StoreSink, StoreSinkOptions, Visibility, Wanted,
};

/// What to pull, and how.
#[derive(Debug)]
pub struct PullOptions {
    pub list: ImageList,
    pub store: PathBuf,
    pub client: Client,
    /// Where names without a registry come from.
    pub source: Registry,
    /// For lines that do not say it themselves.
    pub platforms: PlatformChoice,
    pub index_mode: IndexMode,
    pub mismatch: Mismatch,
    pub referrers: ReferrerMode,
    pub foreign_layers: ForeignLayers,
    /// Where to write the list with every digest.
    pub lock: Option<PathBuf>,
    pub effect: Effect,
    pub on_failure: OnFailure,
    pub preflight: SourceCheck,
}

/// Pulls every image of the list into the store.
///
/// Each unique blob is fetched once, hashed while it is written, and published before the link
/// files that name it, the tag last; a killed run leaves no half image and the next one continues.
/// Blobs that are there are not fetched again.
pub async fn pull(cx: &Context, options: &PullOptions) -> Result<BatchOutcome, OpsError> {
    require_store_path(&options.store)?;
    for warning in &options.list.warnings {
        cx.warn(warning);
    }
    let path = options.store.clone();
    let known = bridge::run(move || open_known(&path)).await?;
    let carry = Carry {
        platforms: Some(&options.platforms),
        index: Some(options.index_mode),
        referrers: options.referrers,
        foreign_layers: options.foreign_layers,
    };
    let wanted: Vec<Wanted> = options
        .list
        .entries
        .iter()
        .map(|entry| wanted(entry, &options.source, &carry))
        .collect();
    expect(&options.client, &wanted);
    expect_pulls(options, &wanted, known.clone()).await;
    if options.preflight == SourceCheck::Run {
        check_sources(cx, &options.client, &wanted, known.as_ref()).await?;
    }
    let source = Arc::new(RegistrySource {
        client: options.client.clone(),
        known,
    });
    let resolutions = resolve_images(cx, source.as_ref(), wanted, options.on_failure).await;
    if options.preflight == SourceCheck::Run {
        require_access(&resolutions)?;
    }
    let mut batch = Batch::of(cx, source.as_ref(), (resolutions, options.on_failure));
    // Manifests are what registries count; all are fetched by now.
    for (host, budget) in options.client.budgets() {
        cx.note(&format!("`{host}`: {budget}"));
    }
    if batch.must_stop() || (batch.plan.is_empty() && batch.has_failures()) {
        return Ok(batch.finish());
    }
    if options.effect == Effect::DryRun || options.mismatch == Mismatch::Fail {
        platforms::check(cx, source.as_ref(), &mut batch, options.mismatch).await;
        if batch.must_stop() {
            return Ok(batch.finish());
        }
    }
    platforms::warn_of_partial(cx, &batch, platforms::NOT_PULLED);
    let missing_len = missing_len(options, &batch.plan).await?;
    require_space(&options.store, missing_len, Fewer::List)?;
    indirect::require_real(&options.store, &batch.plan, options.on_failure).await?;
    if options.effect == Effect::DryRun {
        let path = options.store.clone();
        let known = bridge::run(move || open_known(&path)).await?;
        let would_move = batch.forecast(source.as_ref(), known).await?;
        let mut outcome = batch.finish();
        outcome.would_move = Some(would_move);
        return Ok(outcome);
    }
    let store = cx.open_store(&options.store, Store::create).await?;
    let sink_options = StoreSinkOptions {
        link: None,
        durability: Durability::Synced,
        visibility: Visibility::Growing,
        referrers: ReferrerTags::Joined,
    };
    let sink = StoreSink::new(store.clone(), sink_options);
    batch.run(cx, source, Arc::new(sink)).await;
    keep_originals(cx, &store, &batch.plan).await;
    if options.mismatch == Mismatch::Warn {
        // Every configuration is here by now.
        platforms::check(cx, &store, &mut batch, options.mismatch).await;
    }
    if let Some(path) = &options.lock {
        lock::write(cx, path, &options.list.entries, &batch)?;
    }
    Ok(batch.finish())
}

/// Tells the client which repositories are to be read.
pub(super) fn expect(client: &Client, wanted: &[Wanted]) {
    client.expect(wanted.iter().filter_map(|image| match &image.locate {
        Locate::Remote { repos, .. } => repos.first(),
        _ => None,
    }));
}

/// The image that a line of a list names at its registry, to go where the list says.
pub(super) fn wanted(entry: &ListEntry, source: &Registry, carry: &Carry<'_>) -> Wanted {
    let reference = &entry.reference;
    let registry = reference.registry.clone().unwrap_or_else(|| source.clone());
    let repos = reference
        .remote_names(&registry)
        .into_iter()
        .map(|name| Repo {
            registry: registry.clone(),
            name,
        })
        .collect();
    let at = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => ManifestRef::Digest(digest.clone()),
        (None, Some(tag)) => ManifestRef::Tag(tag.clone()),
        (None, None) => ManifestRef::Tag(Tag::latest()),
    };
    let stored = entry.stored();
    let destination = Destination {
        repository: stored.repository,
        tag: stored.tag,
    };
    let locate = Locate::Remote { repos, at };
    Wanted {
        pinned: reference.digest.clone(),
        ..carry
            .of(&entry.options)
            .wanted(reference.to_string(), locate, destination)
    }
}

/// The store, if it is there.
fn open_known(path: &Path) -> Result<Option<Store>, OpsError> {
    if Store::detect(path)? {
        Ok(Some(Store::open(path)?))
    } else {
        Ok(None)
    }
}

/// Tells the client how many images are new here, each of which costs one manifest or more.
async fn expect_pulls(options: &PullOptions, wanted: &[Wanted], known: Option<Store>) {
    let mut images: Vec<(Registry, Destination, Option<Digest>)> = Vec::new();
    for image in wanted {
        if let Locate::Remote { repos, at } = &image.locate
            && let Some(repo) = repos.first()
        {
            let digest = match at {
                ManifestRef::Digest(digest) => Some(digest.clone()),
                ManifestRef::Tag(_) => None,
            };
            images.push((repo.registry.clone(), image.destination.clone(), digest));
        }
    }
    let counts = bridge::run(move || {
        let mut counts: BTreeMap<Registry, usize> = BTreeMap::new();
        for (registry, destination, digest) in images {
            let is_known = known
                .as_ref()
                .is_some_and(|store| match (digest, destination.tag) {
                    (Some(digest), _) => store.find_manifest(&digest).is_some(),
                    (None, Some(tag)) => {
                        matches!(
                            store.resolve_tag(&destination.repository, &tag),
                            Ok(Some(_))
                        )
                    }
                    (None, None) => false,
                });
            *counts.entry(registry).or_default() += usize::from(!is_known);
        }
        counts
    })
    .await;
    for (registry, n) in counts {
        // A registry that cannot be asked at all fails each of its images, with the reason.
        let _ = options.client.expect_pulls(&registry, n);
    }
}

/// Keeps the indexes of which only a part is carried, so that the next run need not fetch them.
async fn keep_originals(cx: &Context, store: &Store, plan: &Arc<Plan>) {
    let (store, plan) = (store.clone(), Arc::clone(plan));
    let result = bridge::run(move || {
        let originals = plan
            .images
            .iter()
            .filter_map(|image| image.original_manifest.as_ref());
        for original in originals {
            store.keep_original(original)?;
        }
        Ok::<_, OpsError>(())
    })
    .await;
    if let Err(error) = result {
        cx.warn(&format!(
            "the next run will fetch some manifests again: {error}"
        ));
    }
}

/// What a file takes of a disk at least, as its data or as a link file of the store.
const BLOCK_LEN: u64 = 4096;

/// A length rounded up to blocks; one that no disk has stays as it is, and does not fit.
fn whole_blocks(len: u64) -> u64 {
    len.checked_next_multiple_of(BLOCK_LEN).unwrap_or(len)
}

/// What the plan takes of the disk of the store, which lacks it: files take whole blocks, and each
/// blob has link files.
async fn missing_len(options: &PullOptions, plan: &Arc<Plan>) -> Result<u64, OpsError> {
    let (path, plan) = (options.store.clone(), Arc::clone(plan));
    bridge::run(move || {
        let store = open_known(&path)?;
        let mut len = 0;
        for blob in &plan.blobs {
            let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
            let has = match &store {
                Some(store) => store.keeps(digest, size)?,
                None => false,
            };
            if !has {
                let kept = match &store {
                    Some(store) => store.partial_len(&blob.descriptor.digest)?,
                    None => 0,
                };
                let data = whole_blocks(size.saturating_sub(kept));
                len = sum_len([len, data, BLOCK_LEN]);
            }
        }
        for manifest in plan.images.iter().flat_map(Resolved::all_manifests) {
            let size = manifest.bytes().len() as u64;
            let has = match &store {
                Some(store) => store.keeps(manifest.digest(), size)?,
                None => false,
            };
            if !has {
                // The revision, the tag and what the tag had before.
                len = sum_len([len, whole_blocks(size), 3 * BLOCK_LEN]);
            }
        }
        Ok(len)
    })
    .await
}
