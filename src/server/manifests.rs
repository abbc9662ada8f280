//! Manifests, by tag and by digest (distribution-spec 1.1, "Pulling manifests", "Pushing
//! Manifests", "Deleting tags", "Deleting Manifests").

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::json;

use hod_oci::{Descriptor, MANIFEST_LEN_MAX, Manifest, RepositoryName, Tag};
use hod_store::{Publication, Store};

use super::conditions::{etag, unless_changed};
use super::content::Content;
use super::error::{ApiError, Code};
use super::fallback;
use super::reply::{
    DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, Parameters, accepted, ascii, chunks,
    content_length, created, empty, header_text,
};
use super::route::Target;
use super::state::Server;

/// `GET` or `HEAD …/manifests/<reference>`: the bytes that were pushed, regardless of `Accept`,
/// since converting would change the digest.
pub(super) async fn get(
    server: &Arc<Server>,
    repository: RepositoryName,
    target: Target,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let content = server.content.clone();
    let manifest = hod_bridge::run(move || find(&content, &repository, &target)).await?;
    let digest = manifest.digest();
    if let Some(response) = unless_changed(headers, digest)? {
        return Ok(response);
    }
    let mut response = empty(
        StatusCode::OK,
        [
            (header::CONTENT_TYPE, content_type(&manifest)?),
            (
                header::CONTENT_LENGTH,
                HeaderValue::from(manifest.bytes().len()),
            ),
            (header::ETAG, etag(digest)),
            (DOCKER_CONTENT_DIGEST, ascii(digest)),
        ],
    );
    if method == Method::GET {
        *response.body_mut() = Body::from(manifest.bytes().clone());
    }
    Ok(response)
}

fn find(
    content: &Content,
    repository: &RepositoryName,
    target: &Target,
) -> Result<Manifest, ApiError> {
    let digest = match target {
        Target::Digest(digest) => Some(digest.clone()),
        Target::Tag(tag) => content.resolve_tag(repository, tag)?,
        Target::Neither(_) => None,
    };
    if let Some(digest) = digest
        && content.has_revision(repository, &digest)?
        && let Some(manifest) = content.read_manifest(&digest)?
    {
        return Ok(manifest);
    }
    Err(unknown(repository, target))
}

/// `PUT …/manifests/<reference>`; everything that the manifest refers to must exist, so that
/// published images can be pulled. An index requires at least one child: sparse indexes are
/// accepted.
pub(super) async fn put(
    server: &Arc<Server>,
    repository: RepositoryName,
    target: Target,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let tags = tags(&target, parameters)?;
    let bytes = read(headers, body).await?;
    let manifest = parse(bytes, &target, headers)?;
    let accepted = match target {
        Target::Digest(_) => tags.clone(),
        Target::Tag(_) | Target::Neither(_) => Vec::new(),
    };
    let digest = manifest.digest().clone();
    let location = format!("/v2/{repository}/manifests/{digest}");
    let subject = manifest.subject().map(|subject| subject.digest.clone());
    let server = Arc::clone(server);
    hod_bridge::run(move || publish(&server, &repository, &tags, &manifest)).await?;
    let mut response = created(location, &digest);
    for tag in accepted {
        response.headers_mut().append(OCI_TAG, ascii(tag));
    }
    if let Some(subject) = subject {
        // The client does not need to maintain its own list of referrers.
        response.headers_mut().insert(OCI_SUBJECT, ascii(subject));
    }
    Ok(response)
}

/// The tags for a manifest: the tag in the path, or those of `?tag=` if the path has a digest.
fn tags(target: &Target, parameters: &Parameters) -> Result<Vec<Tag>, ApiError> {
    let invalid = |text: &str| {
        let message = format!("`{text}` is not a tag");
        ApiError::new(Code::TagInvalid, message)
    };
    match target {
        Target::Tag(tag) => Ok(vec![tag.clone()]),
        Target::Digest(_) => parameters
            .all("tag")
            .map(|text| text.parse().map_err(|_| invalid(text)))
            .collect(),
        Target::Neither(text) => Err(invalid(text)),
    }
}

/// Reads a manifest's bytes, at most [`MANIFEST_LEN_MAX`] of them.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let too_long = || {
        let message = format!("a manifest has at most {MANIFEST_LEN_MAX} bytes");
        ApiError::new(Code::ManifestTooLong, message)
    };
    if content_length(headers).is_some_and(|len| len > MANIFEST_LEN_MAX) {
        return Err(too_long());
    }
    let mut bytes = BytesMut::new();
    let mut chunks = std::pin::pin!(chunks(body));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if (bytes.len() + chunk.len()) as u64 > MANIFEST_LEN_MAX {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Parses a manifest and checks it against the request.
///
/// Only the bytes are stored, so the media type must be derivable from them.
fn parse(bytes: Bytes, target: &Target, headers: &HeaderMap) -> Result<Manifest, ApiError> {
    let invalid = |message: String| ApiError::new(Code::ManifestInvalid, message);
    let parsed = match target {
        Target::Tag(_) | Target::Neither(_) => Manifest::parse(bytes, None),
        Target::Digest(digest) if digest.matches(&bytes) => {
            Manifest::parse_as(bytes, digest.clone(), None)
        }
        Target::Digest(digest) => {
            let message = format!("the content does not have digest `{digest}`");
            return Err(ApiError::new(Code::DigestInvalid, message));
        }
    };
    let manifest = parsed.map_err(|error| invalid(error.to_string()))?;
    let media_type =
        content_type(&manifest).map_err(|_| invalid("invalid media type".to_owned()))?;
    match header_text(headers, header::CONTENT_TYPE) {
        Some(declared) if !is_media_type(declared, &media_type) => Err(invalid(format!(
            "Content-Type is `{declared}`, but the media type of the manifest is `{}`",
            manifest.media_type()
        ))),
        _ => Ok(manifest),
    }
}

/// Whether a `Content-Type` is the media type, with parameters such as a charset or without.
fn is_media_type(declared: &str, media_type: &HeaderValue) -> bool {
    let essence = declared.split(';').next().unwrap_or_default().trim();
    essence
        .as_bytes()
        .eq_ignore_ascii_case(media_type.as_bytes())
}

fn publish(
    server: &Server,
    repository: &RepositoryName,
    tags: &[Tag],
    manifest: &Manifest,
) -> Result<(), ApiError> {
    let store = server.store()?;
    check_references(store, repository, manifest)?;
    store.write_manifest(manifest)?;
    let untagged = tags.is_empty().then_some(None);
    let publication = |tag| Publication {
        repository: repository.clone(),
        tag,
        top: manifest.digest().clone(),
        manifests: vec![manifest.digest().clone()],
        // Linked when they were pushed, as `check_references` saw.
        blobs: Vec::new(),
    };
    let all_tags = tags.iter().cloned().map(Some).chain(untagged);
    let publications: Vec<Publication> = all_tags.map(publication).collect();
    store.publish(&publications, server.options.durability)?;
    fallback::complete(server, repository, tags)?;
    match manifest.subject() {
        Some(subject) => fallback::update(server, repository, &subject.digest),
        None => Ok(()),
    }
}

/// Refuses a manifest that refers to content that its repository does not have, or with another
/// length than that has; foreign layers, some children of an index and the subject of a referrer
/// need not be there.
fn check_references(
    store: &Store,
    repository: &RepositoryName,
    manifest: &Manifest,
) -> Result<(), ApiError> {
    let (mut absent, mut wrong) = (Vec::new(), Vec::new());
    let (mut n_blobs_absent, mut n_children_present) = (0, 0);
    let mut check = |reference: &Descriptor, len: Option<u64>| {
        let mut detail = json!({"digest": reference.digest});
        let list = match len {
            Some(len) if len == reference.size => return,
            Some(len) => {
                detail["size"] = json!(reference.size);
                detail["actual"] = json!(len);
                &mut wrong
            }
            None => &mut absent,
        };
        if !list.contains(&detail) {
            list.push(detail);
        }
    };
    for blob in manifest.stored_blobs() {
        let is_linked = store.has_layer(repository, &blob.digest)?;
        let len = store.blob_len(&blob.digest)?.filter(|_| is_linked);
        n_blobs_absent += usize::from(len.is_none());
        check(blob, len);
    }
    for child in manifest.children() {
        // Build caches list layers as children.
        let is_linked = store.has_revision(repository, &child.digest)?
            || store.has_layer(repository, &child.digest)?;
        let len = store.blob_len(&child.digest)?.filter(|_| is_linked);
        n_children_present += usize::from(len.is_some());
        check(child, len);
    }
    if !wrong.is_empty() {
        let message = "a size in the manifest is not the size of the blob";
        return Err(ApiError::each(Code::SizeInvalid, message, wrong));
    }
    if absent.is_empty() || n_blobs_absent == 0 && n_children_present > 0 {
        return Ok(());
    }
    Err(ApiError::each(
        Code::ManifestBlobUnknown,
        "the manifest refers to blobs or manifests that are not in this repository",
        absent,
    ))
}

/// `DELETE …/manifests/<reference>`: a tag, or a manifest with the tags that name it. The bytes stay.
pub(super) async fn delete(
    server: &Arc<Server>,
    repository: RepositoryName,
    target: Target,
) -> Result<Response, ApiError> {
    let server = Arc::clone(server);
    hod_bridge::run(move || {
        let store = server.store_to_delete_from()?;
        let deleted = match &target {
            Target::Tag(tag) => store.delete_tag(&repository, tag)?,
            Target::Digest(digest) => {
                let subject = store.subject_of(digest).unwrap_or_default();
                let deleted = store.delete_revision(&repository, digest)?;
                if let Some(subject) = subject.filter(|_| deleted) {
                    fallback::update(&server, &repository, &subject)?;
                }
                deleted
            }
            Target::Neither(_) => false,
        };
        if deleted {
            Ok(())
        } else {
            Err(unknown(&repository, &target))
        }
    })
    .await?;
    Ok(accepted())
}

fn unknown(repository: &RepositoryName, target: &Target) -> ApiError {
    let name = match target {
        Target::Tag(tag) => tag.as_str(),
        Target::Digest(digest) => digest.as_str(),
        Target::Neither(text) => text,
    };
    ApiError::new(
        Code::ManifestUnknown,
        format!("manifest `{name}` not found in `{repository}`"),
    )
}

/// The media type as a header, which JSON's text need not fit.
fn content_type(manifest: &Manifest) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(manifest.media_type().as_str()).map_err(|_| {
        ApiError::new(
            Code::ManifestUnknown,
            "the manifest's media type is not text",
        )
    })
}
