//! The lock: whatever an image was pulled with, the lock alone gives the same again.

use hod_oci::Digest;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Format, ImageBuilder, image, index, layer};
use hod_testkit::indexes::IndexBuilder;
use hod_testkit::referrers;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{assert_same, registry_tree};

/// What lists have: names with and without a registry, tags, digests, destinations, platforms; and
/// names that a second column cannot have.
fn list(host: &str, pinned: &Digest) -> String {
    let odd = image(130).digest().clone();
    format!(
        "plain:1\n\
         a/one:1\n\
         {host}/a/one:2  team/one\n\
         ##several\n\
         a/multi:1\n\
         {host}/a/multi:1  team/multi:9\n\
         a/nested:1\n\
         a/windows:1\n\
         linux/amd64@{odd}\n\
         ##pinned\n\
         a/one@{pinned}\n\
         a/one:1@{pinned}  team/pinned:1\n"
    )
}

/// A registry with one of everything that flags decide about.
fn registry() -> (TestRegistry, Digest) {
    let registry = TestRegistry::start();
    registry.add("library/plain:1", &image(100));
    registry.add("a/one:1", &image(110));
    registry.add("a/one:2", &image(120));
    registry.add("linux/amd64:1803", &image(130));
    let multi = IndexBuilder::new(200)
        .platform("linux/amd64")
        .attestation(0)
        .platform("linux/arm64")
        .attestation(2)
        .platform("linux/s390x")
        .build();
    registry.add("a/multi:1", &multi);
    let inner = IndexBuilder::new(300)
        .platform("linux/amd64")
        .platform("linux/s390x")
        .build();
    let arm = ImageBuilder::oci(340)
        .platform("linux", "arm64")
        .layer(&layer(341, 200, Compression::Gzip))
        .build();
    registry.add("a/nested:1", &index(Format::Oci, &[arm, inner]));
    let windows = IndexBuilder::new(400)
        .platform("linux/amd64")
        .platform("linux/arm64")
        .platform("windows/amd64:10.0.17763.1")
        .platform("windows/amd64:10.0.20348.1")
        .build();
    registry.add("a/windows:1", &windows);
    for (name, subject) in [
        ("a/one", image(110).top().clone()),
        ("a/multi", multi.top().clone()),
    ] {
        registry.add(
            name,
            &referrers::about(&subject, "application/vnd.example.sbom", 450),
        );
        let tag = referrers::cosign_tag(subject.digest(), "sig");
        registry.add(&format!("{name}:{tag}"), &referrers::signatures(&[460]));
    }
    (registry, image(110).digest().clone())
}

const FLAGS: [&str; 12] = [
    "--platform linux/amd64",
    "--platform linux/arm64",
    "--platform linux/amd64,linux/arm64",
    "--platform linux/amd64 --index rewrite",
    "--platform linux/arm64,linux/amd64 --index rewrite",
    "--platform linux/amd64 --index keep",
    "--platform linux/amd64,linux/arm64 --index keep",
    "--platform all",
    "--platform all --index rewrite",
    "--platform all --no-referrers",
    "--platform linux/amd64,linux/arm64 --no-referrers",
    "--platform linux/amd64 --no-referrers",
];

#[test]
fn the_lock_alone_gives_the_same_store() {
    let (registry, pinned) = registry();
    let env = TestEnv::in_memory();
    let host = registry.host();
    for (n, flags) in FLAGS.iter().enumerate() {
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        env.write("list.txt", list(host, &pinned));
        let first = env
            .run_line(&format!(
                "pull list.txt --store {a} --source {host} {flags} --lock one.lock"
            ))
            .success();
        let second = env
            .run_line(&format!("pull one.lock --store {b} --lock two.lock"))
            .success();
        assert_eq!(env.read("one.lock"), env.read("two.lock"), "{flags}");
        let trees = [&a, &b].map(|store| registry_tree(&env.path(store)));
        assert_same(&trees[0], &trees[1], flags);
        // The flags that made it do no harm, and what a store has is found by it.
        let again = format!("pull one.lock --store {b} --source {host} {flags}");
        let _ = env.run_line(&again).success();
        let selected = format!("select one.lock --store {b} --output tree{n}");
        let _ = env.run_line(&selected).success();
        let trees = [b, format!("tree{n}")].map(|store| registry_tree(&env.path(store)));
        assert_same(&trees[0], &trees[1], flags);
        assert!(!second.stderr.contains("no tag"), "{}", second.stderr);
        assert!(!first.stderr.contains("of the lock"), "{}", first.stderr);
    }
}

#[test]
fn a_windows_version_is_locked() {
    let (registry, _) = registry();
    let env = TestEnv::new();
    let host = registry.host();
    env.write(
        "list.txt",
        "a/windows:1 platform=windows/amd64:10.0.17763,windows/amd64:10.0.20348\n\
         a/windows:1 x/one:1 platform=windows/amd64:10.0.20348\n",
    );
    let _ = env
        .run_line(&format!(
            "pull list.txt --store a --source {host} --lock one.lock"
        ))
        .success();
    let _ = env.run_line("pull one.lock --store b").success();
    let trees = ["a", "b"].map(|store| registry_tree(&env.path(store)));
    assert_same(&trees[0], &trees[1], "windows");
}

#[test]
fn what_the_registry_no_longer_has_fails() {
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    let whole = |builder: IndexBuilder| builder.platform("linux/arm64").build();
    let lacking = IndexBuilder::new(500)
        .platform("linux/amd64")
        .attestation(0);
    let lacking = whole(lacking.missing());
    registry.add("a/multi:1", &lacking);
    env.write("list.txt", "a/multi:1\n");
    let host = registry.host();
    let flags = "--platform all --index rewrite";
    let _ = env
        .run_line(&format!(
            "pull list.txt --store a --source {host} {flags} --lock one.lock"
        ))
        .success();
    // The attestation arrives, and the index of what is there is another one.
    let complete = whole(
        IndexBuilder::new(500)
            .platform("linux/amd64")
            .attestation(0),
    );
    registry.add("a/multi:1", &complete);
    assert_eq!(complete.digest(), lacking.digest());
    let output = env.run_line("pull one.lock --store b").exits(1);
    assert!(
        output.stderr.contains("index=rewrite@sha256:"),
        "{}",
        output.stderr
    );
}

#[track_caller]
fn check_refused(env: &TestEnv, option: &str, line: &str) {
    let output = env
        .run_line(&format!("pull one.lock --store b {option}"))
        .exits(2);
    assert!(
        output.stderr.contains(&format!("`{option}` contradicts")) && output.stderr.contains(line),
        "{}",
        output.stderr
    );
    assert!(hod_fsx::try_stat(&env.path("b")).unwrap().is_none());
}

#[test]
fn options_that_contradict_a_lock_are_refused() {
    let (registry, pinned) = registry();
    let env = TestEnv::new();
    let host = registry.host();
    env.write("list.txt", list(host, &pinned));
    let pull = format!(
        "pull list.txt --store a --source {host} --platform linux/amd64,linux/arm64 --index keep \
         --lock one.lock"
    );
    let _ = env.run_line(&pull).success();
    check_refused(
        &env,
        "--platform linux/arm64",
        "`one.lock:1` has `platform=linux/amd64,linux/arm64`",
    );
    check_refused(&env, "--no-referrers", "`referrers=yes`");
    check_refused(&env, "--index rewrite", "`index=keep`");
    check_refused(
        &env,
        "--source other.example.com",
        &format!("`{host}/library/plain:1@"),
    );
    // One line that agrees does not make up for one that does not.
    let mixed = format!("{}a/windows:1 index=rewrite\n", list(host, &pinned)).replacen(
        "a/windows:1\n",
        "",
        1,
    );
    env.write("mixed.txt", mixed);
    let lock = pull
        .replace("list.txt", "mixed.txt")
        .replace("store a", "store m");
    let _ = env.run_line(&lock).success();
    for has in ["`index=keep`", "`index=rewrite`"] {
        let option = if has == "`index=keep`" {
            "rewrite"
        } else {
            "keep"
        };
        check_refused(&env, &format!("--index {option}"), has);
    }
    let _ = env.run_line(&pull).success();
    // The order of platforms is not a contradiction; nor is what a line leaves open.
    let _ = env
        .run_line("pull one.lock --store b --platform linux/arm64,linux/amd64")
        .success();
    env.write(
        "open.txt",
        format!("{host}/a/one@{pinned} platform=all\n{host}/a/one:1@{pinned}\n"),
    );
    let _ = env
        .run_line("pull open.txt --store c --platform linux/amd64 --no-referrers --index keep")
        .success();
}

#[test]
fn a_registry_that_a_list_cannot_name_is_refused_before_anything() {
    let env = TestEnv::new();
    env.write("list.txt", "a/one:1\n");
    let output = env
        .run_line("pull list.txt --store a --source registry --lock one.lock")
        .exits(2);
    assert!(
        output.stderr.contains("--source registry:443"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_failed_is_missing_from_the_lock_aloud() {
    let env = TestEnv::new();
    let registry = TestRegistry::start();
    registry.add("a/one:1", &image(110));
    env.write("list.txt", "a/none:1\na/one:1\n");
    let host = registry.host();
    let output = env
        .run_line(&format!(
            "pull list.txt --store a --source {host} --platform linux/amd64 --lock one.lock"
        ))
        .exits(3);
    assert!(
        output
            .stderr
            .contains("warning: `one.lock` lacks 1 image, which failed"),
        "{}",
        output.stderr
    );
    let digest = image(110).digest().clone();
    assert_eq!(
        env.read("one.lock"),
        format!("{host}/a/one:1@{digest} a/one:1 platform=linux/amd64 referrers=yes\n")
    );
}

#[test]
fn locks_of_hod_0_1_are_read_with_their_flags() {
    let (registry, _) = registry();
    let env = TestEnv::new();
    let host = registry.host();
    let (one, multi) = (image(110), "linux/amd64,linux/arm64");
    let index = registry
        .store()
        .resolve_tag(&"a/multi".parse().unwrap(), &"1".parse().unwrap())
        .unwrap()
        .unwrap();
    env.write(
        "old.lock",
        format!("a/one:1@{}\na/multi:1@{index}\n", one.digest()),
    );
    let flags = format!("--source {host} --index keep --platform {multi}");
    let _ = env
        .run_line(&format!("pull old.lock --store a {flags}"))
        .success();
}

#[test]
fn columns_that_cannot_be_read_are_refused_with_what_can() {
    let env = TestEnv::new();
    for (line, reason) in [
        (
            "a:1 index=all",
            "`keep`, `rewrite` and `rewrite@DIGEST` are known",
        ),
        (
            "a:1 index=rewrite@sha256:12",
            "digest has 2 of 64 hex characters",
        ),
        ("a:1 index=keep index=keep", "`index=` is given twice"),
        ("a:1 referrers=none", "`yes` and `no` are known"),
        ("a:1 foreign-layers=1", "`yes` and `no` are known"),
        ("a:1 b:1 as=c/d:1", "a destination is given twice"),
        ("a:1 as=A/b", "uppercase letter"),
        ("a:1 index=keep b:1", "unexpected column after `index=`"),
        (
            "--platform=linux/amd64 a:1 b:1 c:1",
            "unexpected third column",
        ),
        (
            "a:1 index=keep\na:1 index=rewrite",
            "is listed at list.txt:1 with other options",
        ),
    ] {
        env.write("list.txt", format!("{line}\n"));
        let output = env.run_line("pull list.txt --store store").exits(2);
        assert!(output.stderr.contains(reason), "{line}: {}", output.stderr);
    }
}
