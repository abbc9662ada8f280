//! A Harbor whose database is down: it answers 401, as for a password that is wrong.

use super::push::n_tokens;
use super::{Site, app};
use hod_testkit::faults::{manifest_path, upload_path};
use hod_testkit::harbor::{Begins, Role};
use hod_testkit::images::image;
use hod_testkit::registry::Seen;
use hod_testkit::tree::whole_images;

/// Pushes three images, and stops the database for `n` requests when the first blob is sent.
#[track_caller]
fn survives(n: usize, begins: Begins) -> Vec<Seen> {
    let site = Site::new();
    for n in 0..3 {
        site.add(&format!("offline/app-{n}:1"), &image(600 + 10 * n));
    }
    site.harbor.state().stop_database_at(begins, n);
    site.push("--jobs 1").success();
    assert_eq!(site.harbor.state().n_without_database, 0);
    assert_eq!(whole_images(site.harbor.store().path()).len(), 3);
    site.harbor.take_seen()
}

#[test]
fn a_short_outage_of_the_database_is_survived() {
    let starts = |seen: &Seen| seen.method == "POST" && upload_path(&seen.path);
    let puts_blob = |seen: &Seen| seen.method == "PUT" && upload_path(&seen.path);
    let puts_manifest = |seen: &Seen| seen.method == "PUT" && manifest_path(&seen.path);
    let asks = |seen: &Seen| seen.method == "HEAD" && seen.path.contains("/blobs/");
    let begins: [Begins; 4] = [starts, puts_blob, puts_manifest, asks];
    for begins in begins {
        // Two answers of the registry, and a token for nobody in between.
        let seen = survives(3, begins);
        assert!(n_tokens(&seen) >= 2, "{seen:#?}");
    }
}

#[test]
fn rights_that_are_missing_are_no_outage() {
    let site = Site::new();
    site.add("theirs/app:1", &app());
    let members = [("robot$offline+ci", Role::Guest)];
    site.harbor.state().add_project("theirs", &members);
    let output = site.push("--no-preflight").exits(1);
    assert!(
        output.stderr.contains("may not do this in it"),
        "{}",
        output.stderr
    );
    let seen = site.harbor.take_seen();
    let starts = |seen: &&Seen| seen.method == "POST" && upload_path(&seen.path);
    // Each blob is refused with the token it has, and with those that others fetch meanwhile.
    assert!(seen.iter().filter(starts).count() <= 4 * app().blobs.len());
}

#[test]
fn a_database_that_is_down_from_the_start_is_named() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.harbor.state().n_without_database = usize::MAX;
    let host = site.harbor.host();
    let says = "Harbor also answers like this while its database is down";
    let runs = [
        (site.push(""), 5),
        (site.push("--no-preflight"), 1),
        (site.env.run_line(&format!("doctor {host}")), 1),
        (
            crate::login::run(
                &site.env,
                &format!("login {host} --username robot$offline+ci --password-stdin"),
                "s3cret",
                &[],
            ),
            5,
        ),
    ];
    for (output, code) in runs {
        assert_eq!(output.code, Some(code), "{}", output.stderr);
        // Wrapped to the width of the screen.
        let words: Vec<&str> = output.stderr.split_whitespace().collect();
        let all = format!("{} {}", words.join(" "), output.stdout);
        let all: Vec<&str> = all.split_whitespace().collect();
        assert!(all.join(" ").contains(says), "{}", output.stderr);
    }
}

#[test]
fn a_pull_without_a_login_is_told_of_the_database() {
    let site = Site::new();
    site.add("offline/app:1", &app());
    site.push("").success();
    let mut state = site.harbor.state();
    state.projects.get_mut("offline").unwrap().public = true;
    drop(state);
    hod_fsx::write_file(&site.env.home().join(".docker/config.json"), b"{}").unwrap();
    let list = site.env.path("list.txt");
    let host = site.harbor.host();
    hod_fsx::write_file(&list, format!("{host}/offline/app:1\n").as_bytes()).unwrap();
    // Three answers, and then it is back.
    site.harbor.state().n_without_database = 3;
    site.env.run_line("pull list.txt --store s").success();
    assert_eq!(site.harbor.state().n_without_database, 0);
}
