//! Flags, environment and files, merged once; nothing above this reads them again.

mod credentials;
mod environment;
mod given;
mod list_registries;
mod lists;
mod outputs;
mod path;
mod policy;
mod signing;
mod trust;

pub(crate) use credentials::{
    Reach, Side, ask_hidden, containers_login_file, creds_stdin, environment_login, login_file,
    password_stdin, require_user, stored_credentials,
};
pub(crate) use given::{require_directory, require_given, require_path};
pub(crate) use lists::{
    ListInputs, ListUse, image_list, is_list, only_list, read_lists, require_no_section,
    require_one_stdin, syncer_logins,
};
pub(in crate::cli) use outputs::RETRY_LIST_START;
pub(crate) use outputs::{ResultKind, RunFiles, require_file, require_others, require_result};
pub(crate) use path::{is_login_argument, path, secrets};
pub(crate) use policy::trust_policy;
pub(crate) use signing::{reading, signer};
pub(crate) use trust::{registries_conf_of, system_trust};

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::{RegistryArgs, RenameArgs, UploadArgs};
use super::error::CommandError;
use environment::environment;
use hod_list::{HostPart, RenameRules};
use hod_oci::{Registry, RepositoryName};
use hod_registry::{
    Client, ClientOptions, Credentials, Drain, LimitOptions, Purpose, RegistriesConf, TrustOptions,
    UploadOptions,
};
use hod_report::{Event, Reporter};
use hod_retry::RetryPolicy;

/// Minimum of concurrent requests to one host, even with few jobs.
const REQUESTS_AT_ONCE_MIN: usize = 16;

/// A variable that is set, and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    environment(name)?.into_string().ok()
}

/// Whether the user asked every program for no colour (<https://no-color.org>).
pub(crate) fn no_colour() -> bool {
    environment("NO_COLOR").is_some()
}

/// The time of the members of a bundle: `SOURCE_DATE_EPOCH`, or 0.
pub(crate) fn source_date_epoch() -> Result<u64, CommandError> {
    let Some(value) = environment("SOURCE_DATE_EPOCH") else {
        return Ok(0);
    };
    let text = value.to_string_lossy().into_owned();
    text.parse()
        .map_err(|_| CommandError::SourceDateEpoch { value: text })
}

/// The purpose of a client.
#[derive(Debug)]
pub(crate) struct ClientFor<'a> {
    pub(crate) reach: Reach<'a>,
    /// Mirrors and rewrites for reading.
    pub(crate) registries_conf: RegistriesConf,
    pub(crate) purpose: Purpose,
}

/// A client with the user's credentials and trust for one side of a transfer, used by at most
/// `jobs` jobs at once.
pub(crate) async fn client(
    args: &RegistryArgs,
    jobs: usize,
    reporter: &Arc<dyn Reporter>,
    purpose: ClientFor<'_>,
) -> Result<Client, CommandError> {
    let credentials = credentials::credentials(args, &purpose.reach, reporter.as_ref()).await?;
    list_registries::warn_of_trust(args, purpose.reach.settings, reporter.as_ref());
    let insecure = list_registries::insecure(purpose.reach.given, reporter.as_ref());
    build(args, jobs, reporter, (credentials, insecure), purpose)
}

/// A client that knows no login: one is to be tried.
pub(crate) fn client_without_logins(
    args: &RegistryArgs,
    reporter: &Arc<dyn Reporter>,
) -> Result<Client, CommandError> {
    let purpose = ClientFor {
        reach: Reach {
            side: Side::Either,
            registries: Vec::new(),
            lists: &[],
            settings: &[],
            given: &[],
        },
        registries_conf: RegistriesConf::default(),
        purpose: Purpose::default(),
    };
    let nothing = (Credentials::default(), Vec::new());
    build(args, 1, reporter, nothing, purpose)
}

fn build(
    args: &RegistryArgs,
    jobs: usize,
    reporter: &Arc<dyn Reporter>,
    (credentials, may_lack_tls): (Credentials, Vec<Registry>),
    purpose: ClientFor<'_>,
) -> Result<Client, CommandError> {
    for registry in &args.insecure {
        reporter.event(Event::Warning {
            text: &format!(
                "the certificate of `{registry}` is not verified: anyone on the network path can \
                 read the login and change the data"
            ),
        });
    }
    let options = ClientOptions {
        credentials,
        trust: TrustOptions {
            may_lack_tls,
            ..trust::trust(args)?
        },
        registries_conf: purpose.registries_conf,
        plain_http: args.plain_http.clone(),
        retry: retry_policy(args),
        limits: LimitOptions {
            // As many as the large blobs and the small ones of the jobs together.
            at_once: (jobs * 3).max(REQUESTS_AT_ONCE_MIN),
            rate_max: args.max_rate,
            stall_timeout: Duration::from_secs(args.stall_timeout),
        },
        reporter: Arc::clone(reporter),
        user_agent: concat!("hod/", env!("CARGO_PKG_VERSION")).to_owned(),
        purpose: purpose.purpose,
    };
    Ok(Client::new(options)?)
}

/// The user's `registries.conf`, or none.
pub(crate) fn registries_conf(use_it: UseConf) -> Result<RegistriesConf, CommandError> {
    match use_it {
        UseConf::Yes => trust::registries_conf(),
        UseConf::No => Ok(RegistriesConf::default()),
    }
}

/// Whether `registries.conf` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseConf {
    Yes,
    No,
}

impl UseConf {
    /// The value of `--no-registries-conf`.
    pub(crate) fn unless(no_registries_conf: bool) -> Self {
        if no_registries_conf {
            Self::No
        } else {
            Self::Yes
        }
    }
}

/// The number of retries and the delays between them.
pub(crate) fn retry_policy(args: &RegistryArgs) -> RetryPolicy {
    let usual = RetryPolicy {
        max: Duration::from_mins(1),
        ..RetryPolicy::default()
    };
    match args.retries {
        None => usual,
        Some(n) => RetryPolicy {
            attempts: n.saturating_add(1),
            outage: Duration::ZERO,
            ..usual
        },
    }
}

/// The rename rules, with the prefix of a push's target.
pub(crate) fn rename_rules(args: &RenameArgs, prefix: Option<RepositoryName>) -> RenameRules {
    RenameRules {
        host: if args.strip_host {
            HostPart::Strip
        } else {
            HostPart::Keep
        },
        project: args.project.clone(),
        renames: args.rename.clone(),
        prefix,
    }
}

/// Options for uploads, and the directory for the sessions of the next run.
pub(crate) fn uploads(args: &UploadArgs, drain: &Drain) -> UploadOptions {
    UploadOptions {
        chunk_len: args.chunk_size.0,
        sessions: state_dir().map(|dir| dir.join("uploads")),
        drain: drain.clone(),
    }
}

/// `$XDG_STATE_HOME/hod`, else `~/.local/state/hod`; relative paths do not count there (XDG base
/// directory specification).
fn state_dir() -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let state = environment("XDG_STATE_HOME").and_then(absolute);
    let home = || environment("HOME").and_then(absolute);
    let state = state.or_else(|| Some(home()?.join(".local/state")))?;
    Some(state.join("hod"))
}
