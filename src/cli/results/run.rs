//! What the results of a run are rendered from.

use std::collections::BTreeSet;

use super::amounts::Amounts;
use crate::cli::Exit;
use crate::cli::error::CommandError;
use hod_list::ImageList;
use hod_oci::Registry;
use hod_ops::BatchOutcome;

/// The request of a run and its outcome.
pub(in crate::cli) struct Run<'a> {
    pub(in crate::cli) found: Result<&'a BatchOutcome, &'a CommandError>,
    /// The exit code.
    pub(in crate::cli) exit: Exit,
    /// The list that chose the images, if there was one.
    pub(in crate::cli) list: Option<&'a ImageList>,
    /// The images of a run without a list that came to nothing.
    pub(in crate::cli) names: Vec<String>,
    /// The registry that was pushed to.
    pub(in crate::cli) target: Option<&'a Registry>,
    pub(in crate::cli) moved: Amounts,
    /// The complete images of a run that was interrupted.
    pub(in crate::cli) done: BTreeSet<String>,
    pub(in crate::cli) warnings: Vec<String>,
}
