//! `/service/token` (facts.md 4) and `/api/v2.0` (facts.md 1 and 2; Harbor's swagger for the rest).

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Account, HarborState, Kind, ProjectState, Role, Token, answer as plain, error};
use crate::registry::Seen;

pub(super) fn answer(state: &mut HarborState, seen: &Seen, body: &[u8]) -> Response {
    let authorization = seen.header("authorization");
    let user = state.login(authorization).cloned();
    let method = seen.method.as_str();
    if seen.path == "/service/token" {
        return match method {
            "GET" => give_token(state, seen, user.as_ref()),
            _ => plain(405, ""),
        };
    }
    let Some(path) = seen.path.strip_prefix("/api/v2.0/") else {
        return match seen.path.as_str() {
            "/api/version" => json_answer(200, &json!({"version": "v2.0"})),
            _ => error(404, "NOT_FOUND", "not found"),
        };
    };
    // An OIDC user's CLI secret is good for what replication needs.
    let user = user.filter(|user| {
        user.kind != Kind::OidcUser
            || matches!((method, path), ("POST", "projects") | ("GET", "systeminfo"))
    });
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["ping"]) => plain(200, "\"Pong\""),
        ("GET", ["systeminfo"]) => system_info(state, user.as_ref()),
        ("GET", ["projects"]) => projects(state, user.as_ref(), &parameter(seen, "q")),
        (_, ["projects"] | ["users", "current", ..]) if user.is_none() => {
            error(401, "UNAUTHORIZED", "unauthorized")
        }
        ("HEAD", ["projects"]) => match state.projects.get(&parameter(seen, "project_name")) {
            Some(_) => plain(200, ""),
            None => plain(404, ""),
        },
        ("POST", ["projects"]) => match user {
            Some(user) => create(state, &user, body),
            None => error(401, "UNAUTHORIZED", "unauthorized"),
        },
        ("GET", ["users", "current"]) => user.as_ref().map_or_else(|| plain(401, ""), current_user),
        ("GET", ["users", "current", "permissions"]) => match user {
            Some(user)
                if parameter(seen, "scope") == "/system"
                    && parameter(seen, "relative").is_empty() =>
            {
                json_answer(200, &system_permissions(&user))
            }
            _ => json_answer(200, &json!([])),
        },
        ("GET", ["repositories"]) => repositories(state, seen, (user.as_ref(), None)),
        ("GET", ["projects", name, "repositories"]) => {
            repositories(state, seen, (user.as_ref(), Some(name)))
        }
        (
            "DELETE",
            [
                "projects",
                name,
                "repositories",
                repository,
                "artifacts",
                _,
                "tags",
                tag,
            ],
        ) => {
            let Some(project) = state.projects.get_mut(*name) else {
                return error(404, "NOT_FOUND", "project not found");
            };
            let may_delete = super::actions(user.as_ref(), project);
            if !may_delete.iter().any(|action| action == "delete") {
                return error(403, "FORBIDDEN", "forbidden");
            }
            let repository = format!("{name}/{}", repository.replace("%252F", "/"));
            super::deleting::delete_tag(project, &repository, tag)
        }
        ("GET", ["projects", name, rest @ ..]) => read(state, seen, (user.as_ref(), name, rest)),
        _ => error(404, "NOT_FOUND", "not found"),
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    plain(status, body.to_string())
}

/// All values of a parameter, decoded.
fn parameters(seen: &Seen, name: &str) -> Vec<String> {
    let query = seen.query.as_deref().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| {
            let value = value.replace('+', " ").replace("%3A", ":");
            value
                .replace("%2F", "/")
                .replace("%2C", ",")
                .replace("%24", "$")
                .replace("%3D", "=")
                .replace("%7B", "{")
                .replace("%7D", "}")
                .replace("%22", "\"")
        })
        .collect()
}

fn parameter(seen: &Seen, name: &str) -> String {
    parameters(seen, name).pop().unwrap_or_default()
}

/// A token with all that the user may do in the projects of the scopes: what was asked for is not
/// looked at, and a wrong password is an anonymous user.
fn give_token(state: &mut HarborState, seen: &Seen, user: Option<&Account>) -> Response {
    if parameter(seen, "service") != "harbor-registry" {
        return plain(400, "Unable to handle service");
    }
    let scopes: Vec<String> = parameters(seen, "scope")
        .iter()
        .flat_map(|scopes| scopes.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if scopes.is_empty() && user.is_none() {
        return plain(401, "");
    }
    let mut access = BTreeMap::new();
    let mut claims = Vec::new();
    for scope in &scopes {
        let mut parts = scope.splitn(3, ':');
        let (kind, name) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        let project = name.split_once('/').map(|(project, _)| project);
        let found = project.and_then(|project| state.projects.get(project));
        let actions = found.map(|found| super::actions(user, found));
        let actions = actions.unwrap_or_default();
        claims.push(json!({"type": kind, "name": name, "actions": actions}));
        if let Some(project) = project {
            access.insert(project.to_owned(), actions);
        }
    }
    let born = state.tick();
    let name = user.map(|user| user.name.clone());
    let token = encode_token(name.as_deref().unwrap_or_default(), &json!(claims), born);
    let given = Token {
        user: name,
        access,
        born,
    };
    state.tokens.insert(token.clone(), given);
    let issued_at = "2026-11-24T12:00:00Z";
    json_answer(
        200,
        &json!({"token": token, "expires_in": 1800, "issued_at": issued_at}),
    )
}

/// A token as long as Harbor's, which signs with an RSA key of 4096 bits.
pub(super) fn encode_token(user: &str, access: &Value, n: u64) -> String {
    let mut payload = json!({
        "iss": "harbor-token-issuer", "aud": "harbor-registry",
        "exp": 1_795_528_800, "nbf": 1_795_527_000, "iat": 1_795_527_000,
        "jti": "uPnbM5JX0gMWrhFt", "access": access,
    });
    if !user.is_empty() {
        payload["sub"] = json!(user);
    }
    let signature = URL_SAFE_NO_PAD.encode(format!("{n:0512}"));
    format!(
        "eyJhbGciOiJSUzI1NiJ9.{}.{signature}",
        URL_SAFE_NO_PAD.encode(payload.to_string())
    )
}

/// What of the system someone may do, as far as it matters here.
fn system_permissions(user: &Account) -> Value {
    match user.kind {
        Kind::Admin => json!([
            {"resource": "catalog", "action": "read"},
            {"resource": "project", "action": "create"},
            {"resource": "project", "action": "list"},
        ]),
        // Robots are told nothing, whatever they may do.
        _ => json!([]),
    }
}

fn current_user(user: &Account) -> Response {
    match user.kind {
        Kind::SystemRobot | Kind::ProjectCreator | Kind::ProjectRobot => {
            let message = "get current user not available for security context: robot";
            error(412, "PRECONDITION", message)
        }
        Kind::Admin | Kind::User | Kind::OidcUser => {
            let is_admin = user.kind == Kind::Admin;
            json_answer(
                200,
                &json!({"username": user.name, "sysadmin_flag": is_admin}),
            )
        }
    }
}

fn system_info(state: &HarborState, user: Option<&Account>) -> Response {
    let mut info = json!({
        "auth_mode": "db_auth", "primary_auth_mode": false, "self_registration": false,
    });
    if user.is_some() {
        let creation = if state.admin_only {
            "adminonly"
        } else {
            "everyone"
        };
        info["harbor_version"] = json!("v2.14.4-0f3c2a1b");
        info["project_creation_restriction"] = json!(creation);
        info["read_only"] = json!(state.read_only);
    }
    json_answer(200, &info)
}

/// Whether Harbor allows a project to be named so: `^[a-z0-9]+(?:[._-][a-z0-9]+)*$`.
fn is_project_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut last = '.';
    for c in name.chars() {
        let is_joint = matches!(c, '.' | '_' | '-');
        if !(is_word(c) || is_joint && is_word(last)) {
            return false;
        }
        last = c;
    }
    (1..=255).contains(&name.len()) && is_word(last)
}

fn create(state: &mut HarborState, user: &Account, body: &[u8]) -> Response {
    if state.read_only {
        return error(403, "DENIED", super::core::READ_ONLY);
    }
    if user.kind == Kind::ProjectRobot {
        let message = "Only system level robot can create project";
        return error(403, "FORBIDDEN", message);
    }
    let may_create = matches!(user.kind, Kind::Admin | Kind::ProjectCreator);
    if state.admin_only && !may_create {
        let message = "Only system admin can create project";
        return error(403, "FORBIDDEN", message);
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let name = body["project_name"].as_str().unwrap().to_owned();
    if !is_project_name(&name) {
        return error(400, "BAD_REQUEST", "project name is not in lower case");
    }
    if state.projects.contains_key(&name) {
        let message = format!("The project named {name} already exists");
        return error(409, "CONFLICT", &message);
    }
    let public = match body["metadata"]["public"].as_str().unwrap_or("false") {
        "true" => true,
        "false" => false,
        _ => return error(400, "BAD_REQUEST", "metadata.public"),
    };
    let limit = body["storage_limit"].as_u64().filter(|&limit| limit > 0);
    let members = [(user.name.as_str(), Role::Maintainer)];
    let project = state.add_project(&name, &members);
    project.public = public;
    project.limit = limit.filter(|_| may_create);
    let mut response = plain(201, "");
    let location = format!("/api/v2.0/projects/{}", project.born);
    response
        .headers_mut()
        .insert("location", location.parse().unwrap());
    response
}

/// Those of the named projects that someone may see; without a login, or with a wrong one, the
/// public ones.
fn projects(state: &HarborState, user: Option<&Account>, query: &str) -> Response {
    let names = query.strip_prefix("name={").unwrap().strip_suffix('}');
    let names: Vec<&str> = names.unwrap().split(' ').collect();
    // A name of digits would be a number, and that no name.
    assert!(
        names
            .iter()
            .all(|name| name.starts_with('"') && name.ends_with('"'))
    );
    let is_visible = |(name, found): &(&String, &ProjectState)| {
        let is_member =
            |user: &Account| user.kind == Kind::Admin || found.members.contains_key(&user.name);
        names.contains(&format!("\"{name}\"").as_str())
            && (found.public || user.is_some_and(is_member))
    };
    let found = state.projects.iter().filter(is_visible).map(|(name, found)| {
        json!({"project_id": found.born, "name": name, "registry_id": i32::from(found.is_proxy)})
    });
    json_answer(200, &found.collect())
}

/// Whether someone may read the project itself: of robots, hardly any may.
fn may_read(user: &Account, project: &ProjectState) -> bool {
    match user.kind {
        Kind::Admin => true,
        Kind::SystemRobot | Kind::ProjectCreator => false,
        Kind::ProjectRobot => project.members.get(&user.name) == Some(&Role::Maintainer),
        Kind::User | Kind::OidcUser => project.members.contains_key(&user.name),
    }
}

/// A page of the repositories that someone may see, by name; at most a hundred.
fn repositories(
    state: &HarborState,
    seen: &Seen,
    (user, project): (Option<&Account>, Option<&str>),
) -> Response {
    let Some(user) = user else {
        return error(401, "UNAUTHORIZED", "unauthorized");
    };
    let is_member = |found: &ProjectState| {
        user.kind == Kind::Admin || found.public || found.members.contains_key(&user.name)
    };
    if let Some(name) = project {
        match state.projects.get(name) {
            Some(found) if is_member(found) => {}
            _ => return error(403, "FORBIDDEN", "forbidden"),
        }
    }
    let number = |name: &str| parameter(seen, name).parse::<usize>();
    let size = number("page_size").unwrap_or(10);
    if size > 100 {
        return error(
            422,
            "UNPROCESSABLE_ENTITY",
            "page_size in query should be less than or equal to 100",
        );
    }
    let visible = state
        .projects
        .iter()
        .filter(|(name, found)| is_member(found) && project.is_none_or(|wanted| wanted == *name));
    let names: BTreeSet<&String> = visible
        .flat_map(|(_, found)| found.artifacts.iter().map(|(repository, _)| repository))
        .collect();
    let page = number("page").unwrap_or(1) - 1;
    let names = names.into_iter().skip(page * size).take(size);
    let names: Vec<Value> = names.map(|name| json!({"name": name})).collect();
    json_answer(200, &json!(names))
}

fn read(
    state: &HarborState,
    seen: &Seen,
    (user, name, rest): (Option<&Account>, &str, &[&str]),
) -> Response {
    let Some(user) = user else {
        return error(401, "UNAUTHORIZED", "unauthorized");
    };
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && seen.header("x-is-resource-name") != Some("true") {
        return error(404, "NOT_FOUND", "no project has this number");
    }
    let Some(project) = state.projects.get(name) else {
        return error(403, "FORBIDDEN", "forbidden");
    };
    if !may_read(user, project) {
        return error(403, "FORBIDDEN", "forbidden");
    }
    match rest {
        [] => json_answer(
            200,
            &json!({"project_id": project.born, "name": name,
                    "registry_id": i32::from(project.is_proxy)}),
        ),
        ["summary"] => {
            let hard = project.limit.map_or(json!(-1), |limit| json!(limit));
            json_answer(
                200,
                &json!({"repo_count": 1, "quota": {
                    "hard": {"storage": hard}, "used": {"storage": project.used()}}}),
            )
        }
        ["immutabletagrules"] => {
            if user.kind == Kind::User && project.members.get(&user.name) != Some(&Role::Maintainer)
            {
                return error(403, "FORBIDDEN", "forbidden");
            }
            let rule = json!({"id": 1, "disabled": project.immutable.is_empty(),
                              "action": "immutable", "template": "immutable_template"});
            json_answer(200, &json!([rule]))
        }
        // The name of the repository is escaped twice, or it is another path.
        ["repositories", repository, "artifacts", reference] => {
            let repository = format!("{name}/{}", repository.replace("%252F", "/"));
            let tag = (repository.clone(), (*reference).to_owned());
            let digest = project.tags.get(&tag).cloned();
            let digest = digest.unwrap_or_else(|| (*reference).to_owned());
            if !project.artifacts.contains(&(repository, digest.clone())) {
                return error(404, "NOT_FOUND", "artifact not found");
            }
            json_answer(200, &json!({"digest": digest, "type": "IMAGE"}))
        }
        ["repositories", repository, "artifacts", digest, "tags"] if digest.contains(':') => {
            let repository = format!("{name}/{}", repository.replace("%252F", "/"));
            let tags = super::deleting::tags_of(project, &repository, digest);
            let tags: Vec<Value> = tags.map(|tag| json!({"id": 1, "name": tag})).collect();
            json_answer(200, &json!(tags))
        }
        ["repositories", repository, "artifacts", tag, "tags"] => {
            let repository = format!("{name}/{}", repository.replace("%252F", "/"));
            let key = (repository.clone(), (*tag).to_owned());
            if !project.tags.contains_key(&key) {
                return error(404, "NOT_FOUND", "artifact not found");
            }
            let wants = parameter(seen, "with_immutable_status") == "true";
            let immutable = wants && project.has_immutable(tag);
            json_answer(
                200,
                &json!([{"id": 1, "name": tag, "immutable": immutable}]),
            )
        }
        _ => error(404, "NOT_FOUND", "not found"),
    }
}
