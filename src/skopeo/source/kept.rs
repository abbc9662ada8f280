//! Images that are not in a file or a registry: of an engine, of podman's storage, of bare layers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use hod_fsx::TempDir;
use hod_layout::DirLayout;
use hod_oci::{Descriptor, ImageManifest, Manifest, ManifestBody, MediaType};
use hod_transfer::{LayoutsSource, Location, Source};

use super::{Held, OpenImage, Opening, layout_at};
use crate::convert::manifest::{self, Kind, image_of};
use crate::daemon::Engine;
use crate::failure::Done;
use crate::files::{FilePart, Files};
use crate::name::{ArchiveChoice, DaemonImage, StorageName};
use crate::storage::{Original, Store, StoredImage};
use crate::tarball;
use crate::wording;

/// An image of podman's storage with its layers, in a temporary directory.
#[derive(Debug)]
struct Pushed {
    scratch: TempDir,
    source: Arc<dyn Source>,
    top: Manifest,
}

impl OpenImage {
    pub(super) async fn of_engine(image: &DaemonImage, opening: &Opening<'_>) -> Done<Self> {
        let engine = {
            let host = opening.daemon_host.map(str::to_owned);
            let flags = opening.flags.clone();
            hod_bridge::run(move || Engine::open(host.as_deref(), &flags)).await?
        };
        let spooled = engine.save(image, opening.tmpdir).await?;
        let tmpdir = opening.tmpdir.map(Path::to_owned);
        let only = ArchiveChoice::Only;
        hod_bridge::run(move || Self::of_saved(spooled, &only, tmpdir.as_deref())).await
    }

    /// The image made of bare layers. Blocks.
    pub(super) fn of_layers(layers: &[String], tmpdir: Option<&Path>) -> Done<Self> {
        let made = tarball::make(layers, tmpdir)?;
        Ok(Self {
            source: Arc::new(Files::new(made.parts)),
            location: Location::Pool,
            top: made.manifest,
            registry: None,
            held: Held::Spooled(made.spooled.into_iter().collect()),
        })
    }

    /// An image of podman's storage, with its manifest and configuration only. Blocks.
    pub(super) fn of_storage(name: &StorageName, tmpdir: Option<&Path>) -> Done<Self> {
        let store = Store::open(name.store.as_ref())?;
        let id = store.find(name)?;
        let digest = name.named.as_ref().and_then(|named| named.digest.as_ref());
        let original = store.original(&id, digest);
        let is_list = |original: &Original| matches!(original.top.body(), ManifestBody::Index(_));
        let child = original.as_ref().filter(|original| is_list(original));
        let stored = StoredImage {
            store,
            id,
            child: child.map(|original| original.manifest.digest().clone()),
            tmpdir: tmpdir.map(Path::to_owned),
        };
        let Some(original) = original else {
            return Ok(Self::of_pushed(Pushed::of(&stored)?));
        };
        let config = FilePart::Bytes(original.config);
        let parts = HashMap::from([(original.config_digest, config)]);
        Ok(Self {
            source: Arc::new(Files::new(parts).with_manifest(original.manifest)),
            location: Location::Pool,
            top: original.top,
            registry: None,
            held: Held::Stored(stored),
        })
    }

    fn of_pushed(pushed: Pushed) -> Self {
        Self {
            source: pushed.source,
            location: Location::Layout(0),
            top: pushed.top,
            registry: None,
            held: Held::Directory(pushed.scratch),
        }
    }

    /// The same image with its layers, for those that are asked for them only when it is copied:
    /// their compressed forms are gone, so that it has another manifest.
    pub(crate) async fn for_copy(self) -> Done<Self> {
        match self.held {
            Held::Stored(stored) => {
                let child = stored.child.clone();
                let id = stored.id.clone();
                let pushed = hod_bridge::run(move || Pushed::of(&stored)).await?;
                let Some(child) = child else {
                    return Ok(Self::of_pushed(pushed));
                };
                // In place of the stored one, where that is chosen.
                let files = Files::new(HashMap::new());
                let files = files.with_manifest_at(child, pushed.top.clone());
                let source = Arc::new(files.over(Arc::clone(&pushed.source)));
                Ok(Self {
                    source,
                    location: Location::Layout(0),
                    top: self.top,
                    registry: None,
                    held: Held::StoredList {
                        id,
                        scratch: pushed.scratch,
                    },
                })
            }
            held => Ok(Self { held, ..self }),
        }
    }
}

impl Pushed {
    /// Has podman write the image into a layout. Blocks.
    fn of(image: &StoredImage) -> Done<Self> {
        let (scratch, path) = image.store.push(&image.id, image.tmpdir.as_deref())?;
        let layout = DirLayout::open(&path).map_err(|error| wording::of_layout(&error))?;
        let top = layout.top_manifest();
        let top = top.map_err(|error| wording::of_layout(&error))?;
        let top = with_types(&top, &layout_config(&path, &top)?)?;
        Ok(Self {
            scratch,
            source: Arc::new(LayoutsSource(Arc::new(vec![layout_at(&path)]))),
            top,
        })
    }
}

/// The configuration of an image in a `dir:` layout. Blocks.
fn layout_config(path: &Path, top: &Manifest) -> Done<Vec<u8>> {
    let config = &image_of(top)?.config.digest;
    let bytes = hod_fsx::read(&path.join(config.hex()), hod_oci::MANIFEST_LEN_MAX);
    bytes.map_err(|error| wording::of_file(&error))
}

/// The same manifest with uncompressed layers declared as such: old versions of podman declare
/// them as they once were.
fn with_types(top: &Manifest, config: &[u8]) -> Done<Manifest> {
    let image = image_of(top)?;
    let diff_ids = hod_oci::diff_ids(config).unwrap_or_default();
    let kind = Kind::of(top);
    let typed = |layer: &Descriptor| {
        let mut layer = layer.clone();
        if diff_ids.contains(&layer.digest) {
            layer.media_type = MediaType::new(kind.layer(UNCOMPRESSED)?);
        }
        Ok(layer)
    };
    let layers: Vec<Descriptor> = image.layers.iter().map(typed).collect::<Done<_>>()?;
    if layers == image.layers {
        return Ok(top.clone());
    }
    let typed = ImageManifest {
        layers,
        ..image.clone()
    };
    manifest::image(kind, &typed)
}

/// OCI's type of a layer that is a plain tar.
const UNCOMPRESSED: &str = "application/vnd.oci.image.layer.v1.tar";
