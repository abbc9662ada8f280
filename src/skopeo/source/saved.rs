//! Images in archives of `docker save`, as skopeo reads them: their layers are uncompressed, whatever
//! they are in the archive.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use hod_fsx::FileRange;
use hod_layout::{Collection, CollectionEntry};
use hod_oci::{Descriptor, Digest, ImageManifest, MediaType};
use hod_tarball::decoder;
use hod_transfer::{CollectionSource, Location};

use super::{Held, OpenImage, of_collection};
use crate::archive::{self, Spooled};
use crate::convert::manifest::{self, Kind, image_of};
use crate::failure::{Done, Failure};
use crate::files::{FilePart, Files};
use crate::made::as_saved;
use crate::name::{ArchiveChoice, Named};
use crate::wording;

/// The type that hod gives uncompressed layers of such archives.
const UNPACKED: &str = "application/vnd.docker.image.rootfs.diff.tar";

impl OpenImage {
    /// One image of what `docker save` writes. Blocks.
    pub(super) fn of_saved(
        spooled: Spooled,
        image: &ArchiveChoice,
        tmpdir: Option<&Path>,
    ) -> Done<Self> {
        let collection = open(spooled.path())?;
        let digest = chosen(collection.entries(), image)?;
        let top = collection.read_manifest(&digest);
        let top = top.map_err(|error| of_collection(&error))?;
        let top = top.ok_or_else(|| Failure::new(format!("manifest {digest} not found")))?;
        let mut held = vec![spooled];
        let mut parts = HashMap::new();
        let mut layers = Vec::new();
        let image = image_of(&top)?;
        let diff_ids = diff_ids(&collection, &image.config)?;
        for (layer, diff_id) in image.layers.iter().zip(diff_ids) {
            if layer.media_type.as_str() == UNPACKED {
                layers.push(layer.clone());
                continue;
            }
            let unpacked = unpacked(&collection, layer, tmpdir)?;
            let path = unpacked.path().to_owned();
            let stat = hod_fsx::stat(&path).map_err(|error| wording::of_file(&error))?;
            let media_type = MediaType::new(UNPACKED);
            layers.push(Descriptor::new(media_type, diff_id.clone(), stat.len));
            parts.insert(diff_id, FilePart::File(path));
            held.push(unpacked);
        }
        let image = ImageManifest {
            layers,
            ..image.clone()
        };
        let top = as_saved(&manifest::image(Kind::Schema2, &image)?)?;
        let collection = Arc::new(CollectionSource(Arc::new(collection)));
        Ok(Self {
            source: Arc::new(Files::new(parts).over(collection)),
            location: Location::Pool,
            top,
            registry: None,
            held: Held::Spooled(held),
        })
    }
}

/// What an archive of `docker save` lists. Blocks.
pub(crate) fn entries_of_archive(path: &Path, tmpdir: Option<&Path>) -> Done<Vec<CollectionEntry>> {
    let spooled = archive::plain(path, tmpdir)?;
    Ok(open(spooled.path())?.entries().to_vec())
}

fn open(path: &Path) -> Done<Collection> {
    let opened = Collection::open_saved(path).map_err(|error| of_collection(&error))?;
    opened.ok_or_else(|| Failure::new("Tar manifest.json not found"))
}

/// The manifest of an image in the archive.
fn chosen(entries: &[CollectionEntry], image: &ArchiveChoice) -> Done<Digest> {
    let n = entries.len();
    let found = match image {
        ArchiveChoice::Only if n == 1 => entries.first(),
        ArchiveChoice::Only => {
            return Err(Failure::new(format!(
                "Unexpected tar manifest.json: expected 1 item, got {n}"
            )));
        }
        ArchiveChoice::Named(named) => {
            let is_it = |tag: &String| Named::parse(tag).is_ok_and(|tag| tag == *named);
            let found = entries.iter().find(|entry| entry.names.iter().any(is_it));
            Some(found.ok_or_else(|| {
                Failure::new(format!(
                    "Tag {} not found",
                    hod_gotext::quote(named.to_string())
                ))
            })?)
        }
        ArchiveChoice::At(at) => Some(entries.get(*at).ok_or_else(|| {
            Failure::new(format!(
                "Invalid source index @{at}, only {n} manifest items available"
            ))
        })?),
    };
    let digest = found.and_then(|entry| entry.digest.clone());
    digest.ok_or_else(|| Failure::new("the image in the archive cannot be read"))
}

fn range_of(collection: &Collection, blob: &Descriptor) -> Done<FileRange> {
    let range = collection.open_blob(&blob.digest);
    let range = range.map_err(|error| of_collection(&error))?;
    range.ok_or_else(|| Failure::new(format!("blob {} not found", blob.digest)))
}

/// The digests of the uncompressed layers.
fn diff_ids(collection: &Collection, config: &Descriptor) -> Done<Vec<Digest>> {
    let range = range_of(collection, config)?;
    let len = usize::try_from(range.len).unwrap_or(usize::MAX);
    let bytes = hod_fsx::read_range(&range.file, &range.path, range.offset, len);
    let bytes = bytes.map_err(|error| wording::of_file(&error))?;
    hod_oci::diff_ids(&bytes).map_err(|error| Failure::new(error.to_string()))
}

/// A compressed layer, unpacked into a temporary file. That it has its digest then was seen when the
/// archive was opened, and is seen again when it is copied.
fn unpacked(collection: &Collection, layer: &Descriptor, tmpdir: Option<&Path>) -> Done<Spooled> {
    let range = range_of(collection, layer)?;
    let path = range.path.clone();
    let content = decoder(RangeReader(range));
    let (_, content) = content.map_err(|error| Failure::new(error.to_string()))?;
    archive::as_it_is(content, &path, tmpdir)
}

/// The bytes of a range that have not been read.
struct RangeReader(FileRange);

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let range = &mut self.0;
        let len = usize::try_from(range.len).map_or(buffer.len(), |len| len.min(buffer.len()));
        let n = hod_fsx::read_at(&range.file, &range.path, &mut buffer[..len], range.offset)
            .map_err(io::Error::other)?;
        range.offset += n as u64;
        range.len -= n as u64;
        Ok(n)
    }
}
