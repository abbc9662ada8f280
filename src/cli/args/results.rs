//! Flags for results that machines read.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Results for machines")]
pub(crate) struct ResultsArgs {
    /// Write the outcome of each image to this file: JSON (`.json`) or JUnit's XML (`.xml`)
    ///
    /// It is also written when the run fails or is interrupted.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write a list of the images that are not done yet to this file, to run the command again with
    ///
    /// In the place of a list, an image or a registry that was read: `hod pull @FILE ...`, `hod copy
    /// @FILE TARGET`; beside a store, bundle or layout: `hod push SRC TARGET --only @FILE`.
    ///
    /// It is written however the run ends. When nothing is left to do, it has only a comment.
    #[arg(long, value_name = "FILE")]
    pub(crate) retry_list: Option<PathBuf>,

    /// Write `repository:tag digest` for each image that was carried to this file
    ///
    /// If the run was for one image, the file has only its digest, as with skopeo.
    #[arg(long, value_name = "FILE")]
    pub(crate) digest_file: Option<PathBuf>,
}
