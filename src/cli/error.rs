//! Why a command failed, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::ui::OutputError;
use crate::fsx;
use crate::hint::Hint;
use crate::list::ListError;
use crate::oci::ReferenceError;
use crate::ops::OpsError;
use crate::registry::{CredentialsError, RegistryError};

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Lists(#[from] ListError),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Client(#[from] RegistryError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("image list `{}` cannot be read", path.display())]
    List { path: PathBuf, source: fsx::Error },
    #[error("`{}` has no `*.list` or `*.txt` files", path.display())]
    NoLists { path: PathBuf },
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("failed to read the list from stdin")]
    Stdin(#[source] io::Error),
    #[error("credentials in `{}` cannot be read", path.display())]
    Credentials {
        path: PathBuf,
        source: CredentialsError,
    },
    #[error("push target `{text}` is not of the form `REGISTRY[/PREFIX]`")]
    Target {
        text: String,
        source: ReferenceError,
    },
    #[error("`SOURCE_DATE_EPOCH` is `{value}`, which is not a number of seconds")]
    SourceDateEpoch { value: String },
    #[error("bundle `{}` must be named `.tar` or `.tar.zst`", path.display())]
    BundleName { path: PathBuf },
    #[error("one tree is packed at a time; lists are packed with `--store`")]
    ManyTrees,
    /// The problems themselves are the result, and stand on stdout.
    #[error("`{}` is damaged: {n_problems} ({what})", path.display())]
    Damaged {
        path: PathBuf,
        n_problems: String,
        what: String,
    },
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
}

impl CommandError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Ops(error) if error.is_usage() => Exit::Usage,
            Self::Ops(error) if error.is_refusal() => Exit::Refused,
            Self::Ops(error) if error.is_unverified() => Exit::NotVerified,
            Self::Damaged { .. } => Exit::NotVerified,
            Self::Lists(_)
            | Self::List { .. }
            | Self::NoLists { .. }
            | Self::NotText { .. }
            | Self::Stdin(_)
            | Self::Credentials { .. }
            | Self::Target { .. }
            | Self::SourceDateEpoch { .. }
            | Self::BundleName { .. }
            | Self::ManyTrees => Exit::Usage,
            Self::Ops(_) | Self::File(_) | Self::Client(_) | Self::Output(_) | Self::Runtime(_) => {
                Exit::Failed
            }
        }
    }

    /// What to do now.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Ops(error) => error.hint(),
            Self::Lists(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Client(error) => error.hint(),
            Self::Target { .. } => Some(
                "write it as in `harbor.corp:8443/offline`, without `https://` and without a tag"
                    .to_owned(),
            ),
            Self::BundleName { .. } => {
                Some("the name says whether to compress, so that nobody has to guess".to_owned())
            }
            Self::Damaged { .. } => Some(
                "delete the named files of a store and pull or unpack again, which fetches only \
                 what is missing; a damaged bundle must be copied or packed again"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
