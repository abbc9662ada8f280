//! Checks the space for an output and its path.

use std::path::{Path, PathBuf};

use crate::{Fewer, OpsError, OutputError};
use hod_fsx::{IoKind, LinkMode};
use hod_oci::sum_len;
use hod_transfer::{Plan, PlannedBlob, Source};

/// The nearest existing directory at or above `path`, in which `path` will be made.
pub(crate) fn existing_ancestor(path: &Path) -> Result<&Path, OpsError> {
    Ok(hod_fsx::nearest(path)?.0)
}

/// Refuses an output that cannot even be looked at.
pub(crate) async fn require_reachable(path: &Path) -> Result<(), OpsError> {
    let path = path.to_owned();
    hod_bridge::run(move || {
        let looked = hod_fsx::resolve(&path).and_then(|real| hod_fsx::try_stat(&real).map(drop));
        require_writable(&path, looked)
    })
    .await
}

/// Refuses an output at `path` if `looked` shows that it cannot be created.
pub(crate) fn require_writable(
    path: &Path,
    looked: Result<(), hod_fsx::Error>,
) -> Result<(), OpsError> {
    looked.map_err(|source| {
        let path = path.to_owned();
        OutputError::NotWritable { path, source }.into()
    })
}

/// Refuses an output file at `path` that cannot be created or replaced.
pub fn require_writable_file(path: &Path) -> Result<(), OpsError> {
    require_writable(path, hod_fsx::require_writable_file(path))
}

/// Fails if `path` has no space for `needed` bytes.
pub(crate) fn require_space(path: &Path, needed: u64, fewer: Fewer) -> Result<(), OpsError> {
    let available = hod_fsx::available(existing_ancestor(path)?)?;
    if needed <= available {
        return Ok(());
    }
    Err(OutputError::NoSpace {
        path: path.to_owned(),
        needed,
        available,
        fewer,
    }
    .into())
}

/// Refuses what fits on its disks one by one, but not together.
pub(crate) fn require_space_of_all(needs: &[(PathBuf, u64)]) -> Result<(), OpsError> {
    if needs.len() < 2 {
        return Ok(());
    }
    for (path, _) in needs {
        let near = existing_ancestor(path)?;
        let (mut paths, mut needed) = (Vec::new(), 0);
        for (other, len) in needs {
            if hod_fsx::same_filesystem(near, existing_ancestor(other)?)? {
                needed = sum_len([needed, *len]);
                paths.push(other.clone());
            }
        }
        let available = hod_fsx::available(near)?;
        if paths.len() > 1 && needed > available {
            return Err(OutputError::NoSpaceForAll {
                paths,
                needed,
                available,
            }
            .into());
        }
    }
    Ok(())
}

/// Refuses a file of `len` bytes at `path` if the file system does not support this length.
pub(crate) fn require_file_len(path: &Path, len: u64) -> Result<(), OpsError> {
    match hod_fsx::file_len_max(existing_ancestor(path)?)? {
        Some(max) if len > max => Err(OutputError::FileTooLong {
            path: path.to_owned(),
            len,
            max,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Refuses an output that is a file or directory which is read for it.
pub(crate) fn require_other<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), OpsError> {
    let Some(there) = hod_fsx::try_stat(output)? else {
        return Ok(());
    };
    for input in inputs {
        // A missing input, or stdin, cannot be overwritten.
        if hod_fsx::try_stat(input)?.is_some_and(|stat| stat.identity == there.identity) {
            return Err(OpsError::OutputIsSource {
                path: output.to_owned(),
            });
        }
    }
    Ok(())
}

/// Tests a link of the first blob that is a file, and refuses if the system cannot create it at
/// `output`: for example across bind mounts, or on a file system without reflinks.
pub(crate) fn require_links(
    source: &dyn Source,
    plan: &Plan,
    output: &Path,
    mode: LinkMode,
) -> Result<(), OpsError> {
    let file = |blob: &PlannedBlob| {
        let location = blob.from.first()?;
        source.blob_file(location, &blob.descriptor.digest)
    };
    let Some(file) = plan.blobs.iter().find_map(file) else {
        return Ok(());
    };
    let near = existing_ancestor(output)?;
    let kind = hod_fsx::try_link(&file, near, mode)
        .err()
        .map(|error| error.kind());
    // Any other error occurs again during the copy, and is reported then.
    let Some(IoKind::CannotLink | IoKind::CrossDevice | IoKind::Unsupported) = kind else {
        return Ok(());
    };
    let available = hod_fsx::available(near)?;
    Err(OutputError::CannotLink {
        path: output.to_owned(),
        mode,
        needed: plan.len(),
        available,
    }
    .into())
}

/// Refuses hardlinks between two file systems, with what copies would cost.
pub(crate) fn require_same_filesystem(
    source: &Path,
    output: &Path,
    needed: u64,
) -> Result<(), OpsError> {
    let near = existing_ancestor(output)?;
    if hod_fsx::same_filesystem(source, near)? {
        return Ok(());
    }
    let available = hod_fsx::available(near)?;
    Err(OutputError::CrossDevice {
        path: output.to_owned(),
        needed,
        available,
    }
    .into())
}
