//! `inspect`: one image, its platforms, config, layers and referrers.

mod config;
mod facts;
mod parts;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::input::{Look, OpenInput};
use super::{Context, OpsError, SourceKind, Verb};
pub use config::ConfigFacts;
pub use facts::{InspectOutcome, LayerFacts, ManifestFacts, ReferrerFacts};
use hod_oci::{Manifest, ManifestBody, Platform, PlatformChoice};
use hod_transfer::{
    IndexMode, Locate, ReferrerMode, Resolved, Source, TransferError, Wanted, platform_of,
    read_config, resolve,
};

/// How many images are named where there are several.
const SHOWN_MAX: usize = 10;

/// The image to show.
#[derive(Debug)]
pub struct InspectOptions {
    pub look: Look,
    /// The only platform to show; without it, an index with all of its platforms.
    pub platform: Option<Platform>,
}

/// An image of an open source.
struct Subject {
    kind: SourceKind,
    source: Arc<dyn Source>,
    wanted: Wanted,
}

/// Shows one image.
///
/// Fetches manifests and configs, whose digests are verified, and no layers.
pub fn inspect<'a>(cx: &'a Context, options: &'a InspectOptions) -> Verb<'a, InspectOutcome> {
    Box::pin(async {
        let subject = Subject::find(cx, options).await?;
        subject.show(cx, options).await.map_err(OpsError::looking)
    })
}

/// Reads the manifest of an image, or of its only shown platform, byte for byte.
pub fn inspect_raw<'a>(cx: &'a Context, options: &'a InspectOptions) -> Verb<'a, Vec<u8>> {
    Box::pin(async {
        let subject = Subject::find(cx, options).await?;
        let found = if let Some(platform) = &options.platform {
            subject.of_platform(platform).await?.top().clone()
        } else {
            let top = subject.source.top(&subject.wanted).await;
            top.map_err(|error| subject.failed(error))?.0
        };
        Ok(found.bytes().to_vec())
    })
}

/// Reads the config of an image of one platform, byte for byte.
pub fn inspect_config<'a>(cx: &'a Context, options: &'a InspectOptions) -> Verb<'a, Vec<u8>> {
    Box::pin(async {
        let subject = Subject::find(cx, options).await?;
        subject.config(cx, options).await
    })
}

impl Subject {
    /// Opens the source and finds the one image, by its name only.
    async fn find(cx: &Context, options: &InspectOptions) -> Result<Self, OpsError> {
        let found = Self::look(cx, options).await;
        found.map_err(OpsError::looking)
    }

    async fn look(cx: &Context, options: &InspectOptions) -> Result<Self, OpsError> {
        let look = &options.look;
        let open = OpenInput::look(cx, &look.input).await?;
        let (mut wanted, missing) = open.named(ReferrerMode::Leave).await?;
        let Some(mut image) = wanted.pop() else {
            return Err(if missing.is_empty() {
                OpsError::NoImages {
                    path: look.input.word().to_owned(),
                }
            } else {
                OpsError::NoneFound { missing }
            });
        };
        if !wanted.is_empty() {
            wanted.push(image);
            let names = wanted.iter().take(SHOWN_MAX + 1);
            return Err(OpsError::OneImage {
                word: look.input.word().to_owned(),
                n_images: wanted.len(),
                images: names.map(|image| image.name.clone()).collect(),
            });
        }
        // Whatever a line of a list says about carrying it.
        image.pinned = None;
        image.rewritten = None;
        image.platforms = PlatformChoice::All;
        image.index_mode = IndexMode::Keep;
        let subject = Self {
            kind: open.kind(),
            source: Arc::clone(&open.source),
            wanted: image,
        };
        match &subject.wanted.locate {
            Locate::Unreadable(error) => Err(subject.failed_with(Arc::clone(error))),
            _ => Ok(subject),
        }
    }

    async fn show(
        &self,
        cx: &Context,
        options: &InspectOptions,
    ) -> Result<InspectOutcome, OpsError> {
        let resolved = if let Some(platform) = &options.platform {
            self.of_platform(platform).await?
        } else {
            let whole = resolve(self.source.as_ref(), &self.wanted).await;
            whole.map_err(|error| self.failed(error))?
        };
        let mut referrers = Vec::new();
        if options.look.referrers == ReferrerMode::Carry {
            // Signatures are most often about the index.
            let mut all = resolved.clone();
            if let Some(index) = &resolved.original_manifest {
                all.manifests.insert(0, index.clone());
            }
            let found = hod_transfer::find_referrers(self.source.as_ref(), &all, &cx.reporter);
            referrers = found.await.map_err(|error| self.failed(error))?;
        }
        let parts = parts::below(&resolved);
        let mut manifests = Vec::with_capacity(parts.len());
        let configs = config::read_all(cx, self.source.as_ref(), &resolved, &parts).await;
        for (part, read) in parts.iter().zip(configs) {
            let read = read.map_err(|error| self.failed(error))?;
            manifests.push(ManifestFacts::of(part, read));
        }
        Ok(facts::outcome(self.kind, &resolved, manifests, &referrers))
    }

    /// The manifest of one platform.
    async fn of_platform(&self, platform: &Platform) -> Result<Resolved, OpsError> {
        let wanted = Wanted {
            platforms: PlatformChoice::These(vec![platform.clone()]),
            index_mode: IndexMode::Fitting,
            ..self.wanted.clone()
        };
        let source = self.source.as_ref();
        let found = async {
            let mut resolved = resolve(source, &wanted).await?;
            if resolved.original.is_none() {
                resolved.platform = platform_of(source, &resolved.location, resolved.top()).await?;
            }
            match &resolved.platform {
                Some(offered) if !platform.accepts(offered) => Err(TransferError::OtherPlatform {
                    platform: offered.to_string(),
                    missing: platform.to_string(),
                }),
                _ => Ok(resolved),
            }
        };
        found.await.map_err(|error| self.failed(error))
    }

    async fn config(&self, cx: &Context, options: &InspectOptions) -> Result<Vec<u8>, OpsError> {
        let resolved = match &options.platform {
            Some(platform) => self.of_platform(platform).await?,
            None => self.only_platform().await?,
        };
        let ManifestBody::Image(image) = resolved.top().body() else {
            return Err(self.without_config());
        };
        let source = self.source.as_ref();
        if source.is_sequential() {
            return Err(OpsError::WrongSource {
                verb: "read a config",
                path: options.look.input.word().to_owned(),
                kind: self.kind,
            });
        }
        let (location, config) = (&resolved.location, &image.config);
        let read = read_config(source, location, config, cx.retry, &cx.reporter).await;
        let read = read.map_err(|error| self.failed(error))?;
        read.ok_or_else(|| self.without_config())
    }

    /// The image itself, or the only platform of an index.
    async fn only_platform(&self) -> Result<Resolved, OpsError> {
        let whole = resolve(self.source.as_ref(), &self.wanted).await;
        let mut resolved = whole.map_err(|error| self.failed(error))?;
        let parts = parts::below(&resolved);
        let images = parts.iter().filter(|part| !part.is_about_another);
        let images: Vec<(String, Option<&Manifest>)> = images
            .filter(|part| !part.is_index)
            .map(|part| (part.name(), part.manifest.as_ref()))
            .collect();
        match images.as_slice() {
            [(_, Some(manifest))] => resolved.manifests.push((*manifest).clone()),
            [] | [_] => return Err(self.without_config()),
            several => {
                let names: BTreeSet<&String> = several.iter().map(|(name, _)| name).collect();
                return Err(OpsError::OnePlatform {
                    image: self.wanted.name.clone(),
                    platforms: names.into_iter().cloned().collect(),
                });
            }
        }
        Ok(resolved)
    }

    fn without_config(&self) -> OpsError {
        OpsError::NoConfig {
            image: self.wanted.name.clone(),
        }
    }

    fn failed(&self, error: TransferError) -> OpsError {
        self.failed_with(Arc::new(error))
    }

    fn failed_with(&self, error: Arc<TransferError>) -> OpsError {
        let image = self.wanted.name.clone();
        let source = error;
        OpsError::Unshown { image, source }.looking()
    }
}
