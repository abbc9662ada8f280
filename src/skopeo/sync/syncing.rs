//! What is synchronized, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hod_oci::{Digest, Registry};
use hod_registry::Client;
use tokio::sync::Mutex;

use crate::client::RegistryFlags;
use crate::copy::CopyFlags;
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::log::Log;
use crate::name::{ImageName, Named};
use crate::screen::Screen;
use crate::source::OpenRegistry;
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
    pub(crate) sources: &'a Sources,
}

/// The clients for the registries that images come from, each opened once.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<BTreeMap<Registry, Client>>);

impl Sources {
    /// The client for the registry of a name. What the flags say of a registry is the same for all
    /// its repositories.
    pub(super) async fn open(
        &self,
        host: &dyn Host,
        flags: &RegistryFlags,
        named: &Named,
    ) -> Done<OpenRegistry> {
        let mut clients = self.0.lock().await;
        if let Some(client) = clients.get(&named.registry) {
            return Ok(OpenRegistry {
                client: client.clone(),
                repo: named.repo(),
            });
        }
        let opened = OpenRegistry::open(host, flags, named).await?;
        clients.insert(named.registry.clone(), opened.client.clone());
        Ok(opened)
    }
}

/// One image and its destination.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) from: ImageName,
    pub(crate) to: ImageName,
    /// How the registry that it comes from is reached.
    pub(crate) flags: RegistryFlags,
}

/// What became of one image.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The destination has the manifest or index of this digest.
    Present(Digest),
    Failed(Failure),
    /// Another one failed before.
    NotTried,
}

impl SyncFlags {
    pub(super) fn ends(&self) -> Done<(From, To)> {
        let from = match self.src.as_str() {
            "" => return Err(Failure::new("A source transport must be specified")),
            "docker" => From::Docker,
            "dir" => From::Dir,
            "yaml" => From::Yaml,
            other => {
                let other = hod_gotext::quote(other);
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
                let other = hod_gotext::quote(other);
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
