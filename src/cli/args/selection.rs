//! Flags for choosing images and their names.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::fsx::LinkMode;
use crate::list::RenameRule;
use crate::oci::RepositoryName;

/// Lists that a verb cannot do without.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Lists of images: files, directories with `*.list` and `*.txt`, or `-` for stdin
    ///
    /// One image a line, `[registry/]repository[:tag][@digest]`, with an optional second column for
    /// the name it is carried under, and `platform=linux/amd64,linux/arm64`. `#` starts a comment,
    /// and a line `##name` opens a section. A lock of `hod pull --lock` is a list too.
    #[arg(required = true, value_name = "LIST")]
    pub(crate) lists: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Vec<String>,
}

/// Lists that narrow what a source has.
#[derive(Debug, Args)]
pub(crate) struct OnlyArgs {
    /// Only the images of this list: a file (`@` before it is fine), a directory, or `-` for stdin;
    /// may be given several times
    #[arg(long, value_name = "LIST")]
    pub(crate) only: Vec<PathBuf>,

    /// Only the images of this section of the lists; may be given several times
    #[arg(long, value_name = "NAME", requires = "only")]
    pub(crate) section: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Names")]
pub(crate) struct RenameArgs {
    /// Take the registry off stored names: `quay.io/coreos/etcd` becomes `coreos/etcd`
    #[arg(long)]
    pub(crate) strip_host: bool,

    /// Put everything into this project: `library/nginx` becomes `P/nginx`, `coreos/etcd` becomes
    /// `P/coreos/etcd`
    #[arg(long, value_name = "P")]
    pub(crate) project: Option<RepositoryName>,

    /// Rename what matches, `*` standing for any rest; the first match wins; may be given several
    /// times
    #[arg(long, value_name = "'quay.io/*=platform/*'")]
    pub(crate) rename: Vec<RenameRule>,
}

/// How to take over a blob that is a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LinkArg {
    /// A second name of the same file: costs nothing, needs one file system
    Hard,
    /// A copy that shares its blocks: needs XFS, Btrfs or the like
    Reflink,
    /// A full, verified copy
    Copy,
}

impl From<LinkArg> for LinkMode {
    fn from(arg: LinkArg) -> Self {
        match arg {
            LinkArg::Hard => Self::Hard,
            LinkArg::Reflink => Self::Reflink,
            LinkArg::Copy => Self::Copy,
        }
    }
}
