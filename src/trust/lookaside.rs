//! Where the signatures of images in registries are: `registries.d` and lookaside storage.
//!
//! ```text
//! BASE/<path of the repository>@sha256=<hex>/signature-1      and -2, and so on
//! ```

mod config;
mod error;
mod storage;
#[cfg(test)]
mod tests;
mod url;
mod yaml;

pub use config::{RegistriesD, RegistriesDPaths, SignatureSettings};
pub use error::LookasideError;
pub use storage::{Lookaside, SignatureLocation};
pub use url::SignatureUrl;
