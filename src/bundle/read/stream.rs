//! Reads a bundle in one pass: from a file or a pipe, raw or compressed, its volumes in order.

use std::io::{self, Read};
use std::path::Path;

use super::expected::{
    content_mismatch, expect_end, expect_lead, expect_padding, expect_volume_end, verify_content,
};
use super::head::{self, Head, VolumeHead};
use crate::error::{BundleError, MemberProblem};
use crate::format::closure::Closure;
use crate::format::volume::{Content, Member};
use crate::format::{BundleBlob, BundleManifest};
use crate::sign::Trust;
use hod_oci::Verifier;
use hod_report::{Diagnose as _, ErrorClass};
use hod_tarball::{Input, Mode};

/// Receives the content of a bundle in order.
pub trait StreamSink {
    /// An error of the sink or of the bundle.
    type Error: From<BundleError>;

    /// Receives the description of the bundle. It is consistent; the content was not read yet.
    fn start(&mut self, manifest: &BundleManifest) -> Result<(), Self::Error>;

    /// Receives one blob. Manifests, which are verified already, come first. Bytes of `content` that are
    /// not read are skipped. If `content` fails, the bundle's error is returned and not the sink's.
    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), Self::Error>;

    /// Called at the end if every member is as listed and every image is complete.
    fn finish(&mut self, manifest: &BundleManifest) -> Result<(), Self::Error>;
}

/// Which side verifies the configs and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobCheck {
    /// The reader.
    Reader,
    /// The sink, which must fail on a mismatch: so that no blob is hashed twice.
    Sink,
}

/// Reads a bundle from start to end into `sink`; `path` is for messages. If trusted keys are given, one
/// of them must have signed the bundle, or nothing is passed to the sink.
///
/// Volumes must follow each other in order, as `cat` joins them; a blob in parts is passed on as one.
/// Fails, naming the member, on anything that a bundle does not contain: unsafe paths, links, devices,
/// members that are unlisted, duplicated or missing, wrong lengths and digests, and an archive that
/// is truncated or has trailing data. Memory does not grow with the size of a blob.
pub fn read_stream<R: Read + Send, S: StreamSink>(
    input: R,
    path: &Path,
    trust: &Trust,
    check: BlobCheck,
    sink: &mut S,
) -> Result<BundleManifest, S::Error> {
    let mut input = Input::of_stream(input, path, Mode::Strict).map_err(BundleError::from)?;
    let (head, own) = head::read(&mut input, trust)?;
    sink.start(&head.manifest)?;
    let mut reader = StreamReader {
        input,
        head: &head,
        trust,
        reached: own.volume.index(),
        own,
        at: head.n_members(),
    };
    match read_volumes(&mut reader, check, sink) {
        Ok(()) => {}
        Err(Failure::Bundle(error)) => return Err(reader.locate(error).into()),
        Err(Failure::Sink(error)) => return Err(error),
    }
    sink.finish(&head.manifest)?;
    Ok(head.manifest)
}

/// An error of the sink or of the bundle.
enum Failure<E> {
    Bundle(BundleError),
    Sink(E),
}

impl<E> From<BundleError> for Failure<E> {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

/// Reads everything after the head of the first volume.
fn read_volumes<S: StreamSink>(
    reader: &mut StreamReader<'_, '_>,
    check: BlobCheck,
    sink: &mut S,
) -> Result<(), Failure<S::Error>> {
    let head = reader.head;
    reader.expect_volume(1)?;
    let mut closure = Some(Closure::new(&head.manifest));
    loop {
        while let Some(member) = reader.next_member()? {
            match member.content {
                Content::Blob(at) => {
                    let blob = &head.manifest.blobs[at];
                    if !blob.is_manifest {
                        check_closure(closure.take())?;
                        read_blob(reader, &member, blob, check, sink)?;
                    } else if let Some(closure) = closure.as_mut().filter(|_| reader.is_first()) {
                        let bytes = reader.read_whole(&member)?;
                        closure.add(&blob.digest, bytes.clone())?;
                        let taken = sink.blob(blob, &mut bytes.as_slice());
                        taken.map_err(Failure::Sink)?;
                    } else {
                        reader.read_plain(&member)?;
                    }
                }
                Content::Part(at, 0) => {
                    let blob = &head.manifest.blobs[at];
                    check_closure(closure.take())?;
                    read_blob(reader, &member, blob, check, sink)?;
                }
                _ => reader.read_plain(&member)?,
            }
        }
        if !reader.next_volume()? {
            break;
        }
    }
    Ok(check_closure(closure)?)
}

/// Checks the manifests against the list, once all of them are read.
fn check_closure(closure: Option<Closure<'_>>) -> Result<(), BundleError> {
    let problems = closure.map(|closure| closure.check().problems);
    problems.into_iter().flatten().next().map_or(Ok(()), Err)
}

/// The state of the reader.
struct StreamReader<'a, 'h> {
    input: Input<'a>,
    head: &'h Head,
    trust: &'h Trust,
    own: VolumeHead,
    /// The number of the volume that is being read, whose head may still be incomplete.
    reached: u32,
    /// The position of the next member of the volume.
    at: usize,
}

impl StreamReader<'_, '_> {
    fn is_first(&self) -> bool {
        self.own.volume.index() == 1
    }

    /// Adds to an error the volume it occurred in, where there are several.
    fn locate(&self, error: BundleError) -> BundleError {
        let count = self.head.manifest.n_volumes;
        let is_of_this = match &error {
            BundleError::Image { .. } | BundleError::Manifest { .. } => false,
            // The input at this point is not a volume.
            BundleError::NotABundle { .. } => true,
            error => error.diagnose().class == ErrorClass::Verify,
        };
        if count == 1 && matches!(error, BundleError::Member { .. }) {
            return BundleError::InBundle {
                path: self.input.path().to_owned(),
                source: Box::new(error),
            };
        }
        if count == 1 || !is_of_this {
            return error;
        }
        BundleError::InStream {
            index: self.reached,
            count,
            source: Box::new(error),
        }
    }

    fn expect_volume(&self, expected: u32) -> Result<(), BundleError> {
        let found = self.own.volume.index();
        if found == expected {
            return Ok(());
        }
        Err(BundleError::VolumeOrder { expected, found })
    }

    /// Reads the headers of the next member of the volume, behind which its content comes.
    fn next_member(&mut self) -> Result<Option<Member>, BundleError> {
        let volume = &self.own.volume;
        let Some(member) = volume.members().get(self.at) else {
            return Ok(None);
        };
        expect_lead(&mut self.input, volume, &self.own.volume_json, self.at)?;
        self.at += 1;
        Ok(Some(member.clone()))
    }

    /// Reads the end of the volume, and the head of the next; false when there is none.
    fn next_volume(&mut self) -> Result<bool, BundleError> {
        let (index, count) = (self.own.volume.index(), self.head.manifest.n_volumes);
        if index == count {
            expect_end(&mut self.input, &self.own.volume)?;
            return Ok(false);
        }
        expect_volume_end(&mut self.input, &self.own.volume)?;
        self.reached = index + 1;
        let Some(own) = self.head.read_next(&mut self.input, Some(self.trust))? else {
            return Err(BundleError::VolumesEnd {
                path: self.input.path().to_owned(),
                expected: index + 1,
                count,
            });
        };
        self.own = own;
        self.at = self.head.n_members();
        self.expect_volume(index + 1)?;
        Ok(true)
    }

    /// Skips to the part of a blob in the next volume.
    fn next_part(&mut self, blob: usize, part: usize) -> Result<Member, BundleError> {
        // A part that continues in another volume is the last member of its own.
        while let Some(member) = self.next_member()? {
            self.read_plain(&member)?;
        }
        self.next_volume()?;
        while let Some(member) = self.next_member()? {
            if member.content == Content::Part(blob, part) {
                return Ok(member);
            }
            self.read_plain(&member)?;
        }
        let digest = self.head.manifest.blobs[blob].digest.clone();
        let problem = crate::error::BlobProblem::Placement;
        Err(BundleError::Blob { digest, problem })
    }

    /// Reads and verifies a member whose content is not used, with its padding.
    fn read_plain(&mut self, member: &Member) -> Result<(), BundleError> {
        if let Content::Link(digest) = &member.content {
            if self.input.read_vec(member.len)? != digest.as_str().as_bytes() {
                let expected = digest.clone();
                let problem = MemberProblem::Link { expected };
                return Err(BundleError::member(&member.path, problem));
            }
        } else if let Some(expected) = member.digest(&self.head.manifest) {
            verify_content(&mut self.input, member, &expected, &|_| ())?;
        }
        expect_padding(&mut self.input, member)
    }

    /// Reads a member that is short by its kind into memory and verifies it, with its padding.
    fn read_whole(&mut self, member: &Member) -> Result<Vec<u8>, BundleError> {
        let bytes = self.input.read_vec(member.len)?;
        if let Some(expected) = member.digest(&self.head.manifest) {
            let checked = expected.check(&bytes);
            checked.map_err(|mismatch| content_mismatch(member, mismatch))?;
        }
        expect_padding(&mut self.input, member)?;
        Ok(bytes)
    }

    /// Reads some of the `left` bytes of a member, at least one.
    fn read_some(&mut self, left: u64, buffer: &mut [u8]) -> Result<usize, BundleError> {
        let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        Ok(self.input.read_some(&mut buffer[..want])?)
    }
}

fn read_blob<S: StreamSink>(
    reader: &mut StreamReader<'_, '_>,
    member: &Member,
    blob: &BundleBlob,
    check: BlobCheck,
    sink: &mut S,
) -> Result<(), Failure<S::Error>> {
    let mut content = ContentReader::new(reader, member, blob, check);
    let taken = sink.blob(blob, &mut content);
    if let Some(error) = content.failure.take() {
        return Err(error.into());
    }
    taken.map_err(Failure::Sink)?;
    content.drain()?;
    Ok(content.finish()?)
}

/// The content of one blob: continues from part to part, ends with the last one, and remembers why
/// it could not be read.
struct ContentReader<'p, 'a, 'h> {
    reader: &'p mut StreamReader<'a, 'h>,
    member: Member,
    /// Its first.
    first: Member,
    n_parts: usize,
    /// Of this member, in bytes.
    left: u64,
    whole: Option<Verifier>,
    /// Of this part, of a blob in several.
    part: Option<Verifier>,
    failure: Option<BundleError>,
}

impl<'p, 'a, 'h> ContentReader<'p, 'a, 'h> {
    fn new(
        reader: &'p mut StreamReader<'a, 'h>,
        member: &Member,
        blob: &BundleBlob,
        check: BlobCheck,
    ) -> Self {
        let is_checked = check == BlobCheck::Reader;
        let mut reader = Self {
            reader,
            member: member.clone(),
            first: member.clone(),
            n_parts: blob.parts().len(),
            left: member.len,
            whole: is_checked.then(|| Verifier::from(&blob.digest)),
            part: None,
            failure: None,
        };
        reader.begin_part();
        reader
    }

    /// Records where a part begins, so that an error can name the part that is wrong.
    fn begin_part(&mut self) {
        if self.whole.is_some() && self.n_parts > 0 {
            let digest = self.member.digest(&self.reader.head.manifest);
            self.part = digest.map(|digest| Verifier::from(&digest));
        }
    }

    /// Reads the padding after the content of a member and compares it with the index.
    fn end_member(&mut self) -> Result<(), BundleError> {
        if let Some(part) = self.part.take() {
            let checked = part.finish();
            checked.map_err(|mismatch| content_mismatch(&self.member, mismatch))?;
        }
        expect_padding(&mut self.reader.input, &self.member)
    }

    /// Reads some bytes; 0 at the end of the blob.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, BundleError> {
        while self.left == 0 {
            match self.member.content {
                Content::Part(blob, part) if part + 1 < self.n_parts => {
                    self.end_member()?;
                    self.member = self.reader.next_part(blob, part + 1)?;
                    self.left = self.member.len;
                    self.begin_part();
                }
                _ => return Ok(0),
            }
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.reader.read_some(self.left, buffer)?;
        for verifier in self.whole.iter_mut().chain(&mut self.part) {
            let taken = verifier.update(&buffer[..n]);
            taken.map_err(|mismatch| content_mismatch(&self.member, mismatch))?;
        }
        self.left -= n as u64;
        Ok(n)
    }

    /// Reads the rest.
    fn drain(&mut self) -> Result<(), BundleError> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read_some(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads the padding behind the content, and verifies the whole if that is to be done.
    fn finish(mut self) -> Result<(), BundleError> {
        self.end_member()?;
        let checked = self.whole.map_or(Ok(()), Verifier::finish);
        checked.map_err(|mismatch| content_mismatch(&self.first, mismatch))
    }
}

impl Read for ContentReader<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| {
            let text = error.to_string();
            self.failure = Some(error);
            io::Error::other(text)
        })
    }
}
