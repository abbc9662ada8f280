//! The client: its settings, and how a call is authenticated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use crate::api::manifest::HonestHeads;
use crate::api::upload::Uploads;
use crate::error::{ERROR_LEN_MAX, ErrorBody, presentable};
use crate::harbor::HarborAnswer;
use crate::login::auth::Auth;
use crate::login::challenge::Challenged;
use crate::login::scopes::Scopes;
use crate::route::mirrors::MirrorState;
use crate::safe_url::authority;
use crate::wire::endpoint::{Scheme, api_root, same_origin};
use crate::wire::limiter::Limiter;
use crate::wire::transport::{Answer, Call, SentLogin, Transport};
use crate::{
    Asked, Budget, Credentials, LimitOptions, Login, LoginState, Purpose, RegistriesConf,
    RegistryError, Repo, Subject, TrustOptions, Whom,
};
use hod_oci::{Registry, RepositoryName};
use hod_report::Reporter;
use hod_retry::{Failed, Failure, HostState, Retries, RetryPolicy};

/// Maximum number of concurrent writing requests to a Harbor.
const HARBOR_WRITES_MAX: usize = 5;

/// Number of attempts for a host that has not been reached yet.
const BRIEF_ATTEMPTS: u32 = 2;

/// As long a token may be what a web server refuses to take in a header.
const LONG_TOKEN_LEN: usize = 2048;

/// The settings of a client, fixed when it is made.
pub struct ClientOptions {
    pub credentials: Credentials,
    pub trust: TrustOptions,
    /// Mirrors and rewrites for reading; not used for writing.
    pub registries_conf: RegistriesConf,
    /// Registries that are spoken to without TLS, besides those on this machine.
    pub plain_http: Vec<Registry>,
    pub retry: RetryPolicy,
    pub limits: LimitOptions,
    pub reporter: Arc<dyn Reporter>,
    /// `hod/0.1.0`.
    pub user_agent: String,
    pub purpose: Purpose,
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("credentials", &self.credentials)
            .field("trust", &self.trust)
            .field("registries_conf", &self.registries_conf)
            .field("plain_http", &self.plain_http)
            .field("retry", &self.retry)
            .field("limits", &self.limits)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Speaks with registries; cheap to clone, and all clones share connections and tokens.
///
/// Every call tries again after transient failures ([`Client::retry`]), except
/// [`Client::fetch_blob`]: its data is the caller's to begin again.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    access: Access,
    patience: Patience,
    uploads: Arc<Uploads>,
}

/// How long to wait for a registry that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Full,
    /// No host has answered yet, so a wrong name is likelier than an outage.
    Brief,
    /// There is another place to ask.
    Mirror,
}

/// The rights requested with a token where a call only reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    Read,
    /// Those to write as well, since that is what comes next.
    Write,
}

struct Inner {
    options: ClientOptions,
    transport: Transport,
    auth: Auth,
    mirrors: MirrorState,
    honest_heads: HonestHeads,
    /// Number of times that similar tags were looked up for one that was not found.
    n_similar_asked: AtomicUsize,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

/// The part of a registry that a call concerns, for choosing the login.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) repository: Option<&'a RepositoryName>,
    pub(crate) scopes: Scopes,
}

impl<'a> Target<'a> {
    /// The registry as a whole.
    pub(crate) fn root(registry: &'a Registry) -> Self {
        Self {
            registry,
            repository: None,
            scopes: Scopes::default(),
        }
    }

    /// To read and write a repository.
    pub(crate) fn push(repo: &'a Repo) -> Self {
        Self {
            registry: &repo.registry,
            repository: Some(&repo.name),
            scopes: Scopes::push(&repo.name),
        }
    }
}

impl Client {
    /// Makes a client; nothing is sent.
    pub fn new(options: ClientOptions) -> Result<Self, RegistryError> {
        let mut trust = options.trust.clone();
        trust.insecure.extend(options.registries_conf.insecure());
        let user_agent = HeaderValue::try_from(options.user_agent.as_str()).map_err(|_| {
            RegistryError::UserAgent {
                text: options.user_agent.clone(),
            }
        })?;
        let reporter = Arc::clone(&options.reporter);
        let limiter = Limiter::new(options.limits, options.retry, reporter);
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                transport: Transport::new(user_agent, trust, limiter),
                auth: Auth::default(),
                mirrors: MirrorState::default(),
                honest_heads: HonestHeads::default(),
                n_similar_asked: AtomicUsize::new(0),
            }),
            access: Access::Read,
            patience: Patience::Full,
            uploads: Arc::default(),
        })
    }

    /// The same client for repositories that will be written to: what it looks up there first, it
    /// looks up with the token that writing needs, which saves the round trip for another.
    #[must_use]
    pub fn for_push(&self) -> Self {
        Self {
            access: Access::Write,
            ..self.clone()
        }
    }

    /// The same client with other uploads.
    pub(crate) fn sharing(&self, uploads: Uploads) -> Self {
        Self {
            uploads: Arc::new(uploads),
            ..self.clone()
        }
    }

    pub(crate) fn with_patience(&self, patience: Patience) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// Counts a question that is asked so many times in a run at most.
    pub(crate) fn may_ask_for_similar(&self, n_max: usize) -> bool {
        self.inner.n_similar_asked.fetch_add(1, Ordering::Relaxed) < n_max
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    pub(crate) fn honest_heads(&self) -> &HonestHeads {
        &self.inner.honest_heads
    }

    /// Whether what is looked up is to be written.
    pub(crate) fn is_for_push(&self) -> bool {
        self.access == Access::Write
    }

    pub(crate) fn mirrors(&self) -> &MirrorState {
        &self.inner.mirrors
    }

    /// The files that say where to read from, whether they say anything or not.
    pub(crate) fn registries_conf_files(&self) -> Vec<String> {
        self.inner.options.registries_conf.files().to_vec()
    }

    /// The rules for where to read from, if there are any.
    pub(crate) fn registries_conf(&self) -> Option<&RegistriesConf> {
        let conf = &self.inner.options.registries_conf;
        (self.access == Access::Read && !conf.is_empty()).then_some(conf)
    }

    /// Remembers which repositories the run will read, or with [`Client::for_push`] write, so that
    /// one token is asked for all of them; a registry that gives none for so much is asked for
    /// each as it comes. Nothing is sent.
    pub fn expect<'r>(&self, repos: impl IntoIterator<Item = &'r Repo>) {
        for target in repos.into_iter().map(|repo| self.reading(repo)) {
            let auth = self.auth().of(target.registry);
            auth.expect(self.login(&target), &target.scopes);
        }
    }

    /// Whether `registry` answers, is a registry, and takes the login that is known for it.
    pub async fn ping(&self, registry: &Registry) -> Result<(), RegistryError> {
        let target = Target::root(registry);
        let call = Call::new(Method::GET, self.root(registry)?);
        self.retry(registry.as_str(), || async {
            let mut answer = self.send(&target, &call).await?;
            let sent = self.authorization(&target).await?;
            self.require_registry(registry, &mut answer, sent.as_ref())
                .await?;
            if answer.status().is_success() {
                Ok(())
            } else {
                Err(self.refusal(&target, answer).await)
            }
        })
        .await
    }

    /// Says how many manifests of a registry are about to be fetched: a registry that allows fewer
    /// is warned of as soon as it says so ([`Event::Warning`]).
    ///
    /// [`Event::Warning`]: hod_report::Event::Warning
    pub fn expect_pulls(&self, registry: &Registry, n: usize) -> Result<(), RegistryError> {
        let root = self.root(registry)?;
        self.transport().limiter().expect_pulls(&root, n);
        Ok(())
    }

    /// The number of pulls that each host still allows, for those that say so; sorted by host.
    pub fn budgets(&self) -> Vec<(String, Budget)> {
        self.transport().limiter().budgets()
    }

    /// To read a repository.
    pub(crate) fn reading<'a>(&self, repo: &'a Repo) -> Target<'a> {
        let mut target = Target::push(repo);
        if self.access == Access::Read {
            target.scopes = Scopes::pull(&repo.name);
        }
        target
    }

    pub(crate) fn reporter(&self) -> &Arc<dyn Reporter> {
        &self.inner.options.reporter
    }

    /// How what failed is tried again.
    pub fn retry_policy(&self) -> RetryPolicy {
        self.inner.options.retry
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.inner.auth
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

    /// Starts to count the failures of an operation.
    pub fn retries(&self) -> Retries {
        let retries = Retries::new(self.retry_policy());
        match self.patience {
            Patience::Full => retries,
            Patience::Brief => retries.at_most_if_unreachable(BRIEF_ATTEMPTS),
            Patience::Mirror => retries.at_most_if_unreachable(1),
        }
    }

    /// Waits until an operation that failed may be tried again, and returns the error; fails with it
    /// if there is to be no other attempt.
    pub async fn wait(
        &self,
        retries: &mut Retries,
        what: &str,
        error: RegistryError,
        failure: Failure,
    ) -> Result<RegistryError, RegistryError> {
        let mut host = self.host_state(&error, retries.began_at());
        if self.patience != Patience::Full && error.is_unreachable() {
            host = HostState::Unreachable;
        }
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
        outages.state(host, (began, now), self.retry_policy().outage)
    }

    /// The root of the API: https, except where the user or the loopback address says otherwise.
    pub(crate) fn root(&self, registry: &Registry) -> Result<Url, RegistryError> {
        let options = &self.inner.options;
        let is_local = registry.is_loopback() && !options.trust.implies_tls(registry);
        let is_plain = is_local || options.plain_http.contains(registry);
        let scheme = match self.mirrors().scheme(registry) {
            _ if options.plain_http.contains(registry) => Scheme::Http,
            Some(scheme) => scheme,
            None if is_plain => Scheme::Http,
            None => Scheme::Https,
        };
        api_root(registry, scheme).ok_or_else(|| RegistryError::Host {
            registry: registry.clone(),
        })
    }

    pub(crate) fn plain_http(&self) -> &[Registry] {
        &self.inner.options.plain_http
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.inner.options.credentials
    }

    /// The login for a call's target, once [`Self::prepare_login`] has looked it up.
    pub(crate) fn login(&self, target: &Target<'_>) -> Option<Arc<Login>> {
        let credentials = self.credentials();
        credentials.lookup(target.registry, target.repository)
    }

    /// Looks up the login for a call's target; runs each credential helper once.
    pub(crate) async fn prepare_login(&self, target: &Target<'_>) -> Result<(), RegistryError> {
        let found = self
            .credentials()
            .find(target.registry, target.repository)
            .await;
        found.map(drop).map_err(|source| RegistryError::Helper {
            registry: target.registry.clone(),
            source,
        })
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
        Box::pin(self.send_with_login(target, call)).await
    }

    async fn send_with_login(
        &self,
        target: &Target<'_>,
        call: &Call,
    ) -> Result<Answer, RegistryError> {
        let mut target = target.clone();
        let mut login = LoginRounds::default();
        let mut may_redirect_again = call.method == Method::GET;
        loop {
            let turn = self.turn(&target).await?;
            let authorization = self.authorization(&target).await?;
            login.sent_at = Instant::now();
            let answer = self.transport().send(call, authorization.as_ref()).await?;
            let is_ours = same_origin(&answer.url, &call.url);
            if let Some(turn) = turn.filter(|_| is_ours) {
                self.judge(&target, &turn, answer.status()).await?;
            }
            if is_ours && self.has_too_long_token(&target, &answer, authorization.as_ref()) {
                continue;
            }
            // A signed URL may have expired on the way; the registry gives out another.
            if !is_ours && answer.status().is_client_error() && may_redirect_again {
                may_redirect_again = false;
                continue;
            }
            if answer.status() != StatusCode::UNAUTHORIZED || !is_ours {
                self.settle(&target, &login);
                return Ok(answer);
            }
            let sent = authorization.as_ref();
            if !self
                .heed(&mut target, &mut login, (sent, answer.headers()))
                .await?
            {
                return Ok(answer);
            }
        }
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
        let is_refused = match answer.status().as_u16() {
            431 => true,
            400 => !is_json,
            _ => false,
        };
        let is_long = sent.is_some_and(|sent| sent.len() > LONG_TOKEN_LEN);
        is_refused && is_long && self.auth().of(target.registry).shrink()
    }

    /// Learns from a 401, and returns whether sending again may help.
    pub(crate) async fn heed(
        &self,
        target: &mut Target<'_>,
        rounds: &mut LoginRounds,
        (sent, headers): (Option<&HeaderValue>, &HeaderMap),
    ) -> Result<bool, RegistryError> {
        let auth = self.auth().of(target.registry);
        let challenged = Challenged::parse(headers);
        let Some(sent) = sent else {
            if rounds.has_learned {
                return Ok(false);
            }
            rounds.has_learned = true;
            match challenged.challenge {
                Some(challenge) => {
                    // Harbor's database cannot take more (facts D9).
                    if challenge.is_harbor() {
                        let root = self.root(target.registry)?;
                        self.transport()
                            .limiter()
                            .cap_writes(&root, HARBOR_WRITES_MAX);
                    }
                    auth.learn(challenge);
                }
                None if auth.challenge().is_none() => self.ask_for_challenge(target).await?,
                None => {}
            }
            // A password is wanted and not known: the same again would be refused again.
            return self.can_login(target).await;
        };
        let is_ready = matches!(self.login(target).as_deref(), Some(Login::BearerToken(_)));
        if is_ready || sent.as_bytes().starts_with(b"Basic ") {
            return Ok(false);
        }
        let refused = auth.need(&self.token_key(target)).key;
        let fetched_at = auth.drop_tokens(sent, (&refused, rounds.sent_at));
        target.scopes.merge(&challenged.scopes);
        if rounds.may_go_on(fetched_at) {
            return Ok(true);
        }
        // The server may have given less than what was asked for, since that was a lot.
        let may_narrow = !rounds.has_narrowed && auth.narrow(&self.token_key(target));
        rounds.has_narrowed |= may_narrow;
        Ok(may_narrow)
    }

    /// Learns from an answer other than a 401: later calls authenticate in the same way at once.
    pub(crate) fn settle(&self, target: &Target<'_>, rounds: &LoginRounds) {
        if rounds.has_narrowed {
            self.auth().of(target.registry).narrow_all();
        }
    }

    async fn can_login(&self, target: &Target<'_>) -> Result<bool, RegistryError> {
        use crate::login::challenge::Challenge;
        match self.auth().of(target.registry).challenge() {
            None => Ok(false),
            Some(Challenge::Basic) => {
                self.prepare_login(target).await?;
                Ok(self.login(target).is_some())
            }
            Some(Challenge::Bearer { .. }) => Ok(true),
        }
    }

    /// Asks the root of the API for the challenge: some registries send it with no other 401.
    async fn ask_for_challenge(&self, target: &Target<'_>) -> Result<(), RegistryError> {
        let call = Call::new(Method::GET, self.root(target.registry)?);
        let answer = self.transport().send(&call, None).await?;
        if let Some(challenge) = Challenged::parse(answer.headers()).challenge {
            self.auth().of(target.registry).learn(challenge);
        }
        Ok(())
    }

    /// The error that an answer means, with what its body says.
    pub(crate) async fn refusal(&self, target: &Target<'_>, answer: Answer) -> RegistryError {
        let request = answer.line.clone();
        let root = self.root(target.registry);
        let root = root.as_ref().map(authority).unwrap_or_default();
        let subject = Subject::of(&request);
        // Some token servers have it posted.
        let was_sent = answer.sent_login() == SentLogin::Yes || subject == Subject::Token;
        let login = match self.login(target) {
            Some(_) if !was_sent => LoginState::NotSent,
            Some(login) => match login.username() {
                Some(username) => LoginState::As(username.to_owned()),
                None => LoginState::AsToken,
            },
            None => match self
                .credentials()
                .obstacle(target.registry, target.repository)
            {
                Some(reason) => LoginState::Unusable(reason.into()),
                None => LoginState::Anonymous,
            },
        };
        let asked = Box::new(Asked {
            subject,
            whom: Whom::of(&request, (target.registry.as_str(), &root)),
            purpose: self.inner.options.purpose,
            login,
        });
        let status = answer.status().as_u16();
        let retry_after = answer.retry_after();
        let closed = match status {
            429 | 503 => {
                let limiter = self.transport().limiter();
                limiter.closed(answer.method(), &answer.url)
            }
            _ => None,
        };
        let request_id = answer.header("x-request-id").and_then(presentable);
        let challenge = Challenged::parse(answer.headers()).challenge;
        // The status is the error, even if its explanation cannot be read.
        let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
        let mut body = ErrorBody::parse(&body);
        let is_from_harbor = !matches!(asked.whom, Whom::Elsewhere { .. });
        if self.is_harbor(target.registry) && is_from_harbor {
            let said = (status, challenge.as_ref(), body.message.as_deref());
            let doubt = self.doubt(target, said).await;
            let details = body.details.get_or_insert_default();
            details.harbor = Some(HarborAnswer {
                request_id,
                doubt,
                access: self.access,
            });
        }
        let error = RegistryError::Status {
            request,
            status,
            body,
            retry_after,
            asked,
        };
        match closed {
            Some(closed) => RegistryError::Closed {
                host: closed.host,
                until: closed.until,
                wait: closed.wait,
                source: Some(Box::new(error)),
            },
            None => error,
        }
    }
}

/// Maximum number of tokens tried for one call, including those that other calls fetched.
const REFUSALS_MAX: usize = 3;

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
