//! The interface of copy targets: check them, then fill them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::batch::{Batch, TargetName};
use crate::input::OpenInput;
use crate::{BatchOutcome, Context, Input, NotReady, OpsError, RunMode, TrustPolicy};
use hod_list::RenameRules;
use hod_oci::{Digest, Registry};
use hod_store::Store;
use hod_transfer::{ChosenImage, Destination, Feed, OnFailure, ReferrerMode, Wanted};

/// What to copy, and where to.
#[derive(Debug)]
pub struct CopyOptions {
    pub from: Input,
    /// One or more.
    pub targets: Vec<Box<dyn CopyTarget>>,
    pub renames: RenameRules,
    pub referrers: ReferrerMode,
    pub mode: RunMode,
    pub on_failure: OnFailure,
    /// Images that it does not accept fail, and nothing of them is copied.
    pub policy: Option<TrustPolicy>,
    /// The path of the lock, for images that a list names at registries.
    pub lock: Option<PathBuf>,
    /// For `hod sync`.
    pub sync: Option<SyncMode>,
}

/// How a sync copies: it asks first what is unchanged, and continues without targets that are
/// refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// All images to every target, under the names that rules give them.
    ByRules,
    /// Each image to the registries that its line names, under the names there.
    Listed,
}

/// A target of a copy: one implementation for each kind of endpoint.
#[async_trait(?Send)]
pub trait CopyTarget: std::fmt::Debug + Send + Sync {
    /// Its name, if there are several targets.
    fn name(&self) -> TargetName;

    /// The registry that it is, if it is one.
    fn registry(&self) -> Option<&Registry> {
        None
    }

    /// Refuses a target that cannot be one, before anything is read.
    async fn check(&self) -> Result<(), OpsError> {
        Ok(())
    }

    /// The rules for names there; `None` for the names that a list gives.
    fn renames(&self, rules: &RenameRules) -> Option<RenameRules> {
        Some(rules.clone())
    }

    /// The name for its only image.
    fn image(&self) -> Option<&ChosenImage> {
        None
    }

    /// The store that it is, if it exists: what that has is not fetched again.
    async fn known(&self) -> Result<Option<Store>, OpsError> {
        Ok(None)
    }

    /// Refuses an input that it cannot be filled from.
    #[expect(private_interfaces, reason = "only copy calls it")]
    async fn accept(&self, _: &Context, _: &OpenInput<'_>) -> Result<(), OpsError> {
        Ok(())
    }

    /// Whether it takes all images or none.
    fn is_whole(&self) -> bool {
        false
    }

    /// Whether it looks itself, after it is filled, which images are for other platforms, since
    /// that costs a request for each before.
    fn checks_platforms(&self, _: &Input) -> bool {
        false
    }

    /// Which of these destinations have the image of this digest, as far as a single request
    /// for each tells that.
    async fn has(&self, asked: &[(Destination, Digest)]) -> Result<Vec<bool>, OpsError> {
        Ok(vec![false; asked.len()])
    }

    /// Makes requests that do not depend on the source, while the images for these names are
    /// resolved; the answers are kept for [`CopyTarget::prepare`].
    async fn reach(&self, _: &[Wanted], _: RunMode) {}

    /// Looks at it, and changes nothing.
    #[expect(private_interfaces, reason = "only copy calls it")]
    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        input: &OpenInput<'a>,
        batch: Batch,
    ) -> Result<Box<dyn Prepared + 'a>, OpsError>;
}

/// A target that was looked at.
#[async_trait(?Send)]
pub(crate) trait Prepared: Send {
    /// The findings that stop the copy.
    fn not_ready(&mut self) -> Option<NotReady> {
        None
    }

    /// The bytes that it requires, and the disk.
    fn space(&self) -> Option<(&Path, u64)> {
        None
    }

    /// Creates what must exist before anything moves.
    async fn begin(&mut self) -> Result<(), OpsError> {
        Ok(())
    }

    fn batch(&mut self) -> &mut Batch;

    /// Moves the missing blobs and publishes the images.
    async fn fill(&mut self, feed: Feed<'_>) -> Result<(), OpsError>;

    /// The result.
    fn finish(self: Box<Self>) -> BatchOutcome;
}
