//! The root of the API, `GET /v2/`: the one place that decides whether a host is a registry.
//!
//! A success status alone proves nothing: a health check, a development server or a proxy's block
//! page answers 200 to every request. A registry is known by its version header, by a challenge to
//! log in, by an error in the specification's form, or by not having a blob that cannot exist.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::error::meaning::Meaning;
use crate::login::context::Context;
use crate::wire::endpoint::object_url;
use crate::wire::transport::{Answer, Call};
use crate::{RegistryError, Repo, RequestLine, SafeUrl};
use hod_oci::Registry;

/// Number of bytes of a body that are read to recognise it.
const START_LEN_MAX: usize = 4096;

/// A repository and a blob that do not exist in any registry.
const ABSENT_REPOSITORY: &str = "hod/absent";
const ABSENT_BLOB: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Fails unless an answer to `GET /v2/` comes from a registry; refusals (401, 403, 5xx) are
/// left to the caller.
///
/// One request follows where the answer alone proves nothing, with the same `authorization`.
/// Quay sends its `true` as a web page, so the content decides.
pub(crate) async fn require_registry(
    context: &Context,
    registry: &Registry,
    answer: &mut Answer,
    authorization: Option<&HeaderValue>,
) -> Result<(), RegistryError> {
    let found = match answer.status() {
        200 if !matches!(answer.url.path(), "/v2/" | "/v2") => {
            format!("it redirects to `{}`", SafeUrl::new(&answer.url))
        }
        status @ (200 | 404) => {
            let start = start_of_body(answer).await?;
            if let Some(page) = WebPage::parse(&start) {
                page.found(status)
            } else if status == 200 && is_error_of_spec(&start) {
                "it answers 200 with an error in its body".to_owned()
            } else if is_proven(context, registry) || vouches(answer, &start) {
                context.memory(registry).prove();
                return Ok(());
            } else if status == 404 {
                "it answers 404 where a registry answers 200 or 401".to_owned()
            } else {
                match ask_for_absent_blob(context, registry, authorization).await? {
                    None => return Ok(()),
                    Some(found) => found,
                }
            }
        }
        status @ 100..=399 => {
            format!("it answers {status} where a registry answers 200 or 401")
        }
        _ => return Ok(()),
    };
    Err(RegistryError::NotARegistry {
        request: answer.line.clone(),
        found,
    })
}

/// Whether a registry has proved in this run to be one.
pub(crate) fn is_proven(context: &Context, registry: &Registry) -> bool {
    context.memory(registry).is_proven()
}

/// Notes whether the answer 404 to a GET proves that a registry sent it.
pub(crate) async fn note_absence(context: &Context, registry: &Registry, mut answer: Answer) {
    // The status decides, even if its explanation cannot be read.
    if !is_proven(context, registry)
        && let Ok(start) = start_of_body(&mut answer).await
        && vouches(&answer, &start)
    {
        context.memory(registry).prove();
    }
}

/// Asks for a blob that cannot exist, and returns what a server that is not a registry does.
async fn ask_for_absent_blob(
    context: &Context,
    registry: &Registry,
    authorization: Option<&HeaderValue>,
) -> Result<Option<String>, RegistryError> {
    let repo = Repo {
        registry: registry.clone(),
        name: ABSENT_REPOSITORY.parse().expect("two words are a name"),
    };
    let url = object_url(&context.root(registry)?, &repo, "blobs", ABSENT_BLOB);
    let call = Call::new(Method::HEAD, url);
    let answer = context.transport.send(&call, authorization).await?;
    let status = answer.status();
    if answer.meaning() == Meaning::Success {
        return Ok(Some(format!(
            "it answers {status} to a request for a blob that does not exist"
        )));
    }
    if answer.is_page() {
        return Ok(Some(WebPage { title: None }.found(status)));
    }
    if matches!(status, 400..=499) {
        context.memory(registry).prove();
    }
    Ok(None)
}

/// The error for an answer that is a web page where a registry would have sent something else.
pub(crate) async fn page_of(mut answer: Answer) -> RegistryError {
    // The answer is a page, whether or not its title can be read.
    let start = start_of_body(&mut answer).await.unwrap_or_default();
    let status = answer.status();
    not_a_registry(answer.line, status, &start)
}

/// The error for a web page with this body.
pub(crate) fn not_a_registry(request: Box<RequestLine>, status: u16, body: &[u8]) -> RegistryError {
    let page = WebPage::parse(body).unwrap_or(WebPage { title: None });
    RegistryError::NotARegistry {
        found: page.found(status),
        request,
    }
}

/// Whether an answer with this body can come only from a registry.
fn vouches(answer: &Answer, body: &[u8]) -> bool {
    says_version(answer) || is_error_of_spec(body)
}

/// Whether an answer has the header by which registries are known.
pub(crate) fn says_version(answer: &Answer) -> bool {
    answer.header("docker-distribution-api-version").is_some()
}

/// Whether a body is an error in the form that the specification gives it.
fn is_error_of_spec(body: &[u8]) -> bool {
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    parsed.is_ok_and(|value| {
        let errors = value["errors"].as_array();
        errors.is_some_and(|errors| errors.iter().any(|error| error["code"].is_string()))
    })
}

async fn start_of_body(answer: &mut Answer) -> Result<Vec<u8>, RegistryError> {
    let mut start = Vec::new();
    while start.len() < START_LEN_MAX
        && let Some(chunk) = answer.chunk().await?
    {
        start.extend_from_slice(&chunk[..chunk.len().min(START_LEN_MAX - start.len())]);
    }
    Ok(start)
}

/// A web page.
struct WebPage {
    title: Option<String>,
}

impl WebPage {
    /// Reads the start of what may be a web page.
    fn parse(start: &[u8]) -> Option<Self> {
        let start = &start[..start.len().min(START_LEN_MAX)];
        let text = String::from_utf8_lossy(start);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let lower = text.to_ascii_lowercase();
        let is_page = ["<!doctype", "<html", "<head", "<body", "<!--", "<?xml"]
            .iter()
            .any(|tag| lower.starts_with(tag));
        is_page.then(|| Self {
            title: crate::error::element(text, "title"),
        })
    }

    /// Describes the answer of a host that is not a registry.
    fn found(&self, status: u16) -> String {
        match &self.title {
            Some(title) => format!("it answers {status} with the web page \"{title}\""),
            None => format!("it answers {status} with a web page"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_pages_are_known_by_their_start() {
        #[track_caller]
        fn check(text: &str, expect: Result<&str, &str>) {
            let actual = WebPage::parse(text.as_bytes()).map(|page| page.title.unwrap_or_default());
            let actual = actual.as_deref().ok_or("not a page");
            assert_eq!(actual, expect, "{text}");
        }
        for text in ["{}", "true", "", "[1 < 2]"] {
            check(text, Err("not a page"));
        }
        check("<!DOCTYPE html>\n<HTML>", Ok(""));
        check(
            "\u{feff}\n<html><head><TITLE>\n Access denied </title>",
            Ok("Access denied"),
        );
        check("<html><title lang=\"en\">Sign in</title>", Ok("Sign in"));
        check("<html><title>cut", Ok(""));
    }

    #[test]
    fn only_errors_of_the_specification_vouch() {
        for (body, expect) in [
            (r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, true),
            (r#"{"errors":[{},{"code":"X","message":"y"}]}"#, true),
            (r#"{"errors":[]}"#, false),
            (r#"{"errors":[{"code":404}]}"#, false),
            (r#"{"errors":"none"}"#, false),
            (r#"{"error":"not found"}"#, false),
            ("404 page not found", false),
            ("", false),
        ] {
            assert_eq!(is_error_of_spec(body.as_bytes()), expect, "{body}");
        }
    }
}
