//! `hod login`

use std::io::IsTerminal as _;

use super::session::Session;
use super::target::RegistryPath;
use crate::cli::Exit;
use crate::cli::args::LoginArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::settings::{ClientFor, Reach, Side};
use crate::cli::terminal::{self, Echo};
use hod_oci::Registry;
use hod_ops::{LoginOptions, OpsError};
use hod_registry::{Kept, Login, Purpose, RegistriesConf};

pub(super) async fn run(session: &Session<'_>, args: &LoginArgs) -> Result<Exit, CommandError> {
    let RegistryPath {
        registry,
        prefix: repository,
    } = registry_name(&args.registry)?;
    let file = settings::login_file(args.reach.authfile.as_deref())?;
    if args.get_login {
        let purpose = ClientFor {
            reach: Reach {
                side: Side::Source,
                registries: vec![registry.clone()],
                lists: &[],
                settings: &[],
                given: &[],
            },
            registries_conf: RegistriesConf::default(),
            purpose: Purpose::Look,
        };
        let client =
            settings::client(&args.reach, session.jobs, &session.reporter(), purpose).await?;
        let found = client
            .session
            .find_login(&registry, repository.as_ref())
            .await?;
        let Some(found) = found else {
            return Err(CommandError::Ops(OpsError::NotLoggedIn {
                name: args.registry.clone(),
                path: file.path().to_owned(),
            }));
        };
        let who = found.login.username().unwrap_or("<token>");
        session.printer.result(who)?;
        return Ok(Exit::Done);
    }
    let login = given_login(session, args, &registry).await?;
    let options = LoginOptions {
        client: settings::client_without_logins(&args.reach, &session.reporter())?,
        registry,
        repository,
        login,
        file,
    };
    let cx = session.remote(settings::retry_policy(&args.reach));
    let outcome = hod_ops::login(&cx, &options).await?;
    session.progress.finish();
    let user = options.login.username().unwrap_or("<token>");
    let path = options.file.path().display();
    session.printer.message(&match outcome.kept {
        Kept::InFile => format!(
            "logged in to `{}` as `{user}`; the password is in `{path}`, not encrypted, readable only \
             by you",
            args.registry
        ),
        Kept::InHelper(helper) => format!(
            "logged in to `{}` as `{user}`; `docker-credential-{helper}` stores the password",
            args.registry
        ),
    });
    Ok(Exit::Done)
}

/// The login from stdin, from the environment, or from the person.
async fn given_login(
    session: &Session<'_>,
    args: &LoginArgs,
    registry: &Registry,
) -> Result<Login, CommandError> {
    if args.reach.creds_stdin {
        return settings::creds_stdin(&*session.reporter()).await;
    }
    let (own_user, own_password) = settings::environment_login();
    let is_person = std::io::stdin().is_terminal() && !args.password_stdin;
    let given = match (&args.username, own_user) {
        (Some(username), _) => Some(("--username", username.clone())),
        (None, Some(username)) => Some(("HOD_USERNAME", username)),
        (None, None) => None,
    };
    let username = match given {
        Some((by, username)) => settings::require_user(by, username)?,
        None if is_person => {
            session
                .printer
                .message(&format!("user name for `{registry}`:"));
            ask(Echo::Shown).await?
        }
        None => return Err(CommandError::NobodyToAsk { what: "user" }),
    };
    let password = if args.password_stdin {
        settings::password_stdin().await?
    } else if let Some(password) = own_password {
        password
    } else if is_person {
        let printer = session.printer;
        printer.message(&format!("password of `{username}` (not shown):"));
        ask(Echo::Hidden).await?
    } else {
        return Err(CommandError::NobodyToAsk { what: "password" });
    };
    if username.is_empty() || password.is_empty() {
        return Err(CommandError::NoPassword);
    }
    Ok(Login::password(username, password))
}

async fn ask(echo: Echo) -> Result<String, CommandError> {
    let line = hod_bridge::run(move || terminal::read_line(echo)).await;
    line.map_err(CommandError::CredsRead)
}

/// A registry, optionally with a part of it.
pub(super) fn registry_name(text: &str) -> Result<RegistryPath, CommandError> {
    super::target::target(text).map_err(|source| CommandError::RegistryName {
        text: text.to_owned(),
        source,
    })
}
