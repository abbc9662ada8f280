//! `pack --output -`: a bundle that is never a file here.

use std::process::{Command, Stdio};

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::tree::{exists, read};

fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for n in 0..2 {
        let large = layer(n, 700_000, Compression::Uncompressed);
        let image = ImageBuilder::oci(n).layer(&large).build();
        image.put_in(&store, &format!("app/{n}:1"));
    }
    env
}

fn shell(env: &TestEnv, script: &str) -> Command {
    let mut shell = env.command("bash");
    shell
        .args(["-c", script])
        .env("HOD", env!("CARGO_BIN_EXE_hod"));
    shell
}

#[test]
fn the_bytes_are_those_of_a_file() {
    let env = site();
    let _ = env.run_line("pack store --output site.tar").success();
    let output = finish(&mut shell(
        &env,
        "$HOD pack store --output - --name site >piped.tar",
    ));
    let output = output.success();
    assert!(read(&env.path("piped.tar")) == read(&env.path("site.tar")));
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.contains("packed 2 images: written "),
        "{}",
        output.stderr
    );
    assert!(!exists(&env.path("-")));
}

#[test]
fn a_pipe_leads_into_any_verb_that_reads() {
    let env = site();
    let pack = "set -o pipefail; $HOD pack store --output - |";
    for reader in [
        "verify -",
        "unpack - --output out",
        "export - --output dirs",
    ] {
        let _ = finish(&mut shell(&env, &format!("{pack} $HOD {reader}"))).success();
    }
    let _ = env.run_line("verify out").success();
}

/// Also from volumes, whose parts are joined on the way and nowhere else.
#[test]
fn volumes_can_be_piped_on_as_one_bundle() {
    let env = site();
    let _ = env
        .run_line("pack store --output v.tar --volume-size 500K")
        .success();
    let mut names = hod_fsx::read_dir_names(&env.work()).unwrap();
    let script = "$HOD pack v.001.tar --output - --name v >piped.tar";
    let _ = finish(&mut shell(&env, script)).success();
    names.push("piped.tar".into());
    names.sort();
    let mut after = hod_fsx::read_dir_names(&env.work()).unwrap();
    after.sort();
    assert_eq!(after, names);
    let _ = env.run_line("pack store --output v.tar").success();
    assert!(read(&env.path("piped.tar")) == read(&env.path("v.tar")));
}

#[test]
fn a_reader_that_leaves_ends_it() {
    let env = site();
    let script = "$HOD pack store --output - | head -c 4096 >/dev/null; exit ${PIPESTATUS[0]}";
    let output = finish(&mut shell(&env, script)).exits(1);
    assert!(output.stderr.contains("Broken pipe"), "{}", output.stderr);
}

/// A damaged blob is seen when most of the bundle is gone already.
#[test]
fn what_fails_in_the_middle_is_not_taken_for_a_bundle() {
    let env = site();
    let store = env.store("store");
    let large = layer(1, 700_000, Compression::Uncompressed);
    let path = store.blob_path(&large.blob.digest);
    let mut bytes = large.blob.bytes.to_vec();
    bytes[650_000] ^= 1;
    hod_fsx::remove_file(&path).unwrap();
    env.write(&path, bytes);
    let _ = finish(&mut shell(&env, "$HOD pack store --output - >cut.tar")).exits(4);
    let _ = env.run_line("verify cut.tar").exits(4);
    let script = "$HOD pack store --output - | $HOD unpack - --output out";
    let _ = finish(&mut shell(&env, script)).exits(4);
    assert!(!exists(&env.path("out")));
}

#[test]
fn nothing_else_can_be_on_stdout() {
    let env = site();
    for (flags, expect) in [
        ("--json pack store", "`--json`"),
        ("pack store --volume-size 500K", "`--volume-size`"),
    ] {
        let output = env.run_line(&format!("{flags} --output -")).exits(2);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains(expect), "{}", output.stderr);
    }
}

/// Blocked in a write, it must still end at once.
#[test]
fn an_interrupt_ends_it_though_nobody_reads() {
    let env = site();
    let mut hod = env.hod();
    let line = "pack store --output -".split(' ');
    let mut child = hod.args(line).stdout(Stdio::piped()).spawn().unwrap();
    // It has begun, and the pipe holds less than all of it.
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut stdout, &mut byte).unwrap();
    let mut kill = env.command("kill");
    let _ = finish(kill.args(["-INT", &child.id().to_string()])).success();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
