//! `hod serve BUNDLE`: a registry straight from the file.

use hod_bundle::{Bundle, ReadOptions, Receipt};
use serde_json::json;

use hod_testkit::bundles;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{self, Compression, Image, ImageBuilder, menagerie};
use hod_testkit::programs;
use hod_testkit::referrers::{about, cosign_tag, signatures};
use hod_testkit::served::Served;
use hod_testkit::skopeo;
use hod_testkit::tree::{self, assert_same, registry_tree};
use hod_testkit::zoo::Zoo;

/// A bundle with one of everything, as `zoo/<kind>:1`.
fn packed() -> Zoo {
    let (zoo, _) = Zoo::pulled();
    let _ = zoo.env.run_line("pack store --output zoo.tar").success();
    zoo
}

#[test]
fn every_kind_of_image_comes_out_byte_for_byte() {
    let zoo = packed();
    let served = Served::start(&zoo.env, "zoo.tar");
    for (kind, image) in menagerie() {
        let name = format!("zoo/{kind}");
        let by_tag = served.send("GET", &format!("/v2/{name}/manifests/1"));
        assert_eq!(by_tag.body, *image.top().bytes(), "{kind}");
        for manifest in &image.manifests {
            let target = format!("/v2/{name}/manifests/{}", manifest.digest());
            let (got, head) = (served.send("GET", &target), served.send("HEAD", &target));
            assert_eq!((got.status, head.status), (200, 200), "{kind}");
            assert_eq!(got.body, *manifest.bytes(), "{kind}");
            for header in ["content-type", "content-length", "docker-content-digest"] {
                assert!(got.header(header).is_some(), "{kind}: {header}");
                assert_eq!(got.header(header), head.header(header), "{kind}");
            }
            let media_type = manifest.media_type().as_str();
            assert_eq!(got.header("content-type"), Some(media_type));
        }
        for blob in &image.blobs {
            let target = format!("/v2/{name}/blobs/{}", blob.digest);
            let (got, head) = (served.send("GET", &target), served.send("HEAD", &target));
            assert_eq!((got.status, head.status), (200, 200), "{kind}");
            assert_eq!((got.body, got.is_cut), (blob.bytes.to_vec(), false));
            let len = blob.bytes.len().to_string();
            assert_eq!(head.header("content-length"), Some(len.as_str()), "{kind}");
            // Once it was seen whole, and is not hashed again.
            assert_eq!(served.send("GET", &target).body, blob.bytes, "{kind}");
        }
    }
}

#[test]
fn names_and_tags_are_listed_as_the_unpacked_store_lists_them() {
    let zoo = packed();
    let _ = zoo.env.run_line("unpack zoo.tar --output back").success();
    let (bundle, store) = (
        Served::start(&zoo.env, "zoo.tar"),
        Served::start(&zoo.env, "back"),
    );
    for target in [
        "/v2/",
        "/v2/_catalog",
        "/v2/_catalog?n=3",
        "/v2/_catalog?n=3&last=zoo/oci",
        "/v2/zoo/oci/tags/list",
        "/v2/zoo/oci/tags/list?n=0",
        "/v2/nobody/tags/list",
        "/v2/_catalog?n=x",
    ] {
        let (got, expect) = (bundle.send("GET", target), store.send("GET", target));
        assert_eq!(
            (got.status, got.text(), got.header("link")),
            (expect.status, expect.text(), expect.header("link")),
            "{target}"
        );
    }
    let catalog = bundle.send("GET", "/v2/_catalog").json();
    let n_kinds = menagerie().len();
    assert_eq!(catalog["repositories"].as_array().unwrap().len(), n_kinds);
}

/// A store with one image, packed as `site.tar`.
fn site(image: &Image) -> TestEnv {
    let env = TestEnv::in_memory();
    image.put_in(&env.store("store"), "team/app:1");
    let _ = env.run_line("pack store --output site.tar").success();
    env
}

#[test]
fn a_part_of_a_blob_can_be_had() {
    let image = images::image(1);
    let served_env = site(&image);
    let served = Served::start(&served_env, "site.tar");
    let blob = &image.blobs[1];
    let total = blob.bytes.len();
    let target = format!("/v2/team/app/blobs/{}", blob.digest);
    for (asked, part) in [
        ("bytes=100-".to_owned(), 100..total),
        ("bytes=0-0".to_owned(), 0..1),
        (format!("bytes={}-{total}", total - 1), total - 1..total),
        ("bytes=-7".to_owned(), total - 7..total),
    ] {
        let got = served.range(&target, &asked);
        assert_eq!(
            (got.status, &got.body[..]),
            (206, &blob.bytes[part.clone()])
        );
        let range = format!("bytes {}-{}/{total}", part.start, part.end - 1);
        assert_eq!(got.header("content-range"), Some(range.as_str()));
    }
    let beyond = served.range(&target, &format!("bytes={total}-"));
    assert_eq!(
        (beyond.status, beyond.code().as_str()),
        (416, "RANGE_INVALID")
    );
}

#[test]
fn a_bundle_cannot_be_served_for_writing() {
    let env = TestEnv::in_memory();
    images::image(1).put_in(&env.store("store"), "app:1");
    let _ = env.run_line("pack store --output site.tar").success();
    for flags in [
        "--writable",
        "--writable --allow-delete",
        "--writable --listen :0",
    ] {
        let output = env.run_line(&format!("serve site.tar {flags}")).exits(2);
        assert!(output.stderr.contains("read-only"), "{}", output.stderr);
    }
}

#[test]
fn what_is_not_there_is_said_by_code_and_nothing_is_written() {
    let env = TestEnv::in_memory();
    let (here, other) = (images::image(1), images::image(100));
    let store = env.store("store");
    here.put_in(&store, "team/app:1");
    other.put_in(&store, "team/other:1");
    let _ = env.run_line("pack store --output site.tar").success();
    let before = hod_fsx::stat(&env.path("site.tar")).unwrap();
    let served = Served::start(&env, "site.tar");
    let check = |target: String, expect: &str| {
        let answer = served.send("GET", &target);
        assert_eq!((answer.status, answer.code().as_str()), (404, expect));
        assert_eq!(served.send("HEAD", &target).status, 404, "{target}");
    };
    check("/v2/team/app/manifests/2".to_owned(), "MANIFEST_UNKNOWN");
    check("/v2/nobody/manifests/1".to_owned(), "MANIFEST_UNKNOWN");
    // What other repositories have is not in this one.
    let (manifest, blob) = (other.digest(), &other.blobs[0].digest);
    check(
        format!("/v2/team/app/manifests/{manifest}"),
        "MANIFEST_UNKNOWN",
    );
    check(format!("/v2/team/app/blobs/{blob}"), "BLOB_UNKNOWN");
    // A manifest is no blob.
    check(
        format!("/v2/team/app/blobs/{}", here.digest()),
        "BLOB_UNKNOWN",
    );
    check("/v2/nobody/tags/list".to_owned(), "NAME_UNKNOWN");
    for (method, target) in [
        ("POST", "/v2/team/app/blobs/uploads/".to_owned()),
        ("PUT", "/v2/team/app/manifests/2".to_owned()),
        ("DELETE", "/v2/team/app/manifests/1".to_owned()),
        (
            "POST",
            format!("/v2/team/app/blobs/uploads/?mount={blob}&from=team/other"),
        ),
    ] {
        let answer = served.send(method, &target);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "UNSUPPORTED"),
            "{method} {target}"
        );
    }
    let after = hod_fsx::stat(&env.path("site.tar")).unwrap();
    assert_eq!((after.identity, after.len), (before.identity, before.len));
}

#[test]
fn referrers_are_found_as_in_a_store() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let subject = images::image(1);
    subject.put_in(&store, "team/app:1");
    about(subject.top(), "x/sbom", 2).put_in(&store, "team/app");
    about(subject.top(), "x/seal", 3).put_in(&store, "team/app");
    let tag = cosign_tag(subject.digest(), "sig");
    signatures(&[7]).put_in(&store, &format!("team/app:{tag}"));
    let _ = env.run_line("pack store --output site.tar").success();
    let (bundle, store) = (
        Served::start(&env, "site.tar"),
        Served::start(&env, "store"),
    );
    for query in ["", "?artifactType=x%2Fsbom"] {
        let target = format!("/v2/team/app/referrers/{}{query}", subject.digest());
        let (got, expect) = (bundle.send("GET", &target), store.send("GET", &target));
        assert_eq!((got.status, got.json()), (200, expect.json()), "{query}");
        let n = if query.is_empty() { 2 } else { 1 };
        assert_eq!(got.json()["manifests"].as_array().unwrap().len(), n);
        let filters = "oci-filters-applied";
        assert_eq!(got.header(filters), expect.header(filters));
    }
    let nobody = format!("/v2/nobody/referrers/{}", subject.digest());
    assert_eq!(bundle.send("GET", &nobody).json()["manifests"], json!([]));
    let signature = bundle.send("GET", &format!("/v2/team/app/manifests/{tag}"));
    assert_eq!(signature.status, 200);
}

#[test]
fn hod_pulls_the_same_tree_from_it() {
    let zoo = packed();
    let _ = zoo.env.run_line("unpack zoo.tar --output back").success();
    let served = Served::start(&zoo.env, "zoo.tar");
    let host = &served.host;
    let _ = zoo
        .env
        .run_line(&format!(
            "pull all.txt --store pulled --source {host} --platform all --no-registries-conf"
        ))
        .success();
    assert_same(
        &registry_tree(&zoo.env.path("back")),
        &registry_tree(&zoo.env.path("pulled")),
        "pulled from the bundle",
    );
}

#[test]
fn skopeo_copies_out_of_it() {
    if !programs::are_here(&[skopeo::PROGRAM]) {
        return;
    }
    let zoo = packed();
    let served = Served::start(&zoo.env, "zoo.tar");
    for (kind, image) in menagerie() {
        if !skopeo::takes(kind) {
            continue;
        }
        let from = format!("docker://{}/zoo/{kind}:1", served.host);
        let flags = "--all --preserve-digests --src-tls-verify=false";
        skopeo::copy(&zoo.env, flags, (&from, &format!("dir:{kind}")));
        assert_eq!(
            zoo.env.read(format!("{kind}/manifest.json")).as_bytes(),
            image.top().bytes()
        );
    }
}

/// Changes one byte in the middle of a blob of a bundle.
fn damage(env: &TestEnv, bundle: &str, digest: &hod_oci::Digest) {
    let path = env.path(bundle);
    let opened = Bundle::open(&path, &ReadOptions::default()).unwrap();
    let range = &opened.open_blob(digest).unwrap()[0];
    let mut bytes = tree::read(&path);
    let at = usize::try_from(range.offset + range.len / 2).unwrap();
    bytes[at] ^= 1;
    hod_fsx::write_file(&path, &bytes).unwrap();
}

#[test]
fn a_damaged_blob_is_cut_off_and_not_served_again() {
    // More than the server reads at once.
    let [large, other] = [5, 6].map(|seed| images::layer(seed, 700_000, Compression::Gzip));
    let image = ImageBuilder::oci(1).layer(&large).layer(&other).build();
    let (bad, good) = (large.blob, other.blob);
    let env = site(&image);
    damage(&env, "site.tar", &bad.digest);
    let served = Served::start(&env, "site.tar");
    let target = format!("/v2/team/app/blobs/{}", bad.digest);
    let first = served.send("GET", &target);
    assert_eq!((first.status, first.is_cut), (200, true));
    assert!(first.body.len() < bad.bytes.len());
    let again = served.send("GET", &target);
    assert_eq!((again.status, again.code().as_str()), (500, "UNKNOWN"));
    assert_eq!(served.range(&target, "bytes=5-").status, 500);
    let good = served.send("GET", &format!("/v2/team/app/blobs/{}", good.digest));
    assert_eq!((good.status, good.is_cut), (200, false));
    let said = env.read("serve.log");
    assert!(
        said.contains(bad.digest.as_str()) && said.contains("damaged"),
        "{said}"
    );
    let pulled = env.run_line(&format!(
        "pull {0}/team/app:1 --store pulled --retries 0",
        served.host
    ));
    assert_ne!(pulled.code, Some(0));
}

#[test]
fn a_damaged_manifest_or_file_is_refused_before_anything_is_served() {
    let image = images::image(1);
    let env = site(&image);
    damage(&env, "site.tar", image.digest());
    let refused = env.run_line("serve site.tar --listen 127.0.0.1:0").exits(4);
    assert!(
        refused.stderr.contains(image.digest().hex()),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stdout, "");
}

#[test]
fn volumes_are_served_as_one_and_cut_blobs_are_whole() {
    let env = TestEnv::in_memory();
    let [large, other] = [5, 6].map(|seed| images::layer(seed, 700_000, Compression::Gzip));
    let image = ImageBuilder::oci(1).layer(&large).layer(&other).build();
    image.put_in(&env.store("store"), "team/app:1");
    let _ = env.run_line("pack store --output whole.tar").success();
    let n = bundles::pack_again(&env, ("whole.tar", "site.tar"), |plan| {
        plan.volume_size = Some(300_000);
    });
    assert!(n > 3, "{n}");
    let served = Served::start(&env, "site.002.tar");
    for blob in &image.blobs {
        let target = format!("/v2/team/app/blobs/{}", blob.digest);
        for _ in 0..2 {
            let got = served.send("GET", &target);
            assert_eq!((got.status, got.is_cut), (200, false));
            assert!(got.body == blob.bytes);
        }
        let (from, to) = (blob.bytes.len() / 10, blob.bytes.len() * 9 / 10);
        let part = served.range(&target, &format!("bytes={from}-{}", to - 1));
        assert!(part.status == 206 && part.body == blob.bytes[from..to]);
    }
    hod_fsx::remove_file(&env.path("site.003.tar")).unwrap();
    let refused = env.run_line("serve site.001.tar --listen 127.0.0.1:0");
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("is missing: 3"),
        "{}",
        refused.stderr
    );
    // What is there can be looked at all the same.
    let listed = env.run_line("ls site.001.tar").success();
    assert!(
        listed.stderr.contains("volume 3 not found"),
        "{}",
        listed.stderr
    );
    let why = env
        .run_line(&format!("why {} site.001.tar", large.blob.digest))
        .success();
    assert!(why.stdout.contains("parts in volumes"), "{}", why.stdout);
}

#[test]
fn a_bundle_that_counts_on_its_target_is_refused() {
    let env = TestEnv::in_memory();
    let image = images::image(1);
    image.put_in(&env.store("store"), "team/app:1");
    let _ = env.run_line("pack store --output whole.tar").success();
    let layer = image.top().stored_blobs().last().unwrap().digest.clone();
    bundles::pack_again(&env, ("whole.tar", "delta.tar"), |plan| {
        bundles::leave_out(plan, &layer);
    });
    let serve = "serve delta.tar --listen 127.0.0.1:0 --json";
    let refused = env.run_line(serve).exits(5);
    let document: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(document["verb"], "serve");
    let missing = &document["missing_blobs"];
    assert_eq!(missing.as_array().unwrap().len(), 1);
    assert_eq!(missing[0]["digest"], layer.as_str());
    assert_eq!(missing[0]["images"], serde_json::json!(["team/app:1"]));
    let said = &refused.stderr;
    assert!(
        said.contains("requires 1 blob that it does not contain"),
        "{said}"
    );
    assert!(said.contains("hod bundle merge"), "{said}");
    // What it says to do helps.
    let _ = env
        .run_line("bundle merge whole.tar delta.tar --output merged.tar")
        .success();
    let served = Served::start(&env, "merged.tar");
    let blob = served.send("GET", &format!("/v2/team/app/blobs/{layer}"));
    assert_eq!(blob.status, 200);
    let listed = env.run_line("ls delta.tar --json").success().stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["images"][0]["base_blobs"], 1);
    let len = image.blob(&layer).unwrap().bytes.len();
    assert_eq!(listed["images"][0]["base_bytes"], len);
    let table = env.run_line("ls delta.tar").success().stdout;
    assert!(table.lines().next().unwrap().ends_with("BASE"), "{table}");
    let why = env.run_line(&format!("why {layer} delta.tar")).success();
    assert!(
        why.stdout.contains("the target must have it"),
        "{}",
        why.stdout
    );
    // A receipt claims what is there.
    let _ = env
        .run_line("receipt delta.tar --output have.json")
        .success();
    let receipt = Receipt::parse(env.read("have.json").as_bytes()).unwrap();
    assert!(receipt.has(image.digest()) && !receipt.has(&layer));
    // And both together are what the whole is.
    let same = env
        .run_line("diff whole.tar delta.tar --exit-code")
        .success();
    assert_eq!(same.stdout, "");
}

#[test]
fn a_compressed_bundle_is_refused_with_what_to_do() {
    let env = site(&images::image(1));
    let _ = env.run_line("pack store --output site.tar.zst").success();
    let refused = env.run_line("serve site.tar.zst --listen 127.0.0.1:0");
    insta::assert_snapshot!(refused.snapshot(&[]), @"
    exit code: 2
    --- stdout
    --- stderr
    error: cannot serve from `site.tar.zst`, which is a compressed bundle

    hint: Create a store from it with `hod unpack site.tar.zst --output STORE`, and name that.
    ");
    env.write("other.txt", "no bundle");
    let refused = env.run_line("serve other.txt --listen 127.0.0.1:0");
    insta::assert_snapshot!(refused.snapshot(&[]), @"
    exit code: 2
    --- stdout
    --- stderr
    error: `other.txt` is not a store, registry tree, bundle, layout or archive of images

    hint: A store contains `docker/registry/v2`, a bundle is a `.tar` or `.tar.zst` that `hod pack`
          wrote, a `dir:` layout contains a `manifest.json`, and an OCI layout an `index.json`, as do
          the archives that other tools write.
    ");
}
