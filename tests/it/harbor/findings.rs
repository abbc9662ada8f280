//! Each thing that stands in the way, as it is said; nothing is moved, and the exit code is 5.

use insta::assert_snapshot;

use super::{Site, app, shown};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::harbor::{Kind, Role};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

/// What a refused push says, having changed nothing at the Harbor.
#[track_caller]
fn refused(site: &Site, flags: &str) -> String {
    let output = site.push(flags).exits(5);
    for seen in site.harbor.take_seen() {
        let is_safe = matches!(seen.method.as_str(), "GET" | "HEAD");
        assert!(is_safe || seen.path.starts_with("/api/"), "{seen:?}");
    }
    site.shown(&output)
}

/// What a refused push into a registry says.
#[track_caller]
fn refused_by(env: &TestEnv, host: &str) -> String {
    let output: Output = env.run_line(&format!("push store {host} --retries 0"));
    let _ = output.clone().exits(5);
    shown(&output, host)
}

fn store() -> TestEnv {
    let env = TestEnv::new();
    app().put_in(&env.store("store"), "team/app:1");
    env
}

fn log_in(env: &TestEnv, host: &str) {
    let config = format!(r#"{{"auths":{{"{host}":{{"auth":"dTp3cm9uZw=="}}}}}}"#);
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.as_bytes()).unwrap();
}

#[test]
fn nobody_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert_snapshot!(refused_by(&store(), &host), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK      WHAT             PROBLEM
      reachable  harbor.corp:443  GET /v2/ on harbor.corp:443: the connection failed: Connection refused (os error 111)

    hint: Check that `harbor.corp:443` is the right name and can be reached from here.
    ");
}

#[test]
fn the_server_fails() {
    let puppet = Puppet::start(|_, _| Some(Reply::status(503, "<html>")));
    assert_snapshot!(refused_by(&store(), puppet.host()), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK      WHAT             PROBLEM
      reachable  harbor.corp:443  GET /v2/ on harbor.corp:443: 503 Service Unavailable

    hint: `harbor.corp:443` is failing. Check its log.
    ");
}

#[test]
fn the_other_side_does_not_speak_tls() {
    let registry = TestRegistry::start();
    // An address of this machine that is not taken for one.
    let host = registry.host().replace("127.0.0.1", "0.0.0.0");
    assert_snapshot!(refused_by(&store(), &host), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `hub.corp:5000` is not ready: 1 problem; nothing was changed
      CHECK  WHAT           PROBLEM
      TLS    hub.corp:5000  HEAD /v2/team/app/manifests/1 on hub.corp:5000: expected TLS, but the server answered in plain text

    hint: If `hub.corp:5000` does not use TLS on purpose, pass `--plain-http hub.corp:5000`.
    ");
}

#[test]
fn a_plain_registry_does_not_take_the_login() {
    let auth = Auth::Basic {
        user: "u".to_owned(),
        password: "p".to_owned(),
    };
    let registry = TestRegistry::with(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    });
    let env = store();
    assert_snapshot!(refused_by(&env, registry.host()), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  GET /v2/ on harbor.corp:443: 401 UNAUTHORIZED: as the test wants it

    hint: No login for `harbor.corp:443` is known. Log in with `hod login harbor.corp:443`.
    ");
    log_in(&env, registry.host());
    assert_snapshot!(refused_by(&env, registry.host()), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  `harbor.corp:443` refuses the login of `u`: 401 UNAUTHORIZED: as the test wants it

    hint: The login comes from `/tmp/hod-test-[TEST]/home/.docker/config.json`, key `harbor.corp:443`.
          Log in again with `hod login harbor.corp:443`. The login was not tried again, so that the user
          is not locked out.
    ");
    assert!(registry.seen().iter().all(|seen| seen.status == 401));
    let auth = Auth::Bearer {
        login: Some(("u".to_owned(), "p".to_owned())),
    };
    let registry = TestRegistry::with(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    });
    log_in(&env, registry.host());
    assert_snapshot!(refused_by(&env, registry.host()), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  `harbor.corp:443` refuses the login of `u`: 401 UNAUTHORIZED: as the test wants it

    hint: The login comes from `/tmp/hod-test-[TEST]/home/.docker/config.json`, key `harbor.corp:443`.
          Log in again with `hod login harbor.corp:443`. The login was not tried again, so that the user
          is not locked out.
    ");
    // The last asks whether it is the login that is refused.
    assert_eq!(registry.seen().len(), 3, "{:?}", registry.seen());
}

#[test]
fn harbor_does_not_take_the_login() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.log_in("robot$offline+ci", "an-old-secret");
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  `harbor.corp:443` refuses the login of `robot$offline+ci`: 401 Unauthorized

    hint: The login comes from `/tmp/hod-test-[TEST]/home/.docker/config.json`, key `harbor.corp:443`.
          Log in again with `hod login harbor.corp:443`. The secret of a robot is shown only once and
          may have expired, and users that log in by OIDC require their CLI secret. Harbor also answers
          like this while its database is down. The login was not tried again, so that the user is not
          locked out.
    ");
    // A public project would let nobody push either.
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .public = true;
    site.log_in("robot", "s3cret");
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  `harbor.corp:443` refuses the login of `robot`: 401 Unauthorized

    hint: The login comes from `/tmp/hod-test-[TEST]/home/.docker/config.json`, key `harbor.corp:443`.
          Log in again with `hod login harbor.corp:443`. The secret of a robot is shown only once and
          may have expired, and users that log in by OIDC require their CLI secret. Harbor also answers
          like this while its database is down. In a shell, put the name of a robot in single quotes
          ('robot$name'): otherwise the shell removes `$name`. The login was not tried again, so that
          the user is not locked out.
    ");
}

#[test]
fn nobody_has_logged_in() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    hod_fsx::write_file(&site.env.home().join(".docker/config.json"), b"{}").unwrap();
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT             PROBLEM
      login  harbor.corp:443  GET /service/token on harbor.corp:443: 401 Unauthorized (request req-[ID])

    hint: No login for `harbor.corp:443` is known. Log in with `hod login harbor.corp:443`.
    ");
}

#[test]
fn names_that_harbor_does_not_allow() {
    let site = Site::fresh();
    site.harbor.state().add_project("offline", &[]);
    site.add("a__b/app:1", &app());
    site.add("a--b/app:1", &app());
    assert_snapshot!(refused(&site, "--create-projects"), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK  WHAT  PROBLEM
      name   a--b  is not a valid project name
      name   a__b  is not a valid project name

    hint: A project name has lower-case letters and digits, joined by single `.`, `_` or `-`. Choose
          another name with `--project` or `--rename`.
    ");
}

#[test]
fn projects_that_are_not_there() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.add("platform/app:1", &app());
    site.add("tools/app:1", &app());
    assert_snapshot!(refused(&site, ""), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK    WHAT      PROBLEM
      project  platform  does not exist
      project  tools     does not exist

    hint: Create missing projects with `--create-projects`, or push to another project with `--project`.
    ");
    // A robot of one project may never create another.
    assert_snapshot!(refused(&site, "--create-projects"), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK    WHAT      PROBLEM
      project  platform  does not exist, and `robot$offline+ci` cannot create it
      project  tools     does not exist, and `robot$offline+ci` cannot create it

    hint: `robot$offline+ci` is a robot of one project and cannot create others. Create the project on
          Harbor's web pages, or log in as a user or a system robot.
    ");
    site.harbor.add_account(Kind::User, "dev", "pw");
    site.log_in("dev", "pw");
    site.harbor.state().admin_only = true;
    assert_snapshot!(refused(&site, "--create-projects"), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 3 problems; nothing was changed
      CHECK       WHAT      PROBLEM
      project     platform  does not exist, and `dev` cannot create it
      project     tools     does not exist, and `dev` cannot create it
      push right  offline   `dev` cannot push to it

    hint: Only administrators can create projects in this Harbor. Ask one to create it, or to allow
          everyone to create projects (Configuration, Project Creation).
          Give the user the role Developer in the project or, if it is a robot, the permissions to pull
          and push repositories.
    ");
}

#[test]
fn a_dry_run_says_which_projects_it_would_create() {
    let site = Site::fresh();
    site.add("platform/app:1", &app());
    site.add("tools/app:1", &app());
    let output = site.push("--create-projects=public --dry-run").success();
    assert!(site.harbor.state().projects.is_empty());
    assert_snapshot!(site.shown(&output), @r"
    exit code: 0
    --- stdout
    platform/app:1 sha256:5e572e9a0c87e52b59caf83bd5f0cf838e197da2d152d1e6ba96b9c175f12007 (new)
    tools/app:1 sha256:5e572e9a0c87e52b59caf83bd5f0cf838e197da2d152d1e6ba96b9c175f12007 (new)
    --- stderr
    note: would create public projects `platform`, `tools`
    2 images would be pushed: 5.8 KiB in 3 blobs, 5.8 KiB saved by sharing
    ");
    let output = site.push("--create-projects --dry-run --json").success();
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        document["projects"].to_string(),
        r#"[{"created":false,"project":"platform"},{"created":false,"project":"tools"}]"#
    );
    // A quota that is too small for what is to come is noticed before there is a project.
    let flags = "--create-projects --project-quota 100";
    assert_snapshot!(refused(&site, flags), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK  WHAT      PROBLEM
      quota  platform  requires up to 6.5 KiB, but only 100 B of 100 B are free
      quota  tools     requires up to 6.5 KiB, but only 100 B of 100 B are free

    hint: Set a larger quota for new projects with `--project-quota`.
    ");
    assert!(site.harbor.state().projects.is_empty());
}

#[test]
fn no_right_to_push() {
    let site = Site::new();
    site.harbor.add_account(Kind::User, "guest", "pw");
    site.harbor.add_account(Kind::OidcUser, "oidc", "pw");
    {
        let mut state = site.harbor.state();
        state.add_project("theirs", &[("guest", Role::Guest)]);
        state.add_project("open", &[]).public = true;
    }
    site.add("theirs/app:1", &app());
    site.add("open/app:1", &app());
    site.log_in("guest", "pw");
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK       WHAT    PROBLEM
      push right  open    `guest` cannot push to it
      push right  theirs  `guest` cannot push to it

    hint: Give the user the role Developer in the project or, if it is a robot, the permissions to pull
          and push repositories.
    ");
    // Who may not ask whether a project is there learns that it is one or the other.
    site.log_in("oidc", "pw");
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 2 problems; nothing was changed
      CHECK       WHAT    PROBLEM
      push right  open    `oidc` cannot push to it
      push right  theirs  does not exist, or `oidc` cannot push to it

    hint: Give the user the role Developer in the project or, if it is a robot, the permissions to pull
          and push repositories.
    ");
}

#[test]
fn harbor_is_read_only() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.harbor.state().read_only = true;
    assert_snapshot!(refused(&site, ""), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK      WHAT             PROBLEM
      read-only  harbor.corp:443  is in read-only mode and accepts no pushes

    hint: Wait until the maintenance ends, or ask an administrator to end read-only mode (Configuration,
          System Settings).
    ");
    let site = Site::fresh();
    site.add("new/app:1", &app());
    site.harbor.state().read_only = true;
    assert_snapshot!(refused(&site, "--create-projects"), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK      WHAT             PROBLEM
      read-only  harbor.corp:443  is in read-only mode and accepts no pushes

    hint: Wait until the maintenance ends, or ask an administrator to end read-only mode (Configuration,
          System Settings).
    ");
}

#[test]
fn a_project_is_a_proxy_cache() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .is_proxy = true;
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK        WHAT     PROBLEM
      proxy cache  offline  is a proxy cache

    hint: A proxy cache accepts no pushes. Choose another project with `--project`.
    ");
}

#[test]
fn what_a_proxy_cache_shows_is_not_pushed() {
    let who = [(Kind::Admin, "boss"), (Kind::ProjectRobot, "robot$hub+ci")];
    let flags = ["", "--no-preflight", "--dry-run"];
    for ((kind, name), flags) in who.iter().flat_map(|who| flags.map(|flags| (*who, flags))) {
        let site = Site::fresh();
        site.add("hub/app:1", &app());
        site.harbor.add_account(kind, name, "pw");
        site.log_in(name, "pw");
        let mut state = site.harbor.state();
        let hub = state.add_project("hub", &[(name, Role::Developer)]);
        hub.is_proxy = true;
        hub.upstream
            .insert("app:1".to_owned(), app().top().descriptor());
        drop(state);
        let output = site.push(flags).exits(5);
        let stderr = &output.stderr;
        assert!(stderr.contains("is a proxy cache"), "{stderr}");
        assert_eq!(output.stdout, "");
    }
}

#[test]
fn a_quota_is_too_small() {
    let site = Site::new();
    let big = ImageBuilder::oci(1)
        .layer(&layer(1, 2 << 20, Compression::Uncompressed))
        .build();
    site.add("offline/app:1", &big);
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .limit = Some(1 << 20);
    assert_snapshot!(refused(&site, ""), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK  WHAT     PROBLEM
      quota  offline  requires up to 2.0 MiB, but only 1.0 MiB of 1.0 MiB are free

    hint: Raise the quota (Administration, Project Quotas), or delete content that the project no longer
          requires.
    ");
    // What is there already needs no room: only the tag is new.
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .limit = None;
    site.push("").success();
    let used = site.harbor.state().projects["offline"].used();
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .limit = Some(used + (64 << 10));
    site.add("offline/app:2", &big);
    site.push("").success();
}

#[test]
fn tags_are_immutable() {
    let site = Site::new();
    site.add("offline/deep/er/app:1", &app());
    site.add("offline/app:2", &app());
    site.push("").success();
    let _ = site.harbor.take_seen();
    let immutable = ["1".to_owned()].into();
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .immutable = immutable;
    site.add("offline/deep/er/app:1", &image(610));
    site.add("offline/app:2", &image(610));
    assert_snapshot!(refused(&site, ""), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 1 problem; nothing was changed
      CHECK      WHAT                   PROBLEM
      immutable  offline/deep/er/app:1  is immutable and names another image

    hint: Push under another tag (with a second column in a list for `--only`: `NAME:1 NAME:1b`), or
          change the rule of the project (Policy, Tag Immutability).
    ");
}

#[test]
fn all_is_found_at_once() {
    let site = Site::new();
    {
        let mut state = site.harbor.state();
        let members = [("robot$offline+ci", Role::Maintainer)];
        state.add_project("hub", &members).is_proxy = true;
        state.add_project("small", &members).limit = Some(10);
        state.add_project("closed", &[]);
    }
    site.add("quay--io/nginx:1", &app());
    site.add("hub/app:1", &app());
    site.add("small/app:1", &app());
    site.add("closed/app:1", &app());
    site.add("absent/app:1", &app());
    site.add("offline/app:1", &app());
    assert_snapshot!(refused(&site, ""), @"
    exit code: 5
    --- stdout
    --- stderr
    error: `harbor.corp:443` is not ready: 5 problems; nothing was changed
      CHECK        WHAT      PROBLEM
      name         quay--io  is not a valid project name
      proxy cache  hub       is a proxy cache
      project      absent    does not exist
      push right   closed    `robot$offline+ci` cannot push to it
      quota        small     requires up to 6.5 KiB, but only 10 B of 10 B are free

    hint: A project name has lower-case letters and digits, joined by single `.`, `_` or `-`. Choose
          another name with `--project` or `--rename`.
          A proxy cache accepts no pushes. Choose another project with `--project`.
          Create missing projects with `--create-projects`, or push to another project with `--project`.
          Give the user the role Developer in the project or, if it is a robot, the permissions to pull
          and push repositories.
          Raise the quota (Administration, Project Quotas), or delete content that the project no longer
          requires.
    ");
    let output = site.push("--json").exits(5);
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let checks: Vec<&str> = findings
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    assert_eq!(checks, ["name", "proxy_cache", "project", "right", "quota"]);
    assert_eq!(document["verb"], "push");
    assert_eq!(document["registry"], site.harbor.host());
    assert!(findings.iter().all(|finding| {
        let is_text = |name: &str| finding[name].as_str().is_some_and(|text| !text.is_empty());
        is_text("what") && is_text("problem") && is_text("fix")
    }));
}

#[test]
fn without_a_preflight_each_image_says_it_for_itself() {
    let site = Site::new();
    site.add("absent/app:1", &app());
    site.add("absent/other:1", &image(610));
    let output = site.push("--no-preflight").exits(1);
    assert!(
        site.harbor
            .take_seen()
            .iter()
            .all(|seen| seen.path != "/api/v2.0/systeminfo")
    );
    assert_snapshot!(site.shown(&output), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 2 images; 2 failed, all for the same reason
      HEAD /v2/absent/app/manifests/1 on harbor.corp:443: 401 Unauthorized (request req-[ID])

    hint: Project `absent` does not exist on `harbor.corp:443`. Create it with `--create-projects`, or
          push into another one with `--project`.
          No image was finished; run the command again to retry.
    ");
    let usage = site.push("--no-preflight --create-projects").exits(2);
    assert!(
        usage.stderr.contains("cannot be used with"),
        "{}",
        usage.stderr
    );
}
