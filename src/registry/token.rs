//! Tokens: how one is asked for, read, and for how long it is used.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::auth::{Challenge, RegistryAuth, TokenKey};
use super::client::{Client, Target};
use super::credentials::{Login, Secret};
use super::endpoint::resolve;
use super::error::presentable;
use super::transport::{Answer, Call};
use super::{RegistryError, SafeUrl};

/// The longest answer of a token server, in bytes.
const TOKEN_LEN_MAX: u64 = 1024 * 1024;
/// The shortest life of a token: the specification has clients take this for any shorter.
const LIFE_MIN: u64 = 60;
/// The longest life that is believed.
const LIFE_MAX: u64 = 24 * 60 * 60;
/// How long before its end a token is no longer used, so that what begins with it can end.
const MARGIN_MAX: Duration = Duration::from_mins(5);

/// A token with the header it is sent in.
#[derive(Debug, Clone)]
pub(super) struct Token {
    authorization: HeaderValue,
    fetched_at: Instant,
    fresh_until: Instant,
}

#[derive(Deserialize)]
struct Wire {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
}

impl Token {
    /// Reads the answer of a token server, which came at `now`; the server's clock is not asked.
    fn parse(bytes: &[u8], now: Instant) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(bytes).ok()?;
        let filled = |text: &String| !text.is_empty();
        let token = wire.token.filter(filled);
        let token = token.or_else(|| wire.access_token.filter(filled))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is bounded below"
        )]
        let life = wire.expires_in.unwrap_or_default() as u64;
        let life = Duration::from_secs(life.clamp(LIFE_MIN, LIFE_MAX));
        Some(Self {
            authorization,
            fetched_at: now,
            fresh_until: now + life.saturating_sub(MARGIN_MAX.min(life / 4)),
        })
    }

    pub(super) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    pub(super) fn fetched_at(&self) -> Instant {
        self.fetched_at
    }

    /// Whether a request may begin with it.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }
}

/// The header of a password challenge; `None` for a login without a password.
pub(super) fn basic(login: &Login) -> Option<HeaderValue> {
    use base64::Engine as _;
    let Login::Password { username, password } = login else {
        return None;
    };
    let text = format!("{username}:{}", password.reveal());
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    let mut value =
        HeaderValue::try_from(format!("Basic {text}")).expect("base64 is legal in a header");
    value.set_sensitive(true);
    Some(value)
}

/// The header of a token that needs no token server.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Client {
    /// The `Authorization` that `target` is known to need; `None` before the first challenge, and
    /// where a password is wanted that is not known.
    pub(super) async fn authorization(
        &self,
        target: &Target<'_>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let auth = self.auth().of(target.registry);
        let Some(challenge) = auth.challenge() else {
            return Ok(None);
        };
        self.prepare_login(target).await?;
        let login = self.login(target);
        match challenge {
            Challenge::Basic => Ok(login.as_deref().and_then(basic)),
            Challenge::Bearer { realm, service } => {
                if let Some(Login::BearerToken(token)) = login.as_deref() {
                    return Ok(bearer(token));
                }
                let request = TokenRequest {
                    realm,
                    service,
                    login: login.as_deref(),
                    key: self.token_key(target),
                };
                let token = self.token(target, &auth, &request).await?;
                Ok(Some(token.authorization))
            }
        }
    }

    /// What a token for `target` must be good for.
    pub(super) fn token_key(&self, target: &Target<'_>) -> TokenKey {
        TokenKey {
            login: self.login(target),
            scopes: target.scopes.clone(),
        }
    }

    async fn token(
        &self,
        target: &Target<'_>,
        auth: &RegistryAuth,
        request: &TokenRequest<'_>,
    ) -> Result<Token, RegistryError> {
        if let Some(token) = auth.token(&request.key) {
            return Ok(token);
        }
        let fetch = auth.fetch_lock(&request.key);
        let _held = fetch.lock().await;
        // Whoever held it before has fetched the token, or failed to.
        if let Some(token) = auth.token(&request.key) {
            return Ok(token);
        }
        let fetch = self.fetch_token(target, request);
        let token = self
            .prove(target, request.key.login.as_ref(), fetch)
            .await?;
        auth.keep(request.key.clone(), token.clone());
        Ok(token)
    }

    async fn fetch_token(
        &self,
        target: &Target<'_>,
        request: &TokenRequest<'_>,
    ) -> Result<Token, RegistryError> {
        let root = self.root(target.registry)?;
        let url = request.url(&root).ok_or_else(|| RegistryError::Realm {
            registry: target.registry.clone(),
            realm: presentable(&request.realm).unwrap_or_default(),
        })?;
        if root.scheme() == "https" && url.scheme() == "http" {
            return Err(RegistryError::PlainRealm {
                registry: target.registry.clone(),
                realm: SafeUrl::new(&url),
            });
        }
        let mut call = Call::new(Method::GET, url);
        call.behalf = Some(root);
        let authorization = request.login.and_then(basic);
        let answer = self.transport().send(&call, authorization.as_ref()).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(target, answer).await);
        }
        read(answer).await
    }
}

async fn read(answer: Answer) -> Result<Token, RegistryError> {
    let line = answer.line.clone();
    let bytes: Bytes = answer.read(TOKEN_LEN_MAX).await?;
    Token::parse(&bytes, Instant::now()).ok_or(RegistryError::Token { request: line })
}

/// The header with the token of a token server's answer.
pub(super) async fn read_token(answer: Answer) -> Result<HeaderValue, RegistryError> {
    Ok(read(answer).await?.authorization)
}

/// What a token is asked for with.
struct TokenRequest<'a> {
    realm: String,
    service: Option<String>,
    login: Option<&'a Login>,
    key: TokenKey,
}

impl TokenRequest<'_> {
    /// The URL to ask at; the realm's own query stays.
    fn url(&self, root: &Url) -> Option<Url> {
        let mut url = resolve(root, &self.realm)?;
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            for scope in self.key.scopes.iter() {
                query.append_pair("scope", &scope);
            }
            if let Some(username) = self.login.and_then(Login::username) {
                query.append_pair("account", username);
            }
        }
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::super::auth::Scopes;
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

    #[test]
    fn a_token_is_asked_for_with_service_and_scopes() {
        let mut scopes = Scopes::push(&"dst/app".parse().unwrap());
        scopes.merge(&Scopes::pull(&"src".parse().unwrap()));
        let login = Login::password("robot$ci", "hunter2");
        let request = TokenRequest {
            realm: "/service/token?x=1".to_owned(),
            service: Some("harbor registry".to_owned()),
            login: Some(&login),
            key: TokenKey {
                login: None,
                scopes,
            },
        };
        let url = request.url(&"https://h:8443/v2/".parse().unwrap()).unwrap();
        assert_eq!(
            url.as_str(),
            "https://h:8443/service/token?x=1&service=harbor+registry\
             &scope=repository%3Adst%2Fapp%3Apull%2Cpush&scope=repository%3Asrc%3Apull\
             &account=robot%24ci"
        );
        assert_eq!(
            basic(&login).unwrap().to_str().unwrap(),
            "Basic cm9ib3QkY2k6aHVudGVyMg=="
        );
        assert!(!format!("{:?}", basic(&login)).contains("cm9"));
    }
}
