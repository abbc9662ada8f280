//! Deadlines and redirects: one request and its answer; [`super::connections`] has the clients.
//!
//! Deadlines are on progress, never on the whole: a blob may take hours. reqwest's own read
//! timeout is no such deadline, since it also ends a long upload that goes well.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::timeout;

use super::certificates::ServerCertificate;
use super::connections::{Connections, TrustOptions};
use super::endpoint::{resolve, same_origin};
use super::retry::parse_retry_after;
use super::{RegistryError, RequestLine};
use crate::oci::Digest;

/// How long nothing may come in, or go out, where something should.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a registry may think about what was written to it: it may have to hash gigabytes, or
/// to wait for its quota database (Harbor: five minutes).
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_mins(6);
const REDIRECTS_MAX: usize = 10;

/// One request, which can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    /// All headers but `Authorization`, which is not the call's to decide.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The registry for whose sake another host is asked, as it is for a token: what is trusted
    /// for the one is trusted for the other.
    pub(super) behalf: Option<Url>,
    pub(super) redirects: Redirects,
}

/// Where a call may be sent on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirects {
    Anywhere,
    /// To the same scheme, host and port, since the body is a secret.
    WithinOrigin,
}

impl Call {
    /// A request without headers and body.
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            behalf: None,
            redirects: Redirects::Anywhere,
        }
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

/// The answer to a request; its body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    /// Of the request that was answered, which is the last after redirects.
    pub(super) line: Box<RequestLine>,
    /// Where the answer came from.
    pub(super) url: Url,
    response: Response,
}

impl Answer {
    pub(super) fn new(method: &Method, url: Url, response: Response) -> Self {
        Self {
            line: Box::new(RequestLine::new(method, &url)),
            url,
            response,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Who answered.
    pub(super) fn remote_address(&self) -> Option<std::net::SocketAddr> {
        self.response.remote_addr()
    }

    /// The certificate of the server, over TLS.
    pub(super) fn certificate(&self) -> Option<ServerCertificate> {
        let info = self.response.extensions().get::<reqwest::tls::TlsInfo>()?;
        ServerCertificate::parse(info.peer_certificate()?)
    }

    /// A header's text, if it is one.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// `Content-Length` as sent, to a HEAD as well.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// `Docker-Content-Digest`; one that cannot be parsed tells nothing, like one that is absent.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.trim().parse().ok()
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        parse_retry_after(self.header(RETRY_AFTER)?, SystemTime::now())
    }

    /// Where the answer points to; `None` when it points nowhere usable.
    pub(super) fn location(&self) -> Option<Url> {
        resolve(&self.url, self.header(LOCATION)?)
    }

    /// The next piece of the body, or `None` after the last.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        match timeout(STALL_TIMEOUT, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(RegistryError::transport(self.line.clone(), error)),
            Err(_) => Err(RegistryError::Stalled {
                request: self.line.clone(),
                after: STALL_TIMEOUT,
            }),
        }
    }

    /// Reads the whole body, unless it has more than `len_max` bytes.
    pub(super) async fn read(mut self, len_max: u64) -> Result<Bytes, RegistryError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > len_max {
                return Err(RegistryError::AnswerTooLong {
                    request: self.line,
                    len_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Transport {
    connections: Connections,
}

impl Transport {
    pub(super) fn new(user_agent: HeaderValue, trust: TrustOptions) -> Self {
        Self {
            connections: Connections::new(user_agent, trust),
        }
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Sends `call` and returns the answer, of any status but a redirect that can be followed.
    ///
    /// `authorization` is for the origin of the call: a redirect to another scheme, host or port
    /// loses it, and does not get it back by returning. A body follows only where the status says
    /// that it should (307, 308).
    pub(super) async fn send(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut authorization = authorization.cloned();
        let mut url = call.url.clone();
        let mut redirects = 0;
        loop {
            let line = || Box::new(RequestLine::new(&call.method, &url));
            let answer_timeout = if line().is_read() {
                STALL_TIMEOUT
            } else {
                COMMIT_TIMEOUT
            };
            let behalf = call.behalf.as_ref().unwrap_or(&call.url);
            let client = self.connections.client(&url, behalf).await?;
            let request = client.request(call.method.clone(), url.clone());
            let request = request.headers(with_login(&call.headers, authorization.as_ref()));
            let response =
                match timeout(answer_timeout, request.body(call.body.clone()).send()).await {
                    Ok(Ok(response)) => response,
                    Ok(Err(error)) => return Err(RegistryError::transport(line(), error)),
                    Err(_) => {
                        return Err(RegistryError::Stalled {
                            request: line(),
                            after: answer_timeout,
                        });
                    }
                };
            let answer = Answer::new(&call.method, url.clone(), response);
            let next = match answer.status().as_u16() {
                301..=303 if answer.line.is_read() => answer.location(),
                307 | 308 => answer.location(),
                _ => None,
            };
            let is_allowed =
                |next: &Url| call.redirects == Redirects::Anywhere || same_origin(&url, next);
            let Some(next) = next.filter(is_allowed) else {
                return Ok(answer);
            };
            redirects += 1;
            if redirects > REDIRECTS_MAX {
                return Err(RegistryError::Redirects {
                    request: answer.line,
                });
            }
            authorization = authorization.filter(|_| same_origin(&url, &next));
            url = next;
        }
    }

    /// Begins a request, without headers.
    pub(super) async fn request(
        &self,
        method: &Method,
        url: &Url,
    ) -> Result<reqwest::RequestBuilder, RegistryError> {
        let client = self.connections.client(url, url).await?;
        Ok(client.request(method.clone(), url.clone()))
    }
}

/// `headers`, with `authorization` among them.
pub(super) fn with_login(headers: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}
