//! A full disk is told before or when it matters, and what stands there stays whole.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hod_testkit::disk::SmallDisk;
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::faults::{Effect, Fault, blob_path};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::registry::{RegistryOptions, TestRegistry};
use hod_testkit::tree::{exists, files, registry_tree, remove_tree, tree, whole_images};

const N_IMAGES: u64 = 4;
/// Of all images.
const LEN_MIN: u64 = 4 * 700_000;

/// A place with some images in `store`, their list, their bundles, and a list that is never right.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let mut list = String::new();
    for n in 0..N_IMAGES {
        let large = layer(n + 10, 700_000, Compression::Uncompressed);
        let small = layer(n + 20, 700, Compression::Uncompressed);
        let image = ImageBuilder::oci(n).layer(&large).layer(&small).build();
        let name = format!("app/{n}:1");
        image.put_in(&store, &name);
        list = list + name.as_ref() + "\n";
    }
    env.write("all.txt", list);
    drop(store);
    for bundle in ["b.tar", "b.tar.zst"] {
        let _ = env
            .run_line(&format!("pack store --output {bundle}"))
            .success();
    }
    env
}

/// A registry that serves the site's store.
fn registry(env: &TestEnv) -> TestRegistry {
    TestRegistry::with(RegistryOptions {
        store: Some(env.store("store")),
        ..RegistryOptions::default()
    })
}

/// Every verb that writes, with an output on the disk.
fn writers(host: &str) -> Vec<String> {
    let lines = [
        "pull all.txt --source HOST --platform all --store disk/out",
        "select all.txt --store store --link copy --output disk/out",
        "pack store --output disk/out.tar",
        "pack store --output disk/out.tar.zst",
        "pack store --volume-size 1M --output disk/out.tar",
        "unpack b.tar --output disk/out",
        "unpack b.tar.zst --output disk/out",
        "export store --output disk/out",
        "export b.tar --output disk/out",
        "export b.tar.zst --output disk/out",
        "export store --format oci --link copy --output disk/out",
        "export store --format oci-archive --output disk/out.tar",
        "export store --format docker-archive --output disk/out.tar",
    ];
    lines.map(|line| line.replace("HOST", host)).to_vec()
}

/// Checks that a run failed for want of room, and said what to do.
#[track_caller]
fn check_told(line: &str, output: &Output) {
    assert!(matches!(output.code, Some(1 | 3 | 5)), "{line}: {output:?}");
    let text = &output.stderr;
    assert!(text.contains("No space left on device"), "{line}: {text}");
    assert!(text.contains("hint:"), "{line}: {text}");
    assert!(text.contains("ree some space"), "{line}: {text}");
}

/// Checks what stands at the output of `line` after it failed: nothing half done.
#[track_caller]
fn check_left(env: &TestEnv, line: &str) {
    let out = env.path("disk/out");
    if line.starts_with("export") && !line.contains("archive") {
        for (path, _) in tree(&out) {
            let name = path.to_string_lossy().into_owned();
            assert!(!name.contains(".partial"), "{line}: {name}");
        }
        let images = out.join("app");
        let names = hod_fsx::try_read_dir_names(&images)
            .unwrap()
            .unwrap_or_default();
        if !names.is_empty() {
            let _ = env.run_line("verify disk/out").success();
        }
    } else if line.starts_with("pack") || line.contains("archive") {
        assert_eq!(files(&env.path("disk")), [] as [PathBuf; 0], "{line}");
    } else {
        let images = whole_images(&out);
        if line.starts_with("unpack") {
            assert!(images.is_empty(), "{line}: {images:?}");
        }
        // Where not even a store's directories had room, there is no store.
        if exists(&out.join("docker/registry/v2/repositories")) {
            let _ = env.run_line("verify disk/out").success();
            let temp = files(&out.join(".hod/tmp"));
            assert_eq!(temp, [] as [PathBuf; 0], "{line}");
        }
    }
}

/// Checks that `line` ended with all of it.
#[track_caller]
fn check_done(env: &TestEnv, line: &str) {
    let output = line.split(' ').next_back().unwrap();
    let output = if line.contains("--volume-size") {
        output.replace(".tar", ".002.tar")
    } else {
        output.to_owned()
    };
    let verified = env.run_line(&format!("verify {output}")).success();
    assert!(!verified.stderr.contains("missing"), "{}", verified.stderr);
    let json = env.run_line(&format!("ls {output} --json")).success();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let n_images = json["images"].as_array().unwrap().len();
    assert_eq!(n_images as u64, N_IMAGES, "{line}");
    remove_output(env);
}

fn remove_output(env: &TestEnv) {
    remove_tree(&env.path("disk/out")).unwrap();
    for name in hod_fsx::read_dir_names(&env.path("disk")).unwrap() {
        if name.to_string_lossy().starts_with("out.") {
            hod_fsx::remove_file(&env.path("disk").join(name)).unwrap();
        }
    }
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_written() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=1m") else {
        return;
    };
    let registry = registry(&env);
    for line in writers(registry.host()) {
        let output = env.run_line(&line).exits(5);
        let text = &output.stderr;
        assert!(text.contains("not enough space"), "{line}: {text}");
        assert!(text.contains("hint:"), "{line}: {text}");
        assert_eq!(
            hod_fsx::read_dir_names(disk.path()).unwrap().len(),
            0,
            "{line}"
        );
        assert_eq!(output.stdout, "");
    }
    assert_eq!(registry.n_blob_gets(), 0);
}

#[test]
fn a_pull_needs_room_only_for_what_is_missing() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=5m") else {
        return;
    };
    let registry = registry(&env);
    let line = &writers(registry.host())[0];
    let _ = env.run_line(line).success();
    assert!(hod_fsx::available(disk.path()).unwrap() < LEN_MIN);
    let _ = env.run_line(line).success();
    check_done(&env, line);
}

#[test]
fn a_disk_that_fills_up_during_a_pull_is_told_and_the_next_pull_goes_on() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=8m") else {
        return;
    };
    let registry = registry(&env);
    let line = &writers(registry.host())[0];
    // Some come while there is room, and the rest when there is none.
    let slow = Fault::on("GET", blob_path)
        .after(5)
        .does(Effect::Delay(400));
    registry.fail(slow.clone());
    let output = std::thread::scope(|scope| {
        let run = scope.spawn(|| env.run_line(line));
        let start = Instant::now();
        while slow.n_seen() < 6 {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(100));
        disk.fill();
        run.join().unwrap()
    });
    check_told(line, &output);
    check_left(&env, line);
    disk.free();
    registry.heal();
    let n_gets = registry.n_blob_gets();
    let kept = files(&env.path("disk/out/docker")).len();
    let _ = env.run_line(line).success();
    assert!(kept == 0 || registry.n_blob_gets() - n_gets < n_gets);
    check_done(&env, line);
}

#[test]
fn a_full_disk_is_told_by_whoever_needs_no_preflight() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=8m") else {
        return;
    };
    let line = "select all.txt --store store --link copy --output disk/store";
    let _ = env.run_line(line).success();
    let before = registry_tree(&env.path("disk/store"));
    disk.fill();
    for line in [
        "select all.txt --store disk/store --output disk/out",
        "export disk/store --output disk/out",
    ] {
        let output = env.run_line(line);
        check_told(line, &output);
        check_left(&env, line);
        remove_output(&env);
    }
    assert_eq!(registry_tree(&env.path("disk/store")), before);
    disk.free();
    for line in [
        "select all.txt --store disk/store --output disk/out",
        "export disk/store --output disk/out",
    ] {
        let _ = env.run_line(line).success();
        check_done(&env, line);
    }
}

/// Room for bytes and none for files: what no preflight sees, at any point of the work.
#[test]
fn a_disk_that_is_full_at_any_point_leaves_what_verifies() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=64m") else {
        return;
    };
    let registry = registry(&env);
    for line in writers(registry.host()) {
        let mut n_failed = 0;
        // The root takes one, and a bundle one more.
        for n_inodes in [1, 2, 5, 9, 14, 20, 27, 35, 44, 60, 90] {
            disk.remount(&format!("nr_inodes={n_inodes}"));
            let output = env.run_line(&line);
            if output.code != Some(0) {
                n_failed += 1;
                check_told(&line, &output);
            }
            disk.remount("nr_inodes=10000");
            if output.code != Some(0) {
                check_left(&env, &line);
            }
            let is_last = n_inodes == 90;
            if is_last && output.code != Some(0) {
                let _ = env.run_line(&line).success();
            }
            if is_last || output.code == Some(0) {
                check_done(&env, &line);
                break;
            }
            if n_inodes % 2 == 0 {
                // The next one goes on where this one ended; otherwise it begins anew.
                continue;
            }
            remove_output(&env);
        }
        assert!(n_failed > 0, "{line} needs no file");
    }
}

#[test]
fn hardlinks_between_file_systems_are_refused_with_the_cost_of_copies() {
    let env = site();
    let Some(disk) = SmallDisk::mount(&env, "disk", "size=8m") else {
        return;
    };
    let available = hod_fsx::available(disk.path()).unwrap();
    for line in [
        "select all.txt --store store --output disk/out",
        "select all.txt --store store --link hard --output disk/deep/out",
        "export store --link hard --output disk/out",
    ] {
        let output = env.run_line(line).exits(5);
        let text = &output.stderr;
        assert!(text.contains("`--link copy`"), "{line}: {text}");
        assert!(text.contains("2.7 MiB"), "{line}: {text}");
        assert!(available > LEN_MIN && text.contains("free"), "{text}");
        assert_eq!(
            hod_fsx::read_dir_names(disk.path()).unwrap().len(),
            0,
            "{line}"
        );
    }
    let line = "select all.txt --store store --link reflink --output disk/out";
    let text = env.run_line(line).exits(5).stderr;
    assert!(
        text.contains("cannot be reflinked into `disk/out`"),
        "{text}"
    );
    assert!(text.contains("which requires 2.7 MiB"), "{text}");
    assert_eq!(hod_fsx::read_dir_names(disk.path()).unwrap().len(), 0);
    for line in [
        "select all.txt --store store --link copy --output disk/out",
        "export store --link copy --output disk/out",
        // Which copies where it cannot link.
        "export store --output disk/out",
    ] {
        remove_output(&env);
        let _ = env.run_line(line).success();
        check_done(&env, line);
    }
}
