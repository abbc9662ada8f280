//! Moving: bounded workers, largest blobs first, a lane kept for small ones; then publishing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::{
    Attempts, Batching, BlobContent, BlobTask, Content, ImageOutcome, OnFailure, Plan, PlannedBlob,
    Presence, Share, Sink, Source, Timings, TransferError, Visibility, sizes,
};
use hod_oci::Digest;
use hod_report::{BlobRoute, Event, Reporter};
use hod_retry::{Failure, RetryPolicy};

/// Blobs up to this many bytes go through a lane of their own, so that many configurations and
/// small layers do not wait behind a few large layers.
const SMALL_LEN_MAX: u64 = 1024 * 1024;

/// One run of the engine.
#[derive(Clone)]
pub struct Transfer {
    pub source: Arc<dyn Source>,
    /// If other targets read the same source.
    pub share: Option<Share>,
    pub sink: Arc<dyn Sink>,
    pub reporter: Arc<dyn Reporter>,
    /// How many large blobs move at once, and half of how many small ones.
    pub jobs: usize,
    pub on_failure: OnFailure,
    pub retry: RetryPolicy,
    /// Made for this run.
    pub timings: Arc<Timings>,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            source,
            sink,
            jobs,
            on_failure,
            ..
        } = self;
        f.debug_struct("Transfer")
            .field("source", source)
            .field("sink", sink)
            .field("jobs", jobs)
            .field("on_failure", on_failure)
            .finish_non_exhaustive()
    }
}

enum Done {
    Blob(usize, Result<(), Arc<TransferError>>),
    Published(Vec<(usize, ImageOutcome)>),
}

/// The shared state of blob workers.
struct Shared {
    /// Whether each image has failed, so that nothing need be moved for it alone.
    failed: Vec<AtomicBool>,
    /// Digests for which images state different sizes, and that are still in flight only once.
    disputed: HashMap<Digest, Mutex<()>>,
}

/// The state of the images while blobs arrive.
struct Progress {
    shared: Arc<Shared>,
    outcomes: Vec<Option<ImageOutcome>>,
    /// How many blobs each image still waits for.
    n_waiting: Vec<usize>,
    ready: VecDeque<usize>,
    reported: Vec<bool>,
}

impl Transfer {
    /// Moves every blob of `plan` and publishes every image that is complete; one outcome for each
    /// image. Dropping the future stops the work; published images stay.
    pub fn run<'a>(&'a self, plan: &'a Arc<Plan>) -> BoxFuture<'a, Vec<ImageOutcome>> {
        Box::pin(self.move_images(plan))
    }

    async fn move_images(&self, plan: &Arc<Plan>) -> Vec<ImageOutcome> {
        let mut progress = Progress::new(plan);
        let mut tasks = JoinSet::new();
        let mut queue = self.start_blobs(plan, &progress.shared, &mut tasks);
        let mut n_publishing = 0;
        loop {
            let at_once = match self.sink.batching() {
                Batching::Together => 1,
                Batching::Apart => self.jobs.max(1) * 2,
            };
            while n_publishing < at_once && !progress.ready.is_empty() {
                let batch = progress.next_batch(self.sink.batching());
                let (sink, plan) = (Arc::clone(&self.sink), Arc::clone(plan));
                self.timings.begin(&batch);
                n_publishing += 1;
                tasks.spawn(async move { Done::Published(sink.publish(&plan, batch).await) });
            }
            let Some(joined) = tasks.join_next().await else {
                break;
            };
            match joined {
                Ok(Done::Blob(at, result)) => {
                    progress.blob_done(plan, at, &result);
                    if let Some(next) = queue.pop_front() {
                        self.start_blob(plan, &progress.shared, next, &mut tasks);
                    }
                }
                Ok(Done::Published(results)) => {
                    n_publishing -= 1;
                    for (at, outcome) in results {
                        progress.set(at, outcome);
                    }
                }
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => continue,
                },
            }
            self.report_news(plan, &mut progress);
            if self.on_failure == OnFailure::Stop && progress.has_failed() {
                tasks.shutdown().await;
                break;
            }
        }
        progress.into_outcomes()
    }

    /// Moves blobs for which no image waits; stops at the first that fails.
    pub async fn move_blobs(&self, blobs: Vec<PlannedBlob>) -> Result<(), TransferError> {
        let plan = Arc::new(Plan {
            images: Vec::new(),
            blobs,
        });
        let shared = Arc::new(Shared::new(&plan));
        let mut tasks = JoinSet::new();
        let mut queue = self.start_blobs(&plan, &shared, &mut tasks);
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(Done::Blob(_, result)) => result.map_err(TransferError::of_shared)?,
                Ok(Done::Published(_)) => {}
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => continue,
                },
            }
            if let Some(next) = queue.pop_front() {
                self.start_blob(&plan, &shared, next, &mut tasks);
            }
        }
        Ok(())
    }

    /// Starts all blobs, or the first of those that move one after the other; returns the rest of
    /// them.
    fn start_blobs(
        &self,
        plan: &Arc<Plan>,
        shared: &Arc<Shared>,
        tasks: &mut JoinSet<Done>,
    ) -> VecDeque<usize> {
        // One reader hands out the blobs in the order of the archive; each has a task that waits
        // for its turn, so that the rest of the engine need not know.
        if let Some(slots) = self.source.slots(plan, &self.reporter) {
            for (at, slot) in slots.into_iter().enumerate() {
                let (this, plan, shared) = (self.clone(), Arc::clone(plan), Arc::clone(shared));
                match plan.blobs[at].presence {
                    Presence::Source => {}
                    // Its slot is never filled.
                    Presence::Target(_) => {
                        self.start_blob(&plan, &shared, at, tasks);
                        continue;
                    }
                    Presence::Nowhere => continue,
                }
                tasks.spawn(async move {
                    let result = match slot.content().await {
                        Ok(content) => this.move_blob(&plan, &shared, at, Some(content)).await,
                        Err(error) => Err(error),
                    };
                    Done::Blob(at, result)
                });
            }
            return VecDeque::new();
        }
        // Images with a blob that exists nowhere never become complete.
        let is_somewhere = |at: &usize| plan.blobs[*at].presence != Presence::Nowhere;
        if let Some(order) = self.sink.order(plan) {
            // It would be waited for at every blob.
            self.share.iter().for_each(Share::forget_all);
            let mut queue: VecDeque<usize> = order.into_iter().filter(is_somewhere).collect();
            if let Some(first) = queue.pop_front() {
                self.start_blob(plan, shared, first, tasks);
            }
            return queue;
        }
        let large = Arc::new(Semaphore::new(self.jobs.max(1)));
        // Small blobs are all waiting for answers, so more of them share a line.
        let small = Arc::new(Semaphore::new(self.jobs.max(1) * 2));
        for at in (0..plan.blobs.len()).filter(is_somewhere) {
            let lane = if plan.blobs[at].descriptor.size > SMALL_LEN_MAX {
                &large
            } else {
                &small
            };
            let (this, plan, lane) = (self.clone(), Arc::clone(plan), Arc::clone(lane));
            let shared = Arc::clone(shared);
            tasks.spawn(async move {
                let _permit = lane
                    .acquire_owned()
                    .await
                    .expect("the lanes are never closed");
                Done::Blob(at, this.move_blob(&plan, &shared, at, None).await)
            });
        }
        VecDeque::new()
    }

    /// Starts one blob at once.
    fn start_blob(
        &self,
        plan: &Arc<Plan>,
        shared: &Arc<Shared>,
        at: usize,
        tasks: &mut JoinSet<Done>,
    ) {
        let (this, plan, shared) = (self.clone(), Arc::clone(plan), Arc::clone(shared));
        tasks.spawn(async move { Done::Blob(at, this.move_blob(&plan, &shared, at, None).await) });
    }

    /// Moves one blob, with retries where they can help, and reports the result. A blob whose
    /// images have all failed is not moved.
    async fn move_blob(
        &self,
        plan: &Plan,
        shared: &Shared,
        at: usize,
        content: Option<BlobContent>,
    ) -> Result<(), Arc<TransferError>> {
        let blob = &plan.blobs[at];
        let _alone = match shared.disputed.get(&blob.descriptor.digest) {
            Some(disputed) => Some(disputed.lock().await),
            None => None,
        };
        if shared.is_unneeded(&blob.images) {
            return Err(Arc::new(TransferError::Stopped));
        }
        self.timings.begin(&blob.images);
        let (digest, len) = (&blob.descriptor.digest, blob.descriptor.size);
        let has = self.sink.has(blob).await;
        if !matches!(has, Ok(false)) {
            self.forget(digest);
        }
        if has.map_err(Arc::new)? {
            self.reporter.event(Event::BlobDone {
                digest,
                len,
                route: BlobRoute::Present,
            });
            return Ok(());
        }
        let task = BlobTask {
            source: &self.source,
            share: self.share.as_ref(),
            plan,
            blob,
            reporter: &self.reporter,
            retry: self.retry,
        };
        let may_retry = content.is_none();
        let mut content = Content::new(task, content);
        let source = self.source.as_ref();
        let mut attempts = Attempts::new(source, digest, self.retry, &self.reporter);
        let route = loop {
            let put = self.sink.put(&mut content).await;
            self.forget(digest);
            let error = match put {
                Ok(route) => break route,
                Err(error) => content.blame(error),
            };
            let failure = if may_retry {
                error.failure(self.source.caps().reach)
            } else {
                Failure::Lasting
            };
            let again = attempts.failed(error, failure, content.progress).await;
            again.map_err(Arc::new)?;
        };
        self.reporter.event(Event::BlobDone { digest, len, route });
        Ok(())
    }

    /// Lets targets that share the source read a blob without this one.
    fn forget(&self, digest: &Digest) {
        if let Some(share) = &self.share {
            share.forget(digest);
        }
    }

    fn report_news(&self, plan: &Plan, progress: &mut Progress) {
        for at in progress.unreported() {
            self.timings.end(at);
            let image = plan.images[at].wanted.name.as_str();
            match &progress.outcomes[at] {
                // The caller, which shows all of them, reports it.
                Some(Ok(())) if self.sink.visibility() == Visibility::AllOrNothing => {}
                Some(Ok(())) => self.reporter.event(Event::ImageDone { image }),
                Some(Err(error)) => {
                    let error = error.to_string();
                    self.reporter.event(Event::ImageFailed {
                        image,
                        error: &error,
                    });
                }
                None => {}
            }
        }
    }
}

impl Shared {
    fn new(plan: &Plan) -> Self {
        let disputed = plan.disputed().into_iter();
        Self {
            failed: plan.images.iter().map(|_| AtomicBool::new(false)).collect(),
            disputed: disputed.map(|d| (d.clone(), Mutex::default())).collect(),
        }
    }

    fn is_unneeded(&self, images: &[usize]) -> bool {
        let mut images = images.iter();
        let has_failed = |&image: &usize| self.failed[image].load(Ordering::Relaxed);
        images.len() > 0 && images.all(has_failed)
    }
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let mut n_waiting = vec![0; plan.images.len()];
        for &image in plan.blobs.iter().flat_map(|blob| &blob.images) {
            n_waiting[image] += 1;
        }
        let ready = (0..plan.images.len())
            .filter(|&at| n_waiting[at] == 0)
            .collect();
        Self {
            shared: Arc::new(Shared::new(plan)),
            outcomes: vec![None; plan.images.len()],
            reported: vec![false; plan.images.len()],
            n_waiting,
            ready,
        }
    }

    fn blob_done(&mut self, plan: &Plan, at: usize, result: &Result<(), Arc<TransferError>>) {
        for &image in &plan.blobs[at].images {
            self.n_waiting[image] -= 1;
            match result {
                Err(_) if self.outcomes[image].is_some() => {}
                Err(error) => {
                    let blob = &plan.blobs[at].descriptor;
                    let error = sizes::of_image(&plan.images[image], blob, error);
                    self.set(image, Err(error));
                }
                Ok(()) if self.n_waiting[image] == 0 && self.outcomes[image].is_none() => {
                    self.ready.push_back(image);
                }
                Ok(()) => {}
            }
        }
    }

    fn set(&mut self, image: usize, outcome: ImageOutcome) {
        self.shared.failed[image].store(outcome.is_err(), Ordering::Relaxed);
        self.outcomes[image] = Some(outcome);
    }

    fn next_batch(&mut self, batching: Batching) -> Vec<usize> {
        match batching {
            Batching::Together => self.ready.drain(..).collect(),
            Batching::Apart => self.ready.pop_front().into_iter().collect(),
        }
    }

    fn unreported(&mut self) -> Vec<usize> {
        let news: Vec<usize> = (0..self.outcomes.len())
            .filter(|&at| self.outcomes[at].is_some() && !self.reported[at])
            .collect();
        for &at in &news {
            self.reported[at] = true;
        }
        news
    }

    fn has_failed(&self) -> bool {
        self.outcomes
            .iter()
            .any(|outcome| matches!(outcome, Some(Err(_))))
    }

    fn into_outcomes(self) -> Vec<ImageOutcome> {
        let stopped = || Err(Arc::new(TransferError::Stopped));
        self.outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(stopped))
            .collect()
    }
}

#[cfg(test)]
mod tests;
