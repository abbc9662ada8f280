//! The bodies of requests and answers, and the work at their end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::access_log::Record;
use super::connections::InFlight;

/// Number of bytes read of an unused body, so that the client reads the answer and its connection
/// can be used again.
const DRAIN_LEN_MAX: u64 = 4 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// The body of a request; on drop, the rest is read and discarded, within limits.
#[derive(Debug)]
pub(super) struct Received {
    inner: Option<Incoming>,
    unread: Unread,
}

/// Tells whether a body was read to its end.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    is_ended: Arc<AtomicBool>,
    /// As stated by the client.
    is_long: bool,
}

impl Received {
    pub(super) fn new(inner: Incoming) -> Self {
        let is_long = inner.size_hint().upper().is_none_or(|n| n > DRAIN_LEN_MAX);
        let unread = Unread {
            is_ended: Arc::new(AtomicBool::new(inner.is_end_stream())),
            is_long,
        };
        Self {
            inner: Some(inner),
            unread,
        }
    }

    pub(super) fn unread(&self) -> Unread {
        self.unread.clone()
    }
}

impl Unread {
    /// Whether so much is left that the connection cannot be used again.
    pub(super) fn is_too_much(&self) -> bool {
        self.is_long && !self.is_ended.load(Ordering::Relaxed)
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(context));
        if inner.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.unread.is_ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = SizeHint::with_exact(0);
        self.inner.as_ref().map_or(none, HttpBody::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let is_ended = self.unread.is_ended.load(Ordering::Relaxed);
        if let (Some(inner), false, Ok(runtime)) = (
            self.inner.take(),
            is_ended,
            tokio::runtime::Handle::try_current(),
        ) {
            runtime.spawn(tokio::time::timeout(DRAIN_TIME_MAX, drain(inner)));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut len = 0;
    while let Some(Ok(frame)) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        len += frame.data_ref().map_or(0, Bytes::len) as u64;
        if len > DRAIN_LEN_MAX {
            return;
        }
    }
}

/// An answer's body; the request is over, and is logged, when it is dropped.
#[derive(Debug)]
pub(super) struct Answered {
    inner: Body,
    record: Option<Record>,
    _request: InFlight,
}

impl Answered {
    pub(super) fn new(inner: Body, record: Option<Record>, request: InFlight) -> Self {
        Self {
            inner,
            record,
            _request: request,
        }
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let (Some(record), Some(Ok(frame))) = (&mut self.record, &frame) {
            record.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
