//! The trust policy of a run.

use std::path::PathBuf;
use std::sync::Arc;

use super::client_without_logins;
use super::environment::environment;
use super::given::{read_given, require_directory};
use super::path::path;
use crate::cli::args::{PolicyArgs, RegistryArgs};
use crate::cli::error::CommandError;
use hod_ops::TrustPolicy;
use hod_report::Reporter;
use hod_trust::{POLICY_LEN_MAX, Policy, RegistriesDPaths};

const POLICY: &str = "--policy";
const REGISTRIES_D: &str = "--registries-d";
/// The transports whose images hod knows by names with a host.
const NAMED: [&str; 3] = ["docker", "store", "bundle"];

/// Reads the policy that the flags name, and where signatures are; `None` without a policy.
pub(crate) fn trust_policy(
    args: &PolicyArgs,
    registry: &RegistryArgs,
    reporter: &Arc<dyn Reporter>,
) -> Result<Option<TrustPolicy>, CommandError> {
    let Some(given) = &args.policy else {
        return Ok(None);
    };
    let file = path(POLICY, given.as_os_str())?;
    let content = read_given(POLICY, &file, POLICY_LEN_MAX)?;
    let policy = Policy::parse(&file, &content)?;
    let mut transports = NAMED.into_iter();
    if let Some(scope) = transports.find_map(|transport| policy.capital_host(transport)) {
        return Err(CommandError::CapitalScope {
            scope: scope.to_owned(),
            path: file,
        });
    }
    let explicit = match &args.registries_d {
        Some(given) => {
            let dir = path(REGISTRIES_D, given.as_os_str())?;
            require_directory(REGISTRIES_D, &dir)?;
            Some(dir)
        }
        None => None,
    };
    let registries_d = RegistriesDPaths {
        explicit,
        home: environment("HOME").map(PathBuf::from),
    };
    Ok(Some(TrustPolicy {
        policy: Arc::new(policy),
        registries_d: Arc::new(registries_d.read()?),
        web: client_without_logins(registry, reporter)?,
    }))
}
