//! Why a file cannot be added to a bundle.

use std::path::PathBuf;

use super::elf::NotATool;
use hod_bundle::EntryPathError;
use hod_report::{Diagnose, Diagnosis, ErrorClass};

/// Maximum number of templates.
pub(super) const N_TEMPLATES_MAX: usize = 1000;

/// A file that cannot be added to a bundle.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    #[error("`{}` cannot be included as a tool: {problem}", path.display())]
    Tool { path: PathBuf, problem: NotATool },
    #[error("`{}` and another tool are both for {arch}", path.display())]
    ToolTwice { path: PathBuf, arch: &'static str },
    #[error("`{}` cannot be put into the bundle", path.display())]
    Path {
        path: PathBuf,
        source: EntryPathError,
    },
    #[error("the name of `{}` is not UTF-8 text", path.display())]
    Name { path: PathBuf },
    #[error("`{}` cannot be written to `{destination}`, which is reserved for hod", path.display())]
    Reserved { path: PathBuf, destination: String },
    #[error("two files would be `{destination}` in the bundle, one of them `{}`", path.display())]
    Twice { path: PathBuf, destination: String },
    #[error("`{}` is not a file or a directory", path.display())]
    Special { path: PathBuf },
    #[error("`{}` does not contain files", path.display())]
    Nothing { path: PathBuf },
    #[error("template `{}` is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("no template uses `--set {key}`")]
    Setting { key: String, known: Vec<String> },
    #[error("`{}` has more than {N_TEMPLATES_MAX} templates", path.display())]
    ManyTemplates { path: PathBuf },
}

impl Diagnose for CarryError {
    fn diagnose(&self) -> Diagnosis {
        let templates: String;
        Diagnosis::new(ErrorClass::Usage).hint(match self {
            Self::Setting { known, .. } => {
                templates = format!("The templates use `{}`.", known.join("` and `"));
                templates.as_str()
            }
            Self::Tool {
                problem: NotATool::Dynamic,
                ..
            } => "Nothing was written. `make dist` builds a static hod.",
            Self::Tool { .. } => "A tool is a hod for Linux, as `make dist` builds it.",
            Self::ToolTwice { .. } => "Name one tool for each architecture.",
            Self::Path { .. } | Self::Name { .. } => {
                "Paths in a bundle are relative, without `.` and `..`, control characters and \
                 backslashes."
            }
            Self::Reserved { .. } => "Choose another path: `hod/` and `docker/` are reserved.",
            Self::Twice { .. } => {
                "To change a text that hod writes, such as `README.txt`, put it into a directory and \
                 name that with `--template-dir`."
            }
            Self::Special { .. } => {
                "Links in directories are not followed. Name their targets instead."
            }
            Self::Nothing { .. } => "`--file SRC=DST` takes a file, or a directory with files.",
            Self::NotText { .. } | Self::ManyTemplates { .. } => {
                "Include files that are not templates with `--file SRC=DST`."
            }
        })
    }
}
