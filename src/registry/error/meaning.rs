//! The meaning of the statuses of errors: the only place that judges them.

use hod_report::ErrorClass;

/// What the status of an answer means, whatever was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Success,
    /// Neither success nor error: 1xx, 3xx.
    NotFinal,
    BadRequest,
    /// The login is missing, wrong or not allowed to do this.
    Unauthorized,
    Forbidden,
    /// The proxy requires a login.
    ProxyLogin,
    NotFound,
    MethodNotAllowed,
    /// The server does not support the type of content, or the feature.
    Unsupported,
    Conflict,
    /// The server has another part of the content than the request assumes.
    OutOfRange,
    /// A rule does not allow it.
    Policy,
    /// The law does not allow it.
    Legal,
    TooLarge,
    /// Part of the request (its URL, its headers) is too long.
    TooLong,
    RateLimit,
    /// The request took too long to arrive.
    RequestTimeout,
    /// A proxy cannot reach the server.
    BadGateway,
    /// The server is down or overloaded.
    Unavailable,
    /// The server is too slow for the proxy in front of it.
    GatewayTimeout,
    /// The storage of the server is full.
    Full,
    /// Any other failure of the server.
    Failure,
    /// Any other refusal.
    Refusal,
}

impl Meaning {
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            ..=399 => Self::NotFinal,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            406 | 415 | 501 => Self::Unsupported,
            407 => Self::ProxyLogin,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            412 => Self::Policy,
            413 => Self::TooLarge,
            416 => Self::OutOfRange,
            414 | 431 => Self::TooLong,
            429 => Self::RateLimit,
            451 => Self::Legal,
            502 => Self::BadGateway,
            503 => Self::Unavailable,
            504 => Self::GatewayTimeout,
            507 => Self::Full,
            500..=599 => Self::Failure,
            _ => Self::Refusal,
        }
    }

    /// Whether the answer is about this moment, and says nothing about what was requested.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::RateLimit | Self::RequestTimeout) || self.is_failing()
    }

    /// Whether the server fails, or a proxy cannot reach it.
    pub(crate) fn is_failing(self) -> bool {
        matches!(self, Self::Full | Self::Failure) || self.is_unavailable()
    }

    /// Whether it looks as if the server were down as a whole.
    pub(crate) fn is_unavailable(self) -> bool {
        matches!(
            self,
            Self::BadGateway | Self::Unavailable | Self::GatewayTimeout
        )
    }

    /// Whether the server gets more requests than it allows, or can handle.
    pub(crate) fn is_overload(self) -> bool {
        matches!(self, Self::RateLimit | Self::Unavailable)
    }

    /// Whether what was requested does not exist at this server: the content, or the kind of
    /// request.
    pub(crate) fn is_not_offered(self) -> bool {
        matches!(
            self,
            Self::NotFound | Self::MethodNotAllowed | Self::Unsupported
        )
    }

    /// Whether it is about the login or its rights. Some registries answer like this for what does
    /// not exist.
    pub(crate) fn is_about_login(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden)
    }

    /// The class of an error, unless its body says more.
    pub(crate) fn class(self) -> ErrorClass {
        match self {
            Self::Unauthorized | Self::Forbidden | Self::ProxyLogin => ErrorClass::Auth,
            Self::NotFound => ErrorClass::NotFound,
            Self::RequestTimeout | Self::GatewayTimeout => ErrorClass::Network,
            Self::Policy | Self::Legal | Self::TooLarge => ErrorClass::Policy,
            Self::RateLimit => ErrorClass::RateLimit,
            Self::Full => ErrorClass::Space,
            Self::Success
            | Self::NotFinal
            | Self::BadRequest
            | Self::MethodNotAllowed
            | Self::Unsupported
            | Self::Conflict
            | Self::OutOfRange
            | Self::TooLong
            | Self::BadGateway
            | Self::Unavailable
            | Self::Failure
            | Self::Refusal => ErrorClass::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_classes_and_some_pass() {
        for (status, class, is_transient) in [
            (400, ErrorClass::Server, false),
            (401, ErrorClass::Auth, false),
            (403, ErrorClass::Auth, false),
            (404, ErrorClass::NotFound, false),
            (405, ErrorClass::Server, false),
            (408, ErrorClass::Network, true),
            (410, ErrorClass::NotFound, false),
            (412, ErrorClass::Policy, false),
            (413, ErrorClass::Policy, false),
            (416, ErrorClass::Server, false),
            (418, ErrorClass::Server, false),
            (429, ErrorClass::RateLimit, true),
            (451, ErrorClass::Policy, false),
            (500, ErrorClass::Server, true),
            (501, ErrorClass::Server, false),
            (502, ErrorClass::Server, true),
            (503, ErrorClass::Server, true),
            (504, ErrorClass::Network, true),
            (507, ErrorClass::Space, true),
            (520, ErrorClass::Server, true),
        ] {
            let meaning = Meaning::of(status);
            assert_eq!(meaning.class(), class, "{status}");
            assert_eq!(meaning.is_transient(), is_transient, "{status}");
        }
    }
}
