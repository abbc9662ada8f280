//! Docker's registry with a token server: real tokens, checked by the registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use hod_testkit::docker_registry::{self, DockerRegistry, PASSWORD, USER};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::upload_path;
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::programs::are_here;
use hod_testkit::relay::{Deed, Relay};
use hod_testkit::token_server::{Asked, TokenOptions, TokenServer};
use hod_testkit::tree::whole_images;

const MIB: usize = 1024 * 1024;

/// Has the user's credentials say `login` for `host`.
fn log_in(env: &TestEnv, host: &str, login: &str) {
    let config = format!(r#"{{"auths":{{"{host}":{{{login}}}}}}}"#);
    let path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&path, config.as_bytes()).unwrap();
}

fn password() -> String {
    format!(r#""username":"{USER}","password":"{PASSWORD}""#)
}

fn with_login() -> TokenOptions {
    TokenOptions {
        login: Some((USER.to_owned(), PASSWORD.to_owned())),
        ..TokenOptions::default()
    }
}

/// A place with three repositories, which share blobs, in its store, and a list of them.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let shared = image(500);
    for name in ["a/one", "b/two"] {
        shared.put_in(&store, &format!("{name}:1"));
    }
    image(600).put_in(&store, "c/three:1");
    env.write("all.txt", "a/one:1\nb/two:1\nc/three:1\n");
    hod_fsx::create_dir_all(&env.path("registry")).unwrap();
    env
}

/// What a pull of the site's images from the registry at `host` brings.
fn check_pull(env: &TestEnv, host: &str) {
    let line = format!("pull all.txt --source {host} --store new");
    let _ = env.run_line(&line).success();
    let images = whole_images(&env.path("new"));
    assert_eq!(images, whole_images(&env.path("store")));
}

#[test]
fn one_token_serves_a_whole_run() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = site();
    let tokens = TokenServer::start(with_login());
    let registry = DockerRegistry::serve_with_tokens(&env, "registry", &tokens);
    let host = registry.host().to_owned();
    log_in(&env, &host, &password());
    let _ = env.run_line(&format!("push store {host}")).success();
    let asked = tokens.take_asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(
        asked[0].scopes,
        [
            "repository:a/one:pull,push",
            "repository:b/two:pull,push",
            "repository:c/three:pull,push"
        ]
    );
    check_pull(&env, &host);
    let asked = tokens.take_asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(asked[0].scopes[0], "repository:a/one:pull");
    let log = registry.stop();
    // Blobs were mounted, for which the source has to be readable too.
    let n_puts = log
        .iter()
        .filter(|l| l.method == "PUT" && upload_path(&l.path));
    assert_eq!(
        n_puts.count(),
        image(500).blobs.len() + image(600).blobs.len()
    );
}

#[test]
fn a_push_outlives_its_token() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::in_memory();
    let layer = layer(7, 9 * MIB / 2, Compression::Uncompressed);
    let image = ImageBuilder::oci(7).layer(&layer).build();
    image.put_in(&env.store("store"), "team/app:1");
    hod_fsx::create_dir_all(&env.path("registry")).unwrap();
    let tokens = Arc::new(TokenServer::start(TokenOptions {
        life: 2,
        ..with_login()
    }));
    let registry = DockerRegistry::serve_with_tokens(&env, "registry", &tokens);
    let (n, of_judge) = (AtomicUsize::new(0), Arc::clone(&tokens));
    let relay = Relay::to(registry.host(), move |passed| {
        // The third chunk, and the fifth, come after the end of the token they came with.
        if passed.method == "PATCH" && matches!(n.fetch_add(1, Ordering::SeqCst), 2 | 5) {
            let last = of_judge.asked().last().unwrap().good_until;
            if let Ok(left) = last.duration_since(SystemTime::now()) {
                std::thread::sleep(left);
            }
        }
        Deed::Pass
    });
    log_in(&env, relay.host(), &password());
    let line = format!("push store {} --chunk-size 1MiB --jobs 1", relay.host());
    let output = env.run_line(&line).success();
    let passed = relay.passed();
    let refused: Vec<_> = passed.iter().filter(|p| p.status == 401).collect();
    // The first of all, and the two that came late.
    assert_eq!(refused.iter().filter(|p| p.method == "PATCH").count(), 2);
    assert_eq!(tokens.asked().len(), 3, "one, and one for each that ended");
    let n_posts = passed.iter().filter(|p| p.method == "POST");
    assert_eq!(
        n_posts.count(),
        image.blobs.len(),
        "no upload is begun again"
    );
    assert!(!output.stderr.contains("retry"), "{}", output.stderr);
    let served = whole_images(&env.path("registry"));
    assert_eq!(served["team/app:1"], *image.digest());
}

#[test]
fn an_identity_token_gets_tokens() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = site();
    let tokens = TokenServer::start(TokenOptions {
        identity: Some("the identity+token/of somebody".to_owned()),
        ..TokenOptions::default()
    });
    let registry = DockerRegistry::serve_with_tokens(&env, "registry", &tokens);
    let host = registry.host();
    let login = r#""auth":"MDAwOg==","identitytoken":"the identity+token/of somebody""#;
    log_in(&env, host, login);
    let _ = env.run_line(&format!("push store {host}")).success();
    check_pull(&env, host);
    let asked = tokens.take_asked();
    let methods: Vec<_> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["POST", "POST"]);
    // One that is not known any more is tried no other way.
    log_in(&env, host, r#""identitytoken":"another""#);
    let output = env.run_line(&format!("push store {host} --project new"));
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("401"), "{}", output.stderr);
    assert!(!output.stderr.contains("another\""), "{}", output.stderr);
    let asked = tokens.take_asked();
    let is_refused = |asked: &Asked| asked.method == "POST" && asked.status == 401;
    assert!(
        !asked.is_empty() && asked.iter().all(is_refused),
        "{asked:#?}"
    );
}

#[test]
fn rights_that_are_not_given_are_missed_at_the_registry() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = site();
    let tokens = TokenServer::start(TokenOptions {
        actions: vec!["pull"],
        ..with_login()
    });
    let registry = DockerRegistry::serve_with_tokens(&env, "registry", &tokens);
    let host = registry.host();
    log_in(&env, host, &password());
    let output = env.run_line(&format!("push store {host} --retries 0"));
    assert_ne!(output.code, Some(0));
    assert!(
        output.stderr.contains("`carrier` may not push"),
        "{}",
        output.stderr
    );
    log_in(&env, host, r#""username":"carrier","password":"wrong""#);
    let output = env.run_line(&format!("push store {host} --retries 0"));
    assert_ne!(output.code, Some(0));
    assert!(
        output.stderr.contains("refuses the login of `carrier`"),
        "{}",
        output.stderr
    );
}
