//! Ways in which a registry can fail or differ, as data.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What happens to which requests.
///
/// `Fault::on("GET", path_contains("/blobs/")).nth(1).does(Effect::CutBody(100))`
#[derive(Clone)]
pub struct Fault {
    method: Option<&'static str>,
    path: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    when: When,
    effect: Effect,
    n_seen: Arc<AtomicUsize>,
    paths: Arc<Mutex<HashSet<String>>>,
}

/// Which of the requests that a fault is about, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Nth(usize),
    First(usize),
    After(usize),
    OnceEach,
}

/// What happens instead of, or to, the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The status, with an error of the spec's shape, and nothing is done.
    Status(u16),
    /// The same, with a `Retry-After`.
    RetryAfter(u16, &'static str),
    /// The status with a body that is not JSON, as a proxy in between would send.
    Page(u16, &'static str),
    /// The connection ends without an answer, and nothing is done.
    HangUp,
    /// The connection ends without an answer, after the request was done.
    DoneButHangUp,
    /// The connection ends after at most this many bytes of the answer's body.
    CutBody(usize),
    /// The answer's body ends, as if it were whole, after this many bytes: no length is sent.
    ShortBody(usize),
    /// The first byte of the answer's body is another one.
    FlipByte,
    /// The answer comes after so many milliseconds.
    Delay(u64),
    /// A header is set to this value.
    Header(&'static str, String),
    /// A header is left out.
    NoHeader(&'static str),
    /// The client is sent to this URL, with the path added.
    Redirect(u16, String),
    /// `Location` is absolute, under this scheme and authority.
    AbsoluteLocation(String),
    /// A query that must be kept is in every `Location`.
    OpaqueLocation,
    /// The mount parameters are not seen: an ordinary upload begins.
    NoMount,
    /// A mount is answered with this status; an ordinary upload begins as ever.
    RefuseMount(u16),
    /// These need the fault proxy.
    ///
    /// This status, these header lines (each with its line break) and this body.
    Answer(u16, String, String),
    /// The connection ends after so many bytes of the request's body.
    CutRequest(usize),
    /// The same, by a reset.
    ResetRequest(usize),
    /// The first byte of the request's body is another one.
    FlipRequestByte,
    /// The connection is reset after so many bytes of the answer's body.
    ResetBody(usize),
    /// After so many bytes of the answer's body nothing comes; after 0, not even the head.
    StallBody(usize),
    /// The registry does not see that only a part was asked for.
    IgnoreRange,
}

impl Fault {
    /// Starts a fault of requests with this method (`*` for any) whose path `path` is true of.
    pub fn on(
        method: &'static str,
        path: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> FaultBuilder {
        FaultBuilder(Self {
            method: (method != "*").then_some(method),
            path: Arc::new(path),
            when: When::Always,
            effect: Effect::Status(500),
            n_seen: Arc::default(),
            paths: Arc::default(),
        })
    }

    /// The effect on this request, which counts.
    pub(super) fn strike(&self, method: &str, path: &str) -> Option<Effect> {
        if self.method.is_some_and(|wanted| wanted != method) || !(self.path)(path) {
            return None;
        }
        let n = self.n_seen.fetch_add(1, Ordering::SeqCst) + 1;
        let strikes = match self.when {
            When::Always => true,
            When::Nth(nth) => n == nth,
            When::First(count) => n <= count,
            When::After(count) => n > count,
            When::OnceEach => self.paths.lock().unwrap().insert(path.to_owned()),
        };
        strikes.then(|| self.effect.clone())
    }

    /// How many requests it was about, struck or not.
    pub fn n_seen(&self) -> usize {
        self.n_seen.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.unwrap_or("*");
        write!(f, "{method} {:?} {:?}", self.when, self.effect)
    }
}

/// A fault that does nothing yet.
#[must_use]
#[derive(Debug)]
pub struct FaultBuilder(Fault);

impl FaultBuilder {
    /// Only the `n`th such request, counted from 1.
    pub fn nth(mut self, n: usize) -> Self {
        self.0.when = When::Nth(n);
        self
    }

    /// Only the first `n` such requests.
    pub fn first(mut self, n: usize) -> Self {
        self.0.when = When::First(n);
        self
    }

    /// All such requests but the first `n`.
    pub fn after(mut self, n: usize) -> Self {
        self.0.when = When::After(n);
        self
    }

    /// Only the first such request of each path.
    pub fn once_each(mut self) -> Self {
        self.0.when = When::OnceEach;
        self
    }

    /// What happens to them.
    pub fn does(mut self, effect: Effect) -> Fault {
        self.0.effect = effect;
        self.0
    }
}

/// Every path.
pub fn any_path(_: &str) -> bool {
    true
}

/// The paths of blobs, not of uploads.
pub fn blob_path(path: &str) -> bool {
    path.contains("/blobs/") && !upload_path(path)
}

/// The paths of uploads.
pub fn upload_path(path: &str) -> bool {
    path.contains("/blobs/uploads")
}

/// The paths of manifests.
pub fn manifest_path(path: &str) -> bool {
    path.contains("/manifests/")
}

/// The paths with this text in them.
pub fn path_contains(text: impl Into<String>) -> impl Fn(&str) -> bool + Send + Sync {
    let text = text.into();
    move |path| path.contains(&text)
}
