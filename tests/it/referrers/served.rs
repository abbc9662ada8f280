//! `hod serve` answers for referrers (distribution-spec 1.1, "Listing Referrers").

use std::collections::BTreeSet;

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Image, image};
use hod_testkit::programs;
use hod_testkit::referrers::{about, index_tag};
use hod_testkit::registry::TestRegistry;

#[test]
fn the_api_lists_what_says_it_is_about_a_digest() {
    let registry = TestRegistry::start();
    let subject = image(1);
    let list = |query: &str| {
        let path = format!("/v2/app/referrers/{}{query}", subject.digest());
        let answer = registry.send("GET", &path);
        assert_eq!(answer.status, 200);
        let media_type = answer.header("content-type").unwrap();
        assert_eq!(media_type, "application/vnd.oci.image.index.v1+json");
        let json = answer.json();
        assert_eq!(json["schemaVersion"], 2);
        let filters = answer.header("oci-filters-applied").map(str::to_owned);
        (json["manifests"].as_array().unwrap().clone(), filters)
    };
    // Nothing is an empty list, whether the repository is there or not.
    assert_eq!(list(""), (Vec::new(), None));
    let (sbom, seal) = (
        about(subject.top(), "x/sbom", 2),
        about(subject.top(), "x/seal", 3),
    );
    for artifact in [&sbom, &seal] {
        // Before its subject, as the specification allows.
        let named = push(&registry, artifact);
        assert_eq!(named.as_deref(), Some(subject.digest().as_str()));
    }
    registry.add("app:1", &subject);
    let (all, filters) = list("");
    assert_eq!((all.len(), filters), (2, None));
    let (some, filters) = list("?artifactType=x%2Fsbom");
    assert_eq!(filters.as_deref(), Some("artifactType"));
    assert_eq!(some.len(), 1);
    assert_eq!(some[0]["digest"], sbom.digest().as_str());
    assert_eq!(some[0]["size"], sbom.top().bytes().len());
    assert_eq!(some[0]["artifactType"], "x/sbom");
    assert_eq!(some[0]["annotations"]["seed"], "2");
    let first = all[0]["digest"].as_str().unwrap();
    let (rest, _) = list(&format!("?last={first}"));
    assert_eq!(rest, all[1..]);
    let path = format!("/v2/app/manifests/{}", seal.digest());
    assert_eq!(registry.send("DELETE", &path).status, 202);
    assert_eq!(list("").0.len(), 1);
}

/// Pushes an artifact over the API, as clients do; returns the subject that the answer names.
#[track_caller]
fn push(registry: &TestRegistry, artifact: &Image) -> Option<String> {
    for blob in &artifact.blobs {
        let path = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        let answer = registry.send_with("POST", &path, (&[], &blob.bytes));
        assert_eq!(answer.status, 201);
    }
    let path = format!("/v2/app/manifests/{}", artifact.digest());
    let answer = registry.send_with("PUT", &path, (&[], artifact.top().bytes()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("oci-subject").map(str::to_owned)
}

#[test]
fn the_tag_for_registries_without_the_api_follows() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let subject = image(1);
    registry.add("app:1", &subject);
    let [sbom, seal, scan] = [2, 3, 4].map(|seed| about(subject.top(), "x/y", seed));
    let tag = index_tag(subject.digest());
    let path = format!("/v2/app/manifests/{tag}");
    let listed = || {
        let answer = registry.send("GET", &path);
        let json = (answer.status == 200).then(|| answer.json())?;
        let entries = json["manifests"].as_array().unwrap().iter();
        let digests = entries.map(|entry| entry["digest"].as_str().unwrap().to_owned());
        Some(digests.collect::<BTreeSet<_>>())
    };
    let these = |artifacts: &[&Image]| {
        let digests = artifacts.iter().map(|one| one.digest().to_string());
        Some(digests.collect::<BTreeSet<_>>())
    };
    let delete = |artifact: &Image| {
        let path = format!("/v2/app/manifests/{}", artifact.digest());
        assert_eq!(registry.send("DELETE", &path).status, 202);
    };
    assert_eq!(listed(), None);
    for artifact in [&sbom, &seal] {
        assert!(push(&registry, artifact).is_some());
    }
    assert_eq!(listed(), these(&[&sbom, &seal]));
    // A client that keeps the tag itself, and knows of one alone.
    let own = hod_oci::referrers_index(vec![hod_oci::ReferrerEntry::of(sbom.top())]);
    let answer = registry.send_with("PUT", &path, (&[], &own));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(listed(), these(&[&sbom, &seal]));
    push(&registry, &scan);
    assert_eq!(listed(), these(&[&sbom, &seal, &scan]));
    delete(&seal);
    assert_eq!(listed(), these(&[&sbom, &scan]));
    // As after a pull: hod finds nothing to object to, and the real registry finds them.
    let tree = registry.store().path().to_owned();
    let mut verify = env.hod();
    finish(verify.arg("verify").arg(&tree)).success();
    if programs::are_here(&[docker_registry::PROGRAM]) {
        let theirs = DockerRegistry::serve(&env, &tree);
        let index = theirs.get(&path).json();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
        for artifact in [&sbom, &scan] {
            theirs.assert_serves_by_digest("app", artifact);
        }
        drop(theirs);
    }
    delete(&sbom);
    delete(&scan);
    assert_eq!(listed(), None);
    // The indexes that it was are gone with it.
    let revisions = registry.store().revisions(&"app".parse().unwrap()).unwrap();
    let own = |digest: &hod_oci::Digest| digest == subject.digest();
    assert!(revisions.iter().all(own), "{revisions:?}");
}

#[test]
fn a_tag_that_is_somebodys_image_is_not_rewritten() {
    let registry = TestRegistry::start();
    let (subject, theirs) = (image(1), image(2));
    let tag = index_tag(subject.digest());
    registry.add("app:1", &subject);
    registry.add(&format!("app:{tag}"), &theirs);
    let sbom = about(subject.top(), "x/sbom", 3);
    push(&registry, &sbom);
    let named = || {
        let answer = registry.send("HEAD", &format!("/v2/app/manifests/{tag}"));
        answer.header("docker-content-digest").map(str::to_owned)
    };
    assert_eq!(named().as_deref(), Some(theirs.digest().as_str()));
    let path = format!("/v2/app/manifests/{}", sbom.digest());
    assert_eq!(registry.send("DELETE", &path).status, 202);
    assert_eq!(named().as_deref(), Some(theirs.digest().as_str()));
}

#[test]
fn a_manifest_without_a_subject_is_answered_as_ever() {
    let registry = TestRegistry::start();
    registry.add("app:1", &image(1));
    let image = image(1);
    let path = format!("/v2/app/manifests/{}", image.digest());
    let answer = registry.send_with("PUT", &path, (&[], image.top().bytes()));
    assert_eq!((answer.status, answer.header("oci-subject")), (201, None));
}

#[test]
fn more_than_a_page_comes_in_pages() {
    let registry = TestRegistry::start();
    let subject = image(1);
    registry.add("app:1", &subject);
    for seed in 0..1001 {
        registry.add("app", &about(subject.top(), "x/y+z", seed));
    }
    let mut path = format!(
        "/v2/app/referrers/{}?artifactType=x%2Fy%2Bz",
        subject.digest()
    );
    let mut lens = Vec::new();
    loop {
        let answer = registry.send("GET", &path);
        lens.push(answer.json()["manifests"].as_array().unwrap().len());
        let Some(link) = answer.header("link") else {
            break;
        };
        let (next, _) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        path = next.to_owned();
    }
    assert_eq!(lens, [1000, 1]);
}
