//! Images of a Docker engine, over its API.

use crate::archive::Spooled;
use crate::failure::{Done, Failure};
use crate::name::DaemonImage;
use crate::source::Opening;

/// Has the engine save an image.
pub(crate) async fn save(image: &DaemonImage, opening: &Opening<'_>) -> Done<Spooled> {
    let _ = (image, opening);
    Err(Failure::new("docker-daemon: not yet"))
}
