//! `dir:` layouts, both ways: what `hod export` writes skopeo takes, and what `skopeo sync` writes
//! `hod push` takes.

use super::{Named, assert_is_layout, for_amd64, put, skopeo_zoo, source_of, zoo};
use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::TestEnv;
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;

const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];

#[test]
fn exported_layouts_are_those_of_skopeo_file_for_file() {
    let (env, zoo) = (TestEnv::new(), zoo());
    put(&env, &zoo);
    env.run_line("pack list.txt --store store --output site.tar")
        .success();
    for source in ["store", "site.tar"] {
        env.run_line(&format!("export {source} --output of-{source}"))
            .success();
        for (name, image) in &zoo {
            assert_is_layout(&env.path(format!("of-{source}/{name}")), image);
        }
    }
}

/// Exports what skopeo can carry, has `skopeo sync` put it into a registry, and returns that.
fn synced(env: &TestEnv, line: &str) -> DockerRegistry {
    let zoo = skopeo_zoo();
    put(env, &zoo);
    env.run_line("export store --output layouts").success();
    let registry = DockerRegistry::serve(env, "target");
    let (flags, source) = line.rsplit_once(' ').unwrap();
    skopeo::sync(
        env,
        &format!(
            "{flags} --src dir --dest docker {source} {}/offline",
            registry.host()
        ),
    );
    registry
}

#[test]
fn skopeo_sync_takes_what_hod_exports_under_full_names() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let env = TestEnv::new();
    let registry = synced(&env, "--all --scoped layouts");
    for (name, image) in skopeo_zoo() {
        registry.assert_serves(&format!("offline/{name}"), &image);
    }
}

#[test]
fn skopeo_sync_takes_what_hod_exports_under_short_names() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let env = TestEnv::new();
    let registry = synced(&env, "--all layouts");
    for (name, image) in skopeo_zoo() {
        let (_, short) = name.rsplit_once('/').unwrap();
        registry.assert_serves(&format!("offline/{short}"), &image);
    }
}

#[test]
fn skopeo_sync_takes_one_platform_of_what_hod_exports() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let env = TestEnv::new();
    let registry = synced(&env, "--scoped layouts");
    for (name, image) in skopeo_zoo() {
        registry.assert_serves(&format!("offline/{name}"), &for_amd64(&image));
    }
}

/// Has `skopeo sync` write all it can carry to `layouts`.
fn sync_to_dir(env: &TestEnv, source: &TestRegistry, flags: &str) {
    let mut yaml = format!("{}:\n  tls-verify: false\n  images:\n", source.host());
    for (name, _) in skopeo_zoo() {
        let (repository, tag) = name.split_once(':').unwrap();
        let line = format!("    {repository}:\n");
        if !yaml.contains(&line) {
            yaml += &line;
        }
        let end = yaml.find(&line).unwrap() + line.len();
        yaml.insert_str(end, &format!("      - \"{tag}\"\n"));
    }
    env.write("images.yaml", yaml);
    skopeo::sync(
        env,
        &format!("{flags} --src yaml --dest dir images.yaml layouts"),
    );
}

/// Pushes `layouts` with these flags into `docker-registry`, which must serve these images then.
#[track_caller]
fn assert_push(env: &TestEnv, flags: &str, expected: &[Named]) {
    let registry = DockerRegistry::serve(env, "target");
    env.run_line(&format!("push layouts {} {flags}", registry.host()))
        .success();
    for (name, image) in expected {
        registry.assert_serves(name, image);
    }
}

#[test]
fn hod_pushes_what_skopeo_synced() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    sync_to_dir(&env, &source_of(&zoo), "--all");
    let name_of = |(name, image): &Named| {
        let (_, short) = name.rsplit_once('/').unwrap();
        (format!("library/{short}"), image.clone())
    };
    assert_push(&env, "", &zoo.iter().map(name_of).collect::<Vec<_>>());
}

#[test]
fn hod_pushes_what_skopeo_synced_with_scoped_names() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    let source = source_of(&zoo);
    sync_to_dir(&env, &source, "--all --scoped");
    assert_push(&env, "--strip-host", &zoo);
    let host = source.host().replace(':', "_");
    let name_of = |(name, image): &Named| (format!("{host}/{name}"), image.clone());
    assert_push(&env, "", &zoo.iter().map(name_of).collect::<Vec<_>>());
    // A list finds them by the names that they had at their source.
    env.write("some.txt", format!("{}/zoo/list:1.0\n", source.host()));
    let list = zoo.iter().find(|(name, _)| name == "zoo/list:1.0").unwrap();
    let some = [("some/zoo/list:1.0".to_owned(), list.1.clone())];
    assert_push(&env, "--only some.txt --strip-host --project some", &some);
}

#[test]
fn hod_pushes_what_skopeo_synced_for_one_platform() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let (env, zoo) = (TestEnv::new(), skopeo_zoo());
    sync_to_dir(&env, &source_of(&zoo), "--scoped");
    let for_amd64 = |(name, image): &Named| (name.clone(), for_amd64(image));
    let expected: Vec<Named> = zoo.iter().map(for_amd64).collect();
    assert_push(&env, "--strip-host", &expected);
}

/// skopeo names the layout by the digest that was asked for, also where it holds one platform of
/// the index with that digest.
#[test]
fn hod_pushes_what_skopeo_synced_by_digest() {
    if !programs::are_here(&PROGRAMS) {
        return;
    }
    let zoo = skopeo_zoo();
    let index = &zoo
        .iter()
        .find(|(name, _)| name == "zoo/index:1.0")
        .unwrap()
        .1;
    let source = source_of(&zoo);
    for (flags, image) in [("--all", index.clone()), ("", for_amd64(index))] {
        let env = TestEnv::new();
        let digest = index.digest();
        let yaml = format!(
            "{}:\n  tls-verify: false\n  images:\n    zoo/index:\n      - \"{digest}\"\n",
            source.host()
        );
        env.write("images.yaml", yaml);
        let line = format!("{flags} --scoped --src yaml --dest dir images.yaml layouts");
        skopeo::sync(&env, &line);
        let registry = DockerRegistry::serve(&env, "target");
        env.run_line(&format!("push layouts {} --strip-host", registry.host()))
            .success();
        registry.assert_serves_by_digest("zoo/index", &image);
    }
}
