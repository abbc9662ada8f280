//! `delete`: manifests of registries, with all their tags, or tags alone.
//!
//! Planned first ([`plan_delete`]), so that people see what else goes with an image; nothing is
//! changed before [`delete`].

mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use serde::Serialize;

use super::{BatchOutcome, Context, ImageReport, ImageStatus, OpsError, Registries, Verb};
use hod_oci::{Digest, MediaTypeKind, Tag};
use hod_registry::{Client, HeadManifest, ManifestRef, Repo};
use hod_report::ErrorClass;
use hod_report::amount::format_count;
use hod_transfer::{Locate, TransferError, Unmatched, Wanted};
use sharing::LOOKUPS_AT_ONCE;

/// Number of repositories that are deleted from at once; each is deleted from in order.
const REPOSITORIES_AT_ONCE: usize = 4;

/// What to delete.
#[derive(Debug)]
pub struct DeleteOptions {
    /// The images; its client is one for deleting.
    pub registries: Box<Registries>,
    pub what: DeleteWhat,
    pub missing: MissingImages,
}

/// What is deleted of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteWhat {
    /// Its manifest, and so every tag that names it.
    Manifests,
    /// Only its tag.
    Tags,
}

/// How to treat images that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingImages {
    Fail,
    Ignore,
}

/// An image that is to be deleted, or was.
#[derive(Debug, Clone, Serialize)]
pub struct DeletedImage {
    /// As the user wrote it.
    pub image: String,
    /// With the registry; absent if the image was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Other tags of the same manifest, which are deleted with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_tags: Vec<Tag>,
    /// An image that does not exist, and need not, is unchanged.
    #[serde(flatten)]
    pub status: ImageStatus,
}

/// The images of a run.
#[derive(Debug, Clone, Serialize)]
pub struct DeleteOutcome {
    pub images: Vec<DeletedImage>,
    /// The number of manifests, or of tags, that are to be deleted, or were.
    pub n_deleted: usize,
}

/// What is to be deleted, after it was looked up.
#[derive(Debug)]
pub struct DeletePlan {
    /// Every image as planned, or as failed.
    pub outcome: DeleteOutcome,
    steps: BTreeMap<Repo, Vec<Step>>,
}

/// One request.
#[derive(Debug)]
struct Step {
    reference: ManifestRef,
    is_index: bool,
    /// The positions of the images that it deletes.
    images: Vec<usize>,
}

/// An image at its registry.
struct Found {
    repo: Repo,
    digest: Digest,
    is_index: bool,
    tag: Option<Tag>,
}

impl DeletePlan {
    /// Whether nothing is left to delete.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl DeleteOutcome {
    /// The same as the result of a batch, for reports and exit codes.
    pub fn batch(&self) -> BatchOutcome {
        let report = |image: &DeletedImage| ImageReport {
            destination: image.image.clone(),
            digest: image.digest.clone(),
            ..ImageReport::named(image.image.clone(), image.status.clone())
        };
        BatchOutcome::of_reports(self.images.iter().map(report).collect())
    }

    /// Whether an image failed because it does not exist.
    pub fn is_any_not_found(&self) -> bool {
        let mut images = self.images.iter();
        images.any(|image| {
            matches!(
                image.status,
                ImageStatus::Failed {
                    class: ErrorClass::NotFound,
                    ..
                }
            )
        })
    }
}

/// Looks up every image, and what else would be deleted with it; changes nothing.
pub fn plan_delete<'a>(cx: &'a Context, options: &'a DeleteOptions) -> Verb<'a, DeletePlan> {
    Box::pin(plan(cx, options))
}

/// Deletes what was planned.
pub fn delete<'a>(
    cx: &'a Context,
    options: &'a DeleteOptions,
    plan: DeletePlan,
) -> Verb<'a, DeleteOutcome> {
    Box::pin(run(cx, options, plan))
}

async fn plan(cx: &Context, options: &DeleteOptions) -> Result<DeletePlan, OpsError> {
    let registries = &options.registries;
    let client = &registries.client;
    let wanted = registries.listed(cx).await?;
    client.expect(wanted.iter().flat_map(|image| match &image.locate {
        Locate::Remote { repos, .. } => repos.as_slice(),
        _ => &[],
    }));
    if options.what == DeleteWhat::Tags
        && let Some(image) = wanted.iter().find(|image| image.pinned.is_some())
    {
        return Err(OpsError::NotATag {
            image: image.name.clone(),
        });
    }
    cx.stage(&format!(
        "looking up {}",
        format_count(wanted.len(), "image")
    ));
    let found = futures_util::stream::iter(&wanted).map(|image| look_up(client, image));
    let found: Vec<Result<Found, Arc<TransferError>>> =
        found.buffered(LOOKUPS_AT_ONCE).collect().await;
    let mut doomed: BTreeMap<Repo, BTreeMap<Digest, BTreeSet<Tag>>> = BTreeMap::new();
    for image in found.iter().flatten() {
        let of_repo = doomed.entry(image.repo.clone()).or_default();
        let tags = of_repo.entry(image.digest.clone()).or_default();
        tags.extend(image.tag.clone());
    }
    let others = match options.what {
        DeleteWhat::Manifests => sharing::find(cx, client, &doomed).await,
        DeleteWhat::Tags => sharing::Others::default(),
    };
    let mut steps: BTreeMap<Repo, Vec<Step>> = BTreeMap::new();
    let mut images = Vec::with_capacity(wanted.len());
    for (at, (image, found)) in wanted.iter().zip(found).enumerate() {
        let mut planned = DeletedImage {
            image: image.name.clone(),
            repository: None,
            digest: None,
            also_tags: Vec::new(),
            status: ImageStatus::Planned,
        };
        match found {
            Err(error) if options.missing == MissingImages::Ignore && is_absent(&error) => {
                planned.status = ImageStatus::Unchanged;
            }
            Err(error) => planned.status = ImageStatus::failed(error),
            Ok(found) => {
                let (repo, digest) = (&found.repo, &found.digest);
                planned.repository = Some(repo.to_string());
                planned.digest = Some(digest.clone());
                planned.also_tags = others.tags_of(repo, digest);
                let indexes = others.indexes_of(repo, digest);
                if indexes.is_empty() {
                    add(&mut steps, (at, found), options.what);
                } else {
                    let error = TransferError::ListedBy { indexes };
                    planned.status = ImageStatus::failed(Arc::new(error));
                }
            }
        }
        images.push(planned);
    }
    for steps in steps.values_mut() {
        // Some registries keep a manifest as long as an index lists it.
        steps.sort_by_key(|step| !step.is_index);
    }
    let n_deleted = steps.values().map(Vec::len).sum();
    Ok(DeletePlan {
        outcome: DeleteOutcome { images, n_deleted },
        steps,
    })
}

/// Adds the request for an image, unless there is one already.
fn add(steps: &mut BTreeMap<Repo, Vec<Step>>, (at, found): (usize, Found), what: DeleteWhat) {
    let reference = match (what, found.tag) {
        (DeleteWhat::Tags, Some(tag)) => ManifestRef::Tag(tag),
        _ => ManifestRef::Digest(found.digest),
    };
    let of_repo = steps.entry(found.repo).or_default();
    match of_repo.iter_mut().find(|step| step.reference == reference) {
        Some(step) => step.images.push(at),
        None => of_repo.push(Step {
            reference,
            is_index: found.is_index,
            images: vec![at],
        }),
    }
}

/// Whether it says that an image, or whatever matches a pattern, does not exist.
fn is_absent(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::ImageAbsent { .. }
            | TransferError::Unmatched(Unmatched::NoTag { .. } | Unmatched::NoRepository { .. })
    )
}

/// Finds an image in the first of its repositories that has it.
async fn look_up(client: &Client, image: &Wanted) -> Result<Found, Arc<TransferError>> {
    let (repos, at) = match &image.locate {
        Locate::Remote { repos, at } => (repos, at),
        Locate::Unreadable(error) => return Err(Arc::clone(error)),
        _ => unreachable!("images of registries are remote"),
    };
    let mut refused = None;
    for repo in repos {
        match client.manifests.head(repo, at).await {
            Ok(Some(head)) => return found(repo, at, head).ok_or_else(absent).map_err(Arc::new),
            Ok(None) => {}
            Err(error) if error.may_mean_absent() => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(Arc::new(error.into())),
        }
    }
    if let Some(error) = refused {
        return Err(Arc::new(error.into()));
    }
    let similar = match (at, repos.first()) {
        (ManifestRef::Tag(tag), Some(repo)) => client.tags.similar(repo, tag).await,
        _ => Vec::new(),
    };
    Err(Arc::new(TransferError::ImageAbsent {
        registry: repos.first().map(|repo| repo.registry.clone()),
        similar,
    }))
}

fn found(repo: &Repo, at: &ManifestRef, head: HeadManifest) -> Option<Found> {
    let (digest, tag) = match at {
        ManifestRef::Digest(digest) => (Some(digest.clone()), None),
        ManifestRef::Tag(tag) => (head.digest, Some(tag.clone())),
    };
    Some(Found {
        repo: repo.clone(),
        digest: digest?,
        is_index: head.media_type.kind() == MediaTypeKind::Index,
        tag,
    })
}

fn absent() -> TransferError {
    TransferError::ImageAbsent {
        registry: None,
        similar: Vec::new(),
    }
}

async fn run(
    cx: &Context,
    options: &DeleteOptions,
    plan: DeletePlan,
) -> Result<DeleteOutcome, OpsError> {
    let DeletePlan { mut outcome, steps } = plan;
    let client = &options.registries.client;
    let noun = match options.what {
        DeleteWhat::Manifests => "manifest",
        DeleteWhat::Tags => "tag",
    };
    cx.stage(&format!(
        "deleting {}",
        format_count(outcome.n_deleted, noun)
    ));
    let done = futures_util::stream::iter(steps).map(|(repo, steps)| async move {
        let mut done = Vec::with_capacity(steps.len());
        for step in steps {
            let result = delete_one(client, &repo, &step.reference).await;
            done.push((step.images, result.map_err(Arc::new)));
        }
        done
    });
    let done: Vec<Vec<_>> = done.buffer_unordered(REPOSITORIES_AT_ONCE).collect().await;
    outcome.n_deleted = 0;
    for (images, result) in done.into_iter().flatten() {
        outcome.n_deleted += usize::from(result.is_ok());
        for at in images {
            outcome.images[at].status = match &result {
                Ok(()) => ImageStatus::Done,
                Err(error) => ImageStatus::failed(Arc::clone(error)),
            };
        }
    }
    Ok(outcome)
}

/// Deletes a manifest or a tag; one that is gone meanwhile is deleted, too.
async fn delete_one(
    client: &Client,
    repo: &Repo,
    reference: &ManifestRef,
) -> Result<(), TransferError> {
    match (reference, client.harbor(&repo.registry)) {
        (ManifestRef::Tag(tag), Some(harbor)) => harbor.delete_tag(repo, tag).await?,
        _ => client.manifests.delete(repo, reference).await?,
    };
    Ok(())
}
