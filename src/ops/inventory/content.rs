//! The content of a source, as data.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::SourceKind;
use crate::unread::{Unread, stored_name};
use hod_fsx::FileRange;
use hod_oci::{Descriptor, Digest, ImageConfig, Manifest, Platform, RepositoryName, Tag};
use hod_transfer::{Location, Source};

/// The longest configuration that is read, in bytes.
const CONFIG_LEN_MAX: u64 = 8 * 1024 * 1024;
/// The content of a source.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) kind: SourceKind,
    pub(crate) source: Arc<dyn Source>,
    /// Without those that are about others, which belong to these.
    pub(crate) images: Vec<Inventoried>,
    /// Every manifest, config and layer of an existing image, with its length in bytes.
    pub(crate) held: HashMap<Digest, u64>,
    /// The configs and layers that a bundle requires at its target.
    pub(crate) base: HashMap<Digest, u64>,
    /// The manifests of a source whose images were resolved; empty for a bundle.
    pub(super) manifests: HashMap<Digest, Manifest>,
    /// Images that were named and not found.
    pub(crate) absent: Vec<Unread>,
    /// Images that cannot be read.
    pub(crate) damaged: Vec<Unread>,
    /// Problems of the source as a whole.
    pub(crate) problems: Vec<String>,
}

/// An image with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Inventoried {
    pub(crate) name: String,
    /// The destination of a push without flags.
    pub(crate) repository: RepositoryName,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) platforms: Vec<String>,
    pub(crate) n_referrers: usize,
    /// The image itself, then its referrers.
    pub(crate) groups: Vec<Group>,
}

/// An image, or a referrer.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The tag that leads to a referrer.
    pub(crate) referrer: Option<Tag>,
    /// The manifests from which all others can be reached.
    pub(crate) tops: Vec<Digest>,
    pub(crate) manifests: Vec<Digest>,
    pub(crate) blobs: Vec<Digest>,
    /// The place of the blobs.
    pub(crate) location: Location,
}

impl Inventoried {
    /// The name under which it is compared with images of other sources.
    pub(crate) fn stored_name(&self) -> String {
        stored_name(&self.repository, self.tag.as_ref(), Some(&self.digest))
    }

    /// Every manifest, config and layer, once.
    pub(crate) fn parts(&self) -> BTreeSet<&Digest> {
        let groups = self.groups.iter();
        groups
            .flat_map(|group| group.manifests.iter().chain(&group.blobs))
            .collect()
    }
}

/// The platform in an image's configuration. It is not trusted, and a bundle refuses texts that
/// cannot be printed.
pub(super) fn platform_in(config: &FileRange) -> Option<Platform> {
    let platform = ImageConfig::parse(&read_range(config)?)?.platform;
    platform.is_printable().then_some(platform)
}

pub(super) fn is_readable_config(config: &Descriptor) -> bool {
    config.media_type.is_image_config() && config.size <= CONFIG_LEN_MAX
}

/// Reads a short range, or not.
pub(super) fn read_range(range: &FileRange) -> Option<Vec<u8>> {
    let len = usize::try_from(range.len).ok()?;
    hod_fsx::read_range(&range.file, &range.path, range.offset, len).ok()
}
