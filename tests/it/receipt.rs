//! `hod receipt`: what a target has, from every kind of target.

use std::collections::BTreeSet;

use hod_bundle::Receipt;
use hod_oci::{Digest, Manifest};

use crate::harbor::Site;
use crate::ls::three;
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::harbor::{Kind, Refusal};
use hod_testkit::images::{Image, artifact, image, menagerie};
use hod_testkit::programs;
use hod_testkit::referrers::{about, cosign_tag, signatures, without_api};
use hod_testkit::registry::TestRegistry;
use hod_testkit::zoo::Zoo;

fn read(env: &TestEnv, name: &str) -> Receipt {
    Receipt::parse(env.read(name).as_bytes()).unwrap()
}

fn holders(receipt: &Receipt, digest: &Digest) -> Vec<String> {
    let names = receipt.holders(digest);
    names.iter().map(ToString::to_string).collect()
}

/// All digests of an image that a registry keeps.
fn digests(image: &Image) -> BTreeSet<Digest> {
    let blobs = image.manifests.iter().flat_map(Manifest::stored_blobs);
    let blobs = blobs.map(|blob| blob.digest.clone());
    let manifests = image.manifests.iter().map(|m| m.digest().clone());
    manifests.chain(blobs).collect()
}

#[test]
fn a_store_and_a_bundle_say_what_they_have() {
    let env = TestEnv::in_memory();
    let images = three(&env);
    let _ = env.run_line("receipt store --output store.json").success();
    let _ = env
        .run_line("receipt site.tar --output bundle.json")
        .success();
    let (store, bundle) = (read(&env, "store.json"), read(&env, "bundle.json"));
    for (image, name) in images.iter().zip(["acme/api", "acme/web", "acme/cli"]) {
        for digest in digests(image) {
            assert!(holders(&store, &digest).contains(&name.to_owned()));
            assert_eq!(holders(&store, &digest), holders(&bundle, &digest));
        }
    }
    let all: BTreeSet<Digest> = images.iter().flat_map(digests).collect();
    assert_eq!(
        (store.n_digests(), bundle.n_digests()),
        (all.len(), all.len())
    );
    let json: serde_json::Value = serde_json::from_str(&env.read("bundle.json")).unwrap();
    assert_eq!(
        (&json["format"], &json["kind"]),
        (&1.into(), &"receipt".into())
    );
    assert_eq!(
        (&json["of"]["kind"], &json["of"]["name"]),
        (&"bundle".into(), &"site".into())
    );
    assert!(json["of"]["id"].as_str().unwrap().starts_with("sha256:"));
    // Equal again, and the same on stdout.
    let _ = env
        .run_line("receipt site.tar --output again.json")
        .success();
    assert_eq!(env.read("again.json"), env.read("bundle.json"));
    let stdout = env.run_line("receipt site.tar --output -").success().stdout;
    assert_eq!(stdout, env.read("bundle.json"));
    let _ = env
        .run_line("receipt site.tar --compact --output c.txt")
        .success();
    let compact = read(&env, "c.txt");
    assert_eq!(compact.n_digests(), bundle.n_digests());
    assert!(env.read("c.txt").len() < env.read("bundle.json").len() / 2);
}

#[test]
fn what_is_missing_or_cut_short_in_a_store_is_not_claimed() {
    let env = TestEnv::in_memory();
    let [image, other, _] = three(&env);
    let store = env.store("store");
    let (gone, short) = (&image.blobs[0].digest, &image.blobs[2].digest);
    hod_fsx::remove_file(&store.blob_path(gone)).unwrap();
    hod_fsx::write_file(&store.blob_path(short), b"x").unwrap();
    let output = env.run_line("receipt store --output have.json").exits(4);
    assert!(output.stderr.contains(short.as_str()), "{}", output.stderr);
    let receipt = read(&env, "have.json");
    assert!(receipt.n_digests() > 0, "the other images are claimed");
    assert!(!receipt.has(gone) && !receipt.has(short));
    let gone = &other.blobs.last().unwrap().digest;
    hod_fsx::remove_file(&store.blob_path(gone)).unwrap();
    let output = env.run_line("receipt store --output have.json").exits(4);
    let said = format!("blob {} of acme/web:1: not found", gone.short());
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    assert!(!read(&env, "have.json").has(gone));
}

#[test]
fn lists_limit_a_receipt() {
    let env = TestEnv::in_memory();
    let [api, web, _] = three(&env);
    env.write("only.txt", "acme/api:1\n##more\nacme/cli:1\n");
    let _ = env
        .run_line("receipt site.tar --list only.txt --output have.json")
        .success();
    let names = |receipt: &Receipt| -> Vec<String> {
        receipt.repositories().map(ToString::to_string).collect()
    };
    let receipt = read(&env, "have.json");
    assert_eq!(names(&receipt), ["acme/api", "acme/cli"]);
    assert!(receipt.has(api.digest()) && !receipt.has(web.digest()));
    let _ = env
        .run_line("receipt site.tar --list only.txt --section more --output have.json")
        .success();
    assert_eq!(names(&read(&env, "have.json")), ["acme/cli"]);
}

#[test]
fn a_registry_is_asked_for_all_that_it_lists() {
    let zoo = Zoo::new();
    let host = zoo.registry.host();
    let _ = zoo
        .env
        .run_line(&format!("receipt {host} --output have.json"))
        .success();
    let receipt = read(&zoo.env, "have.json");
    assert_eq!(receipt.of.name, host);
    for (kind, image) in menagerie() {
        let name = format!("zoo/{kind}");
        for digest in digests(&image) {
            assert!(
                holders(&receipt, &digest).contains(&name),
                "{kind}: {digest}"
            );
        }
    }
    // With a prefix only what is below it.
    zoo.registry.add("zoology/app:1", &image(900));
    let _ = zoo
        .env
        .run_line(&format!("receipt {host}/zoo/oci --output have.json"))
        .success();
    let names: Vec<String> = read(&zoo.env, "have.json")
        .repositories()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["zoo/oci"]);
}

#[test]
fn a_list_is_looked_for_where_a_push_would_put_it() {
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    let (here, other) = (image(1), image(100));
    registry.add("offline/coreos/etcd:3.5", &here);
    registry.add("offline/team/app:1", &other);
    env.write("list.txt", "quay.io/coreos/etcd:3.5\nteam/absent:2\n");
    let host = registry.host();
    let _ = registry.take_seen();
    let output = env
        .run_line(&format!(
            "receipt {host} --list list.txt --strip-host --project offline --output have.json"
        ))
        .success();
    assert!(
        output.stderr.contains("team/absent:2: not found"),
        "{}",
        output.stderr
    );
    let receipt = read(&env, "have.json");
    for digest in digests(&here) {
        assert_eq!(holders(&receipt, &digest), ["offline/coreos/etcd"]);
    }
    assert!(!receipt.has(other.digest()));
    assert_eq!(registry.count("GET", |path| path.contains("_catalog")), 0);
    // The prefix of a target does the same.
    let _ = env
        .run_line(&format!(
            "receipt {host}/offline --list list.txt --strip-host --output prefix.json"
        ))
        .success();
    let prefixed = read(&env, "prefix.json");
    assert_eq!(holders(&prefixed, here.digest()), ["offline/coreos/etcd"]);
    assert_eq!(prefixed.of.name, format!("{host}/offline"));
}

/// With the referrers API and without, where a tag leads to them; cosign's tags are everywhere.
#[test]
fn what_is_about_an_image_is_in_its_receipt() {
    for registry in [TestRegistry::start(), without_api()] {
        let env = TestEnv::new();
        let image = image(1);
        let (sbom, signature) = (about(image.top(), "x/sbom", 2), signatures(&[7]));
        let seal = about(sbom.top(), "x/seal", 3);
        let store = env.store("store");
        image.put_in(&store, "acme/api:1");
        sbom.put_in(&store, "acme/api");
        seal.put_in(&store, "acme/api");
        let tag = cosign_tag(image.digest(), "sig");
        signature.put_in(&store, &format!("acme/api:{tag}"));
        drop(store);
        let host = registry.host();
        let _ = env.run_line(&format!("push store {host}")).success();
        env.write("list.txt", "acme/api:1\n");
        for flags in ["", "--list list.txt"] {
            let line = format!("receipt {host} {flags} --output have.json");
            let _ = env.run_line(&line).success();
            let receipt = read(&env, "have.json");
            for digest in [&image, &sbom, &signature, &seal]
                .into_iter()
                .flat_map(digests)
            {
                assert_eq!(holders(&receipt, &digest), ["acme/api"], "{flags}");
            }
        }
    }
}

#[test]
fn what_is_about_an_image_and_cannot_be_found_is_reported() {
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    let image = image(1);
    registry.add("team/app:1", &image);
    registry.fail(Fault::on("GET", path_contains("/referrers/")).does(Effect::Status(403)));
    let line = format!("receipt {} --retries 0 --output have.json", registry.host());
    let output = env.run_line(&line).exits(3);
    let said = "left out: referrers of team/app:1";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let receipt = read(&env, "have.json");
    assert!(digests(&image).iter().all(|digest| receipt.has(digest)));
}

#[test]
fn what_cannot_be_read_is_left_out_and_reported() {
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    let (good, bad) = (image(1), image(100));
    registry.add("team/good:1", &good);
    registry.add("team/bad:1", &bad);
    registry.fail(Fault::on("GET", path_contains("/bad/manifests/")).does(Effect::Status(403)));
    let host = registry.host();
    let output = env
        .run_line(&format!("receipt {host} --retries 0 --output have.json"))
        .exits(3);
    assert!(
        output.stderr.contains("left out: team/bad:1"),
        "{}",
        output.stderr
    );
    let receipt = read(&env, "have.json");
    assert!(receipt.has(good.digest()) && !receipt.has(bad.digest()));
    // Of nothing that could be read there is no receipt.
    registry.fail(Fault::on("GET", path_contains("/good/")).does(Effect::Status(403)));
    let nothing = env
        .run_line(&format!("receipt {host} --retries 0 --output no.json"))
        .exits(5);
    let said = "; no receipt was written";
    assert!(nothing.stderr.contains(said), "{}", nothing.stderr);
    assert_eq!(
        hod_fsx::try_stat(&env.path("no.json")).unwrap().map(|_| ()),
        None
    );
    registry.fail(Fault::on("GET", path_contains("/_catalog")).does(Effect::Status(403)));
    let refused = env
        .run_line(&format!("receipt {host} --retries 0 --output no.json"))
        .exits(5);
    assert!(refused.stderr.contains("--only"), "{}", refused.stderr);
    assert_eq!(
        hod_fsx::try_stat(&env.path("no.json")).unwrap().map(|_| ()),
        None
    );
    let nowhere = env.run_line("receipt nowhere --output no.json").exits(2);
    assert!(nowhere.stderr.contains("not found"), "{}", nowhere.stderr);
}

#[test]
fn a_real_registry_gives_a_receipt() {
    if !programs::are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let images = three(&env);
    let registry = DockerRegistry::serve(&env, "store");
    let host = registry.host();
    let _ = env
        .run_line(&format!("receipt {host} --output have.json"))
        .success();
    let _ = env.run_line("receipt store --output store.json").success();
    let (remote, local) = (read(&env, "have.json"), read(&env, "store.json"));
    for digest in images.iter().flat_map(digests) {
        assert_eq!(holders(&remote, &digest), holders(&local, &digest));
    }
    assert_eq!(remote.n_digests(), local.n_digests());
}

#[test]
fn a_harbor_lists_by_its_own_api_what_a_login_may_see() {
    let site = Site::new();
    let (app, tool) = (image(600), artifact(700));
    site.add("offline/app:1", &app);
    site.add("offline/deep/er/tool:1", &tool);
    site.push("").success();
    site.harbor.add_account(Kind::Admin, "boss", "B0ss");
    let host = site.harbor.host().to_owned();
    for (target, login) in [
        ("", ("admin", "Harbor12345")),
        ("/offline", ("robot$offline+ci", "s3cret")),
    ] {
        site.log_in(login.0, login.1);
        site.harbor.take_seen();
        let _ = site
            .env
            .run_line(&format!("receipt {host}{target} --output have.json"))
            .success();
        let receipt = read(&site.env, "have.json");
        assert_eq!(holders(&receipt, app.digest()), ["offline/app"]);
        for digest in digests(&tool) {
            assert_eq!(holders(&receipt, &digest), ["offline/deep/er/tool"]);
        }
        let seen = site.harbor.take_seen();
        assert!(seen.iter().all(|seen| !seen.path.contains("_catalog")));
    }
    // With the API closed, the hint says how to do without.
    let closed = Refusal::new("GET", "/repositories", (403, "FORBIDDEN", "forbidden"));
    site.harbor.state().refusals.push(closed);
    let refused = site
        .env
        .run_line(&format!("receipt {host}/offline --output no.json"))
        .exits(5);
    assert!(refused.stderr.contains("--only"), "{}", refused.stderr);
    site.env.write("list.txt", "app:1\n");
    let _ = site
        .env
        .run_line(&format!(
            "receipt {host} --project offline --list list.txt --output have.json"
        ))
        .success();
    assert!(read(&site.env, "have.json").has(app.digest()));
}
