//! `skopeo login` and `skopeo logout`

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::PathBuf;

use hod_oci::{Registry, RepositoryName};
use hod_registry::{KeepError, Login, LoginCheck, LoginFile};
use hod_report::chain;

use crate::client::RegistryFlags;
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::name::Named;
use crate::wording;

/// The longest line or password that is read.
const INPUT_LEN_MAX: u64 = 64 * 1024;

/// The flags of both verbs.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct LoginFlags {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_stdin: bool,
    pub(crate) get_login: bool,
    pub(crate) verbose: bool,
    pub(crate) authfile: Option<PathBuf>,
    pub(crate) compat_authfile: Option<PathBuf>,
    pub(crate) cert_dir: Option<PathBuf>,
    pub(crate) tls_verify: Option<bool>,
    pub(crate) all: bool,
}

/// A registry or a part of it, as the user wrote it.
struct Key {
    text: String,
    registry: Registry,
    repository: Option<RepositoryName>,
}

impl Key {
    fn parse(text: &str) -> Done<Self> {
        let bare = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let text = match bare {
            Some(rest) => rest.split('/').next().unwrap_or_default(),
            None => text,
        };
        let registry = text.split('/').next().unwrap_or_default();
        let wrong = |error: &dyn std::error::Error| {
            Failure::new(format!(
                "parse reference from {}: {error}",
                hod_gotext::quote(text)
            ))
        };
        if registry != text {
            let named = Named::parse(text).map_err(|error| wrong(&error))?;
            if !named.is_name_only() {
                let named = hod_gotext::quote(named.to_string());
                return Err(Failure::new(format!(
                    "reference {named} contains tag or digest"
                )));
            }
        }
        let repository = text.split_once('/').map(|(_, path)| path.parse());
        Ok(Self {
            text: text.to_owned(),
            registry: registry.parse().map_err(|error| wrong(&error))?,
            repository: repository.transpose().map_err(|error| wrong(&error))?,
        })
    }
}

impl LoginFlags {
    fn file(&self, host: &dyn Host) -> Done<LoginFile> {
        if self.authfile.is_some() && self.compat_authfile.is_some() {
            return Err(Failure::new(
                "options for paths to the credential file and to the Docker-compatible credential \
                 file can not be set simultaneously",
            ));
        }
        let given = self.authfile.as_deref().or(self.compat_authfile.as_deref());
        Ok(LoginFile::new(host.login_file(given)?))
    }

    fn registry_flags(&self) -> RegistryFlags {
        RegistryFlags {
            cert_dir: self.cert_dir.clone(),
            tls_verify: self.tls_verify,
            authfile: self
                .authfile
                .clone()
                .or_else(|| self.compat_authfile.clone()),
            ..RegistryFlags::default()
        }
    }
}

/// Checks a login at its registry and stores it.
pub(crate) async fn login(host: &dyn Host, flags: &LoginFlags, args: &[String]) -> Done {
    let key = match args {
        [] => return Err(Failure::new("please provide a registry to log in to")),
        [key] => Key::parse(key)?,
        _ => return Err(Failure::new("login accepts only one registry to log in to")),
    };
    let file = flags.file(host)?;
    let client = flags.registry_flags().client(host, &key.registry)?;
    let found = client
        .session
        .find_login(&key.registry, key.repository.as_ref())
        .await
        .map_err(|error| wording::of_registry(&error).during("get credentials"))?;
    let known = found.as_ref().and_then(|found| found.login.username());
    if flags.get_login {
        let name = &key.text;
        let known = known.ok_or_else(|| Failure::new(format!("not logged into {name}")))?;
        println(known);
        return Ok(());
    }
    if let Some(found) = &found
        && matches!(*found.login, Login::IdentityToken(_))
    {
        return Err(Failure::new(
            "currently logged in, auth file contains an Identity token",
        ));
    }
    let stdin_password = stdin_password(flags)?;
    let password = stdin_password.or_else(|| flags.password.clone());
    client
        .find_scheme(&key.registry)
        .await
        .map_err(|error| refused(&key, &wording::of_registry(&error)))?;
    if flags.username.is_none()
        && password.is_none()
        && let Some(found) = &found
        && known.is_some()
    {
        let (name, registry) = (&key.text, &key.registry);
        println(&format!(
            "Authenticating with existing credentials for {name}"
        ));
        let check = LoginCheck::run(&client.session, registry, &found.login).await;
        if matches!(check, Ok(LoginCheck::Accepted | LoginCheck::NotNeeded)) {
            println(&format!(
                "Existing credentials are valid. Already logged in to {registry}"
            ));
            return Ok(());
        }
        println("Existing credentials are invalid, please enter valid username and password");
    }
    let username = match &flags.username {
        Some(username) => username.clone(),
        None => ask_username(known)?,
    };
    let password = match password {
        Some(password) => password,
        None => ask_password(host)?,
    };
    let login = Login::password(username.trim(), password);
    let check = LoginCheck::run(&client.session, &key.registry, &login).await;
    match check.map_err(|error| refused(&key, &wording::of_registry(&error)))? {
        LoginCheck::Accepted | LoginCheck::NotNeeded => {}
        LoginCheck::Refused(_) => {
            let name = hod_gotext::quote(&key.text);
            return Err(Failure::new(format!(
                "logging into {name}: invalid username/password"
            )));
        }
    }
    let path = file.path().to_owned();
    let Key {
        registry,
        repository,
        ..
    } = key;
    let kept = hod_bridge::run(move || file.keep(&registry, repository.as_ref(), &login)).await;
    kept.map_err(|error| of_file(&error))?;
    if flags.verbose {
        println(&format!("Used:  {}", path.display()));
    }
    println("Login Succeeded!");
    Ok(())
}

/// Removes a login.
pub(crate) async fn logout(host: &dyn Host, flags: &LoginFlags, args: &[String]) -> Done {
    for given in [&flags.authfile, &flags.compat_authfile]
        .into_iter()
        .flatten()
    {
        let given = given.clone();
        let found = hod_bridge::run(move || hod_fsx::stat(&given)).await;
        found.map_err(|error| {
            wording::of_file_call("faccessat", &error).during("credential file is not accessible")
        })?;
    }
    let file = flags.file(host)?;
    if flags.all {
        if !args.is_empty() {
            return Err(Failure::new("--all takes no arguments"));
        }
        let forgotten = hod_bridge::run(move || file.forget_all()).await;
        forgotten.map_err(|error| of_file(&error))?;
        println("Removed login credentials for all registries");
        return Ok(());
    }
    let key = match args {
        [] => return Err(Failure::new("please provide a registry to log out from")),
        [key] => Key::parse(key)?,
        _ => {
            return Err(Failure::new(
                "logout accepts only one registry to log out from",
            ));
        }
    };
    let (registry, repository) = (key.registry, key.repository);
    let forgotten = hod_bridge::run(move || file.forget(&registry, repository.as_ref())).await;
    let name = key.text;
    if forgotten.map_err(|error| of_file(&error))? {
        println(&format!("Removed login credentials for {name}"));
        Ok(())
    } else {
        Err(Failure::new(format!("not logged into {name}")))
    }
}

fn refused(key: &Key, failure: &Failure) -> Failure {
    let name = hod_gotext::quote(&key.text);
    Failure::new(format!("authenticating creds for {name}: {failure}"))
}

fn of_file(error: &KeepError) -> Failure {
    Failure::new(chain(error))
}

fn println(line: &str) {
    // Nobody is told of a login where nobody listens.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// All lines of stdin as one, if they are the password.
fn stdin_password(flags: &LoginFlags) -> Done<Option<String>> {
    if !flags.password_stdin {
        return Ok(None);
    }
    if flags.password.is_some() {
        return Err(Failure::new(
            "can't specify both --password-stdin and --password",
        ));
    }
    if flags.username.is_none() {
        return Err(Failure::new(
            "must provide --username with --password-stdin",
        ));
    }
    let mut text = String::new();
    let mut stdin = std::io::stdin().lock().take(INPUT_LEN_MAX);
    let read = stdin.read_to_string(&mut text);
    read.map_err(|error| Failure::new(format!("reading password: {error}")))?;
    Ok(Some(text.lines().collect()))
}

fn ask_username(known: Option<&str>) -> Done<String> {
    let prompt = match known {
        Some(known) => format!("Username ({known}): "),
        None => "Username: ".to_owned(),
    };
    print(&prompt);
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock().take(INPUT_LEN_MAX);
    let read = stdin.read_line(&mut line);
    let failed = |text: &str| Failure::new(format!("getting username and password: {text}"));
    match read {
        Ok(0) => return Err(failed("reading username: EOF")),
        Ok(_) => {}
        Err(error) => return Err(failed(&format!("reading username: {error}"))),
    }
    let given = line.trim();
    Ok(match (given, known) {
        ("", Some(known)) => known.to_owned(),
        (given, _) => given.to_owned(),
    })
}

fn ask_password(host: &dyn Host) -> Done<String> {
    print("Password: ");
    let password = host.hidden_line();
    let password = password.map_err(|error| {
        Failure::new(format!(
            "getting username and password: reading password: {error}"
        ))
    })?;
    println("");
    Ok(password)
}

fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // The answer is awaited in any case.
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}
