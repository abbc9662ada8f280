//! The flags of the verbs that only read: ls, verify, diff, why, receipt.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::verbs::SourceCheckArgs;
use super::{
    BundleArgs, LookPlatformArgs, NameSourceArgs, OnlyArgs, ReferrerArgs, RegistryArgs, RenameArgs,
};
use hod_ops::ImageOrder;

/// The flags with which these verbs read their sources.
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

    /// How the images of lists were renamed when they were pushed or copied to the source.
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
/// OWN is the size of the blobs that only this image has: leaving the image out saves this much. SHARED
/// is the size of blobs that other images have too; BASE, in a delta, the size of blobs that the target
/// must have. hod reads only the index of a bundle, and from a registry only manifests, and the configs
/// of images whose manifests do not state the platform.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod ls site.tar
  hod ls site.tar --by size | head
  hod ls harbor.corp/platform
  hod ls images-list.txt --source registry.corp")]
pub(crate) struct LsArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle on stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// Sort by this column
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
/// Prints one problem per line. At a registry, checks that every config and layer of every image exists
/// with the right length. Exits with 4 if content is damaged or missing, with 5 if volumes of a bundle
/// are missing or nothing could be read, and with 3 if parts of a registry could not be read and the
/// rest is complete. With `--only`, images are looked up under the names that a push or a copy with the
/// same `--rename`, `--project` and `--strip-host` gives them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod verify site.tar
  hod verify harbor.corp/offline --only images-list.txt
  hod verify harbor.corp --only images-list.txt --project offline
  hod verify harbor.corp/offline --deep")]
pub(crate) struct VerifyArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle on stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// Fetch and hash every config and layer of a registry too; those of other sources are always
    /// hashed
    #[arg(long)]
    pub(crate) deep: bool,

    /// Verify the volumes that are present, even if others are missing
    #[arg(long)]
    pub(crate) partial: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Show the differences between two sources of images
///
/// Prints one line per image that was added (`+`), removed (`-`) or has another digest (`~`), with the
/// bytes of its layers that are not in OLD; then the size of a delta for a target that has OLD. One of
/// the two can be a receipt. Images are compared by the names that a push without flags gives them, in a
/// registry without the prefix. `--only` and `--platform` limit both sides. Pass `--rename`, `--project`
/// and `--strip-host` if one side was pushed with these flags: a registry or receipt (or NEW, if both
/// sides or neither is one); the other side is then renamed in the same way. Exits with 0 even if they
/// differ, unless `--exit-code` is given, and with 3 if an image cannot be read or a listed image is on
/// neither side.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod diff site-2.3.tar site-2.4.tar
  hod diff have.json store --list images-list.txt
  hod diff site-2.4.tar harbor.corp/offline
  hod diff harbor-a.corp/offline harbor-b.corp/mirror")]
pub(crate) struct DiffArgs {
    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image, a list or a receipt; `-`
    /// for a bundle on stdin
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// The source to compare with OLD, of any of the same kinds
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// Print the line of this list that names each image; may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) list: Vec<PathBuf>,

    /// Exit with 1 if the sources differ
    #[arg(long)]
    pub(crate) exit_code: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Show what a digest is and which images require it
///
/// For a layer, also shows the command that created it, if the image config records it. Exits with 5 if
/// the digest is not found.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod why sha256:5f70bf18a086 site.tar
  hod why 5f70bf18a086 harbor.corp/offline")]
pub(crate) struct WhyArgs {
    /// The digest, or at least its first 12 hex characters
    #[arg(value_name = "DIGEST")]
    pub(crate) digest: String,

    /// A store, tree, bundle, layouts, a registry `HOST[/PREFIX]`, an image or a list; `-` for a
    /// bundle on stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    #[command(flatten)]
    pub(crate) look: LookArgs<LookPlatformArgs>,
}

/// Write a receipt: a list of what a registry, store or bundle has
///
/// The receipt lists the digests of each repository; `hod pack --since` leaves them out of the next
/// bundle. Without `--only`, hod asks a registry for all its repositories and tags, which many
/// registries show only to administrators; it does not find untagged images. `--list` is another name
/// of `--only`. Images are looked up under the names that a push gives them; hod warns of missing ones.
/// Exits with 3 if some images cannot be read; the receipt lists the others.
#[derive(Debug, Args)]
#[command(mut_arg("only", |only| only.visible_alias("list")), after_long_help = "\
Examples:
  hod receipt harbor.corp/offline --only images-list.txt --output have.json
  hod receipt store --output have.json
  hod receipt harbor.corp --only images-list.txt --compact --output -

With `--compact` the receipt is text for an e-mail or a form: line breaks do not
matter, and a mistyped character is detected.")]
pub(crate) struct ReceiptArgs {
    /// A registry, with a prefix as for `hod push`; or a store, tree, bundle, layouts, an image or a
    /// list
    #[arg(value_name = "REGISTRY[/PREFIX]|SRC")]
    pub(crate) holder: PathBuf,

    /// The file to write, or `-` for stdout; the file appears when it is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Write lines of base64, with each digest cut to 96 bits
    #[arg(long)]
    pub(crate) compact: bool,

    #[command(flatten)]
    pub(crate) look: LookArgs<EveryPlatform>,
}
