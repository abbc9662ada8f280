//! A bundle in one pass: from a file or a pipe, raw or compressed.

use std::io::{self, Read};
use std::path::Path;

use super::closure::Closure;
use super::error::{BundleError, MemberProblem};
use super::format::{BundleBlob, BundleManifest};
use super::head::{self, Head};
use super::input::Input;
use super::volume::{Content, Member};
use crate::oci::{Algorithm, Digest, DigestHasher};

/// Takes what a bundle holds, in the order in which it comes.
pub trait StreamSink {
    /// What may go wrong with the sink, and with the bundle.
    type Error: From<BundleError>;

    /// Takes the list of what is to come: it makes sense, and nothing has been checked against it.
    fn start(&mut self, manifest: &BundleManifest) -> Result<(), Self::Error>;

    /// Takes one blob: manifests, which are verified already, come first. Whatever is not read of
    /// `content` is passed over. An error of `content` may be wrapped; the bundle's own goes first.
    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), Self::Error>;

    /// Ends it: every member was as listed, and every image is complete. Not called otherwise.
    fn finish(&mut self, manifest: &BundleManifest) -> Result<(), Self::Error>;
}

/// Who hashes the configs and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobCheck {
    /// The reader does.
    Reader,
    /// The sink does, and refuses what is wrong: nothing need be hashed twice.
    Sink,
}

/// Reads a bundle from start to end into `sink`; `path` is for messages.
///
/// Refuses, by the name of the member, all that a bundle does not have: unsafe paths, links,
/// devices, members that are unlisted, there twice or missing, wrong lengths and digests, and an
/// archive that ends too early or too late. Memory does not grow with the size of a blob.
pub fn read_stream<R: Read, S: StreamSink>(
    input: R,
    path: &Path,
    check: BlobCheck,
    sink: &mut S,
) -> Result<BundleManifest, S::Error> {
    let mut input = Input::new(input, path)?;
    let head = head::read(&mut input)?;
    sink.start(&head.manifest)?;
    let mut closure = Some(Closure::new(&head.manifest));
    for at in head::N_MEMBERS..head.volume.members().len() {
        let member = &head.volume.members()[at];
        input.expect_lead((&head.volume, &head.volume_json), at)?;
        match &member.content {
            Content::Blob(blob) => {
                let blob = &head.manifest.blobs[*blob];
                if blob.is_manifest {
                    let bytes = read_whole(&mut input, &head, member)?;
                    if let Some(closure) = &mut closure {
                        closure.add(&blob.digest, bytes.clone())?;
                    }
                    sink.blob(blob, &mut bytes.as_slice())?;
                } else {
                    check_closure(closure.take())?;
                    read_blob(&mut input, (member, blob), check, sink)?;
                }
            }
            Content::Link(digest) => {
                if input.read_vec(member.len, &member.path)? != digest.as_str().as_bytes() {
                    let expected = digest.clone();
                    let problem = MemberProblem::Link { expected };
                    return Err(BundleError::member(&member.path, problem).into());
                }
            }
            Content::File(..) => {
                hash_member(&mut input, &head, member)?;
            }
            Content::Dir | Content::VolumeJson | Content::BundleJson => {}
        }
        input.expect_padding(member)?;
    }
    check_closure(closure)?;
    input.expect_end(&head.volume)?;
    sink.finish(&head.manifest)?;
    Ok(head.manifest)
}

/// As soon as all manifests are read, they must agree with the list.
fn check_closure(closure: Option<Closure<'_>>) -> Result<(), BundleError> {
    let problems = closure.map(|closure| closure.check().problems);
    problems.into_iter().flatten().next().map_or(Ok(()), Err)
}

/// Reads a member that is short by its kind, and verifies it.
fn read_whole(input: &mut Input<'_>, head: &Head, member: &Member) -> Result<Vec<u8>, BundleError> {
    let bytes = input.read_vec(member.len, &member.path)?;
    let expected = content_digest(head, member);
    let mut hasher = DigestHasher::new(expected.algorithm());
    hasher.update(&bytes);
    check_digest(member, &expected, hasher.finish())?;
    Ok(bytes)
}

/// Reads and verifies a member whose bytes nobody wants.
fn hash_member(input: &mut Input<'_>, head: &Head, member: &Member) -> Result<(), BundleError> {
    let expected = content_digest(head, member);
    let mut content = ContentReader::new(input, member, Some(expected.algorithm()));
    content.drain()?;
    let actual = content.digest().unwrap_or_else(|| Digest::of(&[]));
    check_digest(member, &expected, actual)
}

fn content_digest(head: &Head, member: &Member) -> Digest {
    // Of a member that is neither of the two json files, whose digest this does not need.
    let unused = &head.volume_json;
    let digest = member.digest(&head.manifest, unused);
    digest.expect("files and blobs have a digest")
}

fn check_digest(member: &Member, expected: &Digest, actual: Digest) -> Result<(), BundleError> {
    if actual == *expected {
        return Ok(());
    }
    let expected = expected.clone();
    let problem = MemberProblem::Digest { expected, actual };
    Err(BundleError::member(&member.path, problem))
}

fn read_blob<S: StreamSink>(
    input: &mut Input<'_>,
    (member, blob): (&Member, &BundleBlob),
    check: BlobCheck,
    sink: &mut S,
) -> Result<(), S::Error> {
    let algorithm = (check == BlobCheck::Reader).then(|| blob.digest.algorithm());
    let mut content = ContentReader::new(input, member, algorithm);
    let taken = sink.blob(blob, &mut content);
    if let Some(error) = content.failure.take() {
        return Err(error.into());
    }
    taken?;
    content.drain()?;
    match content.digest() {
        Some(actual) => Ok(check_digest(member, &blob.digest, actual)?),
        None => Ok(()),
    }
}

/// The content of one member: ends where it ends, and remembers why it could not be read.
struct ContentReader<'a, 'b> {
    input: &'a mut Input<'b>,
    member: &'a Member,
    left: u64,
    hasher: Option<DigestHasher>,
    failure: Option<BundleError>,
}

impl<'a, 'b> ContentReader<'a, 'b> {
    fn new(input: &'a mut Input<'b>, member: &'a Member, algorithm: Option<Algorithm>) -> Self {
        Self {
            input,
            member,
            left: member.len,
            hasher: algorithm.map(DigestHasher::new),
            failure: None,
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let n = self
            .input
            .read_some(&mut buffer[..want], &self.member.path)?;
        if n == 0 {
            return Err(BundleError::member(
                &self.member.path,
                MemberProblem::Truncated,
            ));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..n]);
        }
        self.left -= n as u64;
        Ok(n)
    }

    /// Reads what is left.
    fn drain(&mut self) -> Result<(), BundleError> {
        let mut buffer = vec![0; 64 * 1024];
        while self.left > 0 {
            self.read_some(&mut buffer)?;
        }
        Ok(())
    }

    fn digest(self) -> Option<Digest> {
        self.hasher.map(DigestHasher::finish)
    }
}

impl Read for ContentReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| {
            let text = error.to_string();
            self.failure = Some(error);
            io::Error::other(text)
        })
    }
}
