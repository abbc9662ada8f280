//! The signer of bundles and the trusted keys, from flags, the environment and files.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::super::args::{BundleArgs, SignArgs};
use super::super::error::CommandError;
use super::environment::{config_home, environment, required_text};
use super::given::{self, read_given, require_directory};
use super::{ask_hidden, password_stdin};
use hod_bundle::{
    KEY_LEN_MAX, KeyError, Password, PublicKey, ReadOptions, SecretKey, SignHelper, Signer, Trust,
};
use hod_report::{Event, Reporter};

/// The prefix of the name of a helper; without it, the value is a file.
const HELPER_PREFIX: &str = "helper:";
const SYSTEM_TRUSTED: &str = "/etc/hod/trusted.d";
/// The prefix and length of every public key in base64.
const PUBLIC_KEY: (&str, usize) = ("RW", 56);

/// Options for reading bundles.
pub(crate) fn reading(args: &BundleArgs) -> Result<ReadOptions, CommandError> {
    for dir in &args.volume_dir {
        require_directory("--volume-dir", dir)?;
    }
    Ok(ReadOptions {
        volume_dirs: args.volume_dir.clone(),
        trust: trust(args)?,
    })
}

/// The trusted keys: a bundle must be signed with one of them. A file that is not a key is an
/// error: otherwise a mistake would turn verification off.
fn trust(args: &BundleArgs) -> Result<Trust, CommandError> {
    let mut trust = Trust::default();
    let mut add = |key: PublicKey| {
        if !trust.keys.contains(&key) {
            trust.keys.push(key);
        }
    };
    for given in &args.verify_key {
        add(given_key("--verify-key", given)?);
    }
    if let Some(given) = required_text("HOD_VERIFY_KEY")? {
        add(given_key("HOD_VERIFY_KEY", &given)?);
    }
    let own = config_home().map(|dir| dir.join("hod/trusted.d"));
    for dir in [PathBuf::from(SYSTEM_TRUSTED)].into_iter().chain(own) {
        for path in trusted_keys(&dir)? {
            let bytes = hod_fsx::read(&path, KEY_LEN_MAX)?;
            add(public_key(&path, bytes)?);
        }
    }
    Ok(trust)
}

/// The files of a directory of trusted keys, if it exists. A directory with files but without a key
/// is an error; a `README` is allowed.
fn trusted_keys(dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let no_keys = |problem| CommandError::TrustedDir {
        path: dir.to_owned(),
        problem,
    };
    let Some(stat) = hod_fsx::try_stat(dir)? else {
        return match hod_fsx::broken_link(dir)? {
            None => Ok(Vec::new()),
            Some(path) => Err(CommandError::TrustedDir {
                path,
                problem: "is a link to something that does not exist",
            }),
        };
    };
    if !stat.is_dir {
        return Err(no_keys("is not a directory"));
    }
    let mut names = hod_fsx::read_dir_names(dir)?;
    names.retain(|name| {
        let name = name.as_encoded_bytes();
        !name.starts_with(b".") && !name.starts_with(b"README")
    });
    let paths = names.iter().map(|name| dir.join(name));
    let is_key = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pub");
    let keys: Vec<PathBuf> = paths.filter(is_key).collect();
    if keys.is_empty() && !names.is_empty() {
        return Err(no_keys("has files, but none that is named `*.pub`"));
    }
    Ok(keys)
}

/// A public key, or a file that has one, as the flag or variable `name` gives it.
fn given_key(name: &'static str, given: &str) -> Result<PublicKey, CommandError> {
    let (prefix, len) = PUBLIC_KEY;
    // CI systems keep the quotes of a variable.
    let given = given.trim().trim_matches(['"', '\'']);
    if given.len() == len && given.starts_with(prefix) {
        return given.parse().map_err(|source| CommandError::Key {
            name: given.to_owned(),
            source,
        });
    }
    let path = super::path::path(name, OsStr::new(given))?;
    let bytes = read_given(name, &path, KEY_LEN_MAX)?;
    public_key(&path, bytes)
}

fn public_key(path: &Path, bytes: Vec<u8>) -> Result<PublicKey, CommandError> {
    let key = given::text(path, bytes)?.parse();
    key.map_err(|source| key_error(path, source))
}

/// The signer of a new bundle, if any. `lists` are the inputs of the verb; one of them may be
/// stdin.
///
/// Opens the key, which may take seconds, or asks a helper for its public key.
pub(crate) async fn signer(
    args: &SignArgs,
    lists: &[PathBuf],
    reporter: &dyn Reporter,
) -> Result<Option<Signer>, CommandError> {
    let (by, given) = match &args.sign {
        Some(given) => ("--sign", Some(given.clone())),
        None => ("HOD_SIGN_KEY", required_text("HOD_SIGN_KEY")?),
    };
    if let Some(name) = given.as_ref().and_then(|g| g.strip_prefix(HELPER_PREFIX)) {
        let helper = SignHelper::new(name).map_err(CommandError::Sign)?;
        return Ok(Some(
            Signer::from_helper(helper).map_err(CommandError::Sign)?,
        ));
    }
    let (path, content) = match given {
        Some(path) => {
            let path = super::path::path(by, OsStr::new(&path))?;
            let content = given::text(&path, read_given(by, &path, KEY_LEN_MAX)?)?;
            (path, content)
        }
        None => match required_text("HOD_SIGN_KEY_DATA")? {
            Some(content) => (PathBuf::from("HOD_SIGN_KEY_DATA"), content),
            None if args.sign_password_stdin => return Err(CommandError::NoSignKey),
            None => return Ok(None),
        },
    };
    let password = match password(args, lists).await? {
        None if is_sealed(&content) && std::io::stdin().is_terminal() => {
            reporter.event(Event::Note {
                text: &format!("password of secret key `{}` (not shown):", path.display()),
            });
            Some(Password::new(ask_hidden().await?))
        }
        given => given,
    };
    let key = SecretKey::open(&content, password.as_ref());
    let key = key.map_err(|source| key_error(&path, source))?;
    // A key that is readable by others is only worth a warning: CI systems mount them so.
    let key_path = path.clone();
    let stat = hod_bridge::run(move || hod_fsx::try_stat(&key_path)).await?;
    if !is_sealed(&content) && stat.is_some_and(|stat| stat.is_shared()) {
        reporter.event(Event::Warning {
            text: &format!(
                "secret key `{}` is not encrypted, and other users can read it",
                path.display()
            ),
        });
    }
    Ok(Some(Signer::from_key(key)))
}

async fn password(args: &SignArgs, lists: &[PathBuf]) -> Result<Option<Password>, CommandError> {
    if args.sign_password_stdin {
        if lists.iter().any(|path| path.as_os_str() == "-") {
            return Err(CommandError::StdinTwice {
                flag: "--sign-password-stdin",
            });
        }
        return Ok(Some(Password::new(password_stdin().await?)));
    }
    Ok(text("HOD_SIGN_PASSWORD")?.map(Password::new))
}

/// Whether the key wants a password.
fn is_sealed(content: &str) -> bool {
    matches!(
        SecretKey::open(content, None),
        Err(KeyError::PasswordNeeded)
    )
}

fn text(name: &'static str) -> Result<Option<String>, CommandError> {
    let text = environment(name).map(OsString::into_string).transpose();
    text.map_err(|_| CommandError::NotUtf8 { name })
}

fn key_error(path: &Path, source: KeyError) -> CommandError {
    CommandError::Key {
        name: path.display().to_string(),
        source,
    }
}
