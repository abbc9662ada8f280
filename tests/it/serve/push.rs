//! Pushing to the distribution API, well and badly.

use hod_oci::{Algorithm, Descriptor, DigestHasher, Manifest};
use serde_json::json;

use super::{OCTETS, push, push_blob, put_manifest, start_upload};
use hod_testkit::http;
use hod_testkit::images::{self, Blob, menagerie, repository, tag};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::remove_tree;

/// Nothing is left of uploads in the store's temporary directory.
#[track_caller]
fn assert_no_leftovers(registry: &TestRegistry) {
    let temp_dir = registry.store().temp_dir().unwrap();
    assert_eq!(
        hod_fsx::read_dir_names(&temp_dir).unwrap(),
        Vec::<std::ffi::OsString>::new()
    );
}

#[test]
fn every_kind_of_image_can_be_pushed() {
    let registry = TestRegistry::start();
    for (kind, image) in menagerie() {
        let name = format!("zoo/{kind}");
        push(&registry, &name, "1.0", &image);
        let digest = registry
            .store()
            .resolve_tag(&repository(&name), &tag("1.0"));
        assert_eq!(digest.unwrap().as_ref(), Some(image.digest()), "{kind}");
        for manifest in &image.manifests {
            let stored = registry.store().read_manifest(manifest.digest()).unwrap();
            assert_eq!(stored.unwrap().bytes(), manifest.bytes(), "{kind}");
        }
        for blob in &image.blobs {
            let got = registry.send("GET", &format!("/v2/{name}/blobs/{}", blob.digest));
            assert_eq!(got.body, blob.bytes, "{kind}");
        }
    }
    assert_no_leftovers(&registry);
}

#[test]
fn a_blob_can_come_with_the_request_that_starts_it() {
    let registry = TestRegistry::start();
    for bytes in ["", "some bytes"] {
        let blob = Blob::new(bytes);
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        let answer = registry.send_with("POST", &target, (&[OCTETS], &blob.bytes));
        assert_eq!(answer.status, 201, "{}", answer.text());
        let location = format!("/v2/app/blobs/{}", blob.digest);
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!(registry.send("GET", &location).body, blob.bytes);
    }
}

#[test]
fn a_blob_can_come_in_chunks_in_their_order() {
    let registry = TestRegistry::start();
    let blob = Blob::new(images::noise(7, 1000));
    let location = start_upload(&registry, "app");
    let patch = |range: &str, bytes: &[u8]| {
        let headers = [OCTETS, ("Content-Range", range)];
        registry.send_with("PATCH", &location, (&headers, bytes))
    };
    let early = patch("400-799", &blob.bytes[400..800]);
    assert_eq!(
        (early.status, early.code().as_str()),
        (416, "RANGE_INVALID")
    );
    let first = patch("0-399", &blob.bytes[..400]);
    assert_eq!((first.status, first.header("range")), (202, Some("0-399")));
    assert_eq!(first.header("location"), Some(location.as_str()));
    let again = patch("0-399", &blob.bytes[..400]);
    assert_eq!((again.status, again.header("range")), (416, Some("0-399")));
    let lying = patch("400-899", &blob.bytes[400..800]);
    assert_eq!((lying.status, lying.code().as_str()), (400, "SIZE_INVALID"));
    assert_eq!(patch("x", b"").status, 400);
    let status = registry.send("GET", &location);
    assert_eq!(
        (status.status, status.header("range")),
        (204, Some("0-399"))
    );
    assert_eq!(patch("400-799", &blob.bytes[400..800]).status, 202);
    // The last chunk may come with the PUT.
    let target = format!("{location}?digest={}", blob.digest);
    let headers = [OCTETS, ("Content-Range", "800-999")];
    let put = registry.send_with("PUT", &target, (&headers, &blob.bytes[800..]));
    assert_eq!(put.status, 201, "{}", put.text());
    let got = registry.send("GET", &format!("/v2/app/blobs/{}", blob.digest));
    assert_eq!(got.body, blob.bytes);
    let gone = registry.send("GET", &location);
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (404, "BLOB_UPLOAD_UNKNOWN")
    );
}

#[test]
fn a_blob_can_come_as_a_stream_of_unknown_length() {
    let registry = TestRegistry::start();
    let location = start_upload(&registry, "app");
    let headers = [OCTETS, ("Transfer-Encoding", "chunked")];
    let answer = registry.send_with(
        "PATCH",
        &location,
        (&headers, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
    );
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-6")));
    let blob = Blob::new("abcdefg");
    let put = registry.send("PUT", &format!("{location}?digest={}", blob.digest));
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(
        registry
            .send("GET", &format!("/v2/app/blobs/{}", blob.digest))
            .body,
        blob.bytes
    );
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let registry = TestRegistry::start();
    let blob = Blob::new(images::noise(8, 1000));
    let location = start_upload(&registry, "app");
    let headers = [OCTETS, ("Content-Length", "1000")];
    let request: (&[_], &[u8]) = (&headers, &blob.bytes[..600]);
    let answer = http::try_send(registry.host(), "PATCH", &location, request);
    assert!(answer.is_none_or(|answer| answer.status == 400));
    let status = registry.send("GET", &location);
    assert_eq!(
        (status.status, status.header("range")),
        (204, Some("0-599"))
    );
    let target = format!("{location}?digest={}", blob.digest);
    let answer = http::try_send(
        registry.host(),
        "PUT",
        &target,
        (&[OCTETS, ("Content-Length", "400")], b"short"),
    );
    assert!(answer.is_none_or(|answer| answer.status == 400));
    let status = registry.send("GET", &location);
    assert_eq!(
        (status.status, status.header("range")),
        (204, Some("0-604"))
    );
    assert_eq!(registry.store().blob_len(&blob.digest).unwrap(), None);
}

#[test]
fn a_blob_of_another_digest_is_not_kept() {
    let registry = TestRegistry::start();
    let (wanted, sent) = (Blob::new("wanted"), Blob::new("sent"));
    let location = start_upload(&registry, "app");
    let target = format!("{location}?digest={}", wanted.digest);
    let answer = registry.send_with("PUT", &target, (&[OCTETS], &sent.bytes));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_eq!(registry.send("GET", &location).status, 404);
    let target = format!("/v2/app/blobs/uploads/?digest={}", wanted.digest);
    let answer = registry.send_with("POST", &target, (&[OCTETS], &sent.bytes));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    for blob in [wanted, sent] {
        assert_eq!(registry.store().blob_len(&blob.digest).unwrap(), None);
    }
    assert_no_leftovers(&registry);
}

#[test]
fn an_upload_can_be_cancelled_and_is_of_its_repository() {
    let registry = TestRegistry::start();
    let location = start_upload(&registry, "app");
    assert_eq!(
        registry
            .send_with("PATCH", &location, (&[OCTETS], b"abc"))
            .status,
        202
    );
    let elsewhere = location.replace("/app/", "/other/");
    assert_eq!(registry.send("DELETE", &elsewhere).status, 404);
    let no_digest = registry.send("PUT", &location);
    assert_eq!(
        (no_digest.status, no_digest.code().as_str()),
        (400, "DIGEST_INVALID")
    );
    assert_eq!(registry.send("DELETE", &location).status, 204);
    assert_eq!(registry.send("DELETE", &location).status, 404);
    assert_no_leftovers(&registry);
}

#[test]
fn a_blob_is_mounted_from_where_it_is() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    registry.add("from/app:1", &image);
    let digest = &image.blobs[1].digest;
    let check = |query: String, expect: u16| {
        let answer = registry.send("POST", &format!("/v2/to/app/blobs/uploads/?{query}"));
        assert_eq!(answer.status, expect, "{query}: {}", answer.text());
        answer.header("location").unwrap().to_owned()
    };
    let target = format!("/v2/to/app/blobs/{digest}");
    // What cannot be mounted begins an upload, as the spec has it.
    assert!(check(format!("mount={digest}&from=nobody"), 202).contains("/uploads/"));
    let absent = Blob::new("absent").digest;
    assert!(check(format!("mount={absent}"), 202).contains("/uploads/"));
    assert_eq!(registry.send("HEAD", &target).status, 404);
    assert_eq!(
        check(format!("mount={digest}&from=from%2Fapp"), 201),
        target
    );
    assert_eq!(registry.send("GET", &target).body, image.blobs[1].bytes);
    check(format!("mount={}", image.blobs[2].digest), 201);
}

#[test]
fn other_algorithms_than_sha256_are_hashed() {
    let registry = TestRegistry::start();
    let mut hasher = DigestHasher::new(Algorithm::Sha512);
    hasher.update(b"abcdef");
    let digest = hasher.finish();
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    assert_eq!(
        registry
            .send_with("POST", &target, (&[OCTETS], b"abcdeX"))
            .status,
        400
    );
    assert_eq!(
        registry
            .send_with("POST", &target, (&[OCTETS], b"abcdef"))
            .status,
        201
    );
    // The algorithm may show only when the bytes are there.
    let location = start_upload(&registry, "other");
    assert_eq!(
        registry
            .send_with("PATCH", &location, (&[OCTETS], b"abcdef"))
            .status,
        202
    );
    assert_eq!(
        registry
            .send("PUT", &format!("{location}?digest={digest}"))
            .status,
        201
    );
    assert_eq!(
        registry
            .send("GET", &format!("/v2/other/blobs/{digest}"))
            .body,
        b"abcdef"
    );
}

#[test]
fn a_manifest_must_be_whole_and_what_it_says() {
    let registry = TestRegistry::start();
    let image = images::image(1);
    let top = image.top();
    let target = "/v2/app/manifests/1";
    let answer = put_manifest(&registry, target, top);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "MANIFEST_BLOB_UNKNOWN")
    );
    let details: Vec<_> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["detail"]["digest"].clone())
        .collect();
    let digests: Vec<_> = image.blobs.iter().map(|blob| json!(blob.digest)).collect();
    assert_eq!(details, digests);
    for blob in &image.blobs {
        push_blob(&registry, "app", blob);
    }
    let check = |target: &str, media_type: &str, bytes: &[u8], expect: (u16, &str)| {
        let headers = [("Content-Type", media_type)];
        let answer = registry.send_with("PUT", target, (&headers, bytes));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            expect,
            "{media_type}"
        );
    };
    let media_type = top.media_type().as_str();
    let oci = "application/vnd.oci.image.manifest.v1+json";
    check(target, oci, top.bytes(), (400, "MANIFEST_INVALID"));
    check(target, media_type, b"{}", (400, "MANIFEST_INVALID"));
    check(
        target,
        media_type,
        br#"{"schemaVersion":1}"#,
        (400, "MANIFEST_INVALID"),
    );
    let wrong = format!("/v2/app/manifests/{}", image.blobs[0].digest);
    check(&wrong, media_type, top.bytes(), (400, "DIGEST_INVALID"));
    check(
        "/v2/app/manifests/-x",
        media_type,
        top.bytes(),
        (400, "TAG_INVALID"),
    );
    let long = vec![b' '; 4 * 1024 * 1024 + 1];
    check(target, media_type, &long, (413, "MANIFEST_INVALID"));
    assert_eq!(registry.send("GET", target).status, 404);
    assert_eq!(put_manifest(&registry, target, top).status, 201);
    assert_no_leftovers(&registry);
}

#[test]
fn an_index_needs_its_children_in_its_repository() {
    let registry = TestRegistry::start();
    let child = images::image(1);
    let index = images::index(images::Format::Oci, std::slice::from_ref(&child));
    registry.add("elsewhere:1", &child);
    let answer = put_manifest(&registry, "/v2/app/manifests/all", index.top());
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "MANIFEST_BLOB_UNKNOWN")
    );
    push(&registry, "app", "one", &child);
    assert_eq!(
        put_manifest(&registry, "/v2/app/manifests/all", index.top()).status,
        201
    );
}

#[test]
fn a_subject_need_not_be_there() {
    let registry = TestRegistry::start();
    let config = Blob::new("{}");
    push_blob(&registry, "app", &config);
    let subject = images::image(1).top().descriptor();
    let Descriptor {
        media_type,
        digest,
        size,
        ..
    } = subject;
    let referrer = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.digest, "size": 2},
        "layers": [],
        "subject": {"mediaType": media_type, "digest": digest, "size": size},
    });
    let referrer = Manifest::parse(referrer.to_string().into_bytes().into(), None).unwrap();
    let target = format!("/v2/app/manifests/{}", referrer.digest());
    assert_eq!(put_manifest(&registry, &target, &referrer).status, 201);
}

#[test]
fn an_upload_that_the_store_failed_is_over() {
    let registry = TestRegistry::start();
    let location = start_upload(&registry, "app");
    remove_tree(&registry.store().temp_dir().unwrap()).unwrap();
    let answer = registry.send_with("PATCH", &location, (&[OCTETS], b"abc"));
    assert_eq!((answer.status, answer.code().as_str()), (500, "UNKNOWN"));
    assert_eq!(registry.send("GET", &location).status, 404);
}
