//! One fetch for several targets: each target has its own engine with its own speed, and targets
//! that request a blob at about the same time share one read of it.
//!
//! No target waits for a slower one: a slow target fetches for itself, and so does one that
//! receives the bytes of a shared blob too slowly, from its position on. What a target does not
//! need, or has by now, it is not waited for either. So no target holds up another for longer than
//! a few times [`JOIN_WAIT`]. One that takes blobs in an order of its own would be waited for at
//! every blob: it fetches all for itself.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::{BlobContent, BlobStream, Location, Origins, Plan, Source, TransferError};
use hod_oci::{Descriptor, Digest};

/// How long the first target that asks for a blob waits for the others.
const JOIN_WAIT: Duration = Duration::from_secs(2);
/// Maximum total time that the others wait for a slower target.
const LAG_MAX: Duration = Duration::from_secs(5);
/// How many chunks are under way to a target.
const CHUNKS_MAX: usize = 4;

/// The position of a target.
type TargetId = usize;

/// A source that several targets read.
#[derive(Debug)]
pub struct SharedFetch {
    inner: Arc<dyn Source>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The targets that have neither requested nor declined each blob.
    awaited: HashMap<Digest, HashSet<TargetId>>,
    /// Those that wait for the others to ask for a blob.
    waiting: HashMap<Digest, Vec<oneshot::Sender<Start>>>,
    /// Those that are not waited for, since the others are ahead of them.
    behind: HashSet<TargetId>,
}

/// How a target that waited gets its bytes.
#[derive(Debug)]
enum Start {
    /// It opens the blob, and hands the bytes on to the others.
    Lead(Vec<mpsc::Sender<Message>>),
    Follow(mpsc::Receiver<Message>),
}

#[derive(Debug, Clone)]
enum Message {
    /// It is open; the origins of its bytes.
    Opened(Origins),
    Chunk(Bytes),
    End,
}

impl SharedFetch {
    /// Shares `inner` among targets with these plans.
    pub fn new(inner: Arc<dyn Source>, plans: &[Arc<Plan>]) -> Arc<Self> {
        let mut state = State::default();
        for (target, plan) in plans.iter().enumerate() {
            for blob in &plan.blobs {
                let awaited = state.awaited.entry(blob.descriptor.digest.clone());
                awaited.or_default().insert(target);
            }
        }
        let state = Mutex::new(state);
        Arc::new(Self { inner, state })
    }

    /// The share of one target.
    pub fn of_target(self: &Arc<Self>, target: usize) -> Share {
        let shared = Arc::clone(self);
        Share { shared, target }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic with the lock")
    }

    /// Records that a target no longer requires a blob.
    fn forget(&self, target: TargetId, digest: &Digest) {
        let mut state = self.state();
        if let Some(awaited) = state.awaited.get_mut(digest) {
            awaited.remove(&target);
        }
        state.start_if_complete(digest);
    }

    /// Notes that a target fetches for itself.
    fn forget_all(&self, target: TargetId) {
        let mut state = self.state();
        let awaited = state.awaited.iter_mut();
        let of_target = awaited.filter_map(|(digest, targets)| {
            let was_awaited = targets.remove(&target);
            was_awaited.then(|| digest.clone())
        });
        let digests: Vec<Digest> = of_target.collect();
        for digest in digests {
            state.start_if_complete(&digest);
        }
    }

    /// Waits until all have asked for the blob that are waited for; returns how to read it.
    async fn join(&self, target: TargetId, digest: &Digest) -> Start {
        let receiver = {
            let mut state = self.state();
            let Some(awaited) = state.awaited.get_mut(digest) else {
                return Start::Lead(Vec::new());
            };
            if !awaited.remove(&target) {
                // Another attempt, which no other target requires.
                return Start::Lead(Vec::new());
            }
            // Whoever is first with a blob has caught up.
            state.behind.remove(&target);
            let (start, receiver) = oneshot::channel();
            let waiting = state.waiting.entry(digest.clone()).or_default();
            waiting.push(start);
            state.start_if_complete(digest);
            receiver
        };
        let mut receiver = std::pin::pin!(receiver);
        if let Ok(start) = tokio::time::timeout(JOIN_WAIT, &mut receiver).await {
            return start.unwrap_or(Start::Lead(Vec::new()));
        }
        self.state().start(digest);
        receiver.await.unwrap_or(Start::Lead(Vec::new()))
    }
}

impl State {
    fn start_if_complete(&mut self, digest: &Digest) {
        let awaited = self.awaited.get(digest);
        let mut awaited = awaited.into_iter().flatten();
        if awaited.all(|target| self.behind.contains(target)) {
            self.start(digest);
        }
    }

    /// Lets the first waiting target open the blob; later targets fetch for themselves.
    fn start(&mut self, digest: &Digest) {
        let Some(waiting) = self.waiting.remove(digest) else {
            return;
        };
        let late = self.awaited.remove(digest);
        self.behind.extend(late.into_iter().flatten());
        let mut waiting = waiting.into_iter();
        let Some(leader) = waiting.next() else {
            return;
        };
        let mut followers = Vec::new();
        for follower in waiting {
            let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
            // One that was given up has no need of it.
            if follower.send(Start::Follow(receiver)).is_ok() {
                followers.push(sender);
            }
        }
        // Followers of a leader that was given up find no bytes and fetch for themselves.
        let _ = leader.send(Start::Lead(followers));
    }
}

/// A target that receives the bytes of a blob, and the time that the others have waited for it.
struct Tap {
    sender: mpsc::Sender<Message>,
    lag: Duration,
}

/// Reads a blob for all `taps`, until all are closed. If reading fails, they fetch the rest for
/// themselves and get the error.
async fn pump(content: BlobContent, mut taps: Vec<Tap>) {
    hand_on(&mut taps, &Message::Opened(content.origins())).await;
    let mut stream = content.into_stream();
    while let Some(item) = stream.next().await {
        let Ok(chunk) = item else {
            return;
        };
        hand_on(&mut taps, &Message::Chunk(chunk)).await;
        if taps.is_empty() {
            return;
        }
    }
    for tap in taps {
        // A closed or slow tap detects that all bytes were sent.
        let _ = tokio::time::timeout(LAG_MAX, tap.sender.send(Message::End)).await;
    }
}

/// Sends a message to all, and drops taps that are closed or too slow.
async fn hand_on(taps: &mut Vec<Tap>, message: &Message) {
    if let [only] = taps.as_slice() {
        // No other waits for it.
        if only.sender.send(message.clone()).await.is_err() {
            taps.clear();
        }
        return;
    }
    let sends = taps.drain(..).map(|tap| async move {
        let send = tap.sender.send(message.clone());
        send.await.is_ok().then_some(tap)
    });
    let mut sends: FuturesUnordered<_> = sends.collect();
    // No target waits before another one has opened the blob.
    let mut first = None;
    while first.is_none() {
        match sends.next().await {
            Some(sent) => first = sent,
            None => return,
        }
    }
    let began = tokio::time::Instant::now();
    taps.extend(first);
    let deadline = began + LAG_MAX;
    while let Ok(Some(sent)) = tokio::time::timeout_at(deadline, sends.next()).await {
        taps.extend(sent.and_then(|mut tap| {
            tap.lag += began.elapsed();
            (tap.lag <= LAG_MAX).then_some(tap)
        }));
    }
}

/// What a pump hands on; where it breaks off, the rest is opened at that byte.
fn follow(
    inner: Arc<dyn Source>,
    receiver: mpsc::Receiver<Message>,
    origins: Origins,
    location: Location,
    descriptor: Descriptor,
) -> BlobStream {
    enum Stage {
        Following(mpsc::Receiver<Message>),
        Alone(BlobStream),
    }
    let start = (Stage::Following(receiver), 0_u64);
    let stream = futures_util::stream::unfold(start, move |(stage, done)| {
        let (inner, location) = (Arc::clone(&inner), location.clone());
        let (descriptor, origins) = (descriptor.clone(), origins.clone());
        async move {
            let mut alone = match stage {
                Stage::Following(mut receiver) => match receiver.recv().await {
                    Some(Message::Chunk(chunk)) => {
                        let done = done + chunk.len() as u64;
                        return Some((Ok(chunk), (Stage::Following(receiver), done)));
                    }
                    Some(Message::Opened(_) | Message::End) => return None,
                    None if done == descriptor.size => return None,
                    None => match inner.open_blob_from(&location, &descriptor, done).await {
                        Ok(content) => {
                            origins.opened_at(done, &content.origins());
                            content.into_stream()
                        }
                        Err(error) => {
                            let failed: BlobStream = Box::pin(futures_util::stream::empty());
                            return Some((Err(error), (Stage::Alone(failed), done)));
                        }
                    },
                },
                Stage::Alone(stream) => stream,
            };
            let item = alone.next().await?;
            Some((item, (Stage::Alone(alone), done)))
        }
    });
    // A body may be asked again after its end.
    Box::pin(stream.fuse())
}

/// The part that one target has in a shared fetch.
#[derive(Debug, Clone)]
pub struct Share {
    shared: Arc<SharedFetch>,
    target: TargetId,
}

impl Share {
    /// Opens a blob of the source from the byte `from` on, together with other targets if they request
    /// it at about the same time.
    pub(super) async fn open_from(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<BlobContent, TransferError> {
        let inner = &self.shared.inner;
        // Reading from a disk again is cheap, and a resumed blob belongs to one target.
        if from > 0 || !inner.is_remote() {
            return inner.open_blob_from(location, descriptor, from).await;
        }
        match self.shared.join(self.target, &descriptor.digest).await {
            Start::Lead(followers) => {
                let content = inner.open_blob_from(location, descriptor, 0).await?;
                if followers.is_empty() {
                    return Ok(content);
                }
                let origins = content.origins();
                let (own, mut receiver) = mpsc::channel(CHUNKS_MAX);
                let senders = std::iter::once(own).chain(followers);
                let taps = senders.map(|sender| Tap {
                    sender,
                    lag: Duration::ZERO,
                });
                // It ends when all taps are closed.
                tokio::spawn(pump(content, taps.collect()));
                let _opened = receiver.recv().await;
                Ok(self.follow(receiver, &origins, location, descriptor))
            }
            Start::Follow(mut receiver) => match receiver.recv().await {
                Some(Message::Opened(origins)) => {
                    Ok(self.follow(receiver, &origins, location, descriptor))
                }
                // The first to ask could not open it: this one finds out why for itself.
                _ => inner.open_blob_from(location, descriptor, 0).await,
            },
        }
    }

    /// Records that the target no longer requires a blob.
    pub(super) fn forget(&self, digest: &Digest) {
        self.shared.forget(self.target, digest);
    }

    /// Notes that the target fetches everything for itself.
    pub(super) fn forget_all(&self) {
        self.shared.forget_all(self.target);
    }

    fn follow(
        &self,
        receiver: mpsc::Receiver<Message>,
        opened: &Origins,
        location: &Location,
        descriptor: &Descriptor,
    ) -> BlobContent {
        // Content that it opens itself is not shared.
        let origins = Origins::default();
        origins.opened_at(0, opened);
        let inner = Arc::clone(&self.shared.inner);
        let stream = follow(
            inner,
            receiver,
            origins.clone(),
            location.clone(),
            descriptor.clone(),
        );
        BlobContent::Stream(stream, origins)
    }
}

/// The source of a target, which it may share with others.
#[derive(Debug)]
pub struct Feed<'a> {
    source: &'a Arc<dyn Source>,
    share: Option<Share>,
}

impl<'a> Feed<'a> {
    pub fn alone(source: &'a Arc<dyn Source>) -> Self {
        Self {
            source,
            share: None,
        }
    }

    pub fn shared(source: &'a Arc<dyn Source>, share: Share) -> Self {
        Self {
            source,
            share: Some(share),
        }
    }

    /// The source itself, for additional reads.
    pub fn source(&self) -> &'a Arc<dyn Source> {
        self.source
    }

    /// The share of one run of the engine. Reads of a second run are not shared.
    pub fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }
}

#[cfg(test)]
mod tests;
