//! How a registry is reached, and its description of itself: for `hod doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::client::{Client, Target};
use crate::login::challenge::{Challenge, Challenged};
use crate::route::mirrors::Place;
use crate::wire::certificates::{HostCertificates, ServerCertificate};
use crate::wire::transport::Call;
use crate::{FoundLogin, ManifestRef, RegistryError, Repo, SafeUrl};
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
    /// Who answered; a proxy, if there is one.
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

impl From<ServerCertificate> for CertificateFacts {
    fn from(certificate: ServerCertificate) -> Self {
        Self {
            subject: certificate.subject,
            issuer: certificate.issuer,
            expires: certificate.expires,
        }
    }
}

impl Client {
    /// The settings for reaching a registry; reads certificates, and sends nothing.
    pub async fn route(&self, registry: &Registry) -> Result<Route, RegistryError> {
        let root = self.root(registry)?;
        let trust = self.transport().connections().trust().clone();
        let certs_dir = trust.certs_dir(&root);
        let is_plain = root.scheme() == "http";
        let mut route = Route {
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
    }

    /// The places that a repository, or a registry as a whole, would be read from.
    pub fn read_plan(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<ReadPlan, RegistryError> {
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
        let Some(conf) = self.registries_conf() else {
            return Ok(ReadPlan {
                files: self.registries_conf_files(),
                rule: None,
                by_tag: vec![shown(&repo)],
                by_digest: vec![shown(&repo)],
            });
        };
        let latest = ManifestRef::Tag(hod_oci::Tag::latest());
        let by_tag = conf.places(&repo, Some(&latest))?;
        let by_digest = conf.places(&repo, None)?;
        let texts = |places: &[Place]| places.iter().map(|place| shown(&place.repo)).collect();
        Ok(ReadPlan {
            files: conf.files().to_vec(),
            rule: by_tag.rule.map(|rule| (rule.file, rule.prefix)),
            by_tag: texts(&by_tag.places),
            by_digest: texts(&by_digest.places),
        })
    }

    /// The files of credentials that were read, in the order in which they count.
    pub fn credential_files(&self) -> Vec<&str> {
        self.credentials().files()
    }

    /// The login that would be used, and where it comes from; may run a helper.
    pub async fn find_login(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<FoundLogin>, RegistryError> {
        let found = self.credentials().find(registry, repository).await;
        found.map_err(|source| RegistryError::Helper {
            registry: registry.clone(),
            source,
        })
    }

    /// Why no login was found although a file has a similar one.
    pub fn login_obstacle(
        &self,
        registry: &Registry,
        repository: Option<&RepositoryName>,
    ) -> Option<String> {
        self.credentials().obstacle(registry, repository)
    }

    /// Sends an anonymous request to the root of the API.
    pub async fn greet(&self, registry: &Registry) -> Result<Greeting, RegistryError> {
        let call = Call::new(Method::GET, self.root(registry)?);
        let mut answer = self.transport().send(&call, None).await?;
        self.require_registry(registry, &mut answer, None).await?;
        let (address, certificate) = (answer.remote_address(), answer.certificate());
        let status = answer.status();
        if !status.is_success() && status != StatusCode::UNAUTHORIZED {
            return Err(self.refusal(&Target::root(registry), answer).await);
        }
        let (wants, kind) = wants(registry, answer.headers());
        Ok(Greeting {
            address,
            certificate: certificate.map(CertificateFacts::from),
            status: status.as_u16(),
            wants: if status.is_success() {
                Wants::Nothing
            } else {
                wants
            },
            kind,
        })
    }

    /// The certificate that a registry presents, without verification.
    pub async fn shown_certificate(&self, registry: &Registry) -> Option<CertificateFacts> {
        let url = self.root(registry).ok()?;
        let transport = self.transport();
        let client = transport.connections().blind_client(&url).await.ok()?;
        let permit = transport.admit(&Method::GET, &url).await.ok()?;
        let sent = client.get(url.clone()).send();
        let waited = tokio::time::timeout(transport.stall_timeout(), sent).await;
        let answer = transport.answer((&Method::GET, url), waited.ok()?.ok()?, permit);
        answer.certificate().map(CertificateFacts::from)
    }
}

fn wants(registry: &Registry, headers: &HeaderMap) -> (Wants, RegistryKind) {
    let mut kind = if registry.is_docker_hub() {
        RegistryKind::DockerHub
    } else {
        RegistryKind::Unnamed
    };
    let challenge = Challenged::parse(headers).challenge;
    if challenge.as_ref().is_some_and(Challenge::is_harbor) {
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
