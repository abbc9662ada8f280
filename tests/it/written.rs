//! Outputs that exist, and what is said of those that were written.

use std::process::Command;

use serde_json::Value;

use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::tree::{exists, tree};

fn with_images() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (name, seed) in [("a/one:1", 1), ("a/two:1", 2), ("b/three:1", 3)] {
        image(seed).put_in(&store, name);
    }
    env.write("a.txt", "a/one:1\na/two:1\n");
    env.write("b.txt", "b/three:1\n");
    env
}

#[test]
fn a_bundle_that_exists_is_replaced_only_when_asked() {
    let env = with_images();
    env.write("site.tar", "precious");
    env.write("volumes.002.tar", "precious");
    env.write("sums.sha256", "precious");
    let before = tree(&env.work());
    let pack = "pack store --no-tool --output";
    for (line, name) in [
        (format!("{pack} site.tar"), "`site.tar` already exists"),
        (
            format!("{pack} site.tar --dry-run"),
            "`site.tar` already exists",
        ),
        (
            format!("{pack} volumes.tar --volume-size 128K"),
            "`volumes.002.tar`",
        ),
        (format!("{pack} sums.tar --checksums"), "`sums.sha256`"),
    ] {
        let output = env.run_line(&line).exits(5);
        assert!(output.stderr.contains(name), "{line}: {}", output.stderr);
        assert!(
            output.stderr.contains("`--force`"),
            "{line}: {}",
            output.stderr
        );
        assert_eq!(tree(&env.work()), before, "{line}");
    }
    let _ = env.run_line(&format!("{pack} site.tar --force")).success();
    let _ = env.run_line("verify site.tar").success();
    let _ = env.run_line(&format!("{pack} other.tar")).success();
    let merge = "bundle merge site.tar other.tar --output";
    let output = env
        .run_line(&format!("{merge} sums.tar --checksums"))
        .exits(5);
    assert!(output.stderr.contains("`sums.sha256` already exists"));
    let _ = env
        .run_line(&format!("{merge} sums.tar --checksums --force"))
        .success();
}

#[test]
fn the_files_are_named_with_their_checksums_and_the_id_is_labelled() {
    let env = TestEnv::in_memory();
    let build = ImageBuilder::oci(1).layer(&layer(1, 300_000, Compression::Gzip));
    build.build().put_in(&env.store("store"), "a/big:1");
    let _ = env.run_line("keygen").success();
    let pack = "pack store --no-tool --volume-size 140000 --sign hod.key --output";
    let plain = env.run_line(&format!("{pack} plain.tar")).success().stdout;
    assert!(plain.starts_with("plain.001.tar "), "{plain}");
    assert!(!exists(&env.path("plain.sha256")));
    let key = env.run_line("ls plain.001.tar --json").success().stdout;
    let key: Value = serde_json::from_str(&key).unwrap();
    let key = key["signature"]["key"].as_str().unwrap();
    let summed = env.run_line(&format!("{pack} summed.tar --checksums"));
    let summed = summed.success().stdout;
    let lines: Vec<&str> = summed.lines().collect();
    let (files, rest) = lines.split_at(lines.len() - 2);
    assert!(rest[0].starts_with("bundle id sha256:"), "{summed}");
    assert_eq!(rest[1], format!("signed by key {key}"));
    assert_eq!(env.read("summed.sha256"), files.join("\n") + "\n");
    let check = ["-c", "--strict", "summed.sha256"];
    let checked = finish(env.command("sha256sum").args(check)).success();
    assert_eq!(checked.stdout.lines().count(), files.len());
    assert!(files.len() > 2);
    // For programs.
    let json = env.run_line(&format!("{pack} json.tar --checksums --json"));
    let json: Value = serde_json::from_str(&json.success().stdout).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), files.len());
    assert_eq!(json["files"][0]["path"], "json.001.tar");
    let hex = json["files"][0]["sha256"].as_str().unwrap();
    let summed = finish(env.command("sha256sum").arg("json.001.tar")).success();
    assert_eq!(summed.stdout, format!("{hex}  json.001.tar\n"));
    let bytes = hod_fsx::stat(&env.path("json.001.tar")).unwrap().len;
    assert_eq!(json["files"][0]["bytes"], bytes);
    assert_eq!(json["signed_by"], key);
    // One volume is spoken of as one.
    hod_fsx::remove_file(&env.path("plain.002.tar")).unwrap();
    let one = env.run_line(&format!("{pack} plain.tar --only-volume 2"));
    let one = one.success().stderr;
    assert!(
        one.contains(&format!("packed volume 2 of {}: ", files.len())),
        "{one}"
    );
    let _ = env.run_line("pack store --output - --checksums").exits(2);
}

#[test]
fn a_name_that_no_bundle_can_have_is_refused_before_anything_is_done() {
    let env = with_images();
    let before = tree(&env.work());
    for output in ["a\nb.tar", ".tar"] {
        let said = env
            .run(["pack", "store", "--output", output])
            .exits(2)
            .stderr;
        assert!(said.contains("`--name NAME`"), "{said}");
    }
    let line = [
        "pack",
        "store",
        "--output",
        "x.tar",
        "--bundle-version",
        "1\n2",
    ];
    let said = env.run(line).exits(2).stderr;
    assert!(said.contains("`--bundle-version VERSION`"), "{said}");
    assert_eq!(tree(&env.work()), before);
    let line = [
        "pack",
        "store",
        "--no-tool",
        "--name",
        "x",
        "--output",
        ".tar",
    ];
    let _ = env.run(line).success();
}

#[test]
fn a_tree_with_other_images_is_added_to_only_when_asked() {
    let env = with_images();
    let select = |list: &str, rest: &str| {
        env.run_line(&format!("select {list} --store store --output tree {rest}"))
    };
    let names = || {
        let listed = env.run_line("ls tree --json").success().stdout;
        let json: Value = serde_json::from_str(&listed).unwrap();
        let images = json["images"].as_array().unwrap().iter();
        let names = images.map(|image| image["image"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let _ = select("a.txt", "").success();
    let first = tree(&env.path("tree"));
    // The same again, and more of the same.
    let _ = select("a.txt", "").success();
    assert_eq!(tree(&env.path("tree")), first);
    let refused = select("b.txt", "").exits(5).stderr;
    assert!(
        refused.contains("`tree` has 2 images that are not in this selection"),
        "{refused}"
    );
    assert_eq!(tree(&env.path("tree")), first);
    let added = select("b.txt", "--add").success().stderr;
    assert!(
        added.contains("`tree` now has 3 images, 2 of them from earlier runs"),
        "{added}"
    );
    assert_eq!(names(), "a/one:1 a/two:1 b/three:1");
    let _ = env.run_line("verify tree").success();
}

#[test]
fn slips_that_would_change_nothing_are_refused() {
    let env = with_images();
    let before = tree(&env.work());
    for (line, said) in [
        (
            "pack store --output x.tar --rename c/*=d/*",
            "`c/*=d/*` matches no image",
        ),
        (
            "export store --output x --rename a=d",
            "Did you mean `a/*=d/*`?",
        ),
        (
            "pack store --output x.tar --set registy=r",
            "no template uses `--set registy`",
        ),
        ("pack a.txt --output x.tar", "`--store DIR`"),
        ("pull a.txt --store -", "`./-`"),
        ("pull a.txt --store a.txt", "`a.txt` is a file"),
        ("select a.txt --store store --output -", "`./-`"),
    ] {
        let output = env.run_line(line).exits(2);
        assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
        assert_eq!(tree(&env.work()), before, "{line}");
    }
    let _ = env
        .run_line("pack store --no-tool --output one.tar --set registry=r")
        .success();
    let said = env.run_line("pull a.txt --store one.tar").exits(2).stderr;
    assert!(
        said.contains("`hod unpack one.tar --output STORE`"),
        "{said}"
    );
    let gzip = Command::new("gzip").arg(env.path("one.tar")).status();
    assert!(gzip.unwrap().success());
    let said = env.run_line("ls one.tar.gz").exits(2).stderr;
    assert!(
        said.contains("is compressed with gzip") && said.contains("`gunzip`"),
        "{said}"
    );
    env.write("one.tar.xz", b"\xfd7zXZ\0and more");
    let _ = env.run_line("ls one.tar.xz").exits(4);
}

#[test]
fn a_merged_bundle_loses_its_signatures_aloud() {
    let env = with_images();
    let _ = env.run_line("keygen").success();
    for list in ["a", "b"] {
        let pack = format!("pack {list}.txt --store store --no-tool --output {list}.tar");
        let _ = env.run_line(&format!("{pack} --sign hod.key")).success();
    }
    let merge = "bundle merge a.tar b.tar --output";
    let said = env.run_line(&format!("{merge} plain.tar")).success().stderr;
    assert!(said.contains("the merged bundle is not"), "{said}");
    let signed = env.run_line(&format!("{merge} signed.tar --sign hod.key"));
    let signed = signed.success();
    assert!(!signed.stderr.contains("is not"), "{}", signed.stderr);
    assert!(
        signed.stdout.contains("\nsigned by key "),
        "{}",
        signed.stdout
    );
}
