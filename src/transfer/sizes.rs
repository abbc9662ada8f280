//! Compares the sizes that manifests state for a blob with each other and with the bytes.
//!
//! Statements about one digest come from many manifests. An image that contradicts itself or its
//! source fails alone, and its statements are not used for other images: [`super::Plan`] keeps
//! blobs of one digest and different sizes apart.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::{Placed, Resolved, SizeClaim, Source, TransferError};
use hod_oci::{Descriptor, Digest, Manifest};

/// The statement of one manifest about a blob.
#[derive(Clone, Copy)]
struct Said<'a> {
    by: &'a Digest,
    size: u64,
}

/// Refuses an image that states two sizes of one blob, or another size than its source has.
///
/// A blob that the source lacks or that is in a registry is not compared here; its reader compares
/// it.
pub(super) async fn check(source: &dyn Source, image: &Resolved) -> Result<(), TransferError> {
    let said = collect(image)?;
    if source.is_remote() {
        return Ok(());
    }
    let blobs: Vec<Placed> = image
        .all_blobs()
        .map(|(blob, locations)| {
            let location = locations.first().unwrap_or(&image.location);
            (location.clone(), blob.digest.clone())
        })
        .collect();
    let lens = source.blob_lens(blobs.clone()).await?;
    for ((_, digest), len) in blobs.iter().zip(lens) {
        if let (Some(actual), Some(said)) = (len, said.get(digest)) {
            said.compare(digest, actual)?;
        }
    }
    Ok(())
}

/// The statements of an image's manifests about each digest, if they agree.
fn collect(image: &Resolved) -> Result<HashMap<&Digest, Said<'_>>, TransferError> {
    let lens: HashMap<&Digest, u64> = image
        .all_manifests()
        .map(|manifest| (manifest.digest(), manifest.bytes().len() as u64))
        .collect();
    let mut said: HashMap<&Digest, Said<'_>> = HashMap::new();
    for manifest in image.all_manifests() {
        for descriptor in described(manifest) {
            let (digest, by) = (&descriptor.digest, manifest.digest());
            let size = descriptor.size;
            let new = Said { by, size };
            if let Some(&actual) = lens.get(digest) {
                new.compare(digest, actual)?;
            }
            match said.entry(digest) {
                Entry::Vacant(place) => drop(place.insert(new)),
                Entry::Occupied(old) if old.get().size == size => {}
                Entry::Occupied(old) => {
                    let old = old.get();
                    return Err(TransferError::SizesDiffer {
                        digest: digest.clone(),
                        first: Box::new((old.by.clone(), old.size)),
                        second: Box::new((by.clone(), size)),
                    });
                }
            }
        }
    }
    Ok(said)
}

/// All that a manifest describes.
fn described(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest.children().iter().chain(manifest.blobs())
}

impl Said<'_> {
    fn compare(self, digest: &Digest, actual: u64) -> Result<(), TransferError> {
        if self.size == actual {
            return Ok(());
        }
        Err(TransferError::BlobLength {
            digest: digest.clone(),
            claim: SizeClaim::Manifest(self.by.clone()),
            expected: self.size,
            actual,
        })
    }
}

/// The error of one of many images that wait for a blob: if its length is wrong, the manifest that
/// states it is named.
pub(super) fn of_image(
    image: &Resolved,
    blob: &Descriptor,
    error: &Arc<TransferError>,
) -> Arc<TransferError> {
    let says = |manifest: &&Manifest| {
        let mut blobs = described(manifest);
        blobs.any(|other| other.digest == blob.digest && other.size == blob.size)
    };
    match image.all_manifests().find(says) {
        Some(manifest) if error.is_wrong_length() => Arc::new(TransferError::WrongSize {
            manifest: manifest.digest().clone(),
            digest: blob.digest.clone(),
            expected: blob.size,
            source: Arc::clone(error),
        }),
        _ => Arc::clone(error),
    }
}
