//! `hod tags`: one tag a line, the newest last.

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::images::image;
use hod_testkit::referrers::{cosign_tag, signatures};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

const TAGS: [&str; 6] = [
    "1.10.0",
    "1.9.0",
    "latest",
    "2.0.0-rc1",
    "v1.2",
    "nightly-10",
];

fn listed(env: &TestEnv, args: &[&str]) -> String {
    let output = env
        .run(std::iter::once("tags").chain(args.iter().copied()))
        .success();
    output.stdout.trim_end().replace('\n', " ")
}

#[test]
fn tags_are_listed_by_version() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let store = env.store("store");
    for tag in TAGS {
        registry.add(&format!("acme/api:{tag}"), &image(1));
        image(1).put_in(&store, &format!("acme/api:{tag}"));
    }
    let signature = cosign_tag(image(1).digest(), "sig");
    registry.add(&format!("acme/api:{signature}"), &signatures(&[5]));
    env.run_line("pack store --output site.tar --no-tool")
        .success();
    env.run_line("export store --output oci --format oci")
        .success();
    let all = "latest nightly-10 v1.2 1.9.0 1.10.0 2.0.0-rc1";
    let remote = format!("{}/acme/api", registry.host());
    let docker = format!("docker://{remote}");
    for source in [
        &remote,
        &docker,
        "store",
        "store:store",
        "site.tar",
        "oci:oci",
    ] {
        for (args, expect) in [
            (&[][..], all),
            (&["*"], all),
            (&["--limit", "2"], "1.10.0 2.0.0-rc1"),
            (&[">=1.2 <2"], "v1.2 1.9.0 1.10.0"),
            (&[">=1.2 <2", "--limit", "1"], "1.10.0"),
            (&["~nightly-.*"], "nightly-10"),
            (&["1.x"], "v1.2 1.9.0 1.10.0"),
        ] {
            assert_eq!(
                listed(&env, &[&[source][..], args].concat()),
                expect,
                "{source} {args:?}"
            );
        }
    }
    let with_all = listed(&env, &[&remote, "--all"]);
    assert_eq!(with_all.split(' ').count(), TAGS.len() + 1);
    assert!(with_all.contains(&signature), "{with_all}");
    let pattern = format!("{remote}:>=1.9 limit=1");
    assert_eq!(listed(&env, &[&pattern]), "1.10.0");
    let named = ["api", "--source", &format!("{}/acme", registry.host())].map(str::to_owned);
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    // A name of one component is in `library` there, as a push puts it.
    let _ = env.run(["tags"].iter().chain(&named)).exits(1);
    let named = ["acme/api", "--source", registry.host()];
    assert_eq!(listed(&env, &named), all);
    let output = env.run(["tags", &remote, "--json", "^1.10"]).success();
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["repository"], remote.as_str());
    assert_eq!(document["tags"], serde_json::json!(["1.10.0"]));
    assert_eq!(document["n_tags"], TAGS.len() + 1);
}

#[test]
fn the_repository_of_a_source_is_named_if_there_are_several() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    image(1).put_in(&store, "library/redis:7");
    image(2).put_in(&store, "acme/api:1");
    assert_eq!(listed(&env, &["store", "--repository", "redis"]), "7");
    assert_eq!(listed(&env, &["store", "--repository", "acme/api"]), "1");
    let several = env.run_line("tags store").exits(2);
    assert!(several.stderr.contains("`acme/api`"), "{}", several.stderr);
    let none = env.run_line("tags store --repository acme/none").exits(1);
    assert!(none.stderr.contains("`library/redis`"), "{}", none.stderr);
}

#[test]
fn nothing_found_is_a_failure() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("acme/api:1.0", &image(1));
    let host = registry.host();
    let repository = format!("{host}/acme/api");
    for (args, code) in [
        (vec![format!("{host}/acme/none")], 1),
        (vec![repository.clone(), ">=2".to_owned()], 1),
        (vec![repository.clone(), "~x.*".to_owned()], 1),
        (vec![repository.clone(), "~(".to_owned()], 2),
        (vec![repository.clone(), "x.y.z".to_owned()], 2),
        (vec![format!("{repository}:1.0")], 2),
        (vec![host.to_owned()], 2),
        (vec!["none.tar".to_owned()], 2),
        (
            vec![repository, "--repository".to_owned(), "x".to_owned()],
            2,
        ),
    ] {
        let output = env.run(["tags".to_owned()].iter().chain(&args));
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(
            output.stderr.contains("hint: ") || code == 2,
            "{args:?}: {}",
            output.stderr
        );
    }
    let closed = TestRegistry::with(RegistryOptions {
        auth: Auth::Bearer {
            login: Some(("ci".to_owned(), "s3cret".to_owned())),
        },
        ..RegistryOptions::default()
    });
    let output = env
        .run_line(&format!("tags {}/acme/api", closed.host()))
        .exits(1);
    assert!(output.stderr.contains("hod login"), "{}", output.stderr);
}
