//! Referrers (distribution-spec 1.1, "Listing Referrers"): found by reading the manifests of a
//! repository, since the tree has no list of them.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use hod_oci::{
    Digest, MANIFEST_LEN_MAX, MediaType, ReferrerEntry, RepositoryName, referrers_index,
};

use super::content::Content;
use super::error::ApiError;
use super::reply::{OCI_FILTERS_APPLIED, Parameters, ascii, empty};
use super::state::Server;

/// Maximum number of referrers in one answer, and maximum length in bytes, which is also what a
/// client reads of a manifest.
const PAGE_ENTRIES_MAX: usize = 1000;
const PAGE_LEN_MAX: usize = 3 * 1024 * 1024;
/// `GET …/referrers/<digest>?artifactType=&last=`: an index, empty if the digest has no referrers,
/// whether it exists or not.
pub(super) async fn list(
    server: &Arc<Server>,
    repository: RepositoryName,
    subject: Digest,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let artifact_type = parameters.get("artifactType").map(str::to_owned);
    let last = parameters.get("last").map(str::to_owned);
    let path = format!("/v2/{repository}/referrers/{subject}");
    let is_filtered = artifact_type.is_some();
    let server = Arc::clone(server);
    let filter = artifact_type.clone();
    let (entries, next) = hod_bridge::run(move || {
        let about = server
            .subjects
            .about(&server.content, &repository, &subject)?;
        // Sorted by digest, so that the last entry of a page determines the next page.
        let rest = about.into_iter().filter(|digest| {
            last.as_ref()
                .is_none_or(|last| digest.as_str() > last.as_str())
        });
        page(&server.content, rest, filter.as_deref())
    })
    .await?;
    let mut response = empty(
        StatusCode::OK,
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static(MediaType::OCI_INDEX),
        )],
    );
    *response.body_mut() = Body::from(referrers_index(entries));
    if is_filtered {
        let name = HeaderValue::from_static("artifactType");
        response.headers_mut().insert(OCI_FILTERS_APPLIED, name);
    }
    if let Some(last) = next {
        let filter = artifact_type.map_or(String::new(), |text| {
            format!("&artifactType={}", percent_encode(&text))
        });
        let link = ascii(format_args!("<{path}?last={last}{filter}>; rel=\"next\""));
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The entries of one page, and the digest of the last if there are more.
fn page(
    content: &Content,
    about: impl Iterator<Item = Digest>,
    artifact_type: Option<&str>,
) -> Result<(Vec<ReferrerEntry>, Option<Digest>), ApiError> {
    let mut entries: Vec<ReferrerEntry> = Vec::new();
    let (mut len, mut last) = (0, None);
    for digest in about {
        let Some(manifest) = content.read_manifest(&digest)? else {
            continue;
        };
        let entry = ReferrerEntry::of(&manifest);
        if artifact_type.is_some_and(|wanted| entry.artifact_type() != Some(wanted)) {
            continue;
        }
        // No entry is longer than its manifest by more than its own fields.
        let entry_len = manifest.bytes().len() + 512;
        let is_full = entries.len() >= PAGE_ENTRIES_MAX || len + entry_len > PAGE_LEN_MAX;
        if is_full && !entries.is_empty() {
            return Ok((entries, last));
        }
        len += entry_len;
        last = Some(digest);
        entries.push(entry);
    }
    Ok((entries, None))
}

/// Escapes characters for a query; media types rarely require it.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes all text");
        }
    }
    encoded
}

const _: () = assert!((PAGE_LEN_MAX as u64) < MANIFEST_LEN_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_fit_a_query() {
        assert_eq!(
            percent_encode("a/b.c+json; x=\"y\""),
            "a/b.c%2Bjson%3B%20x%3D%22y%22"
        );
    }
}
