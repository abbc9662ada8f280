//! What is left behind, as notes.

use super::super::Context;
use hod_oci::sum_len;
use hod_report::amount::{format_count, format_len};
use hod_transfer::{Resolved, Source};

/// Says of an image's foreign layers that they are not carried, and how they can be.
pub(super) fn foreign_note(source: &dyn Source, image: &Resolved) -> String {
    let n = image.foreign.len();
    let len = sum_len(image.foreign.iter().map(|layer| layer.size));
    format!(
        "{}: {} ({}) {} not carried, and the target must get {} from the URLs in the manifest; {}",
        image.wanted.name,
        format_count(n, "foreign layer"),
        format_len(len),
        if n == 1 { "is" } else { "are" },
        if n == 1 { "it" } else { "them" },
        if source.is_remote() {
            "`--foreign-layers` fetches foreign layers"
        } else {
            "`hod pull --foreign-layers` fetches foreign layers into a store"
        }
    )
}

/// Says how many images left referrers behind with their index, and how many attestations indexes.
pub(super) fn note_left(cx: &Context, n_unsigned: usize, n_attestations: usize) {
    if n_unsigned > 0 {
        cx.note(&format!(
            "{}: signatures and the like are about the index, which was not carried as it is, \
             and were left behind; `--platform all` carries both",
            format_count(n_unsigned, "image"),
        ));
    }
    if n_attestations > 0 {
        cx.note(&format!(
            "{} left out of indexes, which have new digests (`--no-referrers`)",
            format_count(n_attestations, "attestation"),
        ));
    }
}
