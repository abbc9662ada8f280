//! The flags of the verbs that only look: ls, verify, diff, why, receipt.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::verbs::SourceCheckArgs;
use super::{
    BundleArgs, LookPlatformArgs, NameSourceArgs, OnlyArgs, ReferrerArgs, RegistryArgs, RenameArgs,
};
use hod_ops::ImageOrder;

/// How the verbs that only look read what their arguments name.
#[derive(Debug, Args)]
pub(crate) struct LookArgs<P: Args> {
    // Those without a heading come first; the others are in the order of `hod copy`.
    #[command(flatten)]
    pub(crate) names: NameSourceArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    #[command(flatten)]
    pub(crate) platforms: P,

    #[command(flatten)]
    pub(crate) referrers: ReferrerArgs,

    /// How the images of lists were renamed on the way to what is looked at.
    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) preflight: SourceCheckArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// No flags for platforms.
#[derive(Debug, Args)]
pub(crate) struct EveryPlatform {}

/// List images with their platforms, digests and sizes
///
/// OWN is the size of blobs that no other image here has: what leaving the image out would save.
/// SHARED is the size of blobs that others have too; BASE, in a delta, the size of those that the
/// target must have. Of a bundle, only its index is read; of a registry, only manifests, and the
/// configuration of each image that does not state its platform otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod ls site.tar
  hod ls site.tar --by size | head
  hod ls harbor.corp/platform
  hod ls images-list.txt --source registry.corp")]
pub(crate) struct LsArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle from stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// What to sort by
    #[arg(long, value_enum, default_value_t = ByArg::Name, value_name = "WHAT")]
    pub(crate) by: ByArg,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// What images are sorted by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ByArg {
    Name,
    /// Largest OWN size first
    Size,
}

impl From<ByArg> for ImageOrder {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Name => Self::Name,
            ByArg::Size => Self::Size,
        }
    }
}

/// Hash everything again, and check that every image is complete
///
/// Prints what is wrong, one problem per line. A registry is asked for every config and layer of
/// every image: whether it is there, in the right length. Exits with 4 if content is damaged or
/// missing, with 5 if volumes of a bundle are missing or nothing could be read, and with 3 if a part
/// of a registry could not be read and the rest is whole. The images of `--only` are looked for under
/// the names that a push or a copy with the same `--rename`, `--project` and `--strip-host` gives them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod verify site.tar
  hod verify harbor.corp/offline --only images-list.txt
  hod verify harbor.corp --only images-list.txt --project offline
  hod verify harbor.corp/offline --deep")]
pub(crate) struct VerifyArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle from stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// Fetch and hash every config and layer of a registry too; all others are always hashed
    #[arg(long)]
    pub(crate) deep: bool,

    /// Verify the volumes that are found, and accept that others are missing
    #[arg(long)]
    pub(crate) partial: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Say what differs between two sources of images
///
/// One line per image: added (`+`), removed (`-`) or with another digest (`~`), with the bytes of
/// its layers that are not in OLD; then the size of a delta for a target that has OLD. One of the
/// two may be a receipt. Images are compared by the names that a push without flags gives them, and
/// those below the prefix of a registry without it. `--only` and `--platform` narrow both. With
/// `--rename`, `--project` and `--strip-host`, the registry or receipt of the two (or NEW, if both are or
/// none is) has the names that a push with these flags gave, and the other is compared under these names.
/// Exits 0 whether or not they differ, unless `--exit-code` is given, and with 3 if an image cannot be
/// read, or is named and in neither of the two.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod diff site-2.3.tar site-2.4.tar
  hod diff have.json store --list images-list.txt
  hod diff site-2.4.tar harbor.corp/offline
  hod diff harbor-a.corp/offline harbor-b.corp/mirror")]
pub(crate) struct DiffArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image, a list or a receipt; `-`
    /// for a bundle from stdin
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// The same
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// Name the line of this list that each image comes from; may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) list: Vec<PathBuf>,

    /// Exit 1 when they differ
    #[arg(long)]
    pub(crate) exit_code: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Say what a digest is and which images need it
///
/// For a layer, also shows the command that created it, if the image's configuration records it.
/// Exits 5 if the digest is not found.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod why sha256:5f70bf18a086 site.tar
  hod why 5f70bf18a086 harbor.corp/offline")]
pub(crate) struct WhyArgs {
    /// The digest, or the first 12 or more of its hex characters
    #[arg(value_name = "DIGEST")]
    pub(crate) digest: String,

    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle from stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Write down what a registry, store or bundle has
///
/// The receipt lists the digests of each repository; `hod pack --since` leaves them out of the next
/// bundle. Without `--only`, a registry is asked for all its repositories and tags, which many show to
/// administrators only; untagged images are not found. `--list` is another name of `--only`, which
/// names images as a push of them would. Those that are missing are named in warnings; exits with 3 if
/// some cannot be read, and the receipt has the others.
#[derive(Debug, Args)]
#[command(mut_arg("only", |only| only.visible_alias("list")), after_long_help = "\
Examples:
  hod receipt harbor.corp/offline --only images-list.txt --output have.json
  hod receipt store --output have.json
  hod receipt harbor.corp --only images-list.txt --compact --output -

With `--compact` the receipt is text for a mail or a form: line breaks in it do
not matter, and a mistyped character is found.")]
pub(crate) struct ReceiptArgs {
    /// A registry and a prefix for all names, as for `hod push`; or a store, tree, bundle, layouts, an
    /// image or a list
    #[arg(value_name = "REGISTRY[/PREFIX]|SRC")]
    pub(crate) holder: PathBuf,

    /// The file to write, `-` for stdout; it appears when it is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Write it as lines of base64, with each digest cut to 96 bits
    #[arg(long)]
    pub(crate) compact: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<EveryPlatform>,
}
