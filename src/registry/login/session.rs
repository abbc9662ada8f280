//! A session with registries: authorizes calls, learns from refusals, and retries.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use hod_oci::{Registry, RepositoryName};
use hod_report::Reporter;
use hod_retry::{Failed, Failure, HostState, Retries, RetryPolicy};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use crate::error::meaning::Meaning;
use crate::login::challenge::{Challenge, Challenged};
use crate::login::context::{Context, Dialect};
use crate::login::credentials::{FoundLogin, Login};
use crate::login::lockout::Lockout;
use crate::login::memory::RegistryMemory;
use crate::login::registry_check::require_registry;
use crate::login::target::Target;
use crate::login::token_server::Authorizer;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::{Answer, Call, Transport};
use crate::{RegistryError, Repo, RequestLine};

/// A token of this length or more may be what a web server refuses to accept in a header.
const LONG_TOKEN_LEN: usize = 2048;

/// Maximum number of tokens tried for one call, including those that other calls fetched.
const REFUSALS_MAX: usize = 3;

/// A session with registries. Cheap to clone; all clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Session {
    context: Arc<Context>,
    patience: Patience,
    reading: Reading,
}

/// How long to wait for a registry that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Usual,
    /// There is another place to ask.
    Mirror,
}

/// The scopes that are requested for a call that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Pull,
    /// Those for writing as well, since the repository is written to next.
    Push,
    /// Those for deleting as well.
    Delete,
}

/// How the root of a registry's API answers a request without a login.
#[derive(Debug)]
pub(crate) enum Root {
    /// It requires no login.
    Open,
    /// It requires a login; the session has learned how.
    Wants(Challenge),
    /// With this status, which says nothing about logins.
    Odd(u16),
}

impl Session {
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context: Arc::new(context),
            patience: Patience::Usual,
            reading: Reading::Pull,
        }
    }

    /// Returns the same session for repositories that are written to: reads request the token that
    /// writing needs, which saves another one.
    pub(crate) fn for_push(&self) -> Self {
        Self {
            reading: Reading::Push,
            ..self.clone()
        }
    }

    /// Returns the same session for repositories that are deleted from: reads request the token
    /// that deleting needs.
    pub(crate) fn for_delete(&self) -> Self {
        Self {
            reading: Reading::Delete,
            ..self.clone()
        }
    }

    /// Returns the same session for a mirror, which is not waited for if it cannot be reached.
    pub(crate) fn for_mirror(&self) -> Self {
        Self {
            patience: Patience::Mirror,
            ..self.clone()
        }
    }

    pub(crate) fn is_for_push(&self) -> bool {
        self.reading == Reading::Push
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.context.transport
    }

    pub(crate) fn reporter(&self) -> &Arc<dyn Reporter> {
        &self.context.reporter
    }

    pub(crate) fn root(&self, registry: &Registry) -> Result<Url, RegistryError> {
        self.context.root(registry)
    }

    pub(crate) fn memory(&self, registry: &Registry) -> Arc<RegistryMemory> {
        self.context.memory(registry)
    }

    pub(crate) fn dialect(&self, registry: &Registry) -> Option<&'static dyn Dialect> {
        self.context.dialect(registry)
    }

    pub(crate) async fn refusal(&self, target: &Target<'_>, answer: Answer) -> RegistryError {
        self.context.refusal(target, answer).await
    }

    /// To read a repository.
    pub(crate) fn reading<'a>(&self, repo: &'a Repo) -> Target<'a> {
        match self.reading {
            Reading::Pull => Target::pull(repo),
            Reading::Push => Target::push(repo),
            Reading::Delete => Target::delete(repo),
        }
    }

    /// Notes which repositories the run will read, or write, so that one token is requested for all
    /// of them; from a registry that issues none for so much, one is requested for each. Nothing is
    /// sent.
    pub(crate) fn expect<'r>(&self, repos: impl IntoIterator<Item = &'r Repo>) {
        for target in repos.into_iter().map(|repo| self.reading(repo)) {
            let login = self.context.login(&target);
            self.memory(target.registry).expect(login, &target.scopes);
        }
    }

    pub fn retry_policy(&self) -> RetryPolicy {
        self.context.retry
    }

    /// Starts to count the failures of an operation.
    pub fn retries(&self) -> Retries {
        let retries = Retries::new(self.retry_policy());
        match self.patience {
            Patience::Usual => retries,
            Patience::Mirror => retries.at_most_if_unreachable(1),
        }
    }

    /// Runs `operation` until it succeeds, fails permanently, or has failed too often.
    // Not `AsyncFnMut`: its futures cannot be shown to be `Send` where this one is spawned.
    pub(crate) async fn retry<T, F>(
        &self,
        what: &str,
        mut operation: impl FnMut() -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut retries = self.retries();
        loop {
            match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let failure = error.failure();
                    self.wait(&mut retries, what, error, failure).await?;
                }
            }
        }
    }

    /// Waits until an operation that failed may be tried again, and returns the error; fails with it
    /// if there is to be no other attempt.
    pub fn wait<'a>(
        &'a self,
        retries: &'a mut Retries,
        what: &'a str,
        error: RegistryError,
        failure: Failure,
    ) -> BoxFuture<'a, Result<RegistryError, RegistryError>> {
        Box::pin(async move {
            let host = self.host_state(&error, retries.began_at());
            let failed = Failed {
                what,
                error: &error,
                failure,
                progress: 0,
                host,
            };
            if retries.wait(&failed, self.reporter().as_ref()).await {
                return Ok(error);
            }
            let is_transient = !matches!(failure, Failure::Lasting | Failure::Garbled);
            Err(if is_transient && retries.n_all() > 1 {
                error.gave_up(retries.n_all())
            } else {
                error
            })
        })
    }

    /// Notes a failure, and returns the state of its host for an operation that has failed since
    /// `began`.
    pub fn host_state(&self, error: &RegistryError, began: Instant) -> HostState {
        let Some(host) = error.host() else {
            return HostState::Usual;
        };
        let outages = self.transport().outages();
        let now = Instant::now();
        if error.is_outage() {
            outages.failed(host, now);
        }
        let is_direct = error.request().is_some_and(RequestLine::is_direct);
        let is_new = is_direct && !outages.was_reached(host);
        if error.is_unreachable() && (is_new || self.patience == Patience::Mirror) {
            return HostState::Unreachable;
        }
        outages.state(host, began, now, self.retry_policy().outage)
    }

    /// Returns the `Authorization` that a call is known to need; fetches a token if one is missing.
    pub(crate) async fn authorization(
        &self,
        target: &Target<'_>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        Authorizer::new(&self.context, target).authorization().await
    }

    /// Sends a call, with a login if it requires one; the answer may have any status.
    ///
    /// There is no ping first: the first call to a registry is sent as it is, and its 401 says how
    /// to log in. A token that is refused is fetched anew once, with the scopes then required.
    pub(crate) async fn send(
        &self,
        target: &Target<'_>,
        call: &Call,
    ) -> Result<Answer, RegistryError> {
        // Boxed, since everything that is sent is sent from here and would carry it along.
        Box::pin(async {
            let mut target = target.clone();
            let mut rounds = LoginRounds::default();
            let mut may_redirect_again = call.method == Method::GET;
            loop {
                let first = Lockout::new(&self.context, &target)
                    .first_password()
                    .await?;
                let authorization = self.authorization(&target).await?;
                let sent = authorization.as_ref();
                rounds.sent_at = Instant::now();
                let answer = self.transport().send(call, sent).await?;
                if !same_origin(&answer.url, &call.url) {
                    // A signed URL may have expired on the way; the registry gives out another.
                    if matches!(answer.status(), 400..=499) && may_redirect_again {
                        may_redirect_again = false;
                        continue;
                    }
                    self.settle(&target, &rounds);
                    return Ok(answer);
                }
                if let Some(first) = first {
                    Lockout::new(&self.context, &target)
                        .learn(&first, answer.meaning())
                        .await?;
                }
                if self.has_too_long_token(&target, &answer, sent) {
                    continue;
                }
                if answer.meaning() != Meaning::Unauthorized {
                    self.settle(&target, &rounds);
                    return Ok(answer);
                }
                let headers = answer.headers();
                if !self.learn(&mut target, &mut rounds, sent, headers).await? {
                    return Ok(answer);
                }
            }
        })
        .await
    }

    /// Whether a web server in front refused a request because of its token, which the next one
    /// will be shorter than.
    fn has_too_long_token(
        &self,
        target: &Target<'_>,
        answer: &Answer,
        sent: Option<&HeaderValue>,
    ) -> bool {
        // Registries answer in JSON; this is a page of the server's own, or no body at all.
        let is_json = answer
            .header("content-type")
            .is_some_and(|kind| kind.contains("json"));
        let is_refused = match answer.meaning() {
            Meaning::TooLong => true,
            Meaning::BadRequest => !is_json,
            _ => false,
        };
        let is_long = sent.is_some_and(|sent| sent.len() > LONG_TOKEN_LEN);
        is_refused && is_long && self.memory(target.registry).shrink()
    }

    /// Learns from a 401 to a call with the authorization `sent`; returns whether sending the call
    /// again may help.
    pub(crate) async fn learn(
        &self,
        target: &mut Target<'_>,
        rounds: &mut LoginRounds,
        sent: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<bool, RegistryError> {
        let memory = self.memory(target.registry);
        let challenged = Challenged::parse(headers);
        let Some(sent) = sent else {
            if rounds.has_learned {
                return Ok(false);
            }
            rounds.has_learned = true;
            match challenged.challenge {
                Some(challenge) => {
                    memory.learn(challenge);
                    if let Some(dialect) = self.dialect(target.registry) {
                        let root = self.root(target.registry)?;
                        let limiter = self.transport().limiter();
                        limiter.cap_writes(&root, dialect.limits().writes);
                    }
                }
                None if memory.challenge().is_none() => self.ask_for_challenge(target).await?,
                None => {}
            }
            // A password is required and not known: the same again would be refused again.
            return self.can_login(target).await;
        };
        let login = self.context.login(target);
        let is_ready = matches!(login.as_deref(), Some(Login::BearerToken(_)));
        if is_ready || sent.as_bytes().starts_with(b"Basic ") {
            return Ok(false);
        }
        let key = Authorizer::new(&self.context, target).token_key();
        let refused = memory.need(&key).key;
        let fetched_at = memory.drop_tokens(sent, &refused, rounds.sent_at);
        target.scopes.merge(&challenged.scopes);
        if rounds.may_go_on(fetched_at) {
            return Ok(true);
        }
        // The token server may have dropped scopes because too many were requested.
        let key = Authorizer::new(&self.context, target).token_key();
        let may_narrow = !rounds.has_narrowed && memory.narrow(&key);
        rounds.has_narrowed |= may_narrow;
        Ok(may_narrow)
    }

    /// Learns from an answer other than a 401: later calls authenticate in the same way at once.
    pub(crate) fn settle(&self, target: &Target<'_>, rounds: &LoginRounds) {
        if rounds.has_narrowed {
            self.memory(target.registry).narrow_all();
        }
    }

    async fn can_login(&self, target: &Target<'_>) -> Result<bool, RegistryError> {
        match self.memory(target.registry).challenge() {
            None => Ok(false),
            Some(Challenge::Basic) => {
                self.context.prepare_login(target).await?;
                Ok(self.context.login(target).is_some())
            }
            Some(Challenge::Bearer { .. }) => Ok(true),
        }
    }

    /// Asks the root of the API for the challenge: some registries send it with no other 401.
    async fn ask_for_challenge(&self, target: &Target<'_>) -> Result<(), RegistryError> {
        let call = Call::new(Method::GET, self.root(target.registry)?);
        let answer = self.transport().send(&call, None).await?;
        if let Some(challenge) = Challenged::parse(answer.headers()).challenge {
            self.memory(target.registry).learn(challenge);
        }
        Ok(())
    }

    /// Asks the root of the API without a login; fails unless a registry answers.
    pub(crate) async fn ask_root(&self, target: &Target<'_>) -> Result<Root, RegistryError> {
        let registry = target.registry;
        let call = Call::new(Method::GET, self.root(registry)?);
        self.retry(registry.as_str(), || async {
            let mut answer = self.transport().send(&call, None).await?;
            require_registry(&self.context, registry, &mut answer, None).await?;
            match answer.status() {
                200 => Ok(Root::Open),
                401 if same_origin(&answer.url, &call.url) => {
                    let challenge = Challenged::parse(answer.headers()).challenge;
                    Ok(challenge.map_or(Root::Odd(401), |challenge| {
                        self.memory(registry).learn(challenge.clone());
                        Root::Wants(challenge)
                    }))
                }
                _ if answer.meaning().is_transient() => Err(self.refusal(target, answer).await),
                // It may be a server that expects TLS, or a client certificate.
                status => match self.refusal(target, answer).await {
                    error if error.is_tls() => Err(error),
                    _ => Ok(Root::Odd(status)),
                },
            }
        })
        .await
    }

    /// Fails unless `registry` answers, is a registry, and accepts the login that is known for it.
    pub fn ping<'a>(&'a self, registry: &'a Registry) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let target = Target::root(registry);
            self.ask_with_login(&target, |meaning| meaning == Meaning::Success)
                .await
        })
    }

    /// Asks the root of the API with the login for `target`; fails unless a registry answers with a
    /// status that `is_good`.
    pub(crate) async fn ask_with_login(
        &self,
        target: &Target<'_>,
        is_good: impl Fn(Meaning) -> bool,
    ) -> Result<(), RegistryError> {
        let registry = target.registry;
        let call = Call::new(Method::GET, self.root(registry)?);
        self.retry(registry.as_str(), || async {
            let mut answer = self.send(target, &call).await?;
            let sent = self.authorization(target).await?;
            require_registry(&self.context, registry, &mut answer, sent.as_ref()).await?;
            if is_good(answer.meaning()) {
                Ok(())
            } else {
                Err(self.refusal(target, answer).await)
            }
        })
        .await
    }

    /// The files of credentials that were read, in the order in which they count.
    pub fn credential_files(&self) -> Vec<&str> {
        self.context.credentials.files()
    }

    /// The login that would be used, and where it comes from; may run a helper.
    pub fn find_login<'a>(
        &'a self,
        registry: &'a Registry,
        repository: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Option<FoundLogin>, RegistryError>> {
        Box::pin(async move {
            let found = self.context.credentials.find(registry, repository).await;
            found.map_err(|source| RegistryError::Helper {
                registry: registry.clone(),
                source,
            })
        })
    }

    /// Why no login was found although a file has a similar one.
    pub fn login_obstacle(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<String> {
        self.context.credentials.obstacle(registry, repository)
    }

    /// Returns the user name with which calls to `repo` log in, if a login is known.
    pub fn username(&self, repo: &Repo) -> Option<String> {
        let login = self.context.login(&Target::push(repo))?;
        login.username().map(str::to_owned)
    }
}

/// What was already tried to get a call past its 401.
#[derive(Debug)]
pub(crate) struct LoginRounds {
    /// When the call was last sent.
    pub(crate) sent_at: Instant,
    has_learned: bool,
    refused_at: Option<Instant>,
    n_refused: usize,
    has_narrowed: bool,
}

impl Default for LoginRounds {
    fn default() -> Self {
        Self {
            sent_at: Instant::now(),
            has_learned: false,
            refused_at: None,
            n_refused: 0,
            has_narrowed: false,
        }
    }
}

impl LoginRounds {
    /// Counts a token that was refused; returns whether another may do.
    ///
    /// It may not where the refused one was fetched after a refusal: then it is not its age. One
    /// from before then may have expired like the one before it.
    fn may_go_on(&mut self, fetched_at: Option<Instant>) -> bool {
        self.n_refused += 1;
        let refused_at = *self.refused_at.get_or_insert_with(Instant::now);
        fetched_at.is_none_or(|fetched_at| fetched_at < refused_at)
            && self.n_refused <= REFUSALS_MAX
    }
}
