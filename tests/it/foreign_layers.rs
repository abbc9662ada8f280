//! Foreign layers: asked of the registry, then fetched from their URLs, and carried from there on.

use std::sync::atomic::{AtomicUsize, Ordering};

use hod_store::Store;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Compression, Image, ImageBuilder, Layer, layer, repository};
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::registry::TestRegistry;

fn base() -> Layer {
    layer(900, 4_000, Compression::Gzip)
}

/// An image of which the base may be had at these URLs.
fn image(urls: &[String]) -> Image {
    ImageBuilder::docker(910)
        .platform("windows", "amd64")
        .foreign_at(&base(), urls)
        .layer(&layer(911, 300, Compression::Gzip))
        .build()
}

/// A server that has the base at `/base`, and leads to it or astray from elsewhere.
fn vendor() -> Puppet {
    Puppet::start(|_, target| {
        let bytes = base().blob.bytes.to_vec();
        let moved = |to: &str| Reply::status(302, "").header("Location", to);
        Some(match target {
            "/base" | "/base?key=secret" => Reply::ok(bytes),
            "/moved" => moved("/base"),
            "/loop" => moved("/loop"),
            "/inside" => moved("https://169.254.169.254/latest"),
            "/file" => moved("file:///etc/passwd"),
            "/other" => Reply::ok(vec![b'x'; bytes.len()]),
            "/short" => Reply::ok("x"),
            "/endless" => Reply::ok(vec![b'x'; 1000]).endless(),
            _ => return None,
        })
    })
}

fn pull(env: &TestEnv, registry: &TestRegistry, options: &str) -> Output {
    env.write("list.txt", "win/app:1\n");
    let host = registry.host();
    env.run_line(&format!(
        "pull list.txt --store store --source {host} --platform all {options}"
    ))
}

fn has_base(store: &Store, name: &str) -> bool {
    let digest = base().blob.digest;
    store.blob_len(&digest).unwrap().is_some()
        && store.has_layer(&repository(name), &digest).unwrap()
}

#[test]
fn the_urls_are_asked_when_the_registry_lacks_the_layer() {
    let vendor = vendor();
    let host = vendor.host();
    let named = format!("--plain-http {host}");
    #[rustfmt::skip]
    let table = [
        // (URLs, options, whether the layer is carried, what is said)
        (vec![format!("http://{host}/base")], named.as_str(), true, ""),
        (vec![format!("http://{host}/base?key=secret")], &named, true, ""),
        (vec![format!("http://{host}/moved")], &named, true, ""),
        (vec![format!("http://{host}/none"), format!("http://{host}/base")], &named, true, ""),
        (vec!["file:///etc/passwd".to_owned(), format!("http://{host}/base")], &named, true, ""),
        (vec![format!("http://{host}/none")], &named, false, "404"),
        (vec![format!("http://{host}/base")], "", false, "it is plain HTTP"),
        (vec![format!("https://{host}/base")], "", false, "its host is this machine"),
        (vec![format!("https://localhost:{host}/base")], "", false, "it is not a URL"),
        (vec![format!("http://user:secret@{host}/base")], &named, false, "it has a login in it"),
        (vec!["file:///etc/passwd".to_owned()], "", false, "it is not an `https` URL"),
        (vec!["https://169.254.169.254/".to_owned()], "", false, "its host is this machine"),
        (vec![format!("http://{host}/inside")], &named, false, "its host is this machine"),
        (vec![format!("http://{host}/file")], &named, false, "302"),
        (vec![format!("http://{host}/loop")], &named, false, "redirected too often"),
        (vec![format!("http://{host}/other")], &named, false, "sha256"),
        (vec![format!("http://{host}/short")], &named, false, "expected "),
        (vec![format!("http://{host}/endless")], &named, false, "expected "),
    ];
    for (urls, options, is_carried, said) in table {
        let (env, registry) = (TestEnv::new(), TestRegistry::start());
        registry.add("win/app:1", &image(&urls));
        let output = pull(
            &env,
            &registry,
            &format!("--foreign-layers --retries 0 {options}"),
        );
        let what = format!("{urls:?}\n{}", output.stderr);
        assert_eq!(output.code == Some(0), is_carried, "{what}");
        assert!(output.stderr.contains(said), "{what}");
        assert!(!output.stderr.contains("secret"), "{what}");
        let stored = Store::open(&env.path("store")).unwrap();
        assert_eq!(has_base(&stored, "win/app"), is_carried, "{what}");
    }
}

#[test]
fn a_url_that_may_be_reached_later_is_tried_again_whatever_the_next_one_says() {
    let n_asked = AtomicUsize::new(0);
    let vendor = Puppet::start(move |_, target| {
        (target == "/base").then(|| match n_asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::status(503, ""),
            _ => Reply::ok(base().blob.bytes.to_vec()),
        })
    });
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let urls = ["base", "none"].map(|name| format!("http://{}/{name}", vendor.host()));
    registry.add("win/app:1", &image(&urls));
    let options = format!("--foreign-layers --plain-http {}", vendor.host());
    let _ = pull(&env, &registry, &format!("{options} --retries 1")).success();
    assert!(has_base(&env.store("store"), "win/app"));
    assert_eq!(vendor.seen(), ["GET /base", "GET /none", "GET /base"]);
}

#[test]
fn a_url_that_sends_other_bytes_is_blamed_and_gives_way_to_the_next() {
    let vendor = vendor();
    let host = vendor.host();
    let options = format!("--foreign-layers --plain-http {host}");
    let urls = ["other", "base"].map(|name| format!("http://{host}/{name}"));
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("win/app:1", &image(&urls));
    let _ = pull(&env, &registry, &options).success();
    assert!(has_base(&env.store("store"), "win/app"));
    assert_eq!(vendor.seen(), ["GET /other", "GET /base"]);

    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    registry.add("win/app:1", &image(&urls[..1]));
    let output = pull(&env, &registry, &options).exits(4);
    let said = output.stderr.split_whitespace().collect::<Vec<_>>();
    let said = said.join(" ");
    let request = format!("GET /other on {host}: expected `{}`", base().blob.digest);
    assert!(said.contains(&request), "{said}");
    let hint = format!("`{host}`, or a proxy in front of it, serves damaged content");
    assert!(said.contains(&hint), "{said}");
    assert_eq!(vendor.seen()[2..], ["GET /other", "GET /other"]);
}

#[test]
fn a_registry_that_has_the_layer_is_believed_and_nobody_else_asked() {
    let (env, registry, vendor) = (TestEnv::new(), TestRegistry::start(), vendor());
    let url = format!("http://{}/base", vendor.host());
    registry.add("win/app:1", &image(&[url]));
    // Under another image, so that the repository has it.
    let holder = ImageBuilder::docker(920).layer(&base()).build();
    registry.add("win/app:holder", &holder);
    let _ = pull(&env, &registry, "--foreign-layers").success();
    assert!(has_base(&env.store("store"), "win/app"));
    assert_eq!(vendor.seen(), Vec::<String>::new());
}

#[test]
fn a_login_never_goes_to_the_url() {
    let (env, registry, vendor) = (TestEnv::new(), TestRegistry::start(), TestRegistry::start());
    vendor.add(
        "x/base:1",
        &ImageBuilder::docker(920).layer(&base()).build(),
    );
    let url = format!(
        "http://{}/v2/x/base/blobs/{}",
        vendor.host(),
        base().blob.digest
    );
    registry.add("win/app:1", &image(&[url]));
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, vendor.host());
    hod_fsx::write_file(&env.home().join(".docker/config.json"), config.as_bytes()).unwrap();
    let options = format!("--foreign-layers --plain-http {}", vendor.host());
    let _ = pull(&env, &registry, &options).success();
    let seen = vendor.seen();
    assert!(!seen.is_empty());
    for request in seen {
        assert_eq!(request.header("authorization"), None, "{request:?}");
    }
}

#[test]
fn what_is_in_the_store_goes_all_the_way() {
    let (env, registry, vendor) = (TestEnv::new(), TestRegistry::start(), vendor());
    let url = format!("http://{}/base", vendor.host());
    registry.add("win/app:1", &image(&[url]));
    let without = pull(&env, &registry, "").success();
    assert!(
        without
            .stderr
            .contains("note: win/app:1: left out 1 foreign layer")
            && without.stderr.contains("`--foreign-layers`"),
        "{}",
        without.stderr
    );
    assert!(!has_base(&env.store("store"), "win/app"));
    let archive = "export store --format docker-archive --output app.tar";
    let refused = env.run_line(archive).exits(1);
    assert!(
        refused.stderr.contains("--foreign-layers"),
        "{}",
        refused.stderr
    );

    let options = format!(
        "--foreign-layers --plain-http {} --lock one.lock",
        vendor.host()
    );
    let _ = pull(&env, &registry, &options).success();
    assert!(has_base(&env.store("store"), "win/app"));
    let lock = env.read("one.lock");
    assert!(lock.contains(" foreign-layers=yes\n"), "{lock}");
    let again = format!("pull one.lock --store again --plain-http {}", vendor.host());
    let _ = env.run_line(&again).success();
    assert!(has_base(&env.store("again"), "win/app"));

    let _ = env.run_line("verify store").success();
    let _ = env
        .run_line("select list.txt --store store --output tree")
        .success();
    assert!(has_base(&env.store("tree"), "win/app"));
    let _ = env
        .run_line("pack tree --output site.tar --no-tool")
        .success();
    let _ = env.run_line("verify site.tar").success();
    let _ = env.run_line("unpack site.tar --output unpacked").success();
    assert!(has_base(&env.store("unpacked"), "win/app"));
    for source in ["store", "site.tar"] {
        let target = TestRegistry::start();
        let _ = env
            .run_line(&format!("push {source} {}", target.host()))
            .success();
        assert!(has_base(target.store(), "win/app"), "{source}");
    }
    for format in ["dir", "oci", "oci-archive"] {
        let output = format!("export site.tar --format {format} --output out-{format}");
        let _ = env.run_line(&output).success();
        let target = TestRegistry::start();
        let push = format!("push out-{format} {}", target.host());
        let _ = env.run_line(&push).success();
        assert!(has_base(target.store(), "win/app"), "{format}");
    }
    let _ = env.run_line(archive).success();
    let _ = env.run_line("verify app.tar").success();
}

#[test]
fn a_target_that_has_the_manifest_gets_the_layer_that_was_fetched_later() {
    let (env, registry, vendor) = (TestEnv::new(), TestRegistry::start(), vendor());
    let url = format!("http://{}/base", vendor.host());
    registry.add("win/app:1", &image(&[url]));
    let target = TestRegistry::start();
    let push = format!("push store {} --json", target.host());
    let status = |output: &Output| -> String {
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        json["images"][0]["status"].as_str().unwrap().to_owned()
    };
    let _ = pull(&env, &registry, "").success();
    let _ = env.run_line(&push).success();
    assert!(!has_base(target.store(), "win/app"));

    let options = format!("--foreign-layers --plain-http {}", vendor.host());
    let _ = pull(&env, &registry, &options).success();
    let forecast = env.run_line(&format!("{push} --dry-run")).success();
    assert_eq!(status(&forecast), "planned", "{}", forecast.stdout);
    assert!(!has_base(target.store(), "win/app"));
    let pushed = env.run_line(&push).success();
    assert_eq!(status(&pushed), "done", "{}", pushed.stdout);
    assert!(has_base(target.store(), "win/app"));
    let again = env.run_line(&push).success();
    assert_eq!(status(&again), "unchanged", "{}", again.stdout);
}

#[test]
fn an_image_whose_foreign_layer_the_store_lacks_is_not_removed() {
    let (env, registry, vendor) = (TestEnv::new(), TestRegistry::start(), vendor());
    let url = format!("http://{}/base", vendor.host());
    registry.add("win/app:1", &image(&[url]));
    ImageBuilder::docker(930)
        .build()
        .put_in(&env.store("store"), "other:1");
    let options = format!("--foreign-layers --plain-http {}", vendor.host());
    let _ = pull(&env, &registry, &options).success();
    let select = "select list.txt --store store --output tree";
    let _ = env.run_line(&format!("{select} --link copy")).success();
    let stored = env.store("store").blob_path(&base().blob.digest);
    hod_fsx::remove_file(&stored).unwrap();
    env.write("other.txt", "other:1\n");
    let other = select.replace("list.txt", "other.txt");
    let refused = env.run_line(&format!("{other} --replace")).exits(5);
    assert!(
        refused.stderr.contains("win/app:1 (`"),
        "{}",
        refused.stderr
    );
    assert!(has_base(&env.store("tree"), "win/app"));
    // Of an image that stays, too.
    let _ = env.run_line(&format!("{select} --replace")).success();
    assert!(has_base(&env.store("tree"), "win/app"));
}
