//! Registries as an input.

use std::path::PathBuf;

use crate::platforms::PlatformOptions;
use crate::{SourceCheck, SourceKind};
use hod_list::ImageList;
use hod_oci::{ForeignLayers, Registry, RepositoryName};
use hod_registry::Client;

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
    pub origin: RegistriesOrigin,
}

/// What the user named registries by.
#[derive(Debug, Clone)]
pub struct RegistriesOrigin {
    pub kind: SourceKind,
    /// As the user wrote it.
    pub word: PathBuf,
    /// Of a registry: the prefix that its images are below.
    pub prefix: Option<RepositoryName>,
}
