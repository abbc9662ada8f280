//! Flags for results that machines read.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Results for machines")]
pub(crate) struct ResultsArgs {
    /// Write what became of each image to this file: JSON (`.json`) or JUnit's XML (`.xml`)
    ///
    /// It is written whatever the run comes to, an interrupt included.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write the images that are still to be done to this file: a list, which the same verb takes as `@FILE` (push and export: `--only @FILE`)
    ///
    /// It is written whatever the run comes to, with nothing but a comment when all is done.
    #[arg(long, value_name = "FILE")]
    pub(crate) retry_list: Option<PathBuf>,

    /// Write `repository:tag digest` for each image that was carried to this file
    ///
    /// When the run is about one image, the file is its digest and nothing else, as skopeo's.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<PathBuf>,
}
