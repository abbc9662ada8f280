//! The client of the OCI distribution API (distribution-spec 1.1; Docker's token authentication).
//!
//! ```text
//! wire     HTTP: connections, TLS, proxies, redirects; limits, pauses and outages of hosts
//! login    who logs in (credentials), what the registry requires (challenges), tokens
//! route    where images are read from: the registry or its mirrors (registries.conf)
//! api      the calls of the distribution API: manifests, blobs, uploads, tags, referrers
//! harbor   what Harbor offers and says besides
//! client   Client: one per run; holds all of these
//! error    why a request failed, and what to do about it
//! ```
//!
//! The only user of reqwest. Nothing here knows of stores, bundles or lists. Whatever a registry
//! sends is hostile until checked: bodies are bounded, digests compared, URLs never carry a login
//! to another origin, and no secret reaches an error or a log.

mod api;
mod client;
mod error;
mod harbor;
mod login;
mod route;
mod safe_url;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

pub use api::inspect::{
    CertificateFacts, Greeting, ReadPlan, RegistryKind, Route, Security, Wants,
};
pub use api::manifest::{HeadManifest, SubjectSupport};
pub use api::probe::Probe;
pub use api::reach::ReadPlace;
pub use api::referrers::ReferrerFinder;
pub use api::upload::{
    CHUNK_LEN_DEFAULT, Drain, Reopen, UploadBody, UploadOptions, UploadSession, UploadStart,
    UploadStream,
};
pub use client::{Client, ClientOptions};
pub use error::asked::{Asked, LoginState, Purpose, Subject, Whom};
pub use error::{ConnectionError, ErrorBody, LoginRefusal, RegistryError, TlsFailure};
pub use harbor::{
    Created, Creation, Creator, Harbor, NewProject, Project, ProjectAccess, ProjectKind, Rights,
    StorageQuota, SystemInfo,
};
pub use login::credentials::{
    Credentials, CredentialsError, FoundLogin, HelperError, KeepError, Kept, Login, LoginFile,
    LoginOrigin, Secret,
};
pub use login::proof::LoginCheck;
pub use route::mirrors::{Aliases, ConfFile, RegistriesConf, RegistriesConfError};
pub use route::origin::{BlobBody, BlobOrigin};
pub use safe_url::{RequestLine, SafeUrl};
pub use wire::budget::Budget;
pub use wire::certificates::{CaFile, CertificatesError};
pub use wire::connections::TrustOptions;
pub use wire::evidence::Evidence;
pub use wire::limiter::LimitOptions;
pub use wire::proxies::{ProxyOptions, ProxyVariable, UsedProxy};

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
