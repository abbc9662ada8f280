//! Projects that are missing: what is promised, and when they are created.

use super::{Site, app};
use hod_testkit::harbor::{Kind, Proxy, Role};
use hod_testkit::images::image;

/// Nothing at all was changed.
#[track_caller]
fn assert_untouched(site: &Site) {
    for seen in site.harbor.take_seen() {
        let is_safe = matches!(seen.method.as_str(), "GET" | "HEAD");
        assert!(is_safe, "{} {}", seen.method, seen.path);
    }
    assert!(!site.harbor.state().projects.contains_key("new"));
}

#[test]
fn a_dry_run_promises_what_the_real_run_does() {
    use Kind::{Admin, OidcUser, ProjectCreator, ProjectRobot, SystemRobot, User};
    let nobody_else = "administrators can create projects in this Harbor";
    // Who, whether creation is for administrators only, and what is said where it is refused.
    let cases: [(Kind, &str, bool, Option<&str>); 11] = [
        (Admin, "boss", true, None),
        (Admin, "boss", false, None),
        (User, "dev", true, Some(nobody_else)),
        (User, "dev", false, None),
        (User, "dev+x@corp", false, None),
        (User, "dev+x@corp", true, Some(nobody_else)),
        (SystemRobot, "robot$sync", false, None),
        (ProjectCreator, "robot$sync", true, None),
        (
            ProjectRobot,
            "robot$p+ci",
            false,
            Some("is a robot of one project and cannot create others"),
        ),
        // The prefix of robots is an administrator's to choose.
        (
            ProjectRobot,
            "bot-p+ci",
            false,
            Some("is a robot of one project and cannot create others"),
        ),
        (OidcUser, "oidc", false, None),
    ];
    for (kind, name, admin_only, refusal) in cases {
        let case = format!("{kind:?} {name} {admin_only}");
        let site = Site::fresh();
        site.harbor.add_account(kind, name, "pw");
        site.harbor.state().admin_only = admin_only;
        site.log_in(name, "pw");
        site.add("new/app:1", &app());
        let dry = site.push("--create-projects --dry-run");
        assert_untouched(&site);
        let code = if refusal.is_some() { 5 } else { 0 };
        assert_eq!(dry.code, Some(code), "{case}: {}", dry.stderr);
        match refusal {
            Some(says) => {
                let words: Vec<&str> = dry.stderr.split_whitespace().collect();
                assert!(words.join(" ").contains(says), "{case}: {}", dry.stderr);
            }
            None => assert!(
                dry.stderr.contains("would create private project `new`"),
                "{case}: {}",
                dry.stderr
            ),
        }
        let real = site.push("--create-projects");
        assert_eq!(real.code, Some(code), "{case}: {}", real.stderr);
        if refusal.is_some() {
            assert_untouched(&site);
        }
    }
}

#[test]
fn a_robot_that_may_not_create_projects_learns_it_by_trying() {
    // Harbor tells robots nothing of their permissions, whatever these are.
    let site = Site::fresh();
    site.harbor
        .add_account(Kind::SystemRobot, "robot$sync", "pw");
    site.harbor.state().admin_only = true;
    site.log_in("robot$sync", "pw");
    site.add("new/app:1", &app());
    let dry = site.push("--create-projects --dry-run").success();
    let says = "whether it can create `new`";
    assert!(dry.stderr.contains(says), "{}", dry.stderr);
    assert_untouched(&site);
    let real = site.push("--create-projects").exits(5);
    let words: Vec<&str> = real.stderr.split_whitespace().collect();
    let says = "robots with that system permission";
    assert!(words.join(" ").contains(says), "{}", real.stderr);
    assert!(site.harbor.state().projects.is_empty());
}

#[test]
fn with_any_finding_nothing_is_created() {
    type Prepare = fn(&Site);
    let cases: [(&str, Prepare); 5] = [
        ("name", |site| site.add("a--b/app:1", &app())),
        ("push right", |site| {
            site.harbor.state().add_project("theirs", &[]);
            site.add("theirs/app:1", &app());
        }),
        ("quota", |site| {
            let members = [("dev", Role::Maintainer)];
            site.harbor.state().add_project("small", &members).limit = Some(10);
            site.add("small/app:1", &app());
        }),
        ("proxy cache", |site| {
            let members = [("dev", Role::Maintainer)];
            site.harbor.state().add_project("hub", &members).is_proxy = true;
            site.add("hub/app:1", &app());
        }),
        ("immutable", |site| {
            let members = [("dev", Role::Maintainer)];
            site.harbor.state().add_project("old", &members);
            site.add("old/app:1", &image(610));
            site.push("").success();
            let mut state = site.harbor.state();
            let old = state.projects.get_mut("old").unwrap();
            old.immutable = ["**".to_owned()].into();
            drop(state);
            site.add("old/app:1", &app());
            let _ = site.harbor.take_seen();
        }),
    ];
    for (check, prepare) in cases {
        let site = Site::fresh();
        site.harbor.add_account(Kind::User, "dev", "pw");
        site.log_in("dev", "pw");
        prepare(&site);
        site.add("new/app:1", &app());
        let output = site.push("--create-projects").exits(5);
        let found = output
            .stderr
            .lines()
            .any(|line| line.trim().starts_with(check));
        assert!(found, "{check}: {}", output.stderr);
        assert_untouched(&site);
    }
}

#[test]
fn a_delta_without_its_base_creates_nothing() {
    let site = Site::fresh();
    site.add("new/app:1", &app());
    site.env.run_line("pack store --output base.tar").success();
    site.add("new/app:2", &app());
    site.env
        .run_line("pack store --since base.tar --output delta.tar")
        .success();
    let host = site.harbor.host();
    let output = site
        .env
        .run_line(&format!("push delta.tar {host} --create-projects"));
    assert_eq!(output.code, Some(5), "{}", output.stderr);
    assert_untouched(&site);
}

#[test]
fn an_api_that_is_closed_is_named() {
    let site = Site::fresh();
    site.harbor.state().proxy = Proxy::HidesApi;
    site.add("new/app:1", &app());
    let output = site.push("--create-projects").exits(5);
    let words: Vec<&str> = output.stderr.split_whitespace().collect();
    let all = words.join(" ");
    for says in [
        "it was not created, because Harbor's API cannot be reached",
        "to pass `/api/`",
    ] {
        assert!(all.contains(says), "{}", output.stderr);
    }
}

#[test]
fn a_project_without_a_right_is_not_asked_for_its_images() {
    let site = Site::fresh();
    site.harbor.add_account(Kind::User, "guest", "pw");
    site.log_in("guest", "pw");
    site.harbor.state().add_project("theirs", &[]).public = true;
    for n in 0..12 {
        site.add(&format!("theirs/app-{n}:1"), &image(600 + 10 * n));
    }
    let _ = site.push("").exits(5);
    let seen = site.harbor.take_seen();
    let manifests = seen.iter().filter(|seen| seen.path.contains("/manifests/"));
    // The first is how the challenge is learned.
    assert_eq!(manifests.count(), 1);
}
