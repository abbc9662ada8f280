//! `hod doctor`: what is set, what answers, and nothing secret.

use serde_json::{Value, json};

use hod_testkit::docker_registry::{self, DockerRegistry, Tls};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::image;
use hod_testkit::pki::Authority;
use hod_testkit::programs;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

/// The output with what differs from run to run under one name each.
fn shown(env: &TestEnv, host: &str, output: &Output) -> String {
    let home = env.home().display().to_string();
    let text = output.snapshot(&[(host, "[HOST]"), (&home, "[HOME]")]);
    // Columns are as wide as what stands in them.
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A file of the user's own, so that the system's is not read.
fn own_conf(env: &TestEnv, text: &str) {
    let path = env.home().join(".config/containers/registries.conf");
    hod_fsx::write_file(&path, text.as_bytes()).unwrap();
}

fn log_in(env: &TestEnv, host: &str, auth: &str) {
    let config = json!({"auths": {format!("{host}/team"): {"auth": auth}}});
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.to_string().as_bytes()).unwrap();
}

#[test]
fn a_registry_that_can_be_used() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let host = registry.host();
    own_conf(&env, "");
    let output = env.run_line(&format!("doctor {host}")).success();
    insta::assert_snapshot!(shown(&env, host, &output));
}

#[test]
fn a_login_that_is_taken_and_one_that_is_not() {
    let env = TestEnv::new();
    let registry = TestRegistry::with(RegistryOptions {
        auth: Auth::Bearer {
            login: Some(("robot$ci".to_owned(), "hunter2".to_owned())),
        },
        ..RegistryOptions::default()
    });
    let host = registry.host();
    registry.add("team/app:1", &image(1));
    let conf = format!(
        "[[registry]]\nlocation = '{host}'\n[[registry.mirror]]\nlocation = 'mirror.test/x'\n\
         pull-from-mirror = 'digest-only'\n"
    );
    own_conf(&env, &conf);
    // robot$ci:hunter2
    log_in(&env, host, "cm9ib3QkY2k6aHVudGVyMg==");
    let output = env.run_line(&format!("doctor {host}/team/app")).success();
    insta::assert_snapshot!("accepted", shown(&env, host, &output));
    // robot$ci:hunter3
    log_in(&env, host, "cm9ib3QkY2k6aHVudGVyMw==");
    let output = env.run_line(&format!("doctor {host}/team/app")).exits(1);
    let text = shown(&env, host, &output);
    assert!(
        !text.contains("hunter") && !text.contains("aHVudGVy"),
        "{text}"
    );
    insta::assert_snapshot!("refused", text);
    let json = env
        .run_line(&format!("doctor {host}/team/app --json"))
        .exits(1);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["usable"], false);
    let findings = document["findings"].as_array().unwrap();
    let failed: Vec<&Value> = findings
        .iter()
        .filter(|f| f["status"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["check"], "logged in");
    // Without a login it may be that reading is all that is wanted.
    hod_fsx::remove_file(&env.home().join(".docker/config.json")).unwrap();
    let output = env.run_line(&format!("doctor {host}")).success();
    insta::assert_snapshot!("anonymous", shown(&env, host, &output));
}

#[test]
fn who_does_not_answer() {
    let env = TestEnv::new();
    own_conf(&env, "");
    let host = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let output = env.run_line(&format!("doctor {host}")).exits(1);
    insta::assert_snapshot!(shown(&env, &host, &output));
}

#[test]
fn whose_certificate_is_not_trusted() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    own_conf(&env, "");
    let authority = Authority::new("Corp CA");
    let tls = Tls {
        server: authority.server(&["127.0.0.1"]),
        client_authority: None,
    };
    let registry = DockerRegistry::serve_tls(&env, "theirs", &tls);
    let host = registry.host();
    let dir = env.home().join(".config/containers/certs.d").join(host);
    let own = authority.client();
    for (name, text) in [("me.cert", &own.certificate), ("me.key", &own.key)] {
        hod_fsx::write_file(&dir.join(name), text.as_bytes()).unwrap();
    }
    let output = env.run_line(&format!("doctor {host}")).exits(1);
    insta::assert_snapshot!("untrusted", shown(&env, host, &output));
    hod_fsx::write_file(&dir.join("ca.crt"), authority.certificate.as_bytes()).unwrap();
    let output = env.run_line(&format!("doctor {host}")).success();
    insta::assert_snapshot!("trusted", shown(&env, host, &output));
}
