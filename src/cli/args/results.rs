//! Flags for machine-readable results.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Results for machines")]
pub(crate) struct ResultsArgs {
    /// Write the result of each image to this file, as JSON (`.json`) or JUnit XML (`.xml`)
    ///
    /// The file is also written if the run fails or is interrupted.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write a list of the images that are not done to this file, to retry them
    ///
    /// To retry, pass it in place of the list, image or registry: `hod pull @FILE ...`, `hod copy @FILE
    /// TARGET`; or, if the source is a store, bundle or layout: `hod push SRC TARGET --only @FILE`.
    ///
    /// The file is always written. If everything is done, it contains only a comment.
    #[arg(long, value_name = "FILE")]
    pub(crate) retry_list: Option<PathBuf>,

    /// Write `repository:tag digest` for each carried image to this file
    ///
    /// For a run with one image, the file contains only its digest, as with skopeo.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<PathBuf>,
}
