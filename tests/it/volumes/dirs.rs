//! Volumes that lie in several directories, on several media say, which `--volume-dir` names.

use super::{divided, images, volume};
use hod_testkit::env::TestEnv;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{assert_same, exists, registry_tree, whole_images};

/// The volumes in three directories: one beside the first, and two under names that a medium gave
/// them.
fn spread() -> TestEnv {
    let env = divided();
    let away = |at: u32, to: &str| {
        hod_fsx::create_dir_all(env.path(to).parent().unwrap()).unwrap();
        hod_fsx::rename(&env.path(volume(at)), &env.path(to)).unwrap();
    };
    away(1, "here/site.001.tar");
    away(2, "here/site.002.tar");
    away(3, "second/site.003.tar");
    away(4, "third/SITE~1.TAR");
    hod_fsx::create_dir_all(&env.path("empty")).unwrap();
    env
}

const DIRS: &str = "--volume-dir empty --volume-dir second --volume-dir third";

#[test]
fn volumes_are_found_in_all_directories_by_every_verb() {
    let env = spread();
    let store = registry_tree(&env.path("store"));
    let listed = env.run_line("ls whole.tar").success().stdout;
    let digest = images()[2].1.blobs[0].digest.clone();
    for (n, (at, dirs)) in [
        ("here/site.001.tar", DIRS.to_owned()),
        ("here/site.002.tar", DIRS.to_owned()),
        // Whichever of them is named, and in any order.
        (
            "third/SITE~1.TAR",
            "--volume-dir second --volume-dir here".to_owned(),
        ),
        (
            "second/site.003.tar",
            "--volume-dir=here --volume-dir=third --volume-dir=here".to_owned(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let verified = env.run_line(&format!("verify {at} {dirs}")).success();
        assert!(!verified.stderr.contains("missing"), "{}", verified.stderr);
        let ls = env.run_line(&format!("ls {at} {dirs}")).success();
        assert_eq!(ls.stdout, listed);
        assert!(ls.stderr.ends_with(" in all, in 4 volumes\n"));
        let found = env.run_line(&format!("why {digest} {at} {dirs}")).success();
        let said = found.stdout;
        assert!(said.contains("\n  volume 4\nused by 1 image\n"), "{said}");
        let diff = env.run_line(&format!("diff {at} whole.tar {dirs}"));
        assert_eq!(diff.success().stdout, "");

        let out = format!("out-{n}");
        let line = format!("unpack {at} --output {out} {dirs}");
        let _ = env.run_line(&line).success();
        assert_same(&registry_tree(&env.path(&out)), &store, at);
        let line = format!("export {at} --output layouts-{n} {dirs}");
        let exported = env.run_line(&line).success().stdout;
        assert_eq!(exported.lines().count(), images().len());
        let line = format!("pack {at} --output packed-{n}.tar {dirs}");
        let _ = env.run_line(&line).success();
        let _ = env.run_line(&format!("verify packed-{n}.tar")).success();

        let registry = TestRegistry::start();
        let line = format!("push {at} {} {dirs}", registry.host());
        let pushed = env.run_line(&line).success();
        assert!(!pushed.stderr.contains("waits"), "{}", pushed.stderr);
        let there = whole_images(registry.store().path());
        assert_eq!(there, whole_images(&env.path("store")));
    }
}

#[test]
fn a_volume_that_is_in_none_of_them_is_named() {
    let env = spread();
    let registry = TestRegistry::start();
    let host = registry.host();
    let dirs = "--volume-dir empty --volume-dir third";
    let output = env.run_line(&format!("unpack here/site.001.tar --output out {dirs}"));
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 5
    --- stdout
    --- stderr
    error: bundle `here/site.001.tar` is incomplete: 1 of its 4 volumes is missing: 3

    hint: Put the missing volumes beside this one, or name their directories with `--volume-dir`.
    ");
    let said = "bundle `here/site.002.tar` is incomplete: 1 of its 4 volumes is missing: 3\n";
    for line in ["export", "pack"] {
        let line = format!("{line} here/site.002.tar --output out.tar {dirs}");
        let output = env.run_line(&line).exits(5);
        assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
    }
    assert!(!exists(&env.path("out")) && !exists(&env.path("out.tar")));
    // What only looks does so, and says what it has not seen.
    let present = "3 of 4 volumes found; volume 3 is missing; 3 of 5 images complete here";
    for (line, said) in [
        ("verify --partial", format!("\nnote: {present}\n")),
        ("ls", "\nnote: volume 3 not found\n".to_owned()),
    ] {
        let line = format!("{line} here/site.002.tar {dirs}");
        let output = env.run_line(&line).success();
        let said_all = format!("\n{}", output.stderr);
        assert!(said_all.contains(&said), "{line}: {said_all}");
    }
    let line = format!("verify here/site.002.tar {dirs}");
    let output = env.run_line(&line).exits(5);
    assert_eq!(output.stdout, format!("{present}\n"));
    let said = "error: `here/site.002.tar` is incomplete: volume 3 of 4 is missing\n";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    // Quiet or not, for people or for programs.
    let quiet = env.run_line(&format!("{line} -q")).exits(5);
    assert!(quiet.stderr.contains(said), "{}", quiet.stderr);
    let output = env.run_line(&format!("{line} --json")).exits(5);
    let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["problems"], serde_json::json!([present]));
    assert_eq!(json["volumes"]["missing"], serde_json::json!([3]));
    // Damage goes first, whether volumes are missing or not.
    let volume = env.path("here/site.002.tar");
    let whole = hod_fsx::read(&volume, u64::MAX / 2).unwrap();
    hod_fsx::write_file(&volume, &whole[..whole.len() / 2]).unwrap();
    for line in [line.clone(), format!("{line} --partial")] {
        let output = env.run_line(&line).exits(4);
        assert!(output.stdout.contains("is truncated: expected "));
    }
    hod_fsx::write_file(&volume, b"").unwrap();
    let output = env.run_line(&line).exits(4);
    assert!(
        output.stderr.contains("is empty: the copy is incomplete"),
        "{}",
        output.stderr
    );
    hod_fsx::write_file(&volume, &whole).unwrap();
    let output = env.run_line(&format!("push here/site.001.tar {host} {dirs}"));
    insta::assert_snapshot!(output.snapshot(&[(host, "HOST")]), @"
    exit code: 3
    --- stdout
    acme/api:1 sha256:0c1b54f23eafa96efae24c0c833a6998adc7d928ea52a89bef55db503477b7cd
    acme/cli:1 sha256:4392a7419586430702aa42c41c9703a2b24ab77ffa83417f36069e6291aa1bdf
    acme/db:1 sha256:887727184d780d81adeb1fcfe40c398d06d2fb841aaf2f7ac35f08e9cfe96fcf
    --- stderr
    pushed volumes 1, 2 and 4 of 4: 3 of 5 images complete
      acme/web:1: waits for volume 3
      acme/zoo:1: waits for volume 3
    next: volume 3
    ");
    assert_eq!(
        whole_images(registry.store().path()).len(),
        images().len() - 2
    );
    // The rest of it, from where it was.
    let line = format!("push here/site.001.tar {host} {dirs} --volume-dir second");
    let _ = env.run_line(&line).success();
    assert_eq!(whole_images(registry.store().path()).len(), images().len());
}

#[test]
fn what_else_lies_in_them_is_passed_over() {
    let env = spread();
    // Another bundle's volumes under the same names, something that is no bundle, and a directory.
    let line = "pack store --no-tool --name other --volume-size 200000 --output empty/site.tar";
    let _ = env.run_line(line).success();
    assert!(exists(&env.path("empty/site.003.tar")));
    env.write("second/notes.tar", "no bundle");
    hod_fsx::create_dir_all(&env.path("third/site.003.tar")).unwrap();
    let line = format!("unpack here/site.001.tar --output out {DIRS}");
    let _ = env.run_line(&line).success();
    assert_eq!(whole_images(&env.path("out")).len(), images().len());
    // Where the right one is in none, the wrong one is told of.
    let line = "unpack here/site.001.tar --output none --volume-dir empty --volume-dir third";
    let output = env.run_line(line).exits(2);
    let said = "`empty/site.003.tar` is volume 3 of another bundle";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    assert!(!exists(&env.path("none")));
}
