//! HTTP: connections, TLS, proxies, limits. Knows nothing of logins or of the registry API.

pub(crate) mod budget;
pub(crate) mod certificates;
pub(crate) mod connections;
pub(crate) mod endpoint;
pub(crate) mod hybrid;
pub(crate) mod limiter;
pub(crate) mod pinned;
pub(crate) mod proxies;
pub(crate) mod retry_after;
pub(crate) mod throttle;
pub(crate) mod tls_limits;
pub(crate) mod transport;
pub(crate) mod x509;
