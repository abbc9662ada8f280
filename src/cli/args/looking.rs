//! The flags of the verbs that only look: ls, diff, why, receipt.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{BundleArgs, RegistryArgs, RenameArgs};
use crate::ops::ImageOrder;

/// List images with their platforms, digests and sizes
///
/// OWN is the size of blobs that no other image here has: what leaving the image out would save.
/// SHARED is the size of blobs that others have too; BASE, in a delta, the size of those that the
/// target must have. Of a bundle, only its index is read.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod ls site.tar
  hod ls site.tar --by size | head")]
pub(crate) struct LsArgs {
    /// A store, tree, bundle, or directory of layouts; `-` for a bundle from stdin
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    /// What to sort by
    #[arg(long, value_enum, default_value_t = ByArg::Name, value_name = "WHAT")]
    pub(crate) by: ByArg,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,
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

/// Say what differs between two bundles, stores, trees or layouts
///
/// One line per image: added (`+`), removed (`-`) or with another digest (`~`), with the bytes of
/// its layers that are not in OLD; then the size of a delta for a target that has OLD. One of the
/// two may be a receipt. Exits 0 whether or not they differ, unless `--exit-code` is given.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod diff site-2.3.tar site-2.4.tar
  hod diff have.json store --list images-list.txt")]
pub(crate) struct DiffArgs {
    /// A store, tree, bundle, directory of layouts, or a receipt
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
    pub(crate) reading: BundleArgs,
}

/// Say what a digest is and which images need it
///
/// For a layer, also shows the command that created it, if the image's configuration records it.
/// Exits 5 if the digest is not found.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  hod why sha256:5f70bf18a086 site.tar")]
pub(crate) struct WhyArgs {
    /// The digest, or the first 12 or more of its hex characters
    #[arg(value_name = "DIGEST")]
    pub(crate) digest: String,

    /// A store, tree, bundle, or directory of layouts
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,
}

/// Write down what a registry, store or bundle has
///
/// The receipt lists the digests of each repository; `hod pack --since` leaves them out of the next
/// bundle. Without `--list`, a registry is asked for all its repositories and tags, which many show to
/// administrators only; untagged images are not found.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod receipt harbor.corp/offline --list images-list.txt --output have.json
  hod receipt store --output have.json
  hod receipt harbor.corp --list images-list.txt --compact --output -

With `--compact` the receipt is text for a mail or a form: line breaks in it do
not matter, and a mistyped character is found.")]
pub(crate) struct ReceiptArgs {
    /// A registry and a prefix for all names, as for `hod push`; or a store, tree or bundle
    #[arg(value_name = "REGISTRY[/PREFIX]|STORE|BUNDLE")]
    pub(crate) holder: String,

    /// The file to write, `-` for stdout; it appears when it is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Write it as lines of base64, with each digest cut to 96 bits
    #[arg(long)]
    pub(crate) compact: bool,

    /// Only the images of this list, as a push of them would name them; may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) list: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME", requires = "list")]
    pub(crate) section: Vec<String>,

    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) reading: BundleArgs,
}
