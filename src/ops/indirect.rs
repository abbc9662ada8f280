//! Refuses, before anything is changed, to write through symbolic links or without permission.

use std::path::Path;

use super::{OpsError, OutputError};
use hod_store::{IndirectCheck, StoreError};
use hod_transfer::{OnFailure, Plan, publications};

/// Fails if none of the planned images, or with [`OnFailure::Stop`] not all of them, can be written
/// to the store at `path` because of symbolic links in it, or of directories in which nothing can be
/// created. Otherwise the affected images fail alone.
pub(super) async fn require_real(
    path: &Path,
    plan: &Plan,
    on_failure: OnFailure,
) -> Result<(), OpsError> {
    let images = publications(plan);
    let path = path.to_owned();
    hod_bridge::run(move || {
        let mut check = IndirectCheck::new(&path);
        let (mut first, mut n_refused) = (None, 0);
        for image in &images {
            if let Err(error) = check.check(image) {
                n_refused += 1;
                first.get_or_insert(error);
            }
        }
        match first {
            Some(error) if on_failure == OnFailure::Stop || n_refused == images.len() => {
                Err(match error {
                    StoreError::File(source) => OutputError::NotWritable { path, source }.into(),
                    error => error.into(),
                })
            }
            _ => Ok(()),
        }
    })
    .await
}
