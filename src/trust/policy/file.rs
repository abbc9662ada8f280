//! The files in which a policy can be.

use std::path::{Path, PathBuf};

use hod_report::ErrorClass::Usage;
use hod_report::{Diagnose, Diagnosis};

use super::{POLICY_LEN_MAX, Policy, parse};
use crate::go_text::quoted;

/// Where to look for a policy. Nothing of the environment is read here.
#[derive(Debug, Clone, Default)]
pub struct PolicyPaths {
    /// The file that the user named, which must exist; then no other is looked for.
    pub explicit: Option<PathBuf>,
    /// The user's directory of configuration, usually `~/.config`.
    pub config_home: Option<PathBuf>,
}

/// Why there is no policy; nothing is accepted then. In the words of containers/image.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "config file not found: no policy.json file found; searched paths: [{}]",
        join(searched)
    )]
    NotFound { searched: Vec<PathBuf> },
    #[error("open {}: no such file or directory", path.display())]
    Absent { path: PathBuf },
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("invalid policy in {}: {problem}", quoted(&path.display().to_string()))]
    Invalid { path: PathBuf, problem: String },
}

fn join(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| quoted(&path.display().to_string()));
    paths.collect::<Vec<_>>().join(" ")
}

impl Diagnose for PolicyError {
    fn diagnose(&self) -> Diagnosis {
        match self {
            Self::NotFound { .. } => Diagnosis::refused(Usage).hint(
                "Write a policy: `{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}` accepts \
                 every image.",
            ),
            Self::File(error) => error.diagnose(),
            Self::Absent { .. } | Self::Invalid { .. } => Diagnosis::refused(Usage),
        }
    }
}

impl PolicyPaths {
    /// Returns the files in the order in which they are looked for.
    pub fn searched(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.explicit {
            return vec![path.clone()];
        }
        let home = self.config_home.as_deref();
        let dirs = home
            .into_iter()
            .chain([Path::new("/etc"), Path::new("/usr/share")]);
        dirs.map(|dir| dir.join("containers/policy.json")).collect()
    }

    /// Reads the first policy that exists. Blocks.
    pub fn read(&self) -> Result<Policy, PolicyError> {
        let searched = self.searched();
        for path in &searched {
            let content = hod_fsx::try_read(path, POLICY_LEN_MAX).map_err(PolicyError::File)?;
            if let Some(content) = content {
                return Policy::parse(path, &content);
            }
        }
        match &self.explicit {
            Some(path) => Err(PolicyError::Absent { path: path.clone() }),
            None => Err(PolicyError::NotFound { searched }),
        }
    }
}

impl Policy {
    /// Parses the content of the file `path`.
    pub fn parse(path: &Path, content: &[u8]) -> Result<Self, PolicyError> {
        let invalid = |problem| PolicyError::Invalid {
            path: path.to_owned(),
            problem,
        };
        let text = str::from_utf8(content).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
        parse::policy(text).map_err(|error| invalid(error.0))
    }
}
