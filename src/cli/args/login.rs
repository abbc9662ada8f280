//! The flags of the verbs about logins.

use clap::Args;

use super::RegistryArgs;

/// Log in to a registry: verify the password, then store it
///
/// The login is stored in `~/.docker/config.json`, where Docker, skopeo and podman find it, or by the
/// credential helper that this file names. The password comes from stdin, from `HOD_PASSWORD` or from a
/// prompt, never from an argument.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod login harbor.corp
  hod login harbor.corp --username 'robot$ci' --password-stdin < token
  hod login harbor.corp/offline -u 'robot$offline+ci' --password-stdin < token
  hod login harbor.corp --get-login")]
pub(crate) struct LoginArgs {
    /// The registry, or a project or repository in it
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    pub(crate) registry: String,

    /// The user name
    #[arg(long, short, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// Read the password from stdin
    #[arg(long, conflicts_with = "creds_stdin")]
    pub(crate) password_stdin: bool,

    /// Print the user who is logged in, and change nothing
    #[arg(long, conflicts_with_all = ["username", "password_stdin"])]
    pub(crate) get_login: bool,

    #[command(flatten)]
    pub(crate) reach: RegistryArgs,
}

/// Remove the login of a registry
#[derive(Debug, Args)]
#[command(override_usage = "\
hod logout [OPTIONS] <REGISTRY[/REPOSITORY]>
       hod logout [OPTIONS] --all")]
pub(crate) struct LogoutArgs {
    /// The registry, or the project or repository of the login
    #[arg(value_name = "REGISTRY[/REPOSITORY]", required_unless_present = "all")]
    pub(crate) registry: Option<String>,

    /// Remove all logins of the file
    #[arg(long, conflicts_with = "registry")]
    pub(crate) all: bool,

    /// Use this file instead of `REGISTRY_AUTH_FILE` or Docker's `config.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<std::path::PathBuf>,
}

/// Show how hod would reach a registry, then try it
///
/// Prints the login (without secrets), certificates, mirrors and proxy that would be used and the file
/// that configures each; then whether the registry answers, what it is, and whether it accepts the
/// login. Exits with 1 if the registry cannot be used.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod doctor harbor.corp
  hod doctor harbor.corp/offline/nginx --json")]
pub(crate) struct DoctorArgs {
    /// The registry, with an optional project, prefix or repository to check for pulls and pushes
    #[arg(value_name = "REGISTRY[/NAME]")]
    pub(crate) registry: String,

    /// Ignore registries.conf: use no mirrors, block nothing, expand no short names
    #[arg(long)]
    pub(crate) no_registries_conf: bool,

    #[command(flatten)]
    pub(crate) reach: RegistryArgs,
}
