//! Finds images that are unchanged at all their targets with one request for each side, before anything
//! of them is read.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::OnceCell;

use super::assigned::Assigned;
use super::target::CopyOptions;
use crate::input::OpenInput;
use crate::{Context, OpsError};
use hod_oci::{Digest, ForeignLayers, PlatformChoice};
use hod_registry::{ManifestRef, ReferrerFinder, Repo};
use hod_report::Event;
use hod_report::amount::format_count;
use hod_transfer::{Destination, IndexMode, Locate, ReferrerMode, RegistrySource, Wanted};

/// Number of images that are asked for at once.
const ASK_AT_ONCE: usize = 16;

/// What is known of an image at the source.
type Cell = OnceCell<Option<(Repo, Digest)>>;

/// For each image the digest that the source and all its targets have; `None` for images that must be
/// compared in full.
///
/// An image with referrers at the source is compared in full: one may be new.
pub(super) async fn find(
    cx: &Context,
    options: &CopyOptions,
    input: &OpenInput<'_>,
    (images, assigned): (&[Wanted], &[Assigned]),
) -> Result<Vec<Option<Digest>>, OpsError> {
    let nothing = vec![None; images.len()];
    if options.policy.is_some() {
        // It decides about images that are there, too.
        return Ok(nothing);
    }
    let Some(source) = input.source.as_registry() else {
        return Ok(nothing);
    };
    if options
        .targets
        .iter()
        .any(|target| target.registry().is_none())
    {
        return Ok(nothing);
    }
    cx.stage(&format!(
        "comparing {}",
        format_count(images.len(), "image")
    ));
    source
        .client
        .expect(images.iter().filter_map(|image| repos(image)?.first()));
    let cells: Vec<Arc<Cell>> = {
        // An image with several destinations is asked for once.
        let mut known: HashMap<_, Arc<Cell>> = HashMap::new();
        let cell = |image: &Wanted| match (repos(image), &image.locate) {
            (Some(repos), Locate::Remote { at, .. }) => {
                let key = (repos.to_vec(), at.to_string());
                Arc::clone(known.entry(key).or_default())
            }
            _ => Arc::default(),
        };
        images.iter().map(cell).collect()
    };
    let heads = futures_util::stream::iter(images.iter().zip(&cells))
        .map(|(image, cell)| async move { cell.get_or_init(|| head(source, image)).await.clone() });
    let mut found: Vec<Option<(Repo, Digest)>> = heads.buffered(ASK_AT_ONCE).collect().await;
    for (target, assigned) in options.targets.iter().zip(assigned) {
        let mut asked: Vec<(Destination, Digest)> = Vec::new();
        let mut positions = Vec::new();
        for (position, wanted) in assigned.images() {
            if let Some((_, digest)) = &found[position] {
                asked.push((wanted.destination.clone(), digest.clone()));
                positions.push(position);
            }
        }
        let has = target.has(&asked).await?;
        for (position, has) in positions.into_iter().zip(has) {
            if !has {
                found[position] = None;
            }
        }
    }
    require_targets(&mut found, assigned);
    let finder = ReferrerFinder::new(source.client.manifests.clone());
    let settled = found.into_iter().zip(images).map(|(found, image)| {
        let finder = &finder;
        async move {
            let (repo, digest) = found?;
            let is_settled =
                image.referrers == ReferrerMode::Leave || has_none(finder, &repo, &digest).await;
            is_settled.then_some(digest)
        }
    });
    let settled: Vec<Option<Digest>> = futures_util::stream::iter(settled)
        .buffered(ASK_AT_ONCE)
        .collect()
        .await;
    for (image, _) in images.iter().zip(&settled).filter(|(_, one)| one.is_some()) {
        let image = image.name.as_str();
        cx.reporter.event(Event::ImageResolved { image });
    }
    Ok(settled)
}

/// Leaves out images that go nowhere.
fn require_targets(found: &mut [Option<(Repo, Digest)>], assigned: &[Assigned]) {
    let mut n_targets: HashMap<usize, usize> = HashMap::new();
    for (position, _) in assigned.iter().flat_map(Assigned::images) {
        *n_targets.entry(position).or_default() += 1;
    }
    for (position, found) in found.iter_mut().enumerate() {
        if !n_targets.contains_key(&position) {
            *found = None;
        }
    }
}

fn repos(image: &Wanted) -> Option<&[Repo]> {
    let is_whole = image.platforms == PlatformChoice::All
        && image.index_mode == IndexMode::Keep
        && image.rewritten.is_none()
        && image.foreign_layers == ForeignLayers::Leave;
    match &image.locate {
        Locate::Remote { repos, .. } if is_whole => Some(repos),
        _ => None,
    }
}

/// The digest of an image that is carried unchanged, and the repository that has it. What cannot be
/// told this way is found out in full later.
async fn head(source: &RegistrySource, image: &Wanted) -> Option<(Repo, Digest)> {
    let repos = repos(image)?;
    let Locate::Remote { at, .. } = &image.locate else {
        return None;
    };
    if let (ManifestRef::Digest(digest), [repo]) = (at, repos) {
        return Some((repo.clone(), digest.clone()));
    }
    for repo in repos {
        if let Some(head) = source.client.manifests.head(repo, at).await.ok()? {
            return Some((repo.clone(), head.digest?));
        }
    }
    None
}

/// Whether the source has no referrer of a manifest.
async fn has_none(finder: &ReferrerFinder, repo: &Repo, digest: &Digest) -> bool {
    let tags = finder.cosign_tags(repo, digest).await;
    let listed = finder.list(repo, digest).await;
    tags.is_ok_and(|tags| tags.is_empty()) && listed.is_ok_and(|listed| listed.is_empty())
}
