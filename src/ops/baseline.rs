//! `pack --since`: what the target already has, from receipts, earlier bundles and stores.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::diff::{is_receipt, read_receipt};
use super::platforms::PlatformOptions;
use super::{Catalog, Context, Holder, Input, Look, OpsError, ReceiptOptions, receipt};
use hod_bundle::{BaseBlob, BaseOrigin, BundleManifest, Held, PackBlob, ReadOptions, Receipt};
use hod_oci::{Digest, ReferrerMode, RepositoryName};

/// Maximum number of repositories recorded for a blob and origin: a few are enough to find it
/// again.
const REPOSITORIES_MAX: usize = 8;

/// The holders of blobs.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    had: Vec<Had>,
}

#[derive(Debug)]
struct Had {
    origin: BaseOrigin,
    what: What,
}

#[derive(Debug)]
enum What {
    Receipt(Box<Receipt>),
    /// The configs and layers that a bundle carries, and the repositories it has them in.
    Bundle(HashMap<Digest, BTreeSet<RepositoryName>>),
}

/// The blobs that are packed, and those that are required at the target instead.
#[derive(Debug)]
pub(super) struct Divided {
    pub(super) blobs: Vec<PackBlob>,
    pub(super) base: Vec<BaseBlob>,
    pub(super) origins: Vec<BaseOrigin>,
}

impl Baseline {
    /// Reads receipts, bundles (any one of several volumes) and stores.
    ///
    /// A bundle has the blobs that it contains, in any volume; those that it requires itself are
    /// not proven by it.
    pub(super) async fn read(cx: &Context, paths: &[PathBuf]) -> Result<Self, OpsError> {
        let mut baseline = Self::default();
        for path in paths {
            let (from, reading) = (path.clone(), cx.reading.clone());
            let had = hod_bridge::run(move || read_file(&from, &reading)).await?;
            let had = if let Some(had) = had {
                had
            } else {
                let options = ReceiptOptions {
                    holder: Holder::Source(Look {
                        input: Input::Local {
                            path: path.clone(),
                            stated: Box::default(),
                            list: None,
                            platforms: PlatformOptions::default(),
                        },
                        referrers: ReferrerMode::Carry,
                    }),
                };
                let found = receipt(cx, &options).await?;
                Had {
                    origin: found.of,
                    what: What::Receipt(Box::new(found.receipt)),
                }
            };
            // Two volumes of one bundle have the same index.
            let is_same = |other: &Had| other.origin.id.is_some() && other.origin == had.origin;
            if !baseline.had.iter().any(is_same) {
                baseline.had.push(had);
            }
        }
        Ok(baseline)
    }

    /// Leaves out the configs and layers that a holder has; manifests are always packed.
    pub(super) fn divide(&self, blobs: Vec<PackBlob>) -> Divided {
        let mut divided = Divided {
            blobs: Vec::with_capacity(blobs.len()),
            base: Vec::new(),
            origins: Vec::new(),
        };
        // Only origins that are named, in the order of the command line.
        let mut holders: Vec<Vec<(usize, Vec<RepositoryName>)>> = Vec::new();
        let mut is_named = vec![false; self.had.len()];
        for blob in blobs {
            let held = if blob.is_manifest {
                Vec::new()
            } else {
                self.holders(&blob.digest)
            };
            if held.is_empty() {
                divided.blobs.push(blob);
                continue;
            }
            for (origin, _) in &held {
                is_named[*origin] = true;
            }
            holders.push(held);
            divided.base.push(BaseBlob {
                digest: blob.digest,
                size: blob.size,
                held: Vec::new(),
            });
        }
        let mut positions = HashMap::new();
        for (at, had) in self.had.iter().enumerate().filter(|(at, _)| is_named[*at]) {
            positions.insert(at, divided.origins.len());
            divided.origins.push(had.origin.clone());
        }
        for (blob, held) in divided.base.iter_mut().zip(holders) {
            let held = held.into_iter().map(|(origin, repositories)| Held {
                origin: positions[&origin],
                repositories,
            });
            blob.held = held.collect();
        }
        divided
    }

    /// Positions of those who have a blob, and some of the repositories where, sorted.
    fn holders(&self, digest: &Digest) -> Vec<(usize, Vec<RepositoryName>)> {
        let mut holders = Vec::new();
        for (at, had) in self.had.iter().enumerate() {
            let mut names = match &had.what {
                What::Receipt(receipt) => receipt.holders(digest),
                What::Bundle(blobs) => blobs
                    .get(digest)
                    .map(|names| names.iter().cloned().collect())
                    .unwrap_or_default(),
            };
            names.truncate(REPOSITORIES_MAX);
            if !names.is_empty() {
                holders.push((at, names));
            }
        }
        holders
    }
}

/// Reads a receipt or a bundle's list; `None` for a directory, which may be a store. Blocks.
fn read_file(path: &std::path::Path, reading: &ReadOptions) -> Result<Option<Had>, OpsError> {
    if is_receipt(path)? {
        let receipt = read_receipt(path)?;
        return Ok(Some(Had {
            origin: receipt.of.clone(),
            what: What::Receipt(Box::new(receipt)),
        }));
    }
    let catalog = match Catalog::open(path, reading) {
        Err(OpsError::UnknownSource { path, tree: None }) => {
            return Err(OpsError::NotABaseline { path });
        }
        catalog => catalog?,
    };
    Ok(catalog.source().document().map(|document| Had {
        origin: BaseOrigin::of(document),
        what: What::Bundle(carried_by(document)),
    }))
}

fn carried_by(document: &BundleManifest) -> HashMap<Digest, BTreeSet<RepositoryName>> {
    let blobs = document.blobs.iter().filter(|blob| !blob.is_manifest);
    let mut carried: HashMap<Digest, BTreeSet<RepositoryName>> = blobs
        .map(|blob| (blob.digest.clone(), BTreeSet::new()))
        .collect();
    for image in &document.images {
        for digest in &image.blobs {
            if let Some(names) = carried.get_mut(digest) {
                names.insert(image.repository.clone());
            }
        }
    }
    carried
}
