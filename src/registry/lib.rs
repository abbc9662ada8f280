//! The client of the OCI distribution API (distribution-spec 1.1; Docker's token authentication).
//!
//! ```text
//! client       Client: one per run; sends, logs in, retries
//!   endpoint   where a registry is, and where its answers point to
//!   transport  deadlines, redirects         connections  certificates  pinned  proxies
//!   auth       challenges, scopes, tokens   credentials   who to log in as   proof   if it is taken
//!   mirrors    where it is really read from (registries.conf)
//!   manifest   blob   upload   tags   catalog  the calls of the API
//!   evidence   what an answer proves: the one judge of "the registry has it"
//!   inspect    what `hod doctor` shows
//!   limiter    how much at once, and when not at all     throttle   budget
//!   retry      how often and how soon again    outage  error   asked   advice   safe_url
//!   harbor     what Harbor offers and says besides      probe   reach   the first look
//! ```
//!
//! The only user of reqwest. Nothing here knows of stores, bundles or lists. Whatever a registry
//! sends is hostile until checked: bodies are bounded, digests compared, URLs never carry a login
//! to another origin, and no secret reaches an error or a log.

mod advice;
mod asked;
mod auth;
mod blob;
mod budget;
mod catalog;
mod certificates;
mod challenge;
mod class;
mod client;
mod connections;
mod credentials;
mod endpoint;
mod error;
mod evidence;
mod foreign;
mod forgotten;
mod harbor;
mod inspect;
mod limiter;
mod manifest;
mod mirrors;
mod origin;
mod outage;
mod pages;
mod pinned;
mod probe;
mod proof;
mod proxies;
mod reach;
mod referrers;
mod retry;
mod root;
mod safe_url;
mod scopes;
mod tags;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod transport;
mod upload;

use std::fmt;

pub use asked::{Asked, LoginState, Purpose, Subject, Whom};
pub use budget::Budget;
pub use certificates::{CaFile, CertificatesError};
pub use client::{Client, ClientOptions};
pub use connections::TrustOptions;
pub use credentials::{
    Credentials, CredentialsError, FoundLogin, HelperError, KeepError, Kept, Login, LoginFile,
    LoginOrigin, Secret,
};
pub use error::{ConnectionError, ErrorBody, LoginRefusal, RegistryError, TlsFailure};
pub use evidence::Evidence;
pub use harbor::{
    Created, Creation, Creator, Harbor, NewProject, Project, ProjectAccess, ProjectKind, Rights,
    StorageQuota, SystemInfo,
};
pub use inspect::{CertificateFacts, Greeting, ReadPlan, RegistryKind, Route, Security, Wants};
pub use limiter::LimitOptions;
pub use manifest::{HeadManifest, SubjectSupport};
pub use mirrors::{Aliases, ConfFile, RegistriesConf, RegistriesConfError};
pub use origin::{BlobBody, BlobOrigin};
pub use outage::HostState;
pub use probe::Probe;
pub use proof::LoginCheck;
pub use proxies::{ProxyOptions, ProxyVariable, UsedProxy};
pub use reach::ReadPlace;
pub use referrers::ReferrerFinder;
pub use retry::{Attempts, Decision, Failure, Retries, RetryPolicy, Transient, decide};
pub use safe_url::{RequestLine, SafeUrl};
pub use upload::{
    CHUNK_LEN_DEFAULT, Drain, Reopen, UploadBody, UploadOptions, UploadSession, UploadStart,
    UploadStream,
};

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
