//! Logins: credentials, challenges, tokens, and the [`session::Session`] that authorizes calls.
//!
//! ```text
//! credentials      logins from this run, files and helpers    scopes  challenge  token  target
//! known_login      what is known of a login                   unknown_login
//! memory           what is known of a registry
//! context          what all calls share; the trait Dialect
//! registry_check   whether a host is a registry
//! lockout          the first request with a password
//! token_server     requests for tokens
//! session          authorizes, learns, retries                check   `hod login`
//! ```

pub(crate) mod challenge;
pub(crate) mod check;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod known_login;
pub(crate) mod lockout;
pub(crate) mod memory;
pub(crate) mod registry_check;
pub(crate) mod scopes;
pub(crate) mod session;
pub(crate) mod target;
pub(crate) mod token;
pub(crate) mod token_server;
pub(crate) mod unknown_login;
