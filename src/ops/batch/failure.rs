//! The image at which an all-or-nothing verb broke off.

use std::sync::Arc;

use hod_transfer::TransferError;

/// The image at which an all-or-nothing verb broke off.
#[derive(Debug, thiserror::Error)]
#[error("image `{image}` failed, so nothing was done")]
pub struct BatchFailure {
    pub image: String,
    #[source]
    pub error: Arc<TransferError>,
}
