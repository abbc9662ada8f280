//! The flag for referrers.

use clap::Args;

use hod_transfer::ReferrerMode;

#[derive(Debug, Args)]
#[command(next_help_heading = "Referrers and layers")]
pub(crate) struct ReferrerArgs {
    /// Leave out the referrers of images: signatures, attestations, SBOMs
    ///
    /// By default each image is carried with its referrers (manifests with a `subject`, and cosign's
    /// tags) and their own referrers. An image fails if its referrers cannot be listed.
    #[arg(long)]
    no_referrers: bool,
}

impl ReferrerArgs {
    pub(crate) fn mode(&self) -> ReferrerMode {
        if self.no_referrers {
            ReferrerMode::Leave
        } else {
            ReferrerMode::Carry
        }
    }
}
