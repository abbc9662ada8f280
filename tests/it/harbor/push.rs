//! What comes through, and by which requests.

use hod_oci::RepositoryName;

use super::{Site, app};
use hod_testkit::faults::{manifest_path, upload_path};
use hod_testkit::harbor::{Kind, Proxy, PullPolicy, Refusal, Role};
use hod_testkit::images::{image, menagerie, repository, tag};
use hod_testkit::referrers::{cosign_tag, signatures};
use hod_testkit::registry::{Seen, TestRegistry};
use hod_testkit::tree::whole_images;

pub(super) fn lines(seen: &[Seen]) -> Vec<String> {
    let line = |seen: &Seen| format!("{} {} {}", seen.method, seen.path, seen.status);
    seen.iter().map(line).collect()
}

pub(super) fn n_tokens(seen: &[Seen]) -> usize {
    let is_token = |seen: &&Seen| seen.path == "/service/token";
    seen.iter().filter(is_token).count()
}

#[test]
fn a_new_list_fills_a_fresh_harbor() {
    let site = Site::fresh();
    let kinds: Vec<_> = menagerie()
        .into_iter()
        .filter(|(name, _)| *name != "foreign")
        .collect();
    for (at, (name, image)) in kinds.iter().enumerate() {
        site.add(&format!("project-{}/some/{name}:1", at % 3), image);
    }
    let output = site.push("--create-projects").success();
    assert!(
        output
            .stderr
            .contains("created private projects `project-0`, `project-1`, `project-2`"),
        "{}",
        output.stderr
    );
    let seen = site.harbor.take_seen();
    assert_eq!(n_tokens(&seen), 1, "{:#?}", lines(&seen));
    let images = whole_images(site.harbor.store().path());
    assert_eq!(images.len(), kinds.len());
    assert!(!site.harbor.state().projects["project-1"].public);
    // Again: the challenge, one request for all projects, a token that proves the login and one for
    // all images, one request an image.
    let again = site.push("--create-projects").success();
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
    let seen = site.harbor.take_seen();
    assert_eq!(n_tokens(&seen), 2, "{:#?}", lines(&seen));
    let manifests = seen.iter().filter(|seen| manifest_path(&seen.path));
    assert_eq!(manifests.count(), 1 + kinds.len());
    assert_eq!(seen.len(), 4 + kinds.len(), "{:#?}", lines(&seen));
    assert!(
        seen.iter()
            .all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD"))
    );
}

#[test]
fn a_project_that_lets_nobody_pull_is_pushed_to_again() {
    for policy in [PullPolicy::Signed, PullPolicy::Scanned] {
        let site = Site::new();
        site.add("offline/app:1", &app());
        let sig = cosign_tag(app().digest(), "att");
        site.add(&format!("offline/app:{sig}"), &signatures(&[1]));
        let mut state = site.harbor.state();
        let offline = state.projects.get_mut("offline").unwrap();
        offline.pull_policy = policy;
        drop(state);
        site.push("").success();
        site.push("").success();
        let dry = site.push("--dry-run").success();
        let says = "cannot be read because of a policy";
        assert!(dry.stdout.contains(says), "{}", dry.stdout);
        // Another image under the tag goes the same way.
        site.add("offline/app:1", &image(631));
        let replaced = site.push("--no-referrers").success();
        let digest = image(631).digest().to_string();
        assert!(replaced.stdout.contains(&digest), "{}", replaced.stdout);
    }
}

#[test]
fn a_token_is_fetched_after_the_projects_are_there() {
    let site = Site::fresh();
    site.add("one/app:1", &app());
    site.add("two/app:1", &app());
    site.harbor.state().add_project("one", &[]);
    site.push("--create-projects=public").success();
    let seen = site.harbor.take_seen();
    let at = |line: &str| {
        let found = lines(&seen)
            .iter()
            .position(|known| known.starts_with(line));
        found.unwrap_or_else(|| panic!("no {line}: {:#?}", lines(&seen)))
    };
    // Rights are looked at before; what is written is written with a token from after it.
    let all = lines(&seen);
    let token = all
        .iter()
        .rposition(|line| line.starts_with("GET /service/token"));
    let writes = |line: &String| line.contains("/v2/") && line.starts_with("POST /v2/");
    let first = all.iter().position(writes);
    assert!(Some(at("POST /api/v2.0/projects 201")) < token && token < first);
    // The first request is how the challenge is learned.
    let n_refused = seen.iter().filter(|seen| seen.status == 401).count();
    assert_eq!((seen[0].status, n_refused), (401, 1), "{:#?}", lines(&seen));
    assert!(site.harbor.state().projects["two"].public);
    assert!(!site.harbor.state().projects["one"].public);
}

#[test]
fn a_quota_is_given_to_new_projects() {
    let site = Site::fresh();
    site.add("new/app:1", &app());
    site.push("--create-projects --project-quota 5GiB")
        .success();
    assert_eq!(site.harbor.state().projects["new"].limit, Some(5 << 30));
    // Harbor heeds it from administrators only, and hod says so.
    let site = Site::fresh();
    site.harbor.add_account(Kind::User, "dev", "pw");
    site.log_in("dev", "pw");
    site.add("new/app:1", &app());
    let output = site
        .push("--create-projects --project-quota 5GiB")
        .success();
    assert_eq!(site.harbor.state().projects["new"].limit, None);
    let told = "project `new` has no quota, not 5.0 GiB: Harbor allows only administrators";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    // To robots it does not show it.
    for (kind, limit) in [
        (Kind::SystemRobot, None),
        (Kind::ProjectCreator, Some(5 << 30)),
    ] {
        let site = Site::fresh();
        site.harbor.add_account(kind, "robot$sync", "pw");
        site.log_in("robot$sync", "pw");
        site.add("new/app:1", &app());
        let output = site
            .push("--create-projects --project-quota 5GiB")
            .success();
        assert_eq!(site.harbor.state().projects["new"].limit, limit);
        let told = "`robot$sync` cannot check that project `new` has the quota of 5.0 GiB";
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
}

#[test]
fn who_creates_a_project_at_the_same_time_is_no_trouble() {
    let site = Site::fresh();
    site.add("new/app:1", &app());
    site.harbor.state().add_project("new", &[]);
    // Not there for the first look; then 409.
    let gone = Refusal::new("HEAD", "/projects", (404, "NOT_FOUND", "")).first(1);
    site.harbor.state().refusals.push(gone);
    site.push("--create-projects").success();
}

#[test]
fn a_failure_to_create_what_is_there_is_none() {
    let site = Site::fresh();
    site.add("new/app:1", &app());
    {
        let mut state = site.harbor.state();
        state.add_project("new", &[]);
        let refusals = [
            Refusal::new("HEAD", "/projects", (404, "NOT_FOUND", "")).first(1),
            Refusal::new(
                "POST",
                "/projects",
                (500, "UNKNOWN", "internal server error"),
            ),
        ];
        state.refusals.extend(refusals);
    }
    site.push("--create-projects").success();
}

#[test]
fn an_index_comes_after_its_children() {
    let site = Site::new();
    let kinds = menagerie();
    let (_, list) = kinds.iter().find(|(name, _)| *name == "list").unwrap();
    let (_, nested) = kinds
        .iter()
        .find(|(name, _)| *name == "nested")
        .unwrap_or(&kinds[0]);
    site.add("offline/list:1", list);
    site.add("offline/nested:1", nested);
    // The children of another tag of the repository are not sent again.
    site.add("offline/list:2", list);
    site.push("").success();
    let seen = site.harbor.take_seen();
    let puts: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.method == "PUT" && seen.path.contains("/offline/list/manifests/"))
        .filter_map(|seen| seen.path.rsplit('/').next())
        .collect();
    let unique: std::collections::BTreeSet<&str> = puts.iter().copied().collect();
    assert_eq!(unique.len(), puts.len(), "{puts:?}");
    assert_eq!(puts.len(), list.manifests.len() + 1);
    assert_eq!(
        site.harbor
            .store()
            .resolve_tag(&repository("offline/list"), &tag("2"))
            .unwrap()
            .as_ref(),
        Some(list.digest())
    );
}

#[test]
fn an_immutable_tag_with_the_same_image_is_left_alone() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    let immutable = ["1".to_owned()].into();
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .immutable = immutable;
    site.push("").success();
    let _ = site.harbor.take_seen();
    let again = site.push("").success();
    assert!(again.stderr.contains("unchanged"), "{}", again.stderr);
}

#[test]
fn a_token_that_runs_out_is_renewed_once_for_all_projects() {
    let site = Site::fresh();
    for n in 0..12 {
        site.add(
            &format!("project-{}/app-{n}:1", n % 3),
            &image(900 + 10 * n),
        );
    }
    let refusal = Refusal::new("POST", "/project-1/app-4/", (503, "UNAVAILABLE", "wait")).first(1);
    site.harbor.state().refusals.push(refusal);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| site.push("--create-projects --jobs 1"));
        // Once something is refused, the rest goes on with another token.
        loop {
            let is_underway = site.harbor.state().refusals[0].n_left == 0;
            if is_underway || run.is_finished() {
                break;
            }
            std::thread::yield_now();
        }
        site.harbor.state().expire_tokens();
        run.join().unwrap().success();
    });
    assert_eq!(whole_images(site.harbor.store().path()).len(), 12);
    let seen = site.harbor.take_seen();
    assert_eq!(n_tokens(&seen), 2, "{:#?}", lines(&seen));
}

#[test]
fn a_harbor_is_given_four_uploads_at_once() {
    let site = Site::new();
    for n in 0..8 {
        site.add(&format!("offline/app-{n}:1"), &image(700 + 10 * n));
    }
    site.push("--jobs 16").success();
    let n_max = site.harbor.state().n_uploading_max;
    assert!((1..=4).contains(&n_max), "{n_max}");
}

#[test]
fn what_the_api_hides_is_not_held_against_the_push() {
    // A robot that may push, and see nothing.
    let site = Site::new();
    site.harbor.add_account(Kind::SystemRobot, "robot$ci", "pw");
    site.harbor
        .state()
        .add_project("p", &[("robot$ci", Role::Developer)]);
    site.log_in("robot$ci", "pw");
    site.add("p/app:1", &app());
    let output = site.push("").success();
    assert!(
        output
            .stderr
            .contains("`robot$ci` is not allowed to make all checks at `127.0.0.1:")
            && output.stderr.contains("the quota of `p`"),
        "{}",
        output.stderr
    );
    // A proxy without the API, and a user of OIDC.
    for kind in [Kind::User, Kind::OidcUser] {
        let site = Site::new();
        site.harbor.add_account(kind, "dev", "pw");
        site.harbor
            .state()
            .add_project("p", &[("dev", Role::Developer)]);
        if kind == Kind::User {
            site.harbor.state().proxy = Proxy::HidesApi;
        }
        site.log_in("dev", "pw");
        site.add("p/app:1", &app());
        site.push("").success();
    }
    // Who may create projects and not ask for them.
    let site = Site::fresh();
    site.harbor.add_account(Kind::OidcUser, "dev", "pw");
    site.log_in("dev", "pw");
    site.add("new/app:1", &app());
    site.push("--create-projects").success();
    site.push("--create-projects").success();
}

#[test]
fn what_harbor_forgets_is_brought_again() {
    let blob_unknown = |digest: &str| {
        format!(
            r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"{digest}"}}]}}"#
        )
    };
    let layer = app().blobs[0].digest.to_string();
    let cases = [
        (
            404,
            r#"{"errors":[{"code":"NOT_FOUND","message":"x"}]}"#.to_owned(),
            0,
        ),
        (
            500,
            r#"{"errors":[{"code":"UNKNOWN","message":"x"}]}"#.to_owned(),
            0,
        ),
        (502, "<html>".to_owned(), 0),
        (503, String::new(), 0),
        (504, String::new(), 0),
        (400, blob_unknown(&layer), 1),
        // Without a name, each is asked for, and none is missing.
        (400, blob_unknown(""), 0),
    ];
    for (status, body, n_again) in cases {
        let site = Site::new();
        site.add("offline/app:1", &app());
        let mut refusal = Refusal::new("PUT", "/manifests/", (status, "", "")).first(1);
        refusal.body = body.clone();
        site.harbor.state().refusals.push(refusal);
        site.push("").success();
        let seen = site.harbor.take_seen();
        let n_puts = seen
            .iter()
            .filter(|seen| seen.method == "PUT" && upload_path(&seen.path))
            .count();
        assert_eq!(n_puts, app().blobs.len() + n_again, "{status} {body}");
        let first = seen
            .iter()
            .position(|seen| seen.method == "PUT" && manifest_path(&seen.path))
            .unwrap();
        // By reading, since what a cache knows may be gone.
        let n_reads = seen[first..]
            .iter()
            .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
            .count();
        let expect = if n_again > 0 { 0 } else { app().blobs.len() };
        assert_eq!(n_reads, expect, "{status} {body}");
    }
}

#[test]
fn a_plain_registry_that_lost_a_blob_gets_it_again() {
    use hod_testkit::env::TestEnv;
    use hod_testkit::faults::{Effect, Fault};
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    app().put_in(&env.store("store"), "team/app:1");
    let digest = &app().blobs[1].digest;
    let body = format!(
        r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"{digest}"}}]}}"#
    );
    let body: &'static str = body.leak();
    registry.fail(
        Fault::on("PUT", manifest_path)
            .first(1)
            .does(Effect::Page(400, body)),
    );
    env.run_line(&format!("push store {}", registry.host()))
        .success();
    assert_eq!(registry.count("PUT", upload_path), app().blobs.len() + 1);
    // What is named and not carried stays missing: once is enough.
    let registry = TestRegistry::start();
    let other = Box::leak(
        body.replace(digest.as_str(), image(1).digest().as_str())
            .into_boxed_str(),
    );
    registry.fail(Fault::on("PUT", manifest_path).does(Effect::Page(400, other)));
    env.run_line(&format!("push store {}", registry.host()))
        .exits(1);
    assert_eq!(registry.count("PUT", manifest_path), 1);
}

#[test]
fn nothing_of_harbor_is_sent_to_another_registry() {
    use hod_testkit::env::TestEnv;
    use hod_testkit::registry::{Auth, RegistryOptions};
    let logins = [Auth::Open, Auth::Bearer { login: None }];
    for auth in logins {
        let registry = TestRegistry::with(RegistryOptions {
            auth,
            ..RegistryOptions::default()
        });
        let env = TestEnv::new();
        app().put_in(&env.store("store"), "team/app:1");
        image(610).put_in(&env.store("store"), "app:1");
        let host = registry.host();
        env.run_line(&format!("push store {host} --create-projects"))
            .success();
        for seen in registry.seen() {
            let is_plain = seen.path.starts_with("/v2/") || seen.path == "/token";
            assert!(is_plain, "{seen:?}");
            assert!(seen.header("cookie").is_none() && seen.header("x-is-resource-name").is_none());
        }
        let names: Vec<RepositoryName> = registry.store().repositories().unwrap();
        assert_eq!(names.len(), 2);
    }
}

#[test]
fn no_cookie_comes_back() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.push("").success();
    let seen = site.harbor.take_seen();
    assert!(seen.iter().all(|seen| seen.header("cookie").is_none()));
}
