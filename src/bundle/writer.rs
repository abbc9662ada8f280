//! Writing a bundle: raw at known offsets by several threads, or compressed from start to end.

use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::copy::{Knowledge, Place};
use super::error::BundleError;
use super::format::BundleManifest;
use super::pieces::Pieces;
use super::plan::{FileContent, Planned};
use super::volume::{Content, Member, Volume};
use super::{raw, sequential};
use crate::fsx::{self, Durability};
use crate::oci::Digest;

/// Opens a blob that is to be packed; called from several threads.
pub type OpenBlob<'a, E> = dyn Fn(&Digest) -> Result<Pieces, E> + Sync + 'a;

/// The container format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is: readers seek in it.
    Raw,
    /// As one zstd stream, read from start to end; levels as those of zstd, 1 to 19.
    Zstd { level: i32 },
}

/// How to write a bundle.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The path at which the bundle appears once it is complete; the names of several volumes are
    /// derived from it: see [`super::volume_path`]. Its directory must exist.
    pub output: &'a Path,
    pub compression: Compression,
    /// The number of blobs that are copied, or of parts that are compressed, at the same time. Does
    /// not affect the output.
    pub jobs: usize,
    /// Whether the bundle is on the disk, or only in the kernel's hands, when the call returns.
    pub durability: Durability,
    /// Of all volumes, write this one only.
    pub only_volume: Option<u32>,
    /// Which blobs need not be read.
    pub knowledge: &'a dyn Knowledge,
    /// Hears of every blob byte that was written, from several threads; may end the work.
    pub on_bytes: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

/// A bundle that was written.
#[derive(Debug, Clone)]
pub struct WriteOutcome {
    pub manifest: BundleManifest,
    /// Its files, and their lengths in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// The length of the tars in them together, which is the same when they are not compressed.
    pub tar_len: u64,
}

impl WriteOutcome {
    /// The length of all files together in bytes.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|(_, len)| len).sum()
    }

    /// Whether nothing was written, which is never so.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl fmt::Debug for WriteOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOptions")
            .field("output", &self.output)
            .field("compression", &self.compression)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl WriteOptions<'_> {
    /// Tells of `len` bytes more, and fails when the work is to end.
    pub(super) fn told(&self, len: u64) -> Result<(), BundleError> {
        match (self.on_bytes)(len) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BundleError::Stopped),
        }
    }

    /// The system cannot start more threads.
    pub(super) fn thread_error(&self, source: std::io::Error) -> BundleError {
        self.write_error(fsx::Error::new("start a thread for", self.output, source))
    }

    pub(super) fn write_error(&self, source: fsx::Error) -> BundleError {
        BundleError::Write {
            path: self.output.to_owned(),
            source,
        }
    }
}

/// Writes the bundle that was laid out, with the blobs that `open` returns.
///
/// Each file appears complete, replacing an existing one, or not at all, and the first volume after
/// all others. A blob that is not known to be right is hashed while it is copied; one with a wrong
/// digest ends the work. Equal plans make equal bytes, regardless of the number of jobs.
pub fn write<E: From<BundleError> + Send>(
    mut planned: Planned,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<WriteOutcome, E> {
    let files = match options.compression {
        Compression::Raw => raw::write(&mut planned, open, options)?,
        Compression::Zstd { .. } => {
            planned.require_one_stream()?;
            planned.sign()?;
            vec![sequential::write_file(&planned, open, options)?]
        }
    };
    Ok(outcome(planned, files))
}

/// Writes the bundle that was laid out to `output` from start to end, as into a pipe.
///
/// After a failure the output is incomplete, and every reader refuses it.
///
/// Of the options, durability is ignored.
pub fn write_to<E: From<BundleError> + Send>(
    mut planned: Planned,
    output: &mut dyn Write,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<WriteOutcome, E> {
    planned.require_one_stream()?;
    planned.sign()?;
    let len = sequential::write(&planned, open, output, options)?;
    let files = vec![(options.output.to_owned(), len)];
    Ok(outcome(planned, files))
}

fn outcome(planned: Planned, files: Vec<(PathBuf, u64)>) -> WriteOutcome {
    WriteOutcome {
        tar_len: planned.volumes.iter().map(Volume::len).sum(),
        manifest: planned.manifest,
        files,
    }
}

impl Planned {
    /// The content of a member other than a blob, if it is in memory.
    pub(super) fn content<'a>(&'a self, volume: usize, member: &'a Member) -> &'a [u8] {
        match &member.content {
            Content::VolumeJson => &self.volume_jsons[volume],
            Content::BundleJson => &self.bundle_json,
            Content::File(at, _) => match &self.files[*at] {
                FileContent::Bytes(bytes) => bytes,
                FileContent::Range(..) | FileContent::Path { .. } => &[],
            },
            Content::Link(digest) => digest.as_str().as_bytes(),
            Content::Signature => &self.signature,
            Content::Blob(_) | Content::Part(..) | Content::Dir => &[],
        }
    }

    /// The source of a member's bytes, if it is a file.
    pub(super) fn place<'a>(&'a self, member: &Member) -> Option<Place<'a>> {
        let (digest, content) = match member.content {
            Content::Blob(at) => (&self.manifest.blobs[at].digest, None),
            Content::File(at, _) => match &self.files[at] {
                FileContent::Bytes(_) => return None,
                content @ (FileContent::Range(_, digest) | FileContent::Path { digest, .. }) => {
                    (digest, Some(content))
                }
            },
            _ => return None,
        };
        Some(Place {
            digest,
            len: member.len,
            offset: member.offset,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::fsx::TempFile;
    use std::io::Read as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::sample::{Blobs, Sample, noise, sample};
    use super::super::{
        BlobCheck, Bundle, BundleKind, NoKnowledge, PackBlob, PackPlan, ReadOptions, Trust,
        VerifyOptions, read_stream, verify,
    };
    use super::*;
    use crate::oci::DigestHasher;

    const ZSTD: Compression = Compression::Zstd { level: 3 };

    /// Path, offset of the content, content, as the tar crate sees them.
    fn members(tar: &[u8]) -> Vec<(String, u64, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let mut members = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            members.push((path, entry.raw_file_position(), content));
        }
        members
    }

    fn check_tree(sample: &Sample, tar: &[u8]) {
        let members = members(tar);
        let paths: Vec<&str> = members.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(
            paths[..4],
            [
                "hod/volume.json",
                "hod/bundle.json",
                "README.txt",
                "install.sh"
            ]
        );
        let content = |wanted: &str| {
            let found = members.iter().find(|(path, ..)| path == wanted);
            &found
                .unwrap_or_else(|| panic!("{wanted} is missing from {paths:#?}"))
                .2
        };
        let tree = "docker/registry/v2";
        for (digest, range) in &sample.blobs {
            let path = format!(
                "{tree}/blobs/sha256/{}/{}/data",
                &digest.hex()[..2],
                digest.hex()
            );
            assert!(digest.matches(content(&path)));
            let (_, offset, bytes) = members.iter().find(|(p, ..)| *p == path).unwrap();
            assert_eq!(
                (offset % 4096, bytes.len() as u64),
                (0, range.len),
                "{path}"
            );
        }
        for image in &sample.plan.images {
            let root = format!("{tree}/repositories/{}", image.repository);
            for (kind, digests) in [
                ("_layers/sha256", &image.blobs),
                ("_manifests/revisions/sha256", &image.manifests),
            ] {
                for digest in digests {
                    let link = content(&format!("{root}/{kind}/{}/link", digest.hex()));
                    assert_eq!(*link, digest.as_str().as_bytes());
                }
            }
            let tag = image.tag.as_ref().unwrap();
            let tag = format!("{root}/_manifests/tags/{tag}");
            let top = image.digest.as_str().as_bytes();
            assert_eq!(content(&format!("{tag}/current/link")), top);
            let hex = image.digest.hex();
            assert_eq!(content(&format!("{tag}/index/sha256/{hex}/link")), top);
            assert!(paths.contains(&format!("{root}/_layers/").as_str()));
            assert!(paths.contains(&format!("{root}/_manifests/").as_str()));
        }
        assert!(tar.ends_with(&[0; 1024]));
    }

    #[test]
    fn a_raw_bundle_is_a_registrys_tree_with_aligned_blobs() {
        let sample = sample();
        let bytes = sample.write("b.tar", Compression::Raw);
        check_tree(&sample, &bytes);
        assert_eq!(sample.plan.lay_out().unwrap().lens(), [bytes.len() as u64]);
    }

    #[test]
    fn a_compressed_bundle_is_the_same_tar() {
        let sample = sample();
        let raw = sample.write("b.tar", Compression::Raw);
        let compressed = sample.write("b.tar.zst", ZSTD);
        assert_eq!(zstd::decode_all(&compressed[..]).unwrap(), raw);
    }

    #[test]
    fn equal_plans_make_equal_bytes_at_any_number_of_jobs_and_in_any_order() {
        let mut sample = sample();
        for (compression, name) in [(Compression::Raw, "a.tar"), (ZSTD, "a.tar.zst")] {
            sample.try_write(name, compression, 1).unwrap();
            let once = sample.read(name);
            sample.plan.images.reverse();
            sample.plan.blobs.reverse();
            sample.plan.files.reverse();
            for jobs in [0, 2, 7] {
                sample.try_write(name, compression, jobs).unwrap();
                assert!(sample.read(name) == once, "{jobs} jobs");
            }
        }
    }

    fn write_to_end(sample: &Sample) -> (Result<WriteOutcome, BundleError>, Vec<u8>) {
        let options = WriteOptions {
            output: Path::new("<stdout>"),
            compression: Compression::Raw,
            jobs: 2,
            durability: Durability::Deferred,
            only_volume: None,
            knowledge: &NoKnowledge,
            on_bytes: &|_| ControlFlow::Continue(()),
        };
        let mut bytes = Vec::new();
        let planned = sample.plan.lay_out().unwrap();
        let open = |digest: &Digest| Ok::<_, BundleError>(sample.open(digest).into());
        let written = write_to(planned, &mut bytes, &open, &options);
        (written, bytes)
    }

    #[test]
    fn a_pipe_gets_the_same_bytes_as_a_file() {
        let sample = sample();
        let in_place = sample.write("b.tar", Compression::Raw);
        let (written, bytes) = write_to_end(&sample);
        let written = written.unwrap();
        assert!(bytes == in_place);
        assert_eq!(
            (written.len(), written.tar_len),
            (bytes.len() as u64, bytes.len() as u64)
        );
    }

    #[test]
    fn volumes_are_not_written_to_a_pipe() {
        let mut sample = sample();
        sample.plan.volume_size = Some(1 << 30);
        let (written, bytes) = write_to_end(&sample);
        assert!(matches!(written, Err(BundleError::StreamedVolumes)));
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_a_pipe_got_before_a_damaged_blob_is_no_bundle() {
        let mut sample = sample();
        let last = sample
            .blobs
            .iter()
            .position(|(_, range)| range.len == 700_000);
        sample.blobs[last.unwrap()].1.offset += 1;
        let (written, bytes) = write_to_end(&sample);
        assert!(written.unwrap_err().is_content());
        let mut blobs = Blobs::default();
        let from = (Path::new("-"), &Trust::default());
        assert!(read_stream(&bytes[..], from, BlobCheck::Sink, &mut blobs).is_err());
    }

    #[test]
    fn every_blob_byte_is_reported_once() {
        let sample = sample();
        let expected: u64 = sample.plan.blobs.iter().map(|blob| blob.size).sum();
        for compression in [Compression::Raw, ZSTD] {
            let n = AtomicU64::new(0);
            let options = WriteOptions {
                output: &sample.path("b"),
                compression,
                jobs: 3,
                durability: Durability::Deferred,
                only_volume: None,
                knowledge: &NoKnowledge,
                on_bytes: &|len| {
                    n.fetch_add(len, Ordering::Relaxed);
                    ControlFlow::Continue(())
                },
            };
            let open = |digest: &Digest| Ok::<_, BundleError>(sample.open(digest).into());
            write(sample.plan.lay_out().unwrap(), &open, &options).unwrap();
            assert_eq!(n.into_inner(), expected);
        }
    }

    #[test]
    fn a_damaged_blob_ends_the_pack_and_leaves_nothing() {
        for compression in [Compression::Raw, ZSTD] {
            // One that is hashed in passing, and one that is hashed at once.
            for len in [700_000, 12] {
                let sample = sample();
                let mut bytes = sample.read("blobs");
                let mut blobs = sample.blobs.iter();
                let (digest, range) = blobs.find(|(_, range)| range.len == len).unwrap().clone();
                bytes[usize::try_from(range.offset).unwrap() + 5] ^= 1;
                // The same inode, which the sample has open.
                let mut file = TempFile::create_in(sample.dir.path(), "x").unwrap();
                file.write_all(&bytes).unwrap();
                let sample = reopened(sample, file);
                let error = sample.try_write("b.tar", compression, 2).unwrap_err();
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("blob `{digest}` is damaged")),
                    "{text}"
                );
                assert!(error.is_content());
                let names = fsx::read_dir_names(sample.dir.path()).unwrap();
                assert_eq!(names, ["blobs"]);
            }
        }
    }

    /// The sample, with its blobs read from `file` from now on.
    fn reopened(mut sample: Sample, file: TempFile) -> Sample {
        let path = sample.path("blobs");
        file.persist(&path, fsx::Durability::Deferred).unwrap();
        let file = std::sync::Arc::new(fsx::open(&path).unwrap());
        for (_, range) in &mut sample.blobs {
            range.file = std::sync::Arc::clone(&file);
        }
        sample
    }

    #[test]
    fn a_blob_of_another_length_ends_the_pack() {
        let mut sample = sample();
        sample.blobs[0].1.len += 1;
        let error = sample.try_write("b.tar", Compression::Raw, 2).unwrap_err();
        assert!(matches!(error, BundleError::BlobLength { .. }), "{error}");
        // A file that is cut short after it was looked at.
        sample.plan.blobs[0].size = 10_000_000;
        sample.blobs[0].1.len = 10_000_000;
        let error = sample.try_write("b.tar", Compression::Raw, 2).unwrap_err();
        assert!(matches!(error, BundleError::BlobLength { .. }), "{error}");
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut PackPlan), expect: &str) {
            let mut sample = sample();
            change(&mut sample.plan);
            let error = sample.try_write("b.tar", Compression::Raw, 2).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(expect), "{text}");
        }
        check(
            |plan| plan.name = String::new(),
            "bundle has a name that is empty",
        );
        check(
            |plan| plan.name = "\u{1b}[2J".into(),
            "bundle has a name that is",
        );
        check(
            |plan| plan.images.push(plan.images[0].clone()),
            "listed twice",
        );
        check(
            |plan| plan.blobs.push(plan.blobs[0].clone()),
            "listed twice",
        );
        check(
            |plan| plan.files.push(plan.files[0].clone()),
            "it is there twice",
        );
        check(
            |plan| plan.images[0].manifests.clear(),
            "as the last of its manifests",
        );
        check(|plan| drop(plan.blobs.pop()), "which is not in the bundle");
        check(
            |plan| {
                let digest = Digest::of(b"alone");
                let (size, is_manifest) = (5, false);
                plan.blobs.push(PackBlob {
                    digest,
                    size,
                    is_manifest,
                });
            },
            "belongs to no image",
        );
        check(
            |plan| {
                let mut twin = plan.images[0].clone();
                let mut other = plan.images[1].clone();
                twin.repository = other.repository.clone();
                other.tag = twin.tag.clone();
                plan.images = vec![twin, other];
            },
            "has a tag that means two digests",
        );
        for path in ["hod/bundle.json", "docker/x", "hod", "README.txt/x"] {
            let path: super::super::EntryPath = path.parse().unwrap();
            check(|plan| plan.files[0].path = path, "its path is reserved");
        }
    }

    #[test]
    fn long_names_and_other_algorithms_survive() {
        let mut sample = sample();
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(110));
        sample.plan.images[0].repository = long.parse().unwrap();
        let mut hasher = DigestHasher::new(crate::oci::Algorithm::Sha512);
        hasher.update(&noise(2, 5000));
        let digest = hasher.finish();
        let old = Digest::of(&noise(2, 5000));
        let at = sample.blobs.iter().position(|(d, _)| *d == old).unwrap();
        sample.blobs[at].0 = digest.clone();
        sample.plan.blobs[at].digest = digest.clone();
        for known in sample
            .plan
            .images
            .iter_mut()
            .flat_map(|image| &mut image.blobs)
        {
            if *known == old {
                *known = digest.clone();
            }
        }
        let bytes = sample.write("b.tar", Compression::Raw);
        let members = members(&bytes);
        let hex = digest.hex();
        let path = format!("docker/registry/v2/blobs/sha512/{}/{hex}/data", &hex[..2]);
        let (_, offset, content) = members.iter().find(|(p, ..)| *p == path).unwrap();
        assert_eq!((offset % 4096, content.len()), (0, 5000));
        assert!(members.iter().any(|(path, ..)| path.contains(&long)));
        Bundle::open(&sample.path("b.tar"), &ReadOptions::default())
            .unwrap()
            .check_all_but_blobs()
            .unwrap();
    }

    #[test]
    fn what_is_written_verifies_and_opens() {
        let sample = sample();
        sample.write("b.tar", Compression::Raw);
        sample.write("b.tar.zst", ZSTD);
        for (name, kind) in [("b.tar", BundleKind::Raw), ("b.tar.zst", BundleKind::Zstd)] {
            let path = sample.path(name);
            assert_eq!(Bundle::detect(&path).unwrap(), Some(kind));
            let verify_options = VerifyOptions {
                read: &ReadOptions::default(),
                jobs: 2,
                on_bytes: &|_| {},
            };
            let outcome = verify(&path, &verify_options).unwrap();
            assert_eq!(outcome.problems, [""; 0]);
            assert_eq!(
                (outcome.n_blobs, outcome.n_images),
                (sample.plan.blobs.len(), 2)
            );
        }
        assert_eq!(Bundle::detect(&sample.path("blobs")).unwrap(), None);
        assert_eq!(Bundle::detect(sample.dir.path()).unwrap(), None);
        let error = Bundle::open(&sample.path("b.tar.zst"), &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, BundleError::Compressed { .. }), "{error}");
        let bundle = Bundle::open(&sample.path("b.tar"), &ReadOptions::default()).unwrap();
        for blob in &sample.plan.blobs {
            let [range] = &bundle.open_blob(&blob.digest).unwrap()[..] else {
                panic!("a blob of one volume is whole");
            };
            let len = usize::try_from(range.len).unwrap();
            let bytes = fsx::read_range(&range.file, &range.path, range.offset, len).unwrap();
            assert!(blob.digest.matches(&bytes));
            let manifest = bundle.read_manifest(&blob.digest).unwrap();
            assert_eq!(manifest.is_some(), blob.is_manifest);
        }
        assert!(bundle.open_blob(&Digest::of(b"other")).is_none());
    }
}
