//! `verify`: checks that everything is present and matches its digest.

mod collection;
mod content;
mod images;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::input::{Input, Look, OpenInput, ambiguous_name};
use super::inventory::is_whole;
use super::{Catalog, Context, DamagedImage, OpsError, SignatureFacts, SourceKind};
use hod_bundle::{Bundle, BundleVerifyOutcome, Delta};
use hod_report::Event;
use hod_report::amount::{format_count, format_missing, format_volumes};
use hod_transfer::Transport;

/// Options for verifying.
#[derive(Debug)]
pub struct VerifyOptions {
    pub look: Look,
    pub extent: Extent,
    pub depth: Depth,
}

/// How the configs and layers of registries are checked; all others are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The registry is asked whether it has them, in the right length.
    Length,
    /// They are fetched and hashed.
    Content,
}

/// The volumes of a bundle that must be present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every volume.
    Whole,
    /// One volume, or more.
    Partial,
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyOutcome {
    pub kind: SourceKind,
    pub n_images: usize,
    pub n_blobs: usize,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Bytes that a registry reports and that were not hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhashed_bytes: Option<u64>,
    /// The number of problems that are requested images that were not found.
    #[serde(skip)]
    pub n_absent: usize,
    /// Everything that is wrong; empty when the source is whole.
    pub problems: Vec<String>,
    /// The images that could not be checked, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<DamagedImage>,
    /// Unusual but harmless findings.
    pub notes: Vec<String>,
    /// The volumes that were found, if some are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<FoundVolumes>,
    /// The signature, if it is a signed bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureFacts>,
    /// The content required at the target, if it is a bundle that does not contain all of its
    /// images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
}

/// The volumes of an incomplete bundle.
#[derive(Debug, Clone, Serialize)]
pub struct FoundVolumes {
    pub n_volumes: u32,
    /// Counted from 1; never empty.
    pub missing: Vec<u32>,
    pub n_images: usize,
    /// The number of images that need none of the missing volumes.
    pub n_complete_images: usize,
}

impl VerifyOutcome {
    /// Nothing found yet.
    fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            n_images: 0,
            n_blobs: 0,
            bytes: 0,
            unhashed_bytes: None,
            n_absent: 0,
            problems: Vec::new(),
            unread: Vec::new(),
            notes: Vec::new(),
            volumes: None,
            signature: None,
            delta: None,
        }
    }

    /// Counts missing volumes as a problem unless a part was to be verified.
    fn judged(mut self, extent: Extent) -> Self {
        if let Some(volumes) = &self.volumes {
            let text = volumes.to_string();
            match extent {
                Extent::Whole => self.problems.push(text),
                Extent::Partial => self.notes.push(text),
            }
        }
        self
    }

    /// The missing volumes, if they should have been present and there are no other problems.
    pub fn only_missing(&self) -> Option<String> {
        let volumes = self.volumes.as_ref()?;
        (self.problems == [volumes.to_string()])
            .then(|| format_missing(&volumes.missing, volumes.n_volumes))
    }
}

impl fmt::Display for FoundVolumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_missing = u32::try_from(self.missing.len()).expect("at most a few thousand");
        let verb = if n_missing == 1 { "is" } else { "are" };
        write!(
            f,
            "{} of {} volumes found; {} {verb} missing; {} of {} complete here",
            self.n_volumes - n_missing,
            self.n_volumes,
            format_volumes(&self.missing),
            self.n_complete_images,
            format_count(self.n_images, "image"),
        )
    }
}

/// Hashes every blob again, and checks that every image is complete and every link exact.
///
/// Of a source that a list or platforms narrow, and of registries, images are checked one by one.
/// Reads only. Problems are the outcome, not an error.
pub async fn verify(cx: &Context, options: &VerifyOptions) -> Result<VerifyOutcome, OpsError> {
    match &options.look.input {
        Input::Local { path, stated, .. } if is_whole(&options.look) => {
            let found = verify_whole(cx, (path.clone(), stated.transport), options.extent).await?;
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
    (path, stated): (PathBuf, Option<Transport>),
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
        return collection::verify(cx, (&catalog, collection)).await;
    }
    // A damaged bundle cannot always be opened, but must still be verified.
    let from = path.clone();
    if let Some(kind) = hod_bridge::run(move || Bundle::detect(&from)).await? {
        let found = verify_bundle(cx, path, kind.into()).await?;
        return Ok(found.judged(extent));
    }
    let catalog = Catalog::open_once(&path, stated, &cx.reading).await?;
    match catalog.source().as_store() {
        Some(store) => verify_store(cx, (&catalog, store.clone())).await,
        None => images::verify_layouts(cx, &catalog).await,
    }
}

/// Two names that only a registry distinguishes, unlike Harbor for example, are not a problem here.
async fn verify_store(
    cx: &Context,
    (catalog, store): (&Catalog, hod_store::Store),
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
