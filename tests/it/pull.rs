//! `hod pull`: platforms, pins, names, reports, logins; and that nothing is fetched twice.

mod lock;
mod outage;
mod platforms;
mod preflight;
mod unchanged;

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path};
use hod_testkit::images::{Compression, ImageBuilder, image, layer, menagerie, repository, tag};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

/// Pulls with the registry as the source of unqualified names.
fn pull(env: &TestEnv, registry: &TestRegistry, rest: &str) -> hod_testkit::env::Output {
    env.run_line(&format!(
        "pull list.txt --store store --source {} {rest}",
        registry.host()
    ))
}

#[test]
fn every_kind_of_image_arrives_unchanged_and_only_once() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let mut list = String::new();
    for (name, image) in menagerie() {
        registry.add(&format!("kinds/{name}:1"), &image);
        list = list + "kinds/" + name + ":1\n";
    }
    env.write("list.txt", list);
    let output = pull(&env, &registry, "--platform all").success();
    assert!(output.stderr.contains("foreign layer"), "{}", output.stderr);
    let store = env.store("store");
    for (name, image) in menagerie() {
        let (repository, tag) = (repository(&format!("kinds/{name}")), tag("1"));
        let digest = store.resolve_tag(&repository, &tag).unwrap();
        assert_eq!(digest.as_ref(), Some(image.digest()), "{name}");
        assert!(
            output
                .stdout
                .contains(&format!("kinds/{name}:1 {}\n", image.digest()))
        );
        for manifest in &image.manifests {
            let stored = store.read_manifest(manifest.digest()).unwrap().unwrap();
            assert_eq!(stored.bytes(), manifest.bytes(), "{name}");
            assert!(
                store.has_revision(&repository, manifest.digest()).unwrap(),
                "{name}"
            );
        }
        for blob in &image.blobs {
            let stored = store
                .read_blob(&blob.digest, u64::MAX - 1)
                .unwrap()
                .unwrap();
            assert_eq!(stored, blob.bytes, "{name}");
            assert!(
                store.has_layer(&repository, &blob.digest).unwrap(),
                "{name}"
            );
        }
    }
    let mut paths: Vec<String> = registry
        .take_seen()
        .into_iter()
        .filter(|seen| seen.method == "GET" && blob_path(&seen.path))
        .filter_map(|seen| seen.path.rsplit('/').next().map(str::to_owned))
        .collect();
    let n_fetched = paths.len();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), n_fetched, "a blob was fetched twice");
    env.run_line("verify store").success();

    let again = pull(&env, &registry, "--platform all").success();
    assert_eq!(registry.n_blob_gets(), 0);
    assert!(
        again.stderr.contains("nothing to transfer"),
        "{}",
        again.stderr
    );
    assert_eq!(again.stdout, output.stdout);
}

#[test]
fn a_list_says_where_images_go() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let host = registry.host();
    registry.add("library/redis:7", &image(100));
    registry.add("bare:1", &image(110));
    registry.add("team/app:2", &image(120));
    env.write(
        "lists/a.txt",
        format!("\u{feff}# first\r\nredis:7\r\n##other\r\nbare:1 # only as it stands\r\n{host}/team/app:2\r\n"),
    );
    env.write("lists/b.list", "##moved\nteam/app:2  platform/app:v2\n");
    env.write("lists/c.md", "this is no list\n");
    let run = |section: &str| {
        env.run_line(&format!(
            "pull lists --store store --source {host} {section}"
        ))
        .success()
        .stdout
    };
    let stored = format!("{}/team/app", host.replace(':', "_"));
    let all = run("");
    let names: Vec<&str> = all
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let expect = [
        "library/redis:7",
        "library/bare:1",
        &format!("{stored}:2"),
        "platform/app:v2",
    ];
    assert_eq!(names, expect);
    let moved = run("--section moved");
    assert!(
        moved.starts_with("platform/app:v2 ") && moved.lines().count() == 1,
        "{moved}"
    );
    let mut command = env.hod();
    command.args(["pull", "-", "--store", "other", "--source", host]);
    let file = hod_fsx::open(&env.path("lists/b.list")).unwrap();
    command.stdin(file);
    let output = hod_testkit::env::finish(&mut command).success();
    assert_eq!(output.stdout, moved);
}

#[test]
fn all_bad_lines_are_told_before_anything_is_fetched() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    env.write(
        "list.txt",
        "team/App:1\nok/image:1\nnginx@sha256:12\nok/image:1\na/b:1 x/y:1\nc/d:1 x/y:1\n",
    );
    let output = pull(&env, &registry, "").exits(2);
    assert_eq!(
        output.stderr,
        "\
error: image list `list.txt` has 3 invalid lines; nothing was done
  line 1: `team/App:1`: uppercase letter in repository name
  line 3: `nginx@sha256:12`: digest has 2 of 64 hex characters
  line 6: `c/d:1`: goes to `x/y:1`, where `a/b:1` of list.txt:5 goes

hint: Did you mean `team/app:1`?
"
    );
    assert!(registry.seen().is_empty() && hod_fsx::try_stat(&env.path("store")).unwrap().is_none());
}

#[test]
fn a_batch_goes_on_past_a_failed_image_or_stops_at_it() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/one:1", &image(200));
    env.write("list.txt", "a/missing:1\na/one:1\n");
    let output = pull(&env, &registry, "").exits(3);
    assert!(
        output
            .stderr
            .contains("error: pulled 1 of 2 images; 1 failed\n  a/missing:1: ")
    );
    assert!(output.stdout.starts_with("a/one:1 sha256:"));
    let output = pull(&env, &registry, "--json").exits(3);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["images"][0]["status"], "failed");
    assert_eq!(document["images"][1]["status"], "done");
    assert_eq!(document["moved_bytes"], 0);
    let other = TestEnv::new();
    other.write("list.txt", "a/missing:1\na/one:1\n");
    let output = pull(&other, &registry, "--fail-fast").exits(5);
    assert_eq!(output.stdout, "");
    let expect =
        "error: pulled 0 of 2 images; stopped at the first failure; 1 not tried\n  a/missing:1: ";
    assert!(output.stderr.contains(expect), "{}", output.stderr);
    assert!(hod_fsx::try_stat(&other.path("store")).unwrap().is_none());
}

#[test]
fn a_dry_run_changes_nothing() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/one:1", &image(200));
    env.write("list.txt", "a/one:1\n");
    let output = pull(&env, &registry, "--dry-run").success();
    assert!(
        output.stderr.contains("1 image would be pulled: "),
        "{}",
        output.stderr
    );
    // The configuration, which says what the image is for.
    assert_eq!(registry.count("GET", blob_path), 1);
    assert!(hod_fsx::try_stat(&env.path("store")).unwrap().is_none());
}

#[test]
fn the_lock_is_a_list_of_the_same_images() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/one:1", &image(200));
    registry.add("a/two:1", &image(210));
    env.write("list.txt", "##first\na/one:1\n##second\na/two:1  b/two:2\n");
    let first = pull(&env, &registry, "--platform linux/amd64 --lock lock.txt").success();
    let host = registry.host();
    let options = "platform=linux/amd64 referrers=yes";
    assert_eq!(
        env.read("lock.txt"),
        format!(
            "##first\n{host}/a/one:1@{} a/one:1 {options}\n\
             ##second\n{host}/a/two:1@{} b/two:2 {options}\n",
            image(200).digest(),
            image(210).digest()
        )
    );
    // The tags move on; the lock does not.
    registry.add("a/one:1", &image(220));
    let second = env.run_line("pull lock.txt --store again").success();
    assert_eq!(second.stdout, first.stdout);
    let select = env
        .run_line("select lock.txt --store store --output tree")
        .success();
    assert_eq!(select.stdout, first.stdout);
}

#[test]
fn logins_come_from_the_docker_configuration() {
    let auth = |user: &str, password: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    };
    let (user, password) = ("ci".to_owned(), "s3cret-word".to_owned());
    for server in [
        Auth::Basic {
            user: user.clone(),
            password: password.clone(),
        },
        Auth::Bearer {
            login: Some((user, password)),
        },
    ] {
        let env = TestEnv::new();
        let options = RegistryOptions {
            auth: server,
            ..RegistryOptions::default()
        };
        let registry = TestRegistry::with(options);
        registry.add("a/one:1", &image(200));
        env.write("list.txt", "a/one:1\n");
        let refused = pull(&env, &registry, "").exits(5);
        assert!(refused.stderr.contains("401"), "{}", refused.stderr);
        let write = |password: &str| {
            let config = format!(
                r#"{{"auths":{{"{}":{{"auth":"{}"}}}}}}"#,
                registry.host(),
                auth("ci", password)
            );
            hod_fsx::write_file(&env.home().join(".docker/config.json"), config.as_bytes())
                .unwrap();
        };
        write("wrong-word");
        let refused = pull(&env, &registry, "").exits(5);
        assert!(!refused.stderr.contains("wrong-word"), "{}", refused.stderr);
        write("s3cret-word");
        let output = pull(&env, &registry, "").success();
        assert!(!output.stderr.contains("s3cret-word"));
        let host = registry.host();
        env.run_line(&format!("push store {host}/copy")).success();
    }
}

#[test]
fn schema_1_is_refused_by_name() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("a/one:1", &image(200));
    let old = br#"{"schemaVersion":1,"name":"a/old","tag":"1","fsLayers":[],"history":[]}"#;
    let old_type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let page = std::str::from_utf8(old).unwrap();
    registry.fail(Fault::on("GET", manifest_path).does(Effect::Page(200, page)));
    registry.fail(
        Fault::on("GET", manifest_path).does(Effect::Header("content-type", old_type.into())),
    );
    env.write("list.txt", "a/one:1\n");
    let output = pull(&env, &registry, "").exits(1);
    assert!(
        output.stderr.contains("Docker schema 1"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_image_of_another_platform_is_told() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let arm = ImageBuilder::oci(300)
        .platform("linux", "arm64")
        .layer(&layer(301, 100, Compression::Gzip))
        .build();
    registry.add("a/arm:1", &arm);
    env.write("list.txt", "a/arm:1\n");
    let output = pull(&env, &registry, "--platform linux/amd64").success();
    assert!(
        output
            .stderr
            .contains("warning: a/arm:1: the image is for linux/arm64 only, not for linux/amd64"),
        "{}",
        output.stderr
    );
    let output = pull(&env, &registry, "--platform linux/arm64").success();
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}
