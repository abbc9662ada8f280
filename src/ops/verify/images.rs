//! Verifies images one by one: in registries, in layouts (which have no separate verifier), and
//! those selected by a list or by platforms. Each is resolved, which reads its manifests, and each
//! of its blobs is checked once in each place.

use std::collections::HashSet;

use futures_util::StreamExt as _;

use super::content::{hash, hash_once};
use super::{Depth, Extent, OpenInput, VerifyOptions, VerifyOutcome, ambiguous_name};
use crate::batch::Batch;
use crate::{Catalog, Context, ImageStatus, OpsError, SignatureFacts, UnreadImage};
use hod_bundle::BundleManifest;
use hod_oci::{Descriptor, Digest, PlatformChoice};
use hod_registry::{Client, ContentCheck};
use hod_report::amount::format_count;
use hod_report::{Diagnose as _, ErrorClass, chain};
use hod_transfer::{
    Ended, Location, OnFailure, Plan, PlannedBlob, Presence, Source, TransferError,
};

/// Number of blobs that registries are asked for at once.
const ASK_AT_ONCE: usize = 16;

/// A blob in one of the places that should have it.
struct Copy<'a> {
    blob: &'a PlannedBlob,
    location: &'a Location,
}

/// The state of a copy.
enum State {
    /// Its bytes have the digest.
    Hashed,
    /// The registry reports the expected length for the digest.
    Told,
    Wrong(String),
    /// It could not be checked.
    Unread(String, ErrorClass),
}

/// Verifies the images of an input.
pub(super) async fn verify(
    cx: &Context,
    options: &VerifyOptions,
) -> Result<VerifyOutcome, OpsError> {
    let open = OpenInput::look(cx, &options.look.input).await?;
    let survey = open.survey(cx, options.look.referrers).await?;
    let (source, mut batch) = (open.source.as_ref(), survey.batch);
    let mut found = VerifyOutcome {
        n_images: batch.reports().len(),
        problems: survey.problems,
        signature: source.signed().and_then(SignatureFacts::of),
        delta: source.document().and_then(BundleManifest::delta),
        ..VerifyOutcome::new(open.kind())
    };
    found.n_absent = survey.absent.len();
    let absent = survey.absent.iter();
    let absent = absent.map(|absent| format!("{}: {}", absent.image.image, absent.image.error));
    found.problems.extend(absent);
    add_failures(&mut found, &batch);
    if found.problems.is_empty() && source.is_remote() {
        batch.require_one(options.look.input.word())?;
    }
    add_gaps(&mut found, source, &batch.plan);
    leave_others(source, &mut batch, options.extent);
    match source.slots(&batch.plan, &cx.reporter) {
        Some(slots) => {
            let slots = slots.into_iter().zip(&batch.plan.blobs);
            let slots = slots.filter(|(_, blob)| blob.presence == Presence::Source);
            let states = futures_util::future::join_all(slots.map(|(slot, blob)| async move {
                let digest = &blob.descriptor.digest;
                let state = match slot.content().await {
                    Ok(content) => State::of(hash_once(cx, content, digest).await),
                    Err(error) => State::failed(&error),
                };
                (blob, state)
            }));
            for (blob, state) in states.await {
                found.add(&batch.plan, blob, state);
            }
            if let Ended::Untold(error) = source.end().await {
                found.problems.push(chain(&error));
            }
        }
        None => check_copies(cx, source, &mut found, &batch.plan, options.depth).await,
    }
    Ok(found)
}

/// Verifies all layouts of a directory.
pub(super) async fn verify_layouts(
    cx: &Context,
    catalog: &Catalog,
) -> Result<VerifyOutcome, OpsError> {
    let surveyed = catalog.survey_all().await?;
    let source = catalog.source();
    let batch = Batch::resolve(cx, source, surveyed.wanted, OnFailure::GoOn).await;
    let mut found = VerifyOutcome {
        n_images: batch.reports().len(),
        ..VerifyOutcome::new(catalog.kind())
    };
    add_failures(&mut found, &batch);
    let collisions = surveyed.collisions.iter();
    found.problems.extend(collisions.map(ambiguous_name));
    check_copies(cx, source, &mut found, &batch.plan, Depth::Content).await;
    Ok(found)
}

/// Adds the images that could not be resolved. A registry can fail for reasons that are independent
/// of the image; in a local source, everything unreadable is damaged.
fn add_failures(found: &mut VerifyOutcome, batch: &Batch) {
    for report in batch.reports() {
        let ImageStatus::Failed { text, error, .. } = &report.status else {
            continue;
        };
        if is_finding(error) {
            found.problems.push(format!("{}: {text}", report.image));
        } else {
            let image = report.image.clone();
            found.unread.push(UnreadImage::failed(image, error));
        }
    }
}

/// Adds the children of indexes that are missing. A registry has all of them, unless it accepts
/// sparse indexes; a store may have a partly carried index.
fn add_gaps(found: &mut VerifyOutcome, source: &dyn Source, plan: &Plan) {
    for image in &plan.images {
        if image.wanted.platforms != PlatformChoice::All {
            continue;
        }
        for (role, digest) in image.absent_children() {
            let text = format!("{}: {role} (`{digest}`) not found", image.wanted.name);
            if source.is_remote() {
                found.problems.push(text);
            } else {
                found.notes.push(text);
            }
        }
    }
}

/// Leaves out the blobs that a bundle requires at its target, and those in volumes that may be
/// missing.
fn leave_others(source: &dyn Source, batch: &mut Batch, extent: Extent) {
    let base = source.document().into_iter().flat_map(|d| &d.base);
    let base: HashSet<&Digest> = base.map(|blob| &blob.digest).collect();
    let blobs = batch.plan.blobs.iter().enumerate();
    let left = blobs.filter(|(_, blob)| {
        let digest = &blob.descriptor.digest;
        base.contains(digest) || (extent == Extent::Partial && !source.has_blob(digest))
    });
    let left = left.map(|(at, _)| (at, Presence::Target(Vec::new())));
    batch.set_presence(left.collect());
}

/// Checks every blob in each of its places: layouts may share its bytes or have copies, and a
/// registry may have it in one repository and not in another.
async fn check_copies(
    cx: &Context,
    source: &dyn Source,
    found: &mut VerifyOutcome,
    plan: &Plan,
    depth: Depth,
) {
    let blobs = plan.blobs.iter();
    let copies = blobs
        .filter(|blob| blob.presence == Presence::Source)
        .flat_map(|blob| {
            blob.from
                .iter()
                .map(move |location| Copy { blob, location })
        });
    let copies: Vec<Copy<'_>> = copies.collect();
    let asked = source.as_registry().filter(|_| depth == Depth::Length);
    if let Some(registry) = asked {
        let n = format_count(copies.len(), "blob");
        cx.stage(&format!("checking {n}"));
        found.unhashed_bytes = Some(0);
        let mut states = futures_util::stream::iter(copies)
            .map(|copy| async move { (copy.blob, ask(&registry.client, &copy).await) })
            .buffered(ASK_AT_ONCE);
        while let Some((blob, state)) = states.next().await {
            found.add(plan, blob, state);
        }
        return;
    }
    let mut states = futures_util::stream::iter(copies)
        .map(|copy| async move {
            let hashed = hash(cx, source, copy.location, &copy.blob.descriptor);
            (copy.blob, State::of(hashed.await))
        })
        .buffered(cx.jobs);
    while let Some((blob, state)) = states.next().await {
        found.add(plan, blob, state);
    }
}

/// Asks a registry whether it has a blob in its length.
async fn ask(client: &Client, copy: &Copy<'_>) -> State {
    let blob: &Descriptor = &copy.blob.descriptor;
    let Location::Repo(repo) = copy.location else {
        return State::Wrong(format!("blob `{}`: not found", blob.digest));
    };
    match client.blobs.head(repo, blob).await {
        Ok(ContentCheck::Present) => State::Told,
        Ok(evidence) => {
            let text = evidence.of_len(blob.size);
            State::Wrong(format!("blob `{}` in {repo}: {text}", blob.digest))
        }
        Err(error) => State::failed(&error.into()),
    }
}

impl State {
    fn of(result: Result<(), TransferError>) -> Self {
        match result {
            Ok(()) => Self::Hashed,
            Err(error) => Self::failed(&error),
        }
    }

    fn failed(error: &TransferError) -> Self {
        let text = chain(error);
        if is_finding(error) {
            Self::Wrong(text)
        } else {
            Self::Unread(text, error.diagnose().class)
        }
    }
}

/// Returns true if content is missing or wrong; false if it only cannot be read.
fn is_finding(error: &TransferError) -> bool {
    // That an image is for other platforms says nothing about its content.
    if matches!(error, TransferError::NoPlatform { .. }) {
        return false;
    }
    match error.diagnose().class {
        // A policy: of the registry, or an intact image of a kind that hod does not carry.
        ErrorClass::Auth
        | ErrorClass::Network
        | ErrorClass::RateLimit
        | ErrorClass::Server
        | ErrorClass::Policy => false,
        ErrorClass::NotFound
        | ErrorClass::Verify
        | ErrorClass::Space
        | ErrorClass::Usage
        | ErrorClass::File
        | ErrorClass::Stopped
        | ErrorClass::Interrupted
        | ErrorClass::Internal => true,
    }
}

impl VerifyOutcome {
    /// Adds the state of one copy of a blob.
    fn add(&mut self, plan: &Plan, blob: &PlannedBlob, state: State) {
        let len = blob.descriptor.size;
        let image = || plan.images[blob.images[0]].wanted.name.clone();
        self.n_blobs += 1;
        match state {
            State::Hashed => self.bytes += len,
            State::Told => {
                let told = self.unhashed_bytes.get_or_insert(0);
                *told = told.saturating_add(len);
            }
            State::Wrong(text) => self.problems.push(format!("{}: {text}", image())),
            State::Unread(error, class) => {
                self.unread.push(UnreadImage::new(image(), error, class));
            }
        }
    }
}
