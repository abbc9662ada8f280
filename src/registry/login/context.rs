//! What all of a run's calls share: the transport, the credentials, and what registries were found
//! to require.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::BoxFuture;
use hod_oci::{Registry, RepositoryName};
use hod_report::Reporter;
use hod_retry::RetryPolicy;
use reqwest::Url;

use crate::error::harbor::{Access, Cause, HarborRefusal};
use crate::error::meaning::Meaning;
use crate::error::safe_url::authority;
use crate::error::{ERROR_LEN_MAX, ErrorBody, tls_complaint};
use crate::login::challenge::{Challenge, Challenged};
use crate::login::credentials::{Credentials, Login};
use crate::login::memory::{Memory, RegistryMemory};
use crate::login::scopes::ScopeRules;
use crate::login::target::Target;
use crate::wire::transport::{Answer, SentLogin, Transport};
use crate::{LoginState, Purpose, Refusal, Refuser, RegistryError, Subject, TlsFailure};
use hod_report::presentable;

/// A kind of registry that deviates from the specification.
pub(crate) trait Dialect: ScopeRules {
    fn limits(&self) -> DialectLimits;

    /// Whether a token, as sent in `Authorization`, was issued for no user.
    fn is_anonymous(&self, authorization: &[u8]) -> bool;

    /// Whether blobs of a repository may be mounted elsewhere.
    fn may_mount_from(&self, repository: &RepositoryName) -> bool;

    /// Determines what a refusal means beyond its message; may send a request.
    fn explain<'a>(
        &'a self,
        context: &'a Context,
        target: &'a Target<'a>,
        refused: Refused<'a>,
    ) -> BoxFuture<'a, Cause>;
}

/// The load that such a registry bears.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DialectLimits {
    /// Maximum number of concurrent writing requests.
    pub(crate) writes: usize,
    /// Maximum number of concurrent uploads.
    pub(crate) uploads: usize,
}

/// What a registry answered to a call that it refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused<'a> {
    pub(crate) status: u16,
    pub(crate) challenge: Option<&'a Challenge>,
    pub(crate) message: Option<&'a str>,
}

/// What all calls of a run share.
pub(crate) struct Context {
    pub(crate) transport: Transport,
    pub(crate) credentials: Credentials,
    pub(crate) memory: Memory,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) purpose: Purpose,
    pub(crate) retry: RetryPolicy,
    pub(crate) reporter: Arc<dyn Reporter>,
    /// Number of times that similar tags were looked up.
    pub(crate) n_similar_tags: AtomicUsize,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("credentials", &self.credentials)
            .field("purpose", &self.purpose)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn root(&self, registry: &Registry) -> Result<Url, RegistryError> {
        self.transport.root(registry)
    }

    /// Returns what is known of a registry.
    pub(crate) fn memory(&self, registry: &Registry) -> Arc<RegistryMemory> {
        self.memory.of(registry)
    }

    /// Returns the dialect of a registry, if its challenge has shown that it has one.
    pub(crate) fn dialect(&self, registry: &Registry) -> Option<&'static dyn Dialect> {
        self.memory(registry).has_dialect().then_some(self.dialect)
    }

    /// Returns the login for a call, once [`Self::prepare_login`] has looked it up.
    pub(crate) fn login(&self, target: &Target<'_>) -> Option<Arc<Login>> {
        self.credentials.lookup(target.registry, target.repository)
    }

    /// Looks up the login for a call; runs each credential helper once.
    pub(crate) async fn prepare_login(&self, target: &Target<'_>) -> Result<(), RegistryError> {
        let found = self
            .credentials
            .find(target.registry, target.repository)
            .await;
        found.map(drop).map_err(|source| RegistryError::Helper {
            registry: target.registry.clone(),
            source,
        })
    }

    /// Whether the login for a call was accepted earlier in this run.
    pub(crate) fn has_accepted_login(&self, target: &Target<'_>) -> bool {
        let memory = self.memory(target.registry);
        self.login(target)
            .is_some_and(|login| memory.login(&login).is_accepted())
    }

    /// Notes that the login for `target` was accepted.
    pub(crate) fn note_accepted_login(&self, target: &Target<'_>) {
        if let Some(login) = self.login(target) {
            self.memory(target.registry).login(&login).accept();
        }
    }

    /// Returns the error that an answer means, with what its body says.
    pub(crate) async fn refusal(&self, target: &Target<'_>, answer: Answer) -> RegistryError {
        let request = (*answer.line).clone();
        let root = self.root(target.registry);
        let root = root.as_ref().map(authority).unwrap_or_default();
        let subject = Subject::of(&request);
        // Some token servers have it posted.
        let sent = match subject {
            Subject::Token => SentLogin::Yes,
            _ => answer.sent_login(),
        };
        let refuser = Refuser::of(&request, target.registry.as_str(), &root);
        let status = answer.status();
        let retry_after = answer.retry_after();
        let is_plain = answer.url.scheme() == "http";
        let closed = if answer.meaning().is_overload() {
            let limiter = self.transport.limiter();
            limiter.closed(answer.method(), &answer.url)
        } else {
            None
        };
        let request_id = answer.header("x-request-id").and_then(presentable);
        let challenged = Challenged::parse(answer.headers());
        let challenge = challenged.challenge;
        // The status is the error, even if its explanation cannot be read.
        let body = answer.read(ERROR_LEN_MAX).await.unwrap_or_default();
        // Over TLS, it is a proxy that complains about the server behind it.
        let complaint = tls_complaint(&body)
            .filter(|_| Meaning::of(status) == Meaning::BadRequest)
            .filter(|failure| is_plain || *failure != TlsFailure::TlsRequired);
        if let Some(failure) = complaint {
            return RegistryError::Tls {
                request: Box::new(request),
                failure,
                source: None,
            };
        }
        let mut body = ErrorBody::parse(&body);
        if challenged.is_scope_insufficient {
            body.details.get_or_insert_default().is_scope_insufficient = true;
        }
        let is_from_registry = !matches!(refuser, Refuser::Elsewhere { .. });
        if let Some(dialect) = self.dialect(target.registry).filter(|_| is_from_registry) {
            let answered = Refused {
                status,
                challenge: challenge.as_ref(),
                message: body.message.as_deref(),
            };
            let cause = dialect.explain(self, target, answered).await;
            let details = body.details.get_or_insert_default();
            details.harbor = Some(HarborRefusal {
                request_id,
                cause,
                access: if target.scopes.writing().is_empty() {
                    Access::Read
                } else {
                    Access::Write
                },
            });
        }
        let error = RegistryError::Refused(Box::new(Refusal {
            request,
            status,
            body,
            has_foreign_layers: false,
            retry_after,
            subject,
            refuser,
            purpose: self.purpose,
            login: self.login_state(target, sent),
        }));
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

    fn login_state(&self, target: &Target<'_>, sent: SentLogin) -> LoginState {
        match self.login(target) {
            Some(_) if sent == SentLogin::No => LoginState::NotSent,
            Some(login) => match login.username() {
                Some(username) => LoginState::As(username.to_owned()),
                None => LoginState::AsToken,
            },
            None => match self
                .credentials
                .obstacle(target.registry, target.repository)
            {
                Some(reason) => LoginState::Unusable(reason.into()),
                None => LoginState::Anonymous,
            },
        }
    }
}
