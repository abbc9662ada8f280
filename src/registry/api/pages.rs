//! Lists in pages, each with a link to the next.

use reqwest::header::LINK;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use crate::login::session::Session;
use crate::login::target::Target;
use crate::wire::endpoint::{resolve, same_origin};
use crate::wire::transport::{Answer, Call};
use crate::{RegistryError, RequestLine};

/// The longest page, in bytes.
const PAGE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Maximum number of pages; a longer list is taken to be endless.
pub(crate) const PAGES_MAX: usize = 1000;
/// Maximum number of bytes of all pages of a list.
const LIST_LEN_MAX: usize = 64 * 1024 * 1024;

/// Describes a list, for choosing the login and for messages.
pub(crate) struct Listed<'a> {
    pub(crate) target: Target<'a>,
    /// The name of the list in messages about retries.
    pub(crate) what: &'a str,
    /// The problem with an answer that is not such a list.
    pub(crate) problem: &'static str,
}

/// Hands every page of a list to `take`, in the registry's order.
pub(crate) async fn read_pages<T: DeserializeOwned>(
    session: &Session,
    listed: &Listed<'_>,
    first: Url,
    mut take: impl FnMut(T),
) -> Result<(), RegistryError> {
    let mut next = Some(first);
    let (mut n_pages, mut len) = (0, 0);
    while let Some(url) = next {
        let request = || Box::new(RequestLine::new(&Method::GET, &url));
        if n_pages == PAGES_MAX {
            return Err(RegistryError::Endless {
                request: request(),
                n_max: PAGES_MAX,
                what: "pages",
            });
        }
        let (page, more, page_len) = fetch_page(session, listed, url.clone()).await?;
        len += page_len;
        if len > LIST_LEN_MAX {
            return Err(RegistryError::Endless {
                request: request(),
                n_max: LIST_LEN_MAX,
                what: "bytes",
            });
        }
        take(page);
        n_pages += 1;
        next = more;
    }
    Ok(())
}

async fn fetch_page<T: DeserializeOwned>(
    session: &Session,
    listed: &Listed<'_>,
    url: Url,
) -> Result<(T, Option<Url>, usize), RegistryError> {
    let call = Call::new(Method::GET, url);
    session
        .retry(listed.what, || async {
            let answer = session.send(&listed.target, &call).await?;
            if answer.status() != 200 {
                return Err(session.refusal(&listed.target, answer).await);
            }
            let next = next_page(&answer, &call.url);
            let (page, len) = read_list(answer, listed.problem).await?;
            Ok((page, next, len))
        })
        .await
}

/// Reads one page and returns it with its length; `problem` describes an answer that is not a page.
pub(crate) async fn read_list<T: DeserializeOwned>(
    answer: Answer,
    problem: &'static str,
) -> Result<(T, usize), RegistryError> {
    let request = answer.line.clone();
    let bytes = answer.read(PAGE_LEN_MAX).await?;
    match serde_json::from_slice(&bytes) {
        Ok(page) => Ok((page, bytes.len())),
        Err(_) => Err(RegistryError::Protocol { request, problem }),
    }
}

/// Returns the URL of the page after the one at `asked`.
///
/// It must have the same origin, since the login is sent with the request.
pub(crate) fn next_page(answer: &Answer, asked: &Url) -> Option<Url> {
    let link = answer.header(LINK).and_then(next_link)?;
    let next = resolve(&answer.url, link)?;
    (same_origin(&next, asked) && next != *asked).then_some(next)
}

/// The target of the link whose relation is `next` (RFC 8288).
pub(crate) fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, params) = link.trim().strip_prefix('<')?.split_once('>')?;
        params
            .split(';')
            .any(|param| {
                let param: String = param.split_whitespace().collect();
                matches!(
                    param.to_ascii_lowercase().as_str(),
                    "rel=next" | "rel=\"next\""
                )
            })
            .then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_of_that_relation() {
        #[track_caller]
        fn check(header: &str, expect: Option<&str>) {
            assert_eq!(next_link(header), expect, "{header}");
        }
        check(
            r#"</v2/a/tags/list?last=z&n=2>; rel="next""#,
            Some("/v2/a/tags/list?last=z&n=2"),
        );
        check(r"<b>;rel=next", Some("b"));
        check(r#"<a>; rel="prev", <b>; title=x; REL = "Next""#, Some("b"));
        check(r#"<a>; rel="prev""#, None);
        check("a; rel=next", None);
        check("", None);
    }
}
