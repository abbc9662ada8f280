//! From a wanted image to its manifests and blobs, with the choice of platforms applied.

mod no_platform;
mod one;
mod some;

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;

use self::some::Part;
use super::referrers::Finder;
use super::walk::Walk;
use super::{
    IndexMode, Locate, Location, OnFailure, ReferrerMode, Resolved, Source, TransferError, Wanted,
    config, sizes,
};
use hod_oci::{
    Descriptor, ForeignLayers, Manifest, ManifestBody, MediaType, Platform, PlatformChoice,
};
use hod_report::{Event, Reporter};

/// The result of resolving an image.
#[derive(Debug)]
pub enum Resolution {
    Resolved(Box<Resolved>),
    Failed(Wanted, Arc<TransferError>),
    /// An image before it in the list failed, after which no other was to be tried.
    NotTried(Wanted),
}

/// Resolves images, `at_once` at a time; one resolution for each, in the given order. If the batch
/// stops at the first failure, later resolutions are cancelled.
pub fn resolve_all<'a>(
    source: &'a dyn Source,
    wanted: Vec<Wanted>,
    at_once: usize,
    on_failure: OnFailure,
    reporter: &'a Arc<dyn Reporter>,
) -> LocalBoxFuture<'a, Vec<Resolution>> {
    Box::pin(resolve_each(source, wanted, at_once, on_failure, reporter))
}

async fn resolve_each(
    source: &dyn Source,
    wanted: Vec<Wanted>,
    at_once: usize,
    on_failure: OnFailure,
    reporter: &Arc<dyn Reporter>,
) -> Vec<Resolution> {
    let finder = Finder::new(source, reporter);
    let finder = &finder;
    let mut resolutions = Vec::with_capacity(wanted.len());
    let mut results = futures_util::stream::iter(&wanted)
        .map(|wanted| async move {
            let result = match &wanted.locate {
                Locate::Unreadable(error) => Err(Arc::clone(error)),
                _ => resolve_with(source, wanted, finder).await.map_err(Arc::new),
            };
            reporter.event(Event::ImageResolved {
                image: &wanted.name,
            });
            result
        })
        .buffered(at_once.max(1));
    let mut is_stopped = false;
    while !is_stopped && let Some(result) = results.next().await {
        is_stopped = result.is_err() && on_failure == OnFailure::Stop;
        resolutions.push(match result {
            Ok(resolved) => Resolution::Resolved(Box::new(resolved)),
            Err(error) => Resolution::Failed(wanted[resolutions.len()].clone(), error),
        });
    }
    drop(results);
    let rest = wanted.into_iter().skip(resolutions.len());
    resolutions.extend(rest.map(Resolution::NotTried).collect::<Vec<_>>());
    resolutions
}

/// Resolves one image with its referrers.
async fn resolve_with(
    source: &dyn Source,
    wanted: &Wanted,
    finder: &Finder<'_>,
) -> Result<Resolved, TransferError> {
    let mut resolved = resolve(source, wanted).await?;
    if wanted.referrers == ReferrerMode::Carry {
        resolved.referrers = finder.find(&resolved).await?;
        if let Some(original) = &resolved.original {
            resolved.leaves_referrers = finder.has_any(&resolved, original).await;
        }
    }
    sizes::check(source, &resolved).await?;
    Ok(resolved)
}

/// Resolves one image without its referrers.
pub async fn resolve(source: &dyn Source, wanted: &Wanted) -> Result<Resolved, TransferError> {
    let (found, location) = source.top(wanted).await?;
    let cx = Walk::of(source, &location, wanted);
    let is_index = matches!(found.body(), ManifestBody::Index(_));
    let original = found.clone();
    let part = |mode| Part {
        platforms: &wanted.platforms,
        mode,
        referrers: wanted.referrers,
    };
    let collected = match (&wanted.platforms, wanted.index_mode) {
        (PlatformChoice::AnyOf(platforms), _) if !is_index => {
            require_passing(source, &location, &found, platforms).await?;
            cx.all(found).await?
        }
        _ if !is_index => cx.all(found).await?,
        (PlatformChoice::AnyOf(_), _) => {
            refuse_pin(wanted, &found)?;
            cx.some(found, &part(IndexMode::Rewrite)).await?
        }
        (PlatformChoice::These(platforms), mode) => {
            refuse_pin(wanted, &found)?;
            match mode {
                IndexMode::Fitting if platforms.len() == 1 => cx.one(&found, &platforms[0]).await?,
                IndexMode::Keep => cx.some(found, &part(IndexMode::Keep)).await?,
                _ => cx.some(found, &part(IndexMode::Rewrite)).await?,
            }
        }
        (PlatformChoice::All, IndexMode::Rewrite) => {
            cx.some(found, &part(IndexMode::Rewrite)).await?
        }
        // Attestations in an index are referrers, which are not wanted; a pinned index must keep
        // its bytes.
        (PlatformChoice::All, IndexMode::Fitting)
            if wanted.referrers == ReferrerMode::Leave && wanted.pinned.is_none() =>
        {
            cx.some(found, &part(IndexMode::Fitting)).await?
        }
        _ => cx.all(found).await?,
    };
    let mut resolved = Resolved {
        absent: collected.absent,
        platform: collected.platform,
        n_left_referrers: collected.n_left_referrers,
        warnings: collected.warnings,
        ..Resolved::of_manifests(wanted.clone(), location, collected.manifests)
    };
    carry_foreign(source, &mut resolved).await?;
    let top = resolved.top().digest();
    if let Some(expected) = wanted
        .rewritten
        .as_ref()
        .filter(|&expected| expected != top)
    {
        return Err(TransferError::Rewritten {
            expected: expected.clone(),
            actual: top.clone(),
        });
    }
    if top != original.digest() {
        refuse_pin(wanted, &original)?;
        resolved.original = Some(original.digest().clone());
        resolved.original_manifest = Some(original);
    }
    Ok(resolved)
}

/// Refuses an image without an index that a filter of platforms leaves out; as in image-syncer, only
/// those of Docker's format are filtered.
async fn require_passing(
    source: &dyn Source,
    location: &Location,
    found: &Manifest,
    platforms: &[Platform],
) -> Result<(), TransferError> {
    if found.media_type().as_str() != MediaType::DOCKER_MANIFEST {
        return Ok(());
    }
    let Some(offered) = config::platform_of(source, location, found).await? else {
        return Ok(());
    };
    if platforms.iter().any(|wanted| wanted.accepts(&offered)) {
        return Ok(());
    }
    let wanted: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    Err(TransferError::Filtered {
        wanted: wanted.join(", "),
        offered: offered.to_string(),
    })
}

/// Makes ordinary blobs of the foreign layers that are to be carried.
async fn carry_foreign(source: &dyn Source, resolved: &mut Resolved) -> Result<(), TransferError> {
    if resolved.foreign.is_empty() {
        return Ok(());
    }
    let foreign = std::mem::take(&mut resolved.foreign);
    let (carried, left) = if resolved.wanted.foreign_layers == ForeignLayers::Leave {
        (Vec::new(), foreign)
    } else if source.is_remote() {
        (foreign, Vec::new())
    } else {
        let place = |layer: &Descriptor| (resolved.location.clone(), layer.digest.clone());
        let lens = source
            .blob_lens(foreign.iter().map(place).collect())
            .await?;
        let (mut carried, mut left) = (Vec::new(), Vec::new());
        for (layer, len) in foreign.into_iter().zip(lens) {
            let is_here = len == Some(layer.size);
            if is_here { &mut carried } else { &mut left }.push(layer);
        }
        (carried, left)
    };
    resolved.blobs.extend(carried);
    resolved.foreign = left;
    Ok(())
}

/// A pinned index must stay unchanged, unless its replacement is pinned too: with any other top,
/// the pinned digest could not be served.
fn refuse_pin(wanted: &Wanted, found: &Manifest) -> Result<(), TransferError> {
    match (&wanted.pinned, wanted.index_mode) {
        (Some(_), IndexMode::Fitting | IndexMode::Rewrite) if wanted.rewritten.is_none() => {
            Err(TransferError::PinnedIndex {
                digest: found.digest().clone(),
                platforms: match &wanted.platforms {
                    PlatformChoice::All => "a part of it".to_owned(),
                    platforms @ (PlatformChoice::These(_) | PlatformChoice::AnyOf(_)) => {
                        platforms.to_string()
                    }
                },
            })
        }
        _ => Ok(()),
    }
}
