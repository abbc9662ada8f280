//! `hod delete`: what goes is said before, and nothing else goes.

mod harbor;

use serde_json::Value;

use hod_testkit::docker_registry::DockerRegistry;
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Format, Image, ImageBuilder, image, index};
use hod_testkit::programs;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

fn delete(env: &TestEnv, line: &str) -> Output {
    env.run_line(&format!("delete {line}"))
}

fn document(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

/// The tags of a repository that are there.
fn tags(env: &TestEnv, repository: &str) -> String {
    let output = env.run_line(&format!("tags {repository}")).success();
    output.stdout.trim_end().replace('\n', " ")
}

/// One image with three tags, and another one.
fn shared(registry: &TestRegistry) -> [Image; 2] {
    let images = [image(1), image(2)];
    for tag in ["1.0", "1", "latest"] {
        registry.add(&format!("acme/api:{tag}"), &images[0]);
    }
    registry.add("acme/api:2.0", &images[1]);
    images
}

#[test]
fn a_manifest_goes_with_all_its_tags_and_only_if_confirmed() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let [image, _] = shared(&registry);
    let host = registry.host();
    let name = format!("{host}/acme/api:1.0");
    let refused = delete(&env, &name).exits(5);
    insta::assert_snapshot!(refused.snapshot(&[(host, "HOST")]));
    let dry = delete(&env, &format!("{name} --dry-run --json")).success();
    let found = document(&dry);
    assert_eq!(found["images"][0]["status"], "planned");
    assert_eq!(found["images"][0]["digest"], image.digest().as_str());
    assert_eq!(
        found["images"][0]["also_tags"],
        serde_json::json!(["1", "latest"])
    );
    assert_eq!(registry.count("DELETE", |_| true), 0);
    assert_eq!(tags(&env, &format!("{host}/acme/api")), "latest 1 1.0 2.0");
    let done = delete(&env, &format!("{name} --yes")).success();
    assert_eq!(
        done.stdout,
        format!("{name} {} (and tags 1, latest)\n", image.digest())
    );
    assert_eq!(tags(&env, &format!("{host}/acme/api")), "2.0");
    assert_eq!(registry.count("DELETE", |_| true), 1);
}

#[test]
fn several_tags_of_one_manifest_are_one_request() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    shared(&registry);
    let host = registry.host();
    let all = format!("{host}/acme/api:~1.*|latest");
    let done = delete(&env, &format!("{all} --yes --json")).success();
    let found = document(&done);
    assert_eq!(found["images"].as_array().unwrap().len(), 3);
    assert_eq!(found["n_deleted"], 1);
    for image in found["images"].as_array().unwrap() {
        assert_eq!(image["status"], "done");
        assert!(image.get("also_tags").is_none(), "{image}");
    }
    assert_eq!(registry.count("DELETE", |_| true), 1);
}

#[test]
fn a_tag_alone_is_deleted_where_the_registry_can() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let [image, _] = shared(&registry);
    let host = registry.host();
    delete(&env, &format!("{host}/acme/api:1.0 --tag-only --yes")).success();
    assert_eq!(tags(&env, &format!("{host}/acme/api")), "latest 1 2.0");
    let by_digest = format!("{host}/acme/api@{}", image.digest());
    let _ = delete(&env, &format!("{by_digest} --tag-only --yes")).exits(2);
    // By its digest, the manifest goes with the tags that are left.
    let found = document(&delete(&env, &format!("{by_digest} --yes --json")).success());
    assert_eq!(
        found["images"][0]["also_tags"],
        serde_json::json!(["1", "latest"])
    );
    assert_eq!(tags(&env, &format!("{host}/acme/api")), "2.0");
}

#[test]
fn a_list_goes_as_far_as_it_can() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    shared(&registry);
    registry.add("acme/web:1", &image(3));
    let host = registry.host();
    env.write(
        "list.txt",
        format!("{host}/acme/web:1\n{host}/acme/none:1\n"),
    );
    let line = "list.txt --yes --retry-list retry.txt --report report.json";
    let some = delete(&env, line).exits(3);
    assert!(some.stderr.contains("deleted 1 of 2"), "{}", some.stderr);
    let retry = env.read("retry.txt");
    assert!(
        retry.contains("acme/none:1") && !retry.contains("acme/web"),
        "{retry}"
    );
    let report: Value = serde_json::from_str(&env.read("report.json")).unwrap();
    assert_eq!(report["images"][0]["status"], "done");
    assert_eq!(report["images"][1]["status"], "failed");
    let again = delete(&env, "@retry.txt --yes").exits(1);
    assert!(again.stderr.contains("not found"), "{}", again.stderr);
    delete(&env, "@retry.txt --yes --missing-ok").success();
    // The images of a list, where a push put them.
    env.write("names.txt", "acme/api:2.0\n");
    delete(&env, &format!("{host} --only names.txt --yes")).success();
    assert_eq!(tags(&env, &format!("{host}/acme/api")), "latest 1 1.0");
    let _ = delete(&env, &format!("{host}/acme/api:>=3 --yes")).exits(1);
    delete(&env, &format!("{host}/acme/api:>=3 --yes --missing-ok")).success();
}

#[test]
fn a_manifest_of_an_index_stays_as_long_as_the_index() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let children = ["amd64", "arm64"]
        .map(|architecture| ImageBuilder::oci(7).platform("linux", architecture).build());
    registry.add("acme/api:1", &index(Format::Oci, &children));
    registry.add("acme/api:1-amd64", &children[0]);
    let host = registry.host();
    let refused = delete(&env, &format!("{host}/acme/api:1-amd64 --yes")).exits(5);
    assert!(refused.stderr.contains("index `1`"), "{}", refused.stderr);
    assert_eq!(registry.count("DELETE", |_| true), 0);
    let both = format!("{host}/acme/api:1-amd64 {host}/acme/api:1");
    delete(&env, &format!("{both} --yes")).success();
    let deleted = registry.seen();
    let mut deleted = deleted.iter().filter(|seen| seen.method == "DELETE");
    let index = index(Format::Oci, &children);
    assert!(
        deleted
            .next()
            .unwrap()
            .path
            .ends_with(index.digest().as_str())
    );
}

#[test]
fn what_cannot_be_deleted_is_named() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let host = registry.host();
    image(1).put_in(&env.store("store"), "acme/api:1");
    env.run_line("pack store --output site.tar --no-tool")
        .success();
    env.write("bare.txt", "acme/api:1\n");
    for line in [
        "store",
        "store:store",
        "site.tar",
        "bundle:site.tar",
        "acme/api:1",
        "bare.txt",
        host,
        &format!("{host}/acme"),
        &format!("{host}/acme/api:1 --yes --dry-run"),
        "none.txt",
    ] {
        let output = delete(&env, line);
        assert_eq!(output.code, Some(2), "{line}: {}", output.stderr);
    }
    let output = delete(&env, &format!("{host}/acme/none:1 --yes")).exits(1);
    assert!(output.stderr.contains("acme/none:1"), "{}", output.stderr);
}

#[test]
fn a_registry_that_keeps_everything_is_named() {
    let env = TestEnv::in_memory();
    let registry = TestRegistry::with(RegistryOptions {
        keeps_all: true,
        ..RegistryOptions::default()
    });
    shared(&registry);
    let name = format!("{}/acme/api:1.0", registry.host());
    let refused = delete(&env, &format!("{name} --yes")).exits(5);
    assert!(
        refused.stderr.contains("storage.delete.enabled"),
        "{}",
        refused.stderr
    );
    let refused = delete(&env, &format!("{name} --yes --json")).exits(5);
    assert_eq!(document(&refused)["images"][0]["class"], "policy");
}

#[test]
fn a_token_for_deleting_is_requested() {
    let env = TestEnv::in_memory();
    let registry = TestRegistry::with(RegistryOptions {
        auth: Auth::Bearer {
            login: Some(("ci".to_owned(), "s3cret".to_owned())),
        },
        ..RegistryOptions::default()
    });
    shared(&registry);
    let line = format!("delete {}/acme/api:2.0 --yes", registry.host());
    let output = env.run_line(&line).exits(1);
    assert!(output.stderr.contains("hod login"), "{}", output.stderr);
    let mut command = env.hod();
    command
        .args(line.split_whitespace())
        .env("HOD_TARGET_USERNAME", "ci")
        .env("HOD_TARGET_PASSWORD", "s3cret");
    registry.take_seen();
    let _ = finish(&mut command).success();
    let seen = registry.take_seen();
    let asked = seen.iter().filter(|seen| seen.path == "/token");
    let asked: Vec<&str> = asked.filter_map(|seen| seen.query.as_deref()).collect();
    let is_one = |query: &&str| query.contains("pull") && query.contains("delete");
    assert!(asked.len() == 1 && asked.iter().all(is_one), "{asked:?}");
}

#[test]
fn the_real_registry_deletes() {
    if !programs::are_here(&[hod_testkit::docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let store = env.store("tree");
    for tag in ["1.0", "latest"] {
        image(1).put_in(&store, &format!("acme/api:{tag}"));
    }
    image(2).put_in(&store, "acme/api:2.0");
    let kept = DockerRegistry::serve(&env, "tree");
    let name = |registry: &DockerRegistry| format!("{}/acme/api:1.0", registry.host());
    for flags in ["--yes", "--yes --tag-only"] {
        let output = delete(&env, &format!("{} {flags}", name(&kept))).exits(5);
        assert!(output.stderr.contains("UNSUPPORTED"), "{}", output.stderr);
    }
    drop(kept);
    let registry = DockerRegistry::serve_deleting(&env, "tree");
    let _ = delete(&env, &format!("{} --yes --tag-only", name(&registry))).exits(5);
    let done = delete(&env, &format!("{} --yes --json", name(&registry))).success();
    assert_eq!(
        document(&done)["images"][0]["also_tags"],
        serde_json::json!(["latest"])
    );
    assert_eq!(registry.get("/v2/acme/api/manifests/1.0").status, 404);
    assert_eq!(registry.get("/v2/acme/api/manifests/latest").status, 404);
    assert_eq!(registry.get("/v2/acme/api/manifests/2.0").status, 200);
    let _ = delete(&env, &format!("{} --yes", name(&registry))).exits(1);
}
