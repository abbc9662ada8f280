//! The flag for what is about images.

use clap::Args;

use crate::transfer::ReferrerMode;

#[derive(Debug, Args)]
pub(crate) struct ReferrerArgs {
    /// Leave behind what is about the images: signatures, attestations, SBOMs
    ///
    /// By default they are carried with each image: those with a `subject`, those that cosign
    /// tags, and those about them. Where that cannot be looked up, the image fails.
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
