//! Who has no login at a Harbor gets a token that is good for nothing: what may be read is known when
//! the manifests were asked for, and what may not be is told once.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::Site;
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::image;
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::tree::exists;

const N_IMAGES: usize = 12;

/// A Harbor with a private and a public project, each with images, and nobody logged in.
fn site() -> Site {
    let site = Site::fresh();
    for project in ["private", "public"] {
        site.harbor.state().add_project(project, &[]).public = project == "public";
        for n in 0..N_IMAGES {
            site.add(&format!("{project}/app{n}:1"), &image(800));
        }
    }
    site.push("").success();
    hod_fsx::remove_file(&site.env.home().join(".docker/config.json")).unwrap();
    site
}

/// Lines for so many images of each of the projects.
fn lines(host: &str, projects: &[(&str, usize)]) -> String {
    let all = projects
        .iter()
        .flat_map(|&(project, n)| (0..n).map(move |n| format!("{host}/{project}/app{n}:1\n")));
    all.collect()
}

/// Checks that a run is refused in a few lines, of which one names the host.
#[track_caller]
fn check_refused(output: &Output, (host, undone): (&str, &str)) {
    let stderr = &output.stderr;
    assert!(stderr.lines().count() < 12, "{stderr}");
    let said = format!("error: `{host}` is not ready: 1 problem; {undone}");
    assert!(stderr.contains(&said), "{stderr}");
    let rows = stderr.lines().filter(|line| line.starts_with("  login "));
    assert_eq!(rows.count(), 1, "{stderr}");
    assert!(!stderr.contains("failed:"), "{stderr}");
    assert!(stderr.contains(&format!("hod login {host}")), "{stderr}");
}

#[test]
fn a_pull_that_may_read_nothing_is_refused_in_one_line() {
    let site = site();
    let (env, host) = (&site.env, site.harbor.host().to_owned());
    for projects in [
        &[("private", N_IMAGES)][..],
        &[("private", 3), ("missing", 3)],
        &[("private", 1)],
    ] {
        env.write("list.txt", lines(&host, projects));
        for flags in ["", " --dry-run"] {
            let line = format!("pull list.txt --store pulled{flags}");
            let output = env.run_line(&line).exits(5);
            check_refused(&output, (&host, "nothing was changed"));
        }
        assert!(!exists(&env.path("pulled")), "nothing was made");
        let json = env.run_line("pull list.txt --store pulled --json").exits(5);
        let document: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(document["registries"], serde_json::json!([host]));
        assert_eq!(document["findings"][0]["check"], "login");
    }
    env.write("list.txt", lines(&host, &[("private", N_IMAGES)]));
    let skipped = env.run_line("pull list.txt --store pulled --no-preflight");
    let stderr = &skipped.exits(1).stderr;
    assert!(stderr.contains(", all for the same reason\n"), "{stderr}");
}

#[test]
fn a_public_image_is_pulled_beside_private_ones() {
    let site = site();
    let (env, host) = (&site.env, site.harbor.host().to_owned());
    // Behind more projects than are asked for a token.
    let projects = [("a", 1), ("b", 1), ("c", 1), ("private", 4), ("public", 1)];
    env.write("list.txt", lines(&host, &projects));
    let output = env.run_line("pull list.txt --store pulled").exits(3);
    let digest = image(800).digest().clone();
    assert!(
        output.stdout.contains(&digest.to_string()),
        "{}",
        output.stdout
    );
    let end = output.stderr.split("error:").last().unwrap();
    assert!(end.contains("pulled 1 of 8 images; 7 failed"), "{end}");
    assert_eq!(end.matches(" 401 ").count(), 1, "{end}");
    assert_eq!(end.matches("for the same reason: ").count(), 1, "{end}");
    let verified = env.run_line("verify pulled").success();
    assert!(verified.stdout.is_empty(), "{}", verified.stdout);
}

#[test]
fn a_host_that_refuses_is_refused_beside_one_that_does_not() {
    let (site, open) = (site(), hod_testkit::registry::TestRegistry::start());
    open.add("a/b:1", &image(1));
    let (env, host) = (&site.env, site.harbor.host().to_owned());
    let private = lines(&host, &[("private", 2)]);
    env.write("list.txt", format!("{}/a/b:1\n{private}", open.host()));
    let output = env.run_line("pull list.txt --store pulled").exits(5);
    check_refused(&output, (&host, "nothing was changed"));
    let hint = "`--no-preflight` pulls from the other registries";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    let _ = env
        .run_line("pull list.txt --store pulled --no-preflight")
        .exits(3);
}

#[test]
fn a_receipt_of_what_may_not_be_read_is_refused() {
    let site = site();
    let (env, host) = (&site.env, site.harbor.host().to_owned());
    env.write("list.txt", lines("", &[("", N_IMAGES)]).replace("//", ""));
    let line = format!("receipt {host}/private --list list.txt --output have.json");
    let output = env.run_line(&line).exits(5);
    let stderr = &output.stderr;
    assert!(stderr.lines().count() < 8, "{stderr}");
    assert!(stderr.contains("no receipt was written"), "{stderr}");
    assert!(stderr.contains(&format!("hod login {host}")), "{stderr}");
    assert!(!exists(&env.path("have.json")));
    let line = format!("receipt {host}/public --list list.txt --output have.json");
    let nothing = env.run_line(&line).success();
    assert!(nothing.stderr.contains("warning: "), "{}", nothing.stderr);
    let closed = "receipt 127.0.0.1:1 --list list.txt --output no.json";
    let output = env.run_line(closed).exits(5);
    let said = "`127.0.0.1:1` is not ready: 1 problem; no receipt was written";
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

/// Other registries say in each refusal which request it was, and when.
#[test]
fn equal_refusals_are_one_reason_whatever_the_id_of_the_request() {
    let n = AtomicUsize::new(0x1c26_0000);
    let puppet = Puppet::start(move |_, target| {
        if target == "/v2/" {
            let version = ("Docker-Distribution-Api-Version", "registry/2.0");
            return Some(Reply::ok("{}").header(version.0, version.1));
        }
        let n = n.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"errors":[{{"code":"DENIED","message":"denied (request id {n:x}) at 2026-01-01T00:00:00.{n}Z","detail":{{"trace_id":"{n:032x}"}}}}]}}"#
        );
        Some(Reply::status(403, body))
    });
    let (env, host) = (TestEnv::new(), puppet.host());
    env.write("list.txt", lines(host, &[("p", N_IMAGES)]));
    let output = env.run_line("pull list.txt --store pulled").exits(5);
    check_refused(&output, (host, "nothing was changed"));
    let line = "pull list.txt --store pulled --no-preflight --no-referrers";
    let stderr = env.run_line(line).exits(1).stderr;
    assert!(stderr.contains(", all for the same reason\n"), "{stderr}");
    assert!(stderr.matches("failed: ").count() <= 3, "{stderr}");
}
