//! Any tar can untar a bundle.

use super::{assert_same_files, files, put, zoo};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::programs;

/// Untars a bundle with this program, and has `hod` say that the tree is whole and the same.
#[track_caller]
fn untar(program: &[&str]) {
    let (env, zoo) = (TestEnv::new(), zoo());
    put(&env, &zoo);
    env.run_line("pack list.txt --store store --output site.tar")
        .success();
    hod_fsx::create_dir_all(&env.path("untarred")).unwrap();
    let mut command = env.command(program[0]);
    command.args(&program[1..]);
    command.args(["-x", "-f", "site.tar", "-C", "untarred"]);
    let output = finish(&mut command).success();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let mut names: Vec<_> = hod_fsx::read_dir_names(&env.path("untarred")).unwrap();
    names.sort();
    assert_eq!(
        names,
        [
            "MIRRORS.txt",
            "README.txt",
            "SHA256SUMS",
            "docker",
            "hod",
            "hod-serve.service",
            "hosts.toml",
            "images-list.txt",
            "install.sh"
        ]
    );
    let tree = |root: &str| files(&env.path(root).join("docker"));
    assert_same_files(&tree("untarred"), &tree("store"));
    env.run_line("verify untarred").success();
}

#[test]
fn gnu_tar_untars_a_bundle() {
    if programs::are_here(&["tar"]) {
        untar(&["tar"]);
    }
}

#[test]
fn bsdtar_untars_a_bundle() {
    if programs::are_here(&["bsdtar"]) {
        untar(&["bsdtar"]);
    }
}

#[test]
fn busybox_untars_a_bundle() {
    if programs::are_here(&["busybox"]) {
        untar(&["busybox", "tar"]);
    }
}
