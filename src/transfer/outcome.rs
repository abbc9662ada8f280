//! The outcomes of images.

use std::sync::Arc;

use super::TransferError;

/// The reaction of a batch to a failed image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    GoOn,
    Stop,
}

impl OnFailure {
    /// That of a verb which is to stop at the first failure, or is not.
    pub fn of(is_to_stop: bool) -> Self {
        if is_to_stop { Self::Stop } else { Self::GoOn }
    }
}

/// The outcome of the image at the same position of the plan.
pub type ImageOutcome = Result<(), Arc<TransferError>>;
