//! Writing a bundle: raw at known offsets by several threads, or compressed from start to end.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use super::cache::CopyContext;
use super::copy::{self, Cursor};
use super::in_order::InOrder;
use super::in_place::InPlace;
use super::options::{Compression, WriteOptions};
use super::planned::Planned;
use crate::error::BundleError;
use crate::format::BundleManifest;
use crate::format::volume::Volume;
use hod_fsx::FileRange;
use hod_oci::{Digest, Verifier};

/// The result of writing a bundle.
#[derive(Debug, Clone)]
pub struct WriteOutcome {
    pub manifest: BundleManifest,
    /// Its files, and their lengths in bytes.
    pub files: Vec<(PathBuf, u64)>,
    /// The total length of the tars before compression.
    pub tar_len: u64,
}

impl WriteOutcome {
    /// Returns the total length of all files in bytes.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|(_, len)| len).sum()
    }

    /// Returns whether nothing was written, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A bundle that is being written.
///
/// Each config and layer is put once; everything else is in the plan. The files appear only when
/// all are complete, and replace existing ones; the first volume appears last. Equal plans produce
/// equal bytes. All methods block.
#[derive(Debug)]
pub struct BundleWriter {
    planned: Planned,
    options: WriteOptions,
    /// The length of each config and layer.
    lens: HashMap<Digest, u64>,
    output: Output,
}

#[derive(Debug)]
enum Output {
    InPlace(InPlace),
    InOrder(Mutex<InOrder>),
}

/// A blob that comes in chunks: see [`BundleWriter::begin`].
#[derive(Debug)]
pub struct IncomingBlob {
    digest: Digest,
    len: u64,
    done: u64,
    verifier: Verifier,
    cursor: Cursor,
}

impl IncomingBlob {
    /// Returns the number of bytes that were written.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Returns whether it received more bytes than the blob has.
    pub fn is_too_long(&self) -> bool {
        self.done > self.len
    }
}

impl BundleWriter {
    /// Begins to write the bundle to files.
    pub fn create(mut planned: Planned, options: WriteOptions) -> Result<Self, BundleError> {
        planned.require_manifests()?;
        let output = match options.compression {
            Compression::Raw => Output::InPlace(InPlace::create(&planned, &options)?),
            Compression::Zstd { .. } => {
                Output::InOrder(Mutex::new(InOrder::begin(&mut planned, &options, None)?))
            }
        };
        Ok(Self::new(planned, options, output))
    }

    /// Begins to write the bundle to `output` from start to end, as to a pipe.
    ///
    /// After a failure the output is incomplete, and every reader refuses it.
    ///
    /// The option `durability` is ignored.
    pub fn to_stream(
        mut planned: Planned,
        options: WriteOptions,
        output: Box<dyn Write + Send>,
    ) -> Result<Self, BundleError> {
        planned.require_manifests()?;
        let begun = InOrder::begin(&mut planned, &options, Some(output))?;
        Ok(Self::new(
            planned,
            options,
            Output::InOrder(Mutex::new(begun)),
        ))
    }

    fn new(planned: Planned, options: WriteOptions, output: Output) -> Self {
        let blobs = planned.manifest.blobs.iter();
        let blobs = blobs.filter(|blob| !blob.is_manifest);
        Self {
            lens: blobs.map(|blob| (blob.digest.clone(), blob.size)).collect(),
            planned,
            options,
            output,
        }
    }

    /// Returns the description of the bundle; see [`Planned::manifest`].
    pub fn manifest(&self) -> &BundleManifest {
        &self.planned.manifest
    }

    /// Returns the configs and layers in the order in which they must be put; `None` if they can be
    /// put in parallel and in any order.
    pub fn order(&self) -> Option<Vec<&Digest>> {
        if let Output::InPlace(_) = self.output {
            return None;
        }
        let blobs = self.manifest().blobs.iter();
        let blobs = blobs.filter(|blob| !blob.is_manifest);
        Some(blobs.map(|blob| &blob.digest).collect())
    }

    /// Returns whether the blob must be put; `false` if it is only in volumes that are not written.
    pub fn needs(&self, digest: &Digest) -> bool {
        match &self.output {
            Output::InPlace(volumes) => volumes.needs(digest),
            Output::InOrder(_) => true,
        }
    }

    /// Copies a blob from a file, and hashes it unless it was verified before.
    pub fn put(
        &self,
        digest: &Digest,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        copy::check_len(digest, self.len_of(digest), range.len)?;
        let (planned, options) = (&self.planned, &self.options);
        match &self.output {
            Output::InPlace(volumes) => volumes.put(options, digest, range, context),
            Output::InOrder(volume) => {
                let mut volume = volume.lock().expect("no thread panics with the lock");
                volume.advance_to(planned, options, Some(digest), context)?;
                volume.put(options, digest, range, context)
            }
        }
    }

    /// Begins a blob that comes in chunks.
    pub fn begin(
        &self,
        digest: &Digest,
        context: &CopyContext<'_>,
    ) -> Result<IncomingBlob, BundleError> {
        if let Output::InOrder(volume) = &self.output {
            let mut volume = volume.lock().expect("no thread panics with the lock");
            volume.advance_to(&self.planned, &self.options, Some(digest), context)?;
        }
        Ok(IncomingBlob {
            digest: digest.clone(),
            len: self.len_of(digest),
            done: 0,
            verifier: Verifier::from(digest),
            cursor: Cursor::new(),
        })
    }

    /// Writes the next bytes of a blob. Excess bytes are not written, and make
    /// [`BundleWriter::end`] fail.
    pub fn write(
        &self,
        blob: &mut IncomingBlob,
        bytes: &[u8],
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let left = blob.len.saturating_sub(blob.done);
        let n = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let fitting = &bytes[..n];
        blob.verifier.update(fitting)?;
        match &self.output {
            Output::InPlace(volumes) => {
                volumes.write(&self.options, &blob.digest, &mut blob.cursor, fitting)?;
            }
            Output::InOrder(volume) => {
                let mut volume = volume.lock().expect("no thread panics with the lock");
                volume.put_bytes(&self.options, fitting)?;
            }
        }
        blob.done += bytes.len() as u64;
        context.report(fitting.len() as u64)
    }

    /// Ends a blob; fails if it does not match its digest.
    pub fn end(&self, blob: IncomingBlob) -> Result<(), BundleError> {
        copy::check_len(&blob.digest, blob.len, blob.done)?;
        blob.verifier.finish()?;
        if let Output::InOrder(volume) = &self.output {
            let mut volume = volume.lock().expect("no thread panics with the lock");
            volume.pad(&self.options, blob.len)?;
        }
        Ok(())
    }

    /// Copies the files that are not in memory. Does nothing if blobs are put in order, since files
    /// are then written between them.
    pub fn put_files(&self, context: &CopyContext<'_>) -> Result<(), BundleError> {
        match &self.output {
            Output::InPlace(volumes) => volumes.put_files(&self.planned, &self.options, context),
            Output::InOrder(_) => Ok(()),
        }
    }

    /// Writes the rest after every blob and file was put. Signs the bundle if there is a signer.
    pub fn finish(self, context: &CopyContext<'_>) -> Result<WriteOutcome, BundleError> {
        let (mut planned, options) = (self.planned, self.options);
        let files = match self.output {
            Output::InPlace(volumes) => volumes.finish(&mut planned, &options, context)?,
            Output::InOrder(volume) => {
                let volume = volume.into_inner().expect("no thread panics with the lock");
                vec![volume.finish(&planned, &options, context)?]
            }
        };
        Ok(WriteOutcome {
            tar_len: planned.volumes.iter().map(Volume::len).sum(),
            manifest: planned.manifest,
            files,
        })
    }

    fn len_of(&self, digest: &Digest) -> u64 {
        self.lens.get(digest).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use hod_fsx::TempFile;
    use std::io::Read as _;
    use std::ops::ControlFlow;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::tests::sample::{Blobs, READ_ALL, Sample, noise, sample};
    use crate::{
        BlobCheck, Bundle, BundleKind, NoCache, PackBlob, PackPlan, ReadOptions, Trust,
        VerifyOptions, read_stream, verify,
    };
    use hod_oci::DigestHasher;
    use hod_report::{Diagnose as _, ErrorClass};

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

    /// Bytes that are read when they are written.
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn write_to_end(sample: &Sample) -> (Result<WriteOutcome, BundleError>, Vec<u8>) {
        let (options, bytes) = (
            sample.options("-", (Compression::Raw, 2)),
            Shared::default(),
        );
        let planned = sample.planned().unwrap();
        let writer = BundleWriter::to_stream(planned, options, Box::new(bytes.clone()));
        let written = sample.put_all(writer, &READ_ALL);
        let bytes = bytes.0.lock().unwrap().clone();
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
        assert_eq!(written.unwrap_err().diagnose().class, ErrorClass::Verify);
        let mut blobs = Blobs::default();
        let (path, trust) = (Path::new("-"), Trust::default());
        assert!(read_stream(&bytes[..], path, &trust, BlobCheck::Sink, &mut blobs).is_err());
    }

    #[test]
    fn every_blob_byte_is_reported_once() {
        let sample = sample();
        let expected: u64 = sample.plan.blobs.iter().map(|blob| blob.size).sum();
        for compression in [Compression::Raw, ZSTD] {
            let n = AtomicU64::new(0);
            let context = CopyContext {
                cache: &NoCache,
                on_bytes: &|len| {
                    n.fetch_add(len, Ordering::Relaxed);
                    ControlFlow::Continue(())
                },
            };
            let writer = sample.options("b", (compression, 3));
            let writer = BundleWriter::create(sample.planned().unwrap(), writer);
            sample.put_all(writer, &context).unwrap();
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
                assert_eq!(error.diagnose().class, ErrorClass::Verify);
                let names = hod_fsx::read_dir_names(sample.dir.path()).unwrap();
                assert_eq!(names, ["blobs"]);
            }
        }
    }

    /// The sample, with its blobs read from `file` from now on.
    fn reopened(mut sample: Sample, file: TempFile) -> Sample {
        let path = sample.path("blobs");
        file.persist(&path, hod_fsx::Durability::Deferred).unwrap();
        let file = std::sync::Arc::new(hod_fsx::open(&path).unwrap());
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
            "the name of the bundle is empty",
        );
        check(
            |plan| plan.name = "\u{1b}[2J".into(),
            "the name of the bundle is empty",
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
            "it occurs twice",
        );
        check(
            |plan| plan.images[0].manifests.clear(),
            "does not list its own manifest last",
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
            "does not belong to any image",
        );
        check(
            |plan| {
                let mut twin = plan.images[0].clone();
                let mut other = plan.images[1].clone();
                twin.repository = other.repository.clone();
                other.tag = twin.tag.clone();
                plan.images = vec![twin, other];
            },
            "has a tag with two digests",
        );
        for path in ["hod/bundle.json", "docker/x", "hod", "README.txt/x"] {
            let path: crate::EntryPath = path.parse().unwrap();
            check(|plan| plan.files[0].path = path, "its path is reserved");
        }
    }

    #[test]
    fn long_names_and_other_algorithms_survive() {
        let mut sample = sample();
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(110));
        sample.plan.images[0].repository = long.parse().unwrap();
        let mut hasher = DigestHasher::new(hod_oci::Algorithm::Sha512);
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
            let bytes = hod_fsx::read_range(&range.file, &range.path, range.offset, len).unwrap();
            assert!(blob.digest.matches(&bytes));
            let manifest = bundle.read_manifest(&blob.digest).unwrap();
            assert_eq!(manifest.is_some(), blob.is_manifest);
        }
        assert!(bundle.open_blob(&Digest::of(b"other")).is_none());
    }
}
