//! The flags of `copy`.

use clap::Args;

use super::verbs::ForeignLayersArgs;
use super::{
    BundleArgs, LinkArg, NameSourceArgs, OnlyArgs, PlatformArgs, PolicyArgs, PreflightArgs,
    RecheckArgs, ReferrerArgs, RegistryArgs, RenameArgs, ResultsArgs, RunArgs, UploadArgs,
};

/// Copy images directly from any source to any targets
///
/// Blobs from a registry are streamed, not stored, and each is fetched once for all targets. Every
/// target is checked before any target is changed; then all are filled at once, and a slow or failing
/// target does not delay the others. Digests stay the same, except with `--platform`, `--index` or the
/// format `docker-archive`, which has no manifests.
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
    /// layout; `-` for a bundle on stdin
    ///
    /// An image that names its registry keeps it in its name at the target, as in a list
    /// (`quay.io/coreos/etcd`); `--strip-host` removes it. The images of `HOST[/PREFIX]` keep their
    /// path without the host.
    ///
    /// A transport states the kind: `docker://`, `store:`, `bundle:`, `dir:`, `oci:`, `oci-archive:`,
    /// `docker-archive:`. `oci:PATH:IMAGE` selects one image of a layout, by its tag or its whole name;
    /// so do `oci-archive:` and `docker-archive:`. In place of a tag, `*`, `~REGEX` or a range of
    /// versions selects several tags, and `limit=N` only the newest N of them:
    /// 'quay.io/coreos/etcd:>=3.4 <3.6 limit=2'.
    #[arg(value_name = "SRC")]
    pub(crate) source: String,

    /// One or more targets: a registry, with an optional prefix for all names (`HOST[/PREFIX]`),
    /// `store:DIR`, `bundle:FILE`, `dir:DIR`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`
    ///
    /// Images are added to an existing store, directory of layouts or OCI layout, which requires no
    /// transport. Bundles and archives must be new files; a new `.tar` or `.tar.zst` without a transport
    /// is a bundle, like that of `hod pack` without further flags.
    #[arg(required = true, value_name = "DST")]
    pub(crate) targets: Vec<String>,

    /// How to place blobs in stores and layouts, from a source that has them as files; by default
    /// copies in stores, and hardlinks where possible in layouts
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
