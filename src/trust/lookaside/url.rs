//! URLs of signatures, which may have a password.

use std::fmt;

/// A URL whose password is not displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureUrl(String);

impl SignatureUrl {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns all of it, for requests.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Display for SignatureUrl {
    /// Writes it as Go does, with `xxxxx` for the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.0.split_once("://").and_then(|(scheme, rest)| {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (login, host) = rest[..end].rsplit_once('@')?;
            let (user, _) = login.split_once(':')?;
            Some(format!("{scheme}://{user}:xxxxx@{host}{}", &rest[end..]))
        });
        let shown = hidden.as_deref().unwrap_or(&self.0);
        f.write_str(&crate::go_text::plain(shown))
    }
}

impl fmt::Debug for SignatureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
