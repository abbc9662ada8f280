//! The flags about names without a registry.

use clap::Args;

/// What names without a registry mean.
#[derive(Debug, Args)]
pub(crate) struct NameSourceArgs {
    /// The registry, and a prefix, for image names without a registry; by default docker.io
    ///
    /// The prefix is not part of the resulting names: with `--source harbor.corp/offline`, a list reads
    /// the images that `hod push ... harbor.corp/offline` pushed, except images that were renamed or
    /// whose line names a registry.
    #[arg(long = "source", value_name = "REGISTRY[/PREFIX]")]
    pub(crate) registry: Option<String>,

    /// Ignore registries.conf: use no mirrors, block nothing, expand no short names
    #[arg(long)]
    pub(crate) no_registries_conf: bool,
}
