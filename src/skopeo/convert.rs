//! Images as a destination requires them: another kind of manifest, layers that are compressed
//! otherwise. The converted image is a source of its own, so that the engine moves it like any other.

mod layer;
pub(crate) mod manifest;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use hod_oci::{Descriptor, Digest, ImageManifest, Manifest};

use self::layer::Changed;
use self::manifest::{Kind, image_of};
use crate::config::OciConfig;
use crate::failure::{Done, Failure};
use crate::go_json;
use crate::source::OpenImage;

use self::layer::LayerChange;
pub(crate) use self::layer::{Compressor, Layers};
pub(crate) use crate::converted::Part;

/// How many layers are compressed at once: the work is the processors'.
const LAYERS_AT_ONCE: usize = 2;

/// The parts of images that differ from the source.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) by_digest: HashMap<Digest, Part>,
    /// Removed when the copy is done.
    files: Vec<tempfile::TempPath>,
}

/// Converts the images of one copy.
#[derive(Debug)]
pub(crate) struct Converter<'a> {
    pub(crate) image: &'a OpenImage,
    pub(crate) layers: Layers,
    pub(crate) tmpdir: &'a Path,
    pub(crate) parts: Parts,
}

impl Parts {
    /// Adds the parts of another image.
    pub(crate) fn join(&mut self, other: Self) {
        self.by_digest.extend(other.by_digest);
        self.files.extend(other.files);
    }
}

impl Converter<'_> {
    /// The manifest of the same image in a kind, or as it is; what differs is kept in the parts.
    pub(crate) async fn convert(&mut self, manifest: &Manifest, kind: Kind) -> Done<Manifest> {
        let image = image_of(manifest)?;
        let changed = self.change_layers(image).await?;
        let is_same_kind = Kind::of(manifest) == kind;
        if is_same_kind && changed.iter().all(Option::is_none) {
            return Ok(manifest.clone());
        }
        let mut new = image.clone();
        for (layer, changed) in new.layers.iter_mut().zip(changed) {
            if let Some(changed) = changed {
                *layer = self.keep_file(changed, layer);
            }
        }
        if !is_same_kind && kind == Kind::Oci {
            new.config = self.oci_config(&image.config).await?;
        }
        manifest::image(kind, &new)
    }

    async fn change_layers(&self, image: &ImageManifest) -> Done<Vec<Option<Changed>>> {
        let change = |layer: Descriptor| async move {
            let change = LayerChange::of(self.image, self.layers, &layer).await?;
            match change {
                Some(change) => change.run(self.image, &layer, self.tmpdir).await.map(Some),
                None => Ok(None),
            }
        };
        let layers = image.layers.clone();
        futures_util::stream::iter(layers)
            .map(change)
            .buffered(LAYERS_AT_ONCE)
            .try_collect()
            .await
    }

    fn keep_file(&mut self, changed: Changed, old: &Descriptor) -> Descriptor {
        let part = Part::File(changed.file.to_path_buf());
        self.parts.by_digest.insert(changed.digest.clone(), part);
        self.parts.files.push(changed.file);
        let mut new = Descriptor::new(changed.media_type, changed.digest, changed.len);
        new.annotations.clone_from(&old.annotations);
        new
    }

    /// The config with the fields that OCI knows.
    async fn oci_config(&mut self, config: &Descriptor) -> Done<Descriptor> {
        let bytes = self.image.config(config).await?;
        let parsed = OciConfig::parse(&bytes).map_err(|error| Failure::new(error.to_string()))?;
        let bytes = bytes::Bytes::from(go_json::compact(&parsed.without_empty()));
        let digest = Digest::of(&bytes);
        let new = Descriptor::new(
            config.media_type.clone(),
            digest.clone(),
            bytes.len() as u64,
        );
        self.parts.by_digest.insert(digest, Part::Bytes(bytes));
        Ok(new)
    }

    /// The source with what was converted.
    pub(crate) fn finish(self) -> (Arc<dyn hod_transfer::Source>, Parts) {
        let source = Arc::new(crate::converted::Converted {
            inner: Arc::clone(&self.image.source),
            parts: self.parts.by_digest.clone(),
        });
        (source, self.parts)
    }
}
