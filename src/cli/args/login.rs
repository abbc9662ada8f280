//! The flags of the verbs about logins.

use clap::Args;

use super::RegistryArgs;

/// Log in to a registry: check the password, then store it
///
/// It is stored where Docker keeps it, `~/.docker/config.json`, which skopeo and podman read too, or
/// by the helper that this file names. The password comes from stdin, from `HOD_PASSWORD`, or is
/// asked for; it is never an argument.
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

    /// The user
    #[arg(long, short, value_name = "USER")]
    pub(crate) username: Option<String>,

    /// Take the password from stdin
    #[arg(long, conflicts_with = "creds_stdin")]
    pub(crate) password_stdin: bool,

    /// Only print who is logged in
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
    /// The registry, or the project or repository in it that was logged in to
    #[arg(value_name = "REGISTRY[/REPOSITORY]", required_unless_present = "all")]
    pub(crate) registry: Option<String>,

    /// Remove all logins of the file
    #[arg(long, conflicts_with = "registry")]
    pub(crate) all: bool,

    /// The file, in place of `REGISTRY_AUTH_FILE` and of Docker's `config.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<std::path::PathBuf>,
}

/// Show how a registry would be reached, then try it
///
/// Which login, certificates, mirrors and proxy would be used and which file says so, without the
/// secrets; then whether it answers, what it is, and whether it takes the login. Exits 1 if it
/// cannot be used.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  hod doctor harbor.corp
  hod doctor harbor.corp/offline/nginx --json")]
pub(crate) struct DoctorArgs {
    /// The registry, and what is pulled from or pushed to in it: a project, a prefix or a repository
    #[arg(value_name = "REGISTRY[/NAME]")]
    pub(crate) registry: String,

    /// Ignore registries.conf: no mirrors, nothing blocked, no short names
    #[arg(long)]
    pub(crate) no_registries_conf: bool,

    #[command(flatten)]
    pub(crate) reach: RegistryArgs,
}
