//! Registry against registry: `hod` with a running `docker-registry`, and skopeo and
//! `docker-registry` with a running `hod serve`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::{
    Named, assert_copies, assert_is_layout, pull, push_with_skopeo, put, skopeo_zoo, source_of,
    write_list, zoo,
};
use hod_testkit::docker_registry::{self, DockerRegistry, Door, Logged, PASSWORD, USER};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::image;
use hod_testkit::programs;
use hod_testkit::skopeo;

const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];

/// Passes when `store` holds these images whole, and nothing in it is wrong.
#[track_caller]
fn assert_pulled(env: &TestEnv, images: &[Named]) {
    env.run_line("verify store").success();
    env.run_line("export store --output exported").success();
    for (name, image) in images {
        assert_is_layout(&env.path(format!("exported/{name}")), image);
    }
}

#[test]
fn hod_pulls_what_skopeo_pushed_into_docker_registry() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let registry = DockerRegistry::serve(&env, "theirs");
    push_with_skopeo(&env, &source_of(&zoo), (registry.host(), &zoo));
    pull(&env, &zoo, registry.host());
    assert_pulled(&env, &zoo);
}

#[test]
fn pushing_again_into_docker_registry_costs_one_head_an_image() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    put(&env, &zoo);
    for line in [
        "pack list.txt --store store --output site.tar",
        "pack list.txt --store store --output site.tar.zst",
        "export store --output layouts",
    ] {
        env.run_line(line).success();
    }
    let sources = ["store", "site.tar", "site.tar.zst", "layouts"];
    for source in sources {
        let target = format!("target-{source}");
        let registry = DockerRegistry::serve(&env, &target);
        env.run_line(&format!("push {source} {}", registry.host()))
            .success();
        for (name, image) in &zoo {
            registry.assert_serves(name, image);
        }
        registry.stop();

        let registry = DockerRegistry::serve(&env, &target);
        let line = format!("push {source} {} --json", registry.host());
        let output = env.run_line(&line).success();
        let outcome: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(outcome["moved_bytes"], 0);
        let mut found = registry.stop();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let mut expected: Vec<Logged> = zoo.iter().map(|(name, _)| head_of(name)).collect();
        expected.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(found, expected, "{source}");
    }
}

fn head_of(name: &str) -> Logged {
    let (repository, tag) = name.split_once(':').unwrap();
    Logged {
        method: "HEAD".to_owned(),
        path: format!("/v2/{repository}/manifests/{tag}"),
        status: 200,
    }
}

/// Writes the user's Docker configuration with a login for this registry.
fn log_in(env: &TestEnv, host: &str, password: &str) -> String {
    let auth = BASE64.encode(format!("{USER}:{password}"));
    let config = json!({"auths": {host: {"auth": auth}}});
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.to_string().as_bytes()).unwrap();
    auth
}

#[track_caller]
fn assert_says_no_secret(output: &Output, secrets: &[&str]) {
    for text in [&output.stdout, &output.stderr] {
        for secret in secrets {
            assert!(!text.contains(secret), "a secret is told:\n{text}");
        }
    }
}

#[test]
fn a_login_from_dockers_configuration_opens_docker_registry() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let registry = DockerRegistry::serve_behind(Door::Login, &env, "theirs");
    let host = registry.host();
    let auth = log_in(&env, host, PASSWORD);
    let secrets = [PASSWORD, auth.as_str()];
    // skopeo goes by the same file.
    push_with_skopeo(&env, &source_of(&zoo), (host, &zoo));
    write_list(&env, &zoo);
    let run = |line: &str| {
        let output = env.run_line(line).success();
        assert_says_no_secret(&output, &secrets);
        output
    };
    let from = format!("--source {host} --platform all");
    run(&format!("pull list.txt --store store {from} --json"));
    assert_pulled(&env, &zoo);
    run(&format!("push store {host}/copies"));
    let from = format!("docker://{host}/copies/zoo/index:1.0");
    skopeo::copy(&env, "--all", (&from, "dir:copied"));
    registry.stop();

    let registry = DockerRegistry::serve_behind(Door::Login, &env, "theirs");
    log_in(&env, registry.host(), PASSWORD);
    run(&format!("push store {}/copies", registry.host()));
    let mut log = registry.stop();
    // How to log in is asked once, or by each of those that start at the same time.
    log.retain(|logged| logged.status != 401);
    log.sort_by(|a, b| a.path.cmp(&b.path));
    let copies = zoo.iter().map(|(name, _)| format!("copies/{name}"));
    let mut expected: Vec<Logged> = copies.map(|name| head_of(&name)).collect();
    expected.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(log, expected);
}

#[test]
fn a_wrong_login_or_none_is_told_without_the_secret() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let registry = DockerRegistry::serve_behind(Door::Login, &env, "theirs");
    let host = registry.host();
    image(1).put_in(&env.store("store"), "apps/web:1");
    env.write("list.txt", "apps/web:1\n");
    for password in [None, Some("wr0ng-Passw0rd")] {
        let auth = password.map(|password| log_in(&env, host, password));
        for (line, code) in [
            // Nothing is begun with a login that is not taken.
            (format!("push store {host}"), 5),
            (format!("pull list.txt --store other --source {host}"), 5),
        ] {
            let output = env.run_line(&line).exits(code);
            assert!(output.stderr.contains("401"), "{}", output.stderr);
            assert!(output.stderr.contains(host), "{}", output.stderr);
            assert!(output.stderr.contains("hint: "), "{}", output.stderr);
            if let (Some(password), Some(auth)) = (password, &auth) {
                assert_says_no_secret(&output, &[password, auth]);
            }
        }
    }
}

/// A running `hod serve`; it ends when it is dropped.
struct HodServe {
    child: Child,
    host: String,
}

impl HodServe {
    fn start(env: &TestEnv, store: &str, more: &[&str]) -> Self {
        let mut command = env.hod();
        command.args(["serve", store, "--listen", "127.0.0.1:0", "--quiet"]);
        command.args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let host = line.trim_end().strip_prefix("http://").unwrap().to_owned();
        Self { child, host }
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for HodServe {
    fn drop(&mut self) {
        // Fails for one that was interrupted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn skopeo_pushes_into_hod_serve_and_hod_and_docker_registry_go_on_from_there() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let served = HodServe::start(&env, "served", &["--writable"]);
    push_with_skopeo(&env, &source_of(&zoo), (&served.host, &zoo));
    for (name, image) in &zoo {
        assert_copies(&env, &format!("docker://{}/{name}", served.host), image);
    }
    pull(&env, &zoo, &served.host);
    assert_pulled(&env, &zoo);
    served.interrupt();

    env.run_line("verify served").success();
    super::same_tree::assert_same_tree(&env, "served", "store");
    let registry = DockerRegistry::serve(&env, "served");
    for (name, image) in &zoo {
        registry.assert_serves(name, image);
    }
}

#[test]
fn docker_registry_mirrors_hod_serve() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    put(&env, &zoo);
    let served = HodServe::start(&env, "store", &[]);
    let mirror = DockerRegistry::mirror(&env, "mirror", &served.host);
    for (name, image) in &zoo {
        mirror.assert_serves(name, image);
    }
}
