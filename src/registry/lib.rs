//! The client of the OCI distribution API (distribution-spec 1.1; Docker's token authentication).
//!
//! ```text
//! client   Client: holds one of each of the below             inspect  what `hod doctor` shows
//! harbor   Harbor's own API; HarborDialect
//! api      Manifests, Blobs, Uploads, Tags, ReferrerFinder: the calls of the distribution API
//! route    Mirrors: reads from one place after the other (registries.conf)
//! login    Session: authorizes a call, learns from its refusal, retries; the trait Dialect
//! wire     Transport: sends a request: connections, TLS, proxies, redirects, limits of hosts
//! error    why a request failed, and what to do about it
//! ```
//!
//! A layer uses only layers below it; `tests/it/house/circles.rs` checks this. A manifest is read by
//! `Manifests::fetch` → `Mirrors::read` → `Session::retry` → `Session::send` → `Transport::send`.
//!
//! The only user of reqwest. Nothing here knows of stores, bundles or lists. Whatever a registry
//! sends is hostile until checked: bodies are bounded, digests compared, URLs never carry a login
//! to another origin, and no secret reaches an error or a log.

mod api;
mod client;
mod error;
mod harbor;
mod inspect;
mod login;
mod route;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

pub use api::blob::Blobs;
pub use api::content_check::ContentCheck;
pub use api::delete::Deleted;
pub use api::foreign::ForeignLayers;
pub use api::manifest::{HeadManifest, Manifests, SubjectSupport};
pub use api::probe::Probe;
pub use api::reach::ReadPlace;
pub use api::referrers::ReferrerFinder;
pub use api::signatures::SignatureFiles;
pub use api::tags::Tags;
pub use api::upload::{
    CHUNK_LEN_DEFAULT, Drain, Reopen, UploadBody, UploadOptions, UploadSession, UploadStart,
    UploadStream, Uploads,
};
pub use client::{Client, ClientOptions};
pub use error::certificates::CertificatesError;
pub use error::credential_helper::HelperError;
pub use error::refusal::{LoginState, Purpose, Refusal, Refuser, Subject};
pub use error::safe_url::{RequestLine, SafeUrl};
pub use error::{ConnectionError, ErrorBody, LoginRefusal, RegistryError, TlsFailure, UsedProxy};
pub use harbor::{
    Created, Creation, Creator, Harbor, NewProject, Project, ProjectAccess, ProjectKind, Rights,
    StorageQuota, SystemInfo,
};
pub use inspect::{CertificateFacts, Greeting, ReadPlan, RegistryKind, Route, Security, Wants};
pub use login::check::LoginCheck;
pub use login::credentials::{
    Credentials, CredentialsError, FoundLogin, KeepError, Kept, Login, LoginFile, LoginOrigin,
    Secret,
};
pub use login::session::Session;
pub use route::mirrors::{Aliases, ConfFile, RegistriesConf, RegistriesConfError};
pub use route::origin::{BlobBody, BlobOrigin};
pub use wire::budget::Budget;
pub use wire::certificates::CaFile;
pub use wire::connections::TrustOptions;
pub use wire::limiter::LimitOptions;
pub use wire::pinned::{ClientPair, tls_config};
pub use wire::proxies::{ProxyOptions, ProxyVariable};
pub use wire::tls_limits::{TlsLimits, TlsLimitsError, TlsVersion};

use hod_oci::{Digest, Registry, RepositoryName, Tag};

/// One repository of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repo {
    pub registry: Registry,
    /// The name as the registry has it.
    pub name: RepositoryName,
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// What names a manifest within a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ManifestRef {
    Tag(Tag),
    Digest(Digest),
}

impl fmt::Display for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
