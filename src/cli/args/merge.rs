//! The flags of `hod bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{BundleArgs, OutputArgs, SignArgs, transport::path_of, volume_size};
use hod_transfer::Transport;

/// Combine bundles
#[derive(Debug, Args)]
pub(crate) struct BundleVerbArgs {
    #[command(subcommand)]
    pub(crate) verb: BundleVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleVerb {
    Merge(MergeArgs),
}

/// Merge bundles into one, which has the images, blobs and files of all of them
///
/// A blob that one of them requires (`hod pack --since`) and another contains is included.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  hod bundle merge june.tar july.tar --output site.tar")]
pub(crate) struct MergeArgs {
    /// The bundles, the oldest first; of several volumes any one
    #[arg(required = true, num_args = 2.., value_name = "BUNDLE",
          value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) bundles: Vec<PathBuf>,

    /// The file to write, `.tar`; it appears when it is complete
    #[arg(long, short, value_name = "FILE", value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) output: PathBuf,

    /// Which bundle wins where they differ; without it the merge is refused
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) prefer: Option<PreferArg>,

    /// The name of the bundle; by default that of the last
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The version of what is in the bundle; by default that of the last
    #[arg(long, value_name = "VERSION")]
    pub(crate) bundle_version: Option<String>,

    /// Divide the bundle into volumes of at most this size, as `hod pack --volume-size` does
    #[arg(long, value_name = "SIZE", value_parser = volume_size::parse)]
    pub(crate) volume_size: Option<u64>,

    /// Wait until the file is on the disk: for drives that are unplugged right afterwards
    ///
    /// Without it, the last part of the file may not be on the disk yet when hod exits, as with `cp` and
    /// `tar`.
    #[arg(long)]
    pub(crate) fsync: bool,

    #[command(flatten)]
    pub(crate) written: OutputArgs,

    #[command(flatten)]
    pub(crate) sign: SignArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PreferArg {
    First,
    Last,
}
