//! How registries are filled, by the flags of the verbs that write them.

use std::path::PathBuf;

use super::session::Session;
use super::target::RegistryPath;
use crate::cli::args::{PreflightArgs, RegistryArgs, UploadArgs};
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, Reach, Side};
use hod_list::RegistrySettings;
use hod_oci::Registry;
use hod_ops::{CopyTarget, Preflight, Recheck, RegistryTarget};
use hod_registry::{NewProject, Purpose, RegistriesConf};

/// How registries are filled.
pub(super) struct Filling<'a> {
    /// The source and the lists; one of them may be stdin.
    pub(super) read: &'a [PathBuf],
    pub(super) registry: &'a RegistryArgs,
    pub(super) upload: &'a UploadArgs,
    pub(super) preflight: &'a PreflightArgs,
    pub(super) recheck: Recheck,
    /// Logins and trust of a file that the user named for that.
    pub(super) given: &'a [RegistrySettings],
}

impl Filling<'_> {
    /// The registries as targets, with one client for all of them.
    pub(super) async fn targets(
        &self,
        session: &Session<'_>,
        named: Vec<RegistryPath>,
    ) -> Result<Vec<Box<dyn CopyTarget>>, CommandError> {
        let registries = named.iter().map(|path| path.registry.clone());
        let mut registries: Vec<Registry> = registries.collect();
        registries.sort();
        registries.dedup();
        let purpose = ClientFor {
            reach: Reach {
                side: Side::Target,
                registries,
                lists: self.read,
                settings: &[],
                given: self.given,
            },
            registries_conf: RegistriesConf::default(),
            purpose: Purpose::Push,
        };
        let client = settings::client(self.registry, session.jobs, &session.reporter(), purpose)
            .await?
            .with_uploads(settings::uploads(self.upload, &session.drain));
        let how = (preflight(self.preflight), self.recheck);
        let targets = named.into_iter();
        let targets = targets.map(|RegistryPath { registry, prefix }| {
            RegistryTarget::new((registry, prefix), client.clone(), how)
        });
        Ok(targets.map(|target| Box::new(target) as _).collect())
    }
}

fn preflight(args: &PreflightArgs) -> Preflight {
    if args.no_preflight {
        return Preflight::Skip;
    }
    let create = args.create_projects.map(|access| NewProject {
        access: access.into(),
        storage_limit: args.project_quota.map(|quota| quota.0),
    });
    Preflight::Run { create }
}
