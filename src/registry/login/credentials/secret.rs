//! Texts that are never shown, and the logins made of them.

use std::fmt;

use hod_report::redact;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the request it is sent in; from then on it is hidden in messages.
    pub(crate) fn reveal(&self) -> &str {
        redact::hide_sent(&self.0);
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// As whom to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// A user and a password, as a password challenge and token servers take them.
    Password { username: String, password: Secret },
    /// A refresh token of the OAuth2 kind, for which a token server gives out tokens.
    IdentityToken(Secret),
    /// A token that is sent to the registry as it is (`registrytoken`).
    BearerToken(Secret),
}

impl Login {
    /// A user with a password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    /// The user's name, where it is known: no token tells.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => Some(username),
            Self::IdentityToken(_) | Self::BearerToken(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", Login::password("u", "hunter2"));
        assert_eq!(shown, r#"Password { username: "u", password: [redacted] }"#);
    }
}
