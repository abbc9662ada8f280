//! What is left behind, as notes.

use super::super::Context;
use crate::oci::sum_len;
use crate::report::amount::{format_count, format_len};
use crate::transfer::Resolved;

/// Says of an image's foreign layers that they are left where they are.
pub(super) fn foreign_note(image: &Resolved) -> String {
    let n = image.foreign.len();
    let len = sum_len(image.foreign.iter().map(|layer| layer.size));
    format!(
        "{}: not carried: {} of {}, which the target must get from the URLs in the manifest",
        image.wanted.name,
        format_count(n, "foreign layer"),
        format_len(len),
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
