//! One registry as a target: checks it and fills it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::CopyOptions;
use super::target::{CopyTarget, Prepared};
use crate::base;
use crate::batch::{Batch, TargetName, TargetState, WouldMove};
use crate::input::OpenInput;
use crate::preflight::{
    Early, Finding, PreflightCheck, Present, require_no_proxy_cache, would_create,
};
use crate::{BatchOutcome, Context, NotReady, OpsError, Preflight, ProjectReport, RunMode};
use hod_list::RenameRules;
use hod_oci::{Digest, Registry, RepositoryName, sum_len};
use hod_registry::{Client, RegistryError, Repo};
use hod_report::amount::format_count;
use hod_transfer::{
    Destination, Feed, Plan, Presence, RegistrySink, Resolved, Source, TransferError, Wanted,
};

/// Number of destinations that are checked at once.
const ASK_AT_ONCE: usize = 16;

/// A registry to copy to.
#[derive(Debug)]
pub struct RegistryTarget {
    pub registry: Registry,
    /// The prefix of all names there.
    pub prefix: Option<RepositoryName>,
    pub client: Client,
    pub preflight: Preflight,
    pub recheck: Recheck,
    early: Mutex<Early>,
}

impl RegistryTarget {
    /// A registry, and the prefix of all names there.
    pub fn new(
        (registry, prefix): (Registry, Option<RepositoryName>),
        client: Client,
        (preflight, recheck): (Preflight, Recheck),
    ) -> Self {
        Self {
            registry,
            prefix,
            client,
            preflight,
            recheck,
            early: Mutex::default(),
        }
    }

    /// The client that asks for the rights which are needed.
    fn client_for(&self, mode: RunMode) -> Client {
        match mode {
            RunMode::Real => self.client.for_push(),
            RunMode::DryRun => self.client.clone(),
        }
    }

    fn repos<'a>(&self, names: impl Iterator<Item = &'a Wanted>) -> Vec<Repo> {
        let repo = |wanted: &Wanted| Repo {
            registry: self.registry.clone(),
            name: wanted.destination.repository.clone(),
        };
        names.map(repo).collect()
    }
}

/// Whether images that are at their destination already are asked for in all their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recheck {
    Skip,
    /// Checks every blob and manifest, and sends missing or different ones.
    All,
}

impl Recheck {
    /// That of a verb which is to ask for all, or is not.
    pub fn of(is_wanted: bool) -> Self {
        if is_wanted { Self::All } else { Self::Skip }
    }
}

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl CopyTarget for RegistryTarget {
    fn name(&self) -> TargetName {
        TargetName::Registry(self.registry.clone())
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.registry)
    }

    fn renames(&self, rules: &RenameRules) -> Option<RenameRules> {
        Some(RenameRules {
            prefix: self.prefix.clone(),
            ..rules.clone()
        })
    }

    async fn has(&self, asked: &[(Destination, Digest)]) -> Result<Vec<bool>, OpsError> {
        if self.recheck == Recheck::All {
            return Ok(vec![false; asked.len()]);
        }
        let repo = |destination: &Destination| Repo {
            registry: self.registry.clone(),
            name: destination.repository.clone(),
        };
        let repos: Vec<Repo> = asked.iter().map(|(there, _)| repo(there)).collect();
        self.client.expect(&repos);
        let has: Vec<bool> = futures_util::stream::iter(asked.iter().zip(&repos))
            .map(|((destination, digest), repo)| async move {
                let at = destination.manifest_ref(digest);
                let head = self.client.manifests.head(repo, &at).await;
                let head = head.ok().flatten();
                head.is_some_and(|head| head.digest.as_ref() == Some(digest))
            })
            .buffered(ASK_AT_ONCE)
            .collect()
            .await;
        let found = asked.iter().zip(&has).filter(|(_, has)| **has);
        let repositories = found.map(|((there, _), _)| &there.repository);
        require_no_proxy_cache(&self.client, &self.registry, repositories).await?;
        Ok(has)
    }

    /// Asks what depends on the names alone: so the round trips for it are those for the source.
    async fn reach(&self, wanted: &[Wanted], mode: RunMode) {
        if self.preflight == Preflight::Skip {
            return;
        }
        self.client_for(mode).expect(&self.repos(wanted.iter()));
        let early = Early::ask(&self.client, &self.registry, wanted).await;
        *self.early.lock().expect("no panic with the lock") = early;
    }

    async fn prepare<'a>(
        &'a self,
        cx: &'a Context,
        options: &'a CopyOptions,
        input: &OpenInput<'a>,
        batch: Batch,
    ) -> Result<Box<dyn Prepared + 'a>, OpsError> {
        let looked = Looked::new(cx, options, input, self, batch);
        Ok(Box::new(Box::pin(looked).await?))
    }
}

/// A registry that was looked at.
struct Looked<'a> {
    cx: &'a Context,
    target: &'a RegistryTarget,
    mode: RunMode,
    batch: Batch,
    sink: Arc<RegistrySink>,
    check: Option<PreflightCheck<'a>>,
    would_move: Option<WouldMove>,
    projects: Vec<ProjectReport>,
}

impl<'a> Looked<'a> {
    async fn new(
        cx: &'a Context,
        options: &CopyOptions,
        input: &OpenInput<'_>,
        target: &'a RegistryTarget,
        batch: Batch,
    ) -> Result<Self, OpsError> {
        let (registry, mode) = (&target.registry, options.mode);
        let client = target.client_for(mode);
        let images = batch.plan.images.iter().map(|image| &image.wanted);
        client.expect(&target.repos(images));
        let mut check = Box::pin(check(cx, target, mode, &batch.plan)).await;
        let origin = Arc::clone(&input.source);
        let sink = RegistrySink::new(client, registry.clone())
            .healing_from(origin, Arc::clone(&cx.reporter));
        let mut compared = Compared::nothing(batch, sink);
        if !check.as_ref().is_some_and(PreflightCheck::is_fatal) {
            compared = compare(cx, options, input, target, &mut check, compared).await?;
        }
        Ok(Self {
            cx,
            target,
            mode,
            batch: compared.batch,
            sink: Arc::new(compared.sink),
            check,
            would_move: compared.would_move,
            projects: Vec::new(),
        })
    }
}

#[async_trait(?Send)]
impl Prepared for Looked<'_> {
    fn not_ready(&mut self) -> Option<NotReady> {
        let check = self.check.as_mut()?;
        if let Err(not_ready) = check.require_none() {
            return Some(not_ready);
        }
        self.projects = check.projects();
        if let Preflight::Run { create: Some(new) } = self.target.preflight
            && self.mode == RunMode::DryRun
            && !self.projects.is_empty()
        {
            self.cx.note(&would_create(&self.projects, new));
        }
        None
    }

    /// Creates the projects that are missing, if they are to be.
    async fn begin(&mut self) -> Result<(), OpsError> {
        let Some(check) = &mut self.check else {
            return Ok(());
        };
        check.create_projects().await;
        check.require_none()?;
        self.projects = check.projects();
        Ok(())
    }

    fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    async fn fill(&mut self, mut feed: Feed<'_>) -> Result<(), OpsError> {
        let batch = &mut self.batch;
        if batch.must_stop() {
            return Ok(());
        }
        batch.run(self.cx, &mut feed, self.sink.clone()).await;
        let images = batch.plan.images.iter().enumerate();
        let is_unchanged = |at: usize, image: &Resolved| {
            self.sink.rechecks(&image.wanted.destination) && !self.sink.has_sent(at)
        };
        let unchanged = images.filter(|(at, image)| is_unchanged(*at, image));
        let unchanged: Vec<usize> = unchanged.map(|(at, _)| at).collect();
        batch.mark_unchanged(unchanged);
        batch.check_the_rest(self.cx, feed.source().as_ref()).await;
        Ok(())
    }

    fn finish(self: Box<Self>) -> BatchOutcome {
        let mut outcome = self.batch.finish();
        outcome.projects = self.projects;
        outcome.would_move = self.would_move;
        outcome
    }
}

/// The part of a plan that a registry lacks.
struct Compared {
    batch: Batch,
    sink: RegistrySink,
    /// Of a dry run.
    would_move: Option<WouldMove>,
}

impl Compared {
    fn nothing(batch: Batch, sink: RegistrySink) -> Self {
        Self {
            batch,
            sink,
            would_move: None,
        }
    }
}

/// Compares the plan with the registry.
async fn compare(
    cx: &Context,
    options: &CopyOptions,
    input: &OpenInput<'_>,
    target: &RegistryTarget,
    check: &mut Option<PreflightCheck<'_>>,
    compared: Compared,
) -> Result<Compared, OpsError> {
    let Compared {
        mut batch, sink, ..
    } = compared;
    let (source, registry) = (input.source.as_ref(), &target.registry);
    cx.stage(&format!("comparing with {registry}"));
    let answers = ask(&sink, &batch, check.as_ref(), target.recheck).await;
    if let (Some(check), Some(error)) = (check.as_mut(), refused(&answers)) {
        check.findings.push(Finding::of_error(registry, error));
        return Ok(Compared::nothing(batch, sink));
    }
    let present: Vec<Present> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().ok().cloned())
        .filter(|present| *present != Present::Same)
        .collect();
    let found = answers.iter().map(|answer| answer.as_ref().ok());
    batch.set_targets(found.map(|answer| answer.map(Present::target)).collect());
    let at_target = |wanted: &[Present]| {
        let images = batch.plan.images.iter().zip(&answers);
        let is_wanted = |answer: &Result<Present, TransferError>| {
            answer
                .as_ref()
                .is_ok_and(|present| wanted.contains(present))
        };
        let images = images.filter(|(_, answer)| is_wanted(answer));
        images
            .map(|(image, _)| image.wanted.destination.clone())
            .collect::<BTreeSet<_>>()
    };
    let unchanged = at_target(&[Present::Same, Present::SameToRecheck]);
    let sink = sink.rechecking(at_target(&[Present::SameToRecheck]));
    if check.is_none() {
        let repositories = unchanged.iter().map(|destination| &destination.repository);
        require_no_proxy_cache(&target.client, registry, repositories).await?;
    }
    let answers = answers.into_iter();
    batch.settle(
        answers
            .map(|answer| answer.map(TargetState::from))
            .collect(),
    );
    let renames = target.renames(&options.renames).unwrap_or_default();
    let look = check.as_ref();
    let awaited = base::await_at_registry(cx, input, &sink, &renames, look, &mut batch).await;
    // Another finding may be the reason why the base is missing.
    let is_clean = |check: &PreflightCheck<'_>| check.findings.is_empty();
    if check.as_ref().is_none_or(is_clean) {
        awaited?;
    }
    let mut would_move = None;
    if options.mode == RunMode::DryRun {
        let forecast = forecast(cx, source, &sink, check.as_ref(), &mut batch);
        would_move = Some(forecast.await);
    }
    if let Some(check) = check {
        check.check_plan(&sink, &batch.plan, &present).await;
    }
    Ok(Compared {
        batch,
        sink,
        would_move,
    })
}

/// The reason if the registry refuses requests for all images.
fn refused(answers: &[Result<Present, TransferError>]) -> Option<&RegistryError> {
    let reasons: Option<Vec<&RegistryError>> = answers.iter().map(refusal).collect();
    reasons?.first().copied()
}

fn refusal(answer: &Result<Present, TransferError>) -> Option<&RegistryError> {
    match answer {
        Err(TransferError::Registry(error)) if error.is_refusal() => Some(error),
        _ => None,
    }
}

/// The first look, unless it is not wanted.
async fn check<'a>(
    cx: &'a Context,
    target: &'a RegistryTarget,
    mode: RunMode,
    plan: &Plan,
) -> Option<PreflightCheck<'a>> {
    let Preflight::Run { create } = target.preflight else {
        return None;
    };
    let at = (&target.client, &target.registry);
    let early = std::mem::take(&mut *target.early.lock().expect("no panic with the lock"));
    let check = PreflightCheck::of_registry(cx, at, (mode, create), (plan, early));
    Some(Box::pin(check).await)
}

/// Determines, for a dry run, which blobs would be sent and whether the source has them; images
/// that would fail for one of them are noted.
async fn forecast(
    cx: &Context,
    source: &dyn Source,
    sink: &RegistrySink,
    check: Option<&PreflightCheck<'_>>,
    batch: &mut Batch,
) -> WouldMove {
    let plan = Arc::clone(&batch.plan);
    let n_blobs = format_count(plan.blobs.len(), "blob");
    cx.stage(&format!("checking {n_blobs} at {}", sink.registry()));
    let plan = &plan;
    let answers: Vec<Result<bool, TransferError>> = futures_util::stream::iter(&plan.blobs)
        .enumerate()
        .map(|(at, blob)| async move {
            if blob.presence != Presence::Source {
                return Ok(false);
            }
            let names = base::destinations(plan, at, check);
            let mut n_there = 0;
            for name in &names {
                if sink.has_blob(name, &blob.descriptor).await? {
                    n_there += 1;
                }
            }
            if n_there > 0 {
                return Ok(false);
            }
            source.check_blob(blob).await.map(|()| true)
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await;
    let mut would_move = WouldMove { blobs: 0, bytes: 0 };
    let mut incomplete: BTreeSet<usize> = BTreeSet::new();
    for (blob, answer) in plan.blobs.iter().zip(answers) {
        match answer {
            Ok(false) => {}
            Ok(true) => {
                would_move.blobs += 1;
                would_move.bytes = sum_len([would_move.bytes, blob.descriptor.size]);
                incomplete.extend(&blob.images);
            }
            Err(error) => batch.mark_failed(&blob.images, error),
        }
    }
    for (at, image) in plan.images.iter().enumerate() {
        if !sink.rechecks(&image.wanted.destination) || incomplete.contains(&at) {
            continue;
        }
        match sink.has_manifests(image).await {
            Ok(true) => batch.mark_unchanged([at]),
            Ok(false) => {}
            Err(error) => batch.mark_failed(&[at], error),
        }
    }
    would_move
}

/// Asks the registry for the current manifest of every destination, and for the existing referrers.
async fn ask(
    sink: &RegistrySink,
    batch: &Batch,
    check: Option<&PreflightCheck<'_>>,
    recheck: Recheck,
) -> Vec<Result<Present, TransferError>> {
    futures_util::stream::iter(&batch.plan.images)
        .map(|image| async move {
            let destination = &image.wanted.destination;
            if check.is_some_and(|check| !check.may_ask(destination)) {
                return Ok(Present::Nothing);
            }
            let top = image.top();
            let answered = check.and_then(|check| check.answer(destination, top));
            let present = if let Some(present) = answered {
                present
            } else {
                match sink.current(destination, top.digest()).await {
                    Ok(head) => Present::of(head.as_ref(), top),
                    // It exists, otherwise the policy would not apply; a PUT does not read it.
                    Err(TransferError::Registry(error)) if error.is_hidden_by_policy() => {
                        Present::Hidden
                    }
                    Err(error) => return Err(error),
                }
            };
            match (present, recheck) {
                (Present::Same, Recheck::All) => Ok(Present::SameToRecheck),
                (Present::Same, Recheck::Skip) if !has_foreign_layers(sink, image).await? => {
                    Ok(Present::SameToRecheck)
                }
                (Present::Same, Recheck::Skip) if !sink.has_referrers(image).await? => {
                    Ok(Present::SameWithoutReferrers)
                }
                (present, _) => Ok(present),
            }
        })
        .buffered(ASK_AT_ONCE)
        .collect()
        .await
}

/// Returns true if a destination with the manifests of an image also has the foreign layers of the
/// source: a registry accepts manifests without them.
async fn has_foreign_layers(sink: &RegistrySink, image: &Resolved) -> Result<bool, TransferError> {
    let repository = &image.wanted.destination.repository;
    for layer in image.blobs.iter().filter(|blob| blob.is_foreign()) {
        if !sink.has_blob(repository, layer).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
