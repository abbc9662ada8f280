//! Trees that `hod` did not write: of `docker-registry`, and of the scripts that people have.

use super::{
    Named, assert_same_files, files, for_amd64, pull, push_with_skopeo, skopeo_zoo, source_of,
    write_list,
};
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::programs;
use hod_testkit::skopeo;

const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];

/// Passes when `hod ls` finds just these images at `source`, as they are.
#[track_caller]
fn assert_lists(env: &TestEnv, source: &str, images: &[Named]) {
    let output = env.run_line(&format!("ls {source} --json")).success();
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let found = document["images"].as_array().unwrap().iter();
    let mut found: Vec<(&str, &str)> = found
        .map(|image| {
            let text = |key: &str| image[key].as_str().unwrap();
            (text("image"), text("digest"))
        })
        .collect();
    found.sort_unstable();
    let mut expected: Vec<(&str, &str)> = images
        .iter()
        .map(|(name, image)| (name.as_str(), image.digest().as_str()))
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_tree_of_docker_registry_is_as_good_as_our_own() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let source = source_of(&zoo);
    let registry = DockerRegistry::serve(&env, "theirs");
    push_with_skopeo(&env, &source, (registry.host(), &zoo));
    registry.stop();
    let before = files(&env.path("theirs"));

    pull(&env, &zoo, source.host());
    assert_lists(&env, "theirs", &zoo);
    assert_lists(&env, "theirs/docker/registry/v2", &zoo);
    env.run_line("verify theirs").success();
    for (from, to) in [("theirs", "of-theirs"), ("store", "of-ours")] {
        hod_fsx::create_dir_all(&env.path(to)).unwrap();
        for line in [
            format!("select list.txt --store {from} --output {to}/tree"),
            format!("pack list.txt --store {from} --output {to}/site.tar"),
            format!("pack {from} --output {to}/whole.tar"),
        ] {
            env.run_line(&line).success();
        }
    }
    let [theirs, ours] = ["of-theirs", "of-ours"].map(|to| files(&env.path(to)));
    assert_same_files(&theirs, &ours);
    assert_same_files(&files(&env.path("theirs")), &before);
}

/// The images with a short name, as they are in a list and without a project in the script's tree.
fn short_named() -> Vec<Named> {
    let named = skopeo_zoo().into_iter().map(|(name, image)| {
        let (_, short) = name.rsplit_once('/').unwrap();
        (short.to_owned(), for_amd64(&image))
    });
    named.collect()
}

#[test]
fn a_tree_of_a_script_is_listed_selected_from_and_packed() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, images) = (TestEnv::new(), short_named());
    let source = source_of(&images);
    for (name, _) in &images {
        let from = format!("docker://{}/{name}", source.host());
        hod_fsx::create_dir_all(&env.path("layouts")).unwrap();
        skopeo::copy(&env, "", (&from, &format!("dir:layouts/{name}")));
    }
    let mut sh = env.command("sh");
    sh.args(["-c", include_str!("dir-to-registry.sh"), "dir-to-registry"]);
    finish(sh.args(["layouts", "theirs"])).success();
    let before = files(&env.path("theirs"));

    assert_lists(&env, "theirs", &images);
    // Such a tree no registry can serve: its blobs are behind links that are no digests.
    let registry = DockerRegistry::serve(&env, "theirs");
    let (name, image) = &images[0];
    let (repository, _) = name.split_once(':').unwrap();
    let blob = format!("/v2/{repository}/blobs/{}", image.blobs[0].digest);
    assert_eq!(registry.get(&blob).status, 500);
    let output = env.run_line("verify theirs").exits(4);
    assert!(output.stdout.contains("/link`"), "{}", output.stdout);

    // What is made of it is as it should be, and has the projects that registries want.
    write_list(&env, &images);
    for line in [
        "select list.txt --store theirs --output tree",
        "pack list.txt --store theirs --output site.tar",
        "pack theirs --output whole.tar",
        "unpack site.tar --output unpacked",
        "unpack whole.tar --output unpacked-whole",
    ] {
        env.run_line(line).success();
    }
    for root in ["tree", "unpacked", "unpacked-whole"] {
        env.run_line(&format!("verify {root}")).success();
        let registry = DockerRegistry::serve(&env, root);
        for (name, image) in &images {
            registry.assert_serves(&format!("library/{name}"), image);
        }
    }
    assert_same_files(&files(&env.path("theirs")), &before);
}
