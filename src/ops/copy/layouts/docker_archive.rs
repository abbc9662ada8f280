//! A `docker save` archive: the images that it can contain, and how they change in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::LayoutFormat;
use super::archive::{self, Archive, Archiver};
use super::format::{Filler, Looked};
use crate::batch::Batch;
use crate::input::OpenInput;
use crate::{Context, OpsError};
use hod_fsx::Durability;
use hod_layout::{DockerImage, NoDockerImage};
use hod_oci::Digest;
use hod_report::amount::format_count;
use hod_transfer::{DockerSink, Plan, Resolved, Source, TransferError, read_config};

/// How many configurations are read at once.
const READ_AT_ONCE: usize = 16;

/// A new tar for `docker load`.
///
/// Layers grow when they are decompressed, by an unknown amount, so it may require more space than
/// is reported.
#[derive(Debug)]
pub struct DockerArchive;

#[async_trait(?Send)]
#[expect(private_interfaces, reason = "only copy calls it")]
impl LayoutFormat for DockerArchive {
    fn is_archive(&self) -> bool {
        true
    }

    fn accept(&self, input: &OpenInput<'_>) -> Result<(), OpsError> {
        if input.source.is_sequential() {
            return Err(input.refused("export for `docker load`"));
        }
        Ok(())
    }

    fn require_free(&self, cx: &Context, path: &Path) -> Result<(), OpsError> {
        archive::require_no_file(cx, path)
    }

    async fn look(&self, cx: &Context, source: &dyn Source, batch: &mut Batch) -> Box<dyn Filler> {
        Box::new(narrow(cx, source, batch).await)
    }
}

#[async_trait(?Send)]
impl Archiver for Configs {
    async fn start(&self, looked: &Looked<'_>) -> Result<Archive, OpsError> {
        let (path, mtime) = (looked.target.path.clone(), looked.target.mtime);
        let images = self.images(&looked.batch.plan)?;
        let create = hod_bridge::run(move || DockerSink::create(&path, images, mtime));
        let sink = Arc::new(create.await?);
        Ok(Archive {
            sink: sink.clone(),
            finish: Box::new(move || sink.finish(Durability::Synced)),
        })
    }
}

/// The configurations of images, which such an archive is started with.
#[derive(Debug, Default)]
struct Configs(HashMap<Digest, Vec<u8>>);

impl Configs {
    /// The images of a plan that was narrowed.
    fn images(&self, plan: &Plan) -> Result<Vec<DockerImage>, TransferError> {
        plan.images.iter().map(|image| self.image(image)).collect()
    }

    fn image(&self, image: &Resolved) -> Result<DockerImage, TransferError> {
        let config = DockerImage::config_of(image.top())?;
        let bytes = self.0.get(&config.digest).cloned();
        let bytes = bytes.ok_or_else(|| TransferError::BlobAbsent {
            digest: config.digest.clone(),
        })?;
        let destination = &image.wanted.destination;
        let tag = destination.tag.as_ref();
        Ok(DockerImage::new(
            &destination.repository,
            tag,
            image.top(),
            bytes,
        )?)
    }
}

/// Reads the configs of the images of a batch, and removes images that a `docker save` archive
/// cannot contain. Records how each of the others changes.
async fn narrow(cx: &Context, source: &dyn Source, batch: &mut Batch) -> Configs {
    let read = futures_util::stream::iter(&batch.plan.images)
        .map(|image| config(cx, source, image))
        .buffered(READ_AT_ONCE);
    let read: Vec<Result<(Digest, Vec<u8>), TransferError>> = read.collect().await;
    let mut configs = Configs::default();
    let (mut read, mut n_left) = (read.into_iter(), 0);
    batch.narrow(cx, |image| {
        let (digest, bytes) = read.next().expect("one for each image")?;
        configs.0.insert(digest, bytes);
        configs.image(image)?;
        n_left += image.n_referrers();
        image.warnings.push(change(image));
        image.referrers.clear();
        Ok::<_, TransferError>(())
    });
    if n_left > 0 {
        cx.note(&format!(
            "left out {}: a `docker save` archive cannot contain signatures and other referrers",
            format_count(n_left, "referrer")
        ));
    }
    if !batch.plan.is_empty() {
        cx.note(
            "a `docker save` archive contains no manifests: images have other digests when they \
             are loaded",
        );
    }
    configs
}

/// Describes how an image differs in the archive.
fn change(image: &Resolved) -> String {
    let digest = image.top().digest();
    let left = match image.n_referrers() {
        0 => String::new(),
        1 => "; its referrer is left out".to_owned(),
        n => format!("; its {n} referrers are left out"),
    };
    format!("the archive contains no manifests, so digest `{digest}` is lost{left}")
}

/// Reads the config of an image, if its manifest shows that such an archive can contain it.
async fn config(
    cx: &Context,
    source: &dyn Source,
    image: &Resolved,
) -> Result<(Digest, Vec<u8>), TransferError> {
    let config = DockerImage::config_of(image.top())?;
    if let Some(layer) = image.foreign.first() {
        let digest = layer.digest.clone();
        return Err(NoDockerImage::Foreign { digest }.into());
    }
    let bytes = read_config(source, &image.location, config, cx.retry, &cx.reporter).await?;
    let bytes = bytes.ok_or(NoDockerImage::Config)?;
    Ok((config.digest.clone(), bytes))
}
