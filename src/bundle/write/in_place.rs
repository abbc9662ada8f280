//! Writing a bundle at known offsets: all of its volumes at once, each byte once.
//!
//! What a volume holds of blobs goes to its place first, whichever thread has time; the digests of
//! parts are known by then, and with them the head of every volume, which is written last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::cache::CopyContext;
use super::copy::{BlobTarget, Copier, Cursor, PartId, Slot};
use super::options::WriteOptions;
use super::planned::{Planned, PlannedFile};
use super::replace::{Finished, replace};
use crate::error::BundleError;
use crate::format::BundleManifest;
use crate::format::volume::Content;
use crate::format::volume_name::volume_path;
use crate::hashing::BUFFER_LEN;
use crate::read::{Bundle, ReadOptions};
use hod_fsx::{FileRange, OutputFile, TempFile};
use hod_oci::Digest;

/// A volume that is being written.
#[derive(Debug)]
struct Output {
    /// The index of the volume.
    at: usize,
    path: PathBuf,
    file: OutputFile,
}

/// The volumes that are being written: all, or the requested one.
#[derive(Debug)]
pub(crate) struct InPlace {
    outputs: Vec<Output>,
    /// The destinations of the configs and layers.
    places: HashMap<Digest, BlobTarget>,
    /// The digests of the parts so far.
    parts: Mutex<HashMap<PartId, Digest>>,
}

impl InPlace {
    /// Creates the files and reserves their space.
    pub(crate) fn create(planned: &Planned, options: &WriteOptions) -> Result<Self, BundleError> {
        let mut outputs = Vec::new();
        for PlannedFile { at, path, len } in planned.files(&options.output, options.only_volume)? {
            let file = OutputFile::create(&path).and_then(|file| {
                // The padding is not written below and reads as zeros.
                file.shared().allocate(len)?;
                Ok(file)
            });
            let file = file.map_err(|source| options.write_error(source))?;
            outputs.push(Output { at, path, file });
        }
        Ok(Self {
            places: places(planned, &outputs),
            outputs,
            parts: Mutex::default(),
        })
    }

    /// Returns whether the blob is written, or hashed because it is in parts.
    pub(crate) fn needs(&self, digest: &Digest) -> bool {
        self.places.contains_key(digest)
    }

    fn copier<'a>(&'a self, options: &'a WriteOptions) -> Copier<'a> {
        let outputs = self.outputs.iter();
        Copier {
            outputs: outputs.map(|output| output.file.shared()).collect(),
            options,
            parts: &self.parts,
        }
    }

    /// Copies a blob to its destination.
    pub(crate) fn put(
        &self,
        options: &WriteOptions,
        digest: &Digest,
        range: &FileRange,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        match self.places.get(digest) {
            Some(place) => self.copier(options).put(digest, place, range, context),
            None => Ok(()),
        }
    }

    /// Writes the next bytes of a blob.
    pub(crate) fn write(
        &self,
        options: &WriteOptions,
        digest: &Digest,
        cursor: &mut Cursor,
        bytes: &[u8],
    ) -> Result<(), BundleError> {
        match self.places.get(digest) {
            Some(place) => self.copier(options).write(place, cursor, bytes),
            None => Ok(()),
        }
    }

    /// Copies the files that are not in memory to their offsets, one by one.
    pub(crate) fn put_files(
        &self,
        planned: &Planned,
        options: &WriteOptions,
        context: &CopyContext<'_>,
    ) -> Result<(), BundleError> {
        let copier = self.copier(options);
        for (output, Output { at, .. }) in self.outputs.iter().enumerate() {
            for member in planned.volumes[*at].members() {
                let Some(file) = planned.file_to_read(member) else {
                    continue;
                };
                let place = BlobTarget {
                    len: member.len,
                    slots: vec![Slot {
                        len: member.len,
                        to: Some((output, member.offset)),
                        part: None,
                    }],
                };
                let mut cursor = Cursor::new();
                file.read(options, |bytes| {
                    copier.write(&place, &mut cursor, bytes)?;
                    context.report(bytes.len() as u64)
                })?;
            }
        }
        Ok(())
    }

    /// Writes everything except blobs and files; returns the paths and lengths of the volumes.
    ///
    /// The volumes are renamed into place when all are complete, the first volume last, since
    /// readers start with it. Existing volumes stay until then; see [`replace`]. After a kill,
    /// temporary files remain, which the next run removes.
    pub(crate) fn finish(
        self,
        planned: &mut Planned,
        options: &WriteOptions,
        context: &CopyContext<'_>,
    ) -> Result<Vec<(PathBuf, u64)>, BundleError> {
        let wrap = |source| options.write_error(source);
        if planned.has_parts() {
            let parts = self.parts.into_inner();
            let parts = parts.expect("no thread panics with the lock");
            planned.set_part_digests(|at, number| parts[&(at, number)].clone())?;
        }
        planned.sign()?;
        if options.only_volume.is_some() {
            check_siblings(planned, &self.outputs, options)?;
        }
        let mut files = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            write_the_rest(planned, output.at, output.file.shared()).map_err(wrap)?;
            files.push((output.path.clone(), planned.volumes[output.at].len()));
        }
        context.report(planned.manifests_len())?;
        let finished = self.outputs.into_iter().map(|output| Finished {
            path: output.path,
            file: output.file,
        });
        replace(finished.collect(), options.durability).map_err(wrap)?;
        Ok(files)
    }
}

/// Returns the destinations of the configs and layers that are in one of the outputs. Blobs in
/// parts are always included, since the head of every volume contains the digests of parts.
fn places(planned: &Planned, outputs: &[Output]) -> HashMap<Digest, BlobTarget> {
    let mut places: HashMap<Digest, BlobTarget> = HashMap::new();
    for (at, volume) in planned.volumes.iter().enumerate() {
        let output = outputs.iter().position(|output| output.at == at);
        for member in volume.members() {
            let (blob, part) = match member.content {
                Content::Blob(blob) if output.is_some() => (blob, None),
                Content::Part(blob, number) => (blob, Some((blob, number))),
                _ => continue,
            };
            let blob = &planned.manifest.blobs[blob];
            if blob.is_manifest {
                continue;
            }
            let place = places
                .entry(blob.digest.clone())
                .or_insert_with(|| BlobTarget {
                    len: blob.size,
                    slots: Vec::new(),
                });
            place.slots.push(Slot {
                len: member.len,
                to: output.map(|output| (output, member.offset)),
                part,
            });
        }
    }
    places
}

/// Fails if there are volumes of another bundle in the same place.
fn check_siblings(
    planned: &Planned,
    outputs: &[Output],
    options: &WriteOptions,
) -> Result<(), BundleError> {
    let manifest = &planned.manifest;
    for volume in &planned.volumes {
        let path = volume_path(&options.output, volume.index(), manifest.n_volumes);
        let is_own = outputs.iter().any(|output| output.path == path);
        if is_own || !exists(&path, options)? {
            continue;
        }
        let other = Bundle::open(&path, &ReadOptions::default())?;
        if other.manifest().id != manifest.id {
            return Err(BundleError::OtherSibling {
                path,
                expected: manifest.id.clone(),
                actual: other.manifest().id.clone(),
                what: difference(other.manifest(), manifest),
            });
        }
    }
    Ok(())
}

fn exists(path: &Path, options: &WriteOptions) -> Result<bool, BundleError> {
    let stat = hod_fsx::try_stat(path).map_err(|source| options.write_error(source))?;
    Ok(stat.is_some())
}

/// Returns a short description of how two bundles differ.
fn difference(there: &BundleManifest, here: &BundleManifest) -> &'static str {
    let places = |manifest: &BundleManifest| {
        let blobs = manifest.blobs.iter();
        blobs.map(|blob| blob.place.clone()).collect::<Vec<_>>()
    };
    let digests = |manifest: &BundleManifest| {
        let blobs = manifest.blobs.iter();
        blobs.map(|blob| blob.digest.clone()).collect::<Vec<_>>()
    };
    if there.tool_version != here.tool_version {
        "the version of hod"
    } else if (&there.name, &there.version) != (&here.name, &here.version) {
        "the name or version"
    } else if there.created != here.created {
        "the time (SOURCE_DATE_EPOCH)"
    } else if digests(there) != digests(here) {
        "the images"
    } else if there.n_volumes != here.n_volumes || places(there) != places(here) {
        "the size of the volumes"
    } else {
        "files or tags"
    }
}

/// Writes the members that are in memory.
fn write_the_rest(planned: &Planned, at: usize, output: &TempFile) -> Result<(), hod_fsx::Error> {
    let mut gather = Gather {
        output,
        offset: 0,
        bytes: Vec::new(),
    };
    let volume = &planned.volumes[at];
    let volume_json = Digest::of(&planned.volume_jsons[at]);
    for member in volume.members() {
        let lead = volume.lead(member, &volume_json);
        gather.put(member.lead_offset, &lead)?;
        gather.put(member.offset, planned.content(at, member))?;
    }
    gather.flush()
}

/// Joins adjacent members into one write: there may be thousands of links.
struct Gather<'a> {
    output: &'a TempFile,
    offset: u64,
    bytes: Vec<u8>,
}

impl Gather<'_> {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), hod_fsx::Error> {
        let end = self.offset + self.bytes.len() as u64;
        match usize::try_from(offset - end) {
            // The padding of a block is between them.
            Ok(gap) if gap < 512 && self.bytes.len() < BUFFER_LEN => {
                self.bytes.resize(self.bytes.len() + gap, 0);
            }
            _ => {
                self.flush()?;
                self.offset = offset;
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), hod_fsx::Error> {
        self.output.write_all_at(&self.bytes, self.offset)?;
        self.bytes.clear();
        Ok(())
    }
}
