//! The settings for reaching a registry, and what it says of itself: for `hod doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::api::manifest::Manifests;
use crate::error::meaning::Meaning;
use crate::login::challenge::{Challenge, Challenged};
use crate::login::registry_check::require_registry;
use crate::login::session::Session;
use crate::login::target::Target;
use crate::route::mirrors::Place;
use crate::wire::certificates::HostCertificates;
use crate::wire::transport::Call;
use crate::wire::x509::Certificate;
use crate::{ManifestRef, RegistryError, Repo, SafeUrl};
use hod_oci::{Registry, RepositoryName};

/// The settings for a registry that are known without a request.
#[derive(Debug, Clone)]
pub struct Route {
    /// The root of the API.
    pub url: SafeUrl,
    pub security: Security,
    /// The proxy in between, without its password.
    pub proxy: Option<String>,
    /// The directory of the host's own certificates.
    pub certs_dir: Option<PathBuf>,
    /// CAs besides those of the system.
    pub ca_files: Vec<PathBuf>,
    /// The paths of the client's certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// The security of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Verified,
    /// TLS without verification.
    Unverified,
    Plain,
}

/// Where to read from, according to `registries.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlan {
    /// The files that were read.
    pub files: Vec<String>,
    /// The file and the prefix of the rule, if there is one.
    pub rule: Option<(String, String)>,
    /// For tags, in order; the last is the primary one.
    pub by_tag: Vec<String>,
    /// The same for digests.
    pub by_digest: Vec<String>,
}

/// The answer of a registry to an anonymous request.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The address of the server, or of the proxy.
    pub address: Option<SocketAddr>,
    /// Of the registry's own certificate.
    pub certificate: Option<CertificateFacts>,
    pub status: u16,
    pub wants: Wants,
    pub kind: RegistryKind,
}

/// A summary of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    pub subject: String,
    pub issuer: String,
    /// A date in UTC, `2027-01-31`.
    pub expires: String,
}

/// The authentication scheme of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    Nothing,
    Password,
    /// From the token server at this URL, for this service.
    Token {
        realm: String,
        service: Option<String>,
    },
}

/// The kind of registry, as far as its greeting tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryKind {
    Harbor,
    DockerHub,
    /// Nothing known.
    Unnamed,
}

impl From<Certificate> for CertificateFacts {
    fn from(certificate: Certificate) -> Self {
        Self {
            subject: certificate.subject,
            issuer: certificate.issuer,
            expires: certificate.not_after.date(),
        }
    }
}

impl Route {
    /// The settings for reaching a registry; reads certificates, and sends nothing.
    pub fn of<'a>(
        session: &'a Session,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Result<Self, RegistryError>> {
        Box::pin(async move {
            let root = session.root(registry)?;
            let trust = session.transport().connections().trust().clone();
            let certs_dir = trust.certs_dir(&root);
            let is_plain = root.scheme() == "http";
            let mut route = Self {
                url: SafeUrl::new(&root),
                security: if is_plain {
                    Security::Plain
                } else if trust.is_insecure(&root) {
                    Security::Unverified
                } else {
                    Security::Verified
                },
                proxy: trust.proxies.proxy_of(&root).map(|proxy| proxy.url),
                certs_dir: certs_dir.clone(),
                ca_files: Vec::new(),
                client_certificate: None,
            };
            if is_plain {
                return Ok(route);
            }
            let ca_files = trust.ca_files.iter();
            route.ca_files = ca_files.map(|file| file.path().to_owned()).collect();
            if let Some(dir) = certs_dir {
                let own = hod_bridge::run(move || HostCertificates::load(&dir)).await?;
                let own_files = own.ca_files.iter();
                route
                    .ca_files
                    .extend(own_files.map(|file| file.path().to_owned()));
                route.client_certificate = own.pair;
            }
            Ok(route)
        })
    }
}

impl ReadPlan {
    /// The places that a repository, or a registry as a whole, would be read from.
    pub fn of(
        manifests: &Manifests,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Self, RegistryError> {
        // Rules apply to repositories; one that represents all is shown as the registry.
        let any: RepositoryName = "any".parse().expect("one word is a name");
        let repo = Repo {
            registry: registry.clone(),
            name: repository.unwrap_or(&any).clone(),
        };
        let shown = |place: &Repo| {
            let text = place.to_string();
            let whole = text.strip_suffix("/any").filter(|_| repository.is_none());
            whole.map_or(text.clone(), str::to_owned)
        };
        let mirrors = manifests.mirrors();
        let latest = ManifestRef::Tag(hod_oci::Tag::latest());
        let by_tag = mirrors.places(&repo, Some(&latest))?;
        let by_digest = mirrors.places(&repo, None)?;
        let texts = |places: &[Place]| places.iter().map(|place| shown(&place.repo)).collect();
        Ok(Self {
            files: mirrors.files().to_vec(),
            rule: by_tag.rule.map(|rule| (rule.file, rule.prefix)),
            by_tag: texts(&by_tag.places),
            by_digest: texts(&by_digest.places),
        })
    }
}

impl Greeting {
    /// Sends an anonymous request to the root of the API.
    pub fn of<'a>(
        session: &'a Session,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Result<Self, RegistryError>> {
        Box::pin(async move {
            let call = Call::new(Method::GET, session.root(registry)?);
            let mut answer = session.transport().send(&call, None).await?;
            require_registry(session.context(), registry, &mut answer, None).await?;
            let (address, certificate) = (answer.remote_address(), answer.certificate());
            if !matches!(answer.meaning(), Meaning::Success | Meaning::Unauthorized) {
                return Err(session.refusal(&Target::root(registry), answer).await);
            }
            let (wants, kind) = wants(session, registry, answer.headers());
            Ok(Self {
                address,
                certificate: certificate.map(CertificateFacts::from),
                status: answer.status(),
                wants: if answer.meaning() == Meaning::Success {
                    Wants::Nothing
                } else {
                    wants
                },
                kind,
            })
        })
    }
}

impl CertificateFacts {
    /// The certificate that a registry presents, without verification.
    pub fn shown_by<'a>(
        session: &'a Session,
        registry: &'a Registry,
    ) -> BoxFuture<'a, Option<Self>> {
        Box::pin(async move {
            let url = session.root(registry).ok()?;
            let transport = session.transport();
            let client = transport.connections().blind_client(&url).await.ok()?;
            let permit = transport.admit(&Method::GET, &url).await.ok()?;
            let sent = client.get(url.clone()).send();
            let waited = tokio::time::timeout(transport.stall_timeout(), sent).await;
            let answer = transport.answer(&Method::GET, url, waited.ok()?.ok()?, permit);
            answer.certificate().map(Self::from)
        })
    }
}

fn wants(session: &Session, registry: &Registry, headers: &HeaderMap) -> (Wants, RegistryKind) {
    let mut kind = if registry.is_docker_hub() {
        RegistryKind::DockerHub
    } else {
        RegistryKind::Unnamed
    };
    let challenge = Challenged::parse(headers).challenge;
    let service = challenge.as_ref().and_then(Challenge::service);
    if service == Some(session.context().dialect.service()) {
        kind = RegistryKind::Harbor;
    }
    let wants = match challenge {
        None => Wants::Nothing,
        Some(Challenge::Basic) => Wants::Password,
        Some(Challenge::Bearer { realm, service }) => {
            let safe = realm.parse().map(|url| SafeUrl::new(&url).to_string());
            Wants::Token {
                realm: safe.unwrap_or(realm),
                service,
            }
        }
    };
    (wants, kind)
}
