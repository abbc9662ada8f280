//! The inventory of a source: every image with its parts and their sizes.
//!
//! The index of a bundle contains all of it, so that nothing else is read; the images of other
//! sources are resolved. From a registry, only manifests are fetched: they state the lengths.

mod content;
mod document;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::batch::Batch;
use super::catalog::{landed, require_apart};
use super::input::{Input, Look, OpenInput, Survey};
use super::platforms::stated_by_bundle;
use super::unread::Unread;
use super::{Context, OpsError, SourceKind};
pub(super) use content::{Group, Inventoried, Inventory};
use hod_list::RenameRules;
use hod_oci::{Descriptor, Digest, Manifest, Platform, ReferrerTagKind};
use hod_report::{Diagnose as _, ErrorClass};
use hod_transfer::{Destination, ReferrerMode, Resolved, Source, TransferError, platform_of};

/// Number of configurations that are read at once.
const CONFIGS_AT_ONCE: usize = 16;

/// The data of each image in addition to its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Content,
    /// Its platforms, for which configurations are read.
    Platforms,
}

impl Inventory {
    /// Takes stock of an input.
    pub(super) async fn take(cx: &Context, look: &Look, detail: Detail) -> Result<Self, OpsError> {
        let open = OpenInput::look(cx, &look.input).await?;
        let (kind, source) = (open.kind(), Arc::clone(&open.source));
        let document = source.document().filter(|_| is_whole(look)).cloned();
        let inventory = if let Some(document) = document {
            hod_bridge::run(move || document::read(kind, source, &document)).await
        } else {
            let survey = open.survey(cx, look.referrers).await?;
            if source.is_remote() {
                survey.batch.require_one(look.input.word())?;
            }
            for problem in &survey.problems {
                cx.warn(problem);
            }
            Self::of_survey((kind, source), survey, detail).await
        };
        let Self {
            images,
            absent,
            damaged,
            ..
        } = &inventory;
        if images.is_empty() && absent.is_empty() && damaged.is_empty() {
            let path = look.input.word().to_owned();
            return Err(OpsError::NoImages { path });
        }
        Ok(inventory)
    }

    /// Takes stock of resolved images.
    async fn of_survey(
        (kind, source): (SourceKind, Arc<dyn Source>),
        survey: Survey,
        detail: Detail,
    ) -> Self {
        let mut batch = survey.batch;
        if detail == Detail::Platforms {
            // A listing shows what can be read.
            let _ = read_platforms(source.as_ref(), &mut batch).await;
        }
        let mut inventory = Self {
            kind,
            source,
            images: Vec::with_capacity(batch.plan.images.len()),
            held: HashMap::new(),
            base: HashMap::new(),
            manifests: HashMap::new(),
            absent: survey.absent,
            damaged: survey.unread,
            problems: survey.problems,
        };
        let document = inventory.source.document();
        let base = document.iter().flat_map(|document| &document.base);
        let base: HashSet<Digest> = base.map(|blob| blob.digest.clone()).collect();
        for image in &batch.plan.images {
            inventory.add(image, &base);
        }
        inventory
    }

    /// Adds an image; `base` are the blobs that a bundle requires at its target.
    fn add(&mut self, image: &Resolved, base: &HashSet<Digest>) {
        for manifest in image.all_manifests() {
            let len = manifest.bytes().len() as u64;
            self.held.insert(manifest.digest().clone(), len);
            let digest = manifest.digest().clone();
            self.manifests.insert(digest, manifest.clone());
        }
        for (blob, _) in image.all_blobs() {
            let has = if base.contains(&blob.digest) {
                &mut self.base
            } else {
                &mut self.held
            };
            has.insert(blob.digest.clone(), blob.size);
        }
        let stated = stated_by_bundle(self.source.as_ref(), image);
        let platforms = stated.unwrap_or_else(|| image.platforms());
        self.images.push(Inventoried {
            name: image.wanted.name.clone(),
            repository: image.wanted.destination.repository.clone(),
            tag: image.wanted.destination.tag.clone(),
            digest: image.top().digest().clone(),
            media_type: image.top().media_type().to_string(),
            platforms: platforms.iter().map(ToString::to_string).collect(),
            n_referrers: image.n_referrers(),
            groups: groups(image),
        });
    }

    /// Fails if images were named and none of them was found.
    pub(super) fn require_found(&self) -> Result<(), OpsError> {
        if !self.images.is_empty() || self.absent.is_empty() || !self.damaged.is_empty() {
            return Ok(());
        }
        let absent = self.absent.iter();
        let missing =
            absent.map(|absent| format!("{}: {}", absent.image.image, absent.image.error));
        Err(OpsError::NoneFound {
            missing: missing.collect(),
        })
    }

    /// Gives the images the names that a push with these rules gives them.
    pub(super) fn rename(&mut self, rules: &RenameRules) -> Result<(), OpsError> {
        let names = self.images.iter().map(|image| &image.repository);
        rules.require_used(names.chain(self.unread().map(Unread::repository)))?;
        let mut landings = Vec::with_capacity(self.images.len());
        for image in &mut self.images {
            let destination = Destination {
                repository: image.repository.clone(),
                tag: image.tag.clone(),
            };
            let digest = Some(image.digest.clone());
            let (destination, landing) = landed(rules, &image.name, digest, destination)?;
            image.repository = destination.repository;
            landings.push(landing);
        }
        for unread in self.absent.iter_mut().chain(&mut self.damaged) {
            unread.rename(rules)?;
        }
        require_apart(&landings)
    }

    /// The images that were not found or cannot be read.
    fn unread(&self) -> impl Iterator<Item = &Unread> + Clone {
        self.absent.iter().chain(&self.damaged)
    }

    /// The number of images that each part belongs to.
    pub(super) fn users(&self) -> HashMap<&Digest, usize> {
        let mut users = HashMap::new();
        for digest in self.images.iter().flat_map(Inventoried::parts) {
            *users.entry(digest).or_default() += 1;
        }
        users
    }

    /// The length of a part, there or in the base.
    pub(super) fn len_of(&self, digest: &Digest) -> u64 {
        let len = self.held.get(digest).or_else(|| self.base.get(digest));
        len.copied().unwrap_or_default()
    }

    /// Reads a manifest; `None` when it is not found. Blocks.
    pub(super) fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, OpsError> {
        match self.manifests.get(digest) {
            Some(manifest) => Ok(Some(manifest.clone())),
            None => Ok(self.source.read_listed(digest)?),
        }
    }
}

/// Returns true if the whole source is read, so that the index of a bundle suffices.
pub(super) fn is_whole(look: &Look) -> bool {
    let platforms = look.input.platforms();
    let is_chosen = match &look.input {
        Input::Local { stated, .. } => stated.image.is_some(),
        Input::Registries(_) => true,
    };
    !is_chosen
        && look.input.list().is_none()
        && platforms.platforms.is_none()
        && platforms.index.is_none()
        && look.referrers == ReferrerMode::Carry
}

fn groups(image: &Resolved) -> Vec<Group> {
    let digests =
        |manifests: &[Manifest]| manifests.iter().map(Manifest::digest).cloned().collect();
    let blobs = |blobs: &[Descriptor]| blobs.iter().map(|blob| blob.digest.clone()).collect();
    let mut groups = vec![Group {
        referrer: None,
        tops: vec![image.top().digest().clone()],
        manifests: digests(&image.manifests),
        blobs: blobs(&image.blobs),
        location: image.location.clone(),
    }];
    groups.extend(image.referrers.iter().map(|referrer| {
        Group {
            referrer: Some(referrer.tag.clone()),
            tops: match referrer.kind {
                ReferrerTagKind::Cosign => vec![referrer.top().digest().clone()],
                // The index of these is created when it is used.
                ReferrerTagKind::Index => {
                    let entries = referrer.entries();
                    entries.iter().map(|entry| entry.digest().clone()).collect()
                }
            },
            manifests: digests(&referrer.manifests),
            blobs: blobs(&referrer.blobs),
            location: referrer
                .locations
                .first()
                .unwrap_or(&image.location)
                .clone(),
        }
    }));
    groups
}

/// Reads the platform of each single-manifest image from its config, if it can be read.
///
/// Returns the first other error of a local source: content that is missing, damaged or out of
/// reach is reported when it is carried, but such an error might not occur again.
pub(super) async fn read_platforms(
    source: &dyn Source,
    batch: &mut Batch,
) -> Result<(), TransferError> {
    let images = &batch.plan.images;
    // Several tags may name one manifest.
    let mut unknown: HashMap<&Digest, &Resolved> = HashMap::new();
    for image in images.iter().filter(|image| image.platform.is_none()) {
        unknown.insert(image.top().digest(), image);
    }
    let read = futures_util::stream::iter(unknown)
        .map(|(digest, image)| async move {
            let platform = platform_of(source, &image.location, image.top()).await;
            (digest.clone(), platform)
        })
        .buffer_unordered(CONFIGS_AT_ONCE);
    let mut read: HashMap<Digest, Result<Option<Platform>, TransferError>> = read.collect().await;
    let platform = |image: &Resolved| read.get(image.top().digest())?.as_ref().ok()?.clone();
    let found = images.iter().map(platform).collect();
    batch.set_platforms(found);
    let errors = read.drain().filter_map(|(_, platform)| platform.err());
    let mut errors = errors.filter(|error| !source.is_remote() && !is_about_content(error));
    errors.next().map_or(Ok(()), Err)
}

fn is_about_content(error: &TransferError) -> bool {
    matches!(
        error.diagnose().class,
        ErrorClass::Verify | ErrorClass::NotFound
    )
}
