//! What registries are asked: each manifest once, and a blob only where its bytes or its presence
//! are wanted.

use std::collections::BTreeMap;

use super::Site;
use hod_testkit::registry::TestRegistry;

/// How often each path was asked for with each method.
fn counts(registry: &TestRegistry) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for seen in registry.take_seen() {
        *counts.entry((seen.method, seen.path)).or_default() += 1;
    }
    counts
}

#[track_caller]
fn check(registry: &TestRegistry, line: &str, blobs: &[(&str, usize)]) {
    let counts = counts(registry);
    // A list of repositories and what comes after it both ask for the root, and for the tags; what is
    // about an image is asked for under each of its tags.
    let is_listing =
        |path: &str| path == "/v2/" || path.ends_with("/tags/list") || path.contains("/referrers/");
    for ((method, path), n) in counts.iter().filter(|((_, path), _)| !is_listing(path)) {
        assert_eq!(*n, 1, "{line}: {method} {path}");
    }
    let of_blobs = counts.keys().filter(|(_, path)| path.contains("/blobs/"));
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (method, _) in of_blobs {
        *found.entry(method.as_str()).or_default() += 1;
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), blobs, "{line}");
    let heads = counts
        .keys()
        .filter(|(method, path)| method == "HEAD" && path.contains("/manifests/"));
    assert_eq!(heads.count(), 0, "{line}");
}

#[test]
fn nothing_is_asked_twice_and_blobs_only_where_they_are_wanted() {
    let site = Site::new();
    // The same image under another tag: its children are known.
    site.registry.add("p/acme/web:latest", &site.web);
    let (place, digest) = (site.place(), site.api.digest());
    // A config and two layers of the one platform; of the two, two configs and three layers.
    for (line, blobs) in [
        (format!("ls {place}"), &[("GET", 1)][..]),
        (format!("ls {place} --platform linux/amd64"), &[("GET", 1)]),
        (format!("diff store {place}"), &[]),
        (format!("why {digest} {place}"), &[]),
        (format!("verify {place}"), &[("HEAD", 8)]),
        (format!("verify {place} --deep"), &[("GET", 8)]),
    ] {
        site.registry.take_seen();
        site.env.run_line(&line).success();
        check(&site.registry, &line, blobs);
    }
    assert_eq!(site.registry.count("*", |path| path.contains("uploads")), 0);
}
