//! A raw bundle that is read in place: any blob, in any order, without unpacking it or joining volumes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::head::{self, Head};
use super::siblings;
use super::volume::{OpenVolume, ReadOptions, open_file};
use crate::error::{BundleError, MemberProblem};
use crate::format::closure;
use crate::format::volume::{Content, Member};
use crate::format::{BundleManifest, Placement};
use crate::sign::Signed;
use hod_fsx::FileRange;
use hod_oci::{Digest, Manifest};
use hod_tarball::{BLOCK, EntryPath, Fault, Input, Mode, Problem};

/// The container format of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// Uncompressed.
    Raw,
    /// A zstd stream.
    Zstd,
}

/// A raw bundle, open for reading: all of its volumes, or some.
///
/// Its list of content is checked; the content itself is not, until it is read and hashed.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    head: Head,
    /// By number, from the first on; `None` for one that was not found.
    volumes: Vec<Option<OpenVolume>>,
    /// From a blob to its position in the manifest.
    blobs: HashMap<Digest, usize>,
    /// The members of each blob, by its index in the manifest: its parts, or one for a whole blob.
    places: Vec<Vec<MemberPlace>>,
}

/// A member that contains a blob or a part of one.
#[derive(Debug, Clone, Copy)]
struct MemberPlace {
    /// The index of the volume.
    volume: usize,
    /// The index of the member in the volume.
    member: usize,
}

impl Bundle {
    /// Returns how the tar at `path` is compressed; [`Bundle::open`] checks whether it is a bundle.
    /// `None` for anything else, such as a directory.
    pub fn detect(path: &Path) -> Result<Option<BundleKind>, BundleError> {
        let stat = hod_fsx::try_stat(path).map_err(|source| read_error(path, source))?;
        if !stat.is_some_and(|stat| stat.is_file) {
            return Ok(None);
        }
        let mut input = Input::open(path, Mode::Strict)?;
        let kind = match input.compression() {
            hod_tarball::Compression::Zstd => BundleKind::Zstd,
            _ => BundleKind::Raw,
        };
        let blocks = match input.peek(head::START_LEN) {
            // A damaged stream may still be meant as a bundle, and opening it says more.
            Err(Fault {
                problem: Problem::Decompress(_),
                ..
            }) => return Ok(Some(kind)),
            blocks => blocks?,
        };
        // One of the two is enough, so that a damaged bundle is still told from other files.
        let first = blocks.get(..BLOCK).unwrap_or_default();
        let is_tar = hod_tarball::is_header(first) || head::names_bundle(&blocks);
        Ok(is_tar.then_some(kind))
    }

    /// Opens a raw bundle by any of its volumes; reads the JSON files of all volumes that are
    /// found, and checks the lengths of the volumes.
    ///
    /// The other volumes are searched in the same directory and in the directories of `options`. A
    /// missing volume is not an error here: see [`Bundle::missing_volumes`].
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, BundleError> {
        let bundle = Self::open_any_len(path, options)?;
        for volume in bundle.volumes() {
            if volume.len() != volume.layout().len() {
                // Says where it goes wrong; the end is wrong in any case.
                bundle.check_volume(volume)?;
            }
        }
        Ok(bundle)
    }

    /// Opens a raw bundle whose volumes may be too short or too long.
    pub(crate) fn open_any_len(path: &Path, options: &ReadOptions) -> Result<Self, BundleError> {
        let range = open_file(path)?;
        let (head, own) = head::read(
            &mut Input::of_range(range.clone(), Mode::Strict),
            &options.trust,
        )?;
        let n_volumes = usize::try_from(head.manifest.n_volumes).expect("at most a few thousand");
        let mut volumes: Vec<Option<OpenVolume>> = Vec::new();
        volumes.resize_with(n_volumes, || None);
        let first = OpenVolume::new(range, own);
        let at = first.position();
        volumes[at] = Some(first);
        if n_volumes > 1 {
            siblings::find(&head, path, options, &mut volumes)?;
        }
        let blobs = head.manifest.blobs.iter().enumerate();
        let blobs = blobs.map(|(at, blob)| (blob.digest.clone(), at)).collect();
        let places = places(&head.manifest, &volumes);
        Ok(Self {
            path: path.to_owned(),
            head,
            volumes,
            blobs,
            places,
        })
    }

    /// The path it was opened at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its description, which includes missing volumes.
    pub fn manifest(&self) -> &BundleManifest {
        &self.head.manifest
    }

    /// Whether it is signed, and whether the signature was checked.
    pub fn signed(&self) -> Signed {
        self.head.signed
    }

    /// The paths of the volumes, by number from the first on; `None` for one that was not found.
    pub fn volume_paths(&self) -> impl Iterator<Item = Option<&Path>> {
        let volumes = self.volumes.iter();
        volumes.map(|volume| volume.as_ref().map(OpenVolume::path))
    }

    /// The numbers of the volumes that were not found, counted from 1.
    pub fn missing_volumes(&self) -> Vec<u32> {
        let volumes = (1..).zip(&self.volumes);
        let missing = volumes.filter(|(_, volume)| volume.is_none());
        missing.map(|(number, _)| number).collect()
    }

    /// Refuses when a volume was not found.
    pub fn require_complete(&self) -> Result<(), BundleError> {
        let missing = self.missing_volumes();
        if missing.is_empty() {
            return Ok(());
        }
        Err(BundleError::VolumesMissing {
            path: self.path.clone(),
            missing,
            count: self.head.manifest.n_volumes,
        })
    }

    /// The ranges of a blob: one, or one for each of its parts; its bytes are not verified. `None`
    /// when the bundle does not contain the blob, or not all of it was found.
    pub fn open_blob(&self, digest: &Digest) -> Option<Vec<FileRange>> {
        let at = *self.blobs.get(digest)?;
        let n_parts = self.head.manifest.blobs[at].parts().len().max(1);
        let places = &self.places[at];
        (places.len() == n_parts).then(|| places.iter().map(|place| self.range(*place)).collect())
    }

    /// The range of a file other than a blob; its bytes are not verified. `None` when the bundle
    /// does not contain it, or its volume was not found.
    pub fn open_file(&self, path: &EntryPath) -> Option<FileRange> {
        let files = &self.head.manifest.files;
        let at = files.iter().position(|file| file.path == *path)?;
        let is_it = |member: &&Member| matches!(member.content, Content::File(of, _) if of == at);
        self.volumes().find_map(|volume| {
            let member = volume.layout().members().iter().find(is_it)?;
            Some(volume.range(member))
        })
    }

    fn range(&self, place: MemberPlace) -> FileRange {
        let (volume, member) = self.member(place);
        volume.range(member)
    }

    fn member(&self, place: MemberPlace) -> (&OpenVolume, &Member) {
        let volume = self.volumes[place.volume].as_ref();
        let volume = volume.expect("places are in volumes that were found");
        (volume, &volume.layout().members()[place.member])
    }

    /// Reads and verifies a manifest; `None` when the bundle does not have it as one.
    pub fn read_manifest(&self, digest: &Digest) -> Result<Option<Manifest>, BundleError> {
        let Some(&at) = self.blobs.get(digest) else {
            return Ok(None);
        };
        let Some(&place) = self.places[at].first() else {
            return Ok(None);
        };
        if !self.head.manifest.blobs[at].is_manifest {
            return Ok(None);
        }
        let (volume, member) = self.member(place);
        let wrap = |error| self.in_file(volume, error);
        let bytes = volume.read_small(member).map_err(wrap)?;
        if !digest.matches(&bytes) {
            let problem = MemberProblem::Digest {
                expected: digest.clone(),
                actual: Digest::of(&bytes),
            };
            return Err(wrap(BundleError::member(&member.path, problem)));
        }
        let mut images = self.head.manifest.images.iter();
        let declared = images.find(|image| image.digest == *digest);
        let declared = declared.map(|image| &image.media_type);
        closure::parse_manifest(digest, bytes, declared).map(Some)
    }

    /// Checks every byte outside of blobs, in all volumes that were found: headers, padding, links,
    /// other files, the end. Refuses members that are not files, not listed, duplicated, or have an
    /// unsafe path.
    pub fn check_all_but_blobs(&self) -> Result<(), BundleError> {
        self.volumes()
            .try_for_each(|volume| self.check_volume(volume))
    }

    /// Adds to an error the volume it occurred in, where there are several.
    pub(crate) fn in_volume(&self, volume: &OpenVolume, error: BundleError) -> BundleError {
        match self.head.manifest.n_volumes {
            1 => error,
            _ => self.in_file(volume, error),
        }
    }

    /// Adds to an error the file it occurred in, even if it is the only one.
    fn in_file(&self, volume: &OpenVolume, error: BundleError) -> BundleError {
        let (path, source) = match error {
            error @ (BundleError::Incomplete { .. } | BundleError::Read { .. }) => return error,
            error => (volume.path().to_owned(), Box::new(error)),
        };
        match self.head.manifest.n_volumes {
            1 => BundleError::InBundle { path, source },
            _ => BundleError::InVolume { path, source },
        }
    }

    fn check_volume(&self, volume: &OpenVolume) -> Result<(), BundleError> {
        let checked = self.check_members(volume);
        checked.map_err(|error| self.in_file(volume, error))
    }

    fn check_members(&self, volume: &OpenVolume) -> Result<(), BundleError> {
        let members = volume.layout().members().iter().enumerate();
        for (at, member) in members.skip(self.head.n_members()) {
            volume.check_member(at)?;
            if !member.is_blob() {
                let content = volume.check_content(member, self.manifest(), |_| ());
                content?;
            }
        }
        volume.check_end()
    }

    /// The volumes that were found, in order.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &OpenVolume> {
        self.volumes.iter().flatten()
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }
}

/// Returns the members of each blob in the volumes that were found; parts in order.
fn places(manifest: &BundleManifest, volumes: &[Option<OpenVolume>]) -> Vec<Vec<MemberPlace>> {
    let mut places: Vec<Vec<MemberPlace>> = vec![Vec::new(); manifest.blobs.len()];
    for (volume, open) in volumes.iter().enumerate() {
        let members = open.iter().flat_map(|open| open.layout().members());
        for (member, Member { content, .. }) in members.enumerate() {
            let (Content::Blob(at) | Content::Part(at, _)) = *content else {
                continue;
            };
            // Every volume has the manifests; one is enough.
            if manifest.blobs[at].place != Placement::Everywhere || places[at].is_empty() {
                places[at].push(MemberPlace { volume, member });
            }
        }
    }
    places
}

fn read_error(path: &Path, source: hod_fsx::Error) -> BundleError {
    BundleError::Read {
        path: path.to_owned(),
        source,
    }
}
