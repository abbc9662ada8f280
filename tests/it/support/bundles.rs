//! Bundles of other shapes than `hod pack` gives what it was told to.

use std::ops::ControlFlow;

use hod::bundle::{
    BaseBlob, Bundle, BundleError, Compression, Held, Origin, OriginKind, PackBlob, PackPlan,
    Pieces, ReadOptions, WriteOptions, write,
};
use hod::fsx::Durability;
use hod::oci::Digest;

use super::env::TestEnv;

/// Packs the images of a bundle into another one, whose plan `change` may change; returns the
/// number of its files.
#[track_caller]
pub(crate) fn pack_again(
    env: &TestEnv,
    (from, to): (&str, &str),
    change: impl FnOnce(&mut PackPlan),
) -> usize {
    let bundle = Bundle::open(&env.path(from), &ReadOptions::default()).unwrap();
    let manifest = bundle.manifest();
    let blobs = manifest.blobs.iter().map(|blob| PackBlob {
        digest: blob.digest.clone(),
        size: blob.size,
        is_manifest: blob.is_manifest,
    });
    let mut plan = PackPlan {
        name: "again".to_owned(),
        version: None,
        images: manifest.images.clone(),
        blobs: blobs.collect(),
        files: Vec::new(),
        origins: Vec::new(),
        base: Vec::new(),
        volume_size: None,
        mtime: 0,
        tool_version: "0".to_owned(),
        signer: None,
    };
    change(&mut plan);
    let output = env.path(to);
    let options = WriteOptions {
        only_volume: None,
        knowledge: &hod::bundle::NoKnowledge,
        output: &output,
        compression: Compression::Raw,
        jobs: 1,
        durability: Durability::Deferred,
        on_bytes: &|_| ControlFlow::Continue(()),
    };
    let open = |digest: &Digest| -> Result<_, BundleError> {
        Ok(Pieces::of_bundle(bundle.open_blob(digest).unwrap()))
    };
    write(plan.lay_out().unwrap(), &open, &options)
        .unwrap()
        .files
        .len()
}

/// Moves a config or layer of a plan to its base.
#[track_caller]
pub(crate) fn leave_out(plan: &mut PackPlan, digest: &Digest) {
    let at = plan.blobs.iter().position(|blob| blob.digest == *digest);
    let blob = plan.blobs.remove(at.unwrap());
    plan.origins.push(Origin {
        kind: OriginKind::Registry,
        name: "harbor.corp".to_owned(),
        version: None,
        id: None,
    });
    plan.base.push(BaseBlob {
        digest: blob.digest,
        size: blob.size,
        held: vec![Held {
            origin: plan.origins.len() - 1,
            repositories: vec![plan.images[0].repository.clone()],
        }],
    });
}
