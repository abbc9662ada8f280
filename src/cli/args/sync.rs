//! The flags of `sync`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::verbs::ForeignLayersArgs;
use super::{
    BundleArgs, NameSourceArgs, OnlyArgs, PlatformArgs, PolicyArgs, PreflightArgs, RecheckArgs,
    ReferrerArgs, RegistryArgs, RenameArgs, ResultsArgs, RunArgs, UploadArgs,
};

/// Bring the images of a list to their destinations, again and again
///
/// Tag patterns are resolved at each run. An image whose digest is the same on both sides costs one
/// request at each, and one for new referrers unless these are left out; a new or changed one is read
/// once for all destinations. Lines that are invalid,
/// repositories that cannot be listed and destinations that cannot be used are reported, the rest is
/// synced, and the exit code is 3.
#[derive(Debug, Args)]
#[command(
    override_usage = "hod sync [OPTIONS] FILE [DST]...\n       hod sync [OPTIONS] --images FILE [--auth FILE]\n       hod sync [OPTIONS] --config FILE",
    after_long_help = "\
Examples:
  hod sync images-list.txt harbor.corp/mirror
  hod sync skopeo-sync.yaml harbor-a.corp harbor-b.corp --dry-run
  hod sync images-list.txt dir:layouts --retry-list retry.txt
  hod sync --auth auth.json --images images.json
  hod sync --config config.json --arch amd64 --arch arm64

A line of a list can name its destinations, which apply without DST:
  quay.io/coreos/etcd:>=3.4 <4 to=harbor-a.corp/etcd to=harbor-b.corp/x/etcd"
)]
pub(crate) struct SyncArgs {
    /// A list, the YAML of `skopeo sync` or the JSON or YAML of image-syncer; or an image or a registry
    /// (`HOST[/PREFIX]`), for which DST is required
    #[arg(value_name = "FILE", required_unless_present_any = ["images", "syncer_config"])]
    pub(crate) source: Option<String>,

    /// One or more destinations for all images, as for `hod copy`: a registry with an optional prefix
    /// for all names (`HOST[/PREFIX]`), `store:DIR`, `dir:DIR`, `oci:DIR` and so on; by default those
    /// that the file names
    #[arg(value_name = "DST")]
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) syncer: SyncerArgs,

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

/// The flags of image-syncer.
#[derive(Debug, Args)]
#[command(next_help_heading = "As in image-syncer")]
pub(crate) struct SyncerArgs {
    /// Read images and their destinations from this file of image-syncer, JSON or YAML
    #[arg(long, value_name = "FILE", conflicts_with = "syncer_config")]
    pub(crate) images: Option<PathBuf>,

    /// Read logins from this file of image-syncer, JSON or YAML: `registry[/namespace]` with `username`,
    /// `password`, `identityToken` and `insecure`
    ///
    /// `$NAME` and `${NAME}` are replaced by variables of the environment. A login is for the
    /// registries that its key names, as source and as destination, and goes nowhere else. With
    /// `insecure: true`, the certificate of that registry is not verified, and plain HTTP is allowed.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Read logins and images from one file of image-syncer, below `auth` and `images`
    #[arg(id = "syncer_config", long = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Of indexes, carry only manifests for this architecture, such as `arm64` or `arm:v7`; may be given
    /// several times
    ///
    /// The index is rewritten. An image without any of them is left out.
    #[arg(long, value_name = "ARCH", conflicts_with = "platform")]
    pub(crate) arch: Vec<String>,

    /// Of indexes, carry only manifests for this operating system, such as `linux`; may be given several
    /// times
    #[arg(long, value_name = "OS", conflicts_with = "platform")]
    pub(crate) os: Vec<String>,

    /// The same as `--jobs`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) proc: Option<u8>,

    /// Write the images that were transferred, with their destinations, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) output_success_images: Option<PathBuf>,

    /// The format of that file
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ImagesFormat::Yaml)]
    pub(crate) output_images_format: ImagesFormat,

    /// Where images without a destination go: this registry, in the namespace
    #[arg(skip)]
    pub(crate) default_target: Option<hod_list::DefaultTarget>,
}

/// The format of a list of synced images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImagesFormat {
    Yaml,
    Json,
}

impl SyncArgs {
    /// The source, and the destinations: with a file of image-syncer, all words are destinations.
    pub(crate) fn ends(&self) -> (PathBuf, Vec<String>) {
        let file = self.syncer.images.as_ref().or(self.syncer.config.as_ref());
        let word = self.source.clone();
        match file {
            Some(file) => {
                let words = word.into_iter().chain(self.targets.iter().cloned());
                (file.clone(), words.collect())
            }
            None => (
                PathBuf::from(word.unwrap_or_default()),
                self.targets.clone(),
            ),
        }
    }
}
