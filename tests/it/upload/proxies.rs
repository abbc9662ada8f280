//! Proxies in between, and lines that break.

use std::sync::atomic::{AtomicUsize, Ordering};

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::programs::{are_here, other_registry};
use hod_testkit::registry::TestRegistry;
use hod_testkit::relay::{Deed, Passed, Relay};

use super::{MIB, blobs_len, large, layer_len, of, push, sent_len, site};

const TOO_LARGE: Deed = Deed::Answer(
    413,
    "Content-Type: text/html\r\n",
    "<html><h1>413 Request Entity Too Large</h1></html>",
);

fn len_of(passed: &Passed) -> usize {
    passed
        .header("content-length")
        .map_or(0, |len| len.parse().unwrap())
}

#[test]
fn what_is_too_large_for_a_proxy_goes_in_smaller_parts() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    for flags in ["", "--chunk-size 4MiB"] {
        let image = large(20, 5 * MIB);
        let (env, root) = site(&image);
        // As large as the other: either may go first.
        large(21, 5 * MIB).put_in(&env.store("store"), "team/other:1");
        let registry = DockerRegistry::serve(&env, &root);
        let relay = Relay::to(registry.host(), |passed| {
            if len_of(passed) > MIB {
                TOO_LARGE
            } else {
                Deed::Pass
            }
        });
        let output = env.run_line(&push(&relay, flags)).success();
        registry.assert_serves("team/app:1", &image);
        registry.assert_serves("team/other:1", &large(21, 5 * MIB));
        let passed = relay.passed();
        let refused: Vec<_> = passed
            .iter()
            .filter(|p| p.status == 413)
            .map(len_of)
            .collect();
        let first = if flags.is_empty() {
            usize::try_from(layer_len(&image)).unwrap()
        } else {
            4 * MIB
        };
        // Learned once, for all blobs.
        let expect = if flags.is_empty() {
            vec![first, 4 * MIB, 2 * MIB]
        } else {
            vec![first, 2 * MIB]
        };
        assert_eq!(refused, expect, "{flags}");
        let expect = blobs_len(&image) + blobs_len(&large(21, 5 * MIB));
        assert_eq!(sent_len(&passed), expect, "{flags}");
        assert!(
            output
                .stderr
                .contains("was refused (413); continuing with at most 1.0 MiB per request"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_proxy_that_takes_nothing_is_named() {
    let image = large(22, 2 * MIB);
    let (env, _) = site(&image);
    let registry = TestRegistry::start();
    let relay = Relay::to(registry.host(), |passed| {
        if len_of(passed) > 100_000 {
            TOO_LARGE
        } else {
            Deed::Pass
        }
    });
    let output = env.run_line(&push(&relay, "")).exits(1);
    assert!(output.stderr.contains("413"), "{}", output.stderr);
    assert!(
        output.stderr.contains("client_max_body_size"),
        "{}",
        output.stderr
    );
    let output = env.run_line(&push(&relay, "--chunk-size 0")).exits(1);
    assert!(
        output.stderr.contains("client_max_body_size"),
        "{}",
        output.stderr
    );
    let passed = relay.passed();
    let n_whole = passed.iter().filter(|p| len_of(p) > 2 * MIB).count();
    assert_eq!(n_whole, 2, "once each");
}

#[test]
fn what_takes_a_proxy_too_long_goes_in_smaller_parts() {
    let image = large(23, 9 * MIB);
    let (env, _) = site(&image);
    let registry = TestRegistry::start();
    let relay = Relay::to(registry.host(), |passed| {
        if len_of(passed) > 4 * MIB {
            Deed::Answer(504, "", "<html>Gateway Time-out</html>")
        } else {
            Deed::Pass
        }
    });
    env.run_line(&push(&relay, "")).success();
    let passed = relay.passed();
    assert_eq!(passed.iter().filter(|p| p.status == 504).count(), 2);
    assert_eq!(sent_len(&passed), blobs_len(&image));
    assert_eq!(of(&passed, "PATCH").len(), 3 + 1);
}

/// Breaks the line in the middle of the second PATCH.
fn cut_second(after: u64) -> impl Fn(&Passed) -> Deed {
    let n = AtomicUsize::new(0);
    move |passed| {
        let is_second = passed.method == "PATCH" && n.fetch_add(1, Ordering::SeqCst) == 1;
        if is_second {
            Deed::Cut(after)
        } else {
            Deed::Pass
        }
    }
}

#[test]
fn a_line_that_breaks_costs_what_the_registry_forgets() {
    // Later releases forget nothing.
    if !are_here(&[docker_registry::PROGRAM]) || other_registry().is_some() {
        return;
    }
    let image = large(24, 7 * MIB / 2);
    let n_blobs = image.blobs.len();
    let cut = 300_000;
    // Registries that keep what came, as distribution does since 3.0.
    let (env, root) = site(&image);
    let registry = TestRegistry::start();
    let relay = Relay::to(registry.host(), cut_second(cut));
    env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
    let passed = relay.passed();
    assert_eq!(of(&passed, "POST").len(), n_blobs);
    assert_eq!(of(&passed, "GET").len(), 1, "it is asked how far it is");
    let twice = sent_len(&passed) - blobs_len(&image);
    assert!(twice <= cut, "{twice} bytes were sent twice");

    // Distribution 2.8, whose sessions end with the chunk.
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), cut_second(cut));
    env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
    registry.assert_serves("team/app:1", &image);
    let passed = relay.passed();
    assert_eq!(of(&passed, "POST").len(), n_blobs + 1);
    let twice = sent_len(&passed) - blobs_len(&image);
    assert_eq!(twice, MIB as u64 + cut, "one chunk, and a part of another");
}

#[test]
fn a_line_that_breaks_before_anything_came_costs_nothing() {
    if !are_here(&[docker_registry::PROGRAM]) {
        return;
    }
    let image = large(25, 7 * MIB / 2);
    let (env, root) = site(&image);
    let registry = DockerRegistry::serve(&env, &root);
    let n = AtomicUsize::new(0);
    let relay = Relay::to(registry.host(), move |passed| {
        let is_third = passed.method == "PATCH" && n.fetch_add(1, Ordering::SeqCst) == 2;
        if is_third {
            Deed::Answer(502, "", "<html>Bad Gateway</html>")
        } else {
            Deed::Pass
        }
    });
    env.run_line(&push(&relay, "--chunk-size 1MiB")).success();
    registry.assert_serves("team/app:1", &image);
    let passed = relay.passed();
    assert_eq!(of(&passed, "POST").len(), image.blobs.len());
    assert_eq!(sent_len(&passed), blobs_len(&image));
}

#[test]
fn a_line_that_never_holds_is_given_up() {
    let image = large(26, 7 * MIB / 2);
    let (env, _) = site(&image);
    let registry = TestRegistry::start();
    let relay = Relay::to(registry.host(), |passed| {
        if passed.method == "PATCH" {
            Deed::Cut(0)
        } else {
            Deed::Pass
        }
    });
    let output = env
        .run_line(&push(&relay, "--chunk-size 1MiB --retries 2"))
        .exits(1);
    assert!(
        output.stderr.contains("gave up after 3 attempts"),
        "{}",
        output.stderr
    );
    assert_eq!(of(&relay.passed(), "PATCH").len(), 3);
}

#[test]
fn a_compressed_bundle_says_why_it_cannot_go_on() {
    // Later releases forget nothing.
    if !are_here(&[docker_registry::PROGRAM]) || other_registry().is_some() {
        return;
    }
    let image = large(27, 7 * MIB / 2);
    let (env, root) = site(&image);
    env.run_line("pack store --output b.tar.zst").success();
    let registry = DockerRegistry::serve(&env, &root);
    let relay = Relay::to(registry.host(), cut_second(300_000));
    let line = push(&relay, "--chunk-size 1MiB").replace("store", "b.tar.zst");
    let output = env.run_line(&line).exits(1);
    assert!(
        output
            .stderr
            .contains("the upload was interrupted, and its data can be read only once"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("from the uncompressed `.tar`"),
        "{}",
        output.stderr
    );
}
