//! What becomes of an index: one platform, several, all; rewritten or kept; pinned.

use hod_oci::{Digest, MediaType};

use super::pull;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{
    Compression, Format, Image, ImageBuilder, index, layer, repository, tag,
};
use hod_testkit::registry::TestRegistry;

fn platform_image(seed: u64, architecture: &str) -> Image {
    ImageBuilder::oci(seed)
        .platform("linux", architecture)
        .layer(&layer(seed + 1, 300, Compression::Gzip))
        .build()
}

/// An index of three platforms, served as `a/multi:1`.
fn three() -> (TestEnv, TestRegistry, Image, [Image; 3]) {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let children = [
        platform_image(400, "amd64"),
        platform_image(410, "arm64"),
        platform_image(420, "s390x"),
    ];
    let multi = index(Format::Oci, &children);
    registry.add("a/multi:1", &multi);
    env.write("list.txt", "a/multi:1\n");
    (env, registry, multi, children)
}

#[track_caller]
fn stored(env: &TestEnv) -> Digest {
    let digest = env
        .store("store")
        .resolve_tag(&repository("a/multi"), &tag("1"))
        .unwrap();
    digest.expect("the image is stored")
}

fn revisions(env: &TestEnv) -> Vec<Digest> {
    let mut revisions = env
        .store("store")
        .revisions(&repository("a/multi"))
        .unwrap();
    revisions.sort();
    revisions
}

#[test]
fn one_platform_takes_the_place_of_the_index() {
    let (env, registry, multi, children) = three();
    let output = pull(&env, &registry, "--platform linux/arm64").success();
    assert_eq!(stored(&env), *children[1].digest());
    assert_eq!(revisions(&env), [children[1].digest().clone()]);
    let expect = format!(
        "a/multi:1 {} (was {})\n",
        children[1].digest(),
        multi.digest()
    );
    assert_eq!(output.stdout, expect);
}

#[test]
fn several_platforms_make_a_new_index() {
    let (env, registry, multi, children) = three();
    let output = pull(&env, &registry, "--platform linux/s390x,linux/amd64").success();
    let digest = stored(&env);
    assert_ne!(digest, *multi.digest());
    assert_eq!(
        output.stdout,
        format!("a/multi:1 {digest} (was {})\n", multi.digest())
    );
    let top = env.store("store").read_manifest(&digest).unwrap().unwrap();
    assert_eq!(top.media_type().as_str(), MediaType::OCI_INDEX);
    let kept: Vec<&Digest> = top.children().iter().map(|child| &child.digest).collect();
    assert_eq!(kept, [children[0].digest(), children[2].digest()]);
    env.run_line("verify store").success();
    // The new index is a whole image: it can be pushed as it is.
    env.run_line(&format!("push store {}/copy", registry.host()))
        .success();
    let copy = registry
        .store()
        .resolve_tag(&repository("copy/a/multi"), &tag("1"))
        .unwrap();
    assert_eq!(copy, Some(digest));
}

#[test]
fn all_that_there_is_leaves_the_index_as_it_is() {
    let (env, registry, multi, _) = three();
    pull(
        &env,
        &registry,
        "--platform linux/s390x,linux/amd64,linux/arm64",
    )
    .success();
    assert_eq!(stored(&env), *multi.digest());
    pull(&env, &registry, "--platform all").success();
    assert_eq!(stored(&env), *multi.digest());
}

#[test]
fn a_kept_index_has_its_bytes_and_a_part_of_its_children() {
    let (env, registry, multi, children) = three();
    for platforms in ["linux/amd64,linux/arm64", "linux/amd64"] {
        pull(
            &env,
            &registry,
            &format!("--index keep --platform {platforms}"),
        )
        .success();
        assert_eq!(stored(&env), *multi.digest());
        assert!(!revisions(&env).contains(children[2].digest()));
    }
    let verified = env.run_line("verify store").success();
    assert!(verified.stderr.contains("note: "), "{}", verified.stderr);
    // It can be selected and packed as it is; the children that it lacks stay away.
    env.run_line("select list.txt --store store --output tree")
        .success();
    env.run_line("pack tree --output multi.tar").success();
    env.run_line("unpack multi.tar --output again").success();
    let verified = env.run_line("verify again").success();
    assert!(verified.stderr.contains("note: "), "{}", verified.stderr);
}

#[test]
fn a_line_can_choose_for_itself() {
    let (env, registry, multi, children) = three();
    env.write(
        "list.txt",
        "a/multi:1 platform=linux/s390x\na/multi:1 b/multi:2 platform=all\n",
    );
    pull(&env, &registry, "--platform linux/amd64").success();
    assert_eq!(stored(&env), *children[2].digest());
    let whole = env
        .store("store")
        .resolve_tag(&repository("b/multi"), &tag("2"))
        .unwrap();
    assert_eq!(whole.as_ref(), Some(multi.digest()));
}

#[test]
fn a_platform_that_is_missing_is_told_with_what_there_is() {
    let (env, registry, ..) = three();
    for wanted in ["linux/riscv64", "linux/amd64,linux/riscv64"] {
        let output = pull(&env, &registry, &format!("--platform {wanted}")).exits(1);
        let text = "no platform linux/riscv64; it has linux/amd64, linux/arm64, linux/s390x";
        assert!(output.stderr.contains(text), "{}", output.stderr);
    }
}

#[test]
fn a_pinned_index_must_stay_servable() {
    let (env, registry, multi, children) = three();
    let pinned = format!("a/multi:1@{}", multi.digest());
    env.write("list.txt", format!("{pinned}\n"));
    for refused in [
        "",
        "--platform linux/amd64,linux/arm64",
        "--platform linux/arm64 --index rewrite",
    ] {
        let output = pull(&env, &registry, refused).exits(1);
        assert!(
            output
                .stderr
                .contains("could not be served under that digest"),
            "{}",
            output.stderr
        );
        assert!(
            !output.stderr.contains("running the command again"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("--index keep"), "{}", output.stderr);
    }
    pull(&env, &registry, "--platform linux/amd64 --index keep").success();
    assert_eq!(stored(&env), *multi.digest());
    pull(&env, &registry, "--platform all").success();
    assert_eq!(stored(&env), *multi.digest());
    env.write("list.txt", format!("a/multi@{}\n", children[0].digest()));
    let output = pull(&env, &registry, "").success();
    assert_eq!(output.stdout, format!("a/multi {}\n", children[0].digest()));
}

#[test]
fn nested_indexes_are_searched_and_rewritten() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let [amd, arm, s390x] = [
        platform_image(400, "amd64"),
        platform_image(410, "arm64"),
        platform_image(420, "s390x"),
    ];
    let inner = index(Format::Oci, &[arm.clone(), s390x.clone()]);
    let outer = index(Format::Oci, &[amd.clone(), inner]);
    registry.add("a/multi:1", &outer);
    env.write("list.txt", "a/multi:1\n");
    pull(&env, &registry, "--platform linux/s390x").success();
    assert_eq!(stored(&env), *s390x.digest());
    pull(&env, &registry, "--platform linux/amd64,linux/s390x").success();
    let all = revisions(&env);
    assert!(all.contains(amd.digest()) && !all.contains(arm.digest()));
    env.run_line("verify store").success();
    pull(&env, &registry, "--platform all").success();
    assert_eq!(stored(&env), *outer.digest());
}

#[test]
fn indexes_that_nest_too_deep_are_named_whatever_is_wanted() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let inner = index(Format::Oci, &[platform_image(400, "amd64")]);
    let deep = (0..12).fold(inner, |inner, _| index(Format::Oci, &[inner]));
    registry.add("a/multi:1", &deep);
    env.write("list.txt", "a/multi:1\n");
    for platforms in ["linux/amd64", "linux/amd64,linux/arm64", "all"] {
        let output = pull(&env, &registry, &format!("--platform {platforms}")).exits(1);
        let expected = "indexes are nested more than 8 deep";
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}
