//! The steps that `copy` and `sync` have in common.

use std::sync::Arc;

use futures_util::future::join_all;

use super::target::{CopyOptions, CopyTarget, Prepared};
use crate::batch::Batch;
use crate::input::OpenInput;
use crate::{OpsError, RunMode};
use hod_transfer::{Feed, Plan, SharedFetch, Wanted};

/// Refuses a source that is read once, for several targets.
pub(super) fn require_readable_again(
    options: &CopyOptions,
    input: &OpenInput<'_>,
) -> Result<(), OpsError> {
    if options.targets.len() > 1
        && input.source.is_sequential()
        && let Some(catalog) = input.catalog()
    {
        return Err(OpsError::OneTarget {
            path: catalog.path().to_owned(),
            kind: catalog.kind(),
        });
    }
    Ok(())
}

/// Refuses a batch with a failed image, if the target takes all images or none.
pub(super) fn require_all(options: &CopyOptions, batch: &Batch) -> Result<(), OpsError> {
    let mut targets = options.targets.iter();
    match batch.first_failure() {
        Some(failure) if targets.any(|target| target.is_whole()) => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Whether all targets look at the platforms of images themselves.
pub(super) fn checks_platforms_later(options: &CopyOptions) -> bool {
    let mut targets = options.targets.iter();
    options.mode == RunMode::Real && targets.all(|target| target.checks_platforms(&options.from))
}

/// Gives the only image the name that its target states.
pub(super) fn name_one(target: &dyn CopyTarget, wanted: &mut [Wanted]) -> Result<(), OpsError> {
    let Some(image) = target.image() else {
        return Ok(());
    };
    let [single] = wanted else {
        return Err(OpsError::OneName {
            target: target.name().to_string(),
            image: image.to_string(),
            n_images: wanted.len(),
        });
    };
    single.destination = image.rename(single.destination.clone());
    Ok(())
}

/// Starts and fills all targets at once.
///
/// With several targets, an error of a whole target fails its images.
pub(super) async fn fill(
    input: &OpenInput<'_>,
    prepared: &mut [Box<dyn Prepared + '_>],
) -> Result<(), OpsError> {
    if let [single] = prepared {
        single.begin().await?;
        return single.fill(Feed::alone(&input.source)).await;
    }
    let begun = prepared.iter_mut().map(|one| async move {
        let begun = one.begin().await;
        if let Err(error) = &begun {
            one.batch().fail_rest(error);
        }
        begun.is_ok()
    });
    let begun: Vec<bool> = join_all(begun).await;
    let plans: Vec<Arc<Plan>> = prepared
        .iter_mut()
        .map(|one| Arc::clone(&one.batch().plan))
        .collect();
    let shared = SharedFetch::new(Arc::clone(&input.source), &plans);
    let targets = prepared.iter_mut().enumerate();
    let fills = targets.filter(|(at, _)| begun[*at]).map(|(at, one)| {
        let feed = Feed::shared(&input.source, shared.of_target(at));
        async move {
            if let Err(error) = one.fill(feed).await {
                one.batch().fail_rest(&error);
            }
        }
    });
    join_all(fills).await;
    Ok(())
}
