//! A bundle as a sink: each blob goes to its place, which is known from the plan of the bundle.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use async_trait::async_trait;

use crate::{
    Batching, BlobContent, Content, ImageOutcome, Plan, Sink, SizeClaim, TransferError, Visibility,
};
use hod_bridge::Stop;
use hod_bundle::{
    BundleError, BundleWriter, CopyContext, IncomingBlob, Planned, VerificationCache, WriteOptions,
    WriteOutcome,
};
use hod_oci::{ContentMismatch, Digest};
use hod_report::{BlobRoute, Event, Reporter};

/// Takes the configs and layers of a bundle; all else follows from its plan.
///
/// The bundle appears as a whole when it is finished. What went wrong with the bundle itself, and
/// not with a blob, is in [`BundleSink::failure`].
#[derive(Debug)]
pub struct BundleSink {
    inner: Arc<Inner>,
    /// Of a bundle that is written from start to end.
    order: Option<Vec<Digest>>,
}

struct Inner {
    /// Until it is finished.
    writer: RwLock<Option<BundleWriter>>,
    output: Output,
    cache: Arc<dyn VerificationCache>,
    reporter: Arc<dyn Reporter>,
    /// Partly received blobs, which are resumed.
    begun: Mutex<HashMap<Digest, IncomingBlob>>,
    failure: Mutex<Option<BundleError>>,
}

/// What a bundle is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Files,
    /// A pipe or a device, which may block for any time.
    Stream,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl BundleSink {
    /// Begins the bundle that was laid out. What is known of the source's blobs is `cache`.
    pub async fn create(
        planned: Planned,
        options: WriteOptions,
        cache: Arc<dyn VerificationCache>,
        reporter: Arc<dyn Reporter>,
    ) -> Result<Self, BundleError> {
        let path = options.output.clone();
        let is_stream = {
            let path = path.clone();
            hod_bridge::run(move || hod_fsx::is_stream(&path)).await
        };
        let wrap = |source| BundleError::Write {
            path: path.clone(),
            source,
        };
        let output = if is_stream.map_err(wrap)? {
            Output::Stream
        } else {
            Output::Files
        };
        let create = move || match output {
            Output::Files => BundleWriter::create(planned, options),
            Output::Stream => {
                let stream = hod_fsx::open_stream(&options.output).map_err(|source| {
                    let path = options.output.clone();
                    BundleError::Write { path, source }
                })?;
                BundleWriter::to_stream(planned, options, Box::new(stream))
            }
        };
        let writer = match output {
            Output::Files => hod_bridge::run(create).await?,
            Output::Stream => {
                let created = hod_bridge::run_apart(create).await;
                created.map_err(|source| wrap(hod_fsx::Error::new("write", &path, source)))??
            }
        };
        let order = writer.order();
        Ok(Self {
            order: order.map(|order| order.into_iter().cloned().collect()),
            inner: Arc::new(Inner {
                writer: RwLock::new(Some(writer)),
                output,
                cache,
                reporter,
                begun: Mutex::default(),
                failure: Mutex::default(),
            }),
        })
    }

    /// Copies the files that go with the images; where blobs are put in order, files are too.
    pub async fn put_files(&self) -> Result<(), BundleError> {
        let inner = Arc::clone(&self.inner);
        let put = move |stop: Stop| inner.with_writer(&stop, BundleWriter::put_files);
        hod_bridge::run_stoppable(put).await
    }

    /// Completes the bundle when all blobs and files are written.
    pub async fn finish(&self) -> Result<WriteOutcome, BundleError> {
        let inner = Arc::clone(&self.inner);
        let finish = move |stop: Stop| {
            let writer = inner.writer.write().expect("no panic with the lock").take();
            let writer = writer.ok_or(BundleError::Stopped)?;
            inner.context(&stop, |context| writer.finish(context))
        };
        match self.inner.output {
            Output::Files => hod_bridge::run_stoppable(finish).await,
            Output::Stream => {
                let finished = hod_bridge::run_apart(move || finish(Stop::default())).await;
                finished.map_err(no_thread)?
            }
        }
    }

    /// What went wrong with the bundle itself.
    pub fn failure(&self) -> Option<BundleError> {
        lock(&self.inner.failure).take()
    }

    /// Copies a blob from a file.
    async fn put_file(
        &self,
        digest: &Digest,
        range: hod_fsx::FileRange,
    ) -> Result<(), BundleError> {
        let (inner, digest) = (Arc::clone(&self.inner), digest.clone());
        let put = move |stop: Stop| {
            inner.with_writer(&stop, |writer, context| {
                writer.put(&digest, &range, context)
            })
        };
        match self.inner.output {
            Output::Files => hod_bridge::run_stoppable(put).await,
            Output::Stream => {
                let done = hod_bridge::run_apart(move || put(Stop::default())).await;
                done.map_err(no_thread)?
            }
        }
    }

    /// Writes a streamed blob; if it is truncated, the received part is returned with the error.
    async fn put_stream(
        &self,
        digest: &Digest,
        content: BlobContent,
        begun: Option<IncomingBlob>,
    ) -> (Option<IncomingBlob>, Result<(), Cause>) {
        let (inner, digest) = (Arc::clone(&self.inner), digest.clone());
        let put = move |chunks: hod_bridge::Chunks<TransferError>| {
            let mut blob = begun;
            // The chunks end when the work is to end.
            let written = inner.with_writer(&Stop::default(), |writer, context| {
                let blob = match &mut blob {
                    Some(begun) => begun,
                    none => none.insert(writer.begin(&digest, context)?),
                };
                for chunk in chunks {
                    match chunk {
                        Ok(bytes) => writer.write(blob, &bytes, context)?,
                        Err(error) => return Ok(Some(error)),
                    }
                    if blob.is_too_long() {
                        break;
                    }
                }
                Ok(None)
            });
            match written {
                Ok(Some(error)) => (blob, Err(Cause::Source(error))),
                Err(error) => (None, Err(Cause::Bundle(error))),
                Ok(None) => {
                    let ended = blob.map_or(Ok(()), |blob| {
                        inner.with_writer(&Stop::default(), |writer, _| writer.end(blob))
                    });
                    (None, ended.map_err(Cause::Bundle))
                }
            }
        };
        let stream = content.into_stream();
        match self.inner.output {
            Output::Files => hod_bridge::pipe_to_blocking(stream, put).await,
            Output::Stream => match hod_bridge::pipe_to_apart(stream, put).await {
                Ok(done) => done,
                Err(source) => (None, Err(Cause::Bundle(no_thread(source)))),
            },
        }
    }

    /// The error of a blob; an error of the bundle itself is stored.
    fn error_of(&self, error: BundleError, content: &Content<'_>) -> TransferError {
        let descriptor = &content.task.blob.descriptor;
        match error {
            // Output to a stream cannot be rewritten.
            BundleError::BlobDamaged { digest, actual }
                if self.order.is_none() || !content.task.source.is_remote() =>
            {
                TransferError::Content(ContentMismatch::Digest {
                    expected: digest,
                    actual,
                    len: descriptor.size,
                })
            }
            BundleError::BlobLength {
                digest,
                expected,
                actual,
            } => TransferError::BlobLength {
                digest,
                claim: SizeClaim::SomeManifest,
                expected,
                actual,
            },
            BundleError::ReadBlob { source, .. } => source.into(),
            error @ BundleError::BlobDamaged { .. } => error.into(),
            BundleError::Stopped => TransferError::Stopped,
            error => {
                lock(&self.inner.failure).get_or_insert(error);
                TransferError::Stopped
            }
        }
    }
}

/// Why a blob was not written.
enum Cause {
    Source(TransferError),
    Bundle(BundleError),
}

#[async_trait]
impl Sink for BundleSink {
    fn visibility(&self) -> Visibility {
        Visibility::AllOrNothing
    }

    async fn put(&self, content: &mut Content<'_>) -> Result<BlobRoute, TransferError> {
        let digest = content.task.blob.descriptor.digest.clone();
        if !self.inner.needs(&digest) {
            return Ok(BlobRoute::Moved);
        }
        let begun = lock(&self.inner.begun).remove(&digest);
        let before = begun.as_ref().map_or(0, IncomingBlob::done);
        let opened = match content.open_from(before).await {
            Ok(opened) => opened,
            Err(error) => {
                lock(&self.inner.begun).extend(begun.map(|begun| (digest, begun)));
                return Err(error);
            }
        };
        let (came, done) = match (opened, begun) {
            (BlobContent::File(range), None) => {
                let done = self.put_file(&digest, range).await;
                (None, done.map_err(Cause::Bundle))
            }
            (content, begun) => self.put_stream(&digest, content, begun).await,
        };
        let Err(cause) = done else {
            return Ok(BlobRoute::Moved);
        };
        let kept = came.filter(|_| content.is_resumable());
        content.progress = kept.as_ref().map_or(0, IncomingBlob::done);
        lock(&self.inner.begun).extend(kept.map(|kept| (digest, kept)));
        Err(match cause {
            Cause::Source(error) => error,
            Cause::Bundle(error) => self.error_of(error, content),
        })
    }

    /// The bundle appears as a whole, when it is finished.
    async fn publish(&self, _: &Arc<Plan>, images: Vec<usize>) -> Vec<(usize, ImageOutcome)> {
        images.into_iter().map(|at| (at, Ok(()))).collect()
    }

    fn batching(&self) -> Batching {
        Batching::Together
    }

    fn order(&self, plan: &Plan) -> Option<Vec<usize>> {
        let order = self.order.as_ref()?.iter().enumerate();
        let order: HashMap<&Digest, usize> = order.map(|(at, digest)| (digest, at)).collect();
        let mut blobs: Vec<usize> = (0..plan.blobs.len()).collect();
        blobs.sort_by_key(|&at| order.get(&plan.blobs[at].descriptor.digest));
        Some(blobs)
    }
}

impl Inner {
    fn needs(&self, digest: &Digest) -> bool {
        let writer = self.writer.read().expect("no panic with the lock");
        writer.as_ref().is_some_and(|writer| writer.needs(digest))
    }

    /// Has `work` done until `stop` is set.
    fn context<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&CopyContext<'_>) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        work(&CopyContext {
            cache: self.cache.as_ref(),
            on_bytes: &|len| {
                self.reporter.event(Event::BytesMoved { len });
                stop.flow()
            },
        })
    }

    fn with_writer<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&BundleWriter, &CopyContext<'_>) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        let writer = self.writer.read().expect("no panic with the lock");
        let writer = writer.as_ref().ok_or(BundleError::Stopped)?;
        self.context(stop, |context| work(writer, context))
    }
}

fn no_thread(source: io::Error) -> BundleError {
    let path = PathBuf::from(hod_fsx::STDOUT);
    let source = hod_fsx::Error::new("start a thread for", &path, source);
    BundleError::Write { path, source }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic with the lock")
}

/// Every blob is read, and its digest is recorded.
pub struct ReadAll(pub Arc<dyn VerificationCache>);

impl std::fmt::Debug for ReadAll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadAll")
    }
}

impl VerificationCache for ReadAll {
    fn is_verified(&self, _: &Digest, _: &hod_fsx::FileRange) -> bool {
        false
    }

    fn record_verified(&self, digest: &Digest, blob: &hod_fsx::FileRange) {
        self.0.record_verified(digest, blob);
    }

    fn record_damaged(&self, blob: &hod_fsx::FileRange) {
        self.0.record_damaged(blob);
    }
}
