//! What a run learns of each registry: its challenge, the tokens that it issued, and the logins that
//! it accepted or refused (distribution's token specification).
//!
//! One challenge per registry is remembered, so that only the first request is refused. A
//! token serves every request that asks for no more than its scopes, by the same login. Requests
//! that need the same token wait for one fetch of it. What the run is known to need is asked for
//! with the first token ([`RegistryMemory::expect`]), if the token server issues one for so much.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use reqwest::header::HeaderValue;

use crate::error::harbor::Cause;
use crate::login::challenge::Challenge;
use crate::login::credentials::{Login, Secret};
use crate::login::known_login::KnownLogin;
use crate::login::scopes::{ScopeRules, Scopes, TokenBound};
use crate::login::token::Token;
use hod_oci::Registry;

/// Maximum of scopes requested for one token. The token is sent with every request: nginx by
/// default accepts header lines of 8 KiB, and some proxies 4 KiB.
const ASKED_MAX: TokenBound = TokenBound {
    n_scopes: 30,
    len: 4000,
};
/// Maximum of scopes expected together, which leaves room for the source of a mount.
const EXPECTED_MAX: TokenBound = TokenBound {
    n_scopes: 26,
    len: 3500,
};

/// What a token is valid for: the scopes, and the login with which it was obtained.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    pub(crate) login: Option<Arc<Login>>,
    pub(crate) scopes: Scopes,
}

impl TokenKey {
    fn covers(&self, other: &Self) -> bool {
        self.login == other.login && self.scopes.covers(&other.scopes)
    }
}

/// The state of authentication for each registry.
#[derive(Debug)]
pub(crate) struct Memory {
    rules: &'static dyn ScopeRules,
    registries: Mutex<HashMap<Registry, Arc<RegistryMemory>>>,
}

/// The state of authentication for one registry.
#[derive(Debug)]
pub(crate) struct RegistryMemory {
    /// The rules that apply if the registry's challenge names their service.
    rules: &'static dyn ScopeRules,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<Vec<(TokenKey, Token)>>,
    /// Held while a token is fetched, so that others with the same need wait for it.
    fetches: Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<()>>>>,
    logins: Mutex<HashMap<Arc<Login>, Arc<KnownLogin>>>,
    expected: Mutex<Expected>,
    /// Identity tokens that the token server gave in place of those of the user.
    rotated: Mutex<HashMap<Arc<Login>, Secret>>,
    /// Held while an identity token is used: the answer may make it worthless for the next.
    pub(crate) identity: tokio::sync::Mutex<()>,
    /// Whether passwords are to be posted, since the token server does not take them otherwise.
    posts_passwords: AtomicBool,
    /// Whether an answer has proved that this is a registry.
    is_proven: AtomicBool,
    /// Whether a HEAD that found nothing was confirmed by a GET.
    has_reliable_heads: AtomicBool,
    /// Why calls to a project were refused, as far as the dialect found out.
    pub(crate) causes: tokio::sync::Mutex<HashMap<String, Cause>>,
}

/// The scopes that the run will need, so that one token is requested for them instead of many.
#[derive(Debug, Default)]
struct Expected {
    /// By login; each fits into one token.
    groups: Vec<TokenKey>,
    /// Keys for which requesting more than is needed did not help.
    narrow: BTreeSet<String>,
    /// Whether requesting more did not help for any key.
    is_over: bool,
}

/// The scopes to ask for, and what the token will then be good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) scopes: Scopes,
    pub(crate) key: TokenKey,
    /// The minimum that a token must be valid for.
    pub(crate) own: TokenKey,
}

impl Memory {
    pub(crate) fn new(rules: &'static dyn ScopeRules) -> Self {
        Self {
            rules,
            registries: Mutex::default(),
        }
    }

    pub(crate) fn of(&self, registry: &Registry) -> Arc<RegistryMemory> {
        let mut registries = lock(&self.registries);
        let known = registries.entry(registry.clone());
        Arc::clone(known.or_insert_with(|| Arc::new(RegistryMemory::new(self.rules))))
    }
}

impl RegistryMemory {
    fn new(rules: &'static dyn ScopeRules) -> Self {
        Self {
            rules,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
            fetches: Mutex::default(),
            logins: Mutex::default(),
            expected: Mutex::default(),
            rotated: Mutex::default(),
            identity: tokio::sync::Mutex::default(),
            posts_passwords: AtomicBool::default(),
            is_proven: AtomicBool::default(),
            has_reliable_heads: AtomicBool::default(),
            causes: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn challenge(&self) -> Option<Challenge> {
        lock(&self.challenge).clone()
    }

    /// Returns what is known of a login.
    pub(crate) fn login(&self, login: &Arc<Login>) -> Arc<KnownLogin> {
        let mut logins = lock(&self.logins);
        Arc::clone(logins.entry(Arc::clone(login)).or_default())
    }

    /// Remembers the challenge of a 401.
    ///
    /// A token challenge is never given up for a password challenge: Harbor asks for the latter
    /// when it refuses a token.
    pub(crate) fn learn(&self, challenge: Challenge) {
        let mut known = lock(&self.challenge);
        if known.is_none() || matches!(challenge, Challenge::Bearer { .. }) {
            *known = Some(challenge);
        }
    }

    /// Whether the registry's challenge has shown that the rules apply to it.
    pub(crate) fn has_dialect(&self) -> bool {
        let challenge = lock(&self.challenge);
        let service = challenge.as_ref().and_then(Challenge::service);
        service == Some(self.rules.service())
    }

    /// Returns what a token for `scopes` is valid for.
    fn granted(&self, scopes: &Scopes) -> Scopes {
        if self.has_dialect() {
            self.rules.granted(scopes)
        } else {
            scopes.clone()
        }
    }

    /// Returns the scopes to request where `scopes` are needed.
    fn requested(&self, scopes: &Scopes) -> Scopes {
        if self.has_dialect() {
            self.rules.requested(scopes)
        } else {
            scopes.clone()
        }
    }

    /// Remembers that the run will need `scopes`, with `login`.
    pub(crate) fn expect(&self, login: Option<Arc<Login>>, scopes: &Scopes) {
        let mut expected = lock(&self.expected);
        let granted = self.granted(scopes);
        let is_known =
            |group: &TokenKey| group.login == login && self.granted(&group.scopes).covers(&granted);
        if expected.groups.iter().any(is_known) {
            return;
        }
        let own = expected.groups.iter_mut().rev();
        let last = own.into_iter().find(|group| group.login == login);
        if let Some(group) = last {
            let mut joined = group.scopes.clone();
            joined.merge(scopes);
            if joined.fits(EXPECTED_MAX) || joined == group.scopes {
                group.scopes = joined;
                return;
            }
        }
        let scopes = scopes.clone();
        expected.groups.push(TokenKey { login, scopes });
    }

    /// Drops what was expected: before the dialect was known, all repositories were counted.
    pub(crate) fn forget_expected(&self) {
        lock(&self.expected).groups.clear();
    }

    /// The scopes to request where `needed` is needed: all that are expected, if one token can have
    /// them.
    pub(crate) fn need(&self, needed: &TokenKey) -> Need {
        let expected = lock(&self.expected);
        let own = self.requested(&needed.scopes);
        let mut scopes = own.clone();
        if !expected.is_over {
            // A token may be valid for more than the repositories that were expected.
            let needed_here = self.granted(&own);
            let is_meant = |group: &&TokenKey| {
                group.login == needed.login
                    && self
                        .granted(&group.scopes)
                        .shares_a_resource_with(&needed_here)
                    && !expected.is_narrow(&needed.scopes)
            };
            // Repositories that are written to come first: of a mount, the target rather than its
            // source.
            let mut groups: Vec<&TokenKey> = expected.groups.iter().filter(is_meant).collect();
            let written = self.granted(&own.writing());
            groups
                .sort_by_key(|group| !self.granted(&group.scopes).shares_a_resource_with(&written));
            for group in groups {
                let mut wide = scopes.clone();
                wide.merge(&group.scopes);
                let wide = self.requested(&wide);
                // A request without scopes, the check of a login, is not widened.
                if wide.fits(ASKED_MAX) && !needed.scopes.is_empty() {
                    scopes = wide;
                }
            }
        }
        let key = |scopes: &Scopes| TokenKey {
            login: needed.login.clone(),
            scopes: self.granted(scopes),
        };
        Need {
            key: key(&scopes),
            own: key(&own),
            scopes,
        }
    }

    /// Asks for no more than is needed from now on, since a server on the way takes no long
    /// headers, and drops all tokens; returns whether that makes a difference.
    pub(crate) fn shrink(&self) -> bool {
        let was_over = std::mem::replace(&mut lock(&self.expected).is_over, true);
        if !was_over {
            self.forget_tokens();
        }
        !was_over
    }

    /// Asks for no more than is needed where it is `needed` from now on; returns whether that makes
    /// a difference. With a dialect it makes none: what a token allows does not depend on the rest.
    pub(crate) fn narrow(&self, needed: &TokenKey) -> bool {
        if self.has_dialect() || self.need(needed).scopes == needed.scopes {
            return false;
        }
        let resources = needed.scopes.resources().cloned();
        lock(&self.expected).narrow.extend(resources);
        true
    }

    /// Requests no more than is needed from now on, since that has helped.
    pub(crate) fn narrow_all(&self) {
        lock(&self.expected).is_over = true;
    }

    /// The identity token to use in place of that of `login`.
    pub(crate) fn rotated(&self, login: &Arc<Login>) -> Option<Secret> {
        lock(&self.rotated).get(login).cloned()
    }

    /// Records the identity token that the server gave in place of that of `login`; `None` when the
    /// one it gave is no longer valid.
    pub(crate) fn rotate(&self, login: &Arc<Login>, token: Option<Secret>) {
        let mut rotated = lock(&self.rotated);
        match token {
            Some(token) => rotated.insert(Arc::clone(login), token),
            None => rotated.remove(login),
        };
    }

    pub(crate) fn posts_passwords(&self) -> bool {
        self.posts_passwords.load(Ordering::Relaxed)
    }

    pub(crate) fn post_passwords(&self) {
        self.posts_passwords.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    pub(crate) fn prove(&self) {
        self.is_proven.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_reliable_heads(&self) -> bool {
        self.has_reliable_heads.load(Ordering::Relaxed)
    }

    pub(crate) fn note_reliable_heads(&self) {
        self.has_reliable_heads.store(true, Ordering::Relaxed);
    }

    /// Drops every token: Harbor accepts none that is older than the project.
    pub(crate) fn forget_tokens(&self) {
        lock(&self.tokens).clear();
    }

    /// A token that is good for `key` and does not expire within moments.
    pub(crate) fn token(&self, key: &TokenKey) -> Option<Token> {
        let now = Instant::now();
        let tokens = lock(&self.tokens);
        let (_, token) = tokens
            .iter()
            .find(|(known, token)| token.is_fresh(now) && known.covers(key))?;
        Some(token.clone())
    }

    /// Keeps a token, and drops those that expired.
    pub(crate) fn keep(&self, key: TokenKey, token: Token) {
        let now = Instant::now();
        let mut tokens = lock(&self.tokens);
        tokens.retain(|(_, token)| token.is_fresh(now));
        tokens.push((key, token));
    }

    /// Drops the token that a registry refused to a call that was sent at `sent_at`, and those that
    /// would have served it as well, since the reason applies to them, too. A token that was
    /// fetched since is kept.
    ///
    /// Returns when the refused one was fetched, unless it had been dropped already.
    pub(crate) fn drop_tokens(
        &self,
        refused: &HeaderValue,
        key: &TokenKey,
        sent_at: Instant,
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
    pub(crate) fn fetch_lock(&self, key: &TokenKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetches = lock(&self.fetches);
        Arc::clone(fetches.entry(key.clone()).or_default())
    }
}

impl Expected {
    fn is_narrow(&self, needed: &Scopes) -> bool {
        needed
            .resources()
            .any(|resource| self.narrow.contains(resource))
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
    use crate::login::challenge::tests::bearer;

    #[test]
    fn one_token_is_requested_for_all_expected_scopes() {
        let scopes = |text: &str| Scopes::parse(text);
        let key = |login: Option<&Arc<Login>>, text: &str| TokenKey {
            login: login.cloned(),
            scopes: scopes(text),
        };
        let asked = |auth: &RegistryMemory, needed: &TokenKey| -> Vec<String> {
            auth.need(needed).scopes.iter().collect()
        };
        let auth = RegistryMemory::new(&crate::harbor::HARBOR);
        let other = Arc::new(Login::password("u", "p"));
        auth.expect(None, &scopes("repository:a:pull"));
        auth.expect(Some(Arc::clone(&other)), &scopes("repository:c:pull"));
        auth.expect(None, &scopes("repository:b:pull"));
        let both = ["repository:a:pull", "repository:b:pull"];
        assert_eq!(asked(&auth, &key(None, "repository:b:pull")), both);
        assert_eq!(
            asked(&auth, &key(None, "repository:x:pull")),
            ["repository:x:pull"]
        );
        assert_eq!(
            asked(&auth, &key(Some(&other), "repository:c:pull,push")),
            ["repository:c:pull,push"]
        );
        // The check of a login requests no scopes.
        assert_eq!(asked(&auth, &key(None, "")), [] as [&str; 0]);
        // Where wider requests do not help, they are not made; elsewhere they still are.
        assert!(auth.narrow(&key(None, "repository:b:pull")));
        assert!(!auth.narrow(&key(None, "repository:b:pull")));
        assert_eq!(
            asked(&auth, &key(None, "repository:b:pull")),
            ["repository:b:pull"]
        );
        assert_eq!(asked(&auth, &key(None, "repository:a:pull")), both);
        auth.narrow_all();
        assert_eq!(
            asked(&auth, &key(None, "repository:a:pull")),
            ["repository:a:pull"]
        );
    }

    #[test]
    fn the_scopes_of_a_token_are_limited() {
        let auth = RegistryMemory::new(&crate::harbor::HARBOR);
        let long = "x".repeat(200);
        for n in 0..100 {
            auth.expect(None, &Scopes::parse(&format!("repository:r{n}:pull,push")));
            let scope = format!("repository:{long}{n}:pull,push");
            auth.expect(None, &Scopes::parse(&scope));
        }
        for name in ["r0", "r50", "r99", &format!("{long}7"), "unexpected"] {
            let mut needed = Scopes::parse(&format!("repository:{name}:pull,push"));
            needed.merge(&Scopes::parse("repository:r3:pull"));
            let need = auth.need(&TokenKey {
                login: None,
                scopes: needed.clone(),
            });
            assert!(need.scopes.covers(&needed));
            assert!(need.scopes.resources().count() > 2, "{name}");
            assert!(need.scopes.fits(ASKED_MAX), "{name}");
        }
    }

    #[test]
    fn a_token_of_harbor_is_valid_for_projects() {
        let auth = RegistryMemory::new(&crate::harbor::HARBOR);
        auth.learn(bearer("https://h/service/token", Some("harbor-registry")));
        assert!(auth.has_dialect());
        for n in 0..60 {
            auth.expect(
                None,
                &Scopes::parse(&format!("repository:p/app{n}:pull,push")),
            );
        }
        auth.expect(None, &Scopes::parse("repository:q/a:pull,push"));
        let need = |text: &str| {
            auth.need(&TokenKey {
                login: None,
                scopes: Scopes::parse(text),
            })
        };
        // Nothing of a project that is not in the group, and no duplicates.
        let first = need("repository:p/app7:pull,push");
        let asked: Vec<String> = first.scopes.iter().collect();
        assert_eq!(
            asked,
            ["repository:p/app0:pull,push", "repository:q/a:pull,push"]
        );
        // And is valid for everything needed there, expected or not.
        for other in [
            "repository:q/b/c:pull",
            "repository:p/x:delete repository:q/a:pull",
        ] {
            assert!(first.key.covers(&need(other).key), "{other}");
        }
        assert!(!first.key.covers(&need("repository:pp/a:pull").key));
        let needed = TokenKey {
            login: None,
            scopes: Scopes::parse("repository:p/app7:pull"),
        };
        assert!(!auth.narrow(&needed), "it would make no difference");
    }

    #[test]
    fn a_password_challenge_does_not_replace_a_token_challenge() {
        let auth = RegistryMemory::new(&crate::harbor::HARBOR);
        auth.learn(Challenge::Basic);
        assert_eq!(auth.challenge(), Some(Challenge::Basic));
        auth.learn(bearer("https://a/t", None));
        auth.learn(Challenge::Basic);
        assert_eq!(auth.challenge(), Some(bearer("https://a/t", None)));
    }
}
