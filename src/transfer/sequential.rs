//! A source that is read once, from front to back: a compressed bundle, or any from a pipe.
//!
//! The manifests come first in a bundle. A reader on its own thread reads them, hands them over,
//! and waits; when the plan is made, it continues, and each blob of the plan has a slot. The input
//! is opened once and never read twice, and only the manifests are kept.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::{BlobContent, Origins, Plan, Presence, TransferError};
use hod_bridge::CHUNKS_MAX;
use hod_bundle::{
    BlobCheck, BundleBlob, BundleError, BundleManifest, StreamSink, Trust, read_stream,
};
use hod_fsx::CHUNK_LEN;
use hod_layout::Collection;
use hod_oci::{Digest, Manifest};
use hod_report::{Event, Reporter};
use std::ops::ControlFlow;

/// Maximum number of blobs in progress after the reader.
const UNDER_WAY_MAX: usize = 4;

/// A one-pass bundle whose reader waits behind the manifests, which are held in memory: a few KiB
/// each.
#[derive(Debug)]
pub struct StreamedBundle {
    pub path: PathBuf,
    pub document: BundleManifest,
    pub manifests: BTreeMap<Digest, Manifest>,
    /// The trusted keys.
    pub trust: Trust,
    /// Resumes the reader; dropping it ends the reading.
    go_on: Mutex<Option<oneshot::Sender<Waiting>>>,
    ended: watch::Receiver<Option<Ended>>,
}

/// How reading ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// Everything was read and verified.
    Well,
    /// An error that the receivers of blobs have received.
    Told(Arc<BundleError>),
    /// An error after the last requested blob.
    Untold(Arc<BundleError>),
}

type Handed = Result<(mpsc::Receiver<Result<Bytes, TransferError>>, Token), Arc<TransferError>>;
type Waiting = HashMap<Digest, oneshot::Sender<Handed>>;

/// The slot of one blob, which receives its content when the reader reaches it.
#[derive(Debug)]
pub struct BlobSlot {
    digest: Digest,
    receiver: oneshot::Receiver<Handed>,
}

impl BlobSlot {
    /// Waits for the content.
    pub async fn content(self) -> Result<BlobContent, Arc<TransferError>> {
        match self.receiver.await {
            Ok(Ok((mut chunks, token))) => {
                let stream = futures_util::stream::poll_fn(move |cx| {
                    let _held = &token;
                    chunks.poll_recv(cx)
                });
                Ok(BlobContent::Stream(Box::pin(stream), Origins::default()))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Arc::new(TransferError::BlobAbsent {
                digest: self.digest,
            })),
        }
    }
}

/// The permission to use the stream; dropping it resumes the reader.
#[derive(Debug)]
struct Token(std::sync::mpsc::Sender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        // A reader that has ended needs no tokens.
        let _ = self.0.send(());
    }
}

/// Resumes the reader; returns a slot for each blob of the plan.
///
/// A blob whose slot is dropped is skipped. A bundle that was already read has no more blobs.
pub(super) fn slots(bundle: &StreamedBundle, plan: &Plan) -> Vec<BlobSlot> {
    let (slots, waiting) = wait_for(plan);
    let go_on = bundle.go_on.lock().expect("no panic while locking").take();
    if let Some(go_on) = go_on {
        // A reader that has ended returns its error to all receivers.
        let _ = go_on.send(waiting);
    }
    slots
}

/// The same for an archive that another tool wrote, which is read a second time for it.
pub(super) fn slots_of_collection(
    collection: &Arc<Collection>,
    plan: &Plan,
    reporter: &Arc<dyn Reporter>,
) -> Vec<BlobSlot> {
    let (slots, waiting) = wait_for(plan);
    let (collection, reporter) = (Arc::clone(collection), Arc::clone(reporter));
    tokio::spawn(hod_bridge::run(move || {
        let mut distributor = Distributor::new(waiting);
        let read = collection.read_blobs(&mut |digest, content| {
            distributor.hand(digest, content);
            // Data after the last blob of the plan does not matter: no index lists it.
            if distributor.waiting.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let Err(error) = read else {
            return;
        };
        let error = Arc::new(TransferError::from(error));
        if let Some((digest, broken)) = distributor.broken.take() {
            let source = std::io::Error::other(error.to_string());
            // A receiver that has given up does not need the error, here and below.
            let _ = broken.blocking_send(Err(TransferError::StreamRead { digest, source }));
        } else if distributor.waiting.is_empty() {
            reporter.event(Event::Warning {
                text: &error.to_string(),
            });
        }
        for (_, sender) in distributor.waiting.drain() {
            let _ = sender.send(Err(Arc::clone(&error)));
        }
    }));
    slots
}

/// A slot for each blob of the plan, and the senders of their content.
fn wait_for(plan: &Plan) -> (Vec<BlobSlot>, Waiting) {
    let mut slots = Vec::with_capacity(plan.blobs.len());
    let mut waiting = HashMap::new();
    for blob in &plan.blobs {
        let digest = blob.descriptor.digest.clone();
        let (sender, receiver) = oneshot::channel();
        if blob.presence == Presence::Source {
            waiting.insert(digest.clone(), sender);
        }
        slots.push(BlobSlot { digest, receiver });
    }
    (slots, waiting)
}

impl StreamedBundle {
    /// Reads a bundle up to the first blob that is not a manifest; `path` is for messages.
    ///
    /// Ends with an error when the bundle does. Reading stops when this is dropped.
    pub async fn start(
        input: impl Read + Send + 'static,
        path: &Path,
        trust: &Trust,
    ) -> Result<Self, BundleError> {
        let (sender, receiver) = oneshot::channel();
        // A receiver that has given up does not need the bundle.
        spawn_reader(input, path, trust, move |opened| {
            drop(sender.send(opened));
        })?;
        receiver.await.unwrap_or_else(|_| Err(lost(path)))
    }

    /// The same for a file, whose head is available at once: waits for it on this thread.
    pub fn open(path: &Path, trust: &Trust) -> Result<Self, BundleError> {
        let file = hod_fsx::open(path).map_err(|source| BundleError::Read {
            path: path.into(),
            source,
        })?;
        let (sender, receiver) = std::sync::mpsc::channel();
        spawn_reader(file, path, trust, move |opened| drop(sender.send(opened)))?;
        receiver.recv().unwrap_or_else(|_| Err(lost(path)))
    }

    /// Waits until the reading has ended, after a transfer resumed it.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        let end = end.ok().and_then(|ended| ended.clone());
        end.unwrap_or_else(|| Ended::Told(Arc::new(lost(&self.path))))
    }
}

/// A reader that ended without a word, which only a defect of ours can make it do.
fn lost(path: &Path) -> BundleError {
    no_thread(path, std::io::Error::other("the reader has ended"))
}

fn no_thread(path: &Path, source: std::io::Error) -> BundleError {
    BundleError::Read {
        path: path.to_owned(),
        source: hod_fsx::Error::new("read", path, source),
    }
}

fn spawn_reader(
    input: impl Read + Send + 'static,
    path: &Path,
    trust: &Trust,
    hear: impl FnOnce(Result<StreamedBundle, BundleError>) + Send + 'static,
) -> Result<(), BundleError> {
    let (end, ended) = watch::channel(None);
    let mut reader = Reader {
        path: path.to_owned(),
        trust: trust.clone(),
        manifests: BTreeMap::new(),
        document: None,
        ended,
        hear: Some(hear),
        distributor: None,
    };
    let read = move || {
        let (path, trust) = (reader.path.clone(), reader.trust.clone());
        let ended = match read_stream(input, &path, &trust, BlobCheck::Sink, &mut reader) {
            Ok(_) => Ended::Well,
            Err(Stop::Unwanted) => return,
            Err(Stop::Bundle(error)) => match reader.hear.take() {
                Some(hear) => return hear(Err(error)),
                None => reader.tell(Arc::new(error)),
            },
        };
        // The receiver may be gone.
        let _ = end.send(Some(ended));
    };
    hod_bridge::spawn_apart(read).map_err(|source| no_thread(path, source))
}

/// The sink of the one reader: first it keeps the manifests, then it hands out blobs.
struct Reader<F> {
    path: PathBuf,
    trust: Trust,
    document: Option<BundleManifest>,
    manifests: BTreeMap<Digest, Manifest>,
    ended: watch::Receiver<Option<Ended>>,
    /// The receiver of the manifests.
    hear: Option<F>,
    distributor: Option<Distributor>,
}

enum Stop {
    /// The blob is not needed.
    Unwanted,
    Bundle(BundleError),
}

impl From<BundleError> for Stop {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl<F: FnOnce(Result<StreamedBundle, BundleError>)> Reader<F> {
    /// Passes on the manifests, if not yet done, and waits for the requested blobs.
    fn distributor(&mut self) -> Result<&mut Distributor, Stop> {
        if let Some(hear) = self.hear.take() {
            let (go_on, wanted) = oneshot::channel();
            let document = self.document.take();
            hear(Ok(StreamedBundle {
                path: self.path.clone(),
                document: document.expect("a bundle is listed before its blobs"),
                manifests: std::mem::take(&mut self.manifests),
                trust: self.trust.clone(),
                go_on: Mutex::new(Some(go_on)),
                ended: self.ended.clone(),
            }));
            let waiting = wanted.blocking_recv().map_err(|_| Stop::Unwanted)?;
            self.distributor = Some(Distributor::new(waiting));
        }
        Ok(self
            .distributor
            .as_mut()
            .expect("it is there once it was heard"))
    }

    /// Sends the error to all receivers of blobs.
    fn tell(&mut self, error: Arc<BundleError>) -> Ended {
        let distributor = self.distributor.as_mut();
        let is_told = distributor.is_some_and(|distributor| distributor.tell(&error));
        if is_told {
            Ended::Told(error)
        } else {
            Ended::Untold(error)
        }
    }

    fn keep(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), BundleError> {
        let mut bytes = Vec::new();
        // In memory already, and no longer than a manifest may be.
        content.read_to_end(&mut bytes).expect("memory can be read");
        let images = self.document.iter().flat_map(|document| &document.images);
        let declared = images.into_iter().find(|image| image.digest == blob.digest);
        let manifest = Manifest::parse_as(
            bytes.into(),
            blob.digest.clone(),
            declared.map(|image| &image.media_type),
        );
        let manifest = manifest.map_err(|source| BundleError::Manifest {
            digest: blob.digest.clone(),
            source,
        })?;
        self.manifests.insert(blob.digest.clone(), manifest);
        Ok(())
    }
}

impl<F: FnOnce(Result<StreamedBundle, BundleError>)> StreamSink for Reader<F> {
    type Error = Stop;

    fn start(&mut self, document: &BundleManifest) -> Result<(), Stop> {
        self.document = Some(document.clone());
        Ok(())
    }

    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), Stop> {
        if blob.is_manifest {
            return Ok(self.keep(blob, content)?);
        }
        self.distributor()?.hand(&blob.digest, content);
        Ok(())
    }

    fn finish(&mut self, _: &BundleManifest) -> Result<(), Stop> {
        // There may have been no blobs.
        self.distributor().map(|_| ())
    }
}

/// Sends the requested blobs to their slots.
struct Distributor {
    waiting: Waiting,
    tokens: std::sync::mpsc::Receiver<()>,
    give_back: std::sync::mpsc::Sender<()>,
    /// The receiver of the blob whose stream ended early.
    broken: Option<(Digest, mpsc::Sender<Result<Bytes, TransferError>>)>,
}

impl Distributor {
    fn new(waiting: Waiting) -> Self {
        let (give_back, tokens) = std::sync::mpsc::channel();
        for _ in 0..UNDER_WAY_MAX {
            drop(Token(give_back.clone()));
        }
        Self {
            waiting,
            tokens,
            give_back,
            broken: None,
        }
    }

    fn hand(&mut self, digest: &Digest, content: &mut dyn Read) {
        let Some(slot) = self.waiting.remove(digest) else {
            return;
        };
        self.tokens
            .recv()
            .expect("the distributor itself holds a sender");
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let token = Token(self.give_back.clone());
        if slot.send(Ok((receiver, token))).is_err() {
            return;
        }
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_LEN);
            match content.take(CHUNK_LEN as u64).read_to_end(&mut chunk) {
                Ok(0) => return,
                // The receiver is gone: the blob exists already, or its image failed.
                Ok(_) if sender.blocking_send(Ok(chunk.into())).is_err() => return,
                Ok(_) => {}
                // The reader keeps the error, and returns it next.
                Err(_) => {
                    self.broken = Some((digest.clone(), sender));
                    return;
                }
            }
        }
    }

    /// Whether anybody had to be told.
    fn tell(&mut self, error: &Arc<BundleError>) -> bool {
        let broken = self.broken.take();
        let is_told = broken.is_some() || !self.waiting.is_empty();
        if let Some((_, broken)) = broken {
            let error = TransferError::Stream(Arc::clone(error));
            // A receiver that has given up does not need the error, here and below.
            let _ = broken.blocking_send(Err(error));
        }
        for (_, sender) in self.waiting.drain() {
            let error = TransferError::Stream(Arc::clone(error));
            let _ = sender.send(Err(Arc::new(error)));
        }
        is_told
    }
}
