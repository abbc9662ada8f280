//! A bundle as a target.

use std::path::Path;

use crate::cli::error::CommandError;
use crate::cli::settings;
use hod_bundle::Compression;
use hod_ops::BundleTarget;

/// A bundle at `output`, with what every bundle has.
pub(super) fn bundle(output: &Path) -> Result<BundleTarget, CommandError> {
    let mtime = settings::source_date_epoch()?;
    Ok(BundleTarget::new(
        output.to_owned(),
        compression(output)?,
        mtime,
    ))
}

fn compression(output: &Path) -> Result<Compression, CommandError> {
    let is_stream = hod_fsx::is_stream(output).map_err(|source| CommandError::OutputPath {
        path: output.to_owned(),
        source,
    })?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tar.zst") {
        Ok(Compression::Zstd { level: 3 })
    } else if name.ends_with(".tar") || is_stream {
        Ok(Compression::Raw)
    } else {
        Err(CommandError::BundleName {
            path: output.to_owned(),
        })
    }
}
