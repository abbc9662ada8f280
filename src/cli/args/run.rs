//! The flags for dry runs, failures and rechecks.

use clap::Args;

use hod_ops::{Recheck, RunMode};
use hod_transfer::OnFailure;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Show what would be done, and change nothing
    ///
    /// Prints how much would be moved and, if the target is a registry, whether each image is new,
    /// replaces another or is unchanged.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    failing: FailFastArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FailFastArgs {
    /// Stop at the first image that fails
    #[arg(long)]
    fail_fast: bool,
}

impl FailFastArgs {
    pub(crate) fn on_failure(&self) -> OnFailure {
        OnFailure::of(self.fail_fast)
    }
}

impl RunArgs {
    pub(crate) fn mode(&self) -> RunMode {
        RunMode::of(self.dry_run)
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.failing.on_failure()
    }
}

#[derive(Debug, Args)]
pub(crate) struct RecheckArgs {
    /// Check every part of unchanged images at the registry too, and send what is missing or has
    /// another length
    ///
    /// Repairs a registry whose storage lost blobs. Without it, an unchanged image costs one request.
    #[arg(long)]
    recheck: bool,
}

impl RecheckArgs {
    pub(crate) fn mode(&self) -> Recheck {
        Recheck::of(self.recheck)
    }
}
