//! What a push makes of what the registry has already.

use serde_json::json;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, upload_path};
use hod_testkit::images::{image, repository, tag};
use hod_testkit::referrers::{
    about, cosign_tag, index_tag, path_is_signature, signatures, without_api,
};
use hod_testkit::registry::TestRegistry;

/// A store with an image, and the image.
fn stored() -> (TestEnv, hod_testkit::images::Image) {
    let (env, image) = (TestEnv::in_memory(), image(100));
    image.put_in(&env.store("store"), "app/a:1");
    (env, image)
}

#[test]
fn what_is_added_later_is_all_that_is_pushed_later() {
    for target in [TestRegistry::start(), without_api()] {
        let (env, image) = stored();
        let push = || env.run_line(&format!("push store {}", target.host()));
        let _ = push().success();
        let store = env.store("store");
        let sbom = about(image.top(), "x/sbom", 110);
        sbom.put_in(&store, "app/a");
        let sig = cosign_tag(image.digest(), "sig");
        signatures(&[120]).put_in(&store, &format!("app/a:{sig}"));
        let _ = target.take_seen();
        let output = push().success();
        assert!(!output.stderr.contains("unchanged"), "{}", output.stderr);
        let seen = target.take_seen();
        let of_image = |path: &str| {
            path.ends_with("/manifests/1")
                || image
                    .blobs
                    .iter()
                    .any(|blob| path.contains(blob.digest.as_str()))
        };
        let n_moved = seen
            .iter()
            .filter(|s| s.method == "PUT" && of_image(&s.path))
            .count();
        assert_eq!(
            n_moved, 0,
            "the tag and its blobs are left alone: it may be immutable"
        );
        let n_heads = seen.iter().filter(|s| of_image(&s.path)).count();
        assert_eq!(n_heads, 1, "the tag is asked for");
        let again = push().success();
        assert!(again.stderr.contains("(1 unchanged)"), "{}", again.stderr);
        assert_eq!(target.count("POST", upload_path), 0);
    }
}

#[test]
fn an_index_of_referrers_keeps_what_others_put_there() {
    let (env, image) = stored();
    let target = without_api();
    let theirs = about(image.top(), "x/theirs", 130);
    target.add("app/a", &theirs);
    let entry = theirs.top().descriptor();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
            "artifactType": "x/theirs", "x-future": 1,
        }],
        "annotations": {"kept": "yes"},
    });
    let tag = index_tag(image.digest());
    let path = format!("/v2/app/a/manifests/{tag}");
    let put = |body: &str| target.send_with("PUT", &path, (&[], body.as_bytes()));
    assert_eq!(put(&index.to_string()).status, 201);
    let ours = about(image.top(), "x/ours", 140);
    ours.put_in(&env.store("store"), "app/a");
    // The first attempt meets somebody who is faster.
    let is_tag = {
        let tag = tag.clone();
        move |path: &str| path.ends_with(&tag)
    };
    target.fail(Fault::on("PUT", is_tag).first(1).does(Effect::Status(412)));
    let line = format!("push store {}", target.host());
    let _ = env.run_line(&line).success();
    let now = target.send("GET", &path).json();
    let digests: Vec<_> = now["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["digest"])
        .collect();
    assert_eq!(digests, [theirs.digest().as_str(), ours.digest().as_str()]);
    assert_eq!(
        (
            &now["annotations"]["kept"],
            &now["manifests"][0]["x-future"]
        ),
        (&json!("yes"), &json!(1))
    );
    assert_eq!(now["manifests"][1]["artifactType"], "x/ours");
    let _ = target.take_seen();
    let again = env.run_line(&line).success();
    assert!(again.stderr.contains("(1 unchanged)"), "{}", again.stderr);
}

#[test]
fn a_tag_that_names_somebodys_image_is_left_alone() {
    let (env, image) = stored();
    let target = without_api();
    let other = hod_testkit::images::image(900);
    let tag = index_tag(image.digest());
    target.add(&format!("app/a:{tag}"), &other);
    about(image.top(), "x/ours", 140).put_in(&env.store("store"), "app/a");
    let output = env
        .run_line(&format!("push store {}", target.host()))
        .exits(1);
    assert!(
        output
            .stderr
            .contains("is the place of an index of referrers, but names something else"),
        "{}",
        output.stderr
    );
    let now = target
        .store()
        .resolve_tag(&repository("app/a"), &self::tag(&tag))
        .unwrap();
    assert_eq!(now.as_ref(), Some(other.digest()));
}

#[test]
fn signatures_at_the_registry_are_not_lost() {
    #[track_caller]
    fn check(suffix: &str, (theirs, ours): (&[u64], &[u64]), (code, expect): (i32, &[u64])) {
        let (env, image) = stored();
        let target = TestRegistry::start();
        let tag = cosign_tag(image.digest(), suffix);
        target.add(&format!("app/a:{tag}"), &signatures(theirs));
        signatures(ours).put_in(&env.store("store"), &format!("app/a:{tag}"));
        let output = env
            .run_line(&format!("push store {}", target.host()))
            .exits(code);
        let there = target
            .store()
            .resolve_tag(&repository("app/a"), &self::tag(&tag))
            .unwrap();
        assert_eq!(
            there.as_ref(),
            Some(signatures(expect).digest()),
            "{theirs:?} {ours:?}"
        );
        let said = output
            .stderr
            .contains("has other signatures or attestations");
        assert_eq!(said, code != 0, "{}", output.stderr);
    }
    check("sig", (&[1], &[1]), (0, &[1]));
    check("sig", (&[1], &[1, 2]), (0, &[1, 2]));
    check("sig", (&[1, 2], &[1]), (0, &[1, 2]));
    check("sig", (&[1, 2], &[1, 3]), (1, &[1, 2]));
    check("att", (&[1], &[2]), (1, &[1]));
    // An SBOM is made anew, not added to.
    check("sbom", (&[1], &[2]), (0, &[2]));
}

#[test]
fn no_tag_leads_to_an_image_before_its_signatures_are_there() {
    let (env, image) = stored();
    let sig = cosign_tag(image.digest(), "sig");
    signatures(&[1]).put_in(&env.store("store"), &format!("app/a:{sig}"));
    let target = TestRegistry::start();
    let is_sig = path_is_signature;
    target.fail(Fault::on("PUT", is_sig).does(Effect::Status(403)));
    let _ = env
        .run_line(&format!("push store {}", target.host()))
        .exits(1);
    assert_eq!(
        target
            .store()
            .resolve_tag(&repository("app/a"), &tag("1"))
            .unwrap(),
        None
    );
    target.heal();
    let _ = env
        .run_line(&format!("push store {}", target.host()))
        .success();
    let puts: Vec<String> = target
        .take_seen()
        .into_iter()
        .filter(|seen| {
            seen.method == "PUT" && seen.path.contains("/manifests/") && seen.status == 201
        })
        .map(|seen| seen.path)
        .collect();
    // Harbor makes an accessory only of what is about something that is there.
    let last_three = &puts[puts.len() - 3..];
    assert!(last_three[0].ends_with(image.digest().as_str()), "{puts:?}");
    assert!(
        path_is_signature(&last_three[1]) && last_three[2].ends_with("/1"),
        "{puts:?}"
    );
}
