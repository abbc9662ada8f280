//! `hod serve` answers for referrers (distribution-spec 1.1, "Listing Referrers").

use crate::support::images::image;
use crate::support::referrers::about;
use crate::support::registry::TestRegistry;

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
        for blob in &artifact.blobs {
            let path = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
            assert_eq!(
                registry.send_with("POST", &path, (&[], &blob.bytes)).status,
                201
            );
        }
        // Before its subject, as the specification allows.
        let path = format!("/v2/app/manifests/{}", artifact.digest());
        let answer = registry.send_with("PUT", &path, (&[], artifact.top().bytes()));
        assert_eq!(answer.status, 201);
        let subject = subject.digest().as_str();
        assert_eq!(answer.header("oci-subject"), Some(subject));
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
