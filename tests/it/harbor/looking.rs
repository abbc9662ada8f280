//! What `doctor`, `pull` and the first look say of a Harbor, and of what stands in front of it.

use super::{Site, app};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::harbor::{Kind, Refusal, Role};
use hod_testkit::images::image;
use hod_testkit::puppet::{Puppet, Reply};

fn words(output: &Output) -> String {
    let all = format!("{} {}", output.stdout, output.stderr);
    let words: Vec<&str> = all.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn doctor_takes_what_push_and_login_take() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.push("").success();
    site.harbor.state().add_project("theirs", &[]);
    let robot = [("robot$offline+ci", Role::Developer)];
    site.harbor.state().add_project("hub", &robot).is_proxy = true;
    let host = site.harbor.host();
    let cases = [
        ("", 0, "can be used"),
        (
            "/offline",
            0,
            "`offline` exists, and `robot$offline+ci` can push to it",
        ),
        ("/offline/app", 0, "`offline/app` can be read: 1 tag"),
        ("/offline/none", 0, "`offline/none` has no images;"),
        ("/offline/deep/er", 0, "can push to it"),
        ("/theirs", 0, "`robot$offline+ci` cannot push to it"),
        ("/hub", 0, "`hub` is a proxy cache"),
        ("/absent", 1, "`absent` does not exist"),
        ("/absent/app", 1, "`absent` does not exist"),
    ];
    for (name, code, says) in cases {
        let output = site.env.run_line(&format!("doctor {host}{name}"));
        assert_eq!(output.code, Some(code), "{name}: {}", words(&output));
        assert!(words(&output).contains(says), "{name}: {}", words(&output));
    }
}

/// `doctor` says of a name what `push` to it says.
#[track_caller]
fn assert_push_agrees(site: &Site, host: &str, (name, pushable): (&str, bool)) {
    let output = site.env.run_line(&format!("doctor {host}{name} --json"));
    let found: serde_json::Value = serde_json::from_str(&output.success().stdout).unwrap();
    let expect = if name.is_empty() && pushable {
        serde_json::Value::Null
    } else {
        pushable.into()
    };
    assert_eq!(found["pushable"], expect, "{name}");
    let output = site.env.run_line(&format!("doctor {host}{name}")).success();
    let last = if pushable {
        format!("`{host}` can be used")
    } else {
        format!("`{host}` can be reached; `hod push {host}{name}` would fail")
    };
    assert!(
        output.stderr.trim_end().ends_with(&last),
        "{}",
        output.stderr
    );
    if name.is_empty() {
        return;
    }
    let target = format!("{host}{name}");
    let push = site.env.run_line(&format!("push store {target} --dry-run"));
    let code = if pushable { 0 } else { 5 };
    assert_eq!(push.code, Some(code), "{name}: {}", push.stderr);
}

#[test]
fn doctor_says_what_push_would_say() {
    let site = Site::new();
    let robot = [("robot$offline+ci", Role::Developer)];
    let reader = [("robot$offline+ci", Role::Guest)];
    site.harbor.state().add_project("hub", &robot).is_proxy = true;
    site.harbor.state().add_project("read", &reader);
    site.harbor.state().add_project("theirs", &[]);
    let host = site.harbor.host().to_owned();
    site.add("app:1", &app());
    let all = [
        ("/offline", true),
        ("/hub", false),
        ("/read", false),
        ("/theirs", false),
    ];
    for case in all.into_iter().chain([("", true)]) {
        assert_push_agrees(&site, &host, case);
    }
    site.harbor.state().read_only = true;
    for name in ["", "/offline"] {
        assert_push_agrees(&site, &host, (name, false));
    }
}

#[test]
fn doctor_uses_the_logins_of_the_environment_and_names_them() {
    let site = Site::new();
    hod_fsx::write_file(&site.env.home().join(".docker/config.json"), b"{}").unwrap();
    let host = site.harbor.host();
    for side in ["HOD_TARGET", "HOD_SOURCE"] {
        let variables = [
            (format!("{side}_USERNAME"), "robot$offline+ci"),
            (format!("{side}_PASSWORD"), "s3cret"),
        ];
        let variables = variables
            .each_ref()
            .map(|(name, value)| (name.as_str(), *value));
        let output =
            crate::login::run(&site.env, &format!("doctor {host}"), "", &variables).success();
        let says = format!("`robot$offline+ci`, from {side}_USERNAME");
        let words = words(&output)
            .replace("`HOD", "HOD")
            .replace("USERNAME`", "USERNAME");
        assert!(words.contains(&says), "{words}");
    }
}

#[test]
fn advice_for_a_pull_is_about_pulling() {
    let site = Site::new();
    site.harbor.add_account(Kind::User, "dev", "pw");
    site.log_in("dev", "pw");
    site.harbor.state().add_project("theirs", &[]);
    let host = site.harbor.host();
    for (name, says) in [
        ("absent/x:1", "Project `absent` does not exist"),
        ("theirs/x:1", "the role Guest"),
    ] {
        site.env.write("list.txt", name);
        let output = site.env.run_line(&format!(
            "pull list.txt --store new --source {host} --retries 0"
        ));
        let words = words(&output);
        assert_ne!(output.code, Some(0));
        assert!(words.contains(says), "{words}");
        for push in ["--create-projects", "push into", "Developer"] {
            assert!(!words.contains(push), "{words}");
        }
    }
}

#[test]
fn the_log_that_has_the_reason_is_named() {
    for (message, log) in [
        (
            "unknown error",
            "log of Harbor's `registry` service for the reason. Most often its disk is full",
        ),
        ("internal server error", "log of Harbor's `core` service"),
    ] {
        let site = Site::new();
        site.add("offline/app:1", &app());
        let refusal = Refusal::new("PUT", "/blobs/uploads/", (500, "UNKNOWN", message));
        site.harbor.state().refusals.push(refusal);
        let output = site.push("--retries 0").exits(1);
        assert!(words(&output).contains(log), "{}", words(&output));
    }
}

#[test]
fn an_external_url_with_tls_is_named() {
    let site = Site::new();
    site.add("offline/app:1", &image(600));
    site.harbor.state().is_https_outside = true;
    let says = "external URL of the Harbor at";
    let host = site.harbor.host();
    for (output, code) in [
        (site.push("--create-projects"), 5),
        (site.env.run_line(&format!("doctor {host}")), 1),
    ] {
        assert_eq!(output.code, Some(code), "{}", words(&output));
        let words = words(&output);
        assert!(words.contains(says), "{words}");
        assert!(!words.contains("--plain-http"), "{words}");
    }
}

#[test]
fn a_port_with_tls_on_this_machine_is_one_finding() {
    let says = "Client sent an HTTP request to an HTTPS server.\n";
    let puppet = Puppet::start(move |_, _| Some(Reply::status(400, says)));
    let env = TestEnv::new();
    for n in 0..12 {
        image(600 + 10 * n).put_in(&env.store("store"), &format!("team/app-{n}:1"));
    }
    let host = puppet.host();
    for line in [
        format!("push store {host}"),
        format!("pull {host}/team/app:1 --store other"),
        format!("copy {host}/team/app:1 oci:other"),
        format!("ls {host}"),
        format!("ls {host}/team"),
        format!("verify {host}"),
        format!("verify {host}/team/app:1"),
        format!("receipt {host} --output receipt.json"),
        format!("diff store {host}"),
        format!("login {host} --username u --password-stdin"),
    ] {
        let output = crate::login::run(&env, &line, "p", &[]).exits(5);
        let words = words(&output);
        assert!(words.contains("1 problem"), "{line}: {words}");
        assert!(words.contains("the server requires TLS"), "{line}: {words}");
        assert!(
            words.contains("pass its CA with `--ca FILE`"),
            "{line}: {words}"
        );
    }
}
