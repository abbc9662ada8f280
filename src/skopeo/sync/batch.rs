//! Copies the images of one group with the engine, all at once.

use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use hod_layout::DirWriter;
use hod_oci::{Descriptor, Digest, Manifest};
use hod_registry::{ManifestRef, Repo};
use hod_transfer::{Destination, Location, OnFailure, Plan, RegistrySink, Resolved, Sink, Source};

use crate::convert::Parts;
use crate::converted::Converted;
use crate::copy::{CopyFlags, Copying, config_of, first_layer};
use crate::failure::{Done, Failure};
use crate::name::ImageName;
use crate::source::{OpenImage, OpenRegistry, Opening};
use crate::sync::find::Group;
use crate::sync::syncing::{Outcome, Pair, Syncing, To};
use crate::target::{self, DirSink, Target};
use crate::trust::Stored;
use crate::wording;

/// How many images are looked at at once.
const LOOKS_AT_ONCE: usize = 16;

/// An image that is to be moved.
struct Ready {
    image: OpenImage,
    location: Location,
    manifests: Vec<Manifest>,
    parts: Parts,
    stored: Vec<Stored>,
    target: Target,
}

/// What is known of an image before any is moved.
enum Looked {
    Ready(Box<Ready>),
    /// Its destination has it.
    There(Digest),
    Failed(Failure),
}

impl Syncing<'_> {
    /// Copies the images of a group; one outcome for each, in their order.
    pub(super) async fn copy(&self, group: &Group, to: To, pairs: &[Pair]) -> Vec<Outcome> {
        let flags = CopyFlags {
            source: group.flags.clone(),
            ..self.flags.copy.clone()
        };
        let copying = self.copying(&flags);
        let registries = match self.registries(&copying, group, to, pairs).await {
            Ok(registries) => registries,
            Err(error) => return pairs.iter().map(|_| Err(error.clone())).collect(),
        };
        let looks = pairs
            .iter()
            .map(|pair| self.look(&copying, &registries, pair));
        let looked: Vec<Looked> = futures_util::stream::iter(looks)
            .buffered(LOOKS_AT_ONCE)
            .collect()
            .await;
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(pairs.len());
        let mut ready = Vec::new();
        for (at, looked) in looked.into_iter().enumerate() {
            outcomes.push(match looked {
                Looked::Ready(image) => {
                    ready.push((at, *image));
                    None
                }
                Looked::There(digest) => Some(Ok(digest)),
                Looked::Failed(failure) => Some(Err(failure)),
            });
        }
        let is_stopped = outcomes.iter().flatten().any(Result::is_err) && !self.flags.keep_going;
        if is_stopped {
            let stopped = || Err(Failure::new("stopped because another image failed"));
            return outcomes
                .into_iter()
                .map(|o| o.unwrap_or_else(stopped))
                .collect();
        }
        let moved = self
            .move_ready(&copying, &registries, to, pairs, &mut ready)
            .await;
        for ((at, ready), outcome) in ready.into_iter().zip(moved) {
            let outcome = match outcome {
                Ok(digest) => {
                    let Ready {
                        image,
                        target,
                        stored,
                        ..
                    } = ready;
                    let to = &pairs[at].to;
                    let signed = copying.sign_and_store(&image, &target, to, stored).await;
                    signed.map(|()| digest)
                }
                failed => failed,
            };
            outcomes[at] = Some(outcome);
        }
        let lost = || Err(Failure::new("not copied"));
        outcomes
            .into_iter()
            .map(|o| o.unwrap_or_else(lost))
            .collect()
    }

    /// The clients of both sides; each registry is asked once whether it has TLS.
    async fn registries(
        &self,
        copying: &Copying<'_>,
        group: &Group,
        to: To,
        pairs: &[Pair],
    ) -> Done<Registries> {
        let opening = |flags| Opening {
            host: self.host,
            flags,
            shared_blobs: None,
            tmpdir: None,
            daemon_host: None,
        };
        let first = pairs.first();
        let source = match first.map(|pair| &pair.from) {
            Some(ImageName::Docker { named, .. }) => {
                Some(OpenRegistry::open(named, &opening(&group.flags)).await?)
            }
            _ => None,
        };
        let dest = match (to, first.map(|pair| &pair.to)) {
            (To::Docker, Some(ImageName::Docker { named, .. })) => {
                Some(OpenRegistry::open(named, &opening(&copying.flags.dest)).await?)
            }
            _ => None,
        };
        Ok(Registries { source, dest })
    }

    async fn look(&self, copying: &Copying<'_>, registries: &Registries, pair: &Pair) -> Looked {
        match self.try_look(copying, registries, pair).boxed_local().await {
            Ok(looked) => looked,
            Err(failure) => Looked::Failed(failure),
        }
    }

    async fn try_look(
        &self,
        copying: &Copying<'_>,
        registries: &Registries,
        pair: &Pair,
    ) -> Done<Looked> {
        if let Some(digest) = registries.in_place(pair).await {
            self.screen
                .line("Skipping: image already present at destination");
            return Ok(Looked::There(digest));
        }
        let target = registries.target(pair)?;
        let opening = Opening {
            host: self.host,
            flags: &copying.flags.source,
            shared_blobs: None,
            tmpdir: copying.flags.tmpdir.as_deref(),
            daemon_host: None,
        };
        let from = &pair.from;
        let during = |error: Failure| error.during(format!("initializing source {from}"));
        let image = match (&registries.source, from) {
            (Some(registry), ImageName::Docker { named, .. }) => {
                OpenImage::in_registry(registry.of(named), named).await
            }
            _ => OpenImage::open(from, &opening).await,
        };
        let image = image.map_err(during)?;
        let prepared = copying.prepare(&image, from, &target, &pair.to).await?;
        Ok(Looked::Ready(Box::new(Ready {
            location: prepared.copied.location,
            manifests: prepared.copied.manifests,
            image,
            parts: prepared.parts,
            stored: prepared.stored,
            target,
        })))
    }

    async fn move_ready(
        &self,
        copying: &Copying<'_>,
        registries: &Registries,
        to: To,
        pairs: &[Pair],
        ready: &mut [(usize, Ready)],
    ) -> Vec<Outcome> {
        if ready.is_empty() {
            return Vec::new();
        }
        let mut parts = Parts::default();
        let mut images: Vec<Resolved> = Vec::with_capacity(ready.len());
        for (_, ready) in ready.iter_mut() {
            parts.join(std::mem::take(&mut ready.parts));
            let destination = destination(&ready.target);
            let manifests = std::mem::take(&mut ready.manifests);
            images.push(target::resolved(
                ready.location.clone(),
                manifests,
                destination,
            ));
        }
        let digests: Vec<Digest> = images.iter().map(|i| i.top().digest().clone()).collect();
        let firsts: Vec<Option<Descriptor>> = images
            .iter()
            .map(|image| image.manifests.iter().find_map(first_layer))
            .collect();
        let config = |image: &Resolved| match &image.manifests[..] {
            [single] => config_of(single),
            _ => None,
        };
        let configs: Vec<Option<Digest>> = images.iter().map(config).collect();
        // Layouts are sources of their own; all others share one.
        let sources: Vec<Arc<dyn Source>> = ready
            .iter()
            .map(|(_, r)| Arc::clone(&r.image.source))
            .collect();
        let source: Arc<dyn Source> = Arc::new(Converted {
            inner: joined(sources, &mut images),
            parts: parts.by_digest.clone(),
        });
        let sink = match self.sink(registries, to, ready).await {
            Ok(sink) => sink,
            Err(failure) => return ready.iter().map(|_| Err(failure.clone())).collect(),
        };
        let on_failure = OnFailure::of(!self.flags.keep_going);
        let plan = Arc::new(Plan::new(images));
        let moved = target::move_all(sink, source, &plan, on_failure).await;
        drop(parts);
        let outcomes = moved.into_iter().zip(digests).zip(firsts).zip(configs);
        outcomes
            .zip(ready.iter())
            .map(
                |((((outcome, digest), first), config), (at, _))| match outcome {
                    Ok(()) => {
                        if let Some(config) = config {
                            copying.tell_end(&config);
                        }
                        Ok(digest)
                    }
                    Err(error) => {
                        let failure = wording::of_transfer(&error);
                        Err(Copying::of_write(&pairs[*at].to, first.as_ref(), failure))
                    }
                },
            )
            .collect()
    }

    async fn sink(
        &self,
        registries: &Registries,
        to: To,
        ready: &[(usize, Ready)],
    ) -> Done<Arc<dyn Sink>> {
        if let (Some(registry), To::Docker) = (&registries.dest, to) {
            let client = registry.client.for_push();
            let registry = registry.repo.registry.clone();
            return Ok(Arc::new(RegistrySink::new(client, registry)));
        }
        let paths = ready.iter().filter_map(|(_, ready)| match &ready.target {
            Target::Dir(path) => Some(path.clone()),
            _ => None,
        });
        let paths: Vec<_> = paths.collect();
        let create = move || {
            let writers = paths.iter().map(|path| DirWriter::create(path));
            writers.collect::<Result<Vec<_>, _>>()
        };
        let writers = hod_bridge::run(create).await;
        let writers = writers.map_err(|error| wording::of_layout(&error))?;
        Ok(Arc::new(DirSink::new(writers)))
    }
}

/// The registries of a group: all its images come from one, and go to one.
struct Registries {
    source: Option<OpenRegistry>,
    dest: Option<OpenRegistry>,
}

impl Registries {
    fn target(&self, pair: &Pair) -> Done<Target> {
        let registry = match (&self.dest, &pair.to) {
            (Some(registry), ImageName::Docker { named, .. }) => Some(registry.of(named)),
            _ => None,
        };
        Target::of(&pair.to, registry, None, &[])
    }

    /// The digest of an image that its destination has already; asks each side for a digest only.
    async fn in_place(&self, pair: &Pair) -> Option<Digest> {
        let (ImageName::Docker { named: from, .. }, ImageName::Docker { named: to, .. }) =
            (&pair.from, &pair.to)
        else {
            return None;
        };
        let (source, dest) = (self.source.as_ref()?.of(from), self.dest.as_ref()?.of(to));
        let at = |named: &crate::name::Named| match (&named.tag, &named.digest) {
            (Some(tag), _) => Some(ManifestRef::Tag(tag.clone())),
            (None, digest) => digest.clone().map(ManifestRef::Digest),
        };
        let (from_at, to_at) = (at(from)?, at(to)?);
        let here = source.client.manifests.head(&source.repo, &from_at);
        let there = dest.client.manifests.head(&dest.repo, &to_at);
        let (here, there) = futures_util::future::join(here, there).await;
        // What cannot be asked here is copied, and fails then if it must.
        let (here, there) = (here.ok()??.digest?, there.ok()??.digest?);
        (here == there).then_some(here)
    }
}

impl OpenRegistry {
    /// The same client for another repository of the registry.
    fn of(&self, named: &crate::name::Named) -> Self {
        Self {
            client: self.client.clone(),
            repo: Repo {
                registry: named.registry.clone(),
                name: named.repository.clone(),
            },
        }
    }
}

/// The destination of an image in a registry; of a layout, its path is what counts.
fn destination(target: &Target) -> Destination {
    match target {
        Target::Registry { named, .. } => Destination {
            repository: named.repository.clone(),
            tag: named.tag.clone(),
        },
        _ => target::unnamed(),
    }
}

/// One source for images that were opened one by one: the registry that all are in, or the layouts.
fn joined(sources: Vec<Arc<dyn Source>>, images: &mut [Resolved]) -> Arc<dyn Source> {
    let is_shared = images
        .iter()
        .all(|image| matches!(image.location, Location::Repo(_)));
    if is_shared && let Some(first) = sources.first() {
        return Arc::clone(first);
    }
    for (at, image) in images.iter_mut().enumerate() {
        image.location = Location::Layout(at);
    }
    Arc::new(crate::layouts::Layouts(sources))
}
