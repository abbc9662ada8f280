//! `skopeo delete`

use crate::failure::{Done, Failure};
use crate::name::ImageName;
use crate::source::Opening;

/// Deletes an image of a registry.
pub(crate) async fn run(opening: &Opening<'_>, name: &ImageName) -> Done {
    let _ = opening;
    Err(Failure::new(format!(
        "Deleting images not implemented for {}: images",
        name.transport()
    )))
}
