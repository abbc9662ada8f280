//! The flags of `push`.

use std::path::PathBuf;

use clap::Args;

use super::{
    BundleArgs, NameSourceArgs, OnlyArgs, PlatformArgs, PolicyArgs, PreflightArgs, RecheckArgs,
    ReferrerArgs, RegistryArgs, RenameArgs, ResultsArgs, RunArgs, UploadArgs,
};

/// Push images into a registry
///
/// The source can be anything that has images; a bundle is not unpacked, and images from another registry
/// are not stored. An image that the registry already has costs one request. Before anything is changed,
/// hod looks for problems (a wrong login; in Harbor also missing projects or rights, quotas, names,
/// read-only mode, proxy caches and immutable tags) and reports all of them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod push site.tar harbor.corp --project offline
  hod push site.tar harbor.corp --create-projects --dry-run
  hod push store 127.0.0.1:5000 --only site-a.txt
  cat site.*.tar | hod push - harbor.corp
  hod push site.tar harbor.corp --rename 'quay.io/*=platform/*' --strip-host")]
pub(crate) struct PushArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle on stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// The registry, with an optional prefix for all names
    #[arg(value_name = "REGISTRY[/PREFIX]")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) recheck: RecheckArgs,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: PreflightArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}
