//! Tokens: how one is asked for, read, and for how long it is used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::client::{Client, Target};
use crate::error::{ErrorBody, presentable};
use crate::harbor::is_for_nobody;
use crate::login::auth::{RegistryAuth, TokenKey};
use crate::login::challenge::Challenge;
use crate::login::credentials::{Login, Secret};
use crate::login::scopes::Scopes;
use crate::wire::endpoint::resolve;
use crate::wire::transport::{Answer, Call, Redirects};
use crate::{RegistryError, RequestLine, SafeUrl};
use hod_report::redact;

/// The longest answer of a token server, in bytes.
const TOKEN_LEN_MAX: u64 = 1024 * 1024;
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
    /// Reads the answer of a token server, which came at `now`; the server's clock is not asked.
    fn parse(bytes: &[u8], now: Instant) -> Option<Self> {
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

    /// Notes the identity token that came with it.
    fn rotating(mut self, auth: &RegistryAuth, login: &Arc<Login>) -> Self {
        if let Some(refresh) = self.refresh.take() {
            auth.rotate(login, Some(refresh));
        }
        self
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

/// The header of a token that needs no token server.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Client {
    /// The `Authorization` that `target` is known to need; `None` before the first challenge, and
    /// where a password is wanted that is not known.
    pub(crate) async fn authorization(
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
                let server = TokenServer { realm, service };
                let token = self.token(target, &auth, &server).await?;
                Ok(Some(token.authorization))
            }
        }
    }

    /// The scopes that a token for `target` needs.
    pub(crate) fn token_key(&self, target: &Target<'_>) -> TokenKey {
        TokenKey {
            login: self.login(target),
            scopes: target.scopes.clone(),
        }
    }

    async fn token(
        &self,
        target: &Target<'_>,
        auth: &RegistryAuth,
        server: &TokenServer,
    ) -> Result<Token, RegistryError> {
        let needed = self.token_key(target);
        loop {
            let need = auth.need(&needed);
            if let Some(token) = auth.token(&need.own) {
                return Ok(token);
            }
            let fetch = auth.fetch_lock(&need.key);
            let _held = fetch.lock().await;
            // The previous holder has fetched the token, or learned that it is not issued.
            if auth.need(&needed) != need {
                continue;
            }
            if let Some(token) = auth.token(&need.own) {
                return Ok(token);
            }
            let login = needed.login.as_ref();
            let accepted = login.filter(|_| self.has_accepted_login(target));
            let accepted = accepted.map(|login| auth.proof(login));
            let shown_at = Instant::now();
            if accepted
                .as_ref()
                .is_some_and(|proof| !proof.take_turn(shown_at))
            {
                return Err(self.forgotten(target, login)?);
            }
            let fetch = self.fetch_token(target, server, (login, &need.scopes));
            match self.prove(target, login, fetch).await {
                // Harbor issues anonymous tokens while its database is down.
                Ok(token)
                    if auth.is_harbor()
                        && let Some(proof) = &accepted
                        && is_for_nobody(token.authorization().as_bytes()) =>
                {
                    let error = self.forgotten(target, login)?;
                    if let RegistryError::LoginForgotten { request, .. } = &error {
                        proof.note_forgotten(request, shown_at);
                    }
                    return Err(error);
                }
                Ok(token) => {
                    if let Some(proof) = &accepted {
                        proof.note_known();
                    }
                    auth.keep(need.key, token.clone());
                    return Ok(token);
                }
                // The request, or the token in it, was too long for a server on the way.
                Err(error) if is_too_long(error.status()) && auth.shrink() => {}
                // Perhaps it was asked for too much; a password that is wrong stays wrong.
                Err(error) if refuses_much(&error, login) && auth.narrow(&needed) => {
                    auth.narrow_all();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Handles a login that is no longer known.
    fn forgotten(
        &self,
        target: &Target<'_>,
        login: Option<&Arc<Login>>,
    ) -> Result<RegistryError, RegistryError> {
        let username = login.and_then(|login| login.username());
        Ok(RegistryError::LoginForgotten {
            registry: target.registry.clone(),
            username: username.unwrap_or_default().to_owned(),
            request: Box::new(RequestLine::new(&Method::GET, &self.root(target.registry)?)),
        })
    }

    async fn fetch_token(
        &self,
        target: &Target<'_>,
        server: &TokenServer,
        (login, scopes): (Option<&Arc<Login>>, &Scopes),
    ) -> Result<Token, RegistryError> {
        let realm = self.realm(target, server)?;
        let auth = self.auth().of(target.registry);
        let request = TokenRequest {
            realm,
            service: server.service.as_deref(),
            scopes,
        };
        match login {
            Some(login) if matches!(**login, Login::IdentityToken(_)) => {
                self.post_identity(target, &request, login).await
            }
            Some(login) if auth.posts_passwords() => {
                self.ask(target, request.post(&Grant::of(login, None)))
                    .await
            }
            _ => {
                let call = request.get(login.and_then(|login| login.username()));
                let authorization = login.and_then(|login| basic(login));
                match self.ask_with(target, call, authorization.as_ref()).await {
                    // A server that supports OAuth2 only.
                    Err(error) if matches!(error.status(), Some(404 | 405)) => {
                        let Some(login) = login else {
                            return Err(error);
                        };
                        let call = request.post(&Grant::of(login, None));
                        // The first answer is the one that tells.
                        let token = self.ask(target, call).await.map_err(|_| error)?;
                        auth.post_passwords();
                        Ok(token)
                    }
                    result => result,
                }
            }
        }
    }

    /// The URL of the token server, unless a login must not be sent there.
    fn realm(&self, target: &Target<'_>, server: &TokenServer) -> Result<Url, RegistryError> {
        let root = self.root(target.registry)?;
        let url = resolve(&root, &server.realm).ok_or_else(|| RegistryError::Realm {
            registry: target.registry.clone(),
            realm: presentable(&server.realm).unwrap_or_default(),
        })?;
        if root.scheme() == "https" && url.scheme() == "http" {
            return Err(RegistryError::PlainRealm {
                registry: target.registry.clone(),
                realm: SafeUrl::new(&url),
            });
        }
        Ok(url)
    }

    /// Asks with an identity token, or with the one that the server gave in its place.
    async fn post_identity(
        &self,
        target: &Target<'_>,
        request: &TokenRequest<'_>,
        login: &Arc<Login>,
    ) -> Result<Token, RegistryError> {
        let auth = self.auth().of(target.registry);
        let _alone = auth.identity.lock().await;
        if let Some(rotated) = auth.rotated(login) {
            let call = request.post(&Grant::of(login, Some(&rotated)));
            match self.ask(target, call).await {
                // Then the first one may still do.
                Err(error) if matches!(error.status(), Some(400 | 401)) => {
                    auth.rotate(login, None);
                }
                result => return result.map(|token| token.rotating(&auth, login)),
            }
        }
        match self
            .ask(target, request.post(&Grant::of(login, None)))
            .await
        {
            Err(RegistryError::Status {
                request,
                status: status @ (404 | 405),
                ..
            }) => Err(RegistryError::IdentityToken { request, status }),
            result => result.map(|token| token.rotating(&auth, login)),
        }
    }

    async fn ask(&self, target: &Target<'_>, call: Call) -> Result<Token, RegistryError> {
        self.ask_with(target, call, None).await
    }

    async fn ask_with(
        &self,
        target: &Target<'_>,
        mut call: Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Token, RegistryError> {
        call.behalf = Some(self.root(target.registry)?);
        // Its life begins when it is made, which is not after it arrives.
        let now = Instant::now();
        let answer = self.transport().send(&call, authorization).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(target, answer).await);
        }
        read(answer, now).await
    }
}

/// Reads the answer to a request that was sent at `now`.
async fn read(answer: Answer, now: Instant) -> Result<Token, RegistryError> {
    let line = answer.line.clone();
    let bytes: Bytes = answer.read(TOKEN_LEN_MAX).await?;
    Token::parse(&bytes, now).ok_or_else(|| RegistryError::Token {
        request: line,
        // A token is not quoted, even if it cannot be used.
        said: is_page(&bytes).then(|| ErrorBody::parse(&bytes).to_string()),
    })
}

/// Whether an answer is a web page, such as one to log in.
fn is_page(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"<")
}

/// The header with the token of a token server's answer.
pub(crate) async fn read_token(answer: Answer) -> Result<HeaderValue, RegistryError> {
    Ok(read(answer, Instant::now()).await?.authorization)
}

/// Whether a server may have refused a request because of its length.
fn is_too_long(status: Option<u16>) -> bool {
    matches!(status, Some(400 | 414 | 431))
}

/// Whether a token server may have refused because of how much it was asked for.
fn refuses_much(error: &RegistryError, login: Option<&Arc<Login>>) -> bool {
    match error.status() {
        // A wrong password is not tried twice: some servers count.
        Some(401) => login.is_none(),
        Some(429) => false,
        Some(status) => (400..500).contains(&status),
        None => matches!(error, RegistryError::Token { .. }),
    }
}

/// The token server of a registry.
#[derive(Debug)]
struct TokenServer {
    realm: String,
    service: Option<String>,
}

/// The parameters of a token request.
struct TokenRequest<'a> {
    realm: Url,
    service: Option<&'a str>,
    scopes: &'a Scopes,
}

/// The credentials that are posted (OAuth2, RFC 6749 sections 4.3 and 6).
enum Grant<'a> {
    Password(&'a str, &'a Secret),
    Refresh(&'a Secret),
}

impl<'a> Grant<'a> {
    fn of(login: &'a Login, rotated: Option<&'a Secret>) -> Self {
        match login {
            Login::Password { username, password } => Self::Password(username, password),
            Login::IdentityToken(token) | Login::BearerToken(token) => {
                Self::Refresh(rotated.unwrap_or(token))
            }
        }
    }
}

impl TokenRequest<'_> {
    /// The GET of Docker's token specification; the realm's own query stays.
    fn get(&self, username: Option<&str>) -> Call {
        let mut url = self.realm.clone();
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if let Some(service) = self.service {
            pairs.push(("service", service.to_owned()));
        }
        pairs.extend(self.scopes.iter().map(|scope| ("scope", scope)));
        if let Some(username) = username {
            pairs.push(("account", username.to_owned()));
        }
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Call::new(Method::GET, url)
    }

    /// The POST of its OAuth2 variant, which never leaves the origin of the realm: its body is the
    /// secret.
    fn post(&self, grant: &Grant<'_>) -> Call {
        let mut form = reqwest::Url::parse("form:").expect("that is a URL");
        {
            let mut pairs = form.query_pairs_mut();
            match grant {
                Grant::Password(username, password) => {
                    pairs.append_pair("grant_type", "password");
                    pairs.append_pair("username", username);
                    pairs.append_pair("password", password.reveal());
                }
                Grant::Refresh(token) => {
                    pairs.append_pair("grant_type", "refresh_token");
                    pairs.append_pair("refresh_token", token.reveal());
                }
            }
            if let Some(service) = self.service {
                pairs.append_pair("service", service);
            }
            pairs.append_pair("client_id", "hod");
            let scopes: Vec<String> = self.scopes.iter().collect();
            if !scopes.is_empty() {
                pairs.append_pair("scope", &scopes.join(" "));
            }
        }
        let form = form.query().unwrap_or_default().to_owned();
        let mut call = Call::new(Method::POST, self.realm.clone()).header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        call.body = form.into();
        call.redirects = Redirects::WithinOrigin;
        call
    }
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

    #[test]
    fn a_token_is_asked_for_with_service_and_scopes() {
        let mut scopes = Scopes::push(&"dst/app".parse().unwrap());
        scopes.merge(&Scopes::pull(&"src".parse().unwrap()));
        let login = Login::password("robot$ci", "hunter2");
        let realm = "https://h:8443/service/token?x=1".parse().unwrap();
        let request = TokenRequest {
            realm,
            service: Some("harbor registry"),
            scopes: &scopes,
        };
        assert_eq!(
            request.get(login.username()).url.as_str(),
            "https://h:8443/service/token?x=1&service=harbor+registry\
             &scope=repository%3Adst%2Fapp%3Apull%2Cpush&scope=repository%3Asrc%3Apull\
             &account=robot%24ci"
        );
        let identity = Login::IdentityToken(Secret::new("a&b"));
        for (grant, expect) in [
            (
                Grant::of(&login, None),
                "grant_type=password&username=robot%24ci&password=hunter2",
            ),
            (
                Grant::of(&identity, None),
                "grant_type=refresh_token&refresh_token=a%26b",
            ),
            (
                Grant::of(&identity, Some(&Secret::new("next"))),
                "grant_type=refresh_token&refresh_token=next",
            ),
        ] {
            let call = request.post(&grant);
            assert_eq!(call.url.as_str(), "https://h:8443/service/token?x=1");
            assert_eq!(
                str::from_utf8(&call.body).unwrap(),
                format!(
                    "{expect}&service=harbor+registry&client_id=hod\
                     &scope=repository%3Adst%2Fapp%3Apull%2Cpush+repository%3Asrc%3Apull"
                )
            );
        }
        assert_eq!(
            basic(&login).unwrap().to_str().unwrap(),
            "Basic cm9ib3QkY2k6aHVudGVyMg=="
        );
        assert!(!format!("{:?}", basic(&login)).contains("cm9"));
    }
}
