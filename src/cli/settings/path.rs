//! Values that must be paths, and the secrets that people give in their place.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::super::error::CommandError;
use super::environment::raw_environment;
use hod_report::redact::{self, Secrets};

/// Variables that name a file, or whose value is in messages.
const VARIABLES: [&str; 6] = [
    "CONTAINERS_REGISTRIES_CONF",
    "DOCKER_CONFIG",
    "HOD_SIGN_KEY",
    "HOD_VERIFY_KEY",
    "REGISTRY_AUTH_FILE",
    "SOURCE_DATE_EPOCH",
];

/// Flags, of hod and of others, behind which people write a login or a password.
const LOGIN_FLAGS: [&str; 20] = [
    "--creds",
    "--creds-stdin",
    "--dcreds",
    "--dest-creds",
    "--dest-password",
    "--dest-registry-token",
    "--get-login",
    "--pass",
    "--password",
    "--password-stdin",
    "--registry-token",
    "--screds",
    "--sign-password-stdin",
    "--src-creds",
    "--src-password",
    "--src-registry-token",
    "--user",
    "--username",
    "-p",
    "-u",
];

/// Parses `value` of the flag or variable `name` as a path; refuses a value that can only be the
/// content of the file: the name of a file that cannot be opened is printed, and the content may be
/// a secret.
pub(crate) fn path(name: &'static str, value: &OsStr) -> Result<PathBuf, CommandError> {
    let path = PathBuf::from(value);
    let text = value.to_string_lossy();
    let is_login =
        || redact::is_like_login(&text) && !matches!(hod_fsx::try_stat(&path), Ok(Some(_)));
    let content = redact::content_kind(&text).or_else(|| is_login().then_some("a login"));
    match content {
        Some(content) => Err(CommandError::NotAPath { name, content }),
        None => Ok(path),
    }
}

/// The secrets among the arguments and in the variables of the environment.
pub(crate) fn secrets(arguments: &[OsString]) -> Secrets {
    let mut secrets = Secrets::default();
    let variables = VARIABLES.into_iter().filter_map(raw_environment);
    for variable in variables {
        secrets.add(&variable.to_string_lossy());
    }
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        secrets.add(&text);
        // As in `login HOST --username USER:PASSWORD`.
        if is_login_argument(&text, arguments) && redact::is_like_login(&text) {
            secrets.add_login(&text);
        }
        if let Some((flag, value)) = text.split_once('=').filter(|_| text.starts_with('-')) {
            secrets.add(value);
            if LOGIN_FLAGS.contains(&flag) {
                secrets.add_login(value);
            }
        } else if text.starts_with('-')
            && let Some(value) = text.get(2..)
        {
            secrets.add(value);
        }
    }
    secrets
}

/// Returns true if an unexpected word is at the usual position of a login or password.
pub(crate) fn is_login_argument(word: &str, arguments: &[OsString]) -> bool {
    let is_flag = |flag: &OsString| LOGIN_FLAGS.iter().any(|known| flag == known);
    let mut pairs = arguments.windows(2);
    pairs.any(|pair| is_flag(&pair[0]) && pair[1] == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_not_paths() {
        for (text, expect) in [
            ("/etc/hod/site.key", None),
            ("keys/a:b", None),
            ("Cargo.toml", None),
            ("robot\nsecret", Some("several lines")),
            ("u:p", Some("a login")),
            ("/gone/u:p", None),
            ("./u:p", None),
        ] {
            let found = match path("HOD_SIGN_KEY", OsStr::new(text)) {
                Ok(path) => {
                    assert_eq!(path, PathBuf::from(text));
                    None
                }
                Err(CommandError::NotAPath { content, .. }) => Some(content),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn logins_follow_their_flags() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        let arguments = words("hod login host --creds-stdin u:p --json x");
        assert!(is_login_argument("u:p", &arguments));
        assert!(!is_login_argument("x", &arguments));
        let hidden = secrets(&words("hod push --creds=robot:geheim u:passwort@host a"));
        assert_eq!(
            hidden.hide("robot:geheim geheim passwort a"),
            "*** *** *** a"
        );
    }
}
