//! `docker-registry` serves our trees, and skopeo copies every image out of them.

use hod_oci::Digest;

use super::{assert_copies, assert_served, pull, read, source_of, zoo};
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Compression, Format, ImageBuilder, index, layer, menagerie};
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;

const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];

#[test]
fn docker_registry_serves_what_was_pulled() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    pull(&env, &zoo, source_of(&zoo).host());
    assert_served(&env, &DockerRegistry::serve(&env, "store"), &zoo);
    env.run_line("verify store").success();
}

#[test]
fn docker_registry_serves_what_was_selected() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), zoo());
    pull(&env, &zoo, source_of(&zoo).host());
    env.run_line("select list.txt --store store --output tree")
        .success();
    assert_served(&env, &DockerRegistry::serve(&env, "tree"), &zoo);
}

#[test]
fn docker_registry_serves_what_was_untarred() {
    if programs::are_here(&[PROGRAMS[0], PROGRAMS[1], "tar"]) {
        serve_untarred("site.tar");
    }
}

#[test]
fn docker_registry_serves_what_was_untarred_from_a_compressed_bundle() {
    if programs::are_here(&[PROGRAMS[0], PROGRAMS[1], "tar", "zstd"]) {
        serve_untarred("site.tar.zst");
    }
}

#[track_caller]
fn serve_untarred(bundle: &str) {
    let (env, zoo) = (TestEnv::new(), zoo());
    pull(&env, &zoo, source_of(&zoo).host());
    env.run_line(&format!("pack list.txt --store store --output {bundle}"))
        .success();
    hod_fsx::create_dir_all(&env.path("untarred")).unwrap();
    let mut tar = env.command("tar");
    let output = finish(tar.args(["-x", "-C", "untarred", "-f", bundle])).success();
    assert_eq!(output.stderr, "", "tar has something to say");
    assert_served(&env, &DockerRegistry::serve(&env, "untarred"), &zoo);
}

#[test]
fn docker_registry_serves_what_was_pulled_for_one_platform() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, kinds) = (TestEnv::new(), menagerie());
    let of_kind = |wanted| &kinds.iter().find(|(kind, _)| *kind == wanted).unwrap().1;
    let source = TestRegistry::start();
    source.add("zoo/list:1", of_kind("list"));
    source.add("zoo/index:1", of_kind("index"));
    env.write("list.txt", "zoo/list:1\nzoo/index:1\n");
    let line = "pull list.txt --store store --platform linux/amd64 --source";
    env.run_line(&format!("{line} {}", source.host())).success();
    let registry = DockerRegistry::serve(&env, "store");
    for (name, child) in [("zoo/list:1", "docker"), ("zoo/index:1", "oci")] {
        registry.assert_serves(name, of_kind(child));
        let from = format!("docker://{}/{name}", registry.host());
        assert_copies(&env, &from, of_kind(child));
    }
}

#[test]
fn docker_registry_serves_what_was_pulled_for_two_of_three_platforms() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let env = TestEnv::new();
    let children = [(80, "amd64"), (82, "arm64"), (84, "s390x")].map(|(seed, architecture)| {
        let image = ImageBuilder::oci(seed).platform("linux", architecture);
        image
            .layer(&layer(seed + 1, 300, Compression::Gzip))
            .build()
    });
    let original = index(Format::Oci, &children);
    let source = TestRegistry::start();
    source.add("zoo/three:1", &original);
    env.write("list.txt", "zoo/three:1\n");
    let line = "pull list.txt --store store --platform linux/amd64,linux/arm64 --source";
    let output = env.run_line(&format!("{line} {}", source.host())).success();

    let registry = DockerRegistry::serve(&env, "store");
    let from = format!("docker://{}/zoo/three:1", registry.host());
    skopeo::copy(&env, "--all", (&from, "dir:copied"));
    let digest = Digest::of(&read(&env.path("copied/manifest.json")));
    let said = format!("zoo/three:1 {digest} (was {})\n", original.digest());
    assert_eq!(output.stdout, said);
    for (child, is_carried) in children.iter().zip([true, true, false]) {
        let path = env.path(format!("copied/{}.manifest.json", child.digest().hex()));
        let copied = hod_fsx::try_read(&path, u64::MAX - 1).unwrap();
        assert_eq!(copied.is_some(), is_carried, "{}", path.display());
        let by_digest = registry.get(&format!("/v2/zoo/three/manifests/{}", child.digest()));
        assert_eq!(by_digest.status, if is_carried { 200 } else { 404 });
    }
}
