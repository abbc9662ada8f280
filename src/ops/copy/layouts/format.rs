//! What is particular to one format of images for other tools.

use std::path::Path;

use async_trait::async_trait;

use super::fill::Filler;
use crate::batch::Batch;
use crate::input::OpenInput;
use crate::{Context, OpsError};
use hod_transfer::{Plan, Source};

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

    /// Refuses a path where this user can create nothing, or not replace what is there; as it stands,
    /// that of a file.
    fn require_writable(&self, path: &Path) -> Result<(), hod_fsx::Error> {
        hod_fsx::require_writable_file(path)
    }

    /// Refuses images of which none can be written, since none of their places can be created.
    async fn require_places(&self, _: &Path, _: &Plan) -> Result<(), OpsError> {
        Ok(())
    }

    /// Takes out the images that it cannot hold, and says which tools cannot read the others.
    #[expect(private_interfaces, reason = "only copy calls it")]
    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler>;

    /// How many bytes it takes of a disk with these images, as copies; `mtime` is the time of every
    /// member of an archive.
    fn len(&self, plan: &Plan, _mtime: u64) -> u64 {
        plan.len()
    }
}
