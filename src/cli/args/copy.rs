//! The flags of `copy`.

use clap::Args;

use super::verbs::ForeignLayersArgs;
use super::{
    BundleArgs, LinkArg, OnlyArgs, PlatformArgs, PreflightArgs, RecheckArgs, ReferrerArgs,
    RegistryArgs, RenameArgs, ResultsArgs, RunArgs, UploadArgs,
};

/// What names without a registry mean.
#[derive(Debug, Args)]
pub(crate) struct NameSourceArgs {
    /// The registry for names that have none, and a prefix for them; by default docker.io
    ///
    /// The prefix is not part of the names that images are carried under: with
    /// `--source harbor.corp/offline`, what `hod push ... harbor.corp/offline` pushed is read by the
    /// same list, except images that were renamed or whose line names a registry.
    #[arg(long = "source", value_name = "REGISTRY[/PREFIX]")]
    pub(crate) registry: Option<String>,

    /// Ignore registries.conf: no mirrors, nothing blocked, no short names
    #[arg(long)]
    pub(crate) no_registries_conf: bool,
}

/// Copy images from anywhere to anywhere, directly
///
/// Nothing is stored on the way: what comes from a registry is streamed, and each blob is fetched
/// once, however many targets lack it. Every target is checked before anything is changed at any of
/// them; then all are filled at once, and one that is slow or fails does not hold up the others.
/// Digests are kept, unless `--platform` or `--index` says otherwise, or the format is
/// `docker-archive`, which has no manifests.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod copy images-list.txt harbor.corp --project offline
  hod copy images-list.txt harbor-a.corp harbor-b.corp/mirror --dry-run
  hod copy nginx:1.27 harbor.corp/mirror
  hod copy 'quay.io/coreos/etcd:>=3.4 <3.6' harbor.corp
  hod copy harbor-a.corp/platform harbor-b.corp
  hod copy site.tar harbor-a.corp harbor-b.corp
  hod copy images-list.txt harbor.corp oci-archive:site-oci.tar
  hod copy images-list.txt harbor.corp site.tar
  hod copy nginx:1.27 dir:layouts
  hod copy dir:layouts store:store")]
pub(crate) struct CopyArgs {
    /// A list, a directory of lists, an image, a registry (`HOST[/PREFIX]`), a store, bundle or
    /// layout; or `-` for a bundle from stdin
    ///
    /// An image that is named with its registry keeps that in its name at the target, as in a list
    /// (`quay.io/coreos/etcd`); `--strip-host` removes it. The images of `HOST[/PREFIX]` keep their
    /// path without the host.
    ///
    /// A transport in front says which it is: `docker://`, `store:`, `bundle:`, `dir:`, `oci:`,
    /// `oci-archive:`, `docker-archive:`. `oci:PATH:IMAGE` chooses one image of a layout, by its tag
    /// or its whole name; `oci-archive:` and `docker-archive:` do, too. In the place of an image's tag,
    /// `*`, `~REGEX` or a range of versions stands for several tags, and `limit=N` for the newest N of
    /// them: 'quay.io/coreos/etcd:>=3.4 <3.6 limit=2'.
    #[arg(value_name = "SRC")]
    pub(crate) source: String,

    /// One or more of a registry, with an optional prefix for all names (`HOST[/PREFIX]`),
    /// `store:DIR`, `bundle:FILE`, `dir:DIR`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`
    ///
    /// A store, a directory of layouts or an OCI layout that exists is added to, and needs no
    /// transport in front. Bundles and archives are new files; a new `.tar` or `.tar.zst` without a
    /// transport is a bundle, as `hod pack` makes one without further flags.
    #[arg(required = true, value_name = "DST")]
    pub(crate) targets: Vec<String>,

    /// How blobs are placed in stores and layouts, from a source that has them as files; by default
    /// copies in stores, and in layouts hardlinks where possible
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) link: Option<LinkArg>,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) recheck: RecheckArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: PlatformArgs,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    #[command(flatten)]
    pub(crate) foreign_layers: ForeignLayersArgs,

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
