//! `why`: explains what a digest is, and which images use it.

use serde::{Deserialize, Serialize};

use super::input::Look;
use super::inventory::{Detail, Group, Inventory};
use super::{Context, OpsError, Verb};
use hod_bundle::Placement;
use hod_oci::{Descriptor, Digest, Manifest, ManifestBody, Platform};
use hod_transfer::config_of;

/// Minimum number of hex characters of a digest.
const PREFIX_LEN_MIN: usize = 12;
/// Maximum number of digests shown if several match or are similar.
const SHOWN_MAX: usize = 3;
/// Maximum nesting of indexes.
const DEPTH_MAX: usize = 8;
/// Maximum number of paths through the manifests of one image that are shown.
const PATHS_MAX: usize = 100;

/// The digest to explain.
#[derive(Debug)]
pub struct WhyOptions {
    /// A digest or the start of one, with or without its algorithm.
    pub digest: String,
    pub look: Look,
}

/// The kind of a digest, and its users.
#[derive(Debug, Serialize)]
pub struct WhyOutcome {
    pub digest: Digest,
    pub what: &'static str,
    pub media_type: String,
    pub bytes: u64,
    /// The volumes of a bundle that contain it, counted from 1; empty if all do, as for manifests,
    /// or if there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<u32>,
    /// Whether a bundle does not contain it, but requires it at its target.
    pub is_base: bool,
    /// Of a layer: the digest of its uncompressed bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<String>,
    /// Of a layer: what made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    pub uses: Vec<Use>,
}

/// An image that uses a digest.
#[derive(Debug, Serialize)]
pub struct Use {
    pub image: String,
    /// The tag of the referrer that uses it, unless the image itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// From the top manifest to the digest.
    pub path: Vec<Step>,
}

/// A step on the way to a digest.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// `index`, `manifest linux/amd64`, `config`, `layer 3 of 7`.
    pub what: String,
    pub digest: Digest,
}

/// A way to the digest that was found, and what names it at its end.
struct Way {
    steps: Vec<Step>,
    descriptor: Descriptor,
    role: Role,
}

/// The role of a blob or manifest in the manifest that names it, or in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Index,
    Manifest,
    Config,
    /// Counted from zero.
    Layer(usize),
    /// Of an index, as build caches have it.
    Blob,
}

/// Explains a digest: its kind, its size, and each path from an image to it.
pub fn why<'a>(cx: &'a Context, options: &'a WhyOptions) -> Verb<'a, WhyOutcome> {
    Box::pin(run(cx, options))
}

async fn run(cx: &Context, options: &WhyOptions) -> Result<WhyOutcome, OpsError> {
    let sought = Sought::parse(&options.digest)?;
    let inventory = Inventory::take(cx, &options.look, Detail::Content).await?;
    inventory.require_found()?;
    let path = options.look.input.word().to_owned();
    let inventory = std::sync::Arc::new(inventory);
    let known = std::sync::Arc::clone(&inventory);
    let (digest, found) = hod_bridge::run(move || {
        let digest = sought.find(&known, &path)?;
        let found = uses(&known, &digest)?;
        Ok::<_, OpsError>((digest, found))
    })
    .await?;
    let (mut diff_id, mut created_by) = (None, None);
    for (group, way) in found.iter().map(|(_, group, way)| (group, way)) {
        let Role::Layer(at) = way.role else { continue };
        if let Some(config) = read_config(&inventory, group, way).await {
            diff_id = config.rootfs.diff_ids.get(at).cloned();
            let made = config.history.into_iter().filter(|line| !line.empty_layer);
            created_by = made.map(|line| line.created_by).nth(at);
            break;
        }
    }
    let first = found.first().map(|(_, _, way)| way);
    Ok(WhyOutcome {
        what: match first.map(|way| way.role) {
            Some(Role::Index) => "an index",
            Some(Role::Manifest) => "a manifest",
            Some(Role::Config) => "a config",
            Some(Role::Layer(_)) => "a layer",
            Some(Role::Blob) | None => "a blob",
        },
        media_type: first.map_or(String::new(), |way| way.descriptor.media_type.to_string()),
        bytes: inventory.len_of(&digest),
        volumes: volumes(&inventory, &digest),
        is_base: inventory.base.contains_key(&digest),
        diff_id,
        created_by: created_by.filter(|text| !text.is_empty()),
        uses: found
            .into_iter()
            .map(|(image, group, way)| Use {
                image,
                referrer: group.referrer.map(|tag| tag.to_string()),
                path: way.steps,
            })
            .collect(),
        digest,
    })
}

fn volumes(inventory: &Inventory, digest: &Digest) -> Vec<u32> {
    let Some(bundle) = inventory.source.as_bundle() else {
        return Vec::new();
    };
    let manifest = bundle.manifest();
    let mut blobs = manifest.blobs.iter();
    match blobs
        .find(|blob| blob.digest == *digest)
        .map(|blob| &blob.place)
    {
        Some(Placement::Volume(number)) if manifest.n_volumes > 1 => vec![*number],
        Some(Placement::Parts(parts)) => parts.iter().map(|part| part.volume).collect(),
        _ => Vec::new(),
    }
}

/// A digest or the start of one.
#[derive(Debug)]
struct Sought {
    /// As the user wrote it.
    text: String,
    /// `sha256:` or another, if it was given.
    algorithm: Option<String>,
    hex: String,
}

impl Sought {
    fn parse(text: &str) -> Result<Self, OpsError> {
        let lower = text.trim().to_ascii_lowercase();
        let (algorithm, hex) = match lower.split_once(':') {
            Some((algorithm, hex)) => (Some(algorithm.to_owned()), hex.to_owned()),
            None => (None, lower),
        };
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || hex.len() < PREFIX_LEN_MIN || hex.len() > 128 {
            return Err(OpsError::BadDigest {
                text: text.to_owned(),
            });
        }
        Ok(Self {
            text: text.trim().to_owned(),
            algorithm,
            hex,
        })
    }

    fn is(&self, digest: &Digest) -> bool {
        let is_algorithm = |name: &String| digest.algorithm().as_str() == name;
        self.algorithm.as_ref().is_none_or(is_algorithm) && digest.hex().starts_with(&self.hex)
    }

    /// The one digest of the source that it means.
    fn find(&self, inventory: &Inventory, path: &std::path::Path) -> Result<Digest, OpsError> {
        let known = || inventory.held.keys().chain(inventory.base.keys());
        let mut found: Vec<&Digest> = known().filter(|digest| self.is(digest)).collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [digest] => Ok((*digest).clone()),
            [] => {
                let mut near: Vec<(usize, &Digest)> = known()
                    .filter_map(|digest| Some((self.distance(digest)?, digest)))
                    .collect();
                near.sort_unstable();
                Err(OpsError::NoSuchDigest {
                    path: path.to_owned(),
                    text: self.text.clone(),
                    near: shown(near.into_iter().map(|(_, digest)| digest)),
                })
            }
            found => Err(OpsError::AmbiguousDigest {
                path: path.to_owned(),
                text: self.text.clone(),
                n_found: found.len(),
                found: shown(found.iter().copied()),
            }),
        }
    }

    /// The distance to a digest; `None` when it is not similar. A digest with the same start may
    /// have been cut off and completed wrongly, one with few different characters is mistyped.
    fn distance(&self, digest: &Digest) -> Option<usize> {
        let pairs = || self.hex.bytes().zip(digest.hex().bytes());
        let n_other = pairs().filter(|(a, b)| a != b).count();
        let n_alike = pairs().take_while(|(a, b)| a == b).count();
        (n_other <= 2 || n_alike >= 8).then_some(n_other)
    }
}

fn shown<'a>(digests: impl Iterator<Item = &'a Digest>) -> Vec<String> {
    digests.take(SHOWN_MAX).map(ToString::to_string).collect()
}

/// Every way to the digest, with the image and the group of it. Blocks.
fn uses(inventory: &Inventory, digest: &Digest) -> Result<Vec<(String, Group, Way)>, OpsError> {
    let mut found = Vec::new();
    for image in &inventory.images {
        for group in &image.groups {
            let has = |digests: &[Digest]| digests.contains(digest);
            if !has(&group.manifests) && !has(&group.blobs) {
                continue;
            }
            for top in &group.tops {
                let Some(manifest) = inventory.manifest(top)? else {
                    continue;
                };
                let mut walk = Walk {
                    inventory,
                    sought: digest,
                    ways: Vec::new(),
                };
                let descriptor = manifest.descriptor();
                walk.enter(&manifest, &descriptor, &mut Vec::new())?;
                let ways = walk.ways.into_iter();
                found.extend(ways.map(|way| (image.name.clone(), group.clone(), way)));
            }
        }
    }
    Ok(found)
}

/// A walk down from a top manifest to all that is sought.
struct Walk<'a> {
    inventory: &'a Inventory,
    sought: &'a Digest,
    ways: Vec<Way>,
}

impl Walk<'_> {
    fn enter(
        &mut self,
        manifest: &Manifest,
        descriptor: &Descriptor,
        above: &mut Vec<Step>,
    ) -> Result<(), OpsError> {
        let platform = descriptor.platform.as_ref();
        let (role, kind) = match manifest.body() {
            ManifestBody::Index(_) => (Role::Index, "index"),
            ManifestBody::Image(_) => (Role::Manifest, "manifest"),
        };
        let is_shown = |platform: &&Platform| platform.os != "unknown" && platform.is_printable();
        let what = match platform.filter(is_shown) {
            Some(platform) => format!("{kind} {platform}"),
            None => kind.to_owned(),
        };
        above.push(Step {
            what,
            digest: descriptor.digest.clone(),
        });
        if descriptor.digest == *self.sought {
            let mut descriptor = descriptor.clone();
            descriptor.media_type = manifest.media_type().clone();
            self.arrive(above, None, &descriptor, role);
        }
        match manifest.body() {
            ManifestBody::Image(image) => {
                if image.config.digest == *self.sought {
                    self.arrive(
                        above,
                        Some("config".to_owned()),
                        &image.config,
                        Role::Config,
                    );
                }
                let n = image.layers.len();
                for (at, layer) in image.layers.iter().enumerate() {
                    if layer.digest == *self.sought {
                        let what = format!("layer {} of {n}", at + 1);
                        self.arrive(above, Some(what), layer, Role::Layer(at));
                    }
                }
            }
            ManifestBody::Index(index) => {
                for child in &index.manifests {
                    if above.len() > DEPTH_MAX || self.ways.len() >= PATHS_MAX {
                        break;
                    }
                    match self.inventory.manifest(&child.digest)? {
                        Some(manifest) => self.enter(&manifest, child, above)?,
                        None if child.digest == *self.sought => {
                            self.arrive(above, Some("blob".to_owned()), child, Role::Blob);
                        }
                        None => {}
                    }
                }
            }
        }
        above.pop();
        Ok(())
    }

    fn arrive(
        &mut self,
        above: &[Step],
        last: Option<String>,
        descriptor: &Descriptor,
        role: Role,
    ) {
        let mut steps = above.to_vec();
        steps.extend(last.map(|what| Step {
            what,
            digest: descriptor.digest.clone(),
        }));
        self.ways.push(Way {
            steps,
            descriptor: descriptor.clone(),
            role,
        });
    }
}

/// The layers according to a configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Made {
    rootfs: RootFs,
    history: Vec<HistoryLine>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RootFs {
    diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HistoryLine {
    created_by: String,
    empty_layer: bool,
}

/// Reads the config that belongs to a layer, if that is cheap.
async fn read_config(inventory: &Inventory, group: &Group, way: &Way) -> Option<Made> {
    let manifest = way.steps.get(way.steps.len().checked_sub(2)?)?;
    let manifest = inventory.manifest(&manifest.digest).ok()??;
    let source = inventory.source.as_ref();
    let bytes = config_of(source, &group.location, &manifest).await.ok()??;
    serde_json::from_slice(&bytes).ok()
}
