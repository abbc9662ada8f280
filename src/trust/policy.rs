//! Policies: `policy.json`, which says what images must be signed by.

mod evaluate;
mod file;
mod identity;
mod image;
mod key_source;
mod parse;
mod rejected;
mod requirement;
mod scope;
mod signed_by;
mod sigstore_signed;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use evaluate::{Evaluation, Requirements};
pub use file::{PolicyError, PolicyPaths};
pub use image::ImageUnderTest;
pub use rejected::{Reason, Rejected};
pub use scope::{PolicyScope, StoredImage};

use requirement::Requirement;

/// The longest policy that is read, in bytes.
pub const POLICY_LEN_MAX: u64 = 4 * 1024 * 1024;

/// What must be true of images, for each transport and scope.
#[derive(Debug, Clone)]
pub struct Policy {
    default: Vec<Requirement>,
    transports: HashMap<String, HashMap<String, Vec<Requirement>>>,
}

impl Policy {
    /// Returns the requirements of the most specific scope that an image is in: its own name, a
    /// namespace of it, the transport, or else the default.
    pub fn requirements(&self, scope: &PolicyScope) -> Requirements<'_> {
        let scopes = self.transports.get(scope.transport());
        let found = scopes.and_then(|scopes| scope.names().find_map(|name| scopes.get(name)));
        Requirements::new(found.unwrap_or(&self.default))
    }

    /// Returns a scope of a transport of Docker's names whose host has capital letters. Who writes
    /// all hosts in lowercase never looks it up, and would accept what it rejects.
    pub fn capital_host(&self, transport: &str) -> Option<&str> {
        let mut scopes = self.transports.get(transport)?.keys();
        let is_capital = |scope: &&String| {
            let host = scope.split('/').next().unwrap_or_default();
            host.bytes().any(|b| b.is_ascii_uppercase())
        };
        scopes.find(is_capital).map(String::as_str)
    }
}
