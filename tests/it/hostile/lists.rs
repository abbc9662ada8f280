//! Lists that nobody wrote by hand.

use hod_testkit::env::TestEnv;
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::tree;

/// Checks that the list is refused as unreadable, with `name` said, and nothing is touched.
#[track_caller]
fn check(bytes: &[u8], name: &str) {
    let env = TestEnv::in_memory();
    let registry = TestRegistry::start();
    drop(env.store("store"));
    env.write("evil.txt", bytes);
    let before = tree(&env.work());
    let host = registry.host();
    for line in [
        format!("pull evil.txt --source {host} --store new"),
        "select evil.txt --store store --output new".to_owned(),
        "pack evil.txt --store store --output new.tar".to_owned(),
        format!("push store {host} --only evil.txt"),
        "export store --output new --only evil.txt".to_owned(),
    ] {
        let output = env.run_line(&line).exits(2);
        let text = &output.stderr;
        assert!(text.contains("evil.txt"), "{line}: {text}");
        assert!(text.contains(name), "{line}: {text}");
        assert!(
            text.len() < 100_000,
            "{line}: {} bytes are said",
            text.len()
        );
        let is_clean = |c: char| !c.is_control() || c == '\n';
        assert!(text.chars().all(is_clean), "{line}: {text:?}");
    }
    assert_eq!(tree(&env.work()), before);
    assert!(registry.seen().is_empty());
}

#[test]
fn names_that_would_leave_the_store_are_refused() {
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "app/../../evil:1",
        "app/..:1",
        "..",
        ".",
        "app:../1",
        "app:..",
        "app@sha256:../../../../etc/passwd",
        "localhost:5000/../evil",
        "_manifests/tags",
        "app//evil",
        "app/./evil",
        "good:1 ../evil",
        "good:1 /evil:1",
        "good:1 app/_layers:1",
        "app\\..\\evil",
    ] {
        let at_fault = name.rsplit(' ').next().unwrap();
        let shown = at_fault.rsplit('\\').next().unwrap();
        check(format!("{name}\n").as_bytes(), shown);
    }
}

#[test]
fn what_is_no_text_is_refused() {
    check(b"\xff\xfe\x00\x01", "line 1");
    check(b"\xff\xfe\x00", "UTF-16");
    check(b"a:1\n\xff\x00", "line 2 is not UTF-8");
    check(b"app:1\0\n", "line 1");
    check(b"app:\x1b[31m1\n", "line 1");
    check(b"a\x07pp:1\n", "line 1");
    check(&vec![b'a'; 300_000], "line 1");
    check(&b"a b c d e f\n".repeat(5_000), "line");
    check(&b"UPPER/case\n".repeat(5_000), "line");
}

#[test]
fn a_list_without_images_is_refused() {
    check(b"", "names no image");
    check(b"# nothing\n\n", "names no image");
    check(b"##section\n", "names no image");
}
