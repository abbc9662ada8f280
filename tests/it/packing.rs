//! How bundles are written: what is read on the way, and that it makes no difference to the bytes.

use std::path::{Path, PathBuf};

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, read};

/// The length of the layer that is not read when it need not be.
const LEN: usize = 700_000;

/// A place with an image that was pulled into `store`; returns the path of its large layer.
fn pulled() -> (TestEnv, TestRegistry, PathBuf) {
    let env = TestEnv::in_memory();
    let registry = TestRegistry::start();
    let large = layer(1, LEN, Compression::Uncompressed);
    let image = ImageBuilder::oci(1).layer(&large).build();
    registry.add("app/one:1", &image);
    env.write("all.txt", "app/one:1\n");
    let line = format!("pull all.txt --store store --source {}", registry.host());
    let _ = env.run_line(&line).success();
    let path = env.store("store").blob_path(&large.blob.digest);
    assert!(exists(&path));
    (env, registry, path)
}

/// Flips a bit of a file in place, and gives it back its time when `is_silent`, as a bad disk would.
#[expect(clippy::disallowed_methods, reason = "a file is damaged in place")]
fn damage(path: &Path, is_silent: bool) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options();
    let file = file.clone().read(true).write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1234).unwrap();
    file.write_all_at(&[byte[0] ^ 8], 1234).unwrap();
    if is_silent {
        file.set_modified(modified).unwrap();
    }
}

#[test]
fn a_store_that_was_written_to_is_found_when_it_is_packed() {
    let (env, _registry, path) = pulled();
    let _ = env.run_line("pack --force store --output b.tar").success();
    damage(&path, false);
    let output = env.run_line("pack --force store --output c.tar").exits(4);
    assert!(output.stderr.contains("is damaged"), "{}", output.stderr);
    assert!(!exists(&env.path("c.tar")));
}

/// What is not read cannot be found; all that reads finds it, and from then on it is known.
#[test]
fn a_disk_that_lost_a_bit_is_found_by_all_that_read() {
    for line in ["verify store", "pack --force store --rehash --output d.tar"] {
        let (env, _registry, path) = pulled();
        let _ = env
            .run_line("pack --force store --rehash --output b.tar")
            .success();
        damage(&path, true);
        let output = env.run_line("pack --force store --output c.tar");
        if !hod_fsx::set_mark(&hod_fsx::open(&path).unwrap(), "user.test", "") {
            // A file system that cannot remember: everything is read.
            let _ = output.exits(4);
            return;
        }
        let _ = output.success();
        let output = env.run_line("verify c.tar").exits(4);
        let hex = path.parent().unwrap().file_name().unwrap();
        let hex = hex.to_str().unwrap();
        assert!(output.stdout.contains(hex), "{}", output.stdout);
        let _ = env.run_line(line).exits(4);
        let _ = env.run_line("pack --force store --output e.tar").exits(4);
    }
}

#[test]
fn reading_makes_no_difference_to_the_bundle() {
    let (env, _registry, _) = pulled();
    for line in [
        "select all.txt --store store --output linked",
        "select all.txt --store store --output copied --link copy",
    ] {
        let _ = env.run_line(line).success();
    }
    let mut packed = Vec::new();
    for (n, line) in [
        "pack --force store",
        "pack --force store --rehash",
        "pack --force linked",
        "pack --force copied",
        "pack 0/b.tar",
    ]
    .into_iter()
    .enumerate()
    {
        hod_fsx::create_dir_all(&env.path(n.to_string())).unwrap();
        let _ = env
            .run_line(&format!("{line} --output {n}/b.tar"))
            .success();
        packed.push(read(&env.path(format!("{n}/b.tar"))));
        assert!(packed[n] == packed[0], "{line}");
    }
}

/// The volumes in a directory.
fn volumes(env: &TestEnv, dir: &str) -> Vec<(String, Vec<u8>)> {
    let names = hod_fsx::read_dir_names(&env.path(dir)).unwrap();
    names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .map(|name| (name.clone(), read(&env.path(dir).join(&name))))
        .collect()
}

/// A place with a store of images of which one has a layer that no small volume can hold.
fn with_large_layers() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for n in 0..3 {
        let mut builder = ImageBuilder::oci(n);
        for len in [400_000, 90_000, 3000] {
            let seed = n * 100 + len as u64;
            builder = builder.layer(&layer(seed, len, Compression::Uncompressed));
        }
        builder.build().put_in(&store, &format!("app/{n}:1"));
    }
    env
}

#[test]
fn volumes_are_equal_at_any_number_of_jobs_and_under_any_circumstances() {
    let env = with_large_layers();
    let line = "pack --force store --volume-size 256K --output";
    hod_fsx::create_dir_all(&env.path("a")).unwrap();
    let _ = env.run_line(&format!("{line} a/b.tar --jobs 1")).success();
    let expected = volumes(&env, "a");
    assert!(expected.len() > 4, "{}", expected.len());
    for (n, (name, bytes)) in expected.iter().enumerate() {
        assert_eq!(*name, format!("b.{:03}.tar", n + 1));
        assert!(bytes.len() <= 256 * 1024, "{name}: {}", bytes.len());
    }
    for (n, (jobs, umask, locale)) in [(3, "077", "C"), (9, "002", "tr_TR.UTF-8")]
        .into_iter()
        .enumerate()
    {
        let dir = format!("a{n}");
        hod_fsx::create_dir_all(&env.path(&dir)).unwrap();
        let hod = env.hod().get_program().to_owned();
        let script = format!("umask {umask}; exec \"$0\" {line} {dir}/b.tar --jobs {jobs}");
        let mut shell = env.command("sh");
        shell.env("LC_ALL", locale).env("TZ", "Asia/Kathmandu");
        let _ = finish(shell.arg("-c").arg(script).arg(hod)).success();
        assert!(volumes(&env, &dir) == expected, "{jobs} jobs");
    }
    let _ = env.run_line("verify a/b.003.tar").success();
    let _ = env.run_line("unpack a/b.001.tar --output again").success();
    let _ = env.run_line("verify again").success();
}

#[test]
fn a_lost_volume_is_made_again() {
    let env = with_large_layers();
    hod_fsx::create_dir_all(&env.path("a")).unwrap();
    let line = "pack --force store --volume-size 256K --output a/b.tar";
    let _ = env.run_line(line).success();
    let expected = volumes(&env, "a");
    for (n, (name, _)) in expected.iter().enumerate() {
        hod_fsx::remove_file(&env.path("a").join(name)).unwrap();
        let line = format!("{line} --only-volume {}", n + 1);
        let _ = env.run_line(&line).success();
        assert!(volumes(&env, "a") == expected, "{name}");
    }
    // Alone, too.
    let _ = env
        .run_line("pack --force store --volume-size 256K --output b.tar --only-volume 2")
        .success();
    assert!(read(&env.path("b.002.tar")) == expected[1].1);
    let output = env.run_line(&format!("{line} --no-tool --only-volume 99"));
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 5
    --- stdout
    --- stderr
    error: volume 99 not found: the bundle has 10 volumes

    hint: Pass the same `--volume-size` and the same images as when the bundle was packed.
    ");
    // Of other content it would be no volume of that bundle.
    hod_fsx::remove_file(&env.path("a/b.002.tar")).unwrap();
    let before = volumes(&env, "a");
    for (flags, what) in [
        ("--bundle-version 2", "the name or version"),
        ("--name other", "the name or version"),
    ] {
        let output = env.run_line(&format!("{line} --only-volume 2 {flags}"));
        let output = output.exits(2);
        assert!(output.stderr.contains(what), "{}", output.stderr);
        assert!(output.stderr.contains("hint: "), "{}", output.stderr);
        assert!(volumes(&env, "a") == before);
    }
}

/// A chart repository has thousands of files, and a process may have few open.
#[test]
fn more_files_are_carried_than_can_be_open() {
    let env = TestEnv::in_memory();
    ImageBuilder::oci(1)
        .build()
        .put_in(&env.store("store"), "app/one:1");
    for n in 0..2000 {
        env.write(format!("charts/{n}.tgz"), n.to_string());
    }
    for name in ["b.tar", "b.tar.zst"] {
        let hod = env.hod().get_program().to_owned();
        let line = format!("pack --force store --no-tool --file charts=charts --output {name}");
        let script = format!("ulimit -n 256 && exec \"$0\" {line}");
        let _ = finish(env.command("sh").arg("-c").arg(script).arg(hod)).success();
        let _ = env.run_line(&format!("verify {name}")).success();
    }
    let mut tar = env.command("tar");
    tar.args([
        "--extract",
        "--to-stdout",
        "--file",
        "b.tar",
        "charts/1999.tgz",
    ]);
    assert_eq!(finish(&mut tar).success().stdout, "1999");
}

#[test]
fn volumes_of_an_earlier_bundle_are_named() {
    let env = with_large_layers();
    let said = "of an earlier bundle, not of this one";
    let pack = "pack --force store --output a/b.tar";
    env.write("a/b.c.004.tar", "of another name");
    let output = env
        .run_line(&format!("{pack} --volume-size 256K"))
        .success();
    assert!(!output.stderr.contains(said), "{}", output.stderr);
    let all = volumes(&env, "a");
    let output = env
        .run_line(&format!("{pack} --volume-size 512K"))
        .success();
    let n_now = volumes(&env, "a")
        .iter()
        .zip(&all)
        .filter(|(now, old)| now != old)
        .count();
    assert!(
        n_now > 1 && n_now + 1 < all.len(),
        "{n_now} of {}",
        all.len()
    );
    for n in 1..all.len() {
        let is_named = output.stderr.contains(&format!("`a/b.{n:03}.tar`"));
        assert_eq!(is_named, n > n_now, "{n}: {}", output.stderr);
    }
    assert!(!output.stderr.contains("b.c."), "{}", output.stderr);
    assert_eq!(volumes(&env, "a").len(), all.len(), "nothing is removed");
    let _ = env.run_line("verify a/b.001.tar").success();
    // A bundle of one file has no volumes at all.
    let output = env.run_line(pack).success();
    assert!(
        output.stderr.contains("`a/b.001.tar`, "),
        "{}",
        output.stderr
    );
    let _ = env.run_line("pack --force store --output c.tar").success();
    let merge = "bundle merge --force a/b.tar c.tar --output a/b.tar --volume-size 512K";
    let output = env.run_line(merge).success();
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

/// Others than hod name files so, and hod itself may have read them just now.
#[test]
fn files_that_no_earlier_bundle_left_are_not_named() {
    let env = with_large_layers();
    let said = "of an earlier bundle, not of this one";
    let quiet = |line: &str| {
        let output = env.run_line(line).success();
        assert!(!output.stderr.contains(said), "{line}: {}", output.stderr);
    };
    // By the day: whole bundles, and what is none at all.
    quiet("pack --force store --output acme.20250601.tar");
    env.write("acme.20250602.tar", "of another day");
    hod_fsx::create_dir_all(&env.path("acme.20250603.tar")).unwrap();
    quiet("pack --force store --output acme.tar");
    quiet("pack --force store --output acme.tar --volume-size 512K");
    // A volume under the name of another, which hod gave it not.
    let second = read(&env.path("acme.002.tar"));
    env.write("copy.007.tar", second);
    quiet("pack --force store --output copy.tar");
    // What was packed or merged is not what was left, by whatever path it was named.
    quiet("pack --force store --output v.tar --volume-size 256K");
    quiet("pack --force v.002.tar --output v.tar");
    quiet("pack --force store --since v.003.tar --output v.tar");
    quiet("pack --force store --file v.001.tar=volumes/ --output v.tar");
    quiet("pack --force store --output d.tar --name other");
    quiet("bundle merge --force ./v.001.tar d.tar --output v.tar");
    let whole = env.path("v.001.tar");
    quiet(&format!(
        "bundle merge --force {} d.tar --output v.tar",
        whole.display()
    ));
    // Now it is.
    let output = env
        .run_line("bundle merge --force d.tar d.tar --output v.tar")
        .success();
    assert!(output.stderr.contains("`v.001.tar`"), "{}", output.stderr);
}

/// It may be the user's only one, and is in several files.
#[test]
fn a_bundle_that_is_damaged_is_not_to_be_removed() {
    let env = with_large_layers();
    let line = "pack --force store --output v.tar --volume-size 256K";
    let _ = env.run_line(line).success();
    for (at, line) in [
        (2, "pack --force v.001.tar --no-tool --output new.tar"),
        (
            3,
            "bundle merge --force v.001.tar v.002.tar --output new.tar",
        ),
    ] {
        let name = format!("v.00{at}.tar");
        let good = read(&env.path(&name));
        let mut bytes = good.clone();
        bytes[good.len() / 2] ^= 1;
        env.write(&name, bytes);
        let output = env.run_line(line).exits(4);
        let stderr = output.stderr.replace("\n      ", " ");
        let (blamed, _) = stderr.split_once("\n\nhint: ").unwrap();
        assert!(blamed.contains(&format!("{name}`")), "{stderr}");
        assert!(stderr.contains("`hod verify"), "{stderr}");
        assert!(!stderr.contains("pull again"), "{stderr}");
        let verified = env.run_line("verify v.001.tar").exits(4);
        assert!(verified.stdout.contains(&name), "{}", verified.stdout);
        env.write(&name, good);
    }
    assert!(!exists(&env.path("new.tar")));
}

/// That could be anything by the time it is read; and the store's own damage would be hidden.
#[test]
fn a_file_with_the_bytes_of_a_blob_is_not_packed_in_its_place() {
    let (env, _registry, path) = pulled();
    env.write("layer", read(&path));
    let pack = "pack --force store --no-tool --file layer=files/ --output";
    damage(&path, false);
    for name in ["b.tar", "b.tar.zst"] {
        let output = env.run_line(&format!("{pack} {name}")).exits(4);
        let damaged = format!("`{}` is damaged", path.display());
        let damaged = damaged.replace(&format!("{}/", env.work().display()), "");
        assert!(output.stderr.contains(&damaged), "{}", output.stderr);
    }
}

/// A bundle that was packed anew would lose what it carries, a delta what it counts on.
#[test]
fn what_is_read_is_not_written_over() {
    let (env, _registry, _) = pulled();
    let _ = env.run_line("pack --force store --output a.tar").success();
    let _ = env
        .run_line("pack --force store --output v.tar --volume-size 500K")
        .success();
    let (from, to) = (env.path("a.tar"), env.path("link.tar"));
    let _ = hod_fsx::link_file(&from, &to, hod_fsx::LinkMode::Hard, &env.work()).unwrap();
    for line in [
        "pack --force a.tar --output a.tar",
        "pack --force a.tar --output link.tar",
        "pack --force a.tar --output ./a.tar --dry-run",
        "pack --force store --output a.tar --since a.tar",
        "pack --force store --output a.tar --file a.tar=old/a.tar",
        "pack --force v.002.tar --output v.tar --volume-size 600K",
        "bundle merge --force a.tar v.001.tar --output a.tar",
    ] {
        let before = (read(&env.path("a.tar")), read(&env.path("v.001.tar")));
        let output = env.run_line(line).exits(2);
        let said = "is also an input; choose another path";
        assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
        assert!(
            before == (read(&env.path("a.tar")), read(&env.path("v.001.tar"))),
            "{line}"
        );
    }
}
