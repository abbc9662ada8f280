//! How much data a run moved.

use serde::Serialize;

use crate::cli::ui::Totals;

/// The amounts of data that a run moved.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Amounts {
    moved_bytes: u64,
    linked_bytes: u64,
    mounted_bytes: u64,
    present_bytes: u64,
    retries: usize,
    /// Of the whole run.
    pub(super) seconds: f64,
}

impl From<Totals> for Amounts {
    fn from(totals: Totals) -> Self {
        Self {
            moved_bytes: totals.fresh_len(),
            linked_bytes: totals.linked_len,
            mounted_bytes: totals.mounted_len,
            present_bytes: totals.present_len,
            retries: totals.n_retries,
            seconds: totals.elapsed.as_secs_f64(),
        }
    }
}
