//! The protocol: chunks, locations, ranges, refusals, mounts.

use std::sync::atomic::{AtomicUsize, Ordering};

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, any_path, upload_path};
use hod_testkit::images::{image, repository, tag};
use hod_testkit::programs::are_here;
use hod_testkit::registry::TestRegistry;
use hod_testkit::relay::{Deed, Relay};
use hod_testkit::tree::remove_tree;

use super::{MIB, blobs_len, is_upload, large, layer_len, of, push, sent_len, site};

#[test]
fn a_large_blob_goes_in_chunks_and_a_small_one_in_one_request() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let image = large(1, 5 * MIB / 2);
    let (env, root) = site(&image);
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), |_| Deed::Pass);
    env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
    registry.assert_serves("team/app:1", &image);
    let passed = relay.take_passed();
    let len = layer_len(&image);
    let ranges: Vec<_> = of(&passed, "PATCH")
        .iter()
        .map(|patch| {
            assert_eq!(patch.status, 202);
            assert_eq!(
                patch.header("content-type"),
                Some("application/octet-stream")
            );
            assert_eq!(patch.header("transfer-encoding"), None);
            let len = patch.header("content-length").unwrap().to_owned();
            (patch.header("content-range").unwrap().to_owned(), len)
        })
        .collect();
    let mib = MIB.to_string();
    let last = len - 2 * MIB as u64;
    assert_eq!(
        ranges,
        [
            ("0-1048575".to_owned(), mib.clone()),
            ("1048576-2097151".to_owned(), mib),
            (format!("2097152-{}", len - 1), last.to_string()),
        ]
    );
    // Harbor takes the length of the last body for that of the blob, unless it is empty.
    let puts = of(&passed, "PUT");
    let lens: Vec<_> = puts.iter().map(|put| put.len).collect();
    let config_len = blobs_len(&image) - len;
    assert_eq!(lens.iter().sum::<u64>(), config_len, "{lens:?}");
    assert!(lens.contains(&0));
    assert!(
        puts.iter()
            .all(|put| put.header("content-length").is_some())
    );

    // The same in one request.
    fsx_empty(&root);
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), |_| Deed::Pass);
    env.run_line(&push(&relay, "--chunk-size 0")).success();
    registry.assert_serves("team/app:1", &image);
    assert_eq!(of(&relay.passed(), "PATCH"), []);
}

fn fsx_empty(root: &std::path::Path) {
    remove_tree(root).unwrap();
    hod_fsx::create_dir_all(root).unwrap();
}

#[test]
fn a_compressed_bundle_is_uploaded_in_chunks_too() {
    let image = large(2, 5 * MIB / 2);
    let (env, _) = site(&image);
    env.run_line("pack store --output b.tar.zst").success();
    let registry = TestRegistry::start();
    let n = AtomicUsize::new(0);
    let relay = Relay::to(registry.host(), move |passed| {
        let is_patch = passed.method == "PATCH";
        match is_patch.then(|| n.fetch_add(1, Ordering::SeqCst)) {
            Some(1) => Deed::Cut(300_000),
            Some(2) => Deed::Answer(413, "", "<html>"),
            _ => Deed::Pass,
        }
    });
    let line = push(&relay, "--chunk-size 1MiB").replace("store", "b.tar.zst");
    env.run_line(&line).success();
    let found = registry
        .store()
        .resolve_tag(&repository("team/app"), &tag("1"));
    assert_eq!(found.unwrap().as_ref(), Some(image.digest()));
    let passed = relay.passed();
    // Only what was lost on the line is sent again, out of the memory.
    let twice = sent_len(&passed) - blobs_len(&image);
    assert!(twice <= 300_000, "{twice} bytes were sent twice");
}

#[test]
fn locations_are_followed_whatever_they_look_like() {
    let image = large(3, 5 * MIB / 2);
    for effect in [
        Effect::OpaqueLocation,
        Effect::AbsoluteLocation(String::new()),
        Effect::NoHeader("range"),
        Effect::Header("range", "0-0".to_owned()),
        Effect::NoHeader("docker-upload-uuid"),
    ] {
        let (env, _) = site(&image);
        let registry = TestRegistry::start();
        let effect = match effect {
            Effect::AbsoluteLocation(_) => {
                Effect::AbsoluteLocation(format!("http://{}", registry.host()))
            }
            effect => effect,
        };
        registry.fail(Fault::on("*", upload_path).does(effect.clone()));
        let line = format!("push store {} --chunk-size 1MiB", registry.host());
        env.run_line(&line).success();
        let found = registry
            .store()
            .resolve_tag(&repository("team/app"), &tag("1"));
        assert_eq!(found.unwrap().as_ref(), Some(image.digest()), "{effect:?}");
        assert_eq!(registry.count("PATCH", upload_path), 3, "{effect:?}");
        if effect == Effect::OpaqueLocation {
            let seen = registry.seen();
            let mut kept = seen.iter().filter(|seen| seen.method == "PATCH");
            assert!(kept.all(|seen| seen.query.as_deref() == Some("_state=a%2Bb%3D")));
        }
    }
}

#[test]
fn the_least_length_of_a_chunk_is_respected() {
    let image = large(4, 5 * MIB / 2);
    let (env, _) = site(&image);
    let registry = TestRegistry::start();
    let least = Effect::Header("oci-chunk-min-length", (2 * MIB).to_string());
    registry.fail(Fault::on("POST", upload_path).does(least));
    let line = format!("push store {} --chunk-size 1MiB", registry.host());
    env.run_line(&line).success();
    let seen = registry.seen();
    let ranges: Vec<_> = seen
        .iter()
        .filter_map(|seen| seen.header("content-range"))
        .collect();
    assert_eq!(ranges[0], "0-2097151");
    assert_eq!(ranges.len(), 2);
}

#[test]
fn a_lost_session_is_begun_again() {
    let unknown = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#;
    for (answer, n_posts) in [
        (Deed::Answer(404, "", unknown), 3),
        (Deed::Answer(404, "", ""), 3),
        // The session is there, as it turns out.
        (Deed::Answer(416, "", ""), 2),
        (Deed::Answer(500, "", ""), 2),
        (Deed::Answer(502, "", "<html>"), 2),
    ] {
        let image = large(5, 5 * MIB / 2);
        let (env, _) = site(&image);
        let registry = TestRegistry::start();
        let n = AtomicUsize::new(0);
        let deed = answer.clone();
        let relay = Relay::to(registry.host(), move |passed| {
            let is_second = passed.method == "PATCH" && n.fetch_add(1, Ordering::SeqCst) == 1;
            if is_second { deed.clone() } else { Deed::Pass }
        });
        env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
        let passed = relay.passed();
        assert_eq!(of(&passed, "POST").len(), n_posts, "{answer:?}");
        let again = if n_posts == 3 { MIB as u64 } else { 0 };
        assert_eq!(sent_len(&passed), blobs_len(&image) + again, "{answer:?}");
    }
}

#[test]
fn an_upload_whose_answer_is_lost_is_not_repeated() {
    let image = large(6, 5 * MIB / 2);
    for flags in ["--chunk-size 1MiB", "--chunk-size 0"] {
        let (env, _) = site(&image);
        let registry = TestRegistry::start();
        let n = AtomicUsize::new(0);
        let relay = Relay::to(registry.host(), move |passed| {
            let is_put = passed.method == "PUT" && is_upload(passed);
            if is_put && n.fetch_add(1, Ordering::SeqCst) == 0 {
                Deed::Mute
            } else {
                Deed::Pass
            }
        });
        env.run_line(&push(&relay, flags)).success();
        assert_eq!(sent_len(&relay.passed()), blobs_len(&image), "{flags}");
    }
}

#[test]
fn a_registry_without_chunks_gets_all_in_one() {
    for status in [400, 405, 415, 501] {
        let image = large(7, 5 * MIB / 2);
        let (env, _) = site(&image);
        let registry = TestRegistry::start();
        let relay = Relay::to(registry.host(), move |passed| {
            if passed.method == "PATCH" {
                Deed::Answer(status, "", "")
            } else {
                Deed::Pass
            }
        });
        env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
        let passed = relay.passed();
        assert_eq!(of(&passed, "PATCH").len(), 1, "{status}");
        assert_eq!(sent_len(&passed), blobs_len(&image), "{status}");
        let found = registry
            .store()
            .resolve_tag(&repository("team/app"), &tag("1"));
        assert_eq!(found.unwrap().as_ref(), Some(image.digest()), "{status}");
    }
}

#[test]
fn no_refusal_of_a_mount_takes_the_image_with_it() {
    for status in [400, 401, 403, 404, 405, 412, 500, 501, 503] {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        let store = env.store("store");
        let image = image(500);
        image.put_in(&store, "a/one:1");
        image.put_in(&store, "b/two:1");
        drop(store);
        registry.fail(Fault::on("POST", any_path).does(Effect::RefuseMount(status)));
        let line = format!("push store {} --retries 1 --jobs 1", registry.host());
        env.run_line(&line).success();
        for name in ["a/one", "b/two"] {
            let found = registry.store().resolve_tag(&repository(name), &tag("1"));
            assert_eq!(found.unwrap().as_ref(), Some(image.digest()), "{status}");
        }
        let mounts = registry.seen();
        let is_mount = |query: &String| query.contains("mount=");
        let n_mounts = mounts.iter().filter_map(|seen| seen.query.as_ref());
        let n_mounts = n_mounts.filter(|query| is_mount(query)).count();
        // What a registry cannot do is not asked of it again; what it may not do there, elsewhere.
        // Two small blobs are on their way at once.
        let n_blobs = image.blobs.len();
        let expect = match status {
            401 | 403 | 405 | 501 => 1..=2,
            500 | 503 => 2..=4,
            _ => n_blobs..=n_blobs,
        };
        assert!(expect.contains(&n_mounts), "{status}: {n_mounts}");
    }
}
