//! Requests to token servers (distribution's token specification, and its OAuth2 variant).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use crate::error::meaning::Meaning;
use crate::login::challenge::Challenge;
use crate::login::context::Context;
use crate::login::credentials::{Login, Secret};
use crate::login::lockout::{Lockout, token_url};
use crate::login::memory::{RegistryMemory, TokenKey};
use crate::login::scopes::Scopes;
use crate::login::target::Target;
use crate::login::token::{Token, basic, bearer};
use crate::wire::transport::{Answer, Call, Redirects};
use crate::{ErrorBody, RegistryError, RequestLine};

/// The longest answer of a token server, in bytes.
const TOKEN_LEN_MAX: u64 = 1024 * 1024;

/// Authorizes calls to one part of a registry.
pub(crate) struct Authorizer<'a> {
    context: &'a Context,
    target: &'a Target<'a>,
    memory: Arc<RegistryMemory>,
}

impl<'a> Authorizer<'a> {
    pub(crate) fn new(context: &'a Context, target: &'a Target<'a>) -> Self {
        Self {
            context,
            target,
            memory: context.memory(target.registry),
        }
    }

    /// Returns the `Authorization` that the target is known to need; `None` before the first
    /// challenge, and where a password is required and no login is known.
    pub(crate) async fn authorization(&self) -> Result<Option<HeaderValue>, RegistryError> {
        let Some(challenge) = self.memory.challenge() else {
            return Ok(None);
        };
        self.context.prepare_login(self.target).await?;
        let login = self.context.login(self.target);
        match challenge {
            Challenge::Basic => Ok(login.as_deref().and_then(basic)),
            Challenge::Bearer { realm, service } => {
                if let Some(Login::BearerToken(token)) = login.as_deref() {
                    return Ok(bearer(token));
                }
                let server = TokenServer {
                    realm: token_url(self.context, self.target.registry, &realm)?,
                    service,
                };
                let token = self.token(&server).await?;
                Ok(Some(token.authorization().clone()))
            }
        }
    }

    /// Returns the key of a token for the target.
    pub(crate) fn token_key(&self) -> TokenKey {
        TokenKey {
            login: self.context.login(self.target),
            scopes: self.target.scopes.clone(),
        }
    }

    async fn token(&self, server: &TokenServer) -> Result<Token, RegistryError> {
        let memory = &self.memory;
        let needed = self.token_key();
        loop {
            let need = memory.need(&needed);
            if let Some(token) = memory.token(&need.own) {
                return Ok(token);
            }
            let fetch = memory.fetch_lock(&need.key);
            let _held = fetch.lock().await;
            // The previous holder has fetched the token, or learned that it is not issued.
            if memory.need(&needed) != need {
                continue;
            }
            if let Some(token) = memory.token(&need.own) {
                return Ok(token);
            }
            match self
                .fetch(server, needed.login.as_ref(), &need.scopes)
                .await
            {
                Ok(token) => {
                    memory.keep(need.key, token.clone());
                    return Ok(token);
                }
                // The request, or the token in it, was too long for a server on the way.
                Err(error) if is_too_long(&error) && memory.shrink() => {}
                // Perhaps it was asked for too much; a password that is wrong stays wrong.
                Err(error)
                    if may_be_too_much(&error, needed.login.as_ref()) && memory.narrow(&needed) =>
                {
                    memory.narrow_all();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Fetches a token; fails if the registry no longer knows a login that it accepted before.
    async fn fetch(
        &self,
        server: &TokenServer,
        login: Option<&Arc<Login>>,
        scopes: &Scopes,
    ) -> Result<Token, RegistryError> {
        let accepted = login
            .map(|login| self.memory.login(login))
            .filter(|known| known.is_accepted());
        let sent_at = Instant::now();
        if accepted
            .as_ref()
            .is_some_and(|known| !known.may_send(sent_at))
        {
            return Err(self.unknown_login(login)?);
        }
        let fetch = self.fetch_from(server, login, scopes);
        let token = Lockout::new(self.context, self.target)
            .guard(login, fetch)
            .await?;
        let Some(known) = accepted else {
            return Ok(token);
        };
        // Harbor issues anonymous tokens while its database is down.
        let dialect = self.context.dialect(self.target.registry);
        let authorization = token.authorization().as_bytes();
        if dialect.is_some_and(|dialect| dialect.is_anonymous(authorization)) {
            let error = self.unknown_login(login)?;
            if let RegistryError::LoginForgotten { request, .. } = &error {
                known.note_unknown(request, sent_at);
            }
            return Err(error);
        }
        known.note_known();
        Ok(token)
    }

    /// Returns the error for a login that the registry no longer knows.
    fn unknown_login(&self, login: Option<&Arc<Login>>) -> Result<RegistryError, RegistryError> {
        let root = self.context.root(self.target.registry)?;
        let username = login.and_then(|login| login.username());
        Ok(RegistryError::LoginForgotten {
            registry: self.target.registry.clone(),
            username: username.unwrap_or_default().to_owned(),
            request: Box::new(RequestLine::new(&Method::GET, &root)),
        })
    }

    async fn fetch_from(
        &self,
        server: &TokenServer,
        login: Option<&Arc<Login>>,
        scopes: &Scopes,
    ) -> Result<Token, RegistryError> {
        let request = TokenRequest {
            realm: server.realm.clone(),
            service: server.service.as_deref(),
            scopes,
        };
        let Some(login) = login else {
            return self.ask(request.get(None), None).await;
        };
        if matches!(**login, Login::IdentityToken(_)) {
            return self.post_identity(&request, login).await;
        }
        if self.memory.posts_passwords() {
            return self.ask(request.post(&Grant::of(login, None)), None).await;
        }
        let call = request.get(login.username());
        match self.ask(call, basic(login).as_ref()).await {
            // A server that supports OAuth2 only.
            Err(error) if error.meaning().is_some_and(Meaning::is_not_offered) => {
                let call = request.post(&Grant::of(login, None));
                // The first answer is the one that tells.
                let token = self.ask(call, None).await.map_err(|_| error)?;
                self.memory.post_passwords();
                Ok(token)
            }
            result => result,
        }
    }

    /// Asks with an identity token, or with the one that the server gave in its place.
    async fn post_identity(
        &self,
        request: &TokenRequest<'_>,
        login: &Arc<Login>,
    ) -> Result<Token, RegistryError> {
        let _alone = self.memory.identity.lock().await;
        let mut result = None;
        if let Some(rotated) = self.memory.rotated(login) {
            let call = request.post(&Grant::of(login, Some(&rotated)));
            match self.ask(call, None).await {
                // Then the first one may still do.
                Err(error)
                    if matches!(
                        error.meaning(),
                        Some(Meaning::BadRequest | Meaning::Unauthorized)
                    ) =>
                {
                    self.memory.rotate(login, None);
                }
                asked => result = Some(asked),
            }
        }
        let mut token = match result {
            Some(result) => result?,
            None => match self.ask(request.post(&Grant::of(login, None)), None).await {
                Err(RegistryError::Refused(refusal)) if refusal.meaning().is_not_offered() => {
                    return Err(RegistryError::IdentityToken {
                        request: Box::new(refusal.request),
                        status: refusal.status,
                    });
                }
                result => result?,
            },
        };
        if let Some(refresh) = token.take_refresh() {
            self.memory.rotate(login, Some(refresh));
        }
        Ok(token)
    }

    async fn ask(
        &self,
        mut call: Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Token, RegistryError> {
        call.behalf = Some(self.context.root(self.target.registry)?);
        // Its life begins when it is made, which is not after it arrives.
        let now = Instant::now();
        let answer = self.context.transport.send(&call, authorization).await?;
        if answer.meaning() != Meaning::Success {
            return Err(self.context.refusal(self.target, answer).await);
        }
        read_token(answer, now).await
    }
}

/// The token server of a registry.
#[derive(Debug)]
struct TokenServer {
    realm: Url,
    service: Option<String>,
}

/// Reads the answer to a token request that was sent at `now`.
pub(crate) async fn read_token(answer: Answer, now: Instant) -> Result<Token, RegistryError> {
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

/// Whether a server may have refused a request because of its length.
fn is_too_long(error: &RegistryError) -> bool {
    matches!(
        error.meaning(),
        Some(Meaning::BadRequest | Meaning::TooLong)
    )
}

/// Whether a token server may have refused because of how much it was asked for.
fn may_be_too_much(error: &RegistryError, login: Option<&Arc<Login>>) -> bool {
    // A wrong password is not tried twice: some servers count.
    let may_ask_again = !error.is_unauthorized() || login.is_none();
    error.is_refusal() && may_ask_again || matches!(error, RegistryError::Token { .. })
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
