//! What would stop a pull is found before the list is resolved, once for each host, in one table.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::image;
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};
use hod_testkit::tree::exists;

/// A hundred images of several projects at `host`.
fn hundred(host: &str) -> String {
    let lines = (0..100).map(|n| format!("{host}/p{}/app{n}:1\n", n % 20));
    lines.collect()
}

fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Pulls a hundred images, and checks that they are refused at once and in few words.
#[track_caller]
fn check(host: &str, (check, problem): (&str, &str)) -> Output {
    let env = TestEnv::new();
    env.write("list.txt", hundred(host));
    let start = Instant::now();
    let output = env.run_line("pull list.txt --store store").exits(5);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    let stderr = &output.stderr;
    assert!(stderr.lines().count() < 12, "{stderr}");
    assert!(
        stderr.contains(&format!(
            "error: `{host}` is not ready: 1 problem; nothing was changed"
        )),
        "{stderr}"
    );
    let row = stderr
        .lines()
        .find(|line| line.starts_with(&format!("  {check} ")));
    assert!(row.is_some_and(|row| row.contains(problem)), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    assert!(!exists(&env.path("store")), "nothing was made");
    output
}

#[test]
fn a_host_that_cannot_be_used_is_found_at_once() {
    check(&closed_port(), ("reachable", "Connection refused"));
    let unknown = check(
        "registry.invalid",
        ("reachable", "host `registry.invalid` not found"),
    );
    assert!(!unknown.stderr.contains("dns error"), "{}", unknown.stderr);
    let page = Puppet::start(|_, _| {
        let page = "<html><title>It works!</title></html>";
        Some(Reply::ok(page).header("Content-Type", "text/html; charset=utf-8"))
    });
    let problem = "is not a registry: it answers 200 with the web page \"It works!\"";
    check(page.host(), ("registry", problem));
    let locked = RegistryOptions {
        auth: Auth::Basic {
            user: "ci".to_owned(),
            password: "s3cret".to_owned(),
        },
        ..RegistryOptions::default()
    };
    let locked = TestRegistry::with(locked);
    let output = check(locked.host(), ("login", "401 UNAUTHORIZED"));
    let hint = format!(
        "No login for `{0}` is known. Log in with `hod login {0}`.",
        locked.host()
    );
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
}

#[test]
fn a_host_without_tls_is_named() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let host = registry.host();
    // What makes hod speak TLS with an address of this machine.
    let dir = env
        .home()
        .join(format!(".config/containers/certs.d/{host}"));
    hod_fsx::write_file(&dir.join("note.txt"), b"x").unwrap();
    env.write("list.txt", hundred(host));
    let output = env.run_line("pull list.txt --store store").exits(5);
    assert!(output.stderr.contains("\n  TLS "), "{}", output.stderr);
    let hint = format!("pass `--plain-http {host}`");
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
}

#[test]
fn every_verb_tries_a_host_that_never_answered_twice() {
    let (env, host) = (TestEnv::new(), closed_port());
    image(1).put_in(&env.store("store"), "proj/app:1");
    for line in [
        format!("push store {host}"),
        format!("pull {host}/proj/app:1 --store other"),
        format!("ls {host}/proj"),
        format!("verify {host}/proj/app:1"),
        format!("receipt {host} --output receipt.json"),
        format!("diff store {host}"),
        format!("login {host} --username u --password-stdin"),
    ] {
        let output = crate::login::run(&env, &line, "p", &[]).exits(5);
        assert!(
            output.stderr.contains("gave up after 2 attempts"),
            "{line}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_client_certificate_that_is_missing_is_found_by_pull_and_push() {
    let front = Puppet::start(|_, _| {
        let page = "<html><title>400 No required SSL certificate was sent</title></html>";
        Some(Reply::status(400, page).header("Content-Type", "text/html"))
    });
    let pulled = check(front.host(), ("TLS", "requires a client certificate"));
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "proj/app:1");
    let line = format!("push store {}", front.host());
    let pushed = env.run_line(&line).exits(5);
    for Output { stderr, .. } in [pulled, pushed] {
        assert!(stderr.contains("\n  TLS "), "{stderr}");
        assert!(stderr.contains("client.cert"), "{stderr}");
    }
}

#[test]
fn a_registry_that_gives_tokens_to_everyone_needs_no_login() {
    let open = RegistryOptions {
        auth: Auth::Bearer { login: None },
        ..RegistryOptions::default()
    };
    let (env, registry) = (TestEnv::new(), TestRegistry::with(open));
    registry.add("a/b:1", &image(1));
    env.write("list.txt", "a/b:1\n");
    let line = format!("pull list.txt --store store --source {}", registry.host());
    let _ = env.run_line(&line).success();
}

#[test]
fn the_page_of_a_front_end_does_not_hide_a_registry() {
    let served = image(1);
    let registry = TestRegistry::start();
    registry.add("a/b:1", &served);
    let own = registry.host().to_owned();
    // `/v2/` leads to a site that is not there, and everything else to the registry.
    for location in ["https://docs.invalid/", "http://SELF/page"] {
        let own = own.clone();
        let front = Puppet::start(move |_, target| {
            if target == "/page" {
                let page = Reply::ok("<html></html>");
                return Some(page.header("Content-Type", "text/html"));
            }
            let to = match target {
                "/v2/" => location.replace("SELF", &own),
                target => format!("http://{own}{target}"),
            };
            Some(Reply::status(307, "").header("Location", &to))
        });
        let env = TestEnv::new();
        env.write("list.txt", "a/b:1\n");
        let line = format!("pull list.txt --store store --source {}", front.host());
        let _ = env.run_line(&line).success();
    }
}

#[test]
fn one_bad_host_of_several_stops_the_run_unless_told_otherwise() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/b:1", &image(1));
    let (good, bad) = (registry.host(), closed_port());
    env.write("list.txt", format!("{good}/a/b:1\n{bad}/c/d:1\n"));
    let output = env.run_line("pull list.txt --store store").exits(5);
    let stderr = &output.stderr;
    assert!(
        stderr.contains(&format!("`{bad}` is not ready")),
        "{stderr}"
    );
    assert!(
        stderr.contains("`--no-preflight` pulls from the other registries"),
        "{stderr}"
    );
    let json = env.run_line("pull list.txt --store store --json").exits(5);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["registries"], serde_json::json!([bad]));
    assert_eq!(document["findings"][0]["check"], "reachable");
    let line = "pull list.txt --store store --no-preflight --retries 0";
    let output = env.run_line(line).exits(3);
    assert!(output.stdout.contains("a/b:1 sha256:"), "{}", output.stdout);
}

#[test]
fn a_mirror_that_answers_is_enough() {
    let (env, mirror) = (TestEnv::new(), TestRegistry::start());
    mirror.add("a/b:1", &image(1));
    let closed = closed_port();
    let conf = |location: &str| {
        let text = format!(
            "[[registry]]\nlocation = 'hub.invalid'\n[[registry.mirror]]\nlocation = '{location}'\n"
        );
        let path = env.home().join(".config/containers/registries.conf");
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
    };
    env.write("list.txt", "hub.invalid/a/b:1\n");
    conf(mirror.host());
    let _ = env.run_line("pull list.txt --store store").success();
    // With neither, both are named.
    conf(&closed);
    env.write("list.txt", "hub.invalid/a/c:1\n");
    let output = env.run_line("pull list.txt --store store").exits(5);
    let stderr = &output.stderr;
    assert!(
        stderr.contains("`hub.invalid` is not ready: 2 problems"),
        "{stderr}"
    );
    assert!(
        stderr.contains(&format!("{closed} (mirror of hub.invalid)")),
        "{stderr}"
    );
    // What is pinned and here is not asked for at all.
    let digest = image(1).digest().clone();
    env.write("list.txt", format!("hub.invalid/a/b:1@{digest}\n"));
    let line = "pull list.txt --store store --no-referrers";
    let _ = env.run_line(line).success();
}
