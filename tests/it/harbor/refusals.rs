//! Harbor's refusals (facts.md 5) when nothing was seen to stand in the way: each is said in one
//! sentence, with what to do.

use insta::assert_snapshot;

use super::{Site, app};
use hod_testkit::env::Output;

use hod_testkit::harbor::{ProjectState, Proxy, Refusal, Role};
use hod_testkit::images::{Compression, ImageBuilder, image, layer};

/// A site with one image to push into `offline`, and what is wrong with the project.
fn site(change: impl FnOnce(&mut ProjectState)) -> Site {
    let site = Site::new();
    site.add("offline/app:1", &app());
    change(site.harbor.state().projects.get_mut("offline").unwrap());
    site
}

/// A site whose Harbor answers like this to some requests.
fn refusing(method: &'static str, path: &'static str, answer: (u16, &str, &str)) -> Site {
    let site = site(|_| ());
    let refusal = Refusal::new(method, path, answer);
    site.harbor.state().refusals.push(refusal);
    site
}

/// What a push says that fails on the way.
#[track_caller]
fn failed(site: &Site) -> String {
    let output = site.push("--no-preflight --retries 0").exits(1);
    site.shown(&output)
}

/// What a pull from the Harbor says that fails.
#[track_caller]
fn not_pulled(site: &Site, line: &str) -> String {
    site.env.write("list.txt", line);
    let host = site.harbor.host();
    let output: Output = site.env.run_line(&format!(
        "pull list.txt --store new --source {host} --retries 0"
    ));
    site.shown(&output)
}

#[test]
fn the_quota_is_used_up() {
    // Before the first byte, since it is full.
    assert_snapshot!(failed(&site(|project| project.limit = Some(0))), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: POST /v2/offline/app/blobs/uploads/ on harbor.corp:443: 403 DENIED: adding 0 B of storage resource, which when updated to current usage of [N] B will exceed the configured upper limit of 0 B. (request req-[ID])

    hint: The storage quota of project `offline` is used up. Raise it in Harbor (Administration, Project
          Quotas), or delete images that are no longer used.
          No image was finished; run the command again to retry.
    ");
    // With the blob.
    let site = site(|project| project.limit = Some(1 << 20));
    let big = ImageBuilder::oci(1)
        .layer(&layer(1, 2 << 20, Compression::Uncompressed))
        .build();
    site.add("offline/app:1", &big);
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/blobs/uploads/[UUID] on harbor.corp:443: 403 DENIED: adding 2098688 B of storage resource, which when updated to current usage of [N] B will exceed the configured upper limit of 1048576 B. (request req-[ID])

    hint: The storage quota of project `offline` is used up. Raise it in Harbor (Administration, Project
          Quotas), or delete images that are no longer used.
          No image was finished; run the command again to retry.
    ");
    // With the manifest.
    let blobs_len = app().blobs_len();
    let site = self::site(|project| project.limit = Some(blobs_len + 10));
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 403 DENIED: adding 694 B of storage resource, which when updated to current usage of [N] B will exceed the configured upper limit of 5961 B. (request req-[ID])

    hint: The storage quota of project `offline` is used up. Raise it in Harbor (Administration, Project
          Quotas), or delete images that are no longer used.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_mount_counts_for_the_quota_too() {
    let site = site(|_| ());
    let members = [("robot$offline+ci", Role::Maintainer)];
    site.harbor.state().add_project("small", &members).limit = Some(100);
    site.add("small/app:1", &app());
    let output = site.push("--no-preflight --retries 0").exits(1);
    let hint = "storage quota of project `small` is used up";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
}

#[test]
fn the_project_is_a_proxy_cache() {
    assert_snapshot!(failed(&site(|project| project.is_proxy = true)), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: POST /v2/offline/app/blobs/uploads/ on harbor.corp:443: 403 DENIED: denied: can not push artifact to a proxy project: offline (request req-[ID])

    hint: `offline` is a proxy cache, which does not accept pushes. Push into another project with
          `--project`.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn harbor_is_in_read_only_mode() {
    let site = site(|_| ());
    site.harbor.state().read_only = true;
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: POST /v2/offline/app/blobs/uploads/ on harbor.corp:443: 403 DENIED: The system is in read only mode. Any modification is prohibited. (request req-[ID])

    hint: `harbor.corp:443` is in read-only mode, as during maintenance. Ask an administrator to end it
          (Configuration, System Settings).
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn the_tag_is_immutable() {
    let site = site(|_| ());
    site.push("").success();
    let immutable = ["1".to_owned()].into();
    site.harbor
        .state()
        .projects
        .get_mut("offline")
        .unwrap()
        .immutable = immutable;
    site.add("offline/app:1", &image(610));
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 412 PRECONDITION: Failed to process request due to 'app:1' configured as immutable. (request req-[ID])

    hint: An immutability rule of project `offline` protects this tag. Push under another tag, or change
          the rule (Policy, Tag Immutability, in the project).
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_policy_keeps_an_image_from_being_pulled() {
    let site = site(|_| ());
    site.push("").success();
    let message = "current image with 12 vulnerabilities cannot be pulled due to configured policy";
    let refusal = Refusal::new(
        "GET",
        "/manifests/",
        (412, "PROJECTPOLICYVIOLATION", message),
    );
    site.harbor.state().refusals.push(refusal);
    assert_snapshot!(not_pulled(&site, "offline/app:1"), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pulled 0 of 1 image; 1 failed
      offline/app:1: GET /v2/offline/app/manifests/1 on harbor.corp:443: 412 PROJECTPOLICYVIOLATION: current image with 12 vulnerabilities cannot be pulled due to configured policy (request req-[ID])

    hint: A policy of project `offline` does not allow pulling this image (because of its
          vulnerabilities, or a missing signature). Check the Configuration of the project in Harbor, or
          choose another version.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn what_is_written_is_being_collected() {
    let message = "the asking blob is in GC, mark it as non existing, request id: x";
    let site = refusing("PUT", "/blobs/uploads/", (404, "NOT_FOUND", message));
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/blobs/uploads/[UUID] on harbor.corp:443: 404 NOT_FOUND: the asking blob is in GC, mark it as non existing, request id: x (request req-[ID])

    hint: The garbage collection of Harbor has marked this content. Run the command again later, in two
          hours at the latest.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_name_has_no_project() {
    assert_snapshot!(not_pulled(&Site::new(), "nginx:1"), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pulled 0 of 1 image; 1 failed
      nginx:1: GET /v2/nginx/manifests/1 on harbor.corp:443: 400 BAD_REQUEST: bad request: invalid repository name: nginx (request req-[ID])

    hint: In Harbor, every image is in a project, and `nginx` names none. Write it as `PROJECT/nginx`.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn an_image_is_not_there() {
    let site = site(|_| ());
    assert_snapshot!(not_pulled(&site, "offline/absent:1"), @r"
    exit code: 5
    --- stdout
    --- stderr
    error: pulled 0 of 1 image; 1 failed
      offline/absent:1: image not found on `harbor.corp:443`

    hint: Check the name and the tag.
    ");
}

#[test]
fn a_manifest_is_none_for_harbor() {
    let site = refusing(
        "PUT",
        "/manifests/",
        (400, "MANIFEST_INVALID", "manifest invalid"),
    );
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 400 MANIFEST_INVALID: manifest invalid (request req-[ID])

    hint: Harbor does not accept this kind of manifest, such as a build cache of BuildKit. Leave the
          image out of the list.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn harbor_does_not_do_this() {
    let message = "the operation is unsupported";
    let site = refusing("PUT", "/manifests/", (400, "UNSUPPORTED", message));
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 400 UNSUPPORTED: the operation is unsupported (request req-[ID])

    hint: Harbor does not offer this, such as deleting a tag. Use its web pages.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn the_storage_has_lost_what_harbor_takes_for_present() {
    let site = refusing(
        "PUT",
        "/manifests/",
        (400, "MANIFEST_BLOB_UNKNOWN", "blob unknown"),
    );
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 400 MANIFEST_BLOB_UNKNOWN: blob unknown (request req-[ID])

    hint: The storage of Harbor has lost parts of the image that its database still lists, as after a
          garbage collection. If this persists, delete `offline/app` in Harbor and push again.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn replicas_do_not_know_of_each_other() {
    let site = refusing(
        "PUT",
        "/manifests/",
        (404, "NOT_FOUND", "artifact not found"),
    );
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 404 NOT_FOUND: artifact not found (request req-[ID])

    hint: Harbor no longer finds a part of the image that was there a moment ago. Check whether its
          replicas share one storage and one Redis.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_proxy_cache_is_limited() {
    let site = site(|_| ());
    let message = "too many requests to upstream";
    let refusal = Refusal::new("GET", "/manifests/", (429, "TOO_MANY_REQUEST", message));
    site.harbor.state().refusals.push(refusal);
    assert_snapshot!(not_pulled(&site, "offline/app:1"), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pulled 0 of 1 image; 1 failed
      offline/app:1: GET /v2/offline/app/manifests/1 on harbor.corp:443: 429 TOO_MANY_REQUEST: too many requests to upstream (request req-[ID])

    hint: `harbor.corp:443`, or the registry behind its proxy cache `offline`, limits the number of
          requests. Wait, and run the command again.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn harbor_fails() {
    let site = refusing(
        "POST",
        "/blobs/uploads/",
        (500, "UNKNOWN", "internal server error"),
    );
    site.add("offline/other:1", &image(610));
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 2 images; 2 failed, all for the same reason
      POST /v2/offline/app/blobs/uploads/ on harbor.corp:443: 500 UNKNOWN: internal server error (request req-[ID])

    hint: Check the log of Harbor's `core` service for the reason, under the id of the request.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn the_core_log_has_the_reason() {
    let site = refusing(
        "PUT",
        "/manifests/",
        (500, "UNKNOWN", "internal server error"),
    );
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: PUT /v2/offline/app/manifests/1 on harbor.corp:443: 500 UNKNOWN: internal server error (request req-[ID])

    hint: Check the log of Harbor's `core` service for the reason, under the id of the request.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_401_is_one_of_three() {
    let two = |site: Site| {
        site.add("absent/app:1", &app());
        site.add("absent/other:1", &image(610));
        site
    };
    // No such project; each project is asked about once.
    let site = two(Site::new());
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 2 images; 2 failed, all for the same reason
      HEAD /v2/absent/app/manifests/1 on harbor.corp:443: 401 Unauthorized (request req-[ID])

    hint: Project `absent` does not exist on `harbor.corp:443`. Create it with `--create-projects`, or
          push into another one with `--project`.
          No image was finished; run the command again to retry.
    ");
    let seen = site.harbor.take_seen();
    let n_asked = seen
        .iter()
        .filter(|seen| seen.path == "/api/v2.0/projects")
        .count();
    assert_eq!(n_asked, 1);
    // No right.
    let site = two(Site::new());
    site.harbor.state().add_project("absent", &[]).public = true;
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 2 images; 2 failed, all for the same reason
      POST /v2/absent/app/blobs/uploads/ on harbor.corp:443: 401 UNAUTHORIZED: unauthorized to access repository: absent/app, action: push (request req-[ID])

    hint: Project `absent` exists, but `robot$offline+ci` may not do this in it. Give `robot$offline+ci`
          the role Developer or, if it is a robot, the permission to push and pull repositories.
          No image was finished; run the command again to retry.
    ");
    // No login.
    let site = two(Site::new());
    site.harbor.state().add_project("absent", &[]).public = true;
    site.log_in("robot$offline+ci", "an-old-secret");
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 2 images; 2 failed, all for the same reason
      `harbor.corp:443` refuses the login of `robot$offline+ci`: 401 Unauthorized

    hint: The login comes from `/tmp/hod-test-[TEST]/home/.docker/config.json`, key `harbor.corp:443`.
          Log in again with `hod login harbor.corp:443`. The secret of a robot is shown only once and
          may have expired, and users that log in by OIDC require their CLI secret. Harbor also answers
          like this while its database is down. The login was not tried again, so that the user is not
          locked out.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn a_session_cookie_comes_from_somewhere() {
    let site = site(|_| ());
    site.harbor.state().proxy = Proxy::AddsCookie;
    assert_snapshot!(failed(&site), @"
    exit code: 1
    --- stdout
    --- stderr
    error: pushed 0 of 1 image; 1 failed
      offline/app:1: POST /v2/offline/app/blobs/uploads/ on harbor.corp:443: 403 FORBIDDEN: CSRF token not found in request (request req-[ID])

    hint: `harbor.corp:443` takes this for the session of a browser: a proxy adds a `sid` cookie, which
          hod never sends. Configure the proxy not to add it.
          No image was finished; run the command again to retry.
    ");
}

#[test]
fn some_fail_for_one_reason() {
    let site = site(|_| ());
    site.add("absent/app:1", &app());
    site.add("absent/other:1", &image(610));
    let output = site.push("--no-preflight").exits(3);
    assert_snapshot!(site.shown(&output), @"
    exit code: 3
    --- stdout
    offline/app:1 sha256:5e572e9a0c87e52b59caf83bd5f0cf838e197da2d152d1e6ba96b9c175f12007
    --- stderr
    error: pushed 1 of 3 images; 2 failed
      absent/app:1: HEAD /v2/absent/app/manifests/1 on harbor.corp:443: 401 Unauthorized (request req-[ID])
        for the same reason: absent/other:1

    hint: Project `absent` does not exist on `harbor.corp:443`. Create it with `--create-projects`, or
          push into another one with `--project`.
          Finished images are kept; run the command again for the rest.
    ");
}
