//! The programs that keep logins: `docker-credential-X get|store|erase`.
//!
//! `get` and `erase` read the server's name on stdin, `store` reads JSON; `get` answers with JSON.
//! A failure is a non-zero exit with the message on **stdout**
//! (docker/docker-credential-helpers). All of it blocks.

use serde::{Deserialize, Serialize};

use super::{Login, Secret};
use crate::HelperError;
use hod_report::presentable;

/// The user's name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// Messages that mean that there is no login, which is not a failure.
const NOT_FOUND: [&str; 3] = [
    "credentials not found in native keychain",
    "no credentials server URL",
    "no credentials username",
];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// Asks for the login of `server`; `None` when the helper has none.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<Login>, HelperError> {
    let output = run(helper, "get", server.as_bytes())?;
    read_answer(helper, &output)
}

/// Has the helper keep a login.
pub(super) fn store(helper: &str, server: &str, login: &Login) -> Result<(), HelperError> {
    let (username, secret) = match login {
        Login::Password { username, password } => (username.as_str(), password),
        Login::IdentityToken(token) | Login::BearerToken(token) => (TOKEN_USER, token),
    };
    let wire = Wire {
        server_url: server.to_owned(),
        username: username.to_owned(),
        secret: secret.reveal().to_owned(),
    };
    let input = serde_json::to_vec(&wire).expect("three texts are JSON");
    let output = run(helper, "store", &input)?;
    if output.is_success {
        Ok(())
    } else {
        Err(failed(helper, &output))
    }
}

/// Has the helper forget a login; false when it had none.
pub(super) fn erase(helper: &str, server: &str) -> Result<bool, HelperError> {
    let output = run(helper, "erase", server.as_bytes())?;
    if output.is_success {
        Ok(true)
    } else if is_not_found(&output) {
        Ok(false)
    } else {
        Err(failed(helper, &output))
    }
}

fn run(helper: &str, verb: &str, input: &[u8]) -> Result<hod_program::Output, HelperError> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if helper.is_empty() || !helper.bytes().all(is_name) {
        return Err(HelperError::Name {
            helper: presentable(helper).unwrap_or_default(),
        });
    }
    hod_program::run(&format!("docker-credential-{helper}"), &[verb], input).map_err(|error| {
        match error {
            hod_program::Error::Absent { .. } => HelperError::Absent {
                helper: helper.to_owned(),
            },
            hod_program::Error::Run { source, .. } => HelperError::Failed {
                helper: helper.to_owned(),
                message: source.to_string(),
            },
        }
    })
}

fn read_answer(helper: &str, output: &hod_program::Output) -> Result<Option<Login>, HelperError> {
    if !output.is_success {
        return if is_not_found(output) {
            Ok(None)
        } else {
            Err(failed(helper, output))
        };
    }
    let wire: Wire = serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Answer {
        helper: helper.to_owned(),
    })?;
    Ok(match wire.username.as_str() {
        TOKEN_USER => Some(Login::IdentityToken(Secret::new(wire.secret))),
        // As some helpers say that they have nothing.
        "" if wire.secret.is_empty() => None,
        _ => Some(Login::password(wire.username, wire.secret)),
    })
}

fn is_not_found(output: &hod_program::Output) -> bool {
    let said = String::from_utf8_lossy(&output.stdout);
    NOT_FOUND.contains(&said.trim())
}

fn failed(helper: &str, output: &hod_program::Output) -> HelperError {
    let say = |bytes: &[u8]| presentable(&String::from_utf8_lossy(bytes));
    let message = say(&output.stdout).or_else(|| say(&output.stderr));
    HelperError::Failed {
        helper: helper.to_owned(),
        message: message.unwrap_or_else(|| "it does not say why".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_logins_or_none_or_failures() {
        #[track_caller]
        fn check(is_success: bool, stdout: &str, expect: Result<Option<Login>, &str>) {
            let output = hod_program::Output {
                is_success,
                stdout: stdout.into(),
                stderr: b"on stderr".to_vec(),
            };
            let actual = read_answer("x", &output).map_err(|error| error.to_string());
            assert_eq!(actual, expect.map_err(str::to_owned), "{stdout}");
        }
        check(
            true,
            r#"{"ServerURL":"a.b","Username":"u","Secret":"hunter2"}"#,
            Ok(Some(Login::password("u", "hunter2"))),
        );
        check(
            true,
            r#"{"Username":"<token>","Secret":"t"}"#,
            Ok(Some(Login::IdentityToken(Secret::new("t")))),
        );
        check(true, r#"{"Username":"","Secret":""}"#, Ok(None));
        check(
            true,
            "hunter2",
            Err("credential helper `docker-credential-x` did not answer with a login"),
        );
        for text in NOT_FOUND {
            check(false, &format!("{text}\n"), Ok(None));
        }
        check(
            false,
            "the keyring\nis locked\n",
            Err("credential helper `docker-credential-x` failed: the keyring is locked"),
        );
        check(
            false,
            "",
            Err("credential helper `docker-credential-x` failed: on stderr"),
        );
    }

    #[test]
    fn only_helpers_are_run() {
        for name in ["", "../../tmp/x", "a b", "x;y"] {
            let error = get(name, "a.b").unwrap_err();
            assert!(matches!(error, HelperError::Name { .. }), "{name}");
        }
        let absent = get("nobody-has-this", "a.b").unwrap_err();
        assert_eq!(
            absent.to_string(),
            "credential helper `docker-credential-nobody-has-this` is not on PATH"
        );
    }
}
