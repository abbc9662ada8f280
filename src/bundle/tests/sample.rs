//! A small bundle for tests: two images that share a layer, one of them behind an index.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::{
    BundleBlob, BundleError, BundleFile, BundleImage, BundleManifest, BundleWriter, Compression,
    CopyContext, FileContent, NoCache, PackBlob, PackPlan, Planned, StreamSink, WriteOptions,
    WriteOutcome,
};
use hod_fsx::{FileRange, TempFile};
use hod_oci::{Digest, MediaType, Platform};

/// Every blob is read, and no event is sent.
pub(crate) const READ_ALL: CopyContext<'_> = CopyContext {
    cache: &NoCache,
    on_bytes: &|_| std::ops::ControlFlow::Continue(()),
};

/// A directory with all blobs in one file, and the plan to pack them.
pub(crate) struct Sample {
    pub(crate) dir: TempDir,
    pub(crate) plan: PackPlan,
    pub(crate) blobs: Vec<(Digest, FileRange)>,
}

/// What a sample is made of.
pub(crate) struct Builder {
    blobs: Vec<(PackBlob, Vec<u8>)>,
    images: Vec<BundleImage>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            blobs: Vec::new(),
            images: Vec::new(),
        }
    }

    /// Adds a blob, once.
    pub(crate) fn blob(&mut self, bytes: &[u8], is_manifest: bool) -> Digest {
        let digest = Digest::of(bytes);
        if !self.blobs.iter().any(|(blob, _)| blob.digest == digest) {
            let blob = PackBlob {
                digest: digest.clone(),
                size: bytes.len() as u64,
                is_manifest,
            };
            self.blobs.push((blob, bytes.to_vec()));
        }
        digest
    }

    /// Adds an image's manifest and blobs; returns the manifest's digest and the blobs'.
    pub(crate) fn manifest(&mut self, config: &[u8], layers: &[&[u8]]) -> (Digest, Vec<Digest>) {
        let descriptor = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            let size = bytes.len();
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        };
        let list: Vec<String> = layers
            .iter()
            .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            MediaType::OCI_MANIFEST,
            descriptor(MediaType::OCI_CONFIG, config),
            list.join(",")
        );
        let digests = std::iter::once(&config)
            .chain(layers)
            .map(|bytes| self.blob(bytes, false))
            .collect();
        (self.blob(manifest.as_bytes(), true), digests)
    }

    /// Adds an image with one manifest.
    pub(crate) fn image(&mut self, name: &str, config: &[u8], layers: &[&[u8]]) {
        let (digest, blobs) = self.manifest(config, layers);
        self.list(name, MediaType::OCI_MANIFEST, vec![digest], blobs);
    }

    /// Lists an image under `repository:tag`, whose top manifest is the last.
    pub(crate) fn list(
        &mut self,
        name: &str,
        media_type: &str,
        manifests: Vec<Digest>,
        blobs: Vec<Digest>,
    ) {
        let (repository, tag) = name.split_once(':').unwrap();
        self.images.push(BundleImage {
            repository: repository.parse().unwrap(),
            tag: Some(tag.parse().unwrap()),
            digest: manifests.last().unwrap().clone(),
            media_type: MediaType::new(media_type),
            manifests,
            platforms: vec![Platform::new("linux", "amd64")],
            blobs,
        });
    }

    pub(crate) fn finish(self) -> Sample {
        let dir = TempDir::new().unwrap();
        let mut temp = TempFile::create_in(dir.path(), "blobs-").unwrap();
        let mut offset = 0;
        let mut places = Vec::new();
        for (blob, bytes) in &self.blobs {
            temp.write_all(bytes).unwrap();
            places.push((blob.digest.clone(), offset, bytes.len() as u64));
            offset += bytes.len() as u64;
        }
        let path = dir.path().join("blobs");
        temp.persist(&path, hod_fsx::Durability::Deferred).unwrap();
        let file = Arc::new(hod_fsx::open(&path).unwrap());
        let range = |(digest, offset, len)| {
            let range = FileRange {
                file: Arc::clone(&file),
                path: path.clone(),
                offset,
                len,
            };
            (digest, range)
        };
        let file = |path: &str, text: &str, executable| BundleFile {
            path: path.parse().unwrap(),
            content: FileContent::Bytes(text.as_bytes().to_vec()),
            executable,
            is_everywhere: true,
        };
        Sample {
            blobs: places.into_iter().map(range).collect(),
            plan: PackPlan {
                name: "sample".to_owned(),
                version: Some("1.0".to_owned()),
                images: self.images,
                blobs: self.blobs.into_iter().map(|(blob, _)| blob).collect(),
                files: vec![
                    file("install.sh", "#!/bin/sh\n", true),
                    file("README.txt", "read me\n", false),
                ],
                origins: Vec::new(),
                base: Vec::new(),
                volume_size: None,
                mtime: 1_600_000_000,
                tool_version: "0.0.0".to_owned(),
                signer: None,
            },
            dir,
        }
    }
}

/// Bytes that do not compress, the same ones for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next)
        .take(len / 8 + 1)
        .flatten()
        .collect();
    bytes.truncate(len);
    bytes
}

/// Two images that share a layer, one of them an index of two.
pub(crate) fn sample() -> Sample {
    let shared = noise(1, 700_000);
    let mut builder = Builder::new();
    builder.image(
        "library/redis:7",
        b"{\"config\":1}",
        &[&shared, b"", &noise(2, 5000)],
    );
    let (amd64, mut blobs) = builder.manifest(b"{\"config\":2}", &[&shared]);
    let (arm64, more) = builder.manifest(b"{\"config\":3}", &[&noise(3, 300_000)]);
    blobs.extend(more);
    let index = index_of(&mut builder, &[&amd64, &arm64]);
    let manifests = vec![amd64, arm64, index];
    builder.list("quay.io/a/b:v1", MediaType::OCI_INDEX, manifests, blobs);
    builder.finish()
}

/// Adds an index of manifests; those that do not exist get the size 7.
pub(crate) fn index_of(builder: &mut Builder, children: &[&Digest]) -> Digest {
    let size = |digest: &Digest| {
        let mut blobs = builder.blobs.iter();
        blobs
            .find(|(blob, _)| blob.digest == *digest)
            .map_or(7, |(blob, _)| blob.size)
    };
    let list: Vec<String> = children
        .iter()
        .map(|digest| {
            let media_type = MediaType::OCI_MANIFEST;
            let size = size(digest);
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        })
        .collect();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
        MediaType::OCI_INDEX,
        list.join(",")
    );
    builder.blob(index.as_bytes(), true)
}

impl Sample {
    pub(crate) fn open(&self, digest: &Digest) -> FileRange {
        let mut blobs = self.blobs.iter();
        let (_, range) = blobs.find(|(known, _)| known == digest).unwrap();
        range.clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn try_write(
        &self,
        name: &str,
        compression: Compression,
        jobs: usize,
    ) -> Result<WriteOutcome, BundleError> {
        let options = self.options(name, (compression, jobs));
        self.put_all(BundleWriter::create(self.planned()?, options), &READ_ALL)
    }

    pub(crate) fn options(&self, name: &str, how: (Compression, usize)) -> WriteOptions {
        WriteOptions {
            output: self.path(name),
            compression: how.0,
            jobs: how.1,
            durability: hod_fsx::Durability::Deferred,
            only_volume: None,
        }
    }

    /// The plan, laid out, with the bytes of the manifests.
    pub(crate) fn planned(&self) -> Result<Planned, BundleError> {
        let manifests = self.plan.blobs.iter().filter(|blob| blob.is_manifest);
        let bytes = |blob: &PackBlob| {
            let FileRange {
                file,
                path,
                offset,
                len,
            } = self.open(&blob.digest);
            let len = usize::try_from(len).unwrap();
            hod_fsx::read_range(&file, &path, offset, len).unwrap()
        };
        let manifests = manifests.map(|blob| (blob.digest.clone(), bytes(blob).into()));
        Ok(self.plan.lay_out()?.with_manifests(manifests))
    }

    /// Puts all blobs and finishes; those that may come in any order come in the opposite one.
    pub(crate) fn put_all(
        &self,
        writer: Result<BundleWriter, BundleError>,
        context: &CopyContext<'_>,
    ) -> Result<WriteOutcome, BundleError> {
        let writer = writer?;
        let blobs = writer.manifest().blobs.iter().rev();
        let any = blobs.filter(|blob| !blob.is_manifest);
        let any = any.map(|blob| &blob.digest).collect();
        for digest in writer.order().unwrap_or(any) {
            writer.put(digest, &self.open(digest), context)?;
        }
        writer.put_files(context)?;
        writer.finish(context)
    }

    pub(crate) fn write(&self, name: &str, compression: Compression) -> Vec<u8> {
        self.try_write(name, compression, 2).unwrap();
        self.read(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        hod_fsx::read(&self.path(name), u64::MAX / 2).unwrap()
    }
}

/// Collects blobs as they come.
#[derive(Default)]
pub(crate) struct Blobs(pub(super) Vec<(Digest, Vec<u8>)>);

impl StreamSink for Blobs {
    type Error = BundleError;

    fn start(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }

    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), BundleError> {
        let mut bytes = Vec::new();
        // The reader remembers why.
        let _ = content.read_to_end(&mut bytes);
        self.0.push((blob.digest.clone(), bytes));
        Ok(())
    }

    fn finish(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }
}
