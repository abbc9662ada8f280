//! Results that machines read: the report, the retry list, the digests.
//!
//! The files are created before the work starts, so that a path that cannot be written is reported
//! early, and appear complete at the end, whether the run succeeded or not.

mod amounts;
mod document;
mod junit;
mod retry_list;
mod run;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::args::ResultsArgs;
use super::error::CommandError;
use super::settings::{ResultKind, RunFiles};
use document::Document;
pub(super) use document::Failure;
use hod_fsx::ResultFile;
use hod_ops::{ImageReport, ImageStatus};
pub(super) use run::Run;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Junit,
}

impl Format {
    /// The format according to the name of a file.
    fn of(path: &Path) -> Result<Self, CommandError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("xml") => Ok(Self::Junit),
            _ => Err(CommandError::ReportName {
                path: path.to_owned(),
            }),
        }
    }
}

/// The files that a run was asked for.
#[derive(Debug)]
pub(super) struct Results {
    verb: &'static str,
    report: Option<(Format, Output)>,
    retry_list: Option<Output>,
    digest_file: Option<Output>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: ResultFile,
}

impl Results {
    /// Creates the files; refuses a report whose name has no known extension.
    pub(super) fn begin(
        verb: &'static str,
        args: &ResultsArgs,
        files: &RunFiles<'_>,
    ) -> Result<Self, CommandError> {
        files.require_apart(args)?;
        let format = args.report.as_deref().map(Format::of).transpose()?;
        Ok(Self {
            verb,
            report: format.zip(begin(args.report.as_deref(), ResultKind::Report)?),
            retry_list: begin(args.retry_list.as_deref(), ResultKind::RetryList)?,
            digest_file: begin(args.digest_file.as_deref(), ResultKind::Digests)?,
        })
    }

    /// Whether names of images are worth finding out.
    pub(super) fn are_wanted(&self) -> bool {
        self.report.is_some() || self.retry_list.is_some()
    }

    /// Writes the files.
    pub(super) fn write(self, run: &Run<'_>) -> Result<(), CommandError> {
        if let Some((format, output)) = self.report {
            let document = Document::new(self.verb, run);
            let rendered = match format {
                Format::Json => document.json(),
                Format::Junit => Ok(junit::render(&document).into_bytes()),
            };
            let bytes = rendered.map_err(|source| CommandError::Rendering {
                path: output.path.clone(),
                source,
            })?;
            output.write(&bytes)?;
        }
        // Where a run ended before its images were known, an earlier list stays.
        let is_known = run.found.is_ok() || run.list.is_some() || !run.names.is_empty();
        if let Some(output) = self.retry_list.filter(|_| is_known) {
            output.write(retry_list::render(self.verb, run).as_bytes())?;
        }
        if let Some(output) = self.digest_file {
            let images = run.found.map_or(&[][..], |found| &found.images);
            output.write(digests(images).as_bytes())?;
        }
        Ok(())
    }
}

fn begin(path: Option<&Path>, kind: ResultKind) -> Result<Option<Output>, CommandError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let is_kind = |text: &str| kind.is_start(text);
    let file = ResultFile::create_of(path, is_kind).map_err(|source| CommandError::OutputPath {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(Output {
        path: path.to_owned(),
        file,
    }))
}

impl Output {
    fn write(self, bytes: &[u8]) -> Result<(), CommandError> {
        self.file
            .write(bytes)
            .map_err(|source| CommandError::Results {
                path: self.path,
                source,
            })
    }
}

/// A line for each image that is at its destination; for a single image only the digest, as in
/// skopeo.
fn digests(images: &[ImageReport]) -> String {
    let is_there =
        |image: &&ImageReport| matches!(image.status, ImageStatus::Done | ImageStatus::Unchanged);
    let there = images.iter().filter(is_there);
    let there = there.filter_map(|image| Some((&image.destination, image.digest.as_ref()?)));
    if images.len() == 1 {
        return there.map(|(_, digest)| digest.to_string()).collect();
    }
    let mut text = String::new();
    for (destination, digest) in there {
        writeln!(text, "{destination} {digest}").expect("a string takes all text");
    }
    text
}
