//! What core does with `/v2/` before and after the backend (facts.md 4 to 8).

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hod_oci::Digest;
use serde_json::{Value, json};

use super::{Account, HarborState, Shared, answer as plain, error};
use crate::faults::{manifest_path, upload_path};
use crate::registry::Seen;

pub(super) const READ_ONLY: &str =
    "The system is in read only mode. Any modification is prohibited.";

/// What a request is about.
struct About {
    repository: String,
    project: String,
    /// Tag, digest, or what else the path ends in.
    last: String,
    /// Digest and repository of a mount.
    mount: Option<(String, String)>,
}

/// Who sent a request.
enum Principal {
    Nobody,
    User(Account),
    Token(super::Token),
}

pub(super) async fn answer(shared: &Shared, seen: &Seen, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_manifest = seen.method == "PUT" && manifest_path(&seen.path);
    let (body, bytes) = if is_manifest {
        let bytes = axum::body::to_bytes(body, 8 << 20).await.unwrap();
        (Body::from(bytes.clone()), bytes)
    } else {
        (body, bytes::Bytes::new())
    };
    let about = {
        let mut state = shared.state.lock().unwrap();
        before(&mut state, &shared.host, seen, &bytes)
    };
    let about = match about {
        Ok(about) => about,
        Err(response) => {
            // The proxy in front of core takes the rest of what is sent.
            let _ = axum::body::to_bytes(body, usize::MAX).await;
            return *response;
        }
    };
    let sends_blob = matches!(seen.method.as_str(), "PUT" | "PATCH") && upload_path(&seen.path);
    if sends_blob {
        let mut state = shared.state.lock().unwrap();
        state.n_uploading += 1;
        state.n_uploading_max = state.n_uploading_max.max(state.n_uploading);
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let mut state = shared.state.lock().unwrap();
    if sends_blob {
        state.n_uploading -= 1;
    }
    if let (true, Some(about)) = (response.status().is_success(), about) {
        after(
            &mut state,
            seen,
            (&about, &bytes, response.status().as_u16()),
        );
    }
    let location = response.headers().get("location").cloned();
    if let Some(location) = location.and_then(|l| l.to_str().map(str::to_owned).ok())
        && location.starts_with('/')
    {
        let host = seen.header("host").unwrap_or_default();
        let absolute = format!("http://{host}{location}");
        response
            .headers_mut()
            .insert("location", absolute.parse().unwrap());
    }
    response
}

pub(super) type Checked<T> = Result<T, Box<Response>>;

pub(super) fn refuse<T>(status: u16, code: &str, message: &str) -> Checked<T> {
    Err(Box::new(error(status, code, message)))
}

fn unauthorized<T>(challenge: &str, message: &str) -> Checked<T> {
    let mut response = error(401, "UNAUTHORIZED", message);
    let challenge = challenge.parse().unwrap();
    response.headers_mut().insert("www-authenticate", challenge);
    Err(Box::new(response))
}

/// The challenge to a request without a login. The host of the realm is the one that was asked.
pub(super) fn bearer_challenge(host: &str, seen: &Seen, scheme: &str) -> String {
    let host = seen.header("host").unwrap_or(host);
    format!("Bearer realm=\"{scheme}://{host}/service/token\",service=\"harbor-registry\"")
}

/// All checks; `None` for the root of the API.
fn before(
    state: &mut HarborState,
    host: &str,
    seen: &Seen,
    manifest: &[u8],
) -> Checked<Option<About>> {
    let given = seen.header("authorization");
    let about = about(seen)?;
    let principal = principal(state, given, about.as_ref());
    let scheme = if state.is_https_outside {
        "https"
    } else {
        "http"
    };
    let challenge = |scope: &str| match given {
        Some(_) => "Basic realm=\"harbor\"".to_owned(),
        None => bearer_challenge(host, seen, scheme) + scope,
    };
    let Some(about) = about else {
        let is_known = match &principal {
            Principal::Nobody => false,
            Principal::User(_) => true,
            Principal::Token(token) => token.user.is_some(),
        };
        return if is_known {
            Ok(None)
        } else {
            unauthorized(&challenge(""), "unauthorized")
        };
    };
    let is_safe = matches!(seen.method.as_str(), "GET" | "HEAD");
    let is_delete = seen.method == "DELETE" && manifest_path(&seen.path);
    let action = match is_safe {
        true => "pull",
        false if is_delete => "delete",
        false => "push",
    };
    let scope = format!(",scope=\"repository:{}:{action}\"", about.repository);
    if is_safe && given.is_none() {
        return unauthorized(
            &challenge(&scope),
            "authorize header needed to send HEAD to repository",
        );
    }
    let mut needs = vec![(about.repository.clone(), action)];
    if let Some((_, from)) = &about.mount {
        needs.push((from.clone(), "pull"));
    }
    for (repository, action) in needs {
        let name = repository.split('/').next().unwrap();
        let Some(project) = state.projects.get(name) else {
            return unauthorized("", &format!("project {name} not found"));
        };
        let actions = match &principal {
            Principal::Nobody => super::actions(None, project),
            Principal::User(user) => super::actions(Some(user), project),
            Principal::Token(token) => token.access.get(name).cloned().unwrap_or_default(),
        };
        if !actions.iter().any(|known| known == action) {
            return unauthorized(
                &challenge(&scope),
                &format!("unauthorized to access repository: {repository}, action: {action}"),
            );
        }
    }
    if state.read_only && !is_safe {
        return refuse(403, "DENIED", READ_ONLY);
    }
    let project = &state.projects[&about.project];
    let name = (about.repository.as_str(), about.last.as_str());
    if let Some(response) = super::policy::answer(project, seen, name) {
        return Err(Box::new(response));
    }
    if is_safe && manifest_path(&seen.path) {
        let key = (about.repository.clone(), about.last.clone());
        if project.deleted_tags.contains(&key) {
            let (repository, tag) = name;
            let message = format!("artifact {repository}:{tag} not found");
            return refuse(404, "NOT_FOUND", &message);
        }
    }
    if is_delete {
        super::deleting::check(project, &about.repository, &about.last)?;
    }
    check_push(state, seen, (&about, manifest))?;
    Ok(Some(about))
}

fn principal(state: &HarborState, given: Option<&str>, about: Option<&About>) -> Principal {
    let Some(given) = given else {
        return Principal::Nobody;
    };
    let Some(token) = given.strip_prefix("Bearer ") else {
        let user = state.login(Some(given)).cloned();
        return user.map_or(Principal::Nobody, Principal::User);
    };
    let Some(token) = state.tokens.get(token) else {
        return Principal::Nobody;
    };
    // A token from before the project's creation is worth nothing.
    let mut projects = Vec::new();
    if let Some(about) = about {
        projects.push(about.project.as_str());
        projects.extend(
            about
                .mount
                .iter()
                .filter_map(|(_, from)| from.split('/').next()),
        );
    }
    for name in projects {
        match state.projects.get(name) {
            Some(project) if token.born > project.born => {}
            _ => return Principal::Nobody,
        }
    }
    // The user may have been deleted since.
    let is_known = token
        .user
        .as_ref()
        .is_none_or(|user| state.account(user).is_some());
    if is_known {
        Principal::Token(token.clone())
    } else {
        Principal::Nobody
    }
}

fn about(seen: &Seen) -> Checked<Option<About>> {
    let path = seen.path.strip_prefix("/v2/").unwrap_or_default();
    let marker = ["/manifests/", "/blobs/", "/tags/", "/referrers/"]
        .iter()
        .find_map(|marker| Some((path.rfind(marker)?, marker.len())));
    let Some((at, len)) = marker else {
        return Ok(None);
    };
    let repository = path[..at].to_owned();
    let with_project = |name: &str| match name.split_once('/') {
        Some((project, _)) => Ok(project.to_owned()),
        None => refuse(
            400,
            "BAD_REQUEST",
            &format!("bad request: invalid repository name: {name}"),
        ),
    };
    let project = with_project(&repository)?;
    let query = seen.query.as_deref().unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(value.replace("%2F", "/").replace("%3A", ":"))
    };
    let mount = match (parameter("mount"), parameter("from")) {
        (Some(digest), Some(from)) if seen.method == "POST" => {
            with_project(&from)?;
            Some((digest, from))
        }
        _ => None,
    };
    Ok(Some(About {
        repository,
        project,
        last: path[at + len..].trim_start_matches("uploads/").to_owned(),
        mount,
    }))
}

/// Quota, proxy cache, immutable tags, and the children of an index.
fn check_push(
    state: &mut HarborState,
    seen: &Seen,
    (about, manifest): (&About, &[u8]),
) -> Checked<()> {
    let is_put_manifest = seen.method == "PUT" && manifest_path(&seen.path);
    let is_start = seen.method == "POST" && upload_path(&seen.path);
    let is_end = seen.method == "PUT" && upload_path(&seen.path);
    let content_len: u64 = seen
        .header("content-length")
        .and_then(|len| len.parse().ok())
        .unwrap_or_default();
    if seen.method == "PATCH" {
        *state.uploads.entry(about.last.clone()).or_default() += content_len;
    }
    let sent = state.uploads.get(&about.last).copied().unwrap_or_default();
    let sizes = |digest: &str| {
        let mut all = state.projects.values();
        all.find_map(|project| project.blobs.get(digest)).copied()
    };
    let mounted = about.mount.as_ref().and_then(|(digest, _)| sizes(digest));
    let project = &state.projects[&about.project];
    if project.is_proxy && (is_start || is_put_manifest) {
        let name = &about.project;
        return refuse(
            403,
            "DENIED",
            &format!("denied: can not push artifact to a proxy project: {name}"),
        );
    }
    let is_there = |digest: &str| project.blobs.contains_key(digest);
    let adds = match &about.mount {
        _ if is_put_manifest => manifest.len() as u64,
        // What the project has is not counted again.
        _ if is_end && is_there(&ended_digest(seen)) => 0,
        _ if is_end => sent + content_len,
        Some((digest, _)) if is_start && !is_there(digest) => mounted.unwrap_or_default(),
        _ => 0,
    };
    if let (Some(limit), true) = (project.limit, is_start || is_end || is_put_manifest) {
        let used = project.used();
        if used + adds > limit || (is_start && used >= limit) {
            return refuse(
                403,
                "DENIED",
                &format!(
                    "adding {adds} B of storage resource, which when updated to current usage of \
                     {used} B will exceed the configured upper limit of {limit} B."
                ),
            );
        }
    }
    if !is_put_manifest {
        return Ok(());
    }
    let key = (about.repository.clone(), about.last.clone());
    if project.has_immutable(&about.last) && project.tags.contains_key(&key) {
        let (_, name) = about.repository.split_once('/').unwrap();
        return refuse(
            412,
            "PRECONDITION",
            &format!(
                "Failed to process request due to '{name}:{}' configured as immutable.",
                about.last
            ),
        );
    }
    let parsed: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let children = parsed["manifests"].as_array().into_iter().flatten();
    let digests = children.map(|child| child["digest"].as_str().unwrap_or_default());
    // It is the backend that says so, before Harbor looks.
    let missing: Vec<Value> = digests
        .filter(|digest| {
            let artifact = (about.repository.clone(), (*digest).to_owned());
            !project.artifacts.contains(&artifact)
        })
        .map(|digest| {
            json!({"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry",
                   "detail": digest})
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let body = json!({ "errors": missing }).to_string();
    Err(Box::new(plain(400, body)))
}

/// The digest with which an upload ends.
fn ended_digest(seen: &Seen) -> String {
    let query = seen.query.as_deref().unwrap_or_default();
    let mut pairs = query.split('&');
    let digest = pairs.find_map(|pair| pair.strip_prefix("digest="));
    digest.unwrap_or_default().replace("%3A", ":")
}

/// What Harbor's database learns from a success.
fn after(state: &mut HarborState, seen: &Seen, (about, manifest, status): (&About, &[u8], u16)) {
    let content_len: u64 = seen
        .header("content-length")
        .and_then(|len| len.parse().ok())
        .unwrap_or_default();
    let sent = state.uploads.get(&about.last).copied().unwrap_or_default();
    let mounted = about.mount.as_ref().and_then(|(digest, from)| {
        let (source, _) = from.split_once('/')?;
        let len = state.projects.get(source)?.blobs.get(digest)?;
        Some((digest.clone(), *len))
    });
    let project = state.projects.get_mut(&about.project).unwrap();
    if seen.method == "DELETE" {
        if manifest_path(&seen.path) {
            super::deleting::forget(project, &about.repository, &about.last);
        }
    } else if seen.method == "PUT" && manifest_path(&seen.path) {
        let digest = Digest::of(manifest).to_string();
        project.blobs.insert(digest.clone(), manifest.len() as u64);
        let repository = about.repository.clone();
        if about.last != digest {
            let key = (repository.clone(), about.last.clone());
            project.deleted_tags.remove(&key);
            project.tags.insert(key, digest.clone());
        }
        let parsed: Value = serde_json::from_slice(manifest).unwrap_or_default();
        let children = parsed["manifests"].as_array().into_iter().flatten();
        let children = children.filter_map(|child| child["digest"].as_str().map(str::to_owned));
        let key = (repository.clone(), digest.clone());
        project.children.insert(key, children.collect());
        project.artifacts.insert((repository, digest));
    } else if seen.method == "PUT" {
        let digest = ended_digest(seen);
        project.blobs.insert(digest, sent + content_len);
    } else if let (201, Some((digest, len))) = (status, mounted) {
        project.blobs.insert(digest, len);
    }
}
