//! Flags for reaching registries.

use std::path::PathBuf;

use clap::Args;

use crate::oci::Registry;

#[derive(Debug, Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Take logins from this file and no other: containers' `auth.json` or Docker's `config.json`
    ///
    /// Else from the file that `REGISTRY_AUTH_FILE` names, and no other; else from all that
    /// containers and Docker use, the first that has one for the registry.
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,

    /// Take the login from the first line of stdin, `user:password`
    ///
    /// It counts before the variables `HOD_SOURCE_USERNAME` and `HOD_SOURCE_PASSWORD` (for what is
    /// read), `HOD_TARGET_USERNAME` and `HOD_TARGET_PASSWORD` (for what is written), then
    /// `HOD_USERNAME` and `HOD_PASSWORD`, and these before all files.
    #[arg(long)]
    pub(crate) creds_stdin: bool,

    /// Trust the CAs of this PEM file, besides the system's and those in `certs.d`; may be given
    /// several times
    ///
    /// For one host, as Docker and containers have it: `ca.crt`, `client.cert` and `client.key` in
    /// `certs.d/HOST[:PORT]` below `~/.config/containers`, `/etc/containers` or `/etc/docker`.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,

    /// Do not verify the certificate of this registry; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) insecure: Vec<Registry>,

    /// Speak plain HTTP with this registry; may be given several times
    ///
    /// HTTPS is spoken with every registry but those on this machine (localhost, 127.0.0.0/8),
    /// and with those too that are `--insecure` or have certificates in a `certs.d`.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) plain_http: Vec<Registry>,

    /// How often to try again after a failure that may pass
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) retries: u32,
}
