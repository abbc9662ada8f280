//! Logins: from flags, the environment, and the files of containers and Docker.

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use super::super::args::RegistryArgs;
use super::super::error::CommandError;
use super::environment::{apart, config_home, environment};
use super::given::read_given;
use super::list_registries;
use super::path::path;
use crate::cli::terminal::{self, Echo};
use hod_list::RegistrySettings;
use hod_oci::Registry;
use hod_registry::{Credentials, Login, LoginFile};
use hod_report::{Event, Reporter};

/// The longest file of credentials that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 4 * 1024 * 1024;
/// The longest login that is read from stdin, in bytes: tokens are long.
const STDIN_LEN_MAX: u64 = 64 * 1024;

/// The role of a registry in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Target,
    /// A source, in a run that has targets too.
    SourceBesideTarget,
    /// Not known: it is examined.
    Either,
}

/// The side of a transfer whose logins a client uses.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    pub(crate) side: Side,
    /// The possible registries of a login without one; more than one is an error.
    pub(crate) registries: Vec<Registry>,
    /// The inputs of the verb; one of them may be stdin.
    pub(crate) lists: &'a [PathBuf],
    /// What the lists say about registries.
    pub(crate) settings: &'a [RegistrySettings],
    /// What a file says about registries that the user named for that.
    pub(crate) given: &'a [RegistrySettings],
}

/// All credentials, in the order in which they count.
pub(super) async fn credentials(
    args: &RegistryArgs,
    reach: &Reach<'_>,
    reporter: &dyn Reporter,
) -> Result<Credentials, CommandError> {
    let mut credentials = Credentials::anonymous();
    let mut given = None;
    if let Some((login, by)) = given_login(args, reach, reporter).await? {
        let [registry] = reach.registries.as_slice() else {
            let registries = reach.registries.iter().map(ToString::to_string);
            return Err(CommandError::WhoseLogin {
                by,
                registries: registries.collect(),
            });
        };
        credentials.give(registry.clone(), login, by);
        given = Some(registry);
    }
    list_registries::add_given(&mut credentials, reach.given)?;
    // The file that the user names is the only one.
    if args.authfile.is_none() {
        list_registries::add_logins(&mut credentials, reach.settings, given, reporter)?;
    }
    if let Some((by, path)) = auth_file(args.authfile.as_deref())? {
        let bytes = read_given(by, &path, CONFIG_LEN_MAX)?;
        add(&mut credentials, &path, &bytes)?;
    } else {
        add_files(&mut credentials, reporter)?;
    }
    Ok(credentials)
}

/// The credentials of the files; a file named by the user may be missing.
pub(crate) fn stored_credentials(
    flag: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Credentials, CommandError> {
    let mut credentials = Credentials::anonymous();
    match auth_file(flag)? {
        Some((_, path)) => {
            if let Some(bytes) = hod_fsx::try_read(&path, CONFIG_LEN_MAX)? {
                add(&mut credentials, &path, &bytes)?;
            }
        }
        None => add_files(&mut credentials, reporter)?,
    }
    Ok(credentials)
}

/// Adds the existing files. An unusable file is skipped with a warning: the login may be elsewhere,
/// or not required.
fn add_files(credentials: &mut Credentials, reporter: &dyn Reporter) -> Result<(), CommandError> {
    if let Some(text) = environment("DOCKER_AUTH_CONFIG") {
        let path = Path::new("DOCKER_AUTH_CONFIG");
        let added = add(credentials, path, text.to_string_lossy().as_bytes());
        warn(reporter, path, added);
    }
    for path in config_files()? {
        let added = match hod_fsx::try_read(&path, CONFIG_LEN_MAX) {
            Ok(Some(bytes)) => add(credentials, &path, &bytes),
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        warn(reporter, &path, added);
    }
    if let Some(home) = environment("HOME") {
        let path = Path::new(&home).join(".dockercfg");
        let added = match hod_fsx::try_read(&path, CONFIG_LEN_MAX) {
            Ok(Some(bytes)) => credentials
                .add_dockercfg(path.display().to_string(), &bytes)
                .map_err(|source| CommandError::Credentials {
                    path: path.clone(),
                    source,
                }),
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        warn(reporter, &path, added);
    }
    Ok(())
}

fn warn(reporter: &dyn Reporter, path: &Path, added: Result<(), CommandError>) {
    if let Err(error) = added {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!(
            "logins in `{}` are ignored: {error}{}",
            path.display(),
            cause.unwrap_or_default()
        );
        reporter.event(Event::Warning { text: &text });
    }
}

fn add(credentials: &mut Credentials, path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    credentials
        .add_file(path.display().to_string(), bytes)
        .map_err(|source| CommandError::Credentials {
            path: path.to_owned(),
            source,
        })
}

/// The one file that the user named, by flag or by variable.
fn auth_file(flag: Option<&Path>) -> Result<Option<(&'static str, PathBuf)>, CommandError> {
    let given = match flag {
        Some(path) => Some(("--authfile", path.as_os_str().to_owned())),
        None => environment("REGISTRY_AUTH_FILE").map(|value| ("REGISTRY_AUTH_FILE", value)),
    };
    given
        .map(|(by, value)| Ok((by, path(by, &value)?)))
        .transpose()
}

/// The file that `hod login` writes: the one that the user named, else Docker's, which all read.
pub(crate) fn login_file(flag: Option<&Path>) -> Result<LoginFile, CommandError> {
    let file = match auth_file(flag)? {
        Some((_, path)) => Some(path),
        None => docker_config()?,
    };
    file.map(LoginFile::new).ok_or(CommandError::NoHome)
}

/// The file that containers' tools write logins to, unless the user named one.
pub(crate) fn containers_login_file(given: Option<&Path>) -> Result<PathBuf, CommandError> {
    if let Some((_, path)) = auth_file(given)? {
        return Ok(path);
    }
    if environment("DOCKER_CONFIG").is_some()
        && let Some(path) = docker_config()?
    {
        return Ok(path);
    }
    Ok(runtime_auth_file())
}

/// `$XDG_RUNTIME_DIR/containers/auth.json`
fn runtime_auth_file() -> PathBuf {
    let runtime = environment("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.map(|dir| dir.join("containers"));
    let runtime = runtime
        .unwrap_or_else(|| Path::new("/run/containers").join(hod_fsx::user_id().to_string()));
    runtime.join("auth.json")
}

/// The files of containers, then Docker's.
fn config_files() -> Result<Vec<PathBuf>, CommandError> {
    let mut files = vec![runtime_auth_file()];
    files.extend(config_home().map(|dir| dir.join("containers/auth.json")));
    files.extend(docker_config()?);
    Ok(files)
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
fn docker_config() -> Result<Option<PathBuf>, CommandError> {
    let dir = match environment("DOCKER_CONFIG") {
        Some(dir) => Some(path("DOCKER_CONFIG", &dir)?),
        None => environment("HOME").map(|home| Path::new(&home).join(".docker")),
    };
    Ok(dir.map(|dir| dir.join("config.json")))
}

/// The login that was given for this run only, and the flag or variable that gave it.
async fn given_login(
    args: &RegistryArgs,
    reach: &Reach<'_>,
    reporter: &dyn Reporter,
) -> Result<Option<(Login, &'static str)>, CommandError> {
    if args.creds_stdin {
        if reach.lists.iter().any(|path| path.as_os_str() == "-") {
            return Err(CommandError::StdinTwice {
                flag: "--creds-stdin",
            });
        }
        return Ok(Some((creds_stdin(reporter).await?, "--creds-stdin")));
    }
    let source = ("HOD_SOURCE_USERNAME", "HOD_SOURCE_PASSWORD");
    let target = ("HOD_TARGET_USERNAME", "HOD_TARGET_PASSWORD");
    let own: &[_] = match reach.side {
        Side::Source | Side::SourceBesideTarget => &[source],
        Side::Target => &[target],
        Side::Either => &[target, source],
    };
    // If registries are written to, too, the login is for those.
    let general: &[_] = match reach.side {
        Side::SourceBesideTarget => &[],
        _ => &[("HOD_USERNAME", "HOD_PASSWORD")],
    };
    for &(user, password) in own.iter().chain(general) {
        let (username, secret) = (environment(user), environment(password));
        match (username, secret) {
            (Some(username), Some(secret)) => {
                let text = |value: OsString, name| {
                    value
                        .into_string()
                        .map_err(|_| CommandError::NotUtf8 { name })
                };
                let username = require_user(user, text(username, user)?)?;
                let login = Login::password(username, text(secret, password)?);
                return Ok(Some((login, user)));
            }
            (Some(_), None) => {
                return Err(CommandError::HalfLogin {
                    has: user,
                    lacks: password,
                });
            }
            (None, Some(_)) => {
                return Err(CommandError::HalfLogin {
                    has: password,
                    lacks: user,
                });
            }
            (None, None) => {}
        }
    }
    Ok(None)
}

/// Refuses a user that the flag or variable `by` gives together with a password, which would be shown:
/// users have no colons (RFC 7617).
pub(crate) fn require_user(by: &'static str, username: String) -> Result<String, CommandError> {
    if username.contains(':') {
        Err(CommandError::UserColon { by })
    } else {
        Ok(username)
    }
}

/// Reads the first line of stdin as `user:password`.
///
/// On a terminal, the input is not shown.
pub(crate) async fn creds_stdin(reporter: &dyn Reporter) -> Result<Login, CommandError> {
    let line = if std::io::stdin().is_terminal() {
        reporter.event(Event::Note {
            text: "USER:PASSWORD (not shown):",
        });
        ask_hidden().await?
    } else {
        apart(|| {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .take(STDIN_LEN_MAX)
                .read_line(&mut line)
                .map_err(CommandError::CredsRead)?;
            Ok(line)
        })
        .await?
    };
    let line = line.trim_end_matches(['\r', '\n']);
    match line.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Login::password(user, password))
        }
        _ => Err(CommandError::CredsStdin),
    }
}

/// Reads all of stdin as a password, without the line break at its end.
///
/// On a terminal, the input is not shown.
pub(crate) async fn password_stdin() -> Result<String, CommandError> {
    if std::io::stdin().is_terminal() {
        let password = ask_hidden().await?;
        return if password.is_empty() {
            Err(CommandError::NoPassword)
        } else {
            Ok(password)
        };
    }
    let text = apart(|| {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(STDIN_LEN_MAX)
            .read_to_string(&mut text)
            .map_err(CommandError::CredsRead)?;
        Ok(text)
    })
    .await?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CommandError::NoPassword);
    }
    Ok(text.to_owned())
}

/// Reads a line from the terminal without echo.
pub(crate) async fn ask_hidden() -> Result<String, CommandError> {
    let line = hod_bridge::run(|| terminal::read_line(Echo::Hidden)).await;
    line.map_err(CommandError::CredsRead)
}

/// The user and the password of the variables that are for every side, each if it is set.
pub(crate) fn environment_login() -> (Option<String>, Option<String>) {
    let text = |name| environment(name).and_then(|value| value.into_string().ok());
    (text("HOD_USERNAME"), text("HOD_PASSWORD"))
}
