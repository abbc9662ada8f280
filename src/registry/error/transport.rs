//! The errors of requests that got no answer.

use super::RegistryError;
use super::connection::{ConnectionError, UsedProxy, failed_lookup, tls_failure};
use crate::RequestLine;

impl RegistryError {
    /// Takes over what reqwest says about a request that `proxy` was to pass on, if any.
    pub(crate) fn transport(
        request: Box<RequestLine>,
        error: reqwest::Error,
        proxy: Option<UsedProxy>,
    ) -> Self {
        let proxy = proxy.filter(|_| error.is_connect()).map(Box::new);
        if let Some(lookup) = failed_lookup(&error) {
            let host = lookup.host.unwrap_or_else(|| request.host().to_owned());
            let is_proxy = proxy.as_ref().is_some_and(|proxy| proxy.host == host);
            return match lookup.problem {
                None if is_proxy => Self::Transport {
                    request,
                    proxy,
                    source: ConnectionError::unknown_proxy(error, &host),
                },
                None => Self::UnknownHost { request, host },
                Some(problem) => Self::Lookup {
                    request,
                    host,
                    problem,
                },
            };
        }
        let failure = tls_failure(&error);
        let source = ConnectionError::new(error);
        match failure {
            Some(failure) => Self::Tls {
                request,
                failure,
                source: Some(source),
            },
            None => Self::Transport {
                request,
                proxy,
                source,
            },
        }
    }
}
