//! Inputs: the sources of images, as the user names them.

mod listing;
mod origin;
mod patterns;
mod registries;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use listing::registry_list;
pub(super) use listing::{no_catalog, tags};
pub use origin::{Registries, RegistriesOrigin};
pub(super) use patterns::tags as repository_tags;
pub(super) use survey::{Survey, ambiguous_name};

use super::batch::{Batch, resolve_images};
use super::carry::Carry;
use super::platforms::{self, PlatformOptions};
use super::{Catalog, Context, OpsError, SourceKind, TrustPolicy};
use hod_list::{BadLine, BadLines, Expanded, ImageList, ListEntry, RenameRules};
use hod_oci::Registry;
use hod_store::Store;
use hod_transfer::{
    Destination, Looked, OnFailure, Origin, ReferrerMode, RegistrySource, Source, Stated, Wanted,
};

/// The input of a verb that moves images.
#[derive(Debug)]
pub enum Input {
    /// A store, bundle or layout, or the images of it that a list names.
    Local {
        path: PathBuf,
        stated: Box<Stated>,
        list: Option<ImageList>,
        platforms: PlatformOptions,
    },
    Registries(Box<Registries>),
}

/// The input of a verb that only reads.
#[derive(Debug)]
pub struct Look {
    pub input: Input,
    pub referrers: ReferrerMode,
}

impl Input {
    /// The list that selects the images, if any.
    pub fn list(&self) -> Option<&ImageList> {
        match self {
            Self::Local { list, .. } => list.as_ref(),
            Self::Registries(registries) => Some(&registries.list),
        }
    }

    /// The file or directory, if it is local.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Local { path, .. } => Some(path),
            Self::Registries(_) => None,
        }
    }

    /// The source as the user named it.
    pub fn word(&self) -> &Path {
        match self {
            Self::Local { path, .. } => path,
            Self::Registries(registries) => &registries.origin.word,
        }
    }

    pub fn platforms(&self) -> &PlatformOptions {
        match self {
            Self::Local { platforms, .. } => platforms,
            Self::Registries(registries) => &registries.platforms,
        }
    }
}

/// An input that is open.
#[derive(Debug)]
pub(super) struct OpenInput<'a> {
    pub(super) source: Arc<dyn Source>,
    input: &'a Input,
    /// The images of the list, if the input is registries.
    images: patterns::Images,
    /// The lines of the list that cannot be used, though others are.
    problems: Vec<BadLine>,
    /// Of a local input.
    catalog: Option<Catalog>,
    /// The store with the content of earlier runs.
    known: Option<Store>,
}

impl<'a> OpenInput<'a> {
    /// Opens a source to copy from; `known` is a store whose content is not fetched again.
    pub(super) async fn open(
        cx: &Context,
        input: &'a Input,
        known: Option<Store>,
    ) -> Result<Self, OpsError> {
        Self::open_for(cx, input, (known, None), BadLines::Refuse).await
    }

    /// The same for a list of which all that can be used is to be.
    pub(super) async fn open_usable(
        cx: &Context,
        input: &'a Input,
        known: Option<Store>,
    ) -> Result<Self, OpsError> {
        Self::open_for(cx, input, (known, None), BadLines::Keep).await
    }

    /// Opens a source to inspect.
    pub(super) async fn look(cx: &Context, input: &'a Input) -> Result<Self, OpsError> {
        let look = Some(Looked::default());
        Self::open_for(cx, input, (None, look), BadLines::Refuse).await
    }

    async fn open_for(
        cx: &Context,
        input: &'a Input,
        (known, look): (Option<Store>, Option<Looked>),
        bad_lines: BadLines,
    ) -> Result<Self, OpsError> {
        for warning in input.list().iter().flat_map(|list| &list.warnings) {
            cx.warn(warning);
        }
        let mut problems = Vec::new();
        let (source, images, catalog): (Arc<dyn Source>, _, _) = match input {
            Input::Local { path, stated, .. } => {
                let catalog = Catalog::open_once(path, stated.transport, &cx.reading).await?;
                let catalog = catalog.taken_as(stated)?;
                (catalog.shared_source(), Vec::new(), Some(catalog))
            }
            Input::Registries(registries) => {
                let source = RegistrySource {
                    client: registries.client.clone(),
                    known: known.clone(),
                    look,
                };
                let images = match bad_lines {
                    BadLines::Refuse => patterns::expand(cx, registries).await?,
                    BadLines::Keep => {
                        let (images, bad) = patterns::expand_usable(cx, registries).await?;
                        problems.clone_from(&registries.list.problems);
                        problems.extend(bad);
                        images
                    }
                };
                (Arc::new(source), images, None)
            }
        };
        Ok(Self {
            source,
            input,
            images,
            problems,
            catalog,
            known,
        })
    }

    /// The options of a list for the image at a position.
    pub(super) fn entry(&self, at: usize) -> Option<&ListEntry> {
        match self.images.get(at)? {
            Expanded::Image(entry) => Some(entry),
            Expanded::Nothing(..) => None,
        }
    }

    /// The lines of the list that cannot be used, though others are.
    pub(super) fn problems(&self) -> &[BadLine] {
        &self.problems
    }

    /// Those of its images that their lines send to a registry, each with its position and under
    /// its name there; `wanted` has all images.
    pub(super) fn routed(&self, registry: &Registry, wanted: &[Wanted]) -> Vec<(usize, Wanted)> {
        let mut routed = Vec::new();
        for (at, (image, wanted)) in self.images.iter().zip(wanted).enumerate() {
            let stem = match image {
                Expanded::Image(entry) => entry,
                Expanded::Nothing(line, _) => &line.stem,
            };
            let targets = stem.targets.iter();
            for target in targets.filter(|target| target.registry == *registry) {
                let mut wanted = wanted.clone();
                let repository = target.repository.clone();
                wanted.destination = Destination {
                    repository: if registry.is_docker_hub() {
                        repository.with_library()
                    } else {
                        repository
                    },
                    tag: target.tag.clone().or_else(|| stem.reference.tag.clone()),
                };
                routed.push((at, wanted));
            }
        }
        routed
    }

    /// The kind of a local input.
    pub(super) fn catalog(&self) -> Option<&Catalog> {
        self.catalog.as_ref()
    }

    pub(super) fn kind(&self) -> SourceKind {
        match (self.input, &self.catalog) {
            (Input::Registries(registries), _) => registries.origin.kind,
            (Input::Local { .. }, Some(catalog)) => catalog.kind(),
            (Input::Local { .. }, None) => unreachable!("a local input is opened as a catalog"),
        }
    }

    pub(super) fn input(&self) -> &'a Input {
        self.input
    }

    /// The same images in the same order under the names that each of `renames` gives them.
    pub(super) async fn wanted(
        &self,
        renames: &[Option<RenameRules>],
        referrers: ReferrerMode,
    ) -> Result<Vec<Vec<Wanted>>, OpsError> {
        match (self.input, &self.catalog) {
            (Input::Registries(registries), _) => {
                let under =
                    |rules: &Option<_>| registries.wanted(&self.images, rules.as_ref(), referrers);
                renames.iter().map(under).collect()
            }
            (
                Input::Local {
                    list, platforms, ..
                },
                Some(catalog),
            ) => {
                let carry = Carry::local(platforms, referrers);
                let rules = renames
                    .iter()
                    .map(|rules| rules.clone().unwrap_or_default());
                let rules: Vec<RenameRules> = rules.collect();
                catalog.wanted_under(list.as_ref(), &rules, &carry).await
            }
            (Input::Local { .. }, None) => unreachable!("a local input is opened as a catalog"),
        }
    }

    /// Resolves the images; registries are asked first whether they can be read. Those that the
    /// policy does not accept fail.
    pub(super) async fn resolve(
        &self,
        cx: &Context,
        wanted: Vec<Wanted>,
        on_failure: OnFailure,
        policy: Option<&TrustPolicy>,
    ) -> Result<Batch, OpsError> {
        let source = self.source.as_ref();
        let mut resolutions = match self.input {
            Input::Local { .. } => resolve_images(cx, source, wanted, on_failure).await,
            Input::Registries(registries) => {
                let known = self.known.as_ref();
                let resolutions = registries.resolve(cx, source, known, wanted, on_failure);
                resolutions.await?
            }
        };
        if let Some(policy) = policy {
            let origin = Origin {
                source,
                kind: self.kind(),
                path: self.path(),
            };
            resolutions = policy.judge(cx, origin, resolutions).await;
        }
        let batch = Batch::of(cx, source, resolutions, on_failure);
        if let Input::Registries(registries) = self.input {
            registries.note_budgets(cx);
        }
        Ok(batch)
    }

    /// Notes images that are not for the platforms asked for.
    pub(super) async fn check_platforms(&self, cx: &Context, batch: &mut Batch) {
        let mismatch = self.input.platforms().mismatch;
        platforms::check(cx, self.source.as_ref(), batch, mismatch).await;
    }

    /// The error of an operation that it does not support.
    pub(super) fn refused(&self, verb: &'static str) -> OpsError {
        match &self.catalog {
            Some(catalog) => OpsError::WrongSource {
                verb,
                path: catalog.path().to_owned(),
                kind: catalog.kind(),
            },
            None => OpsError::RemoteSource { verb },
        }
    }

    /// The path of a local input, for messages about missing content; registries have everything
    /// that they list.
    pub(super) fn path(&self) -> &Path {
        self.input.path().unwrap_or(Path::new(""))
    }
}
