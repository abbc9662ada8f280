//! A source that is read once, from front to back: a compressed bundle.
//!
//! The manifests stand first in a bundle, so the plan is made from a first look at its head; then
//! one reader goes through the whole, and each blob of the plan gets its turn.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{BlobContent, Plan, Presence, StreamedBundle, TransferError};
use crate::bridge::{self, CHUNK_LEN, CHUNKS_MAX};
use crate::bundle::{
    BlobCheck, BundleBlob, BundleError, BundleManifest, StreamSink, Trust, read_stream,
};
use crate::fsx;
use crate::oci::{Digest, Manifest};
use crate::report::{Event, Reporter};

/// How many blobs may be under way behind the reader.
const UNDER_WAY_MAX: usize = 4;

type Handed = Result<(mpsc::Receiver<Result<Bytes, TransferError>>, Token), Arc<BundleError>>;

/// The turn of one blob, which comes when the reader reaches it.
pub(super) struct Turn {
    digest: Digest,
    receiver: oneshot::Receiver<Handed>,
}

impl Turn {
    /// Waits for the turn.
    pub(super) async fn content(self) -> Result<BlobContent, Arc<TransferError>> {
        match self.receiver.await {
            Ok(Ok((mut chunks, token))) => {
                let stream = futures_util::stream::poll_fn(move |cx| {
                    let _held = &token;
                    chunks.poll_recv(cx)
                });
                Ok(BlobContent::Stream(Box::pin(stream)))
            }
            Ok(Err(error)) => Err(Arc::new(TransferError::Stream(error))),
            Err(_) => Err(Arc::new(TransferError::BlobAbsent {
                digest: self.digest,
            })),
        }
    }
}

/// The right to be under way; dropping it lets the reader go on.
struct Token(std::sync::mpsc::Sender<()>);

impl Drop for Token {
    fn drop(&mut self) {
        // A reader that has ended needs no tokens.
        let _ = self.0.send(());
    }
}

/// Starts reading; returns a turn for each blob of the plan.
///
/// A blob whose turn is dropped is passed over. What is wrong with the bundle behind the last
/// blob of the plan is reported as a warning: all that was carried is verified by then.
pub(super) fn turns(
    bundle: &StreamedBundle,
    plan: &Plan,
    reporter: &Arc<dyn Reporter>,
) -> Vec<Turn> {
    let mut turns = Vec::with_capacity(plan.blobs.len());
    let mut waiting = HashMap::new();
    for blob in &plan.blobs {
        let digest = blob.descriptor.digest.clone();
        let (sender, receiver) = oneshot::channel();
        if blob.presence == Presence::Source {
            waiting.insert(digest.clone(), sender);
        }
        turns.push(Turn { digest, receiver });
    }
    let (path, trust) = (bundle.path.clone(), bundle.trust.clone());
    let reporter = Arc::clone(reporter);
    tokio::spawn(bridge::run(move || {
        let (give_back, tokens) = std::sync::mpsc::channel();
        for _ in 0..UNDER_WAY_MAX {
            drop(Token(give_back.clone()));
        }
        let mut pump = Pump {
            waiting,
            tokens,
            give_back,
        };
        let Err(error) = pump_all((&path, &trust), &mut pump) else {
            return;
        };
        if pump.waiting.is_empty() {
            reporter.event(Event::Warning {
                text: &error.to_string(),
            });
        }
        let error = Arc::new(error);
        for (_, sender) in pump.waiting.drain() {
            // A turn that nobody waits for any more needs no error.
            let _ = sender.send(Err(Arc::clone(&error)));
        }
    }));
    turns
}

fn pump_all((path, trust): (&Path, &Trust), pump: &mut Pump) -> Result<(), BundleError> {
    let file = fsx::open(path).map_err(|source| BundleError::Read {
        path: path.into(),
        source,
    })?;
    read_stream(&file, (path, trust), BlobCheck::Sink, pump)?;
    Ok(())
}

/// Hands the blobs that are waited for to their turns.
struct Pump {
    waiting: HashMap<Digest, oneshot::Sender<Handed>>,
    tokens: std::sync::mpsc::Receiver<()>,
    give_back: std::sync::mpsc::Sender<()>,
}

impl StreamSink for Pump {
    type Error = BundleError;

    fn start(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }

    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), BundleError> {
        let Some(turn) = self.waiting.remove(&blob.digest) else {
            return Ok(());
        };
        self.tokens.recv().expect("the pump itself holds a sender");
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        if turn
            .send(Ok((receiver, Token(self.give_back.clone()))))
            .is_err()
        {
            return Ok(());
        }
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_LEN);
            match content.take(CHUNK_LEN as u64).read_to_end(&mut chunk) {
                Ok(0) => return Ok(()),
                // Nobody listens: the blob is there already, or its image was given up.
                Ok(_) if sender.blocking_send(Ok(chunk.into())).is_err() => return Ok(()),
                Ok(_) => {}
                Err(source) => {
                    let digest = blob.digest.clone();
                    let _ = sender.blocking_send(Err(TransferError::StreamRead { digest, source }));
                    return Ok(());
                }
            }
        }
    }

    fn finish(&mut self, _: &BundleManifest) -> Result<(), BundleError> {
        Ok(())
    }
}

impl StreamedBundle {
    /// Reads the head of a compressed bundle, up to the first blob that is no manifest.
    ///
    /// It must be signed by one of the keys of `trust`, if there are any; so must it be when it is
    /// read on later.
    pub fn open(path: &Path, trust: &Trust) -> Result<Self, BundleError> {
        let mut head = Head {
            document: None,
            manifests: BTreeMap::new(),
        };
        let file = fsx::open(path).map_err(|source| BundleError::Read {
            path: path.into(),
            source,
        })?;
        match read_stream(&file, (path, trust), BlobCheck::Reader, &mut head) {
            Ok(_) | Err(Stop::Enough) => {}
            Err(Stop::Bundle(error)) => return Err(error),
        }
        let document = head.document.expect("a bundle is listed before its blobs");
        Ok(Self {
            path: path.to_owned(),
            document,
            manifests: head.manifests,
            trust: trust.clone(),
        })
    }

    /// Reads the whole bundle into `sink`, checking everything, the end too.
    pub fn read_whole<S: StreamSink>(&self, sink: &mut S) -> Result<(), S::Error> {
        let path = &self.path;
        let file = fsx::open(path).map_err(|source| BundleError::Read {
            path: path.into(),
            source,
        })?;
        read_stream(&file, (path, &self.trust), BlobCheck::Sink, sink)?;
        Ok(())
    }
}

/// Takes the list and the manifests, and ends the reading at the first other blob.
struct Head {
    document: Option<BundleManifest>,
    manifests: BTreeMap<Digest, Manifest>,
}

enum Stop {
    Enough,
    Bundle(BundleError),
}

impl From<BundleError> for Stop {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl StreamSink for Head {
    type Error = Stop;

    fn start(&mut self, document: &BundleManifest) -> Result<(), Stop> {
        self.document = Some(document.clone());
        Ok(())
    }

    fn blob(&mut self, blob: &BundleBlob, content: &mut dyn Read) -> Result<(), Stop> {
        if !blob.is_manifest {
            return Err(Stop::Enough);
        }
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

    fn finish(&mut self, _: &BundleManifest) -> Result<(), Stop> {
        Ok(())
    }
}
