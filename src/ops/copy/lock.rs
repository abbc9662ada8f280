//! The lock: a list that results in the same bytes again, regardless of flags.

use std::path::Path;

use crate::batch::Batch;
use crate::input::OpenInput;
use crate::{Context, OpsError};
use hod_list::{IndexChoice, LineOptions, ListEntry, ListLine};
use hod_oci::{Descriptor, Digest, Manifest, ManifestBody, PlatformChoice};
use hod_report::amount::format_count;
use hod_transfer::{IndexMode, Location, Resolved};

/// Writes the pulled images as a list: each line has the registry, the digest and everything that
/// determines what is carried.
pub(super) fn write(
    cx: &Context,
    path: &Path,
    input: &OpenInput<'_>,
    batch: &Batch,
) -> Result<(), OpsError> {
    let done = batch.done();
    let locked = done.filter_map(|(at, image)| Some(lock(input.entry(at)?, image)));
    let locked: Vec<ListLine> = locked.map(ListLine::Image).collect();
    let n_missing = batch.len() - locked.len();
    if n_missing > 0 {
        cx.warn(&format!(
            "`{}` lacks {}, which failed",
            path.display(),
            format_count(n_missing, "image")
        ));
    }
    let text = hod_list::write_lines(&locked);
    Ok(hod_fsx::ResultFile::create(path)?.write(text.as_bytes())?)
}

fn lock(entry: &ListEntry, image: &Resolved) -> ListEntry {
    let (digest, index, platforms) = pin(image);
    let mut locked = match &image.location {
        Location::Repo(repo) => entry.pinned(&repo.registry, &repo.name, digest),
        Location::Pool | Location::Layout(_) => entry.clone(),
    };
    let mut layers = image.manifests.iter().flat_map(Manifest::blobs);
    let has_foreign = layers.any(Descriptor::is_foreign);
    locked.options = LineOptions {
        platforms: Some(platforms.clone()),
        index,
        referrers: Some(image.wanted.referrers),
        foreign_layers: has_foreign.then_some(image.wanted.foreign_layers),
    };
    locked
}

/// The digest that the registry can serve, the treatment of an index, and the carried platforms.
fn pin(image: &Resolved) -> (&Digest, Option<IndexChoice>, &PlatformChoice) {
    let (top, wanted) = (image.top(), &image.wanted);
    if matches!(top.body(), ManifestBody::Image(_)) {
        return (top.digest(), None, &wanted.platforms);
    }
    match &image.original {
        // There was nothing to rewrite.
        None if wanted.index_mode == IndexMode::Rewrite => (
            top.digest(),
            Some(IndexChoice::Rewrite(Some(top.digest().clone()))),
            &wanted.platforms,
        ),
        None => (top.digest(), Some(IndexChoice::Keep), &wanted.platforms),
        // An index that an index lists for one platform is carried whole.
        Some(_) if is_one(&wanted.platforms) && wanted.index_mode == IndexMode::Fitting => {
            (top.digest(), Some(IndexChoice::Keep), &PlatformChoice::All)
        }
        Some(original) => (
            original,
            Some(IndexChoice::Rewrite(Some(top.digest().clone()))),
            &wanted.platforms,
        ),
    }
}

fn is_one(platforms: &PlatformChoice) -> bool {
    matches!(platforms, PlatformChoice::These(platforms) if platforms.len() == 1)
}
