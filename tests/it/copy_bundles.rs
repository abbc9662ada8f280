//! `hod copy` to a bundle: from anything that can be read in any order, with the bytes that `pull`
//! and `pack` make.

use crate::copy::{kinds, put_kinds, source};
use hod_testkit::env::TestEnv;
use hod_testkit::fault_proxy::FaultProxy;
use hod_testkit::faults::{Effect, Fault};
use hod_testkit::images::{Compression, ImageBuilder, layer, repository, tag};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, read};

/// A registry with one image, whose layer is long enough to be cut, behind a proxy.
fn large(env: &TestEnv) -> (TestRegistry, FaultProxy) {
    let registry = TestRegistry::start();
    let large = layer(1, 3 << 20, Compression::Uncompressed);
    registry.add("app/one:1", &ImageBuilder::oci(1).layer(&large).build());
    env.write("one.txt", "app/one:1\n");
    let proxy = FaultProxy::start(registry.host(), Vec::new());
    (registry, proxy)
}

#[track_caller]
fn names(env: &TestEnv, dir: &str) -> Vec<String> {
    let names = hod_fsx::read_dir_names(&env.path(dir)).unwrap();
    let mut names: Vec<String> = names
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_list_becomes_the_bundle_that_pull_and_pack_make() {
    let env = TestEnv::new();
    let from = source(&env);
    let host = from.host();
    let pull = format!("pull list.txt --store store --source {host} --platform all --index keep");
    env.run_line(&pull).success();
    for name in ["site.tar", "site.tar.zst"] {
        for dir in ["packed", "copied"] {
            hod_fsx::create_dir_all(&env.path(dir)).unwrap();
        }
        let pack = format!("pack store --output packed/{name}");
        env.run_line(&pack).success();
        let copy = format!("copy list.txt bundle:copied/{name} --source {host} --index keep");
        let copied = env.run_line(&copy).success();
        assert!(
            copied.stderr.contains("bundle id sha256:"),
            "{}",
            copied.stderr
        );
        let [packed, copied] = ["packed", "copied"].map(|dir| read(&env.path(dir).join(name)));
        assert!(packed == copied, "{name}");
        let again = env.run_line(&copy).exits(5);
        assert!(again.stderr.contains("--force"), "{}", again.stderr);
    }
}

/// The bundle of every source has the same images.
#[test]
fn every_source_becomes_a_bundle() {
    let env = TestEnv::new();
    put_kinds(&env, "store");
    for line in [
        "pack store --output all.tar",
        "pack store --output parts.tar --volume-size 1M",
        "export store --output layouts",
        "export store --format oci --output oci",
        "export store --format oci-archive --output oci.tar",
    ] {
        env.run_line(line).success();
    }
    let mut first = names(&env, "").into_iter();
    let first = first.find(|name| name.starts_with("parts.001"));
    let first = first.unwrap_or("parts.1.tar".to_owned());
    let from = source(&env);
    let host = from.host().to_owned();
    for (at, text) in [
        "store",
        "all.tar",
        first.as_str(),
        "dir:layouts",
        "oci:oci",
        "oci-archive:oci.tar",
        &format!("{host}/kinds"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("copy {text} out-{at}.tar --index keep");
        env.run_line(&line).success();
        env.run_line(&format!("verify out-{at}.tar")).success();
        let target = TestRegistry::start();
        let line = format!("push out-{at}.tar {}", target.host());
        env.run_line(&line).success();
        for (name, image) in &kinds() {
            let found = target
                .store()
                .resolve_tag(&repository(&format!("kinds/{name}")), &tag("1"));
            assert_eq!(
                found.unwrap().as_ref(),
                Some(image.digest()),
                "{text} {name}"
            );
        }
    }
}

#[test]
fn a_registry_and_a_bundle_are_filled_in_one_go() {
    let env = TestEnv::new();
    let from = source(&env);
    let target = TestRegistry::start();
    let line = format!(
        "copy list.txt --source {} {} bundle:site.tar --index keep",
        from.host(),
        target.host()
    );
    env.run_line(&format!("{line} --dry-run")).success();
    assert!(!exists(&env.path("site.tar")));
    env.run_line(&line).success();
    env.run_line("verify site.tar").success();
    for (name, image) in &kinds() {
        let repository = repository(&format!("kinds/{name}"));
        let found = target.store().resolve_tag(&repository, &tag("1")).unwrap();
        assert_eq!(found.as_ref(), Some(image.digest()), "{name}");
    }
}

#[test]
fn a_cut_line_is_resumed_and_a_line_that_stays_cut_leaves_nothing() {
    let env = TestEnv::new();
    let (_registry, proxy) = large(&env);
    let blobs = || Fault::on("GET", |path| path.contains("/blobs/"));
    let line = |name: &str| {
        let host = proxy.host();
        format!("copy one.txt bundle:out/{name} --source {host} --index keep")
    };
    hod_fsx::create_dir_all(&env.path("out")).unwrap();
    env.run_line(&line("a.tar")).success();
    for name in ["b.tar", "b.tar.zst"] {
        proxy.fail(blobs().once_each().does(Effect::CutBody(1 << 20)));
        proxy.take_passed();
        env.run_line(&line(name)).success();
        let ranges = proxy.passed();
        assert!(
            ranges.iter().any(|passed| passed.range.is_some()),
            "what has come is not fetched again"
        );
        proxy.heal();
        env.run_line(&format!("verify out/{name}")).success();
    }
    proxy.fail(blobs().does(Effect::CutBody(0)));
    for name in ["c.tar", "c.tar.zst"] {
        let failed = env.run_line(&format!("{} --retries 1", line(name)));
        assert_ne!(failed.code, Some(0));
    }
    assert_eq!(names(&env, "out"), ["a.tar", "b.tar", "b.tar.zst"]);
}

#[test]
fn a_killed_copy_leaves_what_the_next_one_removes() {
    let env = TestEnv::new();
    let (_registry, proxy) = large(&env);
    hod_fsx::create_dir_all(&env.path("out")).unwrap();
    let line = format!(
        "copy one.txt bundle:out/site.tar --source {} --index keep",
        proxy.host()
    );
    let is_blob = |path: &str| path.contains("/blobs/");
    proxy.fail(Fault::on("GET", is_blob).does(Effect::StallBody(1 << 20)));
    let mut child = env.hod().args(line.split(' ')).spawn().unwrap();
    proxy.wait_for_stalls(1);
    child.kill().unwrap();
    child.wait().unwrap();
    for name in names(&env, "out") {
        assert!(name.starts_with(".site.tar.partial-"), "{name}");
    }
    proxy.heal();
    env.run_line(&line).success();
    assert_eq!(names(&env, "out"), ["site.tar"]);
}
