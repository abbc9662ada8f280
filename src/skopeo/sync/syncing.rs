//! What is synchronized, and how.

use std::path::PathBuf;

use hod_oci::Digest;

use crate::copy::CopyFlags;
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::log::{Log, go_quoted};
use crate::name::ImageName;
use crate::screen::Screen;
use crate::trust::{Signing, Trust};

/// Where images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Docker,
    Dir,
    Yaml,
}

/// Where images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Docker,
    Dir,
}

/// The flags of the verb.
#[derive(Debug, Clone)]
pub(crate) struct SyncFlags {
    pub(crate) src: String,
    pub(crate) dest: String,
    pub(crate) scoped: bool,
    pub(crate) append_suffix: String,
    pub(crate) digestfile: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) keep_going: bool,
    pub(crate) copy: CopyFlags,
}

/// What the verb needs besides its flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syncing<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) log: &'a Log,
    pub(crate) screen: &'a Screen,
    pub(crate) flags: &'a SyncFlags,
    pub(crate) trust: &'a Trust,
    pub(crate) signing: &'a Signing,
}

/// One image and its destination.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) from: ImageName,
    pub(crate) to: ImageName,
}

/// What became of one image.
pub(crate) type Outcome = Done<Digest>;

impl SyncFlags {
    pub(super) fn ends(&self) -> Done<(From, To)> {
        let from = match self.src.as_str() {
            "" => return Err(Failure::new("A source transport must be specified")),
            "docker" => From::Docker,
            "dir" => From::Dir,
            "yaml" => From::Yaml,
            other => {
                let other = go_quoted(other);
                return Err(Failure::new(format!(
                    "{other} is not a valid source transport"
                )));
            }
        };
        let to = match self.dest.as_str() {
            "" => return Err(Failure::new("A destination transport must be specified")),
            "docker" => To::Docker,
            "dir" => To::Dir,
            other => {
                let other = go_quoted(other);
                return Err(Failure::new(format!(
                    "{other} is not a valid destination transport"
                )));
            }
        };
        if from == From::Dir && to == To::Dir {
            return Err(Failure::new(
                "sync from 'dir' to 'dir' not implemented, consider using rsync instead",
            ));
        }
        Ok((from, to))
    }
}
