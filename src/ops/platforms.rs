//! Selection of platforms, treatment of indexes, and warnings about images that are for another
//! platform or lack parts of their index.

use super::Context;
use super::batch::Batch;
use hod_oci::{ManifestBody, Platform, PlatformChoice};
use hod_report::amount::format_count;
use hod_transfer::{IndexMode, Resolved, Source, TransferError, platform_of};

/// Maximum number of images, and of children of each, named in a warning.
const SHOWN_MAX: usize = 5;

/// Advice about a partial index of a local source.
pub(super) const NOT_KEPT: &str = "`--index rewrite` rewrites it to what is carried, and `--platform` takes one platform in its \
     place";
/// Advice about a partial index that is pulled.
const NOT_PULLED: &str = "`--platform all` carries all that it lists, and without `--index keep` it is rewritten to \
     what is carried";

/// The part of a local source that is carried.
#[derive(Debug, Clone, Default)]
pub struct PlatformOptions {
    /// The platforms; `None` for all that exist.
    pub platforms: Option<PlatformChoice>,
    /// The treatment of indexes; without this and platforms, an index is carried as it is.
    pub index: Option<IndexMode>,
    pub mismatch: Mismatch,
}

/// How to treat an image without an index that is not for every requested platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mismatch {
    /// It is carried, with a warning.
    #[default]
    Warn,
    /// It fails.
    Fail,
}

/// Finds images without an index that do not exist for every requested platform: they would fail
/// only when they are run.
pub(super) async fn check(
    cx: &Context,
    source: &dyn Source,
    batch: &mut Batch,
    mismatch: Mismatch,
) {
    let mut found = Vec::with_capacity(batch.plan.images.len());
    for image in &batch.plan.images {
        found.push(missing_platforms(source, image).await);
    }
    if mismatch == Mismatch::Fail {
        let mut found = found.into_iter();
        batch.narrow(cx, |_| match found.next().expect("one for each image")? {
            None => Ok(()),
            Some(missing) => Err(TransferError::from(missing)),
        });
        return;
    }
    for (at, missing) in found.into_iter().enumerate() {
        // An image that cannot be read fails later.
        if let Ok(Some(missing)) = missing {
            batch.warn(cx, at, TransferError::from(missing).to_string());
        }
    }
}

/// The platform of an image without an index, and the requested ones that it lacks.
struct Missing {
    platform: Platform,
    missing: PlatformChoice,
}

impl From<Missing> for TransferError {
    fn from(Missing { platform, missing }: Missing) -> Self {
        Self::OtherPlatform {
            platform: platform.to_string(),
            missing: missing.to_string(),
        }
    }
}

/// The platforms that were asked for and that an image without an index is not for, if any.
async fn missing_platforms(
    source: &dyn Source,
    image: &Resolved,
) -> Result<Option<Missing>, TransferError> {
    let (PlatformChoice::These(wanted), ManifestBody::Image(_), None) =
        (&image.wanted.platforms, image.top().body(), &image.original)
    else {
        return Ok(None);
    };
    let platforms = if let Some(platforms) = stated_by_bundle(source, image) {
        platforms
    } else {
        let read = platform_of(source, &image.location, image.top()).await?;
        read.into_iter().collect()
    };
    let is_missing = |wanted: &&Platform| !platforms.iter().any(|has| wanted.accepts(has));
    let missing: Vec<Platform> = wanted.iter().filter(is_missing).cloned().collect();
    if missing.is_empty() {
        return Ok(None);
    }
    // An image that does not state its platform does not count as one for another platform.
    let first = platforms.into_iter().next();
    Ok(first.map(|platform| Missing {
        platform,
        missing: PlatformChoice::These(missing),
    }))
}

/// The platforms of an image according to the bundle that contains it.
pub(super) fn stated_by_bundle(source: &dyn Source, image: &Resolved) -> Option<Vec<Platform>> {
    let digest = image.top().digest();
    let mut images = source.document()?.images.iter();
    let image = images.find(|carried| carried.digest == *digest)?;
    (!image.platforms.is_empty()).then(|| image.platforms.clone())
}

/// Warns of indexes that list manifests which are not carried with them.
pub(super) fn warn_of_partial(cx: &Context, source: &dyn Source, batch: &Batch) {
    let advice = if source.is_remote() {
        NOT_PULLED
    } else {
        NOT_KEPT
    };
    let images = batch.plan.images.iter();
    let partial: Vec<&Resolved> = images.filter(|image| !image.absent.is_empty()).collect();
    warn_of(cx, &partial, advice);
}

/// Warns of images that have such an index.
pub(super) fn warn_of(cx: &Context, partial: &[&Resolved], advice: &str) {
    if partial.is_empty() {
        return;
    }
    let mut texts: Vec<String> = partial
        .iter()
        .take(SHOWN_MAX)
        .map(|image| format!("{} lacks {}", image.wanted.name, lacking(image)))
        .collect();
    if partial.len() > texts.len() {
        texts.push(format!("and {} more", partial.len() - texts.len()));
    }
    cx.warn(&format!(
        "{} an index with manifests that are not carried: {}. Harbor and most other registries refuse \
         such an index; {advice}",
        match partial.len() {
            1 => "1 image has".to_owned(),
            n => format!("{} have", format_count(n, "image")),
        },
        texts.join("; "),
    ));
}

/// The children that the index of an image lists and that are not carried, in words.
pub(super) fn lacking(image: &Resolved) -> String {
    let absent = image.absent_children();
    let mut texts: Vec<String> = absent
        .iter()
        .take(SHOWN_MAX)
        .map(|(role, digest)| format!("{role} (`{digest}`)"))
        .collect();
    if absent.len() > texts.len() {
        texts.push(format!("{} more", absent.len() - texts.len()));
    }
    texts.join(", ")
}
