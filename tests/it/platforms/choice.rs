//! Children that are told apart by little, and images that are for another platform.

use serde_json::Value;

use super::stored;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::indexes::IndexBuilder;
use hod_testkit::registry::TestRegistry;

/// A registry with the image as `a/multi:1`, a list of it, and the command that pulls it.
fn served(image: &Image) -> (TestEnv, TestRegistry, String) {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("a/multi:1", image);
    env.write("list.txt", "a/multi:1\n");
    let line = format!("pull list.txt --store store --source {}", registry.host());
    (env, registry, line)
}

/// What is said of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// There is one that fits best.
    Clear(usize),
    /// The first of several is taken, and all are told.
    Question(usize),
    Nothing,
}

#[test]
fn a_choice_between_two_is_told() {
    #[track_caller]
    fn check(children: &[&str], wanted: &str, expect: Choice) {
        let start = IndexBuilder::new(1000);
        let add = |builder: IndexBuilder, child: &&str| builder.platform(child);
        let index = children.iter().fold(start, add).build();
        let (env, _registry, line) = served(&index);
        let output = env.run_line(&format!("{line} --platform {wanted}"));
        let about = format!("{wanted} of {children:?}: {}", output.stderr);
        let names_all = || children.iter().all(|child| output.stderr.contains(child));
        let taken = match expect {
            Choice::Nothing => {
                assert!(output.code == Some(1) && names_all(), "{about}");
                return;
            }
            Choice::Clear(at) => at,
            Choice::Question(at) => {
                assert!(names_all(), "{about}");
                at
            }
        };
        assert_eq!(output.code, Some(0), "{about}");
        let digest = stored(&env, "store", "a/multi");
        assert_eq!(digest, index.top().children()[taken].digest, "{about}");
        let is_question = matches!(expect, Choice::Question(_));
        assert_eq!(output.stderr.contains("warning: "), is_question, "{about}");
        // The second run takes the same, and says so for programs.
        let again = env
            .run_line(&format!("{line} --platform {wanted} --json"))
            .success();
        let document: Value = serde_json::from_str(&again.stdout).unwrap();
        let image = &document["images"][0];
        assert_eq!(image["digest"], digest.as_str(), "{about}");
        assert_eq!(image["warnings"].is_array(), is_question, "{about}");
    }
    let windows = [
        "windows/amd64:10.0.17763.6",
        "windows/amd64:10.0.20348.2",
        "windows/amd64:10.0.26100.1",
    ];
    check(&windows, "windows/amd64", Choice::Question(0));
    check(&windows, "windows/amd64:10.0.20348", Choice::Clear(1));
    check(&windows, "windows/amd64:10.0.26100.1", Choice::Clear(2));
    check(&windows, "windows/amd64:10.0.2034", Choice::Nothing);
    check(&windows, "linux/amd64", Choice::Nothing);
    check(
        &["linux/amd64", "linux/amd64"],
        "linux/amd64",
        Choice::Question(0),
    );
    let arm = ["linux/arm/v6", "linux/arm/v7"];
    check(&arm, "linux/arm", Choice::Question(0));
    check(&arm, "linux/arm/v7", Choice::Clear(1));
    // What is exactly as asked for is not a question.
    check(
        &["linux/amd64/v3", "linux/amd64"],
        "linux/amd64",
        Choice::Clear(1),
    );
    check(
        &["linux/arm64/v8", "linux/amd64"],
        "linux/arm64",
        Choice::Clear(0),
    );
}

#[test]
fn a_line_chooses_by_the_version_of_the_system_too() {
    let index = IndexBuilder::new(1000)
        .platform("windows/amd64:10.0.17763.6")
        .platform("windows/amd64:10.0.20348.2")
        .build();
    let (env, _registry, line) = served(&index);
    env.write("list.txt", "a/multi:1 platform=windows/amd64:10.0.20348\n");
    let _ = env.run_line(&line).success();
    let second = &index.top().children()[1].digest;
    assert_eq!(stored(&env, "store", "a/multi"), *second);
}

#[test]
fn a_child_without_a_platform_has_one_in_its_configuration() {
    #[track_caller]
    fn check(index: &Image, wanted: &str, expect: Option<usize>) {
        let (env, _registry, line) = served(index);
        let output = env.run_line(&format!("{line} --platform {wanted}"));
        let code = Some(i32::from(expect.is_none()));
        assert_eq!(output.code, code, "{wanted}: {}", output.stderr);
        let Some(expect) = expect else { return };
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);
        let child = &index.top().children()[expect].digest;
        let has = env
            .store("store")
            .has_revision(&"a/multi".parse().unwrap(), child);
        assert!(has.unwrap(), "{wanted}");
        let is_one = !wanted.contains(',');
        assert_eq!(
            stored(&env, "store", "a/multi") == *child,
            is_one,
            "{wanted}"
        );
    }
    let alone = IndexBuilder::new(1000).child("linux/amd64", None).build();
    check(&alone, "linux/amd64", Some(0));
    check(&alone, "linux/arm64", None);
    let empty = IndexBuilder::new(1000)
        .child("linux/amd64", Some("/"))
        .build();
    check(&empty, "linux/amd64", Some(0));
    let mixed = IndexBuilder::new(1000)
        .child("linux/arm64", None)
        .platform("linux/amd64")
        .build();
    check(&mixed, "linux/amd64", Some(1));
    check(&mixed, "linux/arm64", Some(0));
    check(&mixed, "linux/amd64,linux/arm64", Some(0));
    check(&mixed, "linux/amd64,linux/s390x", None);
    // What need not be read is not missed.
    let lost = IndexBuilder::new(1000)
        .child("linux/arm64", None)
        .missing()
        .platform("linux/amd64")
        .build();
    check(&lost, "linux/amd64", Some(1));
    check(&lost, "linux/arm64", None);
}

#[test]
fn the_index_says_the_variant_where_the_configuration_does_not() {
    let index = IndexBuilder::new(1000)
        .child("linux/arm", Some("linux/arm/v6"))
        .child("linux/arm", Some("linux/arm/v7"))
        .build();
    let (env, _registry, line) = served(&index);
    for wanted in ["linux/arm/v7", "linux/arm/v6"] {
        let line = format!("{line} --platform {wanted} --strict-platform");
        let output = env.run_line(&line).success();
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    }
}

/// Two images without an index, one of them for another platform than the command asks for.
fn two() -> (TestEnv, TestRegistry, String) {
    let amd = ImageBuilder::oci(10).layer(&layer(11, 90, Compression::Gzip));
    let arm = ImageBuilder::oci(20).platform("linux", "arm64");
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("a/amd:1", &amd.build());
    registry.add("a/arm:1", &arm.build());
    env.write("list.txt", "a/amd:1\na/arm:1\n");
    let line = format!(
        "pull list.txt --store store --source {} --platform linux/arm64",
        registry.host()
    );
    (env, registry, line)
}

#[test]
fn a_dry_run_warns_of_what_the_run_warns_of() {
    let (env, _registry, line) = two();
    let warning = "the image is for linux/amd64 only, not for linux/arm64";
    for line in [
        &format!("{line} --dry-run"),
        &line,
        &format!("{line} --dry-run"),
        &line,
    ] {
        let output = env.run_line(line).success();
        let lines = output.stderr.lines();
        let warnings: Vec<&str> = lines.filter(|line| line.starts_with("warning: ")).collect();
        assert_eq!(warnings, [format!("warning: a/amd:1: {warning}")]);
    }
    let json = env
        .run_line(&format!("{line} --json --report report.xml"))
        .success();
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["images"][0]["warnings"][0], warning);
    assert!(env.read("report.xml").contains(warning));
}

#[test]
fn an_image_of_another_platform_fails_where_that_is_wanted() {
    let (env, registry, line) = two();
    for flags in ["--dry-run", ""] {
        let output = env
            .run_line(&format!("{line} --strict-platform {flags}"))
            .exits(3);
        let text = "a/amd:1: the image is for linux/amd64 only, not for linux/arm64";
        assert!(output.stderr.contains(text), "{}", output.stderr);
    }
    let _ = env.run_line("verify store").success();
    // Every verb that reads a store or a bundle says the same of it.
    for line in [
        line.as_str(),
        "pack store --output b.tar --no-tool",
        "pack store --output b.tar.zst --no-tool",
    ] {
        let _ = env.run_line(line).success();
    }
    let (host, strict) = (registry.host(), "--platform linux/amd64 --strict-platform");
    for source in ["store", "b.tar", "b.tar.zst"] {
        for verb in [
            format!("push {source} {host}/copy"),
            format!("export {source} --output layouts-{source}"),
        ] {
            let output = env.run_line(&format!("{verb} {strict}")).exits(3);
            let text = "a/arm:1: the image is for linux/arm64 only, not for linux/amd64";
            assert!(output.stderr.contains(text), "{verb}: {}", output.stderr);
        }
    }
    let select = format!("select list.txt --store store --output tree {strict}");
    let _ = env.run_line(&select).exits(3);
    let pack = format!("pack store --output some.tar --no-tool {strict}");
    let _ = env.run_line(&pack).exits(3);
    // One of two is not both.
    let both = "--platform linux/amd64,linux/arm64 --strict-platform";
    for line in [
        format!("export b.tar --output both-layouts {both}"),
        format!("export layouts-store --output both-copies {both}"),
        format!("select list.txt --store store --output both-tree {both}"),
        format!("unpack b.tar --output no {both}"),
    ] {
        let output = env.run_line(&line).exits(1);
        let text = "the image is for linux/amd64 only, not for linux/arm64";
        let other = "the image is for linux/arm64 only, not for linux/amd64";
        let says = output.stderr.contains(text) || output.stderr.contains(other);
        assert!(says, "{line}: {}", output.stderr);
    }
    // This does all or nothing.
    let unpack = format!("unpack b.tar --output no {strict}");
    let _ = env.run_line(&unpack).exits(1);
    assert!(!env.path("no").exists());
}

#[test]
fn a_platform_that_is_misspelt_is_refused_before_anything() {
    let (env, registry, _) = two();
    let line = format!("pull list.txt --store store --source {}", registry.host());
    for (text, meant) in [("linux/amd65", "linux/amd64"), ("amd64", "linux/amd64")] {
        let output = env.run_line(&format!("{line} --platform {text}")).exits(2);
        let expected = format!("did you mean `{meant}`?");
        assert!(output.stderr.contains(&expected), "{}", output.stderr);
        env.write("bad.txt", format!("a/amd:1 platform={text}\n"));
        let output = env.run_line(&line.replace("list.txt", "bad.txt")).exits(2);
        let expected = format!("Did you mean `platform={meant}`?");
        assert!(output.stderr.contains(&expected), "{}", output.stderr);
    }
    assert!(registry.seen().is_empty());
}
