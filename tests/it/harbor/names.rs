//! Names at a Harbor: tags that must not change, long names, and pulling back what was pushed.

use super::{Site, app};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::referrers;
use hod_testkit::tree::whole_images;

#[track_caller]
fn says(text: &str, all: &[&str]) {
    let words: Vec<&str> = text.split_whitespace().collect();
    for one in all {
        assert!(words.join(" ").contains(one), "no {one}: {text}");
    }
}

fn set_immutable(site: &Site, project: &str) {
    let immutable = ["**".to_owned()].into();
    let mut state = site.harbor.state();
    state.projects.get_mut(project).unwrap().immutable = immutable;
}

#[test]
fn an_immutable_tag_is_pushed_under_another_as_the_advice_says() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.push("").success();
    set_immutable(&site, "offline");
    site.add("offline/app:1", &image(610));
    let output = site.push("").exits(5);
    says(&output.stderr, &["second column in a list for `--only`"]);
    site.env.write("list.txt", "offline/app:1 offline/app:1b\n");
    site.push("--only list.txt").success();
}

#[test]
fn changed_signatures_under_an_immutable_rule_are_found() {
    let site = Site::new();
    let tag = referrers::cosign_tag(app().digest(), "sig");
    let sign = |seeds: &[u64]| {
        site.add(&format!("offline/app:{tag}"), &referrers::signatures(seeds));
    };
    site.add("offline/app:1", &app());
    sign(&[1]);
    site.push("").success();
    set_immutable(&site, "offline");
    let again = site.push("").success();
    says(&again.stderr, &["unchanged"]);
    sign(&[1, 2]);
    let _ = site.harbor.take_seen();
    let output = site.push("").exits(5);
    says(
        &output.stderr,
        &[
            ".sig is immutable and names other signatures",
            "`--no-referrers`, or exclude `sha256-*`",
        ],
    );
    let seen = site.harbor.take_seen();
    assert!(seen.iter().all(|seen| seen.method != "PUT"));
    site.push("--no-referrers").success();
}

#[test]
fn a_name_that_is_too_long_for_the_registry_behind_it_is_found() {
    let site = Site::fresh();
    site.add("app:1", &app());
    let host = site.harbor.host();
    for (len, code) in [(230, 0), (242, 5)] {
        let project = "p".repeat(len);
        let output = site.env.run_line(&format!(
            "push store {host} --create-projects --project {project} --dry-run"
        ));
        assert_eq!(output.code, Some(code), "{len}: {}", output.stderr);
    }
}

#[test]
fn content_under_other_names_counts_for_the_quota() {
    let site = Site::new();
    let base = layer(1, 2 << 20, Compression::Uncompressed);
    let build = |seed: u64| ImageBuilder::oci(seed).layer(&base).build();
    site.add("offline/first:1", &build(1));
    site.push("").success();
    let used = site.harbor.state().projects["offline"].used();
    let limit = |limit: u64| {
        let mut state = site.harbor.state();
        state.projects.get_mut("offline").unwrap().limit = Some(limit);
    };
    limit(used + (64 << 10));
    site.env.write("list.txt", "offline/second:1\n");
    site.add("offline/second:1", &build(2));
    let _ = site.harbor.take_seen();
    site.push("--only list.txt").success();
    // What was found there is mounted from there.
    let mounts = site.harbor.take_seen().into_iter().filter_map(|seen| {
        let query = seen.query.filter(|query| query.contains("mount="))?;
        Some((query.contains("from=offline/first"), seen.status, query))
    });
    let mounts: Vec<_> = mounts.collect();
    let digest = base.blob.digest.as_str();
    let is_base = |(from_first, status, query): &(bool, u16, String)| {
        (*from_first, *status) == (true, 201) && query.contains(digest)
    };
    assert!(mounts.iter().any(is_base), "{mounts:#?}");
    // What nobody has is too much all the same.
    let other = layer(2, 2 << 20, Compression::Uncompressed);
    let third = ImageBuilder::oci(3).layer(&base).layer(&other).build();
    site.env.write("list.txt", "offline/third:1\n");
    site.add("offline/third:1", &third);
    let output = site.push("--only list.txt").exits(5);
    says(&output.stderr, &["requires up to 2.0 MiB"]);
}

#[test]
fn what_was_pushed_with_a_prefix_is_pulled_back_by_the_same_list() {
    let site = Site::new();
    let host = site.harbor.host().to_owned();
    site.add("library/redis:7", &app());
    site.add("team/app:1", &image(610));
    let env = &site.env;
    env.run_line(&format!("push store {host}/offline/site-a"))
        .success();
    env.write("list.txt", "redis:7\nteam/app:1\n");
    env.run_line(&format!(
        "pull list.txt --store back --source {host}/offline/site-a"
    ))
    .success();
    assert_eq!(
        whole_images(&env.path("back")),
        whole_images(&env.path("store"))
    );
}
