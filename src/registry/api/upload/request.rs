//! One request of an upload: its login, its redirects, its deadline.

use std::sync::Arc;

use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use reqwest::{Method, Url};

use super::data::{HELD_LEN_MAX, Part};
use super::parts::content_range;
use super::run::{Step, Upload};
use super::verdict::Phase;
use super::watch::{Watch, watched};
use crate::error::meaning::Meaning;
use crate::login::session::{LoginRounds, Session};
use crate::login::target::Target;
use crate::wire::endpoint::same_origin;
use crate::wire::transport::{Answer, SentLogin, with_login};
use crate::{RegistryError, RequestLine};

/// Maximum number of redirects of one part.
const REDIRECTS_MAX: usize = 5;

impl Upload<'_> {
    /// Sends a part of the blob to `url`, with a login if it requires one; the answer may have any
    /// status.
    ///
    /// The login is sent only to the registry's own origin, and the part to where the registry
    /// says.
    pub(super) async fn send(
        &mut self,
        method: &Method,
        url: Url,
        step: Step,
    ) -> Result<Answer, RegistryError> {
        let (session, repo) = (self.session(), self.repo.clone());
        let root = session.root(&repo.registry)?;
        let mut target = Target::push(&repo);
        let mut rounds = LoginRounds::default();
        let mut n_redirects = 0;
        let mut url = url;
        loop {
            let is_ours = same_origin(&url, &root);
            let authorization = if is_ours {
                session.authorization(&target).await?
            } else {
                None
            };
            let request = Request {
                method,
                url: &url,
                headers: with_login(&headers(step), authorization.as_ref()),
            };
            let body = self.body(&request, step).await?;
            rounds.sent_at = std::time::Instant::now();
            let answer = request.send(session, step.len, body).await?;
            if answer.meaning() == Meaning::Unauthorized && is_ours {
                let (sent, headers) = (authorization.as_ref(), answer.headers());
                if session
                    .learn(&mut target, &mut rounds, sent, headers)
                    .await?
                {
                    if !self.data.has(step.offset) {
                        let source = session.refusal(&target, answer).await;
                        let source = Box::new(source);
                        return Err(RegistryError::ReadOnce { source });
                    }
                    continue;
                }
            } else {
                session.settle(&target, &rounds);
            }
            let next = match answer.status() {
                307 | 308 if self.data.has(step.offset) => answer.location(),
                _ => None,
            };
            let Some(next) = next else {
                if answer.meaning() == Meaning::Success {
                    self.moved += step.len;
                }
                return Ok(answer);
            };
            n_redirects += 1;
            if n_redirects > REDIRECTS_MAX {
                return Err(RegistryError::Redirects {
                    request: answer.line,
                });
            }
            url = next;
        }
    }

    async fn body(&mut self, request: &Request<'_>, step: Step) -> Result<Part, RegistryError> {
        let body = if step.phase == Phase::Whole && step.len > HELD_LEN_MAX.max(self.chunk_len_min)
        {
            self.data.whole().await
        } else {
            self.data.part(step.offset, step.len).await
        };
        body.map_err(|source| RegistryError::UploadSource {
            request: Box::new(request.line()),
            source,
        })
    }
}

fn headers(step: Step) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(step.len));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if matches!(step.phase, Phase::FirstChunk | Phase::Chunk) {
        let range = content_range(step.offset, step.len);
        let range = HeaderValue::try_from(range).expect("digits are legal in a header");
        headers.insert(CONTENT_RANGE, range);
    }
    headers
}

struct Request<'a> {
    method: &'a Method,
    url: &'a Url,
    headers: HeaderMap,
}

impl Request<'_> {
    fn line(&self) -> RequestLine {
        RequestLine::new(self.method, self.url)
    }

    /// Sends `len` bytes and waits for the answer, as long as bytes go out. Takes back what was
    /// reported as moved unless the answer is a good one.
    async fn send(self, session: &Session, len: u64, body: Part) -> Result<Answer, RegistryError> {
        let transport = session.transport();
        let permit = transport.admit(self.method, self.url).await?;
        let watch = Arc::new(Watch::new(
            len,
            transport.stall_timeout(),
            Arc::clone(session.reporter()),
        ));
        let body = watched(body, transport.throttle(), Arc::clone(&watch));
        let body = reqwest::Body::wrap_stream(body);
        let sent_login = SentLogin::of(self.headers.get(AUTHORIZATION));
        let line = Box::new(self.line());
        let request = transport.request(self.method, self.url).await?;
        let request = request.headers(self.headers).body(body);
        let sent = tokio::select! {
            sent = request.send() => sent,
            after = watch.stalled() => {
                permit.timed_out();
                watch.take_back();
                return Err(RegistryError::Stalled { request: line, after });
            }
        };
        let result = match (sent, watch.take_error()) {
            // The data's own error, which caused that of the connection. An answer is ignored,
            // since the registry has not received the data.
            (_, Some(source)) => Err(RegistryError::UploadSource {
                request: line,
                source,
            }),
            (Err(error), None) => Err(transport.failed(self.url, line, error).await),
            (Ok(response), None) => {
                let url = self.url.clone();
                let answer = transport.answer(self.method, url, response, permit);
                Ok(answer.to(line, sent_login))
            }
        };
        if !matches!(&result, Ok(answer) if answer.meaning() == Meaning::Success) {
            watch.take_back();
        }
        result
    }
}
