//! Rules of HTTP and of the specification that clients depend on less often.

use hod_oci::Manifest;
use serde_json::{Value, json};

use super::{OCTETS, push, push_blob, put_manifest, start_upload};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{self, Format, repository, tag};
use hod_testkit::referrers::{about, index_tag};
use hod_testkit::registry::{RegistryOptions, TestRegistry};

#[test]
fn conditional_requests_are_evaluated() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    registry.add("app:1", &image);
    let blob = &image.blobs[1];
    for (target, digest) in [
        (format!("/v2/app/blobs/{}", blob.digest), &blob.digest),
        ("/v2/app/manifests/1".to_owned(), image.digest()),
    ] {
        let etag = format!("\"{digest}\"");
        let check = |name: &str, value: &str, expect: u16| {
            for method in ["GET", "HEAD"] {
                let answer = registry.send_with(method, &target, (&[(name, value)], b""));
                let at = format!("{method} {target} {name}: {value}");
                assert_eq!(answer.status, expect, "{at}");
                let has_body = method == "GET" && expect != 304;
                assert_eq!(!answer.body.is_empty(), has_body, "{at}");
                if expect != 412 {
                    assert_eq!(answer.header("etag"), Some(etag.as_str()), "{at}");
                }
            }
        };
        check("If-None-Match", &etag, 304);
        check("If-None-Match", &format!("\"x\", W/{etag}"), 304);
        check("If-None-Match", "*", 304);
        check("If-None-Match", "\"x\"", 200);
        check("If-Match", &etag, 200);
        check("If-Match", "*", 200);
        check("If-Match", "\"x\"", 412);
    }
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let etag = format!("\"{}\"", blob.digest);
    for (value, expect) in [(etag.as_str(), 206), ("\"x\"", 200)] {
        let headers = [("Range", "bytes=0-9"), ("If-Range", value)];
        let answer = registry.send_with("GET", &target, (&headers, b""));
        assert_eq!(answer.status, expect, "{value}");
    }
}

#[test]
fn what_is_not_allowed_says_what_is() {
    let registry = TestRegistry::start();
    for (method, target, expect) in [
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", "/v2/app/tags/list", "GET, HEAD"),
        ("DELETE", "/v2/_catalog", "GET, HEAD"),
        ("PATCH", "/v2/app/manifests/1", "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/app/blobs/uploads/", "POST"),
    ] {
        let answer = registry.send(method, target);
        assert_eq!(answer.status, 405, "{method} {target}");
        assert_eq!(answer.header("allow"), Some(expect), "{method} {target}");
    }
}

#[test]
fn a_blob_is_deleted_unless_a_manifest_needs_it() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    push(&registry, "app", "1", &image);
    push(&registry, "other", "1", &image);
    let blob = |name: &str| format!("/v2/{name}/blobs/{}", image.blobs[0].digest);
    assert_eq!(registry.send("DELETE", &blob("app")).status, 409);
    assert_eq!(registry.send("GET", &blob("app")).status, 200);
    let manifest = format!("/v2/app/manifests/{}", image.digest());
    assert_eq!(registry.send("DELETE", &manifest).status, 202);
    assert_eq!(registry.send("DELETE", &blob("app")).status, 202);
    for method in ["GET", "DELETE"] {
        let answer = registry.send(method, &blob("app"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "BLOB_UNKNOWN")
        );
    }
    let other = registry.send("GET", &blob("other"));
    assert_eq!(other.body, image.blobs[0].bytes);
}

#[test]
fn a_manifest_may_come_with_a_charset() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    for blob in &image.blobs {
        push_blob(&registry, "app", blob);
    }
    let media_type = image.top().media_type();
    for declared in [
        format!("{media_type}; charset=utf-8"),
        format!("{media_type} ;charset=\"UTF-8\""),
    ] {
        let headers = [("Content-Type", declared.as_str())];
        let body = (&headers[..], &image.top().bytes()[..]);
        let answer = registry.send_with("PUT", "/v2/app/manifests/1", body);
        assert_eq!(answer.status, 201, "{declared}: {}", answer.text());
    }
}

/// The manifest with `change` made to it.
fn changed(manifest: &Manifest, change: impl FnOnce(&mut Value)) -> Manifest {
    let mut json = serde_json::from_slice(manifest.bytes()).unwrap();
    change(&mut json);
    Manifest::parse(json.to_string().into_bytes().into(), None).unwrap()
}

#[test]
fn sizes_must_be_those_of_the_blobs() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    push(&registry, "app", "1", &image);
    let index = images::index(Format::Oci, std::slice::from_ref(&image));
    let lies: [(&Manifest, &str); 3] = [
        (image.top(), "/config/size"),
        (image.top(), "/layers/0/size"),
        (index.top(), "/manifests/0/size"),
    ];
    for (manifest, at) in lies {
        let lying = changed(manifest, |json| *json.pointer_mut(at).unwrap() = json!(3));
        let answer = put_manifest(&registry, "/v2/app/manifests/2", &lying);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "SIZE_INVALID"),
            "{at}"
        );
    }
    assert_eq!(registry.send("GET", "/v2/app/manifests/2").status, 404);
}

#[test]
fn a_sparse_index_is_accepted_and_verifies() {
    let env = TestEnv::new();
    let store = env.store("store");
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(store),
        ..RegistryOptions::default()
    });
    let (here, elsewhere) = (images::image(1), images::image(100));
    let index = images::index(Format::Oci, &[here.clone(), elsewhere]);
    push(&registry, "app", "one", &here);
    let answer = put_manifest(&registry, "/v2/app/manifests/all", index.top());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let got = registry.send("GET", "/v2/app/manifests/all");
    assert_eq!(got.body, *index.top().bytes());
    let _ = env.run_line("verify store").success();
}

#[test]
fn a_store_verifies_after_a_child_was_deleted() {
    let env = TestEnv::new();
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(env.store("store")),
        ..RegistryOptions::default()
    });
    let children = [images::image(1), images::image(100)];
    let index = images::index(Format::Oci, &children);
    for child in &children {
        push(&registry, "app", "one", child);
    }
    assert_eq!(
        put_manifest(&registry, "/v2/app/manifests/all", index.top()).status,
        201
    );
    for child in &children {
        let target = format!("/v2/app/manifests/{}", child.digest());
        assert_eq!(registry.send("DELETE", &target).status, 202);
        let _ = env.run_line("verify store").success();
    }
    // And the same manifest can come again.
    push(&registry, "app", "one", &children[0]);
    let _ = env.run_line("verify store").success();
}

#[test]
fn tags_of_referrers_are_kept_in_step() {
    let env = TestEnv::new();
    let store = env.store("store");
    let subject = images::image(1);
    let (sbom, seal, new) = (
        about(subject.top(), "x/sbom", 2),
        about(subject.top(), "x/seal", 3),
        about(subject.top(), "x/new", 4),
    );
    let fallback = images::index(Format::Oci, &[sbom.clone(), seal.clone()]);
    subject.put_in(&store, "app:1");
    subject.put_in(&store, "plain:1");
    fallback.put_in(&store, &format!("app:{}", index_tag(subject.digest())));
    let registry = TestRegistry::with(RegistryOptions {
        store: Some(store),
        ..RegistryOptions::default()
    });
    let listed = |name: &str| {
        let target = format!("/v2/{name}/manifests/{}", index_tag(subject.digest()));
        let answer = registry.send("GET", &target);
        (answer.status == 200).then(|| {
            let mut digests: Vec<String> = answer.json()["manifests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["digest"].as_str().unwrap().to_owned())
                .collect();
            digests.sort();
            digests
        })
    };
    let digests = |images: &[&images::Image]| {
        let mut digests: Vec<String> = images.iter().map(|i| i.digest().to_string()).collect();
        digests.sort();
        Some(digests)
    };
    let delete = |image: &images::Image| {
        let target = format!("/v2/app/manifests/{}", image.digest());
        assert_eq!(registry.send("DELETE", &target).status, 202);
        let _ = env.run_line("verify store").success();
    };
    assert_eq!(listed("app"), digests(&[&sbom, &seal]));
    delete(&sbom);
    assert_eq!(listed("app"), digests(&[&seal]));
    for name in ["app", "plain"] {
        for blob in &new.blobs {
            push_blob(&registry, name, blob);
        }
        let target = format!("/v2/{name}/manifests/{}", new.digest());
        assert_eq!(put_manifest(&registry, &target, new.top()).status, 201);
        let _ = env.run_line("verify store").success();
    }
    assert_eq!(listed("app"), digests(&[&seal, &new]));
    // Where there is none, it is made.
    assert_eq!(listed("plain"), digests(&[&new]));
    delete(&seal);
    delete(&new);
    assert_eq!(listed("app"), None);
    let left = registry.store().resolve_tag(&repository("app"), &tag("1"));
    assert_eq!(left.unwrap().as_ref(), Some(subject.digest()));
}

#[test]
fn a_manifest_that_is_put_to_its_digest_can_have_tags() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    for blob in &image.blobs {
        push_blob(&registry, "app", blob);
    }
    let target = format!("/v2/app/manifests/{}", image.digest());
    let bad = put_manifest(&registry, &format!("{target}?tag=1&tag=.x"), image.top());
    assert_eq!((bad.status, bad.code().as_str()), (400, "TAG_INVALID"));
    assert_eq!(registry.send("GET", &target).status, 404);
    let good = put_manifest(
        &registry,
        &format!("{target}?tag=1&tag=latest"),
        image.top(),
    );
    assert_eq!((good.status, good.header("oci-tag")), (201, Some("1")));
    for tag in ["1", "latest"] {
        let got = registry.send("GET", &format!("/v2/app/manifests/{tag}"));
        assert_eq!(got.body, *image.top().bytes(), "{tag}");
    }
}

#[test]
fn forgotten_uploads_do_not_lock_others_out() {
    let registry = TestRegistry::start();
    let first = start_upload(&registry, "app");
    let with_bytes = start_upload(&registry, "app");
    let answer = registry.send_with("PATCH", &with_bytes, (&[OCTETS], b"some bytes"));
    assert_eq!(answer.status, 202);
    for _ in 0..4096 {
        start_upload(&registry, "app");
    }
    assert_eq!(registry.send("GET", &first).status, 404);
    let kept = registry.send("GET", &with_bytes);
    assert_eq!((kept.status, kept.header("range")), (204, Some("0-9")));
}
