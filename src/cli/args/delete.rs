//! The flags of `hod delete`.

use std::path::PathBuf;

use clap::Args;

use super::{NameSourceArgs, OnlyArgs, RegistryArgs, RenameArgs, ResultsArgs};

/// Delete images from registries
///
/// Registries delete manifests, and with a manifest all of its tags: hod looks for the other tags of each
/// manifest, shows them, and asks before it deletes anything; `--yes` answers for scripts. A manifest that
/// an index lists is not deleted while that index stays. Blobs, the manifests of an index and referrers
/// stay until the registry collects its garbage. Exits with 5 if nothing was changed because nobody
/// confirmed it, with 1 if an image does not exist, and with 3 if some images failed and the rest are
/// deleted.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod delete harbor.corp/platform/api:1.9
  hod delete 'harbor.corp/platform/api:<2' --dry-run
  hod delete harbor.corp/offline --only images-list.txt --yes
  hod delete harbor.corp/platform/api:rc --tag-only")]
pub(crate) struct DeleteArgs {
    /// Images with their registry, patterns of tags, and lists of them (also as `@FILE`); or one registry
    /// `HOST[/PREFIX]` with `--only`
    #[arg(required = true, value_name = "IMAGE|LIST|REGISTRY")]
    pub(crate) images: Vec<PathBuf>,

    /// The registry, and a prefix, for image names without a registry, which are refused otherwise
    #[arg(long = "source", value_name = "REGISTRY[/PREFIX]")]
    pub(crate) place: Option<String>,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    /// Delete only the tags, and keep the manifests and their other tags
    ///
    /// Harbor supports it, and so do registries with version 1.1 of the distribution specification;
    /// others refuse.
    #[arg(long)]
    pub(crate) tag_only: bool,

    /// Do not fail if an image does not exist
    #[arg(long)]
    pub(crate) missing_ok: bool,

    #[command(flatten)]
    pub(crate) only: OnlyArgs,

    /// How the images of the list were renamed when they were pushed.
    #[command(flatten)]
    pub(crate) rename: RenameArgs,

    #[command(flatten)]
    pub(crate) results: DeleteResultsArgs,

    #[command(flatten)]
    pub(crate) reach: RegistryArgs,
}

/// Whether hod asks before it deletes.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Delete without asking
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Show what would be deleted, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Results for machines")]
pub(crate) struct DeleteResultsArgs {
    /// Write the result of each image to this file, as JSON (`.json`) or JUnit XML (`.xml`)
    ///
    /// The file is also written if the run fails or is interrupted.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write a list of the images that are not done to this file, to retry them
    ///
    /// To retry, pass it in place of the images: `hod delete @FILE`.
    ///
    /// The file is always written. If everything is done, it contains only a comment.
    #[arg(long, value_name = "FILE")]
    retry_list: Option<PathBuf>,
}

impl DeleteArgs {
    /// Where names without a registry come from; mirrors are never deleted from.
    pub(crate) fn names(&self) -> NameSourceArgs {
        NameSourceArgs {
            registry: self.place.clone(),
            no_registries_conf: true,
        }
    }

    pub(crate) fn results(&self) -> ResultsArgs {
        ResultsArgs {
            report: self.results.report.clone(),
            retry_list: self.results.retry_list.clone(),
            digest_file: None,
        }
    }
}
