//! Bundles of other shapes than `hod pack` gives what it was told to.

use std::ops::ControlFlow;

use hod_bundle::{
    BaseBlob, BaseOrigin, Bundle, BundleWriter, Compression, CopyContext, Held, NoCache,
    OriginKind, PackBlob, PackPlan, ReadOptions, WriteOptions, WriteOutcome,
};
use hod_fsx::{Durability, FileRange};
use hod_oci::Digest;

use super::env::TestEnv;

/// Writes what `plan` says, with the blobs that `open` has.
#[track_caller]
pub fn write(
    plan: &PackPlan,
    options: WriteOptions,
    open: &dyn Fn(&Digest) -> FileRange,
) -> WriteOutcome {
    let bytes = |blob: &PackBlob| {
        let range = open(&blob.digest);
        let len = usize::try_from(range.len).unwrap();
        hod_fsx::read_range(&range.file, &range.path, range.offset, len).unwrap()
    };
    let manifests = plan.blobs.iter().filter(|blob| blob.is_manifest);
    let manifests = manifests.map(|blob| (blob.digest.clone(), bytes(blob).into()));
    let planned = plan.lay_out().unwrap().with_manifests(manifests);
    let context = CopyContext {
        cache: &NoCache,
        on_bytes: &|_| ControlFlow::Continue(()),
    };
    let writer = BundleWriter::create(planned, options).unwrap();
    // In the order of the bundle, which is the one for those that are compressed.
    for blob in writer
        .manifest()
        .blobs
        .iter()
        .filter(|blob| !blob.is_manifest)
    {
        writer
            .put(&blob.digest, &open(&blob.digest), &context)
            .unwrap();
    }
    writer.put_files(&context).unwrap();
    writer.finish(&context).unwrap()
}

/// A blob that a bundle has in one piece.
pub fn whole(bundle: &Bundle, digest: &Digest) -> FileRange {
    let ranges = bundle.open_blob(digest).unwrap();
    ranges.into_iter().next().unwrap()
}

/// Packs the images of a bundle into another one, whose plan `change` may change; returns the
/// number of its files.
#[track_caller]
pub fn pack_again(
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
    let options = WriteOptions {
        only_volume: None,
        output: env.path(to),
        compression: Compression::Raw,
        jobs: 1,
        durability: Durability::Deferred,
    };
    write(&plan, options, &|digest| whole(&bundle, digest))
        .files
        .len()
}

/// Moves a config or layer of a plan to its base.
#[track_caller]
pub fn leave_out(plan: &mut PackPlan, digest: &Digest) {
    let at = plan.blobs.iter().position(|blob| blob.digest == *digest);
    let blob = plan.blobs.remove(at.unwrap());
    plan.origins.push(BaseOrigin {
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
