//! What a line of a list says of its image means the same with every verb, and takes precedence
//! over the command line.

use std::collections::BTreeSet;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::indexes::IndexBuilder;
use hod_testkit::referrers::about;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{exists, files};

/// The digests of the blobs below a directory, however it is laid out.
fn blobs(env: &TestEnv, dir: &str) -> BTreeSet<String> {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let files = files(&env.path(dir));
    let blobs = files.iter().filter(|path| {
        let path = path.to_string_lossy();
        path.contains("blobs/sha256/")
    });
    let names = blobs.flat_map(|path| path.iter().map(|part| part.to_string_lossy().into_owned()));
    names.filter(|name| is_digest(name)).collect()
}

/// A registry with an image of three platforms and an SBOM, and one with a foreign layer.
fn registry() -> TestRegistry {
    let registry = TestRegistry::start();
    let multi = IndexBuilder::new(200)
        .platform("linux/amd64")
        .platform("linux/arm64")
        .platform("linux/s390x")
        .build();
    registry.add("a/multi:1", &multi);
    let sbom = about(multi.top(), "application/vnd.example.sbom", 450);
    registry.add("a/multi", &sbom);
    let base = layer(900, 4_000, Compression::Gzip);
    let windows = ImageBuilder::docker(910)
        .platform("windows", "amd64")
        .foreign_at(&base, &["https://vendor.example.com/base".to_owned()])
        .layer(&layer(911, 300, Compression::Gzip))
        .build();
    registry.add("a/win:1", &windows);
    // So that the registry has the layer.
    let other = ImageBuilder::docker(912).layer(&base).build();
    registry.add("a/win:2", &other);
    registry
}

#[test]
fn a_line_means_the_same_with_every_verb() {
    let registry = registry();
    let env = TestEnv::in_memory();
    let host = registry.host();
    env.write("all.txt", "a/multi:1\na/win:1\n");
    let all = format!("pull all.txt --store all --source {host} --platform all --foreign-layers");
    let _ = env.run_line(&all).success();
    let mut sets = BTreeSet::new();
    // Each row says all that has another default with `pull`.
    let rows = [
        ("platform=linux/amd64 foreign-layers=no", ""),
        (
            "platform=linux/amd64 foreign-layers=yes",
            "--platform linux/arm64",
        ),
        (
            "platform=linux/amd64,linux/s390x foreign-layers=no",
            "--platform linux/arm64",
        ),
        (
            "platform=all referrers=yes foreign-layers=yes",
            "--no-referrers",
        ),
        ("platform=all referrers=no foreign-layers=yes", ""),
        (
            "platform=linux/amd64,linux/arm64 index=keep foreign-layers=no",
            "--index rewrite",
        ),
        (
            "platform=linux/arm64 index=rewrite foreign-layers=yes",
            "--index keep",
        ),
        (
            "referrers=no foreign-layers=no",
            "--platform linux/arm64 --index rewrite",
        ),
    ];
    for (n, (options, flags)) in rows.into_iter().enumerate() {
        env.write(
            "list.txt",
            format!("a/multi:1 {options}\na/win:1 {options}\n"),
        );
        let run = |line: &str| {
            let _ = env.run_line(&format!("{line} {flags}")).success();
        };
        run(&format!("pull list.txt --store pulled{n} --source {host}"));
        run(&format!("select list.txt --store all --output selected{n}"));
        run(&format!("pack list.txt --store all --output packed{n}.tar"));
        run(&format!(
            "export all --only list.txt --output exported{n} --format oci"
        ));
        let _ = env
            .run_line(&format!("unpack packed{n}.tar --output unpacked{n}"))
            .success();
        let expect = blobs(&env, &format!("pulled{n}"));
        for dir in ["selected", "unpacked", "exported"] {
            let has = blobs(&env, &format!("{dir}{n}"));
            assert_eq!(has, expect, "{dir}: {options} {flags}");
        }
        let target = TestRegistry::start();
        let to = target.host();
        // Registries refuse an index that lists what they lack.
        if !options.contains("index=keep") {
            run(&format!("push all {to} --only list.txt"));
            let pushed = target.store().path().to_owned();
            let pushed: BTreeSet<_> = blobs(&env, &pushed.to_string_lossy());
            assert_eq!(pushed, expect, "push: {options} {flags}");
        }
        sets.insert(expect);
    }
    assert_eq!(sets.len(), rows.len(), "each row carries something else");
}

#[test]
fn a_line_of_a_lock_is_not_contradicted_with_any_verb() {
    let registry = registry();
    let env = TestEnv::new();
    let host = registry.host();
    registry.add("a/one:1", &image(110));
    env.write("list.txt", "a/multi:1\n");
    let pull =
        format!("pull list.txt --store all --source {host} --platform linux/amd64 --lock a.lock");
    let _ = env.run_line(&pull).success();
    let lock = env.read("a.lock");
    // A lock, and one with a line that is not of a lock.
    env.write("mixed.lock", format!("{lock}{host}/a/one:1\n"));
    let one = "pull mixed.lock --store all --platform linux/amd64";
    let _ = env.run_line(one).success();
    for list in ["a.lock", "mixed.lock"] {
        for option in ["--platform linux/arm64", "--no-referrers"] {
            for verb in [
                &format!("pull {list} --store b"),
                &format!("select {list} --store all --output b"),
                &format!("pack {list} --store all --output b.tar"),
                &format!("export all --only {list} --output b --format oci"),
                &format!("push all {host} --only {list}"),
            ] {
                let output = env.run_line(&format!("{verb} {option}")).exits(2);
                let said = format!("`{option}` contradicts the lock: `{list}:1` has");
                assert!(output.stderr.contains(&said), "{verb}: {}", output.stderr);
                assert!(
                    !exists(&env.path("b")) && !exists(&env.path("b.tar")),
                    "{verb}"
                );
            }
        }
        let other = format!("pull {list} --store b --source other.example.com");
        let output = env.run_line(&other).exits(2);
        assert!(output.stderr.contains("contradicts"), "{}", output.stderr);
    }
    // It is for the line that names no registry.
    env.write("open.lock", format!("{lock}a/one:1 b/one:1\n"));
    let open = format!("pull open.lock --store c --source {host} --platform linux/amd64");
    let _ = env.run_line(&open).success();
}
