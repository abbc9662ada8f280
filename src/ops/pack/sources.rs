//! Where what is packed comes from.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::batch::Batch;
use super::super::copy::files_besides;
use super::super::{Context, OpsError};
use super::{PackOptions, Reading};
use crate::bridge::FileRange;
use crate::bundle::{self, Pieces};
use crate::fsx;
use crate::layout::LayoutError;
use crate::oci::{Digest, MediaTypeKind, ReferrerTagKind};
use crate::report::amount::format_count;
use crate::transfer::{ReadOrder, Referrer, Source, TransferError};

/// Maximum number of files named that are not packed.
const NAMES_SHOWN_MAX: usize = 5;

/// Whether the blobs of a source can be read at any time: offsets are planned, and blobs written
/// in parallel.
pub(super) fn is_in_place(source: &dyn Source) -> bool {
    source.caps().order == ReadOrder::Any
        && (source.as_store().is_some()
            || source.as_bundle().is_some()
            || source.as_collection().is_some())
}

/// Warns of parts of a bundle that are not packed again: its signature, unless the new bundle is
/// signed too, and the user's files in it, which are returned.
pub(super) fn warn_of_rest(
    cx: &Context,
    source: &dyn Source,
    options: &PackOptions,
) -> Vec<String> {
    let Some(document) = source.document() else {
        return Vec::new();
    };
    let path = options.source.display();
    if document.signed_by.is_some() && options.signer.is_none() {
        cx.warn(&format!(
            "`{path}` is signed, and the new bundle is not: a site that requires a signature will \
             refuse it. Sign it with `--sign KEY`"
        ));
    }
    let left = files_besides(source);
    if !left.is_empty() {
        cx.warn(&format!(
            "{} that `{path}` carries besides images {} not packed: {}. Carry {} with `--file`",
            format_count(left.len(), "file"),
            if left.len() == 1 { "is" } else { "are" },
            shown(&left),
            if left.len() == 1 { "it" } else { "them" },
        ));
    }
    left
}

/// The first names, and how many there are besides.
fn shown(names: &[String]) -> String {
    let first = &names[..names.len().min(NAMES_SHOWN_MAX)];
    match names.len() - first.len() {
        0 => first.join(", "),
        n => format!("{} and {n} more", first.join(", ")),
    }
}

/// The places of manifests that are made here and so are not among the source's blobs: indexes of
/// referrers, indexes of fewer platforms, and all manifests of a format that has none.
pub(super) type Made = HashMap<Digest, FileRange>;

pub(super) fn made_manifests(batch: &Batch, source: &dyn Source) -> Result<Made, OpsError> {
    let referrers = batch.plan.images.iter().flat_map(|image| &image.referrers);
    let indexes = referrers.filter(|referrer| referrer.kind == ReferrerTagKind::Index);
    let mut bytes = Vec::new();
    let mut places: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
    let of_format = source.as_collection();
    let of_format = of_format.map(|collection| collection.made_manifests().cloned());
    let rewritten = batch
        .plan
        .images
        .iter()
        .filter(|image| image.original.is_some());
    let rewritten = rewritten.flat_map(|image| &image.manifests);
    let rewritten =
        rewritten.filter(|manifest| manifest.media_type().kind() == MediaTypeKind::Index);
    for made in indexes
        .map(Referrer::top)
        .chain(rewritten.cloned())
        .chain(of_format.into_iter().flatten())
    {
        let (offset, len) = (bytes.len() as u64, made.bytes().len() as u64);
        if let std::collections::btree_map::Entry::Vacant(new) = places.entry(made.digest().clone())
        {
            new.insert((offset, len));
            bytes.extend_from_slice(made.bytes());
        }
    }
    if places.is_empty() {
        return Ok(Made::new());
    }
    let file = Arc::new(fsx::memory_file(&bytes)?);
    let range = |(offset, len)| FileRange {
        file: Arc::clone(&file),
        path: PathBuf::from("manifests made for the bundle"),
        offset,
        len,
    };
    let places = places.into_iter();
    Ok(places
        .map(|(digest, place)| (digest, range(place)))
        .collect())
}

/// The source's knowledge about its blobs.
pub(super) struct Known<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) reading: Reading,
}

impl bundle::Knowledge for Known<'_> {
    fn is_verified(&self, digest: &Digest, blob: &FileRange) -> bool {
        match self.source.as_store() {
            Some(store) if self.reading == Reading::Unverified => store.is_verified(digest, blob),
            _ => false,
        }
    }

    fn note_verified(&self, digest: &Digest, blob: &FileRange) {
        if let Some(store) = self.source.as_store() {
            store.note_verified(digest, blob);
        }
    }

    fn note_damaged(&self, blob: &FileRange) {
        if let Some(store) = self.source.as_store() {
            store.note_damaged(blob);
        }
    }
}

/// Opens a blob that is to be packed.
pub(super) fn open(source: &dyn Source, made: &Made, digest: &Digest) -> Result<Pieces, OpsError> {
    if let Some(range) = made.get(digest) {
        return Ok(range.clone().into());
    }
    let pieces = if let Some(store) = source.as_store() {
        store.open_blob(digest)?.map(Pieces::of_store)
    } else if let Some(bundle) = source.as_bundle() {
        bundle.open_blob(digest).map(Pieces::of_bundle)
    } else if let Some(collection) = source.as_collection() {
        let range = collection.open_blob(digest).map_err(LayoutError::from)?;
        range.map(Pieces::from)
    } else {
        None
    };
    let digest = digest.clone();
    pieces.ok_or_else(|| TransferError::BlobAbsent { digest }.into())
}
