//! The interface to one image format of other tools.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::batch::Batch;
use crate::copy::target::CopyOptions;
use crate::input::OpenInput;
use crate::{Context, OpsError};
use hod_fsx::LinkMode;
use hod_transfer::{ChosenImage, Feed, LinkChoice, Plan, Source};

/// A layout or archive to copy to; files that another tool may own are not replaced.
#[derive(Debug)]
pub struct LayoutTarget {
    pub path: PathBuf,
    pub format: &'static dyn LayoutFormat,
    /// The name of the only image that is copied there.
    pub image: Option<ChosenImage>,
    /// How to place blobs that are files; `None` means hardlinks where possible, otherwise copies.
    pub link: Option<LinkMode>,
    /// The time of every member of an archive, in seconds since 1970.
    pub mtime: u64,
}

/// A layout or archive that was looked at.
pub(super) struct Looked<'a> {
    pub(super) cx: &'a Context,
    pub(super) target: &'a LayoutTarget,
    pub(super) options: &'a CopyOptions,
    pub(super) source: Arc<dyn Source>,
    pub(super) batch: Batch,
    pub(super) link: LinkChoice,
}

/// Fills a format.
#[async_trait(?Send)]
pub(super) trait Filler: Send {
    /// Creates the directories that must exist before anything moves.
    async fn begin(&mut self, _: &mut Looked<'_>) -> Result<(), OpsError> {
        Ok(())
    }

    /// Moves and publishes the images of a plan that is not empty.
    async fn fill(&mut self, looked: &mut Looked<'_>, feed: &mut Feed<'_>) -> Result<(), OpsError>;
}

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

    /// Refuses an existing path to which the format cannot add images.
    fn require_free(&self, cx: &Context, path: &Path) -> Result<(), OpsError>;

    /// Refuses a path where this user cannot create or replace a file; the default is for one file.
    fn require_writable(&self, path: &Path) -> Result<(), hod_fsx::Error> {
        hod_fsx::require_writable_file(path)
    }

    /// Refuses images if none of their paths can be created.
    async fn require_places(&self, _: &Path, _: &Plan) -> Result<(), OpsError> {
        Ok(())
    }

    /// Removes images that the format cannot contain, and notes which tools cannot read the others.
    #[expect(private_interfaces, reason = "only copy calls it")]
    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler>;

    /// The bytes that these images take on the disk, as copies; `mtime` is the time of every member
    /// of an archive.
    fn len(&self, plan: &Plan, _mtime: u64) -> u64 {
        plan.len()
    }
}
