//! Clients of registries by the flags of one side of a command.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hod_oci::Registry;
use hod_registry::{
    Client, ClientOptions, Credentials, LimitOptions, Login, Purpose, RegistriesConf, Secret,
};
use hod_report::Silent;
use hod_retry::RetryPolicy;

use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::wording;

/// How many requests one host gets at once.
const REQUESTS_AT_ONCE: usize = 24;
/// Without progress for so long, a connection is given up.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The flags of one side that are about its registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryFlags {
    pub(crate) creds: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) registry_token: Option<String>,
    /// Of a file that `sync` reads; no flag has it.
    pub(crate) identity_token: Option<String>,
    pub(crate) no_creds: bool,
    pub(crate) cert_dir: Option<PathBuf>,
    /// Unset: `registries.conf` decides.
    pub(crate) tls_verify: Option<bool>,
    pub(crate) authfile: Option<PathBuf>,
    pub(crate) registries_conf: Option<PathBuf>,
    pub(crate) user_agent_prefix: Option<String>,
}

impl RegistryFlags {
    /// The login that the flags state, and whether they state that there is none.
    fn login(&self) -> Done<Option<Login>> {
        if self.creds.is_some() && self.no_creds {
            return refused("creds and no-creds cannot be specified at the same time");
        }
        if self.username.is_some() && self.no_creds {
            return refused("username and no-creds cannot be specified at the same time");
        }
        if self.creds.is_some() && self.username.is_some() {
            return refused("creds and username cannot be specified at the same time");
        }
        match (&self.username, &self.password) {
            (Some(_), None) => refused("password must be specified when username is specified"),
            (None, Some(_)) => refused("username must be specified when password is specified"),
            (Some(username), Some(password)) => Ok(Some(Login::password(username, password))),
            (None, None) => self.creds.as_deref().map(creds).transpose(),
        }
    }

    /// Checks the combination of flags, whatever the transport.
    pub(crate) fn check(&self) -> Done {
        self.login().map(drop)
    }

    /// A client for one registry. Blocks; nothing is sent.
    pub(crate) fn client(&self, host: &dyn Host, registry: &Registry) -> Done<Client> {
        let conf = host.registries_conf(self.registries_conf.as_deref())?;
        let options = ClientOptions {
            credentials: self.credentials(host, registry)?,
            trust: self.trust(host, registry, &conf)?,
            registries_conf: conf,
            plain_http: Vec::new(),
            retry: RetryPolicy::default(),
            limits: LimitOptions {
                at_once: REQUESTS_AT_ONCE,
                rate_max: None,
                stall_timeout: STALL_TIMEOUT,
            },
            reporter: Arc::new(Silent),
            user_agent: self.user_agent(),
            purpose: Purpose::default(),
        };
        Client::new(options).map_err(|error| wording::of_registry(&error))
    }

    fn credentials(&self, host: &dyn Host, registry: &Registry) -> Done<Credentials> {
        let given = self.login()?;
        let token = self.registry_token.as_ref();
        let identity = self.identity_token.as_ref();
        let identity = identity.map(|token| Login::IdentityToken(Secret::new(token)));
        let given = token
            .map(|token| Login::BearerToken(Secret::new(token)))
            .or(identity)
            .or(given);
        let mut credentials = if self.no_creds {
            Credentials::anonymous()
        } else {
            host.credentials(self.authfile.as_deref())?
        };
        if let Some(login) = given {
            credentials.give(registry.clone(), login, "--creds");
        }
        Ok(credentials)
    }

    fn trust(
        &self,
        host: &dyn Host,
        registry: &Registry,
        conf: &RegistriesConf,
    ) -> Done<hod_registry::TrustOptions> {
        let mut trust = host.trust()?;
        trust.is_loopback_tls = true;
        if let Some(dir) = &self.cert_dir {
            let name = registry.as_str().to_owned();
            trust.certs_d.insert(name, dir.clone());
        }
        match self.tls_verify {
            Some(true) => {}
            Some(false) => trust.may_lack_tls.push(registry.clone()),
            None => trust.may_lack_tls.extend(conf.insecure()),
        }
        Ok(trust)
    }

    pub(crate) fn user_agent(&self) -> String {
        let own = concat!("skopeo/1.22.0-dev hod/", env!("CARGO_PKG_VERSION"));
        match &self.user_agent_prefix {
            Some(prefix) => format!("{prefix} {own}"),
            None => own.to_owned(),
        }
    }
}

fn refused<T>(text: &str) -> Done<T> {
    Err(Failure::new(text))
}

/// `USERNAME[:PASSWORD]`; without a colon, the password is empty.
fn creds(text: &str) -> Done<Login> {
    if text.is_empty() {
        return refused("credentials can't be empty");
    }
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    if username.is_empty() {
        return refused("username can't be empty");
    }
    Ok(Login::password(username, password))
}
