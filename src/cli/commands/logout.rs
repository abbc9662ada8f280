//! `hod logout`

use super::session::Session;
use super::target::RegistryPath;
use crate::cli::Exit;
use crate::cli::args::LogoutArgs;
use crate::cli::error::CommandError;
use crate::cli::settings;
use crate::cli::ui::format_count;
use hod_ops::{LogoutOptions, LogoutScope};

pub(super) async fn run(session: &Session<'_>, args: &LogoutArgs) -> Result<Exit, CommandError> {
    let file = settings::login_file(args.authfile.as_deref())?;
    let scope = match &args.registry {
        Some(name) => {
            let RegistryPath {
                registry,
                prefix: repository,
            } = super::login::registry_name(name)?;
            LogoutScope::One {
                registry,
                repository,
            }
        }
        None => LogoutScope::All,
    };
    let options = LogoutOptions { file, scope };
    let outcome = hod_ops::logout(&options).await?;
    session.progress.finish();
    let path = options.file.path().display();
    match &options.scope {
        LogoutScope::All => session.printer.message(&format!(
            "removed {} from `{path}`",
            format_count(outcome.n_forgotten, "login")
        )),
        LogoutScope::One {
            registry,
            repository,
        } => {
            let name = args.registry.as_deref().unwrap_or_default();
            session
                .printer
                .message(&format!("removed the login for `{name}` from `{path}`"));
            let rest = settings::stored_credentials(
                args.authfile.as_deref(),
                session.reporter().as_ref(),
            )?;
            if let Some(origin) = rest.origin(registry, repository.as_ref()) {
                session.printer.warning(&format!(
                    "there is another login for `{name}`, from {origin}"
                ));
            }
        }
    }
    Ok(Exit::Done)
}
