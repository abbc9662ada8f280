//! Copies images with the engine, all at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use hod_layout::DirWriter;
use hod_oci::{Descriptor, Digest, Manifest, Registry};
use hod_transfer::{
    LayoutsSource, Location, OnFailure, Plan, RegistrySink, Resolved, Sink, Source, TransferError,
};

use crate::convert::Parts;
use crate::converted::Converted;
use crate::copy::{Copying, config_of, first_layer};
use crate::failure::{Done, Failure};
use crate::name::ImageName;
use crate::source::{OpenImage, OpenRegistry, Opening, layout_at};
use crate::sync::registries::Registries;
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
    Present(Digest),
    Failed(Failure),
}

impl Syncing<'_> {
    /// Copies images to different destinations; one outcome for each, in their order. Unless the
    /// user wants to keep going, those after one that cannot be copied are not tried.
    pub(super) async fn copy(&self, to: To, pairs: &[Pair]) -> Vec<Outcome> {
        let copying = self.copying();
        let registry = match self.destination(to, pairs).await {
            Ok(registry) => registry,
            Err(error) => {
                let failed = || Outcome::Failed(error.clone());
                return pairs.iter().map(|_| failed()).collect();
            }
        };
        let looks = pairs
            .iter()
            .map(|pair| self.look(&copying, registry.as_ref(), pair));
        let looked: Vec<Looked> = futures_util::stream::iter(looks)
            .buffered(LOOKS_AT_ONCE)
            .collect()
            .await;
        let mut outcomes = Vec::with_capacity(pairs.len());
        let mut ready = Vec::new();
        let mut is_stopped = false;
        for (at, looked) in looked.into_iter().enumerate() {
            outcomes.push(match looked {
                Looked::Ready(image) => {
                    if !is_stopped {
                        ready.push((at, *image));
                    }
                    Outcome::NotTried
                }
                Looked::Present(digest) => Outcome::Present(digest),
                Looked::Failed(failure) => {
                    is_stopped = !self.flags.keep_going;
                    Outcome::Failed(failure)
                }
            });
        }
        let moved = self
            .move_ready(&copying, registry.as_ref(), pairs, &mut ready)
            .await;
        for ((at, ready), outcome) in ready.into_iter().zip(moved) {
            outcomes[at] = match outcome {
                Outcome::Present(digest) => {
                    let Ready {
                        image,
                        target,
                        stored,
                        ..
                    } = ready;
                    let to = &pairs[at].to;
                    let signed = copying.sign_and_store(&image, &target, to, stored).await;
                    signed.map_or_else(Outcome::Failed, |()| Outcome::Present(digest))
                }
                other => other,
            };
        }
        outcomes
    }

    /// The registry that all images go to, if they go to one.
    async fn destination(&self, to: To, pairs: &[Pair]) -> Done<Option<OpenRegistry>> {
        let first = pairs.first().map(|pair| &pair.to);
        match (to, first) {
            (To::Docker, Some(to @ ImageName::Docker { named, .. })) => {
                let dest = &self.flags.copy.dest;
                let opened = OpenRegistry::for_destination(self.host, dest, named).await;
                let during =
                    |error: Failure| error.during(format!("initializing destination {to}"));
                Ok(Some(opened.map_err(during)?))
            }
            _ => Ok(None),
        }
    }

    async fn look(
        &self,
        copying: &Copying<'_>,
        registry: Option<&OpenRegistry>,
        pair: &Pair,
    ) -> Looked {
        match self.try_look(copying, registry, pair).boxed_local().await {
            Ok(looked) => looked,
            Err(failure) => Looked::Failed(failure),
        }
    }

    async fn try_look(
        &self,
        copying: &Copying<'_>,
        registry: Option<&OpenRegistry>,
        pair: &Pair,
    ) -> Done<Looked> {
        let Pair { from, to, .. } = pair;
        let registry = match (registry, to) {
            (Some(registry), ImageName::Docker { named, .. }) => Some(registry.of(named)),
            _ => None,
        };
        let target = Target::of(to, registry, None, &[])?;
        let during = |error: Failure| error.during(format!("initializing source {from}"));
        let image = self.open(pair).await.map_err(during)?;
        let prepared = copying.prepare(&image, from, &target, to).await?;
        if prepared.is_present {
            self.screen
                .line("Skipping: image already present at destination");
            let top = prepared.copied.manifests.last();
            let digest = top.map_or_else(|| image.top.digest().clone(), |top| top.digest().clone());
            return Ok(Looked::Present(digest));
        }
        Ok(Looked::Ready(Box::new(Ready {
            location: prepared.copied.location,
            manifests: prepared.copied.manifests,
            image,
            parts: prepared.parts,
            stored: prepared.stored,
            target,
        })))
    }

    /// Opens the image that a pair comes from.
    async fn open(&self, pair: &Pair) -> Done<OpenImage> {
        match &pair.from {
            ImageName::Docker { named, .. } => {
                let registry = self.sources.open(self.host, &pair.flags, named).await?;
                OpenImage::in_registry(registry, named).await
            }
            other => {
                let opening = Opening {
                    host: self.host,
                    flags: &pair.flags,
                    shared_blobs: None,
                    tmpdir: self.flags.copy.tmpdir.as_deref(),
                    daemon_host: None,
                };
                OpenImage::open(other, &opening).await
            }
        }
    }

    async fn move_ready(
        &self,
        copying: &Copying<'_>,
        registry: Option<&OpenRegistry>,
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
            let destination = ready.target.destination();
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
        let source: Arc<dyn Source> = Arc::new(Converted {
            inner: joined(pairs, ready, &mut images),
            parts: parts.by_digest.clone(),
        });
        let sink = match self.sink(registry, ready).await {
            Ok(sink) => sink,
            Err(failure) => {
                let failed = || Outcome::Failed(failure.clone());
                return ready.iter().map(|_| failed()).collect();
            }
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
                        Outcome::Present(digest)
                    }
                    Err(error) if matches!(*error, TransferError::Stopped) => Outcome::NotTried,
                    Err(error) => {
                        let failure = wording::of_transfer(&error);
                        let to = &pairs[*at].to;
                        Outcome::Failed(Copying::of_write(to, first.as_ref(), failure))
                    }
                },
            )
            .collect()
    }

    async fn sink(
        &self,
        registry: Option<&OpenRegistry>,
        ready: &[(usize, Ready)],
    ) -> Done<Arc<dyn Sink>> {
        if let Some(registry) = registry {
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

/// One source for images that were opened one by one: their registries, or their layouts.
fn joined(pairs: &[Pair], ready: &[(usize, Ready)], images: &mut [Resolved]) -> Arc<dyn Source> {
    let registries = ready.iter().filter_map(|(_, ready)| {
        let registry = ready.image.registry.as_ref()?;
        let source = Arc::clone(&ready.image.source);
        Some((registry.repo.registry.clone(), source))
    });
    let mut registries: BTreeMap<Registry, Arc<dyn Source>> = registries.collect();
    if registries.is_empty() {
        for (at, image) in images.iter_mut().enumerate() {
            image.location = Location::Layout(at);
        }
        let layouts = ready.iter().filter_map(|(at, _)| match &pairs[*at].from {
            ImageName::Dir { path, .. } => Some(layout_at(path)),
            _ => None,
        });
        return Arc::new(LayoutsSource(Arc::new(layouts.collect())));
    }
    match (registries.pop_first(), registries.is_empty()) {
        (Some((_, only)), true) => only,
        (first, _) => {
            registries.extend(first);
            Arc::new(Registries(registries))
        }
    }
}
