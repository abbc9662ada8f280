//! Outputs, checked before any work is done for them.

use std::path::{Path, PathBuf};

use super::lists::LIST_LEN_MAX;
use crate::cli::args::ResultsArgs;
use crate::cli::error::CommandError;
use hod_bundle::Receipt;
use hod_fsx::OutputKind;

/// How every retry list starts.
pub(in crate::cli) const RETRY_LIST_START: &str = "# hod ";

/// Refuses an output that is a directory, or has a name that no file can have.
pub(crate) fn require_output(path: &Path) -> Result<OutputKind, CommandError> {
    OutputKind::of(path).map_err(|source| CommandError::OutputPath {
        path: path.to_owned(),
        source,
    })
}

/// The kind of a file that a run writes; only a file of the same kind is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultKind {
    Lock,
    Receipt,
    Report,
    RetryList,
    Digests,
    /// What `hod sync` transferred.
    Images,
}

impl ResultKind {
    /// Whether a file that starts like this may be an earlier one.
    pub(crate) fn is_start(self, text: &str) -> bool {
        let first = text.lines().next().unwrap_or_default();
        match self {
            Self::Lock => first.contains("@sha"),
            Self::Receipt => Receipt::is_receipt(text.as_bytes()),
            Self::Report => first.starts_with(['{', '<']),
            Self::RetryList => first.starts_with(RETRY_LIST_START),
            Self::Images => {
                first.starts_with('{')
                    || first.is_empty()
                    || text
                        .lines()
                        .nth(1)
                        .is_some_and(|line| line.starts_with("- "))
            }
            Self::Digests => first.contains("sha256:") || first.contains("sha512:"),
        }
    }
}

/// Refuses an output like [`require_output`], and also an existing file of another kind, and a file
/// that this user cannot create.
pub(crate) fn require_result(path: &Path, kind: ResultKind) -> Result<(), CommandError> {
    let OutputKind::File(there) = require_output(path)? else {
        return Ok(());
    };
    let is_kind = |text: &str| kind.is_start(text);
    hod_fsx::require_text_of(&there, is_kind).map_err(|source| CommandError::OutputPath {
        path: path.to_owned(),
        source,
    })?;
    Ok(hod_ops::require_writable_file(path)?)
}

/// Refuses an output that is not a regular file, for formats that are not written in order.
pub(crate) fn require_file(path: &Path) -> Result<(), CommandError> {
    match require_output(path)? {
        OutputKind::File(_) => Ok(()),
        OutputKind::Stream => Err(CommandError::OutputStream {
            path: path.to_owned(),
        }),
    }
}

/// Files that a run reads and writes besides its reports.
#[derive(Debug, Default)]
pub(crate) struct RunFiles<'a> {
    pub(crate) inputs: Vec<&'a Path>,
    /// Lists; a retry list may replace an earlier one, so that a loop continues with the remaining
    /// images.
    pub(crate) lists: &'a [PathBuf],
    pub(crate) outputs: Vec<&'a Path>,
}

impl RunFiles<'_> {
    /// Refuses reports that would replace an input of the run, its result, or each other.
    pub(crate) fn require_apart(&self, args: &ResultsArgs) -> Result<(), CommandError> {
        let inputs: Vec<PathBuf> = self.inputs.iter().map(|path| path.to_path_buf()).collect();
        let retry_list = args.retry_list.as_deref();
        let others = [args.report.as_deref(), args.digest_file.as_deref()];
        let others: Vec<&Path> = others.into_iter().flatten().collect();
        require_others(&others, &[&inputs, self.lists].concat())?;
        let kept = self.lists.iter().filter(|list| !is_retry_list(list));
        let kept: Vec<PathBuf> = kept.cloned().collect();
        require_others(retry_list.as_slice(), &[inputs, kept].concat())?;
        let mut seen = Vec::new();
        let all = self.outputs.iter().copied().chain(others).chain(retry_list);
        for output in all.filter(|output| !hod_fsx::is_stdout(output)) {
            // A path that cannot be examined is refused when it is written.
            let path = hod_fsx::absolute(output);
            if hod_fsx::try_stat(&path).is_ok_and(|found| found.is_some_and(|stat| !stat.is_file)) {
                continue;
            }
            if seen.contains(&path) {
                return Err(CommandError::OutputTwice {
                    path: output.to_owned(),
                });
            }
            seen.push(path);
        }
        Ok(())
    }
}

/// Whether a list was written as the rest of a run, and not by a person.
fn is_retry_list(path: &Path) -> bool {
    let start = hod_fsx::try_read(path, LIST_LEN_MAX);
    matches!(start, Ok(Some(bytes)) if bytes.starts_with(RETRY_LIST_START.as_bytes()))
}

/// Refuses an output that is one of the input files, or is in one of the input directories.
pub(crate) fn require_others(outputs: &[&Path], inputs: &[PathBuf]) -> Result<(), CommandError> {
    let identity =
        |path: &Path| Ok::<_, hod_fsx::Error>(hod_fsx::try_stat(path)?.map(|s| s.identity));
    let mut read = Vec::new();
    for input in inputs.iter().filter(|input| !hod_fsx::is_stdin(input)) {
        let is_dir = hod_fsx::try_stat(input)?.is_some_and(|stat| stat.is_dir);
        if is_dir {
            for name in hod_fsx::read_dir_names(input)? {
                read.extend(identity(&input.join(name))?);
            }
        } else {
            read.extend(identity(input)?);
        }
    }
    for output in outputs {
        let is_file = hod_fsx::try_stat(output)?.is_some_and(|stat| stat.is_file);
        if is_file && identity(output)?.is_some_and(|identity| read.contains(&identity)) {
            return Err(CommandError::OutputIsInput {
                path: output.to_path_buf(),
            });
        }
    }
    Ok(())
}
