//! Notes about foreign layers and referrers that are not carried.

use super::super::Context;
use hod_oci::sum_len;
use hod_report::amount::{format_count, format_len};
use hod_transfer::{Resolved, Source};

/// Returns the note that foreign layers of an image are not carried, and how to carry them.
pub(super) fn foreign_note(source: &dyn Source, image: &Resolved) -> String {
    let n = image.foreign.len();
    let len = sum_len(image.foreign.iter().map(|layer| layer.size));
    format!(
        "{}: left out {} ({}), which the target must fetch from the URLs in the manifest; {}",
        image.wanted.name,
        format_count(n, "foreign layer"),
        format_len(len),
        if source.is_remote() {
            "`--foreign-layers` carries foreign layers"
        } else {
            "`hod pull --foreign-layers` pulls foreign layers into a store"
        }
    )
}

/// Notes the number of images whose index referrers are not carried, and of attestations that are left
/// out of indexes.
pub(super) fn note_left(cx: &Context, n_unsigned: usize, n_attestations: usize) {
    if n_unsigned > 0 {
        cx.note(&format!(
            "{}: left out the referrers of the index, because the index is not carried unchanged; \
             `--platform all` carries both",
            format_count(n_unsigned, "image"),
        ));
    }
    if n_attestations > 0 {
        cx.note(&format!(
            "left {} out of indexes, which have new digests (`--no-referrers`)",
            format_count(n_attestations, "attestation"),
        ));
    }
}
