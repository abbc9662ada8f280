//! Bundles of other forms than one tar: in volumes, and compressed.

use super::{SHELLS, Site, contains};
use hod_testkit::env::finish;
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::static_hod::static_hod;

/// A site with a bundle in two volumes: the tool is in the first, and no volume has all images.
fn divided() -> Site {
    let tool_len = hod_fsx::stat(static_hod()).unwrap().len;
    let volume_size = (tool_len + 130_000).to_string();
    let site = Site::packed(
        "with blanks",
        ("site.tar", &["--volume-size", &volume_size]),
    );
    let names = hod_fsx::read_dir_names(&site.path("")).unwrap();
    assert_eq!(names, ["install.sh", "site.001.tar", "site.002.tar"]);
    site
}

#[test]
fn volumes_are_found_in_all_directories_whichever_is_named() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = divided();
    let fill = |shell: &[&str], args: &[&str]| {
        let registry = TestRegistry::start();
        let mut command = site.install(shell);
        command.args(["--registry", registry.host()]);
        let output = finish(command.args(args)).success();
        contains(&output, "pushed 2 images: ");
        for n in 0..2 {
            let target = format!("/v2/app/{n}/manifests/1");
            assert_eq!(registry.send("HEAD", &target).status, 200, "{n}");
        }
        site.check_tidy();
    };
    fill(SHELLS[0], &[]);
    let move_to = |dir: &str, name: &str| {
        hod_fsx::create_dir_all(&site.env.path(dir)).unwrap();
        hod_fsx::rename(&site.path(name), &site.env.path(dir).join(name)).unwrap();
    };
    move_to("medium 1", "site.001.tar");
    move_to("medium 2", "site.002.tar");
    let first = site.env.path("medium 1").display().to_string();
    let second = site.env.path("medium 2").display().to_string();
    let volume = |dir: &str, n: u32| format!("{dir}/site.00{n}.tar");
    for (args, shell) in [
        ["--volume-dir", &first, "--volume-dir", &second],
        // The tool is in the other one.
        ["--volume-dir", &second, "--volume-dir", &first],
        ["--bundle", &volume(&second, 2), "--volume-dir", &first],
    ]
    .iter()
    .zip(SHELLS)
    {
        fill(shell, args);
    }
    // One that is nowhere is asked for.
    let registry = TestRegistry::start();
    let run = |args: [&str; 2]| {
        let mut command = site.install(&["dash"]);
        command.args(["--registry", registry.host()]);
        finish(command.args(args))
    };
    let output = run(["--bundle", &volume(&second, 2)]).exits(5);
    contains(&output, "This requires the first volume");
    // What is there is pushed, and the rest when it comes.
    let output = run(["--bundle", &volume(&first, 1)]).exits(3);
    contains(&output, "waits for volume 2");
    contains(
        &output,
        "install.sh continues with the images that can be pushed",
    );
    contains(&output, "\nnext: volume 2\n");
    let is_there = |n: u32| {
        let target = format!("/v2/app/{n}/manifests/1");
        registry.send("HEAD", &target).status == 200
    };
    assert!(!is_there(0) && !is_there(1));
    // As README.txt has it: the tool came with the installer, so that the first is not needed again.
    let mut untar = site.env.command("tar");
    let _ = finish(
        untar
            .args(["-xf", &volume(&first, 1), "-C"])
            .arg(site.path(""))
            .arg("hod/bin"),
    );
    let output = run(["--bundle", &volume(&second, 2)]).success();
    contains(&output, "pushed 2 images: ");
    assert!(is_there(0) && is_there(1));
    site.check_tidy();
}

#[test]
fn a_compressed_bundle_fills_a_registry() {
    if !programs::are_here(&["zstd"]) {
        return;
    }
    let site = Site::packed("site", ("site.tar.zst", &[]));
    let registry = TestRegistry::start();
    let mut command = site.install(&["dash"]);
    let output = finish(command.args(["--registry", registry.host()])).success();
    contains(&output, "pushed 2 images: ");
    let head = registry.send("HEAD", "/v2/app/1/manifests/1");
    assert_eq!(head.status, 200);
    site.check_tidy();
}
