//! What is copied: a local source, or the images that a list names at registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CopyOptions;
use crate::list::{ImageList, RenameRules};
use crate::oci::{ForeignLayers, Registry};
use crate::ops::batch::Batch;
use crate::ops::carry::Carry;
use crate::ops::catalog::{landed, require_apart};
use crate::ops::platforms::{self, PlatformOptions};
use crate::ops::preflight::check_sources;
use crate::ops::pull;
use crate::ops::{Catalog, Context, OpsError, SourceCheck};
use crate::registry::Client;
use crate::transfer::{ReferrerMode, RegistrySource, Source, Wanted};

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
    images: Images<'a>,
}

/// Where its images are named.
enum Images<'a> {
    Local {
        catalog: Catalog,
        list: Option<&'a ImageList>,
        platforms: &'a PlatformOptions,
    },
    Registries(&'a Registries),
}

impl<'a> Opened<'a> {
    pub(super) async fn open(cx: &Context, options: &'a CopyOptions) -> Result<Self, OpsError> {
        for warning in options.from.list().iter().flat_map(|list| &list.warnings) {
            cx.warn(warning);
        }
        match &options.from {
            CopyFrom::Local {
                path,
                list,
                platforms,
            } => {
                let catalog = Catalog::open_once(path, &cx.reading).await?;
                if options.targets.len() > 1 && catalog.source().is_sequential() {
                    return Err(OpsError::OneTarget {
                        path: catalog.path().to_owned(),
                        kind: catalog.kind(),
                    });
                }
                Ok(Self {
                    source: catalog.shared_source(),
                    images: Images::Local {
                        catalog,
                        list: list.as_ref(),
                        platforms,
                    },
                })
            }
            CopyFrom::Registries(registries) => Ok(Self {
                source: Arc::new(RegistrySource {
                    client: registries.client.clone(),
                    known: None,
                }),
                images: Images::Registries(registries),
            }),
        }
    }

    /// The same images in the same order under the names that each of `renames` gives them.
    pub(super) async fn wanted(
        &self,
        renames: &[RenameRules],
        referrers: ReferrerMode,
    ) -> Result<Vec<Vec<Wanted>>, OpsError> {
        match &self.images {
            Images::Registries(registries) => {
                let under = |renames| registries.wanted(renames, referrers);
                renames.iter().map(under).collect()
            }
            Images::Local {
                catalog,
                list,
                platforms,
            } => {
                let carry = Carry::local(platforms, referrers);
                catalog.wanted_under(*list, renames, &carry).await
            }
        }
    }

    /// Asks the registries whether they can be read, and tells the client what is coming.
    pub(super) async fn check(&self, cx: &Context, wanted: &[Wanted]) -> Result<(), OpsError> {
        let Images::Registries(registries) = self.images else {
            return Ok(());
        };
        let client = &registries.client;
        pull::expect(client, wanted);
        if registries.preflight == SourceCheck::Run {
            check_sources(cx, client, wanted, None).await?;
        }
        Ok(())
    }

    /// Notes images that are not for the platforms asked for.
    pub(super) async fn check_platforms(&self, cx: &Context, batch: &mut Batch) {
        let platforms = match &self.images {
            Images::Local { platforms, .. } => platforms,
            Images::Registries(registries) => &registries.platforms,
        };
        platforms::check(cx, self.source.as_ref(), batch, platforms.mismatch).await;
    }

    /// The path of a local source, for messages about what it lacks; registries lack nothing that
    /// they list.
    pub(super) fn path(&self) -> &Path {
        match &self.images {
            Images::Local { catalog, .. } => catalog.path(),
            Images::Registries(_) => Path::new(""),
        }
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
            let named = (image.name.as_str(), image.pinned.clone());
            let (destination, landing) = landed(renames, named, image.destination.clone())?;
            image.destination = destination;
            landings.push(landing);
        }
        require_apart(&landings)?;
        Ok(wanted)
    }
}
