//! Logins: credentials, challenges and tokens.

pub(crate) mod auth;
pub(crate) mod challenge;
pub(crate) mod credentials;
pub(crate) mod forgotten;
pub(crate) mod proof;
pub(crate) mod root;
pub(crate) mod scopes;
pub(crate) mod token;
