//! Images of OCI layouts: the entry in `index.json`, and the blobs that nothing else there uses.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hod_gotext::quote;
use hod_oci::{Digest, MANIFEST_LEN_MAX, Manifest, ManifestBody};

use crate::failure::{Done, Failure};
use crate::name::OciChoice;
use crate::oci_index::{Entry, Index};
use crate::wording;

/// The deepest nesting of indexes that is followed.
const DEPTH_MAX: usize = 8;

/// Removes an image from the layout at `path`. Blobs in a shared directory stay: other layouts may
/// use them. Blocks.
pub(super) fn delete(path: &Path, image: &OciChoice, shared: Option<&Path>) -> Done {
    let file = path.join("index.json");
    let bytes = hod_fsx::read(&file, MANIFEST_LEN_MAX).map_err(|e| wording::of_file(&e))?;
    let mut index = Index::parse(&bytes)
        .map_err(|error| Failure::new(format!("parsing {}: {error}", file.display())))?;
    let at = position(&index.manifests, image)?;
    let own = path.join("blobs");
    let blobs = shared.map_or_else(|| own.clone(), Path::to_owned);
    let entry = index.manifests.remove(at);
    let (mut used, mut unused) = (HashSet::new(), HashSet::new());
    collect(&blobs, &entry, &mut unused)?;
    for other in &index.manifests {
        collect(&blobs, other, &mut used)?;
    }
    // First, so that an interrupted run leaves blobs without a use, and not an image without blobs.
    hod_fsx::overwrite(&file, &index.to_line()).map_err(|error| wording::of_file(&error))?;
    for digest in unused.difference(&used) {
        let blob = blob_in(&own, digest);
        let stat = hod_fsx::try_stat(&blob).map_err(|error| wording::of_file(&error))?;
        if stat.is_some() {
            let removed = hod_fsx::remove_file(&blob);
            removed.map_err(|error| wording::of_file_call("remove", &error))?;
        }
    }
    Ok(())
}

/// The entry that a name means.
fn position(entries: &[Entry], image: &OciChoice) -> Done<usize> {
    match image {
        OciChoice::Only if entries.len() == 1 => Ok(0),
        OciChoice::Only => Err(Failure::new("more than one image in oci, choose an image")),
        OciChoice::At(at) if *at < entries.len() => Ok(*at),
        OciChoice::At(at) => Err(Failure::new(format!(
            "index {at} is too large, only {} entries available",
            entries.len()
        ))),
        OciChoice::Named(name) => {
            let found = entries.iter().position(|entry| entry.name() == Some(name));
            found.ok_or_else(|| {
                Failure::not_found(format!("no descriptor found for reference {}", quote(name)))
            })
        }
    }
}

/// Adds all blobs of an entry.
fn collect(blobs: &Path, entry: &Entry, digests: &mut HashSet<Digest>) -> Done {
    let digest = entry.digest.parse::<Digest>();
    let digest = digest.map_err(|error| Failure::new(format!("{}: {error}", entry.digest)))?;
    let mut next = vec![(digest, 0)];
    while let Some((digest, depth)) = next.pop() {
        if depth > DEPTH_MAX {
            return Err(Failure::new("indexes are nested too deeply"));
        }
        if !digests.insert(digest.clone()) {
            continue;
        }
        let path = blob_in(blobs, &digest);
        let bytes = hod_fsx::read(&path, MANIFEST_LEN_MAX).map_err(|e| wording::of_file(&e))?;
        let manifest = Manifest::parse(bytes.into(), None)
            .map_err(|error| Failure::new(format!("parsing {}: {error}", path.display())))?;
        match manifest.body() {
            ManifestBody::Image(image) => {
                digests.insert(image.config.digest.clone());
                digests.extend(image.layers.iter().map(|layer| layer.digest.clone()));
            }
            ManifestBody::Index(_) => {
                let children = manifest.children().iter();
                next.extend(children.map(|child| (child.digest.clone(), depth + 1)));
            }
        }
    }
    Ok(())
}

fn blob_in(blobs: &Path, digest: &Digest) -> PathBuf {
    blobs.join(digest.algorithm().as_str()).join(digest.hex())
}
