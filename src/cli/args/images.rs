//! The flags of the verbs that show one image, repository or file: inspect, tags, digest.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{BundleArgs, LookArgs, NameSourceArgs, RegistryArgs};
use hod_list::TagRule;
use hod_oci::{Platform, RepositoryName};
use hod_transfer::ChosenImage;

/// Show an image: its platforms, config, layers, sizes and referrers
///
/// Of an index, hod shows all platforms with the size of each; with `--platform`, or if the image has no
/// index, also the config and the layers. hod fetches manifests and configs, and no layers. Sizes are
/// those of the compressed content. Exits with 4 if a manifest or config is damaged.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod inspect quay.io/coreos/etcd:v3.5.15
  hod inspect quay.io/coreos/etcd:v3.5.15 --platform linux/arm64
  hod inspect site.tar library/nginx:1.27 --json
  hod inspect oci:layout:1.27 --config --platform linux/amd64
  hod inspect harbor.corp/platform/api:2 --raw | sha256sum
  hod inspect quay.io/coreos/etcd:v3.5.15 --format '{{.digest}}'
  hod inspect nginx:1.27 -f '{{range .manifests}}{{println .platform}}{{end}}'")]
pub(crate) struct InspectArgs {
    /// An image with its registry; or a store, tree, bundle, layout or archive
    ///
    /// A name with a registry and without a tag has the tag `latest`.
    #[arg(value_name = "IMAGE|SRC")]
    pub(crate) source: PathBuf,

    /// The image of SRC, by its name or its tag; not required if SRC has only one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<ChosenImage>,

    /// Write the manifest to stdout, byte for byte: its digest is the sha256 of these bytes
    #[arg(long, conflicts_with = "config")]
    pub(crate) raw: bool,

    /// Write the config to stdout, byte for byte
    #[arg(long)]
    pub(crate) config: bool,

    /// Print the result with this Go template, whose fields are those of `--json`
    ///
    /// `hod inspect IMAGE --json` shows the fields; one that an image lacks is printed as `<no value>`. The
    /// functions are those of Go and of `skopeo inspect`: `json`, `join`, `split`, `lower`, `upper`, `title`,
    /// `pad`, `truncate`.
    #[arg(long, short, value_name = "TEMPLATE", conflicts_with_all = ["raw", "config", "json"])]
    pub(crate) format: Option<String>,

    #[command(flatten)]
    pub(crate) look: LookArgs<OnePlatformArgs>,
}

/// The platform to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "Platforms")]
pub(crate) struct OnePlatformArgs {
    /// The only platform to show; by default all platforms of an index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

/// List the tags of a repository, the newest version last
///
/// Prints one tag per line. Versions (`1.2`, `v1.2.3`) are sorted by precedence and come after all other
/// tags. Tags of referrers (`sha256-….sig`) are left out, unless `--all` is given. Exits with 1 if the
/// repository does not exist or no tag matches.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod tags quay.io/coreos/etcd
  hod tags quay.io/coreos/etcd '>=3.4 <3.6' --limit 3
  hod tags nginx '~1\\.2[0-9]-alpine'
  hod tags store --repository library/nginx")]
pub(crate) struct TagsArgs {
    /// A repository with its registry; or a store, tree, bundle, layout or archive
    ///
    /// A pattern may follow the name, as in a list: 'quay.io/coreos/etcd:>=3.4'.
    #[arg(value_name = "REPOSITORY|SRC")]
    pub(crate) repository: PathBuf,

    /// Only tags that match: `~REGEX` for whole tags, a range of versions such as `>=1.2 <2`, or `*`
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: Option<TagRule>,

    /// List only the newest N matching tags
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,

    /// List tags of referrers too
    #[arg(long = "all")]
    pub(crate) all_tags: bool,

    /// The repository of SRC; not required if SRC has only one
    #[arg(long = "repository", value_name = "NAME")]
    pub(crate) of: Option<RepositoryName>,

    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Print the digest of a file, as manifests and registries name it
///
/// The digest of a signed manifest of Docker's schema 1 is that of its content without the signatures;
/// of any other file, it is the sha256 of all bytes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod digest manifest.json
  hod inspect quay.io/coreos/etcd:v3.5.15 --raw | hod digest -")]
pub(crate) struct DigestArgs {
    /// The file, or `-` for stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
