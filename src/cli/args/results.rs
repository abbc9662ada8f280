//! Flags for results that machines read.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Results for machines")]
pub(crate) struct ResultsArgs {
    /// Write the outcome of each image to this file: JSON (`.json`) or JUnit's XML (`.xml`)
    ///
    /// It is written however the run ends, also when it is interrupted.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write the images that are still to be done to this file, as a list for the same verb: `@FILE`, or
    /// `--only @FILE` for push and export
    ///
    /// It is written however the run ends; when all is done, it holds nothing but a comment.
    #[arg(long, value_name = "FILE")]
    pub(crate) retry_list: Option<PathBuf>,

    /// Write `repository:tag digest` for each image that was carried to this file
    ///
    /// When the run is about one image, the file is its digest and nothing else, as skopeo's.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<PathBuf>,
}
