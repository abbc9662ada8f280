//! What is particular to one format of images for other tools.

use std::path::Path;

use async_trait::async_trait;

use super::fill::Filler;
use crate::fsx;
use crate::ops::batch::Batch;
use crate::ops::input::OpenInput;
use crate::ops::{Context, OpsError};
use crate::transfer::{Plan, Source};

/// A format of images for other tools.
#[async_trait(?Send)]
pub trait LayoutFormat: std::fmt::Debug + Send + Sync {
    /// Whether it is one file, in which all images become visible together.
    fn is_archive(&self) -> bool {
        false
    }

    /// Refuses an input that it cannot be filled from.
    #[expect(private_interfaces, reason = "only copy calls it")]
    fn accept(&self, _: &OpenInput<'_>) -> Result<(), OpsError> {
        Ok(())
    }

    /// Refuses a path where something is that the format does not add to.
    fn require_free(&self, cx: &Context, path: &Path) -> Result<(), OpsError>;

    /// Refuses a path where this user can create nothing, or not replace what is there.
    fn require_writable(&self, path: &Path) -> Result<(), fsx::Error>;

    /// Takes out the images that it cannot hold, and says which tools cannot read the others. Refuses
    /// images of which none can be written.
    #[expect(private_interfaces, reason = "only copy calls it")]
    async fn look(
        &self,
        cx: &Context,
        from_to: (&dyn Source, &Path),
        batch: &mut Batch,
    ) -> Result<Box<dyn Filler>, OpsError>;

    /// How many bytes it takes of a disk with these images, as copies; `mtime` is the time of every
    /// member of an archive.
    fn len(&self, plan: &Plan, _mtime: u64) -> u64 {
        plan.len()
    }
}
