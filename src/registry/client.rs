//! The client: what the program holds of all layers.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::future::BoxFuture;
use hod_oci::{Registry, RepositoryName};
use hod_report::Reporter;
use hod_retry::RetryPolicy;
use reqwest::header::HeaderValue;

use crate::api::blob::Blobs;
use crate::api::catalog::{catalog_names, parse_names};
use crate::api::foreign::ForeignLayers;
use crate::api::manifest::Manifests;
use crate::api::signatures::SignatureFiles;
use crate::api::tags::Tags;
use crate::api::upload::{UploadOptions, UploadState, Uploads};
use crate::harbor::{HARBOR, Harbor};
use crate::login::context::Context;
use crate::login::credentials::Credentials;
use crate::login::memory::Memory;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::route::mirrors::{Mirrors, RegistriesConf};
use crate::wire::budget::Budget;
use crate::wire::connections::TrustOptions;
use crate::wire::limiter::{LimitOptions, Limiter};
use crate::wire::transport::Transport;
use crate::{Purpose, RegistryError, Repo};

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

/// A client of registries. Cheap to clone; all clones share connections and tokens.
///
/// Every call retries after transient failures, except [`Blobs::fetch`], whose data is the caller's
/// to begin again.
#[derive(Debug, Clone)]
pub struct Client {
    pub session: Session,
    pub manifests: Manifests,
    pub blobs: Blobs,
    pub foreign_layers: ForeignLayers,
    pub uploads: Uploads,
    pub tags: Tags,
    pub signatures: SignatureFiles,
}

impl Client {
    /// Makes a client; nothing is sent.
    pub fn new(options: ClientOptions) -> Result<Self, RegistryError> {
        let insecure = options.registries_conf.insecure();
        let user_agent = HeaderValue::try_from(options.user_agent.as_str()).map_err(|_| {
            RegistryError::UserAgent {
                text: options.user_agent.clone(),
            }
        })?;
        let reporter = Arc::clone(&options.reporter);
        let limiter = Limiter::new(options.limits, options.retry, reporter);
        let session = Session::new(Context {
            transport: Transport::new(
                user_agent,
                options.trust,
                insecure,
                options.plain_http,
                limiter,
            ),
            credentials: options.credentials,
            memory: Memory::new(&HARBOR),
            dialect: &HARBOR,
            purpose: options.purpose,
            retry: options.retry,
            reporter: options.reporter,
            n_similar_tags: AtomicUsize::default(),
        });
        let mirrors = Mirrors::new(session, options.registries_conf);
        Ok(Self::of(mirrors, Arc::default()))
    }

    fn of(mirrors: Mirrors, uploads: Arc<UploadState>) -> Self {
        let blobs = Blobs::new(mirrors.clone());
        Self {
            session: mirrors.session().clone(),
            signatures: SignatureFiles::new(mirrors.session().clone()),
            manifests: Manifests::new(mirrors.clone()),
            foreign_layers: ForeignLayers::new(blobs.clone()),
            uploads: Uploads::new(blobs.clone(), uploads),
            blobs,
            tags: Tags::new(mirrors),
        }
    }

    /// Returns the same client for repositories that will be written to: reads request the token
    /// that writing needs, which saves another one.
    #[must_use]
    pub fn for_push(&self) -> Self {
        let mirrors = self.blobs.mirrors().within(self.session.for_push());
        Self::of(mirrors, Arc::clone(self.uploads.state()))
    }

    /// Returns the same client for repositories that will be deleted from.
    #[must_use]
    pub fn for_delete(&self) -> Self {
        let mirrors = self.blobs.mirrors().within(self.session.for_delete());
        Self::of(mirrors, Arc::clone(self.uploads.state()))
    }

    /// Returns the same client with other options for uploads.
    #[must_use]
    pub fn with_uploads(&self, options: UploadOptions) -> Self {
        let state = Arc::new(UploadState::new(options));
        Self::of(self.blobs.mirrors().clone(), state)
    }

    /// Notes which repositories the run will read, or with [`Client::for_push`] write, so that one
    /// token is requested for all of them. Nothing is sent.
    pub fn expect<'r>(&self, repos: impl IntoIterator<Item = &'r Repo>) {
        self.session.expect(repos);
    }

    /// Finds out, with one request, whether a registry of [`TrustOptions::may_lack_tls`] has TLS:
    /// from then on it is spoken to as it answered. Nothing is asked of other registries.
    pub fn find_scheme<'a>(
        &'a self,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            let transport = self.session.transport();
            if transport.may_lack_tls(registry) {
                transport.find_scheme(registry).await?;
            }
            Ok(())
        })
    }

    /// Fails if the user's `registries.conf` blocks a repository. Nothing is sent.
    pub fn require_allowed(&self, repo: &Repo) -> Result<(), RegistryError> {
        self.blobs.mirrors().places(repo, None).map(drop)
    }

    /// Notes how many manifests of a registry will be fetched; reports a warning as soon as the
    /// registry says that it allows fewer ([`Event::Warning`]).
    ///
    /// [`Event::Warning`]: hod_report::Event::Warning
    pub fn expect_pulls(&self, registry: &Registry, n: usize) -> Result<(), RegistryError> {
        let root = self.session.root(registry)?;
        self.session.transport().limiter().expect_pulls(&root, n);
        Ok(())
    }

    /// Returns the number of pulls that each host still allows, for those that say so; sorted by
    /// host.
    pub fn budgets(&self) -> Vec<(String, Budget)> {
        self.session.transport().limiter().budgets()
    }

    /// Whether the registry is a Harbor, as far as it has answered yet.
    pub fn is_harbor(&self, registry: &Registry) -> bool {
        self.session.dialect(registry).is_some()
    }

    /// Returns the API of a registry that is a Harbor, as far as it has answered yet.
    pub fn harbor(&self, registry: &Registry) -> Option<Harbor> {
        Harbor::new(&self.session, registry)
    }

    /// Returns the maximum number of concurrent uploads to the registry, if it is limited.
    pub fn uploads_at_once_max(&self, registry: &Registry) -> Option<usize> {
        let dialect = self.session.dialect(registry)?;
        Some(dialect.limits().uploads)
    }

    /// Lists the repositories of a registry that this login may see, in the registry's order; with
    /// a prefix, those that are it or are below it.
    ///
    /// Many registries have no such list, or show it to administrators only.
    pub fn list_repositories<'a>(
        &'a self,
        registry: &'a Registry,
        prefix: Option<&'a RepositoryName>,
    ) -> BoxFuture<'a, Result<Vec<RepositoryName>, RegistryError>> {
        Box::pin(async move {
            let session = &self.session;
            // Its answer says how to log in, and so whether it is a Harbor.
            session.ask_root(&Target::root(registry)).await?;
            if let Some(harbor) = self.harbor(registry) {
                return harbor.repositories(prefix).await;
            }
            let names = catalog_names(session, registry).await?;
            Ok(parse_names(session, registry, prefix, names))
        })
    }
}
