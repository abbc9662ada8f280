//! Tokens: how the answer of a token server is read, and for how long a token is used.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::login::credentials::{Login, Secret};
use hod_report::redact;

/// The shortest life of a token: the specification has clients take this for any shorter.
const LIFE_MIN: u64 = 60;
/// The longest life that is believed.
const LIFE_MAX: u64 = 24 * 60 * 60;
/// Time before its expiry at which a token is no longer used, so that a request with it can finish.
const MARGIN_MAX: Duration = Duration::from_mins(5);

/// A token with the header it is sent in.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    authorization: HeaderValue,
    /// The identity token to use from now on.
    refresh: Option<Secret>,
    fetched_at: Instant,
    fresh_until: Instant,
}

impl Token {
    /// Parses the answer of a token server that arrived at `now`; its expiry is relative to that.
    pub(crate) fn parse(bytes: &[u8], now: Instant) -> Option<Self> {
        let wire: Value = serde_json::from_slice(bytes).ok()?;
        let text = |name: &str| wire[name].as_str().filter(|text| !text.is_empty());
        let token = text("token").or_else(|| text("access_token"))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        redact::hide_sent(token);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is bounded below"
        )]
        let life = seconds(&wire["expires_in"]).unwrap_or_default() as u64;
        let life = Duration::from_secs(life.clamp(LIFE_MIN, LIFE_MAX));
        Some(Self {
            authorization,
            refresh: text("refresh_token").map(|text| {
                redact::hide_sent(text);
                Secret::new(text)
            }),
            fetched_at: now,
            fresh_until: now + life.saturating_sub(MARGIN_MAX.min(life / 4)),
        })
    }

    /// Takes the identity token that came with it.
    pub(crate) fn take_refresh(&mut self) -> Option<Secret> {
        self.refresh.take()
    }

    pub(crate) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    pub(crate) fn fetched_at(&self) -> Instant {
        self.fetched_at
    }

    /// Whether a request may begin with it.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }
}

/// A number, which some servers send as a text.
fn seconds(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// The header of a password challenge; `None` for a login without a password.
pub(crate) fn basic(login: &Login) -> Option<HeaderValue> {
    use base64::Engine as _;
    let Login::Password { username, password } = login else {
        return None;
    };
    let text = format!("{username}:{}", password.reveal());
    redact::hide_sent(&text);
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    redact::hide_sent(&text);
    let mut value =
        HeaderValue::try_from(format!("Basic {text}")).expect("base64 is legal in a header");
    value.set_sensitive(true);
    Some(value)
}

/// Returns the header of a token that needs no token server.
pub(crate) fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_servers_parse() {
        #[track_caller]
        fn check(json: &str, expect: Option<(&str, u64)>) {
            let now = Instant::now();
            let token = Token::parse(json.as_bytes(), now);
            let actual = token.as_ref().map(|token| {
                (
                    token.authorization.to_str().unwrap(),
                    (token.fresh_until - now).as_secs(),
                )
            });
            assert_eq!(actual, expect, "{json}");
        }
        check(r#"{"token": "t"}"#, Some(("Bearer t", 45)));
        check(
            r#"{"token": "", "access_token": "a"}"#,
            Some(("Bearer a", 45)),
        );
        check(
            r#"{"token": "t", "access_token": "a"}"#,
            Some(("Bearer t", 45)),
        );
        check(r#"{"token": "t", "expires_in": 1}"#, Some(("Bearer t", 45)));
        check(
            r#"{"token": "t", "expires_in": -9}"#,
            Some(("Bearer t", 45)),
        );
        check(
            r#"{"token": "t", "expires_in": 300}"#,
            Some(("Bearer t", 225)),
        );
        for text in [r#""300""#, r#"" 300 ""#] {
            check(
                &format!(r#"{{"token": "t", "expires_in": {text}}}"#),
                Some(("Bearer t", 225)),
            );
        }
        check(
            r#"{"token": "t", "expires_in": "soon"}"#,
            Some(("Bearer t", 45)),
        );
        check(
            r#"{"token": "t", "expires_in": 1800.5, "issued_at": "?"}"#,
            Some(("Bearer t", 1500)),
        );
        check(
            r#"{"token": "t", "expires_in": 1e300}"#,
            Some(("Bearer t", 86_100)),
        );
        check(r#"{"token": "two\nlines"}"#, None);
        check("{}", None);
        check("<html>", None);
    }
}
