//! How few tokens a push takes, and how long they are.

use std::collections::BTreeMap;

use super::push::n_tokens;
use super::{Site, app};
use hod_testkit::images::image;
use hod_testkit::registry::Seen;
use hod_testkit::tree::whole_images;

/// How often each scope was asked for.
fn scopes(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut scopes = BTreeMap::new();
    let tokens = seen.iter().filter(|seen| seen.path == "/service/token");
    for query in tokens.filter_map(|seen| seen.query.as_deref()) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        for (_, scope) in pairs.filter(|(name, _)| *name == "scope") {
            *scopes.entry(scope.to_owned()).or_default() += 1;
        }
    }
    scopes
}

fn longest_header(seen: &[Seen]) -> usize {
    let headers = seen.iter().flat_map(|seen| seen.headers.values());
    headers
        .map(axum::http::HeaderValue::len)
        .max()
        .unwrap_or_default()
}

#[test]
fn forty_projects_take_few_tokens_and_each_scope_is_asked_for_once() {
    let site = Site::fresh();
    for n in 0..40 {
        site.harbor
            .state()
            .add_project(&format!("team-{n:02}"), &[]);
        site.add(&format!("team-{n:02}/some/app:1"), &image(1000 + 10 * n));
    }
    site.push("").success();
    let seen = site.harbor.take_seen();
    // One of them asks whether the login is taken at all.
    assert!(n_tokens(&seen) <= 4, "{}", n_tokens(&seen));
    let scopes = scopes(&seen);
    assert_eq!(scopes.len(), 40);
    assert!(scopes.values().all(|&n| n == 1), "{scopes:#?}");
    assert!(longest_header(&seen) <= 4096, "{}", longest_header(&seen));
}

#[test]
fn a_blob_is_mounted_into_forty_projects_with_few_tokens() {
    let site = Site::fresh();
    for n in 0..40 {
        site.harbor
            .state()
            .add_project(&format!("team-{n:02}"), &[]);
        site.add(&format!("team-{n:02}/some/app:1"), &app());
    }
    site.push("").success();
    let seen = site.harbor.take_seen();
    assert!(n_tokens(&seen) <= 6, "{}", n_tokens(&seen));
    assert!(longest_header(&seen) <= 4096, "{}", longest_header(&seen));
}

#[test]
fn long_names_do_not_make_tokens_too_long() {
    let site = Site::fresh();
    let long = "n".repeat(60);
    for n in 0..30 {
        let project = format!("team-{n:02}");
        site.harbor.state().add_project(&project, &[]);
        let name = format!("{project}/{long}/{long}/{long}/app:1");
        site.add(&name, &image(1000 + 10 * n));
    }
    site.push("").success();
    let seen = site.harbor.take_seen();
    assert!(longest_header(&seen) <= 4096, "{}", longest_header(&seen));
    assert!(seen.iter().all(|seen| seen.status != 400));
    assert_eq!(whole_images(site.harbor.store().path()).len(), 30);
}

#[test]
fn a_proxy_that_takes_short_headers_only_is_heeded() {
    let site = Site::fresh();
    for n in 0..12 {
        let project = format!("team-{n:02}");
        site.harbor.state().add_project(&project, &[]);
        site.add(&format!("{project}/app:1"), &image(1000 + 10 * n));
    }
    site.harbor.state().header_len_max = 1800;
    site.push("").success();
    assert_eq!(whole_images(site.harbor.store().path()).len(), 12);
    let seen = site.harbor.take_seen();
    let n_refused = seen.iter().filter(|seen| seen.status == 400).count();
    // As many as were under way with the token.
    assert!((1..=16).contains(&n_refused), "{n_refused}");
}
