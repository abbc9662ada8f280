//! Writing a bundle at known offsets: all of its volumes at once, each byte once.
//!
//! What a volume holds of blobs goes to its place first, whichever thread has time; the digests of
//! parts are known by then, and with them the head of every volume, which is written last.

use std::path::{Path, PathBuf};

use super::copy::{self, Part, Place, Work};
use super::error::BundleError;
use super::hashing::BUFFER_LEN;
use super::plan::{Planned, PlannedFile};
use super::reader::{Bundle, ReadOptions};
use super::replace::{Finished, replace};
use super::siblings::volume_path;
use super::volume::Content;
use super::writer::{OpenBlob, WriteOptions};
use crate::fsx::{self, OutputFile, TempFile};
use crate::oci::Digest;

/// A volume that is being written.
struct Output {
    /// Its position among the volumes.
    at: usize,
    path: PathBuf,
    file: OutputFile,
}

/// Writes all volumes, or the requested one; returns their paths and lengths.
///
/// They are renamed into place when all of them are complete, the first one last: without it a
/// reader cannot start. Older ones stay until then; see [`replace`]. A kill leaves files under
/// other names, which the next run removes.
pub(super) fn write<E: From<BundleError> + Send>(
    planned: &mut Planned,
    open: &OpenBlob<'_, E>,
    options: &WriteOptions<'_>,
) -> Result<Vec<(PathBuf, u64)>, E> {
    let wrap = |source| E::from(options.write_error(source));
    let outputs = create(planned, options)?;
    let parts = copy::copy_blobs(works(planned, &outputs), open, options)?;
    if planned.has_parts() {
        planned.set_part_digests(|at, number| parts[&(at, number)].clone())?;
    }
    planned.sign()?;
    if options.only_volume.is_some() {
        check_siblings(planned, &outputs, options)?;
    }
    let mut files = Vec::with_capacity(outputs.len());
    for output in &outputs {
        write_all_but_blobs(planned, output.at, output.file.shared()).map_err(wrap)?;
        files.push((output.path.clone(), planned.volumes[output.at].len()));
    }
    let finished = outputs.into_iter().map(|output| Finished {
        path: output.path,
        file: output.file,
    });
    replace(finished.collect(), options.durability).map_err(wrap)?;
    Ok(files)
}

/// The files that are to be written, with room reserved.
fn create(planned: &Planned, options: &WriteOptions<'_>) -> Result<Vec<Output>, BundleError> {
    let mut outputs = Vec::new();
    for PlannedFile { at, path, len } in planned.files(options.output, options.only_volume)? {
        let file = OutputFile::create(&path).and_then(|file| {
            // The padding is not written below and reads as zeros.
            file.shared().allocate(len)?;
            Ok(file)
        });
        let file = file.map_err(|source| options.write_error(source))?;
        outputs.push(Output { at, path, file });
    }
    Ok(outputs)
}

/// All that is to be copied, in any order. The parts of a blob are hashed, wherever they go: the
/// head of every volume names them.
fn works<'a>(planned: &'a Planned, outputs: &'a [Output]) -> Vec<Work<'a>> {
    let mut works = Vec::new();
    for (at, volume) in planned.volumes.iter().enumerate() {
        let output = outputs.iter().find(|output| output.at == at);
        let output = output.map(|output| output.file.shared());
        for member in volume.members() {
            if let Content::Part(blob, number) = member.content {
                let whole = &planned.manifest.blobs[blob];
                let before = whole.parts()[..number].iter().map(|part| part.size);
                let place = Place {
                    digest: &whole.digest,
                    len: whole.size,
                    offset: member.offset,
                    content: None,
                };
                let part = Part {
                    id: (blob, number),
                    start: before.sum(),
                    len: member.len,
                };
                if number == 0 {
                    // A separate work item verifies the whole blob.
                    works.push(Work {
                        place,
                        output: None,
                        part: None,
                        is_sample: false,
                    });
                }
                works.push(Work {
                    place,
                    output,
                    part: Some(part),
                    is_sample: false,
                });
            }
            if let (Some(_), Some(place)) = (output, planned.place(member)) {
                works.push(Work {
                    place,
                    output,
                    part: None,
                    is_sample: false,
                });
            }
        }
    }
    works
}

/// Refuses to write a volume next to those of another bundle.
fn check_siblings(
    planned: &Planned,
    outputs: &[Output],
    options: &WriteOptions<'_>,
) -> Result<(), BundleError> {
    let manifest = &planned.manifest;
    for volume in &planned.volumes {
        let path = volume_path(options.output, volume.index(), manifest.n_volumes);
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

fn exists(path: &Path, options: &WriteOptions<'_>) -> Result<bool, BundleError> {
    let stat = fsx::try_stat(path).map_err(|source| options.write_error(source))?;
    Ok(stat.is_some())
}

/// A short description of how two bundles differ.
fn difference(
    there: &super::format::BundleManifest,
    here: &super::format::BundleManifest,
) -> &'static str {
    let places = |manifest: &super::format::BundleManifest| {
        let blobs = manifest.blobs.iter();
        blobs.map(|blob| blob.place.clone()).collect::<Vec<_>>()
    };
    let digests = |manifest: &super::format::BundleManifest| {
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

/// Writes what is known from the plan.
fn write_all_but_blobs(planned: &Planned, at: usize, output: &TempFile) -> Result<(), fsx::Error> {
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

/// Puts what lies close together into one write: there may be thousands of links.
struct Gather<'a> {
    output: &'a TempFile,
    offset: u64,
    bytes: Vec<u8>,
}

impl Gather<'_> {
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), fsx::Error> {
        let end = self.offset + self.bytes.len() as u64;
        match usize::try_from(offset - end) {
            // The padding of a block lies between.
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

    fn flush(&mut self) -> Result<(), fsx::Error> {
        self.output.write_all_at(&self.bytes, self.offset)?;
        self.bytes.clear();
        Ok(())
    }
}
