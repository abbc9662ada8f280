//! Content that does not verify: the exit code is 4 whatever is wrong with it, as the class `verify` of
//! a report says, in every verb, and however many targets and other images there are.

use std::path::{Path, PathBuf};

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::{Image, image};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{files, read};

/// A store, an OCI layout and a `dir:` layout of one image.
fn site() -> (TestEnv, Image) {
    let env = TestEnv::in_memory();
    let one = image(3);
    one.put_in(&env.store("store"), "acme/api:1");
    env.run_line("copy store:store oci:oci dir:dir").success();
    (env, one)
}

/// The file below `place` that is a blob.
fn file_of(env: &TestEnv, place: &str, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let is_it = |path: &PathBuf| {
        let path = path.to_str().unwrap();
        path.ends_with(hex) || path.ends_with(&format!("blobs/sha256/{}/{hex}/data", &hex[..2]))
    };
    let mut found = files(&env.path(place)).into_iter().filter(is_it);
    found.next().unwrap()
}

/// Puts a directory in the place of a file.
fn replace_by_directory(path: &Path) {
    hod_fsx::remove_file(path).unwrap();
    hod_fsx::create_dir_all(path).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = read(path);
    bytes[0] ^= 1;
    hod_fsx::write_file(path, &bytes).unwrap();
}

#[track_caller]
fn check(env: &TestEnv, source: &str, case: &str) {
    let registry = TestRegistry::start();
    let targets = [
        "bundle:a.tar",
        "bundle:a.tar bundle:b.tar",
        "oci-archive:a.tar store:new",
        "store:new",
        "oci:new-oci",
        registry.host(),
    ];
    // A layer of a store is linked, and not read, where that is possible.
    let is_linked = |target: &str| target == "oci:new-oci" && case == "flip store layer";
    for targets in targets.into_iter().filter(|target| !is_linked(target)) {
        let line = format!("copy {source} {targets} --report r.json");
        let output = env.run_line(&line);
        let text = format!("{case}: {line}: {}", output.stderr);
        assert_eq!(output.code, Some(4), "{text}");
        let report: Value = serde_json::from_str(&env.read("r.json")).unwrap();
        assert_eq!(report["exit"], 4, "{text}");
        for image in report["images"].as_array().unwrap() {
            assert_eq!(image["error"]["class"], "verify", "{text}: {report}");
        }
    }
}

#[test]
fn whatever_does_not_verify_is_told_by_the_code() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 2] = [("flip", flip), ("directory", replace_by_directory)];
    for (what, damage) in damages {
        for (place, source) in [
            ("store", "store:store"),
            ("oci", "oci:oci"),
            ("dir", "dir:dir"),
        ] {
            for part in ["manifest", "layer"] {
                let (env, one) = site();
                let digest = match (place, part) {
                    // Its name does not say what it must be.
                    ("dir", "manifest") => continue,
                    // What cannot be read of a store is a failure of the file system.
                    ("store", _) if what == "directory" => continue,
                    (_, "manifest") => one.digest(),
                    _ => &one.top().blobs().nth(1).unwrap().digest.clone(),
                };
                damage(&file_of(&env, place, digest.as_str()));
                check(&env, source, &format!("{what} {place} {part}"));
            }
        }
    }
    let (env, _) = site();
    let manifest = files(&env.path("dir"))
        .into_iter()
        .find(|path| path.ends_with("manifest.json"));
    hod_fsx::write_file(&manifest.unwrap(), b"{").unwrap();
    check(&env, "dir:dir", "not a manifest");
}

#[test]
fn verbs_that_look_agree_on_a_manifest_that_does_not_verify() {
    let (env, one) = site();
    image(30).put_in(&env.store("other"), "acme/api:1");
    flip(&file_of(&env, "oci", one.top().digest().as_str()));
    for line in [
        "ls oci:oci",
        "verify oci:oci",
        "diff oci:oci store:other",
        "diff store:other oci:oci",
        "diff oci:oci oci:oci --exit-code",
    ] {
        env.run_line(line).exits(4);
    }
}

/// A store of three images, one of which has damage in one part.
fn with_damage(part: &str) -> TestEnv {
    let env = TestEnv::in_memory();
    let bad = image(41);
    let store = env.store("store");
    image(40).put_in(&store, "acme/api:1");
    bad.put_in(&store, "acme/bad:1");
    image(42).put_in(&store, "acme/web:1");
    image(42).put_in(&env.store("other"), "acme/web:1");
    env.write("list.txt", "acme/api:1\nacme/bad:1\nacme/web:1\n");
    match part {
        "link" => {
            let tag = "_manifests/tags/1/current/link";
            let link = format!("store/docker/registry/v2/repositories/acme/bad/{tag}");
            hod_fsx::remove_file(&env.path(&link)).unwrap();
            env.write(link, "garbage");
        }
        "manifest" => flip(&file_of(&env, "store", bad.digest().as_str())),
        _ => {
            let layer = bad.top().blobs().nth(1).unwrap();
            flip(&file_of(&env, "store", layer.digest.as_str()));
        }
    }
    env
}

#[test]
fn one_image_that_does_not_verify_is_4_in_every_verb() {
    for part in ["link", "manifest", "layer"] {
        for line in [
            "copy store bundle:out.tar",
            "copy store bundle:out.tar oci-archive:out-oci.tar",
            "push store HOST",
            "pack store --output out.tar --no-tool",
            "pack list.txt --store store --output out.tar --no-tool",
            "select list.txt --store store --output out --link copy",
            "export store --output out --link copy",
            "export store --output out.tar --format oci-archive",
            "receipt store --output out.json",
            "verify store",
            "verify store --only list.txt",
            "ls store",
            "diff store other",
            "diff other store",
        ] {
            // They do not read layers; a receipt reads those that changed since they were written.
            let verb = line.split(' ').next().unwrap();
            if part == "layer" && ["ls", "diff", "receipt"].contains(&verb) {
                continue;
            }
            let (env, registry) = (with_damage(part), TestRegistry::start());
            let line = line.replace("HOST", registry.host());
            let output = env.run_line(&line);
            assert_eq!(output.code, Some(4), "{part}: {line}: {}", output.stderr);
            if line.starts_with("push") {
                assert!(output.stderr.contains("pushed 2 of 3"), "{}", output.stderr);
            }
        }
    }
}

#[test]
fn one_image_that_arrives_damaged_is_4() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("acme/api:1", &image(40));
    registry.add("acme/bad:1", &image(41));
    registry.fail(Fault::on("GET", path_contains("acme/bad/blobs/")).does(Effect::FlipByte));
    env.write("list.txt", "acme/api:1\nacme/bad:1\n");
    let host = registry.host();
    let line = format!("pull list.txt --store store --source {host} --retries 0");
    let output = env.run_line(&line).exits(4);
    assert!(output.stderr.contains("pulled 1 of 2"), "{}", output.stderr);
}

#[test]
fn an_image_that_cannot_be_read_is_not_compared() {
    let env = with_damage("manifest");
    image(41).put_in(&env.store("other"), "acme/bad:1");
    for line in ["diff store other --json", "diff other store --json"] {
        let output = env.run_line(line).exits(4);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        let changed = found["images"].as_array().unwrap().iter();
        let changed: Vec<&Value> = changed.map(|change| &change["image"]).collect();
        assert_eq!(changed, ["acme/api:1"], "{line}");
        let sides = [&found["old"], &found["new"]];
        let damaged = sides.iter().find(|side| side["damaged"].is_array());
        let damaged = &damaged.unwrap()["damaged"][0];
        assert_eq!(damaged["image"], "acme/bad:1", "{line}");
        assert_eq!(damaged["class"], "verify", "{line}");
    }
}
