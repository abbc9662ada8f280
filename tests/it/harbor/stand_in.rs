//! The stand-in itself answers as Harbor does: whatever hod is tested against here is only worth as
//! much as that.

use serde_json::json;

use super::{Site, app};
use hod_testkit::faults::upload_path;
use hod_testkit::harbor::{Harbor, Kind, PullPolicy, Role};
use hod_testkit::http::{Answer, send};
use hod_testkit::images::{image, menagerie};

const ADMIN: (&str, &str) = ("Authorization", "Basic YWRtaW46SGFyYm9yMTIzNDU=");
const MEDIA_TYPE: (&str, &str) = ("Content-Type", "application/vnd.oci.image.index.v1+json");

fn get(harbor: &Harbor, target: &str) -> Answer {
    send(harbor.host(), "GET", target, (&[ADMIN], b""))
}

fn head(harbor: &Harbor, target: &str) -> Answer {
    send(harbor.host(), "HEAD", target, (&[ADMIN], b""))
}

#[test]
fn the_stand_in_is_a_harbor() {
    let harbor = Harbor::start();
    harbor.add_account(Kind::User, "dev", "pw");
    let send = |method: &str, target: &str, headers: &[(&str, &str)]| {
        hod_testkit::http::send(harbor.host(), method, target, (headers, b""))
    };
    let host = harbor.host();
    let open = send("GET", "/v2/", &[]);
    assert_eq!(open.status, 401);
    assert_eq!(
        open.header("www-authenticate").unwrap(),
        format!("Bearer realm=\"http://{host}/service/token\",service=\"harbor-registry\"")
    );
    assert!(open.header("set-cookie").unwrap().starts_with("sid="));
    let basic = ("Authorization", "Basic ZGV2OnB3");
    let wrong = ("Authorization", "Basic ZGV2Ong=");
    assert_eq!(send("GET", "/v2/", &[basic]).status, 200);
    let token = "/service/token?service=harbor-registry";
    assert_eq!(send("POST", token, &[basic]).status, 405);
    assert_eq!(send("GET", token, &[wrong]).status, 401);
    let scoped = format!("{token}&scope=repository:x/y:pull");
    assert_eq!(send("GET", &scoped, &[wrong]).status, 200);
    assert_eq!(
        send("GET", "/service/token?service=x", &[basic]).status,
        400
    );
    let unknown = send("POST", "/v2/x/y/blobs/uploads/", &[basic]);
    assert_eq!(
        (unknown.status, unknown.header("www-authenticate")),
        (401, Some(""))
    );
    harbor.state().add_project("x", &[("dev", Role::Developer)]);
    let start = send("POST", "/v2/x/y/blobs/uploads/", &[basic]);
    assert_eq!(start.status, 202);
    let location = start.header("location").unwrap();
    assert!(location.starts_with(&format!("http://{host}/v2/x/y/")) && upload_path(location));
    let with_cookie = [basic, ("Cookie", "sid=1")];
    assert_eq!(
        send("POST", "/v2/x/y/blobs/uploads/", &with_cookie).status,
        403
    );
    assert_eq!(send("HEAD", "/v2/x/y/manifests/1", &[]).status, 401);
    let head = "/api/v2.0/projects?project_name=x";
    assert_eq!(send("HEAD", head, &[]).status, 401);
    assert_eq!(send("HEAD", head, &[basic]).status, 200);
    assert_eq!(send("GET", "/api/version", &[]).json()["version"], "v2.0");
    let info = send("GET", "/api/v2.0/systeminfo", &[]).json();
    assert!(info["harbor_version"].is_null() && info["auth_mode"] == "db_auth");
}

#[test]
fn a_policy_on_pulls_holds_for_head_and_not_for_put() {
    for (policy, says) in [
        (PullPolicy::Signed, "The image is not signed by cosign."),
        (PullPolicy::Scanned, "without vulnerability scanning"),
    ] {
        let site = Site::new();
        site.add("offline/app:1", &app());
        site.push("").success();
        let put_again = || {
            let manifest = &app().manifests[0];
            let headers = [ADMIN, ("Content-Type", manifest.media_type().as_str())];
            let target = "/v2/offline/app/manifests/1";
            let body = (headers.as_slice(), manifest.bytes().as_ref());
            send(site.harbor.host(), "PUT", target, body).status
        };
        let mut state = site.harbor.state();
        let offline = state.projects.get_mut("offline").unwrap();
        offline.pull_policy = policy;
        drop(state);
        for reference in ["1", app().digest().as_str()] {
            let target = format!("/v2/offline/app/manifests/{reference}");
            let answer = get(&site.harbor, &target);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (412, "PROJECTPOLICYVIOLATION")
            );
            assert!(answer.text().contains(says), "{}", answer.text());
            assert_eq!(head(&site.harbor, &target).status, 412);
        }
        let target = "/v2/offline/app/manifests/2";
        assert_eq!(head(&site.harbor, target).status, 404);
        assert_eq!(put_again(), 201);
        let target = "/api/v2.0/projects/offline/repositories/app/artifacts/1";
        let digest = &get(&site.harbor, target).json()["digest"];
        assert_eq!(digest, app().digest().as_str());
    }
}

#[test]
fn the_backend_refuses_an_index_with_missing_children() {
    let site = Site::new();
    let kinds = menagerie();
    let (_, list) = kinds.iter().find(|(name, _)| *name == "list").unwrap();
    let top = list.manifests.last().unwrap();
    let answer = send(
        site.harbor.host(),
        "PUT",
        "/v2/offline/list/manifests/1",
        (&[ADMIN, MEDIA_TYPE], top.bytes()),
    );
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "MANIFEST_BLOB_UNKNOWN")
    );
    let errors = answer.json()["errors"].as_array().unwrap().len();
    assert_eq!(errors, list.manifests.len() - 1);
}

#[test]
fn a_proxy_cache_answers_for_the_registry_behind_it() {
    let site = Site::fresh();
    let mut state = site.harbor.state();
    let hub = state.add_project("hub", &[]);
    hub.is_proxy = true;
    let digest = image(610).digest().to_string();
    let there = image(610).top().descriptor();
    hub.upstream.insert("app:1".to_owned(), there);
    drop(state);
    let answer = head(&site.harbor, "/v2/hub/app/manifests/1");
    assert_eq!(
        (answer.status, answer.header("docker-content-digest")),
        (200, Some(digest.as_str()))
    );
    assert_eq!(head(&site.harbor, "/v2/hub/app/manifests/2").status, 404);
    let start = send(
        site.harbor.host(),
        "POST",
        "/v2/hub/app/blobs/uploads/",
        (&[ADMIN], b""),
    );
    assert_eq!(start.status, 403);
    let says = "denied: can not push artifact to a proxy project: hub";
    assert_eq!(start.json()["errors"][0]["message"], says);
}

#[test]
fn without_its_database_it_refuses_every_login() {
    let site = Site::new();
    let harbor = &site.harbor;
    harbor.state().n_without_database = usize::MAX;
    let post = || {
        let target = "/v2/offline/app/blobs/uploads/";
        send(harbor.host(), "POST", target, (&[ADMIN], b""))
    };
    let (first, second) = (post(), post());
    assert_eq!(
        (first.status, first.header("www-authenticate")),
        (401, Some(""))
    );
    assert!(
        first.text().contains("failed to connect"),
        "{}",
        first.text()
    );
    assert_eq!((second.status, second.code().as_str()), (500, "UNKNOWN"));
    let head_manifest = head(harbor, "/v2/offline/app/manifests/1");
    assert_eq!((head_manifest.status, head_manifest.body.len()), (401, 0));
    let token = "/service/token?service=harbor-registry";
    assert_eq!(get(harbor, token).status, 401);
    let scoped = format!("{token}&scope=repository:offline/app:pull,push");
    assert_eq!(get(harbor, &scoped).status, 200);
    let project = "/api/v2.0/projects?project_name=offline";
    assert_eq!(head(harbor, project).status, 401);
    assert_eq!(get(harbor, "/api/v2.0/ping").status, 200);
}

#[test]
fn who_may_create_projects() {
    let harbor = Harbor::start();
    harbor.state().admin_only = true;
    // Login, the status of a creation, and the limit that the project then has.
    let cases = [
        (Kind::Admin, 201, Some(100)),
        (Kind::User, 403, None),
        (Kind::SystemRobot, 403, None),
        (Kind::ProjectCreator, 201, Some(100)),
        (Kind::ProjectRobot, 403, None),
    ];
    for (n, (kind, status, limit)) in cases.into_iter().enumerate() {
        let name = format!("login{n}");
        harbor.add_account(kind, &name, "pw");
        let login = hod_testkit::registry::basic(&name, "pw");
        let login = ("Authorization", login.as_str());
        let ask = |method: &str, target: &str, body: &str| {
            send(harbor.host(), method, target, (&[login], body.as_bytes()))
        };
        let permissions = "/api/v2.0/users/current/permissions?scope=/system";
        let permissions = ask("GET", permissions, "").json();
        let mut permissions = permissions.as_array().unwrap().iter();
        let creates =
            permissions.any(|one| one["resource"] == "project" && one["action"] == "create");
        let is_robot = !matches!(kind, Kind::Admin | Kind::User);
        // Robots are not told.
        assert_eq!(creates, status == 201 && !is_robot, "{kind:?}");
        let own = ask("GET", "/api/v2.0/users/current", "").status;
        assert_eq!(own, if is_robot { 412 } else { 200 }, "{kind:?}");
        let body = json!({"project_name": name, "storage_limit": 100}).to_string();
        let made = ask("POST", "/api/v2.0/projects", &body);
        assert_eq!(made.status, status, "{kind:?}");
        let found = harbor
            .state()
            .projects
            .get(&name)
            .and_then(|found| found.limit);
        assert_eq!(found, limit, "{kind:?}");
    }
}

#[test]
fn nginx_takes_header_lines_of_8_kib() {
    let harbor = Harbor::start();
    harbor
        .state()
        .add_project("p", &[("admin", Role::Maintainer)]);
    let with_token = |len: usize| {
        let token = format!("Bearer {}", "x".repeat(len));
        send(
            harbor.host(),
            "GET",
            "/v2/p/app/manifests/1",
            (&[("Authorization", &token)], b""),
        )
    };
    assert_eq!(with_token(8000).status, 401);
    let answer = with_token(8200);
    assert_eq!(answer.status, 400);
    let says = "400 Request Header Or Cookie Too Large";
    assert!(answer.text().contains(says), "{}", answer.text());
    let target = format!("/service/token?scope={}", "x".repeat(8200));
    assert_eq!(get(&harbor, &target).status, 414);
}
