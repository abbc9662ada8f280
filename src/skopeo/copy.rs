//! Copies one image, or all of an index.

use std::path::{Path, PathBuf};

use hod_oci::{Descriptor, Digest, Manifest, ManifestBody};
use hod_trust::Signature;

use crate::client::RegistryFlags;
use crate::compression::CompressionFlags;
use crate::convert::manifest::{self, Kind, image_of};
use crate::convert::{Converter, Layers, Parts};
use crate::failure::{Done, Failure};
use crate::host::Host;
use crate::made::as_written;
use crate::name::{ImageName, Named};
use crate::platform::PlatformFlags;
use crate::screen::Screen;
use crate::source::{OpenImage, OpenRegistry, Opening};
use crate::target::{Copied, Handed, Target};
use crate::trust::{Signing, SigningFlags, Stored, Trust, require_place};
use crate::wording::is_contact;

/// Where layers are unpacked and compressed, unless the user says otherwise.
pub(crate) const TMPDIR: &str = "/var/tmp";
/// Which images of an index are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Selection {
    /// The one for this system.
    #[default]
    System,
    All,
    /// The index without its images.
    IndexOnly,
}

/// The flags of a copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct CopyFlags {
    pub(crate) source: RegistryFlags,
    pub(crate) dest: RegistryFlags,
    pub(crate) source_shared_blobs: Option<PathBuf>,
    pub(crate) dest_shared_blobs: Option<PathBuf>,
    pub(crate) source_daemon: Option<String>,
    pub(crate) dest_daemon: Option<String>,
    pub(crate) selection: Selection,
    pub(crate) kind: Option<Kind>,
    pub(crate) preserve_digests: bool,
    pub(crate) remove_signatures: bool,
    pub(crate) compression: CompressionFlags,
    pub(crate) additional_tags: Vec<Named>,
    pub(crate) platform: PlatformFlags,
    pub(crate) tmpdir: Option<PathBuf>,
    pub(crate) signing: SigningFlags,
}

/// What a copy needs besides its flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copying<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) screen: &'a Screen,
    pub(crate) flags: &'a CopyFlags,
    pub(crate) trust: &'a Trust,
    pub(crate) signing: &'a Signing,
    /// Whether images that their destination has already are left alone.
    pub(crate) skips_present: bool,
}

/// An image that is ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) copied: Copied,
    pub(crate) parts: Parts,
    /// The signatures of its manifests, in their order.
    pub(crate) stored: Vec<Stored>,
    /// Whether its destination has all of it.
    pub(crate) is_present: bool,
}

impl Copying<'_> {
    /// Copies an image; returns the digest of its manifest or index there.
    pub(crate) async fn run(&self, from: &ImageName, to: &ImageName) -> Done<Digest> {
        let flags = self.flags;
        let target = self.target(to).await?;
        let target = hod_bridge::run(move || target.check().map(|()| target)).await;
        let target = target.map_err(|error| {
            error
                .plain()
                .during(format!("initializing destination {to}"))
        })?;
        let opening = Opening {
            host: self.host,
            flags: &flags.source,
            shared_blobs: flags.source_shared_blobs.as_deref(),
            tmpdir: flags.tmpdir.as_deref(),
            daemon_host: flags.source_daemon.as_deref(),
        };
        let image = OpenImage::open(from, &opening).await;
        let image = image.map_err(|error| error.during(format!("initializing source {from}")))?;
        let image = image.for_copy().await?;
        let prepared = self.prepare(&image, from, &target, to).await?;
        let Prepared {
            copied,
            parts,
            stored,
            is_present: _,
        } = prepared;
        let digest = copied.manifests.last().map(|top| top.digest().clone());
        let mut digest = digest.expect("an image has a manifest");
        let first = copied.manifests.iter().find_map(first_layer);
        let config = copied.manifests.last().and_then(config_of);
        let is_one = copied.manifests.len() == 1 && config.is_some();
        let is_of_index = is_one && matches!(image.top.body(), ManifestBody::Index(_));
        target.write(copied).await.map_err(|error| {
            let error = Self::of_write(to, first.as_ref(), error);
            if is_of_index {
                error.during("copying system image from manifest list")
            } else {
                error
            }
        })?;
        drop(parts);
        if let (true, Some(config)) = (is_one, config) {
            self.tell_end(&config);
        }
        self.sign_and_store(&image, &target, to, stored).await?;
        // Layers that were unpacked have another type; those of such archives are as they were.
        let is_saved = matches!(
            from,
            ImageName::DockerArchive { .. } | ImageName::DockerDaemon(_)
        );
        if let Some(path) = target.unpacked_archive()
            && !is_saved
        {
            digest = self.saved_digest(&path).await.unwrap_or(digest);
        }
        Ok(digest)
    }

    /// Chooses and converts what is copied of an image.
    pub(crate) async fn prepare(
        &self,
        image: &OpenImage,
        from: &ImageName,
        target: &Target,
        to: &ImageName,
    ) -> Done<Prepared> {
        let ends = Ends {
            image,
            from,
            target,
            to,
        };
        match (image.top.body(), self.flags.selection) {
            (ManifestBody::Image(_), _) => self.one(&ends, &image.top).await,
            (ManifestBody::Index(_), Selection::System) => {
                let chosen = self.system(image, from).await?;
                let prepared = self.one(&ends, &chosen).await;
                let mut prepared = prepared
                    .map_err(|error| error.during("copying system image from manifest list"))?;
                prepared.copied.chosen_from = Some(image.top.clone());
                Ok(prepared)
            }
            (ManifestBody::Index(_), selection) => self.list(&ends, selection).await,
        }
    }

    /// Signs what was copied, and stores all signatures.
    pub(crate) async fn sign_and_store(
        &self,
        image: &OpenImage,
        target: &Target,
        to: &ImageName,
        mut stored: Vec<Stored>,
    ) -> Done {
        for one in &mut stored {
            let new = self.signing.sign(self.screen, &one.manifest, to).await?;
            one.signatures.extend(new);
        }
        let is_list = matches!(image.top.body(), ManifestBody::Index(_))
            && self.flags.selection != Selection::System;
        let is_signed = stored.iter().any(|one| !one.signatures.is_empty());
        if is_list {
            self.screen.line("Storing list signatures");
        } else if is_signed {
            self.screen.line("Storing signatures");
        }
        if is_signed {
            self.trust.store(image, target, &stored).await?;
        }
        Ok(())
    }

    /// The place that a name stands for.
    pub(crate) async fn target(&self, to: &ImageName) -> Done<Target> {
        let flags = self.flags;
        if let Some(handed) = self.handed(to).await? {
            return Ok(Target::Handed(handed));
        }
        let registry = match to {
            ImageName::Docker { named, .. } => {
                let opened = OpenRegistry::for_destination(self.host, &flags.dest, named).await;
                Some(
                    opened
                        .map_err(|error| error.during(format!("initializing destination {to}")))?,
                )
            }
            _ => None,
        };
        let shared = flags.dest_shared_blobs.clone();
        Target::of(to, registry, shared, &flags.additional_tags)
    }

    /// The same for a place that takes an image only as a whole.
    async fn handed(&self, to: &ImageName) -> Done<Option<Handed>> {
        let (name, flags) = (to.clone(), self.flags.clone());
        let handed = hod_bridge::run(move || {
            let (host, tmpdir) = (flags.dest_daemon.as_deref(), flags.tmpdir.as_deref());
            Handed::of(&name, host, &flags.dest, &flags.additional_tags, tmpdir)
        });
        let handed = handed.await;
        handed.map_err(|error| {
            error
                .plain()
                .during(format!("initializing destination {to}"))
        })
    }

    /// The image of an index for the system that the flags name.
    async fn system(&self, image: &OpenImage, from: &ImageName) -> Done<Manifest> {
        let chosen = self.flags.platform.choose(&image.top).map_err(|error| {
            error.during(format!("choosing an image from manifest list {from}"))
        })?;
        image.child(chosen).await
    }

    /// One image, converted as the target requires.
    async fn one(&self, ends: &Ends<'_>, manifest: &Manifest) -> Done<Prepared> {
        let (image, target) = (ends.image, ends.target);
        let signatures = self.signatures(ends, manifest, "image source").await?;
        let mut converter = self.converter(image, target)?;
        if self.is_to_stay(manifest, target, &signatures).await {
            return Ok(present(converter, ends, manifest.clone()));
        }
        self.tell_layers(manifest);
        let written = self.converted(&mut converter, manifest, target).await?;
        let stored = kept(signatures, manifest, &written, true)?;
        let config = match target.archive() {
            Some(_) => Some(image.config(&image_of(manifest)?.config).await?),
            None => None,
        };
        Ok(finish(converter, ends, vec![written], config, vec![stored]))
    }

    /// The signatures of a manifest that the policy accepts; the destination has a place for them.
    async fn signatures(
        &self,
        ends: &Ends<'_>,
        manifest: &Manifest,
        what: &str,
    ) -> Done<Vec<Signature>> {
        let are_wanted = !self.flags.remove_signatures;
        if are_wanted {
            self.screen.line(&format!("Getting {what} signatures"));
        }
        if self.signing.is_wanted() {
            require_place(ends.to)?;
        }
        let accepted = self
            .trust
            .accept(ends.image, ends.from, manifest, are_wanted);
        let signatures = accepted.await?;
        if !are_wanted || signatures.is_empty() {
            return Ok(Vec::new());
        }
        self.screen
            .line("Checking if image destination supports signatures");
        require_place(ends.to)?;
        Ok(signatures)
    }

    /// An index with its images, or without them.
    async fn list(&self, ends: &Ends<'_>, selection: Selection) -> Done<Prepared> {
        let (image, target) = (ends.image, ends.target);
        if target.is_of_one_image() {
            return Err(Failure::new(format!(
                "copying multiple images: destination transport {} does not support copying \
                 multiple images as a group",
                hod_gotext::quote(ends.to.transport())
            )));
        }
        let list_signatures = self.signatures(ends, &image.top, "image list").await?;
        let entries = image.top.children();
        // A list is not kept if the user asks for another kind, whatever else is to be kept.
        let kind = match self.flags.kind {
            Some(kind) => kind,
            None => self.kind(&image.top, target),
        };
        let is_other_kind = Kind::of(&image.top) != kind;
        if is_other_kind && self.flags.preserve_digests {
            return Err(Failure::new(format!(
                "Manifest list must be converted to type {} to be written to destination, but we \
                 cannot modify it: Instructed to preserve digests",
                hod_gotext::quote(kind.index())
            )));
        }
        // Its images have the same signatures, none, and the policy does not require any.
        let is_accepted = self.flags.kind.is_none() && !self.trust.needs_signatures(ends.from);
        if is_accepted && self.is_to_stay(&image.top, target, &list_signatures).await {
            let converter = self.converter(image, target)?;
            return Ok(present(converter, ends, image.top.clone()));
        }
        let n_copied = if selection == Selection::All {
            entries.len()
        } else {
            0
        };
        self.screen.line(&format!(
            "Copying {n_copied} images generated from {} images in list",
            entries.len()
        ));
        let mut converter = self.converter(image, target)?;
        let (mut manifests, mut stored) = (Vec::new(), Vec::new());
        let mut new_entries = entries.to_vec();
        let mut is_changed = is_other_kind;
        if selection == Selection::All {
            for (at, entry) in entries.iter().enumerate() {
                let (digest, n) = (&entry.digest, at + 1);
                self.screen
                    .line(&format!("Copying image {digest} ({n}/{})", entries.len()));
                let original = image.child(entry).await?;
                let signatures = self.signatures(ends, &original, "image source").await?;
                self.tell_layers(&original);
                let child = self.converted(&mut converter, &original, target).await?;
                if let Some(config) = config_of(&child) {
                    self.tell_end(&config);
                }
                stored.push(kept(signatures, &original, &child, false)?);
                is_changed |= child.digest() != &entry.digest;
                new_entries[at] = Descriptor {
                    platform: entry.platform.clone(),
                    annotations: entry.annotations.clone(),
                    ..child.descriptor()
                };
                manifests.push(child);
            }
        }
        let top = if is_changed {
            manifest::index(kind, &new_entries)?
        } else {
            image.top.clone()
        };
        stored.push(kept(list_signatures, &image.top, &top, true)?);
        manifests.push(top);
        self.screen
            .line("Writing manifest list to image destination");
        Ok(finish(converter, ends, manifests, None, stored))
    }

    fn converter<'a>(&'a self, image: &'a OpenImage, target: &Target) -> Done<Converter<'a>> {
        let layers = if self.flags.preserve_digests {
            Layers::Keep
        } else {
            self.flags.compression.layers(target)?
        };
        Ok(Converter {
            image,
            layers,
            tmpdir: self.flags.tmpdir.as_deref().unwrap_or(Path::new(TMPDIR)),
            parts: Parts::default(),
        })
    }

    async fn converted(
        &self,
        converter: &mut Converter<'_>,
        manifest: &Manifest,
        target: &Target,
    ) -> Done<Manifest> {
        let image = image_of(manifest)?;
        let is_artifact = !image.config.media_type.is_image_config();
        if is_artifact && target.is_of_one_image() {
            return Err(artifact(manifest).during("creating an updated image manifest"));
        }
        if target.archive().is_some() {
            if self.flags.preserve_digests && Kind::of(manifest) != Kind::Schema2 {
                return Err(Failure::new(
                    "writing manifest: Unsupported manifest type, need a Docker schema 2 manifest",
                ));
            }
            // The archive has the blobs of either; skopeo reports this one.
            let is_kept =
                target.unpacked_archive().is_some() || Kind::of(manifest) == Kind::Schema2;
            let reported = (!is_kept).then(|| manifest::image(Kind::Schema2, image));
            return Ok(reported
                .and_then(Done::ok)
                .unwrap_or_else(|| manifest.clone()));
        }
        if self.flags.preserve_digests || is_artifact {
            return Ok(manifest.clone());
        }
        let kind = self.kind(manifest, target);
        converter.convert(manifest, kind).await
    }

    /// Whether the target has an image, of which nothing would be written but the same once more.
    async fn is_to_stay(
        &self,
        manifest: &Manifest,
        target: &Target,
        signatures: &[Signature],
    ) -> bool {
        let is_artifact =
            image_of(manifest).is_ok_and(|image| !image.config.media_type.is_image_config());
        let is_kept = self.flags.preserve_digests
            || is_artifact
            || self.kind(manifest, target) == Kind::of(manifest);
        self.skips_present
            && signatures.is_empty()
            && !self.signing.is_wanted()
            && is_kept
            && target.has(manifest.digest()).await
    }

    /// The kind of manifest that is written.
    fn kind(&self, manifest: &Manifest, target: &Target) -> Kind {
        let own = Kind::of(manifest);
        let kinds = target.kinds();
        if let Some(kind) = self.flags.kind.filter(|_| !self.flags.preserve_digests) {
            return kind;
        }
        // Docker's schema 2 has no type for zstd.
        let is_zstd = self
            .flags
            .compression
            .format
            .as_deref()
            .is_some_and(|f| f.starts_with("zstd"));
        if is_zstd && !self.flags.preserve_digests {
            return Kind::Oci;
        }
        if kinds.contains(&own) { own } else { kinds[0] }
    }

    /// Says which layers are copied, as skopeo does.
    fn tell_layers(&self, manifest: &Manifest) {
        if let ManifestBody::Image(image) = manifest.body() {
            for layer in &image.layers {
                self.screen.line(&format!("Copying blob {}", layer.digest));
            }
        }
    }

    /// Says that the layers are there.
    pub(crate) fn tell_end(&self, config: &Digest) {
        self.screen.line(&format!("Copying config {config}"));
        self.screen.line("Writing manifest to image destination");
    }

    /// A failure to write, in the words of what skopeo would have tried first.
    pub(crate) fn of_write(to: &ImageName, first: Option<&Descriptor>, error: Failure) -> Failure {
        let error = error.plain();
        let (ImageName::Docker { named, .. }, Some(blob)) = (to, first) else {
            return error;
        };
        let digest = &blob.digest;
        let error = if is_contact(&error) {
            error
        } else {
            let name = named.name();
            error.during(format!("checking whether a blob {digest} exists in {name}"))
        };
        error.during(format!("trying to reuse blob {digest} at destination"))
    }

    /// The digest of the manifest that skopeo would have written into an archive.
    async fn saved_digest(&self, path: &Path) -> Option<Digest> {
        let name = ImageName::DockerArchive {
            path: path.to_owned(),
            image: crate::name::ArchiveChoice::At(0),
        };
        let flags = RegistryFlags::default();
        let opening = Opening {
            host: self.host,
            flags: &flags,
            shared_blobs: None,
            tmpdir: self.flags.tmpdir.as_deref(),
            daemon_host: None,
        };
        let image = OpenImage::open(&name, &opening).await.ok()?;
        let written = as_written(&image.top).ok()?;
        Some(written.digest().clone())
    }
}

/// The digest of the config of an image.
pub(crate) fn config_of(manifest: &Manifest) -> Option<Digest> {
    let image = image_of(manifest).ok()?;
    Some(image.config.digest.clone())
}

/// The blob of an image that is looked at first at its destination.
pub(crate) fn first_layer(manifest: &Manifest) -> Option<Descriptor> {
    let image = image_of(manifest).ok()?;
    Some(image.layers.first().unwrap_or(&image.config).clone())
}

/// Both ends of a copy.
#[derive(Debug, Clone, Copy)]
struct Ends<'a> {
    image: &'a OpenImage,
    from: &'a ImageName,
    target: &'a Target,
    to: &'a ImageName,
}

/// The signatures of a manifest, which a changed one does not have.
fn kept(
    signatures: Vec<Signature>,
    before: &Manifest,
    after: &Manifest,
    is_top: bool,
) -> Done<Stored> {
    if !signatures.is_empty() && before.digest() != after.digest() {
        return Err(Failure::new(
            "Manifest must be converted to be written to destination, but we cannot modify it: \
             Would invalidate signatures",
        ));
    }
    Ok(Stored {
        manifest: after.digest().clone(),
        is_top,
        signatures,
    })
}

/// An image that its destination has.
fn present(converter: Converter<'_>, ends: &Ends<'_>, manifest: Manifest) -> Prepared {
    Prepared {
        is_present: true,
        ..finish(converter, ends, vec![manifest], None, Vec::new())
    }
}

fn finish(
    converter: Converter<'_>,
    ends: &Ends<'_>,
    manifests: Vec<Manifest>,
    config: Option<Vec<u8>>,
    stored: Vec<Stored>,
) -> Prepared {
    let (source, parts) = converter.finish();
    Prepared {
        copied: Copied {
            source,
            location: ends.image.location.clone(),
            manifests,
            chosen_from: None,
            config,
        },
        parts,
        stored,
        is_present: false,
    }
}

/// An artifact where only images can be.
pub(crate) fn artifact(manifest: &Manifest) -> Failure {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        artifact_type: Option<String>,
    }
    let typed = serde_json::from_slice(manifest.bytes()).ok();
    let own = typed.and_then(|typed: Typed| typed.artifact_type);
    let config = || Some(image_of(manifest).ok()?.config.media_type.to_string());
    let artifact_type = own.filter(|own| !own.is_empty()).or_else(config);
    Failure::new(format!(
        "unsupported image-specific operation on artifact with type {}",
        hod_gotext::quote(artifact_type.unwrap_or_default())
    ))
}
