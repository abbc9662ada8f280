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

/// Merge bundles into one that has the images, blobs and files of all of them
///
/// If one bundle is a delta and another contains the blobs that it requires, the result is complete.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  hod bundle merge june.tar july.tar --output site.tar")]
pub(crate) struct MergeArgs {
    /// The bundles, oldest first; for a bundle in volumes, any one of them
    #[arg(required = true, num_args = 2.., value_name = "BUNDLE",
          value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) bundles: Vec<PathBuf>,

    /// The file to write, ending in `.tar`; it appears when it is complete
    #[arg(long, short, value_name = "FILE", value_parser = path_of(&[Transport::Bundle]))]
    pub(crate) output: PathBuf,

    /// Use the first or the last bundle where they differ; without this flag, a conflict is an error
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) prefer: Option<PreferArg>,

    /// The name of the bundle; by default that of the last bundle
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The version of the bundle; by default that of the last bundle
    #[arg(long, value_name = "VERSION")]
    pub(crate) bundle_version: Option<String>,

    /// Divide the bundle into volumes of at most this size, `NAME.001.tar` and so on
    ///
    /// `4G` is 4 GiB, `25GB` is 25,000,000,000 bytes; or the capacity of a medium: fat32, cd, dvd,
    /// dvd-dl, bd, bd-dl. A layer that is larger is cut into parts.
    #[arg(long, value_name = "SIZE", value_parser = volume_size::parse)]
    pub(crate) volume_size: Option<u64>,

    /// Wait until the file is on the disk: use it if you unplug the drive right afterwards
    ///
    /// Without it, the end of the file may not be on the disk yet when hod exits, as with `cp` and
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
