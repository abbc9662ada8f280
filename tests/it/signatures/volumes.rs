//! Signed bundles in volumes: each volume is known by itself, and one that does not belong is refused
//! before anything is used.

use super::bundles::{SIGNED_HEAD, bytes, range, refused};
use super::minisign;
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::programs::are_here;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, remove_tree};

const PACK: &str = "pack store --no-tool --volume-size 160K --name site --output";
const N_VOLUMES: usize = 3;

/// A store of which one layer is larger than a volume, the keys `hod` and `other`, and in a directory
/// each the volumes `signed`, by `other` and `unsigned`.
fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (seed, len) in [(1, 170_000), (2, 50_000)] {
        let layer = layer(seed, len, Compression::Uncompressed);
        let image = ImageBuilder::oci(seed).layer(&layer).build();
        image.put_in(&store, &format!("app/{seed}:1"));
    }
    drop(store);
    for line in ["keygen", "keygen --output other"] {
        env.run_line(line).success();
    }
    for (dir, sign) in [
        ("signed", "--sign hod.key"),
        ("other", "--sign other.key"),
        ("unsigned", ""),
    ] {
        hod_fsx::create_dir_all(&env.path(dir)).unwrap();
        env.run_line(&format!("{PACK} {dir}/site.tar {sign}"))
            .success();
        assert_eq!(
            hod_fsx::read_dir_names(&env.path(dir)).unwrap(),
            (1..=N_VOLUMES)
                .map(|at| name(at).into())
                .collect::<Vec<std::ffi::OsString>>()
        );
    }
    env
}

fn name(index: usize) -> String {
    format!("site.00{index}.tar")
}

/// Puts other bytes in place of a volume of a copy of the signed bundle, in `mixed`.
fn mix(env: &TestEnv, index: usize, bytes_of_it: &[u8]) {
    for at in 1..=N_VOLUMES {
        let good = bytes(env, &format!("signed/{}", name(at)));
        let bytes = if at == index { bytes_of_it } else { &good };
        hod_fsx::create_dir_all(&env.path("mixed")).unwrap();
        env.write(format!("mixed/{}", name(at)), bytes);
    }
}

/// No verb that is given any of the volumes in `mixed` begins.
#[track_caller]
fn all_refuse(env: &TestEnv, because: &str) {
    let registry = TestRegistry::start();
    for at in 1..=N_VOLUMES {
        let volume = format!("mixed/{}", name(at));
        for line in [
            format!("ls {volume}"),
            format!("verify {volume}"),
            format!("unpack {volume} --output out"),
            format!("export {volume} --output out"),
            format!("pack {volume} --output out.tar"),
            format!("push {volume} {}", registry.host()),
        ] {
            let output = env.run_line(&format!("{line} --verify-key hod.pub"));
            // What is to be found out is the result of `verify`, and has its place on stdout.
            let is_silent = output.stdout.is_empty() || line.starts_with("verify");
            assert!(is_silent, "{line}: {}", output.stdout);
            let said = format!("{}{}", output.stdout, output.stderr);
            assert!(said.contains(because), "{line}: {said}");
            refused(output, "");
            assert!(!exists(&env.path("out")), "{line}");
            assert!(!exists(&env.path("out.tar")), "{line}");
        }
    }
    assert_eq!(registry.seen().len(), 0);
}

#[test]
fn every_volume_is_verified_alone_and_with_the_others() {
    let env = site();
    let registry = TestRegistry::start();
    for at in 1..=N_VOLUMES {
        let dir = format!("alone-{at}");
        hod_fsx::create_dir_all(&env.path(&dir)).unwrap();
        let alone = format!("{dir}/{}", name(at));
        env.write(&alone, bytes(&env, &format!("signed/{}", name(at))));
        for (volume, n_missing) in [(alone, N_VOLUMES - 1), (format!("signed/{}", name(at)), 0)] {
            let verify = format!("verify {volume} --verify-key");
            let output = env
                .run_line(&format!("{verify} hod.pub --json --partial"))
                .success();
            let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(json["signature"]["is_verified"], true, "{volume}");
            let missing = json["volumes"]["missing"].as_array();
            assert_eq!(missing.map_or(0, Vec::len), n_missing, "{volume}");
            let said = env.run_line(&format!("{verify} other.pub"));
            refused(said, "is signed by key");
            let said = env.run_line(&format!("ls {volume} --verify-key hod.pub"));
            assert_eq!(said.success().stdout.lines().count(), 3, "{volume}");
        }
        let line = format!("push signed/{} {} --verify-key", name(at), registry.host());
        refused(
            env.run_line(&format!("{line} other.pub")),
            "is signed by key",
        );
        assert_eq!(registry.take_seen().len(), 0);
        env.run_line(&format!("{line} hod.pub")).success();
        registry.take_seen();
        let unpack = format!("unpack signed/{} --output out-{at}", name(at));
        env.run_line(&format!("{unpack} --verify-key hod.pub"))
            .success();
    }
}

#[test]
fn a_volume_whose_head_was_altered_is_refused_by_all_before_anything_is_used() {
    let env = site();
    for (index, path) in SIGNED_HEAD.into_iter().enumerate() {
        let index = index + 1;
        let mut volume = bytes(&env, &format!("signed/{}", name(index)));
        let content = range(&volume, path);
        // In the id of the bundle, in what is signed, and in the signature.
        let byte = &mut volume[content.start + 90];
        *byte = if *byte == b'0' { b'1' } else { b'0' };
        mix(&env, index, &volume);
        all_refuse(&env, "hod/");
    }
}

#[test]
fn a_volume_that_another_key_signed_or_none_is_refused_by_all() {
    let env = site();
    for (dir, because) in [("other", "is signed by key"), ("unsigned", "is not signed")] {
        for at in 1..=N_VOLUMES {
            mix(&env, at, &bytes(&env, &format!("{dir}/{}", name(at))));
            all_refuse(&env, because);
        }
    }
    // One that says it is of the bundle, and has another's list.
    let mut liar = bytes(&env, &format!("signed/{}", name(2)));
    let other = bytes(&env, &format!("other/{}", name(2)));
    for path in &SIGNED_HEAD[1..] {
        let content = range(&liar, path);
        liar[content].copy_from_slice(&other[range(&other, path)]);
    }
    mix(&env, 2, &liar);
    all_refuse(&env, "");
}

/// Runs `hod` with the volumes in `mixed` in a pipe.
fn run_piped(env: &TestEnv, line: &str) -> Output {
    let script = format!("cat mixed/*.tar | \"$0\" {line}");
    let mut shell = env.command("sh");
    finish(shell.arg("-c").arg(script).arg(env.hod().get_program()))
}

#[test]
fn a_pipe_is_refused_for_what_any_volume_in_it_is_refused() {
    let env = site();
    let mut altered = bytes(&env, &format!("signed/{}", name(2)));
    let content = range(&altered, SIGNED_HEAD[0]);
    let id = content.start
        + altered[content]
            .windows(7)
            .position(|part| part == b"sha256:")
            .unwrap();
    let byte = &mut altered[id + 20];
    *byte = if *byte == b'0' { b'1' } else { b'0' };
    let of = |dir: &str, at| bytes(&env, &format!("{dir}/{}", name(at)));
    for (at, volume, because) in [
        (1, of("other", 1), "is signed by key"),
        (2, of("other", 2), "is signed by key"),
        (3, of("other", 3), "is signed by key"),
        (2, of("unsigned", 2), "is not signed"),
        (2, altered, "hod/volume.json"),
    ] {
        mix(&env, at, &volume);
        for line in ["unpack - --output out", "verify -"] {
            let output = run_piped(&env, &format!("{line} --verify-key hod.pub")).exits(4);
            let said = format!("{}{}", output.stdout, output.stderr);
            assert!(said.contains(because), "{at} {line}: {said}");
            let located = format!("volume {at} of {N_VOLUMES}");
            assert!(at == 1 || said.contains(&located), "{at} {line}: {said}");
            assert!(!exists(&env.path("out")), "{at} {line}");
        }
    }
    // Signed by one who is trusted too, it is another bundle's, and nothing worse.
    mix(&env, 2, &of("other", 2));
    let keys = "--verify-key hod.pub --verify-key other.pub";
    let output = run_piped(&env, &format!("unpack - --output out {keys}")).exits(2);
    let said = "is volume 2 of another bundle";
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

#[test]
fn a_layer_that_was_altered_in_any_volume_is_found_by_all_that_read_it() {
    let env = site();
    for at in 1..=N_VOLUMES {
        let mut volume = bytes(&env, &format!("signed/{}", name(at)));
        let of_volume = super::bundles::members(&volume);
        let mut layers = of_volume
            .into_iter()
            .filter(|(_, content)| content.len() > 10_000);
        let (path, content) = layers.next_back().unwrap();
        volume[content.start + 5000] ^= 1;
        mix(&env, at, &volume);
        for given in 1..=N_VOLUMES {
            let given = format!("mixed/{} --verify-key hod.pub", name(given));
            let output = env.run_line(&format!("verify {given}")).exits(4);
            assert!(output.stdout.contains(&path), "{}", output.stdout);
            assert!(output.stdout.contains(&name(at)), "{}", output.stdout);
            let output = env.run_line(&format!("unpack {given} --output out"));
            refused(output, "");
            assert!(!exists(&env.path("out")));
        }
    }
}

#[test]
fn a_lost_volume_of_a_signed_bundle_is_made_again() {
    let env = site();
    let signed = |at| bytes(&env, &format!("signed/{}", name(at)));
    let expected: Vec<Vec<u8>> = (1..=N_VOLUMES).map(signed).collect();
    for at in 1..=N_VOLUMES {
        hod_fsx::remove_file(&env.path("signed").join(name(at))).unwrap();
        let line = format!("{PACK} signed/site.tar --only-volume {at}");
        // By another key, or by none, it would be of another bundle.
        for sign in ["", "--sign other.key"] {
            env.run_line(&format!("{line} {sign}")).exits(2);
            assert!(!exists(&env.path("signed").join(name(at))), "{sign}");
        }
        env.run_line(&format!("{line} --sign hod.key")).success();
        assert!(signed(at) == expected[at - 1], "{at}");
    }
}

#[test]
fn minisign_checks_what_any_volume_says() {
    if !are_here(&["minisign"]) {
        return;
    }
    let env = site();
    for at in 1..=N_VOLUMES {
        let volume = format!("signed/{}", name(at));
        let mut untar = env.command("tar");
        finish(untar.args(["-x", "-f", &volume]).args(&SIGNED_HEAD[1..])).success();
        let verify =
            |key: &str| minisign::run(&env, &format!("-V -p {key} -m hod/bundle.json"), "");
        let (is_good, said) = verify("hod.pub");
        assert!(is_good, "{said}");
        assert!(!verify("other.pub").0);
        remove_tree(&env.path("hod")).unwrap();
    }
}
