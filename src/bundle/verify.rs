//! Reading a whole bundle to see whether every bit of it is as it was written.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::closure::Closure;
use super::error::{BundleError, MemberProblem};
use super::format::{BundleBlob, BundleManifest};
use super::hashing::BUFFER_LEN;
use super::head;
use super::reader::{Bundle, BundleKind};
use super::stream::{self, BlobCheck, StreamSink};
use super::volume::{Content, Member};
use crate::fsx;
use crate::oci::{Digest, DigestHasher};

/// What is in a bundle, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct BundleVerifyOutcome {
    pub n_blobs: usize,
    pub n_images: usize,
    /// The bytes of all blobs.
    pub len: u64,
    /// One line each, naming the member or the image; empty when all is well.
    pub problems: Vec<String>,
    /// What is left out, as it may be.
    pub notes: Vec<String>,
}

/// Reads every byte of the bundle at `path`; `on_bytes` hears of blob bytes, from several threads.
///
/// A raw bundle is read by `jobs` threads and all its problems are listed; a compressed one is read
/// up to its first. Fails only when the file cannot be read or is no bundle at all.
pub fn verify(
    path: &Path,
    jobs: usize,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<BundleVerifyOutcome, BundleError> {
    let verified = match Bundle::detect(path)? {
        Some(BundleKind::Zstd) => verify_stream(path, on_bytes),
        _ => verify_raw(path, jobs, on_bytes),
    };
    match verified {
        Err(error) if error.is_content() => Ok(BundleVerifyOutcome {
            problems: vec![text(&error)],
            ..BundleVerifyOutcome::default()
        }),
        result => result,
    }
}

/// The error with its causes, on one line.
fn text(error: &BundleError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn outcome(manifest: &BundleManifest) -> BundleVerifyOutcome {
    BundleVerifyOutcome {
        n_blobs: manifest.blobs.len(),
        n_images: manifest.n_images(),
        len: manifest.blobs.iter().map(|blob| blob.size).sum(),
        problems: Vec::new(),
        notes: Vec::new(),
    }
}

fn verify_raw(
    path: &Path,
    jobs: usize,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<BundleVerifyOutcome, BundleError> {
    let bundle = Bundle::open_any_len(path)?;
    let members = bundle.volume().members();
    // Largest first, as when packing.
    let mut order: Vec<usize> = (head::N_MEMBERS..members.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(members[at].len));
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, BundleError)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER_LEN];
                while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checks = [
                        bundle.check_member(at),
                        check_content(&bundle, at, (&mut buffer, on_bytes)),
                    ];
                    let errors = checks.into_iter().filter_map(Result::err);
                    let mut found = found.lock().expect("no thread panics with the lock");
                    found.extend(errors.map(|error| (at, error)));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no thread panics with the lock");
    found.sort_by_key(|(at, _)| *at);
    let mut errors: Vec<BundleError> = found.into_iter().map(|(_, error)| error).collect();
    errors.extend(bundle.check_end().err());

    let mut closure = Closure::new(bundle.manifest());
    for member in members {
        let Content::Blob(at) = member.content else {
            continue;
        };
        let blob = &bundle.manifest().blobs[at];
        if !blob.is_manifest {
            continue;
        }
        let bytes = bundle.read_small(member)?;
        // One that is damaged is on the list already.
        if blob.digest.matches(&bytes) {
            errors.extend(closure.add(&blob.digest, bytes).err());
        }
    }
    let findings = closure.check();
    errors.extend(findings.problems);
    let mut outcome = outcome(bundle.manifest());
    outcome.notes = findings.notes;
    for error in errors {
        if !error.is_content() {
            return Err(error);
        }
        outcome.problems.push(text(&error));
    }
    outcome.problems.dedup();
    Ok(outcome)
}

/// Checks the content of the member at a position.
pub(super) fn check_content(
    bundle: &Bundle,
    at: usize,
    (buffer, on_bytes): (&mut [u8], &(dyn Fn(u64) + Sync)),
) -> Result<(), BundleError> {
    let member = &bundle.volume().members()[at];
    if let Content::Link(expected) = &member.content {
        let expected = expected.clone();
        if bundle.read_small(member)? != expected.as_str().as_bytes() {
            let problem = MemberProblem::Link { expected };
            return Err(BundleError::member(&member.path, problem));
        }
        return Ok(());
    }
    // Only the two json files need this digest, and they were read when the bundle was opened.
    let unused = &bundle.manifest().id;
    let Some(expected) = member.digest(bundle.manifest(), unused) else {
        return Ok(());
    };
    let actual = hash(bundle, member, (buffer, &expected), on_bytes)?;
    if actual == expected {
        return Ok(());
    }
    let problem = MemberProblem::Digest { expected, actual };
    Err(BundleError::member(&member.path, problem))
}

fn hash(
    bundle: &Bundle,
    member: &Member,
    (buffer, expected): (&mut [u8], &Digest),
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<Digest, BundleError> {
    let mut hasher = DigestHasher::new(expected.algorithm());
    let is_blob = matches!(member.content, Content::Blob(_));
    let mut done = 0;
    while done < member.len {
        let n = bundle.read_content(member, buffer, done)?;
        if n == 0 {
            return Err(BundleError::member(&member.path, MemberProblem::Truncated));
        }
        hasher.update(&buffer[..n]);
        if is_blob {
            on_bytes(n as u64);
        }
        done += n as u64;
    }
    Ok(hasher.finish())
}

/// A sink that keeps nothing.
struct Witness<'a> {
    on_bytes: &'a (dyn Fn(u64) + Sync),
    buffer: Vec<u8>,
}

impl StreamSink for Witness<'_> {
    type Error = BundleError;

    fn start(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
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
    path: &Path,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Result<BundleVerifyOutcome, BundleError> {
    let file = fsx::open(path).map_err(|source| BundleError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut witness = Witness {
        on_bytes,
        buffer: vec![0; BUFFER_LEN],
    };
    let input = BufReader::new(&file);
    let manifest = stream::read_stream(input, path, BlobCheck::Reader, &mut witness)?;
    Ok(outcome(&manifest))
}
