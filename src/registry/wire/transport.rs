//! Deadlines and redirects: one request and its answer; [`crate::wire::connections`] has the clients.
//!
//! Deadlines concern progress, not the whole request: a blob may take hours. reqwest's own read
//! timeout is not suitable, since it also ends a long upload that makes progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, Url};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::error::meaning::Meaning;
use crate::error::tls_failure;
use crate::wire::connections::{Connections, TrustOptions};
use crate::wire::endpoint::{Scheme, api_root, registry_of, resolve, same_origin};
use crate::wire::limiter::{Limiter, Permit};
use crate::wire::retry_after::retry_after;
use crate::wire::throttle::Throttle;
use crate::wire::x509::Certificate;
use crate::{RegistryError, RequestLine, TlsFailure};
use hod_oci::{Digest, Registry};
use hod_retry::Outages;

/// Maximum time for the answer to a write: the registry may have to hash gigabytes, or to wait for
/// its quota database (Harbor: five minutes).
pub(crate) const COMMIT_TIMEOUT: Duration = Duration::from_mins(6);
pub(crate) const REDIRECTS_MAX: usize = 10;
/// Maximum time for finding out whether a server speaks another protocol.
const OTHER_SCHEME_TIMEOUT: Duration = Duration::from_secs(5);

/// One request, which can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// All headers but `Authorization`, which is not the call's to decide.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The registry for whose sake another host is asked, as it is for a token: what is trusted
    /// for the one is trusted for the other.
    pub(crate) behalf: Option<Url>,
    pub(crate) redirects: Redirects,
}

/// Where a call may be redirected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Anywhere,
    /// To the same scheme, host and port, since the body is a secret.
    WithinOrigin,
    /// Nowhere: the caller looks at each place first.
    Nowhere,
}

impl Call {
    /// A request without headers and body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
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
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }
}

/// The answer to a request; its body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of the request that was answered, which is the last after redirects.
    pub(crate) line: Box<RequestLine>,
    /// The URL that the answer came from.
    pub(crate) url: Url,
    method: Method,
    response: Response,
    limiter: Arc<Limiter>,
    /// Held while there may be a body to come.
    permit: Permit,
    sent_login: SentLogin,
}

/// Whether the request that was answered carried a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentLogin {
    Yes,
    No,
}

impl SentLogin {
    pub(crate) fn of(authorization: Option<&HeaderValue>) -> Self {
        authorization.map_or(Self::No, |_| Self::Yes)
    }
}

impl Answer {
    /// Adds what is known about the request besides its URL.
    pub(crate) fn to(mut self, line: Box<RequestLine>, sent_login: SentLogin) -> Self {
        self.line = line;
        self.sent_login = sent_login;
        self
    }

    pub(crate) fn sent_login(&self) -> SentLogin {
        self.sent_login
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn meaning(&self) -> Meaning {
        Meaning::of(self.status())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The address of the server.
    pub(crate) fn remote_address(&self) -> Option<std::net::SocketAddr> {
        self.response.remote_addr()
    }

    /// The certificate of the server, over TLS.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        let info = self.response.extensions().get::<reqwest::tls::TlsInfo>()?;
        Certificate::parse(info.peer_certificate()?)
    }

    /// A header's text, if it is one.
    pub(crate) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Whether the answer is a web page according to its content type.
    pub(crate) fn is_page(&self) -> bool {
        let media_type = self.header(CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|page| media_type.eq_ignore_ascii_case(page))
    }

    /// `Content-Length` as sent, to a HEAD as well.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// `Docker-Content-Digest`; one that cannot be parsed tells nothing, like one that is absent.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.trim().parse().ok()
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers())
    }

    /// The URL that the answer points to; `None` when it is missing or unusable.
    pub(crate) fn location(&self) -> Option<Url> {
        resolve(&self.url, self.header(LOCATION)?)
    }

    /// The next piece of the body, or `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let stall_timeout = self.limiter.stall_timeout();
        match timeout(stall_timeout, self.response.chunk()).await {
            Ok(Ok(chunk)) => {
                if let Some(chunk) = &chunk {
                    self.limiter.throttle().pass(chunk.len()).await;
                }
                Ok(chunk)
            }
            Ok(Err(error)) => Err(RegistryError::transport(self.line.clone(), error, None)),
            Err(_) => {
                self.permit.timed_out();
                Err(RegistryError::Stalled {
                    request: self.line.clone(),
                    after: stall_timeout,
                })
            }
        }
    }

    /// Reads the whole body, unless it has more than `len_max` bytes or takes more than twice the
    /// time that is waited for progress.
    pub(crate) async fn read(mut self, len_max: u64) -> Result<Bytes, RegistryError> {
        let after = self.limiter.stall_timeout() * 2;
        let mut body = BytesMut::new();
        match timeout(after, self.read_into(&mut body, len_max)).await {
            Ok(result) => result.map(|()| body.freeze()),
            Err(_) => Err(RegistryError::TooSlow {
                request: self.line,
                after,
                len: body.len(),
            }),
        }
    }

    async fn read_into(&mut self, body: &mut BytesMut, len_max: u64) -> Result<(), RegistryError> {
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > len_max {
                return Err(RegistryError::AnswerTooLong {
                    request: self.line.clone(),
                    len_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    }
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Transport {
    connections: Connections,
    limiter: Arc<Limiter>,
    outages: Outages,
    /// Registries that are accessed without TLS, besides those on this machine.
    plain_http: Vec<Registry>,
    /// Registries whose certificate is not verified, and that may as well have none.
    may_lack_tls: Vec<Registry>,
    /// The scheme of each registry that may lack TLS.
    schemes: Mutex<HashMap<Registry, Arc<OnceCell<Scheme>>>>,
}

impl Transport {
    pub(crate) fn new(
        user_agent: HeaderValue,
        mut trust: TrustOptions,
        insecure: Vec<Registry>,
        plain_http: Vec<Registry>,
        limiter: Limiter,
    ) -> Self {
        let may_lack_tls = insecure.iter().filter(|at| !trust.implies_tls(at));
        let mut may_lack_tls: Vec<Registry> = may_lack_tls.cloned().collect();
        trust.insecure.extend(insecure);
        may_lack_tls.extend(trust.may_lack_tls.iter().cloned());
        trust
            .insecure
            .extend(std::mem::take(&mut trust.may_lack_tls));
        Self {
            plain_http,
            may_lack_tls,
            schemes: Mutex::default(),
            connections: Connections::new(user_agent, trust),
            limiter: Arc::new(limiter),
            outages: Outages::default(),
        }
    }

    /// Returns the root of a registry's API: https, unless the user or the loopback address says
    /// otherwise.
    pub(crate) fn root(&self, registry: &Registry) -> Result<Url, RegistryError> {
        let implies_tls =
            !self.may_lack_tls.contains(registry) && self.connections.trust().implies_tls(registry);
        let is_local = registry.is_loopback() && !implies_tls;
        let scheme = match self.known_scheme(registry) {
            _ if self.plain_http.contains(registry) => Scheme::Http,
            Some(scheme) => scheme,
            None if is_local => Scheme::Http,
            None => Scheme::Https,
        };
        root_at(registry, scheme)
    }

    fn known_scheme(&self, registry: &Registry) -> Option<Scheme> {
        let schemes = self.schemes.lock().expect("no panic while looking up");
        schemes.get(registry)?.get().copied()
    }

    /// Whether the user named the host of `url` as one to speak plain HTTP with.
    pub(crate) fn is_plain(&self, url: &Url) -> bool {
        let registry = registry_of(url);
        registry.is_some_and(|registry| self.plain_http.contains(&registry))
    }

    /// Whether a registry may have no TLS, and that is no reason not to speak to it.
    pub(crate) fn may_lack_tls(&self, registry: &Registry) -> bool {
        self.may_lack_tls.contains(registry)
    }

    /// Finds out whether a registry that may lack TLS has it, once.
    pub(crate) async fn find_scheme(&self, registry: &Registry) -> Result<(), RegistryError> {
        let cell = {
            let mut schemes = self.schemes.lock().expect("no panic while looking up");
            Arc::clone(schemes.entry(registry.clone()).or_default())
        };
        cell.get_or_try_init(|| async {
            let ping = Call::new(Method::GET, root_at(registry, Scheme::Https)?);
            Ok::<_, RegistryError>(match self.send(&ping, None).await {
                Err(
                    RegistryError::Transport { .. }
                    | RegistryError::Tls {
                        failure:
                            TlsFailure::PlainAnswer | TlsFailure::Version | TlsFailure::Handshake,
                        ..
                    },
                ) => Scheme::Http,
                _ => Scheme::Https,
            })
        })
        .await
        .map(drop)
    }

    /// Which hosts are down.
    pub(crate) fn outages(&self) -> &Outages {
        &self.outages
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Limits the rate of bytes that are sent.
    pub(crate) fn throttle(&self) -> Arc<Throttle> {
        Arc::clone(self.limiter.throttle())
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.limiter.stall_timeout()
    }

    /// Waits until a request may be sent to where `url` is; to be called before each
    /// [`Transport::request`], and given to [`Transport::answer`].
    ///
    /// Nothing may be held that another request to the same host waits for.
    pub(crate) async fn admit(&self, method: &Method, url: &Url) -> Result<Permit, RegistryError> {
        let admitted = self.limiter.admit(method, url).await;
        admitted.map_err(|closed| RegistryError::Closed {
            host: closed.host,
            until: closed.until,
            wait: closed.wait,
            source: None,
        })
    }

    /// Takes the headers of an answer, and the limits of the host in them.
    pub(crate) fn answer(
        &self,
        method: &Method,
        url: Url,
        response: Response,
        mut permit: Permit,
    ) -> Answer {
        let meaning = Meaning::of(response.status().as_u16());
        self.limiter.heard(&permit, meaning, response.headers());
        let line = Box::new(RequestLine::new(method, &url));
        // A token server may answer all the while, and so may the limits of a proxy.
        let is_useful = meaning != Meaning::Unauthorized && !meaning.is_transient();
        if is_useful && url.path().starts_with("/v2/") {
            self.outages.answered(line.host());
        } else {
            self.outages.reached(line.host());
        }
        // Of other answers the body is short, or is not read at all. Above all, who is refused
        // may have to ask the same host for a token before it reads on.
        if meaning != Meaning::Success || *method != Method::GET {
            permit.release();
        }
        Answer {
            line,
            url,
            method: method.clone(),
            response,
            limiter: Arc::clone(&self.limiter),
            permit,
            sent_login: SentLogin::No,
        }
    }

    /// Sends `call` and returns the answer, of any status but a redirect that can be followed.
    ///
    /// `authorization` is for the origin of the call: a redirect to another scheme, host or port
    /// loses it, and does not get it back by returning. A body follows only where the status says
    /// that it should (307, 308).
    pub(crate) async fn send(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut authorization = authorization.cloned();
        let mut url = call.url.clone();
        let mut line = Box::new(RequestLine::new(&call.method, &url));
        if call.behalf.is_some() {
            line = Box::new(line.for_token());
        }
        let mut redirects = 0;
        loop {
            // A POST begins an upload; what takes long is a PUT that puts together what was sent.
            let answer_timeout = if line.is_read() || call.method == Method::POST {
                self.stall_timeout()
            } else {
                COMMIT_TIMEOUT
            };
            let permit = self.admit(&call.method, &url).await?;
            let behalf = call.behalf.as_ref().unwrap_or(&call.url);
            let client = self.connections.client(&url, behalf).await?;
            let request = client.request(call.method.clone(), url.clone());
            let request = request.headers(with_login(&call.headers, authorization.as_ref()));
            let response =
                match timeout(answer_timeout, request.body(call.body.clone()).send()).await {
                    Ok(Ok(response)) => response,
                    Ok(Err(error)) => {
                        if error.is_timeout() {
                            permit.timed_out();
                        }
                        return Err(self.failed(&url, line, error).await);
                    }
                    Err(_) => {
                        permit.timed_out();
                        return Err(RegistryError::Stalled {
                            request: line,
                            after: answer_timeout,
                        });
                    }
                };
            let answer = self
                .answer(&call.method, url.clone(), response, permit)
                .to(line.clone(), SentLogin::of(authorization.as_ref()));
            let next = match answer.status() {
                301..=303 if answer.line.is_read() => answer.location(),
                307 | 308 => answer.location(),
                _ => None,
            };
            let is_allowed = |next: &Url| match call.redirects {
                Redirects::Anywhere => true,
                Redirects::WithinOrigin => same_origin(&url, next),
                Redirects::Nowhere => false,
            };
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
            line = Box::new(line.redirected(&next));
            url = next;
        }
    }

    /// The error of a request to which no answer came.
    ///
    /// A server that sent no answer in the expected protocol is asked once more in the other one,
    /// since anything may send bytes that are not HTTP, or not TLS.
    pub(crate) async fn failed(
        &self,
        url: &Url,
        line: Box<RequestLine>,
        error: reqwest::Error,
    ) -> RegistryError {
        let proxy = self.connections.trust().proxies.proxy_of(url);
        match RegistryError::transport(line, error, proxy) {
            RegistryError::Tls {
                request,
                failure: TlsFailure::PlainAnswer,
                source: Some(source),
            } => {
                if self.answers_in(Scheme::Http, url).await {
                    RegistryError::Tls {
                        request,
                        failure: TlsFailure::PlainAnswer,
                        source: None,
                    }
                } else {
                    RegistryError::Transport {
                        request,
                        proxy: None,
                        source,
                    }
                }
            }
            RegistryError::Transport {
                request, source, ..
            } if url.scheme() == "http"
                && source.is_broken()
                && !self.outages.was_reached(request.host())
                && self.answers_in(Scheme::Https, url).await =>
            {
                RegistryError::Tls {
                    request,
                    failure: TlsFailure::TlsRequired,
                    source: None,
                }
            }
            error => error,
        }
    }

    /// Whether the server at `url` understands another scheme than that of `url`. Nothing but a
    /// request for the root of the API is sent.
    async fn answers_in(&self, scheme: Scheme, url: &Url) -> bool {
        let mut root = url.clone();
        root.set_path("/v2/");
        root.set_query(None);
        let port = url.port_or_known_default();
        if root.set_scheme(scheme.as_str()).is_err() || root.set_port(port).is_err() {
            return false;
        }
        // A proxy would answer for it.
        let proxies = &self.connections.trust().proxies;
        if proxies.proxy_of(url).is_some() || proxies.proxy_of(&root).is_some() {
            return false;
        }
        let Ok(client) = self.connections.blind_client(&root).await else {
            return false;
        };
        match timeout(OTHER_SCHEME_TIMEOUT, client.get(root).send()).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tls_failure(&error).is_some_and(|failure| failure != TlsFailure::PlainAnswer)
            }
            Err(_) => false,
        }
    }

    /// Begins a request, without headers.
    pub(crate) async fn request(
        &self,
        method: &Method,
        url: &Url,
    ) -> Result<reqwest::RequestBuilder, RegistryError> {
        let client = self.connections.client(url, url).await?;
        Ok(client.request(method.clone(), url.clone()))
    }
}

fn root_at(registry: &Registry, scheme: Scheme) -> Result<Url, RegistryError> {
    api_root(registry, scheme).ok_or_else(|| RegistryError::Host {
        registry: registry.clone(),
    })
}

/// `headers`, with `authorization` among them.
pub(crate) fn with_login(headers: &HeaderMap, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = headers.clone();
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use hod_report::Silent;
    use hod_retry::RetryPolicy;

    /// `insecure` in registries.conf says that a certificate is not verified, and not that there is
    /// one; certificates of a host say that there is.
    #[test]
    fn what_may_lack_tls_is_not_verified_whatever_else_is_known_of_it() {
        let host: Registry = "127.0.0.1:5000".parse().unwrap();
        let certs = [(host.to_string(), "certs.d".into())];
        for (certs_d, scheme) in [(Vec::new(), "http"), (certs.into(), "https")] {
            let trust = TrustOptions {
                certs_d: certs_d.into_iter().collect(),
                ..TrustOptions::default()
            };
            let retry = RetryPolicy {
                attempts: 1,
                base: Duration::ZERO,
                max: Duration::ZERO,
                outage: Duration::ZERO,
            };
            let limiter = Limiter::new(crate::LimitOptions::default(), retry, Arc::new(Silent));
            let agent = HeaderValue::from_static("hod/test");
            let transport = Transport::new(agent, trust, vec![host.clone()], Vec::new(), limiter);
            let root = transport.root(&host).unwrap();
            assert_eq!(root.scheme(), scheme);
            assert!(
                transport.connections().trust().is_insecure(&root),
                "{scheme}"
            );
        }
    }
}
