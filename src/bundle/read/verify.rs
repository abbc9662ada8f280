//! Verifies every byte of a bundle.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::bundle::{Bundle, BundleKind};
use super::stream::{self, BlobCheck, StreamSink};
use super::volume::{OpenVolume, ReadOptions};
use crate::error::{BlobProblem, BundleError};
use crate::format::closure::Closure;
use crate::format::volume::{Content, Member};
use crate::format::{BundleBlob, BundleImage, BundleManifest, Delta, Placement};
use crate::hashing::BUFFER_LEN;
use crate::sign::Signed;
use hod_oci::{Digest, DigestHasher};
use hod_report::{Diagnose as _, ErrorClass, chain};

/// The result of verifying a bundle.
#[derive(Debug, Clone, Default)]
pub struct BundleVerifyOutcome {
    pub n_blobs: usize,
    pub n_images: usize,
    /// Number of bytes of blobs that were hashed; a blob in several volumes counts once.
    pub len: u64,
    /// One line per problem, which names the member or the image.
    pub problems: Vec<String>,
    /// Content that is permitted to be absent.
    pub notes: Vec<String>,
    /// The volumes that were not found, if any.
    pub partial: Option<Partial>,
    /// Whether it is signed; `None` if that could not be read.
    pub signed: Option<Signed>,
    /// The content required at the target, if it is a delta.
    pub delta: Option<Delta>,
}

/// The result for a bundle with missing volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The numbers of the missing volumes, counted from 1; never empty.
    pub missing: Vec<u32>,
    pub n_volumes: u32,
    /// How many images are complete without the missing volumes.
    pub n_complete: usize,
}

/// How to verify a bundle.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    pub read: &'a ReadOptions,
    /// Number of members that are hashed in parallel.
    pub jobs: usize,
    /// Called with the number of blob bytes after each read, from several threads.
    pub on_bytes: &'a (dyn Fn(u64) + Sync),
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("read", &self.read)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// Reads every byte of the bundle at `path`, in all its volumes that are found.
///
/// A raw bundle is read by several threads and all its problems are listed; a compressed one is
/// read up to its first problem. A missing volume is not a problem: see
/// [`BundleVerifyOutcome::partial`]. Fails only when a file cannot be read or is not a bundle.
pub fn verify(
    path: &Path,
    options: &VerifyOptions<'_>,
) -> Result<BundleVerifyOutcome, BundleError> {
    let kind = Bundle::detect(path)?;
    outcome_of(options, |options| {
        if kind != Some(BundleKind::Zstd) {
            return verify_raw(path, options);
        }
        let file = hod_fsx::open(path).map_err(|source| BundleError::Read {
            path: path.to_owned(),
            source,
        })?;
        verify_stream(file, path, options)
    })
}

/// Reads every byte of a bundle from a pipe, its volumes in order, up to the first problem; `path` is
/// for messages.
pub fn verify_once(
    input: impl Read + Send,
    path: &Path,
    options: &VerifyOptions<'_>,
) -> Result<BundleVerifyOutcome, BundleError> {
    outcome_of(options, |options| verify_stream(input, path, options))
}

/// Counts the bytes, and turns wrong content, which is a result, from an error into an outcome.
fn outcome_of(
    options: &VerifyOptions<'_>,
    verify: impl FnOnce(&VerifyOptions<'_>) -> Result<BundleVerifyOutcome, BundleError>,
) -> Result<BundleVerifyOutcome, BundleError> {
    let hashed = AtomicU64::new(0);
    let on_bytes = |n| {
        hashed.fetch_add(n, Ordering::Relaxed);
        (options.on_bytes)(n);
    };
    let verified = verify(&VerifyOptions {
        on_bytes: &on_bytes,
        ..*options
    });
    let outcome = match verified {
        Err(error) if error.diagnose().class == ErrorClass::Verify && !error.is_signature() => {
            BundleVerifyOutcome {
                problems: vec![chain(&error)],
                ..BundleVerifyOutcome::default()
            }
        }
        result => result?,
    };
    Ok(BundleVerifyOutcome {
        len: hashed.into_inner(),
        ..outcome
    })
}

fn outcome(manifest: &BundleManifest, signed: Signed) -> BundleVerifyOutcome {
    BundleVerifyOutcome {
        n_blobs: manifest.blobs.len(),
        n_images: manifest.n_images(),
        len: 0,
        problems: Vec::new(),
        notes: Vec::new(),
        partial: None,
        signed: Some(signed),
        delta: manifest.delta(),
    }
}

/// A unit of work for one thread.
#[derive(Clone, Copy)]
enum Task<'a> {
    /// The member of a volume at a position.
    Member(&'a OpenVolume, usize),
    /// The joined parts of a blob, by its position.
    Joined(usize),
}

impl Task<'_> {
    fn len(self, bundle: &Bundle) -> u64 {
        match self {
            Self::Member(volume, at) => volume.layout().members()[at].len,
            Self::Joined(at) => bundle.manifest().blobs[at].size,
        }
    }

    /// Returns the problems found, at most two.
    fn run(
        self,
        bundle: &Bundle,
        buffer: &mut [u8],
        options: &VerifyOptions<'_>,
    ) -> Vec<BundleError> {
        match self {
            Self::Member(volume, at) => {
                let member = &volume.layout().members()[at];
                let content = volume.check_content(member, bundle.manifest(), |n| {
                    if !is_repeated(bundle, volume, member) {
                        (options.on_bytes)(n);
                    }
                });
                let checks = [volume.check_member(at), content];
                let errors = checks.into_iter().filter_map(Result::err);
                errors
                    .map(|error| bundle.in_volume(volume, error))
                    .collect()
            }
            Self::Joined(at) => check_joined(bundle, at, buffer).err().into_iter().collect(),
        }
    }
}

/// Whether an earlier volume has the same member.
fn is_repeated(bundle: &Bundle, volume: &OpenVolume, member: &Member) -> bool {
    let Content::Blob(at) = member.content else {
        return false;
    };
    let first = bundle.volumes().next();
    bundle.manifest().blobs[at].place == Placement::Everywhere
        && first.is_some_and(|first| first.layout().index() < volume.layout().index())
}

fn verify_raw(
    path: &Path,
    options: &VerifyOptions<'_>,
) -> Result<BundleVerifyOutcome, BundleError> {
    let bundle = Bundle::open_any_len(path, options.read)?;
    let mut errors = run_all(&bundle, options);
    for volume in bundle.volumes() {
        let end = volume.check_end().err();
        errors.extend(end.map(|error| bundle.in_volume(volume, error)));
    }
    let mut closure = Closure::new(bundle.manifest());
    // Every volume has them all.
    let first = bundle.volumes().next().expect("one was opened");
    for member in first.layout().members() {
        let Content::Blob(at) = member.content else {
            continue;
        };
        let blob = &bundle.manifest().blobs[at];
        if !blob.is_manifest {
            continue;
        }
        // One that is damaged or missing is on the list already.
        if let Ok(bytes) = first.read_small(member)
            && blob.digest.matches(&bytes)
        {
            errors.extend(closure.add(&blob.digest, bytes).err());
        }
    }
    let findings = closure.check();
    errors.extend(findings.problems);
    let mut outcome = outcome(bundle.manifest(), bundle.signed());
    outcome.notes = findings.notes;
    let missing = bundle.missing_volumes();
    if !missing.is_empty() {
        outcome.partial = Some(Partial {
            missing,
            n_volumes: bundle.manifest().n_volumes,
            n_complete: n_complete_images(bundle.manifest(), |blob| {
                bundle.open_blob(&blob.digest).is_some()
            }),
        });
        let blobs = bundle.manifest().blobs.iter();
        let here = blobs.filter(|blob| bundle.open_blob(&blob.digest).is_some());
        outcome.n_blobs = here.count();
    }
    for error in errors {
        if error.diagnose().class != ErrorClass::Verify {
            return Err(error);
        }
        let problem = chain(&error);
        if !outcome.problems.contains(&problem) {
            outcome.problems.push(problem);
        }
    }
    Ok(outcome)
}

/// The number of images whose blobs are all in the volumes that were found.
fn n_complete_images(manifest: &BundleManifest, is_here: impl Fn(&BundleBlob) -> bool) -> usize {
    let blobs = manifest.blobs.iter();
    let missing: HashSet<&Digest> = blobs
        .filter(|blob| !is_here(blob))
        .map(|blob| &blob.digest)
        .collect();
    let is_complete = |image: &&BundleImage| {
        let mut needed = image.manifests.iter().chain(&image.blobs);
        !needed.any(|digest| missing.contains(digest))
    };
    manifest.images.iter().filter(is_complete).count()
}

/// Checks everything after the heads of the volumes; the errors are in the order of the volumes and
/// of their members.
fn run_all(bundle: &Bundle, options: &VerifyOptions<'_>) -> Vec<BundleError> {
    let n_head = bundle.head().n_members();
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for volume in bundle.volumes() {
        let members = n_head..volume.layout().members().len();
        tasks.extend(members.map(|at| Task::Member(volume, at)));
    }
    let blobs = bundle.manifest().blobs.iter().enumerate();
    let cut = blobs.filter(|(_, blob)| !blob.parts().is_empty());
    tasks.extend(cut.map(|(at, _)| Task::Joined(at)));
    // Largest first, as when packing.
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(tasks[at].len(bundle)));
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, BundleError)>> = Mutex::new(Vec::new());
    let work = || {
        let mut buffer = vec![0; BUFFER_LEN];
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let errors = tasks[at].run(bundle, &mut buffer, options);
            let mut found = found.lock().expect("no thread panics with the lock");
            found.extend(errors.into_iter().map(|error| (at, error)));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.jobs {
            // If the system cannot start more threads, the existing ones do the work.
            if hod_bridge::spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut found = found.into_inner().expect("no thread panics with the lock");
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, error)| error).collect()
}

/// Checks that the parts of a blob, if all were found, are the blob.
fn check_joined(bundle: &Bundle, at: usize, buffer: &mut [u8]) -> Result<(), BundleError> {
    let digest = &bundle.manifest().blobs[at].digest;
    let mut hasher = DigestHasher::new(digest.algorithm());
    for range in bundle.open_blob(digest).unwrap_or_default() {
        let mut done = 0;
        while done < range.len {
            let left = range.len - done;
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let read = hod_fsx::read_at(
                &range.file,
                &range.path,
                &mut buffer[..want],
                range.offset + done,
            );
            let n = read.map_err(|source| BundleError::Read {
                path: range.path.clone(),
                source,
            })?;
            if n == 0 {
                // The part itself is found to be too short.
                return Ok(());
            }
            hasher.update(&buffer[..n]);
            done += n as u64;
        }
    }
    let actual = hasher.finish();
    if actual == *digest || bundle.open_blob(digest).is_none() {
        return Ok(());
    }
    Err(BundleError::Blob {
        digest: digest.clone(),
        problem: BlobProblem::Joined { actual },
    })
}

/// A sink that discards what it reads.
struct DiscardSink<'a> {
    /// The description of the bundle.
    manifest: Option<BundleManifest>,
    on_bytes: &'a (dyn Fn(u64) + Sync),
    buffer: Vec<u8>,
}

impl StreamSink for DiscardSink<'_> {
    type Error = BundleError;

    fn start(&mut self, manifest: &BundleManifest) -> Result<(), BundleError> {
        self.manifest = Some(manifest.clone());
        Ok(())
    }

    fn blob(&mut self, _: &BundleBlob, content: &mut dyn Read) -> Result<(), BundleError> {
        // The reader's own error, which it remembers, goes before this.
        while let Ok(n @ 1..) = content.read(&mut self.buffer) {
            (self.on_bytes)(n as u64);
        }
        Ok(())
    }

    fn finish(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }
}

fn verify_stream(
    input: impl Read + Send,
    path: &Path,
    options: &VerifyOptions<'_>,
) -> Result<BundleVerifyOutcome, BundleError> {
    let mut sink = DiscardSink {
        manifest: None,
        on_bytes: options.on_bytes,
        buffer: vec![0; BUFFER_LEN],
    };
    let trust = &options.read.trust;
    let read = stream::read_stream(input, path, trust, BlobCheck::Reader, &mut sink);
    match (read, sink.manifest) {
        (Ok(manifest), _) => {
            let signed = trust.status(manifest.signed_by);
            Ok(outcome(&manifest, signed))
        }
        // Everything before it is as it was packed.
        (Err(BundleError::VolumesEnd { expected, .. }), Some(manifest)) => {
            let signed = trust.status(manifest.signed_by);
            Ok(first_volumes(&manifest, expected, signed))
        }
        (Err(error), _) => Err(error),
    }
}

/// The result when only the volumes before `end` are present.
fn first_volumes(manifest: &BundleManifest, end: u32, signed: Signed) -> BundleVerifyOutcome {
    let is_here = |blob: &BundleBlob| blob.volumes().iter().all(|volume| *volume < end);
    BundleVerifyOutcome {
        n_blobs: manifest.blobs.iter().filter(|blob| is_here(blob)).count(),
        partial: Some(Partial {
            missing: (end..=manifest.n_volumes).collect(),
            n_volumes: manifest.n_volumes,
            n_complete: n_complete_images(manifest, is_here),
        }),
        ..outcome(manifest, signed)
    }
}
