//! The distribution API: what the spec asks, what registries agree on, and another program's
//! client.

mod access;
mod bundle;
mod front;
mod push;
mod rules;

use std::sync::Arc;

use hod_fsx::Durability;
use hod_oci::Manifest;
use hod_report::{Recorder, Silent};
use hod_server::{Access, Front, ServeOptions, Serving};
use hod_store::Store;
use serde_json::json;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::http;
use hod_testkit::images::{self, Blob, Image, menagerie, repository, tag};
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// Pushes a blob in the way of most clients: a session, and all bytes in the PUT.
#[track_caller]
fn push_blob(registry: &TestRegistry, name: &str, blob: &Blob) {
    let location = start_upload(registry, name);
    let target = format!("{location}?digest={}", blob.digest);
    let answer = registry.send_with("PUT", &target, (&[OCTETS], &blob.bytes));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let digest = answer.header("docker-content-digest");
    assert_eq!(digest, Some(blob.digest.as_str()));
}

#[track_caller]
fn start_upload(registry: &TestRegistry, name: &str) -> String {
    let answer = registry.send("POST", &format!("/v2/{name}/blobs/uploads/"));
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.header("range"), Some("0-0"));
    answer.header("location").unwrap().to_owned()
}

#[track_caller]
fn put_manifest(registry: &TestRegistry, target: &str, manifest: &Manifest) -> http::Answer {
    let media_type = ("Content-Type", manifest.media_type().as_str());
    registry.send_with("PUT", target, (&[media_type], manifest.bytes()))
}

/// Pushes an image as a client would, children by digest, the top by tag.
#[track_caller]
fn push(registry: &TestRegistry, name: &str, tag: &str, image: &Image) {
    for blob in &image.blobs {
        push_blob(registry, name, blob);
    }
    for manifest in &image.manifests {
        let digest = manifest.digest();
        let reference = if digest == image.digest() {
            tag
        } else {
            digest.as_str()
        };
        let answer = put_manifest(
            registry,
            &format!("/v2/{name}/manifests/{reference}"),
            manifest,
        );
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(digest.as_str())
        );
    }
}

#[test]
fn the_base_says_what_it_is() {
    let registry = TestRegistry::start();
    let answer = registry.send("GET", "/v2/");
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    let version = answer.header("docker-distribution-api-version");
    assert_eq!(version, Some("registry/2.0"));
    let answer = registry.send("GET", "/elsewhere");
    assert_eq!((answer.status, answer.code().as_str()), (404, "NOT_FOUND"));
}

#[test]
fn every_kind_of_image_is_served_byte_for_byte() {
    let registry = TestRegistry::start();
    for (kind, image) in menagerie() {
        let name = format!("zoo/{kind}");
        registry.add(&format!("{name}:1.0"), &image);
        let by_tag = registry.send("GET", &format!("/v2/{name}/manifests/1.0"));
        assert_eq!(by_tag.body, *image.top().bytes(), "{kind}");
        for manifest in &image.manifests {
            let target = format!("/v2/{name}/manifests/{}", manifest.digest());
            let (got, head) = (
                registry.send("GET", &target),
                registry.send("HEAD", &target),
            );
            assert_eq!((got.status, head.status), (200, 200), "{kind}");
            assert_eq!(got.body, *manifest.bytes(), "{kind}");
            assert!(head.body.is_empty(), "{kind}");
            for header in ["content-type", "content-length", "docker-content-digest"] {
                assert_eq!(got.header(header), head.header(header), "{kind}");
            }
            assert_eq!(
                got.header("content-type"),
                Some(manifest.media_type().as_str())
            );
        }
        for blob in &image.blobs {
            let target = format!("/v2/{name}/blobs/{}", blob.digest);
            let (got, head) = (
                registry.send("GET", &target),
                registry.send("HEAD", &target),
            );
            assert_eq!((got.status, head.status), (200, 200), "{kind}");
            assert_eq!(got.body, blob.bytes, "{kind}");
            let len = blob.bytes.len().to_string();
            assert_eq!(head.header("content-length"), Some(len.as_str()), "{kind}");
        }
    }
}

#[test]
fn what_is_not_there_is_said_by_code() {
    let registry = TestRegistry::start();
    let (here, other) = (images::image(1), images::image(100));
    registry.add("app:1", &here);
    registry.add("other:1", &other);
    let check = |target: String, expect: &str| {
        let answer = registry.send("GET", &target);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, expect),
            "{target}"
        );
        let head = registry.send("HEAD", &target);
        assert_eq!((head.status, head.body.len()), (404, 0), "{target}");
    };
    check("/v2/app/manifests/2".to_owned(), "MANIFEST_UNKNOWN");
    check("/v2/nobody/manifests/1".to_owned(), "MANIFEST_UNKNOWN");
    check(
        "/v2/app/manifests/.not-a-tag".to_owned(),
        "MANIFEST_UNKNOWN",
    );
    // What other repositories have is not in this one.
    check(
        format!("/v2/app/manifests/{}", other.digest()),
        "MANIFEST_UNKNOWN",
    );
    check(
        format!("/v2/app/blobs/{}", other.blobs[0].digest),
        "BLOB_UNKNOWN",
    );
    // A manifest is no blob.
    check(format!("/v2/app/blobs/{}", here.digest()), "BLOB_UNKNOWN");
    check("/v2/nobody/tags/list".to_owned(), "NAME_UNKNOWN");
}

#[test]
fn a_part_of_a_blob_can_be_had() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    registry.add("app:1", &image);
    let blob = &image.blobs[1];
    let total = blob.bytes.len();
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let part = registry.send_with("GET", &target, (&[("Range", "bytes=100-")], b""));
    assert_eq!((part.status, &part.body[..]), (206, &blob.bytes[100..]));
    let range = format!("bytes 100-{}/{total}", total - 1);
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    let beyond = format!("bytes={total}-");
    let beyond = registry.send_with("GET", &target, (&[("Range", &beyond)], b""));
    assert_eq!(
        (beyond.status, beyond.code().as_str()),
        (416, "RANGE_INVALID")
    );
    let range = format!("bytes */{total}");
    assert_eq!(beyond.header("content-range"), Some(range.as_str()));
}

#[test]
fn a_tag_moves_and_manifests_can_be_deleted() {
    let registry = TestRegistry::start();
    let (old, new) = (images::image(1), images::image(100));
    push(&registry, "app", "1", &old);
    push(&registry, "app", "1", &new);
    let got = registry.send("GET", "/v2/app/manifests/1");
    assert_eq!(got.body, *new.top().bytes());
    let (by_old, by_new) = (
        format!("/v2/app/manifests/{}", old.digest()),
        format!("/v2/app/manifests/{}", new.digest()),
    );
    assert_eq!(registry.send("GET", &by_old).body, *old.top().bytes());
    push(&registry, "app", "2", &new);
    assert_eq!(registry.send("DELETE", "/v2/app/manifests/2").status, 202);
    assert_eq!(registry.send("DELETE", "/v2/app/manifests/2").status, 404);
    assert_eq!(registry.send("GET", &by_new).status, 200);
    assert_eq!(registry.send("DELETE", &by_new).status, 202);
    assert_eq!(registry.send("GET", &by_new).status, 404);
    assert_eq!(registry.send("GET", "/v2/app/manifests/1").status, 404);
    let tags = registry.send("GET", "/v2/app/tags/list");
    assert_eq!(tags.json(), json!({"name": "app", "tags": []}));
}

#[test]
fn tags_and_repositories_come_in_pages() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    for name in ["b/app:2", "b/app:10", "b/app:1", "a:1"] {
        registry.add(name, &image);
    }
    let page = registry.send("GET", "/v2/b/app/tags/list?n=2");
    assert_eq!(page.json(), json!({"name": "b/app", "tags": ["1", "10"]}));
    let next = "/v2/b/app/tags/list?last=10&n=2";
    assert_eq!(
        page.header("link"),
        Some(format!("<{next}>; rel=\"next\"").as_str())
    );
    let page = registry.send("GET", next);
    assert_eq!(page.json(), json!({"name": "b/app", "tags": ["2"]}));
    assert_eq!(page.header("link"), None);
    let bad = registry.send("GET", "/v2/b/app/tags/list?n=-1");
    assert_eq!(
        (bad.status, bad.code().as_str()),
        (400, "PAGINATION_NUMBER_INVALID")
    );
    let catalog = registry.send("GET", "/v2/_catalog");
    assert_eq!(catalog.json(), json!({"repositories": ["a", "b/app"]}));
}

/// Serves `store` with [`hod_server::serve`] while `work` runs, then stops it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's server has a runtime of its own"
)]
fn while_serving(store: Store, options: ServeOptions, work: impl FnOnce(&str)) {
    let serving = Serving {
        content: store.into(),
        options,
        front: Front::default(),
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let shutdown = async move { stopped.await.unwrap() };
            hod_server::serve(listener, serving, shutdown).await;
        });
    });
    work(&host);
    stop.send(()).unwrap();
    // Its listener is gone with it. The port is not asked: another test may have it by now.
    server.join().unwrap();
}

#[test]
fn a_read_only_registry_changes_nothing_and_needs_no_state() {
    let env = TestEnv::new();
    let image = images::image(1);
    image.put_in(&env.store("store"), "app:1");
    let inside = env.path("store/docker/registry/v2");
    let options = ServeOptions {
        access: Access::ReadOnly,
        durability: Durability::Deferred,
        reporter: Arc::new(Silent),
    };
    while_serving(Store::open(&inside).unwrap(), options, |host| {
        let send = |method, target| http::send(host, method, target, (&[], b""));
        assert_eq!(
            send("GET", "/v2/app/manifests/1").body,
            *image.top().bytes()
        );
        for (method, target) in [
            ("POST", "/v2/app/blobs/uploads/"),
            ("PUT", "/v2/app/manifests/2"),
            ("DELETE", "/v2/app/manifests/1"),
        ] {
            let answer = send(method, target);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (405, "UNSUPPORTED")
            );
        }
        assert_eq!(send("GET", "/v2/app/manifests/1").status, 200);
    });
}

#[test]
fn damage_in_the_store_is_not_served_and_reported() {
    let env = TestEnv::new();
    let store = env.store("store");
    let image = images::image(1);
    image.put_in(&store, "app:1");
    hod_fsx::write_file(&store.blob_path(image.digest()), b"damaged").unwrap();
    let recorder = Arc::new(Recorder::default());
    let options = ServeOptions {
        access: Access::PushAndDelete,
        durability: Durability::Synced,
        reporter: Arc::clone(&recorder) as _,
    };
    while_serving(store, options, |host| {
        let answer = http::send(host, "GET", "/v2/app/manifests/1", (&[], b""));
        assert_eq!((answer.status, answer.code().as_str()), (500, "UNKNOWN"));
        assert!(!answer.text().contains("store"), "{}", answer.text());
    });
    let lines = recorder.lines().join("\n");
    assert!(
        lines.contains("GET /v2/app/manifests/1: ") && lines.contains("damaged"),
        "{lines}"
    );
}

#[test]
fn skopeo_copies_in_and_out() {
    if !programs::are_here(&["skopeo"]) {
        return;
    }
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    let host = registry.host();
    let skopeo = |line: &str| {
        let mut command = env.command("skopeo");
        command.args(["--insecure-policy", "--override-arch", "amd64"]);
        let _ = finish(command.args(line.split_whitespace())).success();
    };
    for (kind, image) in menagerie() {
        // Skopeo 1.9 takes neither nested indexes nor layers that are no archives, and fetches
        // foreign layers from where they are.
        if matches!(kind, "nested" | "foreign") {
            continue;
        }
        registry.add(&format!("from/{kind}:1"), &image);
        let tls = "--src-tls-verify=false --dest-tls-verify=false";
        skopeo(&format!(
            "copy --all --preserve-digests {tls} docker://{host}/from/{kind}:1 docker://{host}/to/{kind}:2"
        ));
        let digest = registry
            .store()
            .resolve_tag(&repository(&format!("to/{kind}")), &tag("2"));
        assert_eq!(digest.unwrap().as_ref(), Some(image.digest()), "{kind}");
        skopeo(&format!(
            "copy --all --preserve-digests --src-tls-verify=false docker://{host}/to/{kind}:2 dir:{kind}"
        ));
        assert_eq!(
            env.read(format!("{kind}/manifest.json")).as_bytes(),
            image.top().bytes()
        );
        skopeo(&format!(
            "copy --all --preserve-digests --dest-tls-verify=false dir:{kind} docker://{host}/back/{kind}:3"
        ));
        let got = registry.send("GET", &format!("/v2/back/{kind}/manifests/3"));
        assert_eq!(got.body, *image.top().bytes(), "{kind}");
    }
    skopeo(&format!(
        "sync --all --src docker --dest dir --src-tls-verify=false {host}/to/oci synced"
    ));
    assert!(
        hod_fsx::try_stat(&env.path("synced/oci:2/manifest.json"))
            .unwrap()
            .is_some()
    );
}
