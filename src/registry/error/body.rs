//! What a registry says of its refusal (distribution-spec, "Error Codes"), or what a proxy, a token
//! server or a storage says in its place.

use std::fmt;

use serde_json::Value;

use super::quoted::{element, presentable_text};
use crate::error::harbor::{Cause, HarborRefusal};
use hod_oci::Digest;
use hod_report::presentable;

/// Maximum number of errors of one answer that are shown.
const ERRORS_SHOWN_MAX: usize = 4;
/// Maximum number of digests of one answer that are shown.
const DIGESTS_SHOWN_MAX: usize = 3;

/// The explanation in an error response: `{"errors":[{"code","message","detail"}]}`, another JSON,
/// XML, a web page, plain text, or nothing usable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// The code of the first error, `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// The message of the first error.
    pub message: Option<String>,
    /// Whether the first error has a `detail`.
    pub(crate) has_detail: bool,
    /// Rare details; boxed to keep errors small.
    pub(crate) details: Option<Box<Details>>,
}

/// Details that only some answers have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Details {
    /// All that is said besides the first code and message.
    more: String,
    /// The title of the web page that was sent.
    page: Option<String>,
    /// The digests of what a manifest names and its repository lacks.
    pub(crate) missing: Vec<Digest>,
    /// Whether the token that was sent is valid, and not for what was requested.
    pub(crate) is_scope_insufficient: bool,
    /// Details from a Harbor; `None` at any other registry.
    pub(crate) harbor: Option<HarborRefusal>,
}

/// One error of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    detail: Option<String>,
    digests: Vec<Digest>,
}

impl ErrorBody {
    /// Details from a Harbor.
    pub(crate) fn harbor(&self) -> Option<&HarborRefusal> {
        self.details.as_ref()?.harbor.as_ref()
    }

    /// Whether it is the answer of a Harbor whose database is down.
    pub(crate) fn is_database_down(&self) -> bool {
        self.harbor()
            .is_some_and(|harbor| harbor.cause == Cause::DatabaseDown)
    }

    /// By which the registry's own logs know the request.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.harbor()?.request_id.as_deref()
    }

    /// Whether a web page was sent.
    pub(crate) fn is_page(&self) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.page.is_some())
    }

    /// Whether a message contains `text`, which is in lower case.
    pub(crate) fn says(&self, text: &str) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        let more = self.details.as_ref().map(|details| &*details.more);
        let is_in = |said: &str| said.to_ascii_lowercase().contains(text);
        is_in(message) || more.is_some_and(is_in)
    }

    /// Reads a body of any kind; one field of an odd type does not hide the others.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let value = serde_json::from_slice::<Value>(bytes).ok();
        let has_detail = value
            .as_ref()
            .is_some_and(|value| !value["errors"][0]["detail"].is_null());
        let (said, page) = match value {
            Some(value) => (errors_of(&value), None),
            None => other_text(&text),
        };
        let missing: Vec<Digest> = said
            .iter()
            .filter(|error| error.code.as_deref() == Some("MANIFEST_BLOB_UNKNOWN"))
            .flat_map(|error| error.digests.iter().cloned())
            .collect();
        let more = more(&said);
        let first = said.into_iter().next().unwrap_or_default();
        let details = Details {
            more,
            page,
            missing,
            ..Details::default()
        };
        Self {
            code: first.code,
            message: first.message,
            has_detail,
            details: (details != Details::default()).then(|| Box::new(details)),
        }
    }
}

/// The explanation of the other side; empty when there is none.
impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, "{code}: {message}")?,
            (Some(text), None) | (None, Some(text)) => f.write_str(text)?,
            (None, None) => {}
        }
        let Some(details) = &self.details else {
            return Ok(());
        };
        if let Some(page) = &details.page {
            write!(f, "web page \"{page}\"")?;
        }
        f.write_str(&details.more)
    }
}

/// A refusal as the registry words it, `401 UNAUTHORIZED: ...`, otherwise the name of the status.
pub(crate) fn in_words(status: u16, body: &ErrorBody) -> String {
    let reason = reqwest::StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("without a reason");
    let said = body.to_string();
    let said = match body.is_page() {
        _ if said.is_empty() => reason.to_owned(),
        false => said,
        // Titles of error pages repeat the status.
        true if said.contains(reason) => reason.to_owned(),
        true => format!("{reason}: {said}"),
    };
    match body.request_id() {
        Some(id) => format!("{status} {said} (request {id})"),
        None => format!("{status} {said}"),
    }
}

/// The errors of a JSON answer: the specification's, else those of token servers and proxies.
fn errors_of(value: &Value) -> Vec<Said> {
    let listed: Vec<Said> = match &value["errors"] {
        Value::Array(errors) => errors.iter().map(Said::of).collect(),
        Value::Null => Vec::new(),
        error => vec![Said::of(error)],
    };
    let mut said: Vec<Said> = Vec::new();
    for error in listed.into_iter().filter(|error| !error.is_empty()) {
        // distribution has one error for each missing blob.
        let same = said.iter_mut().find(|other| {
            other.code == error.code
                && other.message == error.message
                && other.detail == error.detail
        });
        match same {
            Some(other) => other.digests.extend(error.digests),
            None => said.push(error),
        }
    }
    if said.is_empty() {
        let alone = Said::of(value);
        said.extend((!alone.is_empty()).then_some(alone));
    }
    said
}

impl Said {
    fn of(value: &Value) -> Self {
        if let Value::String(text) = value {
            return Self {
                message: presentable(text),
                ..Self::default()
            };
        }
        // `{"error":{"code":"x","message":"y"}}`
        if value["error"].is_object() {
            return Self::of(&value["error"]);
        }
        let text = |names: &[&str]| names.iter().find_map(|name| scalar(&value[*name]));
        let message = text(&[
            "message",
            "Message",
            "error_description",
            "msg",
            "title",
            "reason",
        ]);
        let (code, message) = match (text(&["code", "Code"]), message, text(&["error"])) {
            (None, Some(message), Some(error)) => (Some(error), Some(message)),
            (code, None, Some(error)) => (code, Some(error)),
            (code, message, _) => (code, message),
        };
        let message = message.map(|message| halved(&message).to_owned());
        let mut digests = Vec::new();
        let mut detail = None;
        for name in ["detail", "details", "Detail"] {
            let value = &value[name];
            digests.extend(digests_of(value));
            detail = detail.or_else(|| detail_of(value));
        }
        let is_new = |text: &String| {
            let is_digest = digests.iter().any(|digest| digest.to_string() == *text);
            !is_digest
                && message
                    .as_ref()
                    .is_none_or(|message| !message.contains(text.as_str()))
        };
        let detail = detail.filter(is_new);
        let (message, detail) = match message {
            None => (detail, None),
            message => (message, detail),
        };
        Self {
            code,
            message,
            detail,
            digests,
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Everything besides code and message: ` (detail; sha256:...)`.
    fn rest(&self) -> String {
        let message = self.message.as_deref().unwrap_or_default();
        let shown = self.digests.iter().map(ToString::to_string);
        let shown: Vec<String> = shown.filter(|digest| !message.contains(digest)).collect();
        let mut parts: Vec<String> = self.detail.clone().into_iter().collect();
        parts.extend(shown.iter().take(DIGESTS_SHOWN_MAX).cloned());
        if shown.len() > DIGESTS_SHOWN_MAX {
            parts.push(format!("and {} more", shown.len() - DIGESTS_SHOWN_MAX));
        }
        if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join(", "))
        }
    }
}

/// All that `said` has besides the first code and message.
fn more(said: &[Said]) -> String {
    let Some((first, others)) = said.split_first() else {
        return String::new();
    };
    let mut text = first.rest();
    for error in others.iter().take(ERRORS_SHOWN_MAX - 1) {
        let both = [error.code.as_deref(), error.message.as_deref()];
        let both: Vec<&str> = both.into_iter().flatten().collect();
        text.push_str("; ");
        text.push_str(&both.join(": "));
        text.push_str(&error.rest());
    }
    let n_hidden = said.len().saturating_sub(ERRORS_SHOWN_MAX);
    if n_hidden > 0 {
        text = format!("{text}; and {n_hidden} more errors");
    }
    text
}

/// A text or a number.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => presentable(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text in `detail`, which may be a text, or an object with a message in it.
fn detail_of(value: &Value) -> Option<String> {
    if let Value::Array(values) = value {
        return values.iter().find_map(detail_of);
    }
    scalar(value).or_else(|| {
        let names = ["message", "Message", "error", "reason", "Err", "detail"];
        names.iter().find_map(|name| scalar(&value[*name]))
    })
}

/// The digests in `detail`: as such, in a field, or in a list of such.
fn digests_of(value: &Value) -> Vec<Digest> {
    if let Value::Array(values) = value {
        return values.iter().flat_map(digests_of).collect();
    }
    let fields = [value, &value["digest"], &value["Digest"], &value["blob"]];
    let texts = fields.into_iter().filter_map(Value::as_str);
    texts.filter_map(|text| text.parse().ok()).take(1).collect()
}

/// The message, once: Harbor has some twice, as `X: X`.
fn halved(message: &str) -> &str {
    let middle = message.len() / 2;
    let start = middle.saturating_sub(1);
    match (message.get(..start), message.get(start..)) {
        (Some(first), Some(rest)) if rest.strip_prefix(": ") == Some(first) => first,
        _ => message,
    }
}

/// The message in an answer that is not JSON, and the title of a web page.
fn other_text(text: &str) -> (Vec<Said>, Option<String>) {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if !trimmed.starts_with('<') {
        let is_text = !trimmed.contains('\u{fffd}')
            && !trimmed.contains(|c: char| c.is_control() && !c.is_whitespace());
        let message = presentable_text(trimmed).filter(|_| is_text);
        let said = message.map(|message| Said {
            message: Some(message),
            ..Said::default()
        });
        return (said.into_iter().collect(), None);
    }
    if let Some(message) = element(trimmed, "message") {
        let said = Said {
            code: element(trimmed, "code"),
            message: Some(message),
            ..Said::default()
        };
        return (vec![said], None);
    }
    let page = element(trimmed, "title").or_else(|| element(trimmed, "h1"));
    (Vec::new(), page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_other_side_says_is_quoted() {
        #[track_caller]
        fn check(body: &str, expect: &str) {
            assert_eq!(
                ErrorBody::parse(body.as_bytes()).to_string(),
                expect,
                "{body}"
            );
        }
        let digest = |c: &str| format!("sha256:{}", c.repeat(64));
        // distribution, Harbor, Quay, Pulp
        check(
            r#"{"errors":[{"code":"DENIED","message":"requested access"}]}"#,
            "DENIED: requested access",
        );
        check(
            r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"message":"failed to parse"}}]}"#,
            "MANIFEST_INVALID: manifest invalid (failed to parse)",
        );
        check(
            r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":"no config"}]}"#,
            "MANIFEST_INVALID: manifest invalid (no config)",
        );
        check(
            r#"{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two","detail":"why"},{"message":"three"}]}"#,
            "A: one; B: two (why); three",
        );
        let unknown = |c: &str| {
            format!(
                r#"{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"{}"}}"#,
                digest(c)
            )
        };
        check(
            &format!(r#"{{"errors":[{},{}]}}"#, unknown("a"), unknown("b")),
            &format!(
                "MANIFEST_BLOB_UNKNOWN: blob unknown to registry ({}, {})",
                digest("a"),
                digest("b")
            ),
        );
        check(
            &format!(
                r#"{{"errors":[{{"code":"BLOB_UNKNOWN","detail":{{"digest":"{}"}}}}]}}"#,
                digest("c")
            ),
            &format!("BLOB_UNKNOWN ({})", digest("c")),
        );
        check(r#"{"errors":[{"code":"X","message":"no: no"}]}"#, "X: no");
        // One field of an odd type does not hide the rest.
        check(
            r#"{"errors":[{"code":17,"message":"m","detail":{"Tag":1}},7]}"#,
            "17: m",
        );
        check(
            r#"{"errors":[{"code":null,"message":["x"],"detail":"d"}]}"#,
            "d",
        );
        check(r#"{"errors":"x"}"#, "x");
        check(r#"{"errors":{"message":"m"}}"#, "m");
        // Token servers, proxies, frameworks
        check(
            r#"{"details":"incorrect username or password"}"#,
            "incorrect username or password",
        );
        check(
            r#"{"error":"invalid_grant","error_description":"bad password"}"#,
            "invalid_grant: bad password",
        );
        check(r#"{"message":"rate limited"}"#, "rate limited");
        check(r#"{"error":"boom"}"#, "boom");
        check(r#"{"error":{"code":503,"message":"busy"}}"#, "503: busy");
        check(
            r#"{"status":404,"title":"Not Found","detail":"no such page"}"#,
            "Not Found (no such page)",
        );
        // Storage
        check(
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message><HostId>x</HostId></Error>",
            "AccessDenied: Request has expired",
        );
        // Pages and plain text
        check(
            "<html><head><title>Blocked by policy</title></head>",
            "web page \"Blocked by policy\"",
        );
        check("<html><h1>It works!</h1>", "web page \"It works!\"");
        check("404 page not found\n", "404 page not found");
        check("", "");
        check("{}", "");
        check("[]", "");
        check("\u{1f}\u{8b}\u{8}binary", "");
        check("<html>", "");
        let long = "y".repeat(1000);
        check(&long, &format!("{}…", &long[..200]));
    }

    #[test]
    fn a_message_that_repeats_itself_is_halved() {
        let check = |message: &str, expect: &str| assert_eq!(halved(message), expect);
        check(
            "project x not found: project x not found",
            "project x not found",
        );
        check("a: b: a: b", "a: b");
        check("a: b", "a: b");
        check("é: é", "é");
        check("é: e", "é: e");
        check(": ", "");
        check("", "");
    }

    #[test]
    fn many_errors_are_cut_short() {
        let error = r#"{"code":"C#","message":"m"}"#;
        let errors: Vec<String> = (0..9).map(|n| error.replace('#', &n.to_string())).collect();
        let body = format!(r#"{{"errors":[{}]}}"#, errors.join(","));
        assert_eq!(
            ErrorBody::parse(body.as_bytes()).to_string(),
            "C0: m; C1: m; C2: m; C3: m; and 5 more errors"
        );
    }
}
