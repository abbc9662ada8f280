//! What Harbor answers while its database is down: not that it is in trouble, but 401.

use axum::response::Response;
use serde_json::json;

use super::core::bearer_challenge;
use super::{answer as plain, error};
use crate::registry::Seen;

const MESSAGE: &str = "failed to connect to `user=harbor database=registry`: 127.0.0.1:15432 \
                       (127.0.0.1): dial error: dial tcp 127.0.0.1:15432: connect: connection refused";

/// The answer to a request that needs the database; `None` for the others. Of the requests that
/// write, every other one, by `n`, fails later and says so.
pub(super) fn answer(host: &str, seen: &Seen, n: usize) -> Option<Response> {
    let method = seen.method.as_str();
    let is_safe = matches!(method, "GET" | "HEAD");
    let has_login = seen.header("authorization").is_some();
    let query = seen.query.as_deref().unwrap_or_default();
    match seen.path.as_str() {
        "/service/token" if query.contains("scope=") => Some(anonymous_token(query)),
        "/service/token" => Some(plain(401, "")),
        "/v2/" => Some(refused(if has_login {
            "Basic realm=\"harbor\""
        } else {
            return None;
        })),
        path if path.starts_with("/v2/") => {
            if is_safe && !has_login {
                return Some(refused(&bearer_challenge(host, seen, "http")));
            }
            Some(if is_safe || n % 2 == 1 {
                refused("")
            } else {
                error(500, "UNKNOWN", "internal server error")
            })
        }
        "/api/v2.0/systeminfo" | "/api/v2.0/ping" | "/api/version" => None,
        _ => Some(error(401, "UNAUTHORIZED", "unauthorized")),
    }
}

fn refused(challenge: &str) -> Response {
    let mut response = error(401, "UNAUTHORIZED", MESSAGE);
    let challenge = challenge.parse().unwrap();
    response.headers_mut().insert("www-authenticate", challenge);
    response
}

/// A token that allows nothing: nobody's login can be looked up.
fn anonymous_token(query: &str) -> Response {
    let token = super::api::encode_token("", &json!([]), query.len() as u64);
    let body = json!({"token": token, "expires_in": 1800, "issued_at": "2026-11-24T12:00:00Z"});
    plain(200, body.to_string())
}
