//! Deleting at Harbor: its rules, its rights, and its own way to delete a tag alone.

use serde_json::{Value, json};

use hod_testkit::harbor::{Kind, Role};
use hod_testkit::images::{Format, ImageBuilder, image, index};

use crate::harbor::Site;

/// A Harbor with a project of two images, one of which has two tags.
fn site() -> Site {
    let site = Site::new();
    site.add("offline/a/api:1.0", &image(1));
    site.add("offline/a/api:latest", &image(1));
    site.add("offline/a/api:2.0", &image(2));
    site.push("").success();
    site.harbor.take_seen();
    site
}

fn delete(site: &Site, tag: &str, flags: &str) -> hod_testkit::env::Output {
    let host = site.harbor.host();
    let line = format!("delete {host}/offline/a/api:{tag} {flags}");
    site.env.run_line(&line)
}

#[test]
fn an_artifact_goes_with_its_tags() {
    let site = site();
    let done = delete(&site, "1.0", "--yes --json").success();
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["images"][0]["also_tags"], json!(["latest"]));
    let seen = site.harbor.take_seen();
    let tags = seen.iter().filter(|seen| seen.path.ends_with("/tags/list"));
    assert_eq!(tags.count(), 0, "Harbor's database knows");
    let _ = delete(&site, "latest", "--yes").exits(1);
    let _ = delete(&site, "2.0", "--dry-run").success();
}

#[test]
fn a_tag_alone_is_deleted_by_the_api() {
    let site = site();
    delete(&site, "1.0", "--tag-only --yes").success();
    let _ = delete(&site, "1.0", "--dry-run").exits(1);
    delete(&site, "latest", "--dry-run").success();
}

#[test]
fn its_refusals_are_explained() {
    let site = site();
    let project = |site: &Site, tag: &str| {
        let mut state = site.harbor.state();
        let project = state.projects.get_mut("offline").unwrap();
        project.immutable.insert(tag.to_owned());
    };
    project(&site, "latest");
    for (tag, flags) in [("1.0", "--yes"), ("latest", "--yes --tag-only")] {
        let output = delete(&site, tag, flags).exits(1);
        assert!(
            output.stderr.contains("immutability rule"),
            "{}",
            output.stderr
        );
    }
    let children = ["amd64", "arm64"]
        .map(|architecture| ImageBuilder::oci(7).platform("linux", architecture).build());
    site.add("offline/a/api:3", &index(Format::Oci, &children));
    site.add("offline/a/api:3-amd64", &children[0]);
    let list = site
        .env
        .write("new.txt", "offline/a/api:3\noffline/a/api:3-amd64\n");
    site.push(&format!("--only {}", list.display())).success();
    let output = delete(&site, "3-amd64", "--yes").exits(1);
    assert!(
        output.stderr.contains("Delete the index"),
        "{}",
        output.stderr
    );
    site.harbor.state().read_only = true;
    let output = delete(&site, "2.0", "--yes").exits(1);
    assert!(
        output.stderr.contains("read-only mode"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_developer_may_not_delete() {
    let site = site();
    site.harbor.add_account(Kind::User, "dev", "s3cret");
    let members = [("dev", Role::Developer)];
    site.harbor.state().add_project("other", &members);
    site.log_in("dev", "s3cret");
    site.add("other/api:1", &image(4));
    let list = site.env.write("other.txt", "other/api:1\n");
    site.push(&format!("--only {}", list.display())).success();
    let host = site.harbor.host();
    let line = format!("delete {host}/other/api:1 --yes");
    let output = site.env.run_line(&line).exits(1);
    assert!(
        output.stderr.contains("role Maintainer"),
        "{}",
        output.stderr
    );
}
