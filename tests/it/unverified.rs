//! Content of local sources that does not verify: the exit code is 4 whatever is wrong with it, as the
//! class `verify` of a report says, and however many targets there are.

use std::path::{Path, PathBuf};

use serde_json::Value;

use hod_testkit::env::TestEnv;
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
    // With others that are compared it is one of several.
    let (env, one) = site();
    image(30).put_in(&env.store("store"), "acme/web:1");
    flip(&file_of(&env, "store", one.top().digest().as_str()));
    for line in ["ls store:store", "diff store:store oci:oci"] {
        env.run_line(line).exits(3);
    }
}
