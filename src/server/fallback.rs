//! The tags `<alg>-<hex>` of indexes of referrers (distribution-spec 1.1, "Referrers Tag Schema").
//!
//! The referrers API is answered from the manifests and does not need these tags. Registries
//! without the API find referrers by these tags only, and the garbage collection of others removes
//! untagged content, so the tree has them for every referrer: they are updated with every push and
//! deletion.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use hod_oci::{
    Digest, Manifest, ManifestBody, ReferrerEntry, ReferrerTag, ReferrerTagKind, RepositoryName,
    Tag, referrers_index, with_referrers,
};
use hod_store::Publication;

use super::error::ApiError;
use super::state::Server;

/// Rewrites the index of the referrers of `subject` after a referrer was pushed or deleted; makes it
/// with the first, and removes it with the last. Blocks.
///
/// A tag of this form that names an image belongs to a user, and is kept.
pub(super) fn update(
    server: &Server,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<(), ApiError> {
    let _alone = server
        .fallback_tags
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let store = server.store()?;
    let tag = ReferrerTag::index_of(subject);
    let old_digest = store.resolve_tag(repository, &tag)?;
    let old = match &old_digest {
        Some(digest) => store.read_manifest(digest)?,
        None => None,
    };
    if matches!(
        old.as_ref().map(Manifest::body),
        Some(ManifestBody::Image(_))
    ) {
        return Ok(());
    }
    let mut entries = Vec::new();
    for digest in server
        .subjects
        .about(&server.content, repository, subject)?
    {
        let manifest = store.read_manifest(&digest)?;
        entries.extend(manifest.as_ref().map(ReferrerEntry::of));
    }
    if entries.is_empty() {
        if let Some(old_digest) = old_digest {
            store.delete_tag(repository, &tag)?;
            store.delete_revision(repository, &old_digest)?;
        }
        return Ok(());
    }
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
    if let Some(old_digest) = old_digest.filter(|old| old != index.digest()) {
        store.delete_revision(repository, &old_digest)?;
    }
    Ok(())
}

/// Completes an index of referrers that a client has put to `tags`, which lists only referrers
/// known to the client. Blocks.
pub(super) fn complete(
    server: &Server,
    repository: &RepositoryName,
    tags: &[Tag],
) -> Result<(), ApiError> {
    for tag in tags.iter().filter_map(ReferrerTag::parse) {
        if tag.kind == ReferrerTagKind::Index
            && let Some(subject) = tag.subject()
        {
            update(server, repository, &subject)?;
        }
    }
    Ok(())
}

/// Whether an index lists no manifest that is not among `entries`.
fn lists_no_more_than(index: &Manifest, entries: &[ReferrerEntry]) -> bool {
    let present: BTreeSet<&Digest> = entries.iter().map(ReferrerEntry::digest).collect();
    let mut children = index.children().iter();
    children.all(|child| present.contains(&child.digest))
}
