//! What is copied: a local source, or the images that a list names at registries.

use std::path::PathBuf;
use std::sync::Arc;

use super::CopyOptions;
use crate::list::{self, ImageList, Landing, RenameError, RenameRules};
use crate::oci::{ForeignLayers, Registry};
use crate::ops::batch::Batch;
use crate::ops::carry::Carry;
use crate::ops::platforms::{self, PlatformOptions};
use crate::ops::preflight::check_sources;
use crate::ops::pull;
use crate::ops::{Catalog, Context, OpsError, SourceCheck};
use crate::registry::Client;
use crate::transfer::{Destination, Locate, ReferrerMode, RegistrySource, Source, Wanted};

/// What is copied.
#[derive(Debug)]
pub enum CopyFrom {
    /// A store, bundle or layout, or those of its images that a list names.
    Local {
        path: PathBuf,
        list: Option<ImageList>,
        platforms: PlatformOptions,
    },
    Registries(Box<Registries>),
}

/// Images of registries.
#[derive(Debug)]
pub struct Registries {
    pub list: ImageList,
    pub client: Client,
    /// Where names without a registry come from.
    pub source: Registry,
    pub platforms: PlatformOptions,
    pub foreign_layers: ForeignLayers,
    pub preflight: SourceCheck,
}

/// A source that is open.
pub(super) struct Opened<'a> {
    pub(super) source: Arc<dyn Source>,
    from: &'a CopyFrom,
    catalog: Option<Catalog>,
}

impl<'a> Opened<'a> {
    pub(super) async fn open(cx: &Context, options: &'a CopyOptions) -> Result<Self, OpsError> {
        let from = &options.from;
        for warning in from.list().iter().flat_map(|list| &list.warnings) {
            cx.warn(warning);
        }
        let (source, catalog): (Arc<dyn Source>, Option<Catalog>) = match from {
            CopyFrom::Local { path, .. } => {
                let catalog = Catalog::open_once(path, &cx.reading).await?;
                (catalog.shared_source(), Some(catalog))
            }
            CopyFrom::Registries(registries) => {
                let client = registries.client.clone();
                let source = RegistrySource {
                    client,
                    known: None,
                };
                (Arc::new(source), None)
            }
        };
        if let (Some(catalog), true) = (&catalog, options.targets.len() > 1)
            && catalog.source().is_sequential()
        {
            return Err(OpsError::OneTarget {
                path: catalog.path().to_owned(),
                kind: catalog.kind(),
            });
        }
        Ok(Self {
            source,
            from,
            catalog,
        })
    }

    /// The same images in the same order under the names that each of `renames` gives them.
    pub(super) async fn wanted(
        &self,
        renames: &[RenameRules],
        referrers: ReferrerMode,
    ) -> Result<Vec<Vec<Wanted>>, OpsError> {
        match (self.from, &self.catalog) {
            (CopyFrom::Registries(registries), _) => {
                let under = |renames| registries.wanted(renames, referrers);
                renames.iter().map(under).collect()
            }
            (
                CopyFrom::Local {
                    list, platforms, ..
                },
                Some(catalog),
            ) => {
                let carry = Carry::local(platforms, referrers);
                catalog.wanted_under(list.as_ref(), renames, &carry).await
            }
            (CopyFrom::Local { .. }, None) => Ok(Vec::new()),
        }
    }

    /// Asks the registries whether they can be read, and tells the client what is coming.
    pub(super) async fn check(&self, cx: &Context, wanted: &[Wanted]) -> Result<(), OpsError> {
        let CopyFrom::Registries(registries) = self.from else {
            return Ok(());
        };
        let client = &registries.client;
        client.expect(wanted.iter().filter_map(|image| match &image.locate {
            Locate::Remote { repos, .. } => repos.first(),
            _ => None,
        }));
        if registries.preflight == SourceCheck::Run {
            check_sources(cx, client, wanted, None).await?;
        }
        Ok(())
    }

    /// Notes images that are not for the platforms asked for.
    pub(super) async fn check_platforms(&self, cx: &Context, batch: &mut Batch) {
        let mismatch = match self.from {
            CopyFrom::Local { platforms, .. } => platforms.mismatch,
            CopyFrom::Registries(registries) => registries.platforms.mismatch,
        };
        platforms::check(cx, self.source.as_ref(), batch, mismatch).await;
    }

    /// The path of a local source, for messages.
    pub(super) fn path(&self) -> PathBuf {
        let catalog = self.catalog.as_ref();
        catalog
            .map(|catalog| catalog.path().to_owned())
            .unwrap_or_default()
    }
}

impl CopyFrom {
    /// The list that chooses the images, if there is one.
    pub fn list(&self) -> Option<&ImageList> {
        match self {
            Self::Local { list, .. } => list.as_ref(),
            Self::Registries(registries) => Some(&registries.list),
        }
    }
}

impl Registries {
    fn wanted(
        &self,
        renames: &RenameRules,
        referrers: ReferrerMode,
    ) -> Result<Vec<Wanted>, OpsError> {
        let carry = Carry {
            platforms: self.platforms.platforms.as_ref(),
            index: self.platforms.index,
            referrers,
            foreign_layers: self.foreign_layers,
        };
        let entries = self.list.entries.iter();
        let mut wanted: Vec<Wanted> = entries
            .map(|entry| pull::wanted(entry, &self.source, &carry))
            .collect();
        renames.require_used(wanted.iter().map(|image| &image.destination.repository))?;
        let mut landings = Vec::with_capacity(wanted.len());
        for image in &mut wanted {
            let repository = renames.apply(&image.destination.repository)?.with_library();
            image.destination = Destination {
                repository,
                tag: image.destination.tag.clone(),
            };
            landings.push(Landing {
                source: image.name.clone(),
                repository: image.destination.repository.clone(),
                tag: image.destination.tag.clone(),
                digest: image.pinned.clone(),
            });
        }
        let collisions = list::collisions(&landings);
        if collisions.is_empty() {
            Ok(wanted)
        } else {
            Err(RenameError::Collisions(collisions).into())
        }
    }
}
