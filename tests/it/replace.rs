//! `select --replace`: afterwards the tree holds what was selected, and nothing is lost for it.

mod apart;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hod_oci::Digest;
use hod_store::Store;
use serde_json::Value;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{
    Compression, Format, Image, ImageBuilder, image, index, layer, menagerie,
};
use hod_testkit::programs::are_here;
use hod_testkit::random::Random;
use hod_testkit::referrers::{about, cosign_tag, signatures};
use hod_testkit::tree::{
    Tree, assert_same, exists, files, read, registry_tree, tree, visible_images, whole_images,
};

/// The inside of a store.
const INNER: &str = "docker/registry/v2";

/// A store with `a/one`, `a/two` and `b/three`, which share a layer, and a list of each.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (at, name) in ["a/one", "a/two", "b/three"].into_iter().enumerate() {
        build(at as u64).put_in(&store, &format!("{name}:1"));
        let list = format!("{}.txt", &name[2..]);
        env.write(list, format!("{name}:1\n"));
    }
    env.write("some.txt", "a/one:1\na/two:1\n");
    env
}

fn build(seed: u64) -> Image {
    let shared = layer(500, 3_000, Compression::Uncompressed);
    let own = layer(600 + seed, 5_000, Compression::Gzip);
    ImageBuilder::oci(seed).layer(&shared).layer(&own).build()
}

#[must_use = "check the exit code, or say `.success()`"]
fn replace(env: &TestEnv, list: &str, rest: &str) -> Output {
    let line = format!("select {list} --store store --output tree --replace {rest}");
    env.run_line(&line)
}

/// Selects the first two images into `tree`, by `--link copy` so that it has bytes of its own.
fn copied(env: &TestEnv) {
    let line = "select some.txt --store store --output tree --link copy";
    let _ = env.run_line(line).success();
}

fn blob_path(env: &TestEnv, store: &str, digest: &Digest) -> PathBuf {
    Store::open(&env.path(store)).unwrap().blob_path(digest)
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn a_replaced_tree_is_what_a_new_one_would_be() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let mut names = Vec::new();
    for (kind, image) in menagerie() {
        let name = format!("zoo/{kind}:1");
        image.put_in(&store, &name);
        names.push(name);
    }
    let signed = image(70);
    for name in ["app:1", "app:2", "app/sub:1"] {
        signed.put_in(&store, name);
        names.push(name.to_owned());
    }
    signatures(&[1]).put_in(
        &store,
        &format!("app:{}", cosign_tag(signed.digest(), "sig")),
    );
    for seed in [71, 72] {
        about(signed.top(), "application/x", seed).put_in(&store, "app");
    }
    let platforms = index(
        Format::Oci,
        &[("amd64", 73), ("arm64", 74)].map(|(platform, seed)| {
            let builder = ImageBuilder::oci(seed).platform("linux", platform);
            builder.layer(&layer(seed, 900, Compression::Gzip)).build()
        }),
    );
    platforms.put_in(&store, "multi:1");
    names.push("multi:1".to_owned());
    drop(store);
    let before = tree(&env.path("store"));
    let mut random = Random::new();
    for round in 0..12 {
        random.shuffle(&mut names);
        let n = 1 + random.below(names.len());
        env.write("list.txt", names[..n].join("\n"));
        let flags = [
            "",
            "--link copy",
            "--no-referrers",
            "--rename library/app=other/app",
            "--rename zoo/*=zoo/sub/*",
        ][random.below(5)];
        let flags = if flags.contains("--rename") {
            // A rule that matches nothing is refused.
            env.write("list.txt", names.join("\n"));
            flags
        } else {
            flags
        };
        let select = "select list.txt --store store --output";
        let dry = replace(&env, "list.txt", &format!("{flags} --dry-run --json"));
        let real = replace(&env, "list.txt", &format!("{flags} --json"));
        let (dry, real) = (json(&dry.success()), json(&real.success()));
        assert_eq!(dry["removed"], real["removed"], "{round}: {flags}");
        let _ = env
            .run_line(&format!("{select} new-{round} {flags}"))
            .success();
        let new = registry_tree(&env.path(format!("new-{round}")));
        assert_same(&registry_tree(&env.path("tree")), &new, flags);
        let again = json(&replace(&env, "list.txt", &format!("{flags} --json")).success());
        assert!(again.get("removed").is_none(), "{again}");
        let _ = env.run_line("verify tree").success();
        let _ = hod_fsx::read_dir_names(&env.path("tree/.hod/tmp"))
            .map(|left| assert!(left.is_empty()));
    }
    assert_eq!(tree(&env.path("store")), before);
    let _ = env.run_line("verify store").success();
}

#[test]
fn what_a_platform_leaves_of_an_index_can_be_replaced() {
    let env = TestEnv::in_memory();
    let children = [("amd64", 1), ("arm64", 2), ("s390x", 3)]
        .map(|(platform, seed)| ImageBuilder::oci(seed).platform("linux", platform).build());
    let store = env.store("store");
    index(Format::Oci, &children).put_in(&store, "multi:1");
    image(9).put_in(&store, "a:1");
    drop(store);
    env.write("multi.txt", "multi:1\n");
    env.write("a.txt", "a:1\n");
    let _ = replace(&env, "multi.txt", "--platform linux/amd64,linux/arm64").success();
    let _ = replace(&env, "a.txt", "").success();
    assert_eq!(whole_images(&env.path("tree")).len(), 1);
    // An index that somebody else made is not a part of one.
    let store = env.store("tree");
    index(Format::Oci, &[children[1].clone(), children[0].clone()]).put_in(&store, "multi:1");
    drop(store);
    let said = replace(&env, "a.txt", "").exits(5).stderr;
    assert!(said.contains("multi:1 ("), "{said}");
}

#[test]
fn people_are_told_what_goes_and_programs_too() {
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    let before = tree(&env.work());
    let (one, two) = (build(0).digest().clone(), build(1).digest().clone());
    let going = format!("2 images from `tree`:\n  a/one:1@{one}\n  a/two:1@{two}\n");
    let dry = replace(&env, "three.txt", "--dry-run").success();
    assert!(
        dry.stderr.contains(&format!("would remove {going}")),
        "{}",
        dry.stderr
    );
    assert_eq!(tree(&env.work()), before);
    let real = replace(&env, "three.txt", "--json").success();
    assert!(
        real.stderr.contains(&format!("removing {going}")),
        "{}",
        real.stderr
    );
    let real = json(&real);
    assert_eq!(real["removed"][0]["image"], "a/one:1");
    assert_eq!(real["removed"][0]["digest"], build(0).digest().as_str());
    assert_eq!(real["removed"][1]["image"], "a/two:1");
    assert!(real.get("left_files").is_none(), "{real}");
    let _ = replace(&env, "three.txt", "--add").exits(2);
    // A dry run makes nothing.
    let line = "select one.txt --store store --output none --replace --dry-run";
    let _ = env.run_line(line).success();
    assert!(!exists(&env.path("none")));
}

/// The digest of the layer that no other image has.
fn own(image: &Image) -> &Digest {
    &image.blobs.last().unwrap().digest
}

/// What is done to a site, and what the refusal says.
type Case = (&'static str, fn(&TestEnv), i32, &'static str);

#[test]
fn nothing_is_removed_that_could_not_be_selected_again() {
    let cases: [Case; 8] = [
        (
            "a layer is gone",
            |env| hod_fsx::remove_file(&blob_path(env, "store", own(&build(1)))).unwrap(),
            5,
            "a/two:1 (`",
        ),
        (
            "a layer is damaged",
            |env| {
                let path = blob_path(env, "store", own(&build(1)));
                let mut bytes = read(&path);
                bytes[7] ^= 1;
                hod_fsx::write_file(&path, &bytes).unwrap();
            },
            5,
            "is damaged there)",
        ),
        (
            "a layer is cut",
            |env| {
                let path = blob_path(env, "store", own(&build(0)));
                hod_fsx::write_file(&path, b"short").unwrap();
            },
            5,
            "a/one:1 (`",
        ),
        (
            "a layer is a link to the tree's",
            |env| {
                let path = blob_path(env, "store", own(&build(0)));
                hod_fsx::remove_file(&path).unwrap();
                symlink(blob_path(env, "tree", own(&build(0))), path).unwrap();
            },
            5,
            "a/one:1 (`",
        ),
        (
            "a manifest is gone",
            |env| {
                let path = blob_path(env, "store", build(1).digest());
                hod_fsx::remove_file(&path).unwrap();
            },
            5,
            "a/two:1 (`",
        ),
        (
            "a manifest belongs to no repository",
            |env| {
                let store = env.store("store");
                let name = "a/two".parse().unwrap();
                store.delete_revision(&name, build(1).digest()).unwrap();
            },
            5,
            "belongs to no repository there)",
        ),
        (
            "an image is only in the tree",
            |env| build(90).put_in(&env.store("tree"), "c/own:1"),
            5,
            "c/own:1 (`",
        ),
        (
            "a manifest without a tag is only in the tree",
            |env| {
                let store = env.store("tree");
                build(91).put_in(&store, "a/one:1");
                build(0).put_in(&store, "a/one:1");
            },
            5,
            "a/one@sha256:",
        ),
    ];
    for (what, harm, code, says) in cases {
        let env = site();
        copied(&env);
        harm(&env);
        let before = files_and_links(&env.work());
        for rest in ["", "--dry-run"] {
            let said = replace(&env, "three.txt", rest).exits(code).stderr;
            assert!(said.contains(says), "{what}: {said}");
            assert!(said.contains("nothing was changed"), "{what}: {said}");
            assert!(said.contains("`--add`"), "{what}: {said}");
            assert_eq!(files_and_links(&env.work()), before, "{what} {rest}");
        }
        // As the hint says.
        let line = "select three.txt --store store --output tree --add";
        let _ = env.run_line(line).success();
    }
}

/// What is done to the store, whether `a/two:1` may go, and whether it is said that the store has it
/// without a tag.
type Naming = (&'static str, fn(&TestEnv), i32, bool);

#[test]
fn what_only_a_digest_finds_again_is_said() {
    let cases: [Naming; 5] = [
        ("all is there", |_| (), 0, false),
        (
            "it has no tag",
            |env| {
                let store = env.store("store");
                store
                    .delete_tag(&"a/two".parse().unwrap(), &"1".parse().unwrap())
                    .unwrap();
            },
            0,
            true,
        ),
        (
            "another image has its tag",
            |env| build(50).put_in(&env.store("store"), "a/two:1"),
            0,
            true,
        ),
        (
            "it has another name and the tag is gone",
            |env| {
                let store = env.store("store");
                build(1).put_in(&store, "moved/two:9");
                build(50).put_in(&store, "a/two:1");
            },
            0,
            false,
        ),
        (
            "it has neither tag nor revision",
            |env| {
                let store = env.store("store");
                store
                    .delete_revision(&"a/two".parse().unwrap(), build(1).digest())
                    .unwrap();
            },
            5,
            false,
        ),
    ];
    for (what, change, code, is_said) in cases {
        let env = site();
        copied(&env);
        change(&env);
        for rest in ["--dry-run --json", "--json"] {
            let output = replace(&env, "three.txt", rest).exits(code);
            let says = output.stderr.contains("(the store has it without a tag");
            assert_eq!(says, is_said, "{what}: {}", output.stderr);
            if code == 0 {
                let removed = &json(&output)["removed"];
                let is_untagged = removed[1].get("untagged_in_store").is_some();
                assert_eq!(is_untagged, is_said, "{what}: {removed}");
                assert_eq!(removed[1]["digest"], build(1).digest().as_str());
            }
        }
        if code == 0 {
            // As it says.
            let digest = build(1).digest().clone();
            env.write("again.txt", format!("a/two@{digest} a/two:1\n"));
            let again = "select again.txt --store store --output again";
            let _ = env.run_line(again).success();
        }
    }
}

/// A tag is enough to select an image, so that it is enough to remove one.
#[test]
fn a_tag_without_a_revision_link_is_found() {
    let env = site();
    copied(&env);
    let revisions = "repositories/a/two/_manifests/revisions/sha256";
    let link = env.path("store").join(INNER).join(revisions);
    let digest = build(1).digest().clone();
    hod_fsx::remove_file(&link.join(digest.hex()).join("link")).unwrap();
    env.write("two.txt", "a/two:1\n");
    let _ = env
        .run_line("select two.txt --store store --output found")
        .success();
    let _ = replace(&env, "three.txt", "").success();
}

/// How an output is made, and its name.
type Place = (&'static str, fn(&TestEnv), &'static str);

#[test]
fn a_store_is_never_its_own_output() {
    let places: [Place; 9] = [
        ("the store", |_| (), "store"),
        ("its inside", |_| (), "store/docker/registry/v2"),
        ("in it", |_| (), "store/new"),
        (
            "a link to it",
            |env| symlink("store", env.path("tree")).unwrap(),
            "tree",
        ),
        (
            "a link above it",
            |env| symlink(".", env.path("here")).unwrap(),
            "here/store",
        ),
        (
            "its tree by a link",
            |env| {
                hod_fsx::create_dir_all(&env.path("tree")).unwrap();
                symlink("../store/docker", env.path("tree/docker")).unwrap();
            },
            "tree",
        ),
        (
            "its blobs by a link",
            |env| {
                hod_fsx::create_dir_all(&env.path("tree").join(INNER).join("repositories"))
                    .unwrap();
                let blobs = env.path("store").join(INNER).join("blobs");
                symlink(blobs, env.path("tree").join(INNER).join("blobs")).unwrap();
            },
            "tree",
        ),
        (
            "where its blobs are by a link",
            |env| {
                copied(env);
                let below = "blobs/sha256";
                let (ours, theirs) = (
                    env.path("store").join(INNER).join(below),
                    env.path("tree").join(INNER).join(below),
                );
                hod_fsx::rename(&ours, &env.path("aside")).unwrap();
                symlink(theirs, &ours).unwrap();
            },
            "tree",
        ),
        (
            "around it",
            |env| {
                hod_fsx::create_dir_all(&env.path("tree")).unwrap();
                hod_fsx::rename(&env.path("store"), &env.path("tree/store")).unwrap();
                symlink("tree/store", env.path("store")).unwrap();
            },
            "tree",
        ),
    ];
    for (what, make, output) in places {
        let env = site();
        make(&env);
        let before = files_and_links(&env.work());
        for rest in ["", "--dry-run"] {
            let line = format!("select one.txt --store store --output {output} --replace {rest}");
            let refused = env.run_line(&line);
            assert!(
                matches!(refused.code, Some(2 | 5)),
                "{what}: {:?}: {}",
                refused.code,
                refused.stderr
            );
            assert_eq!(files_and_links(&env.work()), before, "{what} {rest}");
        }
    }
}

/// Everything below a directory by its path, links as they are, with what tells one file from
/// another.
fn files_and_links(root: &Path) -> BTreeMap<PathBuf, (u64, u64, u64)> {
    let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    walk.map(|entry| {
        use std::os::unix::fs::MetadataExt as _;
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let len = if metadata.is_file() {
            metadata.len()
        } else {
            0
        };
        (entry.into_path(), (metadata.dev(), metadata.ino(), len))
    })
    .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == ".hod"))
    .collect()
}
