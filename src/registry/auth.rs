//! Challenges, scopes, and the tokens got with them (distribution's token specification).
//!
//! One challenge per registry is remembered, so that only the first request is sent in vain. A
//! token serves every request that asks for no more than its scopes, by the same login. Requests
//! that need the same token wait for one fetch of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use http_auth::{ChallengeParser, ChallengeRef};
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use super::Login;
use super::proof::Proof;
use super::token::Token;
use crate::oci::{Registry, RepositoryName};

/// What a registry wants to see before it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which the server at `realm` gives out.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// What the headers of a 401 ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenged {
    /// The best of the challenges: a token rather than the password with every request.
    pub(super) challenge: Option<Challenge>,
    /// The scopes that the token should have had.
    pub(super) scopes: Scopes,
}

impl Challenged {
    /// Parses the challenges of all header lines; what cannot be parsed is as good as not there.
    pub(super) fn parse(headers: &HeaderMap) -> Self {
        let mut challenged = Self::default();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(value) = value.to_str() else { continue };
            for challenge in ChallengeParser::new(value).map_while(Result::ok) {
                challenged.add(&challenge);
            }
        }
        challenged
    }

    fn add(&mut self, challenge: &ChallengeRef<'_>) {
        let param = |name: &str| {
            challenge
                .params
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            if let Some(realm) = param("realm") {
                self.challenge = Some(Challenge::Bearer {
                    realm,
                    service: param("service"),
                });
                self.scopes
                    .merge(&Scopes::parse(&param("scope").unwrap_or_default()));
            }
        } else if challenge.scheme.eq_ignore_ascii_case("basic") {
            self.challenge.get_or_insert(Challenge::Basic);
        }
    }
}

/// What a token is to allow: for each resource (`repository:app`), the actions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// To read a repository.
    pub(super) fn pull(repository: &RepositoryName) -> Self {
        Self::parse(&format!("repository:{repository}:pull"))
    }

    /// To read and write a repository.
    pub(super) fn push(repository: &RepositoryName) -> Self {
        Self::parse(&format!("repository:{repository}:pull,push"))
    }

    /// Parses scopes separated by blanks; a resource may itself have colons (a port).
    fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        for scope in text.split_ascii_whitespace() {
            if let Some((resource, actions)) = scope.rsplit_once(':') {
                let actions = actions.split(',').map(str::to_owned);
                scopes
                    .0
                    .entry(resource.to_owned())
                    .or_default()
                    .extend(actions);
            }
        }
        scopes
    }

    /// Adds what `other` allows.
    pub(super) fn merge(&mut self, other: &Self) {
        for (resource, actions) in &other.0 {
            self.0
                .entry(resource.clone())
                .or_default()
                .extend(actions.iter().cloned());
        }
    }

    /// Whether everything that `other` allows is allowed.
    fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, actions)| {
            self.0
                .get(resource)
                .is_some_and(|own| actions.is_subset(own))
        })
    }

    /// Each scope as it is asked for, `repository:app:pull,push`.
    pub(super) fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }
}

/// What a token is good for: the scopes, and the login with which it was got.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) login: Option<Arc<Login>>,
    pub(super) scopes: Scopes,
}

impl TokenKey {
    fn covers(&self, other: &Self) -> bool {
        self.login == other.login && self.scopes.covers(&other.scopes)
    }
}

/// What is known of how to log in to each registry.
#[derive(Debug, Default)]
pub(super) struct Auth {
    registries: Mutex<HashMap<Registry, Arc<RegistryAuth>>>,
}

/// What is known of how to log in to one registry.
#[derive(Debug, Default)]
pub(super) struct RegistryAuth {
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<Vec<(TokenKey, Token)>>,
    /// Held while a token is fetched, so that others with the same need wait for it.
    fetches: Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<()>>>>,
    proofs: Mutex<HashMap<Arc<Login>, Arc<Proof>>>,
}

impl Auth {
    pub(super) fn of(&self, registry: &Registry) -> Arc<RegistryAuth> {
        let mut registries = lock(&self.registries);
        Arc::clone(registries.entry(registry.clone()).or_default())
    }
}

impl RegistryAuth {
    pub(super) fn challenge(&self) -> Option<Challenge> {
        lock(&self.challenge).clone()
    }

    /// What is known of a login.
    pub(super) fn proof(&self, login: &Arc<Login>) -> Arc<Proof> {
        let mut proofs = lock(&self.proofs);
        Arc::clone(proofs.entry(Arc::clone(login)).or_default())
    }

    /// Remembers the challenge of a 401.
    ///
    /// A token challenge is never given up for a password challenge: Harbor asks for the latter
    /// when it refuses a token.
    pub(super) fn learn(&self, challenge: Challenge) {
        let mut known = lock(&self.challenge);
        if known.is_none() || matches!(challenge, Challenge::Bearer { .. }) {
            *known = Some(challenge);
        }
    }

    /// A token that is good for `key` and does not expire within moments.
    pub(super) fn token(&self, key: &TokenKey) -> Option<Token> {
        let now = Instant::now();
        let tokens = lock(&self.tokens);
        let (_, token) = tokens
            .iter()
            .find(|(known, token)| token.is_fresh(now) && known.covers(key))?;
        Some(token.clone())
    }

    /// Keeps a token, and drops those that expired.
    pub(super) fn keep(&self, key: TokenKey, token: Token) {
        let now = Instant::now();
        let mut tokens = lock(&self.tokens);
        tokens.retain(|(_, token)| token.is_fresh(now));
        tokens.push((key, token));
    }

    /// Drops the token that a registry refused to a call that was sent at `sent_at`, and those
    /// that would have served it as well: what made one worthless did the same to them. One that
    /// was fetched since stays.
    ///
    /// Returns when the refused one was fetched, if nobody has dropped it before.
    pub(super) fn drop_tokens(
        &self,
        refused: &HeaderValue,
        (key, sent_at): (&TokenKey, Instant),
    ) -> Option<Instant> {
        let mut fetched_at = None;
        lock(&self.tokens).retain(|(known, token)| {
            let is_refused = token.authorization() == refused;
            if is_refused {
                fetched_at = Some(token.fetched_at());
            }
            let is_as_old = token.fetched_at() <= sent_at && known.covers(key);
            !is_refused && !is_as_old
        });
        fetched_at
    }

    /// The lock to hold while a token for `key` is fetched.
    pub(super) fn fetch_lock(&self, key: &TokenKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetches = lock(&self.fetches);
        Arc::clone(fetches.entry(key.clone()).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds the lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_parse() {
        #[track_caller]
        fn check(lines: &[&str], expect: Option<&Challenge>, expect_scopes: &[&str]) {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
            }
            let challenged = Challenged::parse(&headers);
            assert_eq!(challenged.challenge.as_ref(), expect, "{lines:?}");
            let scopes: Vec<String> = challenged.scopes.iter().collect();
            assert_eq!(scopes, expect_scopes);
        }
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull",error="insufficient_scope""#,
            ],
            Some(&bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
            )),
            &["repository:library/redis:pull"],
        );
        check(
            &[
                r#"bEaReR Realm="https://a/\"t\"?x=1" , service=unquoted, scope="repository:h:5000/a:pull,push repository:b:pull""#,
            ],
            Some(&bearer(r#"https://a/"t"?x=1"#, Some("unquoted"))),
            &["repository:b:pull", "repository:h:5000/a:pull,push"],
        );
        // The token wins over the password, in whichever order and on however many lines.
        let token = r#"Bearer realm="https://a/t""#;
        check(
            &[r#"Basic realm="harbor""#, token],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(
            &[token, r#"basic realm="harbor""#],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(
            &[r#"Negotiate, Basic realm="x", Bearer realm="https://a/t""#],
            Some(&bearer("https://a/t", None)),
            &[],
        );
        check(&[r#"BASIC realm="harbor""#], Some(&Challenge::Basic), &[]);
        check(&["Basic"], Some(&Challenge::Basic), &[]);
        check(&[""], None, &[]);
        check(&["Bearer"], None, &[]);
        check(&["Bearer realm=\"unclosed"], None, &[]);
        check(&["Negotiate"], None, &[]);
        check(&[], None, &[]);
    }

    #[test]
    fn a_token_serves_smaller_needs() {
        #[track_caller]
        fn check(has: &str, needs: &str, expect: bool) {
            assert_eq!(Scopes::parse(has).covers(&Scopes::parse(needs)), expect);
        }
        check("repository:a:pull,push", "repository:a:pull", true);
        check("repository:a:pull", "repository:a:pull,push", false);
        check(
            "repository:a:pull repository:b:pull",
            "repository:b:pull",
            true,
        );
        check("repository:a:pull", "repository:b:pull", false);
        check("repository:a:pull", "", true);
        check("", "repository:a:pull", false);
    }

    #[test]
    fn a_password_challenge_does_not_replace_a_token_challenge() {
        let auth = RegistryAuth::default();
        auth.learn(Challenge::Basic);
        assert_eq!(auth.challenge(), Some(Challenge::Basic));
        auth.learn(bearer("https://a/t", None));
        auth.learn(Challenge::Basic);
        assert_eq!(auth.challenge(), Some(bearer("https://a/t", None)));
    }
}
