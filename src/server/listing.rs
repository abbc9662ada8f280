//! Tags and repositories, in pages (distribution-spec 1.1, "Listing Tags"; the catalog is
//! distribution's own).

use std::sync::Arc;

use axum::http::header;
use axum::response::Response;
use serde_json::json;

use hod_oci::RepositoryName;

use super::error::{ApiError, Code};
use super::reply::{Parameters, ascii, json as reply_json};
use super::state::Server;

/// `GET …/tags/list?n=&last=`, in the order of the bytes.
pub(super) async fn tags(
    server: &Arc<Server>,
    repository: RepositoryName,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let (content, name) = (server.content.clone(), repository.clone());
    let tags = hod_bridge::run(move || {
        let tags = content.tags(&name)?;
        if tags.is_empty() && content.revisions(&name)?.is_empty() {
            let message = format!("repository `{name}` not found");
            return Err(ApiError::new(Code::NameUnknown, message));
        }
        Ok(tags)
    })
    .await?;
    let tags = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    let page = Page::cut(tags, parameters)?;
    let body = json!({"name": repository, "tags": page.names});
    Ok(page.answer(&format!("/v2/{repository}/tags/list"), &body))
}

/// `GET /v2/_catalog?n=&last=`.
pub(super) async fn catalog(
    server: &Arc<Server>,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let content = server.content.clone();
    let repositories = hod_bridge::run(move || content.repositories()).await?;
    let names = repositories
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect();
    let page = Page::cut(names, parameters)?;
    let body = json!({"repositories": page.names});
    Ok(page.answer("/v2/_catalog", &body))
}

/// One page of a sorted list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    names: Vec<String>,
    /// The parameters of the next page, if there is one.
    next: Option<String>,
}

impl Page {
    /// Returns the requested page: all names, unless the parameters limit the number.
    fn cut(mut names: Vec<String>, parameters: &Parameters) -> Result<Self, ApiError> {
        names.sort_unstable();
        if let Some(last) = parameters.get("last") {
            names.retain(|name| name.as_str() > last);
        }
        let Some(n) = parameters.get("n") else {
            return Ok(Self { names, next: None });
        };
        let n: usize = n.parse().map_err(|_| {
            ApiError::new(
                Code::PageInvalid,
                format!("`{n}` is not a number of results"),
            )
        })?;
        let has_more = names.len() > n;
        names.truncate(n);
        let next = names
            .last()
            .filter(|_| has_more)
            .map(|last| format!("last={last}&n={n}"));
        Ok(Self { names, next })
    }

    fn answer(&self, path: &str, body: &serde_json::Value) -> Response {
        let mut response = reply_json(body);
        if let Some(next) = &self.next {
            // Tags and names have no character that a URL must escape.
            let link = ascii(format_args!("<{path}?{next}>; rel=\"next\""));
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        #[track_caller]
        fn check(query: &str, names: &[&str], next: Option<&str>) {
            let uri = format!("/v2/_catalog?{query}").parse().unwrap();
            let all = ["b", "c", "a"].map(str::to_owned).to_vec();
            let page = Page::cut(all, &Parameters::of(&uri).unwrap()).unwrap();
            assert_eq!(
                (page.names, page.next.as_deref()),
                (names.iter().map(|&n| n.to_owned()).collect(), next),
                "{query}"
            );
        }
        check("", &["a", "b", "c"], None);
        check("n=2", &["a", "b"], Some("last=b&n=2"));
        check("n=2&last=b", &["c"], None);
        check("n=3", &["a", "b", "c"], None);
        check("n=0", &[], None);
        check("last=zz&n=1", &[], None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let uri = "/v2/_catalog?n=x".parse().unwrap();
        let error = Page::cut(Vec::new(), &Parameters::of(&uri).unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::PageInvalid);
    }
}
