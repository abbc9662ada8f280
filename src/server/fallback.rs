//! The tags `<alg>-<hex>` of indexes of referrers (distribution-spec 1.1, "Referrers Tag Schema").
//!
//! The referrers API answers from the manifests and needs none. A store that was pulled or unpacked
//! has them, for registries without the API that serve it too; there they are kept in step with what
//! is pushed and deleted.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::oci::{
    Digest, Manifest, ReferrerEntry, ReferrerTag, RepositoryName, referrers_index, with_referrers,
};
use crate::store::Publication;

use super::Server;
use super::error::ApiError;

/// Lets one request at a time rewrite such tags, so that none undoes what another did.
#[derive(Debug, Default)]
pub(super) struct Fallback(Mutex<()>);

/// Rewrites the index of the referrers of `subject`, if the repository has one, after a referrer was
/// pushed or deleted. Blocks.
pub(super) fn update(
    server: &Server,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<(), ApiError> {
    let _alone = server
        .fallback
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let store = server.store()?;
    let tag = ReferrerTag::index_of(subject);
    let Some(old_digest) = store.resolve_tag(repository, &tag)? else {
        return Ok(());
    };
    let mut entries = Vec::new();
    for digest in server
        .subjects
        .about(&server.content, repository, subject)?
    {
        let manifest = store.read_manifest(&digest)?;
        entries.extend(manifest.as_ref().map(ReferrerEntry::of));
    }
    if entries.is_empty() {
        store.delete_tag(repository, &tag)?;
        store.delete_revision(repository, &old_digest)?;
        return Ok(());
    }
    let old = store.read_manifest(&old_digest)?;
    let bytes = match &old {
        Some(old) if lists_no_more_than(old, &entries) => with_referrers(old, &entries),
        _ => Some(referrers_index(entries)),
    };
    let Some(bytes) = bytes else {
        return Ok(());
    };
    let Ok(index) = Manifest::parse(bytes.into(), None) else {
        // Too long: the API still has them all.
        return Ok(());
    };
    store.write_manifest(&index)?;
    let publication = Publication {
        repository: repository.clone(),
        tag: Some(tag),
        top: index.digest().clone(),
        manifests: vec![index.digest().clone()],
        blobs: Vec::new(),
    };
    store.publish(&[publication], server.options.durability)?;
    if *index.digest() != old_digest {
        store.delete_revision(repository, &old_digest)?;
    }
    Ok(())
}

/// Whether an index lists no manifest that is not among `entries`.
fn lists_no_more_than(index: &Manifest, entries: &[ReferrerEntry]) -> bool {
    let present: BTreeSet<&Digest> = entries.iter().map(ReferrerEntry::digest).collect();
    let mut children = index.children().iter();
    children.all(|child| present.contains(&child.digest))
}
