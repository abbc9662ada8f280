//! `pack --dry-run`: what it foresees is what comes.

use std::path::{Path, PathBuf};

use hod_bundle::{Bundle, ReadOptions};
use serde_json::Value;

use hod_testkit::disk::SmallDisk;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::tree::exists;

/// Three images of 700 kB, two of which share a layer, in two projects and none.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (n, name) in ["app/a:1", "web/b:1", "c:1"].into_iter().enumerate() {
        let n = n as u64;
        let large = layer(n / 2, 700_000, Compression::Uncompressed);
        let small = layer(n + 20, 700, Compression::Uncompressed);
        let image = ImageBuilder::oci(n).layer(&large).layer(&small).build();
        image.put_in(&store, name);
    }
    env
}

#[track_caller]
fn foreseen(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("--json pack {line} --dry-run"));
    serde_json::from_str(&output.success().stdout).unwrap()
}

fn len(path: &Path) -> u64 {
    hod_fsx::stat(path).unwrap().len
}

/// The files in the working directory, hidden ones too.
fn names(env: &TestEnv) -> Vec<PathBuf> {
    let names = hod_fsx::read_dir_names(&env.work()).unwrap();
    let mut names: Vec<PathBuf> = names.into_iter().map(PathBuf::from).collect();
    names.sort();
    names
}

#[test]
fn the_files_are_those_that_packing_makes() {
    for (line, is_exact) in [
        ("store --output b.tar", true),
        ("store --output b.tar --volume-size 600K", true),
        (
            "store --output b.tar --volume-size 600K --only-volume 2",
            true,
        ),
        ("store --output b.tar.zst", false),
    ] {
        let env = site();
        let before = names(&env);
        let forecast = foreseen(&env, line);
        assert_eq!(names(&env), before, "{line}");
        let packed = env.run_line(&format!("--json pack {line}")).success();
        let packed: Value = serde_json::from_str(&packed.stdout).unwrap();
        let volumes = forecast["volumes"].as_array().unwrap();
        let mut made = names(&env);
        made.retain(|name| !before.contains(name));
        let mut paths = Vec::new();
        for volume in volumes {
            let path = PathBuf::from(volume["path"].as_str().unwrap());
            let bytes = volume["bytes"].as_u64().unwrap();
            let actual = len(&env.path(&path));
            assert!(
                if is_exact {
                    actual == bytes
                } else {
                    actual <= bytes
                },
                "{line}"
            );
            paths.push(path);
        }
        assert_eq!(paths, made, "{line}");
        for key in ["n_images", "n_blobs", "shared_bytes"] {
            assert_eq!(forecast[key], packed[key], "{line}: {key}");
        }
        assert!(forecast["free_bytes"].as_u64().unwrap() > 0, "{line}");
    }
}

#[test]
fn the_target_needs_each_blob_once_in_every_project() {
    let env = site();
    let forecast = foreseen(&env, "store --output b.tar");
    let _ = env.run_line("pack store --output b.tar").success();
    let target = &forecast["target"];
    assert_eq!(target["bundle_bytes"], len(&env.path("b.tar")));
    let blobs = Bundle::open(&env.path("b.tar"), &ReadOptions::default()).unwrap();
    let blobs = &blobs.manifest().blobs;
    let all: u64 = blobs.iter().map(|blob| blob.size).sum();
    assert_eq!(target["registry_bytes"], all);
    let largest = blobs.iter().map(|blob| blob.size).max().unwrap();
    assert_eq!(target["largest_blob_bytes"], largest);
    let projects = target["projects"].as_array().unwrap();
    assert_eq!(projects.len(), 3);
    for (project, name) in projects.iter().zip(["app", "library", "web"]) {
        assert_eq!(project["project"], name);
        assert!(project["bytes"].as_u64().unwrap() > 700_000);
    }
}

#[test]
fn a_delta_is_foreseen_too() {
    let env = site();
    let _ = env.run_line("pack store --output old.tar").success();
    let whole = foreseen(&env, "store --output b.tar");
    let delta = foreseen(&env, "store --output b.tar --since old.tar");
    assert!(delta["bytes"].as_u64() < whole["bytes"].as_u64());
    assert_eq!(delta["base_blobs"], 8);
    assert!(delta["base_bytes"].as_u64().unwrap() > 2 * 700_000);
    // What the target has in one project it has not in another.
    let moved = "store --output b.tar --since old.tar --rename 'web/*=new/*'";
    let moved = foreseen(&env, &moved.replace('\'', ""));
    let need = |name: &str| {
        let mut projects = moved["target"]["projects"].as_array().unwrap().iter();
        let project = projects.find(|project| project["project"] == name).unwrap();
        project["bytes"].as_u64().unwrap()
    };
    assert!(need("new") > 700_000 && need("app") < 10_000, "{moved}");
}

#[test]
fn people_are_told_in_words() {
    let env = site();
    let output = env.run_line("pack store --output b.tar --no-tool --volume-size 600K --dry-run");
    let output = output.success();
    let names: Vec<&str> = output
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names[..2], ["b.001.tar", "b.002.tar"]);
    let text = &output.stderr;
    for part in [
        "3 images would be packed: ",
        "unique blobs in ",
        " volumes, ",
        " saved by sharing; ",
        " free on the disk of `b.tar`",
        "the target requires ",
        "(by project: app 688.9 KiB, library 688.9 KiB, web ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn want_of_room_is_told_after_the_forecast() {
    let env = site();
    let Some(_disk) = SmallDisk::mount(&env, "disk", "size=1m") else {
        return;
    };
    let line = "--json pack store --output disk/b.tar --dry-run --report r.json";
    let output = env.run_line(line).exits(5);
    let report: Value = serde_json::from_str(&env.read("r.json")).unwrap();
    assert_eq!(report["exit"], 5, "{report}");
    let forecast: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(forecast["n_images"], 3);
    assert!(forecast["free_bytes"].as_u64() < forecast["bytes"].as_u64());
    assert!(
        output.stderr.contains("not enough space"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_cannot_be_packed_cannot_be_foreseen() {
    let env = site();
    for line in [
        "pack nowhere --output b.tar --dry-run",
        "pack store --output b.tar --volume-size 4K --dry-run",
        "pack store --output b.tar --volume-size 600K --only-volume 99 --dry-run",
        "pack store --output b.tar.zst --volume-size 600K --dry-run",
        "pack store --output - --volume-size 600K --dry-run",
    ] {
        let output = env.run_line(line);
        assert_ne!(output.code, Some(0), "{line}");
        assert_eq!(output.stdout, "", "{line}");
    }
    // The directory would be made.
    let line = "pack store --output nowhere/b.tar --dry-run";
    let _ = env.run_line(line).success();
    assert!(!exists(&env.path("nowhere")));
}

#[test]
fn the_size_that_is_advised_for_volumes_is_enough() {
    let env = site();
    let line = |size: &str| format!("pack store --no-tool --output b.tar {size}");
    let before = names(&env);
    let said = env.run_line(&line("--volume-size 4K")).exits(5).stderr;
    assert_eq!(names(&env), before);
    let advice = said
        .split('`')
        .find(|part| part.starts_with("--volume-size "))
        .unwrap();
    let _ = env.run_line(&line(advice)).success();
    let _ = env.run_line("verify b.001.tar").success();
}

/// As on FAT32, for which there may be no driver here.
#[test]
fn a_file_that_may_not_be_so_long_is_told_with_what_to_do() {
    let env = site();
    for output in ["b.tar", "b.tar.zst"] {
        let mut shell = env.command("bash");
        let script = format!("trap '' XFSZ; ulimit -f 500; exec $HOD pack store --output {output}");
        shell.args(["-c", &script]);
        let output = finish(shell.env("HOD", env!("CARGO_BIN_EXE_hod"))).exits(1);
        let text = &output.stderr;
        assert!(text.contains("File too large"), "{text}");
        assert!(text.contains("`--volume-size fat32`"), "{text}");
        assert_eq!(names(&env), [Path::new("store")]);
    }
}
