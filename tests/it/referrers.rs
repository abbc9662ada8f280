//! What is about images goes where they go: signatures, attestations, SBOMs.

mod hostile;
mod interop;
mod served;
mod target;

use hod_oci::{Digest, ReferrerTag};

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::{Format, Image, ImageBuilder, image, index, repository, tag};
use hod_testkit::referrers::{
    about, cosign_tag, forget_api, index_tag, path_is_signature, signatures, without_api,
};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{assert_same, exists, read, registry_tree, whole_images};

/// An index of two platforms with everything about it that there can be.
struct Signed {
    index: Image,
    /// About the index.
    sbom: Image,
    /// About the SBOM.
    seal: Image,
    /// Cosign's, of the index.
    signature: Image,
    /// Cosign's, of the first child.
    attestation: Image,
    /// About the second child.
    scan: Image,
}

impl Signed {
    fn new() -> Self {
        let amd = image(500);
        let arm = ImageBuilder::oci(510).platform("linux", "arm64").build();
        let index = index(Format::Oci, &[amd.clone(), arm.clone()]);
        let sbom = about(index.top(), "application/spdx+json", 520);
        Self {
            seal: about(sbom.top(), "application/vnd.example.seal", 530),
            signature: signatures(&[540]),
            attestation: signatures(&[550]),
            scan: about(arm.top(), "application/vnd.example.scan", 560),
            sbom,
            index,
        }
    }

    /// Puts all of it into a registry; what is about another is found by its `subject` alone.
    fn add_to(&self, registry: &TestRegistry, name: &str) {
        registry.add(&format!("{name}:1"), &self.index);
        for artifact in [&self.sbom, &self.seal, &self.scan] {
            registry.add(name, artifact);
        }
        let sig = cosign_tag(self.index.digest(), "sig");
        registry.add(&format!("{name}:{sig}"), &self.signature);
        let att = cosign_tag(self.index.manifests[0].digest(), "att");
        registry.add(&format!("{name}:{att}"), &self.attestation);
    }

    /// The tags that lead to referrers where there is no API, and what is about what.
    fn by_subject(&self) -> [(&Digest, &Image); 3] {
        [
            (self.index.digest(), &self.sbom),
            (self.sbom.digest(), &self.seal),
            (self.index.manifests[1].digest(), &self.scan),
        ]
    }

    /// Passes when all that is about the image is in the registry, in the way it can be looked up.
    #[track_caller]
    fn assert_at(&self, registry: &TestRegistry, name: &str, has_api: bool) {
        let get = |path: &str| registry.send("GET", &format!("/v2/{name}/{path}"));
        for (subject, artifact) in self.by_subject() {
            let digest = artifact.digest();
            assert_eq!(
                get(&format!("manifests/{digest}")).body,
                *artifact.top().bytes()
            );
            for blob in &artifact.blobs {
                assert_eq!(get(&format!("blobs/{}", blob.digest)).body, blob.bytes);
            }
            let listed = if has_api {
                // The tag is for the registry to keep.
                let tag = index_tag(subject);
                assert_eq!(registry.count("PUT", |path| path.ends_with(&tag)), 0);
                get(&format!("referrers/{subject}"))
            } else {
                get(&format!("manifests/{}", index_tag(subject)))
            };
            assert_eq!(listed.status, 200, "{subject}");
            let listed = listed.json();
            assert_eq!(listed["manifests"].as_array().unwrap().len(), 1, "{listed}");
            assert_eq!(listed["manifests"][0]["digest"], digest.as_str());
        }
        for (subject, suffix, artifact) in [
            (self.index.digest(), "sig", &self.signature),
            (self.index.manifests[0].digest(), "att", &self.attestation),
        ] {
            let path = format!("manifests/{}", cosign_tag(subject, suffix));
            assert_eq!(get(&path).body, *artifact.top().bytes(), "{path}");
            for blob in &artifact.blobs {
                assert_eq!(get(&format!("blobs/{}", blob.digest)).body, blob.bytes);
            }
        }
    }
}

/// Pulls `list.txt` into `store` on all platforms.
fn pull(env: &TestEnv, registry: &TestRegistry, rest: &str) -> Output {
    env.run_line(&format!(
        "pull list.txt --store store --source {} {rest}",
        registry.host()
    ))
}

/// A place in which the signed image is pulled.
fn pulled(registry: &TestRegistry) -> (TestEnv, Signed) {
    let (env, signed) = (TestEnv::in_memory(), Signed::new());
    signed.add_to(registry, "app/signed");
    env.write("list.txt", "app/signed:1\n");
    let _ = pull(&env, registry, "--platform all").success();
    (env, signed)
}

#[test]
fn all_that_is_about_an_image_goes_the_whole_way() {
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    let lines = [
        "verify store",
        "select list.txt --store store --output tree",
        "verify tree",
        "pack tree --output b.tar",
        "pack list.txt --store store --output c/b.tar",
        "pack b.tar --output d/b.tar",
        "pack tree --output b.tar.zst",
        "verify b.tar",
        "verify b.tar.zst",
        "unpack b.tar --output unpacked",
        "unpack b.tar.zst --output unzipped",
        "export b.tar --output layouts",
        "verify layouts",
    ];
    for dir in ["c", "d"] {
        hod_fsx::create_dir_all(&env.path(dir)).unwrap();
    }
    for line in lines {
        let _ = env.run_line(line).success();
    }
    let before = registry_tree(&env.path("store"));
    for tree in ["tree", "unpacked", "unzipped"] {
        assert_same(&registry_tree(&env.path(tree)), &before, tree);
    }
    // The tag, three indexes of referrers, two of cosign's.
    assert_eq!(whole_images(&env.path("store")).len(), 6);
    assert!(read(&env.path("b.tar")) == read(&env.path("c/b.tar")));
    assert!(read(&env.path("b.tar")) == read(&env.path("d/b.tar")));
    for from in ["store", "tree", "b.tar", "b.tar.zst", "unpacked", "layouts"] {
        for has_api in [true, false] {
            let target = TestRegistry::start();
            if !has_api {
                forget_api(&target);
            }
            let host = target.host();
            let output = env.run_line(&format!("push {from} {host}/x")).success();
            assert_eq!(
                output.stdout.lines().count(),
                1,
                "{from}: {}",
                output.stdout
            );
            target.heal();
            signed.assert_at(&target, "x/app/signed", has_api);
            if !has_api {
                forget_api(&target);
            }
            let _ = target.take_seen();
            let again = env.run_line(&format!("push {from} {host}/x")).success();
            assert!(again.stderr.contains("(1 unchanged)"), "{}", again.stderr);
            let n_written = target.count("PUT", |_| true) + target.count("POST", |_| true);
            assert_eq!(n_written, 0, "{from}: a second push writes nothing");
        }
    }
}

#[test]
fn a_registry_without_the_api_is_searched_by_tags() {
    let first = TestRegistry::start();
    let (env, signed) = pulled(&first);
    let second = without_api();
    let host = second.host().to_owned();
    let _ = env.run_line(&format!("push store {host}")).success();
    let _ = second.take_seen();
    let again = TestEnv::in_memory();
    again.write("list.txt", "app/signed:1\n");
    let _ = pull(&again, &second, "--platform all").success();
    let store = registry_tree(&env.path("store"));
    assert_same(&registry_tree(&again.path("store")), &store, "by tags");
    let n_asked = second.count("GET", path_contains("/referrers/"));
    assert_eq!(
        n_asked, 1,
        "a registry that does not know the API is not asked again"
    );
    let n_lists = second.count("GET", path_contains("/tags/list"));
    assert_eq!(n_lists, 1, "the tags are listed once");
    assert_eq!(second.count("HEAD", |_| true), 0);
    drop(signed);
}

#[test]
fn ls_counts_them_and_a_tag_of_cosigns_is_no_image() {
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    let _ = env.run_line("pack store --output b.tar").success();
    for from in ["store", "b.tar"] {
        let output = env.run_line(&format!("ls {from}")).success();
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{}", output.stdout);
        assert!(
            lines[0].ends_with(" REFERRERS") && lines[1].ends_with(" 5"),
            "{lines:?}"
        );
        let output = env.run_line(&format!("ls {from} --json")).success();
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(json["images"][0]["referrers"], 5);
    }
    let output = env.run_line("verify store").success();
    assert!(output.stderr.contains(": 1 image, "), "{}", output.stderr);
    // Of an image that is not there it is one.
    let other = env.store("other");
    let name = format!("a/b:{}", cosign_tag(&Digest::of(b"elsewhere"), "sig"));
    signed.signature.put_in(&other, &name);
    signed.sbom.put_in(&other, "a/b");
    let output = env.run_line("ls other").success();
    assert_eq!(output.stdout.lines().count(), 3, "{}", output.stdout);
    assert!(output.stdout.contains(&name), "{}", output.stdout);
}

#[test]
fn they_can_be_left_behind() {
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    let _ = source.take_seen();
    let bare = TestEnv::in_memory();
    bare.write("list.txt", "app/signed:1\n");
    let _ = pull(&bare, &source, "--platform all --no-referrers").success();
    assert_eq!(whole_images(&bare.path("store")).len(), 1);
    let n_lookups = source.count("GET", path_contains("/referrers/"))
        + source.count("GET", path_contains("/tags/"));
    assert_eq!(n_lookups, 0);
    for line in [
        "select list.txt --store store --output tree --no-referrers",
        "pack store --output b.tar --no-referrers",
        "unpack b.tar --output unpacked",
    ] {
        let _ = env.run_line(line).success();
    }
    let before = registry_tree(&bare.path("store"));
    assert_same(&registry_tree(&env.path("tree")), &before, "tree");
    assert_same(&registry_tree(&env.path("unpacked")), &before, "unpacked");
    let target = TestRegistry::start();
    let line = format!("push store {} --no-referrers", target.host());
    let _ = env.run_line(&line).success();
    assert_eq!(
        target
            .store()
            .revisions(&repository("app/signed"))
            .unwrap()
            .len(),
        3
    );
    let _ = env
        .run_line("export store --output layouts --no-referrers")
        .success();
    let sig = cosign_tag(signed.index.digest(), "sig");
    assert!(!exists(&env.path(format!("layouts/app/signed:{sig}"))));
    // containerd takes what an archive names for images, signatures too.
    for (output, flags, is_said) in [("all.tar", "", true), ("bare.tar", "--no-referrers", false)] {
        let line = format!("export store --format oci-archive --output {output} {flags}");
        let output = env.run_line(&line).success();
        let says = output.stderr.contains("`ctr images import`");
        assert_eq!(says, is_said, "{}", output.stderr);
    }
}

#[test]
fn a_bundle_without_them_is_what_it_was() {
    let source = TestRegistry::start();
    source.add("app/plain:1", &image(500));
    let env = TestEnv::in_memory();
    env.write("list.txt", "app/plain:1\n");
    let _ = pull(&env, &source, "").success();
    hod_fsx::create_dir_all(&env.path("bare")).unwrap();
    let _ = env.run_line("pack store --output b.tar").success();
    let _ = env
        .run_line("pack store --output bare/b.tar --no-referrers")
        .success();
    assert!(read(&env.path("b.tar")) == read(&env.path("bare/b.tar")));
}

#[test]
fn what_cannot_be_looked_up_is_not_taken_for_unsigned() {
    let sig = || path_contains(".sig");
    let cases: [(&str, Fault); 6] = [
        (
            "403",
            Fault::on("GET", path_contains("/referrers/")).does(Effect::Status(403)),
        ),
        (
            "500",
            Fault::on("GET", path_contains("/referrers/")).does(Effect::Status(500)),
        ),
        (
            "hangs up",
            Fault::on("GET", path_contains("/referrers/")).does(Effect::HangUp),
        ),
        (
            "nonsense",
            Fault::on("GET", path_contains("/referrers/")).does(Effect::ShortBody(9)),
        ),
        (
            "signature",
            Fault::on("GET", sig()).does(Effect::Status(503)),
        ),
        (
            "child",
            Fault::on("GET", path_contains("/referrers/"))
                .nth(3)
                .does(Effect::Status(401)),
        ),
    ];
    for (what, fault) in cases {
        let (env, source, signed) = (TestEnv::in_memory(), TestRegistry::start(), Signed::new());
        signed.add_to(&source, "app/signed");
        source.add("app/other:1", &image(600));
        env.write("list.txt", "app/signed:1\n");
        source.fail(fault);
        let output = pull(&env, &source, "--platform all --retries 0").exits(1);
        let said = "failed to list the referrers of `sha256:";
        assert!(output.stderr.contains(said), "{what}: {}", output.stderr);
        assert!(
            output.stderr.contains("`--no-referrers` transfers"),
            "{}",
            output.stderr
        );
        assert!(whole_images(&env.path("store")).is_empty(), "{what}");
        let _ = pull(&env, &source, "--platform all --retries 0 --no-referrers").success();
    }
}

#[test]
fn tags_that_cannot_be_listed_are_asked_for_one_by_one() {
    for effect in [
        Effect::Status(403),
        Effect::Status(404),
        Effect::Page(200, "<html>"),
    ] {
        let (env, source, signed) = (TestEnv::in_memory(), TestRegistry::start(), Signed::new());
        signed.add_to(&source, "app/signed");
        env.write("list.txt", "app/signed:1\n");
        source.fail(Fault::on("GET", path_contains("/tags/list")).does(effect));
        let _ = pull(&env, &source, "--platform all --retries 0").success();
        assert_eq!(whole_images(&env.path("store")).len(), 6);
        let is_sig = path_is_signature;
        source.fail(Fault::on("HEAD", is_sig).does(Effect::Status(403)));
        source.fail(Fault::on("GET", is_sig).does(Effect::Status(403)));
        let _ = pull(&env, &source, "--platform all --retries 0").exits(1);
    }
}

#[test]
fn a_dropped_index_leaves_its_signatures_and_says_so() {
    let (env, source) = (TestEnv::in_memory(), TestRegistry::start());
    let signed = Signed::new();
    for name in ["app/one", "app/two"] {
        signed.add_to(&source, name);
    }
    source.add("app/plain:1", &signed.index);
    env.write("list.txt", "app/one:1\napp/two:1\napp/plain:1\n");
    let output = pull(&env, &source, "--platform linux/amd64").success();
    assert!(
        output
            .stderr
            .contains("note: 2 images: left out the referrers of the index"),
        "{}",
        output.stderr
    );
    // That of the platform's own manifest is carried.
    let store = env.store("store");
    let att = cosign_tag(signed.index.manifests[0].digest(), "att");
    let at = |name: &str| store.resolve_tag(&repository(name), &tag(&att)).unwrap();
    assert_eq!(at("app/one").as_ref(), Some(signed.attestation.digest()));
    let sig = cosign_tag(signed.index.digest(), "sig");
    assert_eq!(
        store
            .resolve_tag(&repository("app/one"), &tag(&sig))
            .unwrap(),
        None
    );
    let output = pull(&env, &source, "--platform all").success();
    assert!(
        !output.stderr.contains("left out the referrers"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_unchanged_image_costs_few_requests() {
    for has_api in [true, false] {
        let (env, source) = (TestEnv::in_memory(), TestRegistry::start());
        if !has_api {
            forget_api(&source);
        }
        let mut list = String::new();
        for n in 0..20 {
            let name = format!("app/r{}:{n}", n / 4);
            source.add(&name, &image(700 + 10 * n));
            list = list + &name + "\n";
        }
        env.write("list.txt", list);
        let _ = pull(&env, &source, "").success();
        let _ = source.take_seen();
        let _ = pull(&env, &source, "").success();
        // The registry itself, the manifests, their referrers, and the tags of each repository.
        let expect = if has_api {
            1 + 20 + 20 + 5
        } else {
            1 + 20 + 1 + 5
        };
        assert_eq!(source.seen().len(), expect, "{has_api}");
    }
}

#[test]
fn images_that_share_a_digest_share_what_is_about_it() {
    let (env, source, signed) = (TestEnv::in_memory(), TestRegistry::start(), Signed::new());
    signed.add_to(&source, "app/signed");
    source.add("app/signed:2", &signed.index);
    // Another repository with the same image and other signatures, which goes to the same place.
    source.add("lib/signed:3", &signed.index);
    let second = about(signed.index.top(), "application/vnd.example.second", 900);
    source.add("lib/signed", &second);
    env.write("list.txt", "app/signed:1\napp/signed:2\nlib/signed:3\n");
    let _ = pull(&env, &source, "--platform all").success();
    let rename = "--rename lib/*=app/*";
    for line in [
        format!("select list.txt --store store --output tree {rename}"),
        format!("pack store --output b.tar {rename}"),
        "unpack b.tar --output unpacked".to_owned(),
        format!("export store --output layouts {rename}"),
    ] {
        let _ = env.run_line(&line).success();
    }
    let tag = tag(&index_tag(signed.index.digest()));
    for tree in ["tree", "unpacked"] {
        let store = env.store(tree);
        let index = store.resolve_tag(&repository("app/signed"), &tag).unwrap();
        let index = store.read_manifest(&index.unwrap()).unwrap().unwrap();
        assert_eq!(index.children().len(), 2, "{tree}: both are listed");
        let _ = env.run_line(&format!("verify {tree}")).success();
    }
    let target = TestRegistry::start();
    for from in ["b.tar", "layouts", "tree"] {
        let _ = env
            .run_line(&format!("push {from} {}/{}", target.host(), &from[..1]))
            .success();
        let path = format!(
            "/v2/{}/app/signed/referrers/{}",
            &from[..1],
            signed.index.digest()
        );
        let listed = target.send("GET", &path).json();
        assert_eq!(listed["manifests"].as_array().unwrap().len(), 2, "{from}");
    }
}

#[test]
fn a_tag_of_cosigns_can_be_listed_by_itself() {
    let source = TestRegistry::start();
    let (env, signed) = pulled(&source);
    let sig = cosign_tag(signed.index.digest(), "sig");
    env.write("list.txt", format!("app/signed:1\napp/signed:{sig}\n"));
    let _ = pull(&env, &source, "--platform all").success();
    for line in [
        "pack list.txt --store store --output b.tar",
        "verify b.tar",
        "select list.txt --store store --output tree",
        "verify tree",
    ] {
        let _ = env.run_line(line).success();
    }
    assert_eq!(whole_images(&env.path("tree")).len(), 6);
    assert!(ReferrerTag::parse(&tag(&sig)).is_some());
}
