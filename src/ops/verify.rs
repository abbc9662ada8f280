//! `verify`: checks that everything is present and matches its digest.

mod collection;
mod content;
mod images;
mod outcome;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::outcome::{Depth, Extent, FoundVolumes, VerifyOptions, VerifyOutcome};
use super::input::{Input, OpenInput, ambiguous_name};
use super::inventory::is_whole;
use super::{Catalog, Context, OpsError, SignatureFacts, SourceKind, Verb};
use hod_bundle::{Bundle, BundleVerifyOutcome};
use hod_report::Event;
use hod_transfer::Transport;

/// Hashes every blob again, and checks that every image is complete and every link exact.
///
/// Of a source that a list or platforms narrow, and of registries, images are checked one by one.
/// Reads only. Problems are the outcome, not an error.
pub fn verify<'a>(cx: &'a Context, options: &'a VerifyOptions) -> Verb<'a, VerifyOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &VerifyOptions) -> Result<VerifyOutcome, OpsError> {
    match &options.look.input {
        Input::Local { path, stated, .. } if is_whole(&options.look) => {
            let found = verify_whole(cx, path.clone(), stated.transport, options.extent).await?;
            match stated.transport.filter(|stated| !found.kind.is(*stated)) {
                Some(transport) => Err(OpsError::OtherKind {
                    path: path.clone(),
                    kind: found.kind,
                    transport,
                }),
                None => Ok(found),
            }
        }
        _ => images::verify(cx, options).await,
    }
}

/// Verifies all that a local source has.
async fn verify_whole(
    cx: &Context,
    path: PathBuf,
    stated: Option<Transport>,
    extent: Extent,
) -> Result<VerifyOutcome, OpsError> {
    if hod_fsx::is_stdin(&path) {
        return Ok(verify_piped(cx).await?.judged(extent));
    }
    let (from, reading) = (path.clone(), cx.reading.clone());
    let collection =
        hod_bridge::run(move || Catalog::open_collection(&from, stated, &reading)).await?;
    if let Some(catalog) = collection
        && let Some(collection) = catalog.source().as_collection()
    {
        return collection::verify(cx, &catalog, collection).await;
    }
    // A damaged bundle cannot always be opened, but must still be verified.
    let from = path.clone();
    if let Some(kind) = hod_bridge::run(move || Bundle::detect(&from)).await? {
        let found = verify_bundle(cx, path, kind.into()).await?;
        return Ok(found.judged(extent));
    }
    let catalog = Catalog::open_once(&path, stated, &cx.reading).await?;
    match catalog.source().as_store() {
        Some(store) => verify_store(cx, &catalog, store.clone()).await,
        None => images::verify_layouts(cx, &catalog).await,
    }
}

/// Two names that only a registry distinguishes, unlike Harbor for example, are not a problem here.
async fn verify_store(
    cx: &Context,
    catalog: &Catalog,
    store: hod_store::Store,
) -> Result<VerifyOutcome, OpsError> {
    let (jobs, reporter) = (cx.jobs, Arc::clone(&cx.reporter));
    let found = hod_bridge::run(move || {
        hod_store::verify(&store, jobs, &|len| {
            reporter.event(Event::BytesMoved { len });
        })
    })
    .await?;
    let mut notes = found.notes;
    // A tree that cannot be listed has problems enough, which were found above.
    if let Ok(surveyed) = catalog.survey_all().await {
        notes.extend(surveyed.collisions.iter().map(ambiguous_name));
    }
    Ok(VerifyOutcome {
        n_images: found.n_images,
        n_blobs: found.n_blobs,
        bytes: found.len,
        problems: found.problems.iter().map(ToString::to_string).collect(),
        notes,
        ..VerifyOutcome::new(catalog.kind())
    })
}

async fn verify_bundle(
    cx: &Context,
    path: PathBuf,
    kind: SourceKind,
) -> Result<VerifyOutcome, OpsError> {
    let (jobs, reporter) = (cx.jobs, Arc::clone(&cx.reporter));
    let reading = cx.reading.clone();
    let found = hod_bridge::run(move || {
        let options = hod_bundle::VerifyOptions {
            read: &reading,
            jobs,
            on_bytes: &|len| reporter.event(Event::BytesMoved { len }),
        };
        hod_bundle::verify(&path, &options)
    })
    .await?;
    Ok(of_bundle(found, kind))
}

async fn verify_piped(cx: &Context) -> Result<VerifyOutcome, OpsError> {
    let reporter = Arc::clone(&cx.reporter);
    let (stdin, reading) = (hod_fsx::stdin()?, cx.reading.clone());
    let found = hod_bridge::run_apart(move || {
        let options = hod_bundle::VerifyOptions {
            read: &reading,
            jobs: 1,
            on_bytes: &|len| reporter.event(Event::BytesMoved { len }),
        };
        hod_bundle::verify_once(stdin, Path::new(hod_fsx::STDIN), &options)
    });
    let found = found.await.map_err(|source| {
        let path = Path::new(hod_fsx::STDIN);
        hod_fsx::Error::new("read", path, source)
    })?;
    Ok(of_bundle(found?, SourceKind::PipedBundle))
}

fn of_bundle(found: BundleVerifyOutcome, kind: SourceKind) -> VerifyOutcome {
    VerifyOutcome {
        n_images: found.n_images,
        n_blobs: found.n_blobs,
        bytes: found.len,
        problems: found.problems,
        notes: found.notes,
        volumes: found.partial.map(|partial| FoundVolumes {
            n_volumes: partial.n_volumes,
            missing: partial.missing,
            n_images: found.n_images,
            n_complete_images: partial.n_complete,
        }),
        signature: found.signed.and_then(SignatureFacts::of),
        delta: found.delta,
        ..VerifyOutcome::new(kind)
    }
}
