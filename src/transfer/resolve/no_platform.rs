//! The error that no platform of an index is wanted.

use std::collections::BTreeSet;

use crate::TransferError;
use hod_oci::Platform;

/// Maximum number of platforms named when the requested one is missing.
pub(super) const SHOWN_MAX: usize = 20;

pub(super) fn no_platform(wanted: &[Platform], offered: &BTreeSet<Platform>) -> TransferError {
    let list = |platforms: &mut dyn ExactSizeIterator<Item = &Platform>| {
        let n = platforms.len();
        let mut texts: Vec<String> = platforms.take(SHOWN_MAX).map(ToString::to_string).collect();
        if n > texts.len() {
            texts.push(format!("and {} more", n - texts.len()));
        }
        if texts.is_empty() {
            "no platforms at all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    TransferError::NoPlatform {
        wanted: list(&mut wanted.iter()),
        offered: list(&mut offered.iter()),
    }
}
