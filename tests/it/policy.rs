//! Trust policies of hod's own verbs: what they let through, and what they stop.
//!
//! The signatures are made by hod under the name of skopeo.

mod lookaside;

use std::process::Stdio;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Format, Image, ImageBuilder, image, index};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, visible_images, whole_images};

/// A registry, keys, and a directory `rd` that says that signatures are attached to images.
struct Signed {
    env: TestEnv,
    registry: TestRegistry,
}

const SIGN: &str = "--sign-passphrase-file pass --sign-by-sigstore-private-key";

impl Signed {
    fn new() -> Self {
        let env = TestEnv::new();
        env.write("pass", "a b c\n");
        env.write(
            "rd/all.yaml",
            "default-docker: {use-sigstore-attachments: true}",
        );
        let signed = Self {
            env,
            registry: TestRegistry::start(),
        };
        for key in ["ours", "theirs"] {
            signed
                .skopeo(&format!(
                    "generate-sigstore-key --passphrase-file pass --output-prefix {key}"
                ))
                .success();
        }
        signed
    }

    fn host(&self) -> &str {
        self.registry.host()
    }

    fn skopeo(&self, line: &str) -> Output {
        let mut command = self.env.hod();
        command.args(["skopeo", "--insecure-policy", "--registries.d", "rd"]);
        finish(command.args(line.split_whitespace()))
    }

    /// Puts an image into the registry, signed with a key unless that is empty.
    fn add(&self, name: &str, image: &Image, key: &str) {
        self.registry.add(name, image);
        if !key.is_empty() {
            let at = format!("docker://{}/{name}", self.host());
            let copy = format!("copy --src-tls-verify=false --dest-tls-verify=false {SIGN}");
            self.skopeo(&format!("{copy} {key}.private {at} {at}"))
                .success();
        }
    }

    /// Writes `policy.json`: in these transports, everything must be signed by our key.
    fn policy(&self, transports: &[&str]) {
        let ours = r#"{"":[{"type":"sigstoreSigned","keyPath":"ours.pub"}]}"#;
        let transports: Vec<String> = transports
            .iter()
            .map(|transport| format!("\"{transport}\":{ours}"))
            .collect();
        let policy = format!(
            "{{\"default\":[{{\"type\":\"reject\"}}],\"transports\":{{{}}}}}",
            transports.join(",")
        );
        self.env.write("policy.json", policy);
    }

    /// Runs hod with the policy.
    fn run(&self, line: &str) -> Output {
        let line = format!("{line} --policy policy.json --registries-d rd");
        self.env.run_line(&line)
    }

    fn pull(&self, list: &str, options: &str) -> Output {
        self.env.write("list.txt", list);
        let host = self.host();
        self.run(&format!(
            "pull list.txt --store store --source {host} --platform all --json {options}"
        ))
    }

    fn images(&self, store: &str) -> Vec<String> {
        visible_images(&self.env.path(store)).into_keys().collect()
    }
}

/// The class of the error of each image that failed.
fn classes(output: &Output) -> Vec<(String, String)> {
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let images = document["images"].as_array().unwrap().iter();
    let failed = images.filter(|image| image["status"] == "failed");
    failed
        .map(|image| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (text(&image["image"]), text(&image["class"]))
        })
        .collect()
}

fn is_image(name: &str) -> bool {
    !name.contains("sha256-")
}

#[test]
fn an_image_that_the_policy_rejects_fails_and_the_others_are_pulled() {
    let signed = Signed::new();
    signed.add("team/good:1", &image(1), "ours");
    signed.add("team/bare:1", &image(2), "");
    signed.add("team/forged:1", &image(3), "theirs");
    signed.policy(&["docker"]);
    let list = "team/good:1\nteam/bare:1\nteam/forged:1\n";
    let output = signed.pull(list, "--no-referrers").exits(3);
    let failed = [("team/bare:1", "policy"), ("team/forged:1", "policy")];
    let failed = failed.map(|(image, class)| (image.to_owned(), class.to_owned()));
    assert_eq!(classes(&output), failed);
    assert_eq!(signed.images("store"), ["team/good:1"]);
    let store = signed.env.store("store");
    for rejected in [image(2), image(3)] {
        for blob in &rejected.blobs {
            assert_eq!(store.blob_len(&blob.digest).unwrap(), None);
        }
        assert_eq!(store.blob_len(rejected.digest()).unwrap(), None);
    }
    // Again, with everything at hand.
    signed.pull(list, "--no-referrers").exits(3);
    assert_eq!(signed.images("store"), ["team/good:1"]);
}

#[test]
fn nothing_is_changed_if_every_image_is_rejected() {
    let signed = Signed::new();
    signed.add("team/bare:1", &image(2), "");
    signed.policy(&["docker"]);
    let output = signed.pull("team/bare:1\n", "").exits(5);
    assert_eq!(classes(&output)[0].1, "policy");
    assert!(!exists(&signed.env.path("store")));
    let n_blobs = signed.registry.n_blob_gets();
    assert_eq!(n_blobs, 0);
}

#[test]
fn unchanged_images_are_verified_again() {
    let signed = Signed::new();
    signed.add("team/app:1", &image(2), "");
    let host = signed.host();
    signed.env.write("list.txt", "team/app:1\n");
    let pull = format!("pull list.txt --store store --source {host} --platform all");
    signed.env.run_line(&pull).success();
    signed.policy(&["docker"]);
    signed.run(&pull).exits(5);
    signed.add("team/app:1", &image(2), "ours");
    signed.run(&pull).success();
}

#[test]
fn a_policy_that_cannot_be_read_stops_the_run() {
    let signed = Signed::new();
    signed.add("team/app:1", &image(1), "ours");
    signed.env.write("list.txt", "team/app:1\n");
    let host = signed.host();
    let pull = format!("pull list.txt --store store --source {host}");
    signed.registry.take_seen();
    for (name, content) in [
        ("empty.json", ""),
        ("object.json", "{}"),
        ("default.json", r#"{"default":[]}"#),
        ("key.json", r#"{"default":[{"type":"reject"}],"extra":1}"#),
        ("type.json", r#"{"default":[{"type":"accept"}]}"#),
        (
            "twice.json",
            r#"{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}"#,
        ),
    ] {
        signed.env.write(name, content);
        let line = format!("{pull} --policy {name}");
        signed.env.run_line(&line).exits(2);
    }
    signed.policy(&["docker"]);
    signed.env.write("bad/a.yaml", "docker: [1]");
    for flags in [
        "--policy absent.json",
        "--policy policy.json --registries-d absent",
        "--policy policy.json --registries-d policy.json",
        "--policy policy.json --registries-d bad",
        "--registries-d rd",
    ] {
        signed.env.run_line(&format!("{pull} {flags}")).exits(2);
    }
    assert!(!exists(&signed.env.path("store")));
    assert!(signed.registry.seen().is_empty());
}

#[test]
fn a_host_has_the_same_policy_in_capital_letters() {
    let signed = Signed::new();
    signed.add("team/bare:1", &image(2), "");
    let port = signed.host().rsplit_once(':').unwrap().1.to_owned();
    let policy = |host: &str| {
        let policy = format!(
            r#"{{"default":[{{"type":"insecureAcceptAnything"}}],
                "transports":{{"docker":{{"{host}:{port}":[{{"type":"reject"}}]}}}}}}"#
        );
        signed.env.write("policy.json", policy);
    };
    let pull = |host: &str| signed.run(&format!("pull {host}:{port}/team/bare:1 --store store"));
    policy("localhost");
    for host in ["localhost", "LOCALHOST", "LocalHost"] {
        pull(host).exits(5);
    }
    policy("127.0.0.1");
    pull("localhost").success();
    // Never looked up, so that it would accept what it seems to reject.
    policy("LocalHost");
    for host in ["localhost", "LocalHost"] {
        pull(host).exits(2);
    }
}

#[test]
fn the_signature_of_an_index_covers_the_images_in_it() {
    let signed = Signed::new();
    let of = |seed, arch: &str| ImageBuilder::oci(seed).platform("linux", arch).build();
    let both = index(Format::Oci, &[of(11, "amd64"), of(12, "arm64")]);
    // Only the index, as cosign does.
    signed.registry.add("team/index:1", &both);
    let at = format!("docker://{}/team/index:1", signed.host());
    let only = format!(
        "copy --multi-arch index-only --src-tls-verify=false --dest-tls-verify=false {SIGN}"
    );
    signed
        .skopeo(&format!("{only} ours.private {at} {at}"))
        .success();
    signed.policy(&["docker"]);
    let host = signed.host();
    for (store, flags) in [
        ("one", "--platform linux/arm64"),
        ("rewritten", "--platform linux/arm64 --index rewrite"),
        ("all", "--platform all"),
    ] {
        let pull = format!("pull {host}/team/index:1 --store {store} {flags}");
        signed.run(&pull).success();
    }
    // Or each image by itself: one of these has a signature.
    let [first, second] = [of(13, "amd64"), of(14, "arm64")];
    let each = index(Format::Oci, &[first.clone(), second]);
    signed.registry.add("team/each:1", &each);
    signed.add("team/each:first", &first, "ours");
    let by_name = |identity: &str| {
        let policy = format!(
            r#"{{"default":[{{"type":"sigstoreSigned","keyPath":"ours.pub","signedIdentity":{{"type":"{identity}"}}}}]}}"#
        );
        signed.env.write("policy.json", policy);
    };
    let pull = |flags: &str| {
        let output = signed.run(&format!("pull {host}/team/each:1 --store each {flags}"));
        output.code.unwrap()
    };
    by_name("matchExact");
    assert_eq!(pull("--platform linux/amd64"), 5);
    by_name("matchRepository");
    assert_eq!(pull("--platform all"), 5);
    assert_eq!(pull("--platform linux/arm64"), 5);
    assert_eq!(pull("--platform linux/amd64"), 0);
}

#[test]
fn stores_bundles_and_layouts_are_judged_too() {
    let signed = Signed::new();
    signed.add("team/good:1", &image(1), "ours");
    signed.add("team/bare:1", &image(2), "");
    signed.policy(&["docker"]);
    let (host, env) = (signed.host(), &signed.env);
    env.write(
        "list.txt",
        format!("{host}/team/good:1\n{host}/team/bare:1\n"),
    );
    let pull = "pull list.txt --store store --platform all";
    env.run_line(pull).success();
    env.run_line("pack list.txt --store store --output site.tar")
        .success();
    let target = TestRegistry::start();
    for source in ["store", "site.tar"] {
        // Nothing is said of the transport: it is rejected.
        signed.policy(&["docker"]);
        let push = format!("push {source} {} --strip-host", target.host());
        signed.run(&push).exits(5);
        signed.policy(&["store", "bundle"]);
        signed.run(&push).exits(3);
        let found = target.send("GET", "/v2/_catalog").json();
        assert_eq!(found["repositories"], serde_json::json!(["team/good"]));
    }
    // From a pipe, signatures come too late.
    let mut push = env.hod();
    let push = push.args(["push", "-", target.host(), "--policy", "policy.json"]);
    let push = push.args(["--registries-d", "rd"]);
    let push = push.stdin(hod_fsx::open(&env.path("site.tar")).unwrap());
    finish(push.stdout(Stdio::piped())).exits(5);

    // The files beside a layout.
    hod_fsx::create_dir_all(&env.path("layouts")).unwrap();
    let layout = format!("dir:{}", env.path("layouts/app").display());
    let of = |name: &str| format!("docker://{host}/{name}");
    let copy = format!("copy --src-tls-verify=false {} {layout}", of("team/good:1"));
    signed.skopeo(&copy).success();
    signed.policy(&["dir"]);
    // Signed under a name, which a directory does not have.
    signed.run("copy dir:layouts store:from-dir").exits(5);
    let identity = format!(
        r#"{{"default":[{{"type":"reject"}}],"transports":{{"dir":{{"{}":[{{"type":"sigstoreSigned",
           "keyPath":"ours.pub","signedIdentity":{{"type":"exactRepository",
           "dockerRepository":"{host}/team/good"}}}}]}}}}}}"#,
        env.path("layouts").canonicalize().unwrap().display()
    );
    env.write("policy.json", identity);
    signed.run("copy dir:layouts store:from-dir").success();
    let copied: Vec<String> = whole_images(&env.path("from-dir")).into_keys().collect();
    assert_eq!(copied, ["library/app:latest"]);
}

#[test]
fn all_targets_and_runs_are_without_the_rejected() {
    let signed = Signed::new();
    signed.add("team/good:1", &image(1), "ours");
    signed.add("team/bare:1", &image(2), "");
    signed.policy(&["docker"]);
    let host = signed.host();
    signed.env.write("list.txt", "team/good:1\nteam/bare:1\n");
    let copy = "copy list.txt store:a store:b --no-referrers";
    signed.run(&format!("{copy} --source {host}")).exits(3);
    for store in ["a", "b"] {
        assert_eq!(signed.images(store), ["team/good:1"]);
    }
    let copy = format!("copy list.txt bundle:out.tar --source {host}");
    signed.run(&format!("{copy} --fail-fast")).exits(5);
    assert!(!exists(&signed.env.path("out.tar")));
    signed.run(&copy).exits(3);
    let listed = signed.env.run_line("ls out.tar").success().stdout;
    assert!(
        listed.contains("team/good:1") && !listed.contains("team/bare"),
        "{listed}"
    );
    // Two at once, into one store.
    let pull = format!(
        "pull list.txt --store both --source {host} --platform all --policy policy.json \
         --registries-d rd"
    );
    let start = || {
        let mut command = signed.env.hod();
        command.args(pull.split_whitespace()).stderr(Stdio::null());
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let runs = [start(), start()];
    for mut run in runs {
        assert_eq!(run.wait().unwrap().code(), Some(3));
    }
    let found = signed.images("both");
    let found: Vec<&String> = found.iter().filter(|name| is_image(name)).collect();
    assert_eq!(found, ["team/good:1"]);
}
