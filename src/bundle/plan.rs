//! What to pack, and where every byte of it will lie.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::check::{blob_key, check, image_key};
use super::copy;
use super::error::BundleError;
use super::format::{
    BaseBlob, BundleBlob, BundleFileEntry, BundleImage, BundleManifest, Origin, Place,
};
use super::hashing::{Unread, read_through};
use super::json::{self, HeadDigests};
use super::siblings::volume_path;
use super::sign::{SIGNATURE_LEN, Signer};
use super::split;
use super::volume::{Content, HeadLens, Volume};
use super::writer::WriteOptions;
use hod_fsx::FileRange;
use hod_oci::{Digest, sum_len};
use hod_tarball::{ALIGNMENT, BLOCK_LEN, EntryPath};

/// Maximum number of rounds until the lengths of the json files, which depend on each other (mostly
/// by digits of offsets), are stable.
const ROUNDS_MAX: usize = 64;
/// Number of rounds in which they may also become smaller.
const ROUNDS_FREE: usize = 8;

/// The content of a bundle; equal plans make equal bytes, regardless of the order of their lists.
#[derive(Debug, Clone)]
pub struct PackPlan {
    pub name: String,
    pub version: Option<String>,
    pub images: Vec<BundleImage>,
    /// Every manifest of the images, and every config and layer that is not in the base, each once.
    pub blobs: Vec<PackBlob>,
    pub files: Vec<BundleFile>,
    /// Who had what is in the base.
    pub origins: Vec<Origin>,
    /// Blobs that the target must have already.
    pub base: Vec<BaseBlob>,
    /// Maximum size of a volume in bytes; `None` for one volume of any length.
    pub volume_size: Option<u64>,
    /// The time of every member, in seconds since 1970.
    pub mtime: u64,
    /// The version of hod that packs.
    pub tool_version: String,
    /// The signer, if the bundle is to be signed.
    pub signer: Option<Signer>,
}

/// A blob that is to be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackBlob {
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Whether an image has it as a manifest, not as a config or layer.
    pub is_manifest: bool,
}

/// A file, other than a blob, that goes into a bundle.
#[derive(Debug, Clone)]
pub struct BundleFile {
    pub path: EntryPath,
    pub content: FileContent,
    pub executable: bool,
    /// Whether every volume has it, as small texts for people should be, or one.
    pub is_everywhere: bool,
}

/// The content of a [`BundleFile`].
#[derive(Debug, Clone)]
pub enum FileContent {
    Bytes(Vec<u8>),
    /// Part of an open bundle, which must have this digest.
    Range(FileRange, Digest),
    /// A file that is opened when its turn comes, since a process can have few open at a time.
    Path {
        path: PathBuf,
        /// Its length and digest when it was looked at; another file is refused.
        len: u64,
        digest: Digest,
    },
}

impl FileContent {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range(range, _) => range.len,
            Self::Path { len, .. } => *len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Range(_, digest) | Self::Path { digest, .. } => digest.clone(),
        }
    }

    /// Reads what is not in memory, and hands it to `take`; refuses a file that has changed since
    /// it was looked at.
    pub(super) fn read(
        &self,
        options: &WriteOptions,
        take: impl FnMut(&[u8]) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let (Some(range), digest) = (self.open()?, self.digest()) else {
            return Ok(());
        };
        let changed = || BundleError::FileChanged {
            path: range.path.clone(),
        };
        if range.len != self.len() {
            return Err(changed());
        }
        let unread = |unread| match unread {
            Unread::Read(source) => BundleError::ReadFile {
                path: range.path.clone(),
                source,
            },
            Unread::Ends(_) => changed(),
            Unread::Thread(source) => options.thread_error(source),
        };
        match read_through(&range, Some(digest.algorithm()), unread, take)? {
            Some(actual) if actual != digest => Err(changed()),
            _ => Ok(()),
        }
    }

    /// Opens what is not in memory. A file is as long as it is now.
    pub(super) fn open(&self) -> Result<Option<FileRange>, BundleError> {
        match self {
            Self::Bytes(_) => Ok(None),
            Self::Range(range, _) => Ok(Some(range.clone())),
            Self::Path { path, .. } => {
                let opened = hod_fsx::open(path).and_then(|file| {
                    let len = hod_fsx::len_of(&file, path)?;
                    Ok((file, len))
                });
                let (file, len) = opened.map_err(|source| BundleError::ReadFile {
                    path: path.clone(),
                    source,
                })?;
                Ok(Some(FileRange {
                    file: Arc::new(file),
                    path: path.clone(),
                    offset: 0,
                    len,
                }))
            }
        }
    }
}

/// A bundle of which every byte is known but the blobs', and where it lies: see
/// [`PackPlan::lay_out`].
#[derive(Debug)]
pub struct Planned {
    pub(super) manifest: BundleManifest,
    pub(super) volumes: Vec<Volume>,
    /// Of each volume.
    pub(super) volume_jsons: Vec<Vec<u8>>,
    pub(super) bundle_json: Vec<u8>,
    /// Empty until it is signed: see [`Planned::sign`].
    pub(super) signature: Vec<u8>,
    /// In the order of the manifest's files.
    pub(super) files: Vec<FileContent>,
    /// The bytes of the manifests: see [`Planned::with_manifests`].
    pub(super) manifests: HashMap<Digest, Bytes>,
    /// Whether it is one of volumes, be it the only one.
    pub(super) is_divided: bool,
    signer: Option<Signer>,
}

/// Something that is copied into a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyItem {
    /// A config or layer.
    Blob(Digest),
    /// A position in the files that go with the images.
    File(usize),
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// The position of its volume, counted from 0.
    pub at: usize,
    pub path: PathBuf,
    /// In bytes, before any compression.
    pub len: u64,
}

impl PackPlan {
    /// Sorts and checks the plan, divides it into volumes, and computes every offset.
    ///
    /// No blob is read: the digests of parts are not known yet and are zeros until the bundle is
    /// written.
    pub fn lay_out(&self) -> Result<Planned, BundleError> {
        let (mut manifest, files) = self.sorted();
        split::assign_to_one(&mut manifest);
        check(&manifest)?;
        let planned = Planned::new(manifest, files, self)?;
        let Some(volume_size) = self.volume_size else {
            return Ok(planned);
        };
        let single = &planned.volumes[0];
        if single.len() <= volume_size {
            return Ok(planned);
        }
        match self.divide(&planned, volume_size) {
            Err(BundleError::VolumeTooSmall { size, .. }) => Err(BundleError::VolumeTooSmall {
                size,
                needed: self.size_needed(&planned, size)?,
            }),
            divided => divided,
        }
    }

    /// Divides what `planned` has in one volume.
    fn divide(&self, planned: &Planned, volume_size: u64) -> Result<Planned, BundleError> {
        let single = &planned.volumes[0];
        // The lengths of the json files depend on the division. Start from their lengths in one
        // volume, which are nearly right, and increase them when they turn out too small.
        let mut common = single.common_len(&planned.manifest);
        for _ in 0..ROUNDS_MAX {
            let mut manifest = planned.manifest.clone();
            split::assign(&mut manifest, single, (volume_size, common))?;
            let divided = Planned::new(manifest, planned.files.clone(), self)?;
            let largest = divided.volumes.iter().map(Volume::len).max();
            let excess = largest.unwrap_or_default().saturating_sub(volume_size);
            if excess == 0 {
                check(&divided.manifest)?;
                return Ok(divided);
            }
            common += excess.next_multiple_of(ALIGNMENT);
        }
        Err(BundleError::TooLarge)
    }

    /// A size of volumes that is large enough where `too_small` is not, while one block less is not
    /// enough either.
    fn size_needed(&self, planned: &Planned, too_small: u64) -> Result<u64, BundleError> {
        // One volume is.
        let whole = planned.volumes[0].len();
        let (mut fails, mut works) = (too_small / BLOCK_LEN, too_small / BLOCK_LEN + 1);
        while works * BLOCK_LEN < whole {
            let step = match self.divide(planned, works * BLOCK_LEN) {
                Ok(_) => break,
                Err(BundleError::VolumeTooSmall { needed, .. }) => {
                    (needed / BLOCK_LEN).saturating_sub(works)
                }
                Err(BundleError::TooManyVolumes { .. } | BundleError::TooLarge) => works,
                Err(error) => return Err(error),
            };
            fails = works;
            works += step.max(1);
        }
        while works - fails > 1 {
            let middle = fails + (works - fails) / 2;
            let is_enough =
                middle * BLOCK_LEN >= whole || self.divide(planned, middle * BLOCK_LEN).is_ok();
            if is_enough {
                works = middle;
            } else {
                fails = middle;
            }
        }
        Ok(works * BLOCK_LEN)
    }

    fn sorted(&self) -> (BundleManifest, Vec<FileContent>) {
        let mut images = self.images.clone();
        images.sort_by(|a, b| image_key(a).cmp(&image_key(b)));
        let blob = |blob: &PackBlob| BundleBlob {
            digest: blob.digest.clone(),
            size: blob.size,
            is_manifest: blob.is_manifest,
            place: Place::Everywhere,
        };
        let mut blobs: Vec<BundleBlob> = self.blobs.iter().map(blob).collect();
        blobs.sort_by(|a, b| blob_key(a).cmp(&blob_key(b)));
        let mut base = self.base.clone();
        base.sort_by(|a, b| a.digest.cmp(&b.digest));
        let mut files: Vec<&BundleFile> = self.files.iter().collect();
        files.sort_by_key(|file| file.path.as_str());
        let file = |file: &&BundleFile| BundleFileEntry {
            path: file.path.clone(),
            size: file.content.len(),
            digest: file.content.digest(),
            executable: file.executable,
            volume: (!file.is_everywhere).then_some(1),
        };
        let manifest = BundleManifest {
            // Filled in when all else is known.
            id: Digest::of(&[]),
            name: self.name.clone(),
            version: self.version.clone(),
            tool_version: self.tool_version.clone(),
            created: self.mtime,
            n_volumes: 1,
            signed_by: self.signer.as_ref().map(Signer::key_id),
            images,
            blobs,
            files: files.iter().map(file).collect(),
            origins: self.origins.clone(),
            base,
        };
        let files = files.iter().map(|file| file.content.clone()).collect();
        (manifest, files)
    }
}

impl Planned {
    /// Adds the bytes of the manifests, all of which it must have before it is written.
    #[must_use]
    pub fn with_manifests(mut self, manifests: impl IntoIterator<Item = (Digest, Bytes)>) -> Self {
        self.manifests.extend(manifests);
        self
    }

    /// Refuses a manifest whose bytes are missing, or are not what its digest says.
    pub(super) fn require_manifests(&self) -> Result<(), BundleError> {
        for blob in self.manifest.blobs.iter().filter(|blob| blob.is_manifest) {
            let digest = blob.digest.clone();
            let bytes = self.manifests.get(&digest).map_or(&[][..], Bytes::as_ref);
            copy::check_len(&digest, blob.size, bytes.len() as u64)?;
            if !digest.matches(bytes) {
                let actual = Digest::of(bytes);
                return Err(BundleError::BlobDamaged { digest, actual });
            }
        }
        Ok(())
    }

    /// The bytes of all manifests.
    pub(super) fn manifests_len(&self) -> u64 {
        let manifests = self.manifest.blobs.iter().filter(|blob| blob.is_manifest);
        sum_len(manifests.map(|blob| blob.size))
    }

    /// The length of each volume in bytes, before any compression.
    pub fn lens(&self) -> Vec<u64> {
        self.volumes.iter().map(Volume::len).collect()
    }

    /// The files that writing to `output` makes, of them the one of `only_volume` where that is
    /// given: each with the position of its volume, and its length in bytes before any compression.
    pub fn files(
        &self,
        output: &Path,
        only_volume: Option<u32>,
    ) -> Result<Vec<PlannedFile>, BundleError> {
        let n_volumes = self.manifest.n_volumes;
        if let Some(index) = only_volume
            && (!self.is_divided || !(1..=n_volumes).contains(&index))
        {
            return Err(BundleError::NoSuchVolume { index, n_volumes });
        }
        let volumes = self.volumes.iter().enumerate();
        let wanted = volumes.filter(|(_, v)| only_volume.is_none_or(|only| only == v.index()));
        let file = |(at, volume): (usize, &Volume)| PlannedFile {
            at,
            path: if self.is_divided {
                volume_path(output, volume.index(), n_volumes)
            } else {
                output.to_owned()
            },
            len: volume.len(),
        };
        Ok(wanted.map(file).collect())
    }

    /// All that is copied into the volumes, or into the one of `only_volume`, and its length; of a
    /// blob in parts all are read.
    pub fn to_copy(&self, only_volume: Option<u32>) -> Vec<(CopyItem, u64)> {
        let mut items = Vec::new();
        for volume in &self.volumes {
            let is_wanted = only_volume.is_none_or(|only| only == volume.index());
            for member in volume.members() {
                let item = match member.content {
                    Content::Blob(at) if is_wanted && !self.manifest.blobs[at].is_manifest => {
                        CopyItem::Blob(self.manifest.blobs[at].digest.clone())
                    }
                    Content::Part(at, 0) => {
                        let blob = &self.manifest.blobs[at];
                        items.push((CopyItem::Blob(blob.digest.clone()), blob.size));
                        continue;
                    }
                    Content::File(at, _) if is_wanted && self.file_to_read(member).is_some() => {
                        CopyItem::File(at)
                    }
                    _ => continue,
                };
                items.push((item, member.len));
            }
        }
        items
    }

    /// Refuses a bundle that is divided, where it is to be written from start to end: what the head
    /// of a volume says of parts is known when all is read.
    pub fn require_one_stream(&self) -> Result<(), BundleError> {
        if self.is_divided {
            return Err(BundleError::StreamedVolumes);
        }
        Ok(())
    }

    /// All that the bundle says of itself; the digests of parts are not known yet, nor its id where
    /// there are parts.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// Computes every offset of what `plan` asks for, divided into volumes already.
    fn new(
        mut manifest: BundleManifest,
        files: Vec<FileContent>,
        plan: &PackPlan,
    ) -> Result<Self, BundleError> {
        // The offsets in the json files depend on how long these are, and these on the offsets.
        let mut lens = HeadLens::default();
        for round in 0..ROUNDS_MAX {
            let volumes: Vec<Volume> = (1..=manifest.n_volumes)
                .map(|index| Volume::new(&manifest, index, lens))
                .collect::<Result<_, _>>()?;
            // A longer file may make an offset smaller, where the padding before a blob cannot have
            // just any length. Then they would change each other for ever, and may only grow.
            let len_min = if round < ROUNDS_FREE {
                HeadLens::default()
            } else {
                lens
            };
            let (id, bundle_json) = json::render_bundle(&manifest, &volumes, len_min.bundle_json)?;
            manifest.id = id;
            let known = HeadDigests::unsigned(&bundle_json);
            let volume_jsons = render_volumes(&manifest, &volumes, (&known, len_min.volume_json))?;
            let now = HeadLens {
                volume_json: volume_jsons[0].len() as u64,
                bundle_json: bundle_json.len() as u64,
                signature: manifest.signed_by.map_or(0, |_| SIGNATURE_LEN),
            };
            if now == lens {
                return Ok(Self {
                    manifest,
                    volumes,
                    volume_jsons,
                    bundle_json,
                    signature: Vec::new(),
                    files,
                    manifests: HashMap::new(),
                    is_divided: plan.volume_size.is_some(),
                    signer: plan.signer.clone(),
                });
            }
            lens = now;
        }
        Err(BundleError::TooLarge)
    }

    /// Whether a blob is in parts, whose digests are to be set before the json files are final.
    pub(super) fn has_parts(&self) -> bool {
        let mut blobs = self.manifest.blobs.iter();
        blobs.any(|blob| !blob.parts().is_empty())
    }

    /// Makes the json files final; `digest` gives that of a part, by the positions of its blob and
    /// of the part. No offset changes by it.
    pub(super) fn set_part_digests(
        &mut self,
        digest: impl Fn(usize, usize) -> Digest,
    ) -> Result<(), BundleError> {
        for (at, blob) in self.manifest.blobs.iter_mut().enumerate() {
            if let Place::Parts(parts) = &mut blob.place {
                for (number, part) in parts.iter_mut().enumerate() {
                    part.digest = digest(at, number);
                }
            }
        }
        let len = self.bundle_json.len() as u64;
        let (id, bundle_json) = json::render_bundle(&self.manifest, &self.volumes, len)?;
        self.manifest.id = id;
        self.bundle_json = bundle_json;
        self.render_volumes(&HeadDigests::unsigned(&self.bundle_json))
    }

    /// Signs the json file, which must be final, where there is somebody to sign. No offset changes
    /// by it. Blocks with a helper.
    pub(super) fn sign(&mut self) -> Result<(), BundleError> {
        let Some(signer) = &self.signer else {
            return Ok(());
        };
        self.signature = signer.sign(&self.bundle_json, &self.manifest.id)?;
        let known = HeadDigests::of(&self.bundle_json, Some(&self.signature));
        self.render_volumes(&known)
    }

    fn render_volumes(&mut self, known: &HeadDigests) -> Result<(), BundleError> {
        let len = self.volume_jsons[0].len() as u64;
        self.volume_jsons = render_volumes(&self.manifest, &self.volumes, (known, len))?;
        Ok(())
    }
}

/// The `hod/volume.json` of every volume, all of the same length.
fn render_volumes(
    manifest: &BundleManifest,
    volumes: &[Volume],
    (known, len_min): (&HeadDigests, u64),
) -> Result<Vec<Vec<u8>>, BundleError> {
    let volumes = volumes.iter();
    let mut jsons: Vec<Vec<u8>> = volumes
        .map(|volume| json::render_volume(manifest, volume, (known, len_min)))
        .collect::<Result<_, _>>()?;
    let longest = jsons.iter().map(Vec::len).max().unwrap_or_default();
    for bytes in &mut jsons {
        json::pad(bytes, longest as u64);
    }
    Ok(jsons)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::ControlFlow;
    use std::sync::Mutex;

    use super::super::json::Offsets;
    use super::super::sample::{Sample, sample};
    use super::super::writer::Compression;
    use super::super::{BundleWriter, Knowledge, Putting};
    use super::*;
    use hod_oci::MediaType;

    /// A plan of `n` artifacts of two small blobs.
    fn plan(n: usize, name_len: usize) -> PackPlan {
        let digest = |kind: &str, at: usize| Digest::of(format!("{kind}{at}").as_bytes());
        let blob = |kind: &str, at: usize| PackBlob {
            digest: digest(kind, at),
            size: 300,
            is_manifest: kind == "manifest",
        };
        let image = |at: usize| BundleImage {
            repository: format!("app/a{at}").parse().expect("a name"),
            tag: Some("1".parse().expect("a tag")),
            digest: digest("manifest", at),
            media_type: MediaType::new(MediaType::OCI_MANIFEST),
            manifests: vec![digest("manifest", at)],
            platforms: Vec::new(),
            blobs: vec![digest("config", at), digest("layer", at)],
        };
        let kinds = ["manifest", "config", "layer"];
        PackPlan {
            name: "x".repeat(name_len),
            version: None,
            images: (0..n).map(image).collect(),
            blobs: kinds
                .iter()
                .flat_map(|kind| (0..n).map(|at| blob(kind, at)))
                .collect(),
            files: Vec::new(),
            origins: Vec::new(),
            base: Vec::new(),
            volume_size: None,
            mtime: 0,
            tool_version: "1".to_owned(),
            signer: None,
        }
    }

    #[test]
    fn every_plan_can_be_laid_out() {
        let mut n_padded = 0;
        for n in [1, 7] {
            for name_len in 1..256 {
                let planned = plan(n, name_len).lay_out();
                let planned = planned.expect("it has a layout");
                let (read, offsets) = json::parse_bundle(&planned.bundle_json).expect("it reads");
                assert_eq!(read.id, planned.manifest.id);
                assert_eq!(Offsets::of(&read, &planned.volumes), offsets);
                json::parse_volume_identity(&planned.volume_jsons[0]).expect("it reads");
                n_padded += usize::from(planned.bundle_json.ends_with(b" "));
            }
        }
        // Those that had no end of changing each other.
        assert!(n_padded > 0, "the test meets what it is about");
    }

    /// A plan to carry a file in a bundle, and the file's path and text.
    fn with_file(text: &str) -> (Sample, PathBuf) {
        let mut sample = sample();
        let path = sample.path("file");
        let content = FileContent::Path {
            path: path.clone(),
            len: text.len() as u64,
            digest: Digest::of(text.as_bytes()),
        };
        sample.plan.files.push(BundleFile {
            path: "charts/chart".parse().unwrap(),
            content,
            executable: false,
            is_everywhere: false,
        });
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
        (sample, path)
    }

    /// Whether it is longer, shorter, or just other bytes.
    #[test]
    fn a_file_that_changed_since_it_was_looked_at_is_refused() {
        for (before, after) in [("chart", "charts"), ("chart", "char"), ("chart", "trash")] {
            for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
                let (sample, path) = with_file(before);
                sample.try_write("a.tar", compression, 2).unwrap();
                hod_fsx::write_file(&path, after.as_bytes()).unwrap();
                let error = sample.try_write("b.tar", compression, 2).unwrap_err();
                let is_seen =
                    matches!(&error, BundleError::FileChanged { path: at } if *at == path);
                assert!(is_seen, "{after}: {error}");
                assert!(hod_fsx::try_stat(&sample.path("b.tar")).unwrap().is_none());
            }
        }
    }

    /// A directory may be as long as the file was.
    #[test]
    fn a_file_that_is_none_any_more_is_named() {
        let dir_len = |sample: &Sample| {
            hod_fsx::create_dir_all(&sample.path("dir")).unwrap();
            usize::try_from(hod_fsx::stat(&sample.path("dir")).unwrap().len).unwrap()
        };
        let (other, _) = with_file("chart");
        for (len, becomes_dir) in [(5, false), (5, true), (dir_len(&other), true)] {
            for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
                let (sample, path) = with_file(&"x".repeat(len));
                hod_fsx::remove_file(&path).unwrap();
                if becomes_dir {
                    hod_fsx::create_dir_all(&path).unwrap();
                }
                let error = sample.try_write("a.tar", compression, 2).unwrap_err();
                let is_named = match &error {
                    BundleError::ReadFile { path: at, .. } => *at == path,
                    BundleError::FileChanged { path: at } => becomes_dir && *at == path,
                    _ => false,
                };
                assert!(is_named, "{len} {becomes_dir}: {error:?}");
            }
        }
    }

    /// Hears which files are asked for and noted.
    #[derive(Default)]
    struct Heard(Mutex<BTreeSet<PathBuf>>);

    impl Heard {
        fn note(&self, blob: &FileRange) {
            self.0.lock().unwrap().insert(blob.path.clone());
        }
    }

    impl Knowledge for Heard {
        fn is_verified(&self, _: &Digest, blob: &FileRange) -> bool {
            self.note(blob);
            false
        }

        fn note_verified(&self, _: &Digest, blob: &FileRange) {
            self.note(blob);
        }

        fn note_damaged(&self, blob: &FileRange) {
            self.note(blob);
        }
    }

    /// Right or wrong, and long enough for it.
    #[test]
    fn nothing_is_noted_of_the_users_files() {
        for compression in [Compression::Raw, Compression::Zstd { level: 1 }] {
            let (sample, path) = with_file(&"x".repeat(1 << 20));
            let heard = Heard::default();
            let write = || {
                let putting = Putting {
                    knowledge: &heard,
                    on_bytes: &|_| ControlFlow::Continue(()),
                };
                let options = sample.options("a.tar", (compression, 2));
                sample.put_all(
                    BundleWriter::create(sample.planned().unwrap(), options),
                    &putting,
                )
            };
            write().unwrap();
            hod_fsx::write_file(&path, "y".repeat(1 << 20).as_bytes()).unwrap();
            write().unwrap_err();
            let heard = heard.0.lock().unwrap();
            let blobs = BTreeSet::from([sample.path("blobs")]);
            assert_eq!(*heard, blobs, "and not `{}`", path.display());
        }
    }
}
