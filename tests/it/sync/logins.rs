//! The logins of image-syncer's files.

use serde_json::{Value, json};

use super::{closed, content, run, source};
use hod_testkit::env::TestEnv;
use hod_testkit::images::image;
use hod_testkit::registry::{TestRegistry, basic};

const PASSWORD: &str = "s3cret-word";

#[test]
fn a_login_is_for_the_registries_that_it_names_and_goes_nowhere_else() {
    let (env, from, to, other) = (
        TestEnv::in_memory(),
        closed(PASSWORD),
        closed("other-word"),
        TestRegistry::start(),
    );
    from.add("lab/web:1", &image(1));
    let (host, to_host, other_host) = (from.host(), to.host(), other.host());
    let auth = json!({
        host: {"username": "robot", "password": "${PWX}"},
        (format!("{to_host}/x")): {"username": "$NAME", "password": "other-word", "insecure": true},
    });
    let images = json!({ (format!("{host}/lab/web:1")): [format!("{to_host}/x/web"), format!("{other_host}/x/web")] });
    env.write("auth.json", auth.to_string());
    env.write("images.json", images.to_string());
    // There, variables are not replaced: passwords may have a `$`.
    let literal = auth.to_string().replace("${PWX}", PASSWORD);
    let auth: Value = serde_json::from_str(&literal.replace("$NAME", "robot")).unwrap();
    env.write(
        "config.json",
        json!({"auth": auth, "images": images}).to_string(),
    );
    let variables = [("PWX", PASSWORD), ("NAME", "robot")];
    for (at, flags) in [
        "--auth auth.json --images images.json",
        "--config config.json",
    ]
    .iter()
    .enumerate()
    {
        from.add("lab/web:1", &image(at as u64 * 10 + 5));
        let synced = run(&env, &format!("sync {flags}"), &variables).success();
        let said = format!("{}{}", synced.stdout, synced.stderr);
        assert!(!said.contains("word"), "{said}");
        // The user named the file for that.
        assert!(!said.contains(" is from "), "{said}");
        for registry in [&to, &other] {
            assert_eq!(content(registry).len(), 1);
        }
        let own = basic("robot", PASSWORD);
        assert!(
            from.seen()
                .iter()
                .any(|seen| seen.header("authorization") == Some(&own))
        );
        assert!(
            to.take_seen()
                .iter()
                .all(|seen| seen.header("authorization") != Some(&own))
        );
        assert!(
            other
                .take_seen()
                .iter()
                .all(|seen| seen.header("authorization").is_none())
        );
    }

    // A namespace's login is not for the rest of the registry.
    let images = json!({ (format!("{host}/lab/web:1")): format!("{to_host}/y/web") });
    env.write("images.json", images.to_string());
    let refused = run(
        &env,
        "sync --auth auth.json --images images.json --retries 0",
        &variables,
    );
    assert!(matches!(refused.code, Some(3 | 5)), "{}", refused.stderr);
    assert!(
        to.take_seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );

    // Without the variable nothing is tried, and nothing of the file is shown.
    let refused = run(
        &env,
        "sync --auth auth.json --images images.json",
        &[("NAME", "robot")],
    )
    .exits(2);
    let has_any = refused.stderr.contains(PASSWORD) || refused.stderr.contains("other-word");
    assert!(!has_any, "{}", refused.stderr);
    // A login in the file of images is not accepted there.
    let images =
        json!({ (format!("{host}/lab/web:1")): format!("robot:{PASSWORD}@{to_host}/x/web") });
    env.write("images.json", images.to_string());
    let refused = run(&env, "sync --images images.json", &[]).exits(2);
    assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
}

#[test]
fn what_a_list_says_of_trust_is_not_believed_but_what_a_login_file_says_is() {
    let (env, from) = (TestEnv::in_memory(), source());
    let host = from.host();
    let auth = json!({"h.corp.invalid": {"insecure": true}});
    let images = json!({ (format!("{host}/lab/web:latest")): "h.corp.invalid/x" });
    env.write("auth.yaml", auth.to_string());
    env.write("images.yaml", images.to_string());
    env.write(
        "config.yaml",
        json!({"auth": auth, "images": images}).to_string(),
    );
    let not_verified = "the certificate of `h.corp.invalid` is not verified";
    for flags in [
        "--auth auth.yaml --images images.yaml",
        "--config config.yaml",
    ] {
        let refused = env.run_line(&format!("sync {flags} --retries 0"));
        assert!(refused.stderr.contains(not_verified), "{}", refused.stderr);
    }
    let refused = env.run_line("sync config.yaml --retries 0");
    assert!(!refused.stderr.contains(not_verified), "{}", refused.stderr);
}
