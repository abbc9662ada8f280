//! The verbs that only look, `ls`, `verify`, `diff`, `why` and `receipt`, over every kind of source.

mod hostile;
mod requests;
mod verifying;

use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, blob_path, manifest_path, path_contains};
use hod_testkit::images::{Compression, Format, Image, ImageBuilder, index, layer};
use hod_testkit::referrers::about;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

/// `acme/api:1`, for one platform, and `acme/web:1`, for two; they share a layer.
pub(crate) struct Site {
    pub(crate) env: TestEnv,
    pub(crate) registry: TestRegistry,
    pub(crate) api: Image,
    pub(crate) web: Image,
}

impl Site {
    /// Has both in `store`, and below the prefix `p` of a registry; `list.txt` names them.
    pub(crate) fn new() -> Self {
        let env = TestEnv::in_memory();
        let registry = TestRegistry::start();
        let shared = layer(1, 3_000, Compression::Gzip);
        let platform = |seed, architecture| {
            ImageBuilder::oci(seed)
                .platform("linux", architecture)
                .layer(&shared)
                .layer(&layer(seed + 1, 900, Compression::Gzip))
                .build()
        };
        let api = platform(10, "amd64");
        let web = index(Format::Oci, &[platform(20, "amd64"), platform(30, "arm64")]);
        let store = env.store("store");
        for (name, image) in [("acme/api:1", &api), ("acme/web:1", &web)] {
            image.put_in(&store, name);
            registry.add(&format!("p/{name}"), image);
        }
        env.write("list.txt", "acme/api:1\nacme/web:1\n");
        Self {
            env,
            registry,
            api,
            web,
        }
    }

    /// `HOST/p`.
    pub(crate) fn place(&self) -> String {
        format!("{}/p", self.registry.host())
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        let output = self.env.run_line(&format!("{line} --json")).success();
        serde_json::from_str(&output.stdout).unwrap()
    }
}

fn names(listed: &Value) -> Vec<String> {
    let images = listed["images"].as_array().unwrap().iter();
    let name = |image: &Value| image["image"].as_str().unwrap().to_owned();
    images.map(name).collect()
}

#[test]
fn every_verb_reads_every_kind() {
    let site = Site::new();
    let env = &site.env;
    env.write("one.txt", "acme/api:1\n");
    for line in [
        "pack store --output all.tar --no-tool",
        "pack store --output all.tar.zst --no-tool",
        "export store --output layouts",
        "export store --format oci --output oci",
        "export store --format oci-archive --output oci.tar",
        "export store --only one.txt --format docker-archive --output saved.tar",
    ] {
        env.run_line(line).success();
    }
    let place = site.place();
    let image = format!("{place}/acme/api:1");
    let image_below = format!("acme/api:1 --source {place}");
    let list = format!("list.txt --source {place}");
    let registry = format!("docker://{place}");
    // The kind, how many images, and whether they have the digests and names of the store.
    for (word, kind, n_images, is_same) in [
        (place.as_str(), "a registry", 2, true),
        (&registry, "a registry", 2, true),
        (&image, "an image", 1, false),
        (&image_below, "an image", 1, false),
        (&list, "a list", 2, true),
        ("store", "a registry tree", 2, true),
        ("store:store", "a registry tree", 2, true),
        ("all.tar", "a bundle", 2, true),
        ("bundle:all.tar", "a bundle", 2, true),
        ("all.tar.zst", "a compressed bundle", 2, true),
        ("layouts", "a directory of `dir:` layouts", 2, true),
        ("dir:layouts", "a directory of `dir:` layouts", 2, true),
        ("oci:oci", "an OCI layout", 2, true),
        (
            "oci-archive:oci.tar",
            "an archive of an OCI layout",
            2,
            true,
        ),
        (
            "docker-archive:saved.tar",
            "a `docker save` archive",
            1,
            false,
        ),
    ] {
        let listed = site.json(&format!("ls {word}"));
        assert_eq!(listed["kind"], kind, "{word}");
        assert_eq!(names(&listed).len(), n_images, "{word}: {listed}");
        let platforms = &listed["images"][0]["platforms"];
        assert_eq!(*platforms, serde_json::json!(["linux/amd64"]), "{word}");

        let verified = site.json(&format!("verify {word}"));
        assert_eq!(verified["kind"], kind, "{word}");
        assert_eq!(verified["problems"], serde_json::json!([]), "{word}");
        assert_eq!(verified["n_images"], n_images, "{word}");

        let (path, flags) = word.split_once(' ').unwrap_or((word, ""));
        let found = site.json(&format!("diff store {path} {flags}"));
        assert_eq!(found["new"]["kind"], kind, "{word}");
        let is_equal = found["images"].as_array().unwrap().is_empty();
        assert_eq!(is_equal, is_same, "{word}: {found}");
        if is_same {
            assert_eq!(found["added"]["blobs"], 0, "{word}");
            assert_eq!(found["removed"]["blobs"], 0, "{word}");
        }

        let digest = listed["images"][0]["digest"].as_str().unwrap();
        let why = site.json(&format!("why {digest} {word}"));
        assert_eq!(why["uses"].as_array().unwrap().len(), 1, "{word}: {why}");

        let receipt = site.json(&format!("receipt {word} --output have.json"));
        assert_eq!(receipt["n_images"], n_images, "{word}: {receipt}");
        if is_same {
            let all = [&site.api, &site.web].into_iter();
            let all: std::collections::BTreeSet<_> = all
                .flat_map(|image| {
                    let manifests = image.manifests.iter().map(|m| m.digest().clone());
                    manifests.chain(image.blobs.iter().map(|blob| blob.digest.clone()))
                })
                .collect();
            assert_eq!(receipt["n_digests"], all.len(), "{word}: {receipt}");
        }
    }
}

#[test]
fn a_layer_at_a_registry_is_explained() {
    let site = Site::new();
    let layer = site.api.top().stored_blobs().nth(2).unwrap().digest.clone();
    let (there, here) = (
        site.json(&format!("why {layer} {}", site.place())),
        site.json(&format!("why {layer} store")),
    );
    assert_eq!(there["diff_id"], here["diff_id"]);
    assert!(there["diff_id"].is_string(), "{there}");
    assert_eq!(there["what"], "a layer");
    // A digest that is nowhere, and one of which there are none.
    let none = "0".repeat(64);
    let _ = site
        .env
        .run_line(&format!("why {none} {}", site.place()))
        .exits(5);
}

#[test]
fn flags_narrow_every_source() {
    let site = Site::new();
    let env = &site.env;
    env.write(
        "web.txt",
        "# none\n##core\nacme/web:1\n##other\nacme/api:1\n",
    );
    let sbom = about(site.web.top(), "x/sbom", 2);
    sbom.put_in(&env.store("store"), "acme/web");
    site.registry.add("p/acme/web", &sbom);
    for line in [
        "pack store --output all.tar --no-tool",
        "pack store --output all.tar.zst --no-tool",
    ] {
        env.run_line(line).success();
    }
    let place = site.place();
    for word in [place.as_str(), "store", "all.tar", "all.tar.zst"] {
        let ls = |flags: &str| site.json(&format!("ls {word} {flags}"));
        for flags in [
            "--only web.txt --section core",
            "--only @web.txt --section core",
        ] {
            let listed = ls(flags);
            assert_eq!(names(&listed).len(), 1, "{word}: {listed}");
            assert!(names(&listed)[0].ends_with("acme/web:1"), "{word}");
        }
        let listed = ls("--only web.txt");
        let platforms = |listed: &Value, at: usize| listed["images"][at]["platforms"].clone();
        assert_eq!(names(&listed).len(), 2, "{word}");
        let web = &listed["images"][0];
        assert_eq!(web["referrers"], 1, "{word}: {listed}");
        let both = serde_json::json!(["linux/amd64", "linux/arm64"]);
        assert_eq!(platforms(&listed, 0), both, "{word}");
        assert_eq!(
            ls("--only web.txt --no-referrers")["images"][0]["referrers"],
            0
        );

        let arm = ls("--only web.txt --section core --platform linux/arm64");
        assert_eq!(
            platforms(&arm, 0),
            serde_json::json!(["linux/arm64"]),
            "{word}"
        );
        let child = site.web.manifests[1].digest().to_string();
        assert_eq!(arm["images"][0]["digest"], child, "{word}");
        let kept = ls("--only web.txt --section core --platform linux/arm64 --index keep");
        assert_eq!(kept["images"][0]["digest"], web["digest"], "{word}");
        let _ = env
            .run_line(&format!("verify {word} --platform linux/amd64"))
            .success();
        // An image for other platforms is not damaged.
        let _ = env
            .run_line(&format!("verify {word} --platform linux/riscv64"))
            .exits(3);
    }
    // Both sides of a comparison are narrowed.
    let found = site.json(&format!(
        "diff all.tar {place} --only web.txt --section core"
    ));
    assert_eq!(found["n_unchanged"], 1);
    assert_eq!(found["new"]["images"], 1);
}

#[test]
fn an_image_that_is_named_and_missing_is_found_missing() {
    let site = Site::new();
    let env = &site.env;
    env.write("more.txt", "acme/api:1\nacme/none:1\n");
    env.write("none.txt", "acme/none:1\n");
    env.run_line("pack store --output all.tar --no-tool")
        .success();
    let place = site.place();
    let list = format!("more.txt --source {place}");
    let bare = format!("none.txt --source {place}");
    let image = format!("{place}/acme/none:1");
    for (word, only) in [
        (place.as_str(), Some("more.txt")),
        ("store", Some("more.txt")),
        ("all.tar", Some("more.txt")),
        (&list, None),
    ] {
        let only = only
            .map(|only| format!("--only {only}"))
            .unwrap_or_default();
        let listed = env.run_line(&format!("ls {word} {only} --json")).exits(3);
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(names(&listed).len(), 1, "{word}: {listed}");
        let damaged = listed["damaged"][0]["image"].as_str().unwrap();
        assert!(damaged.ends_with("acme/none:1"), "{word}: {damaged}");
        let verified = env.run_line(&format!("verify {word} {only}")).exits(4);
        assert!(verified.stdout.contains("acme/none:1"), "{verified:?}");
        let receipt = format!("receipt {word} {only} --output have.json");
        let receipt = env.run_line(&receipt).success();
        assert!(receipt.stderr.contains("none:1: not found"), "{receipt:?}");
    }
    for line in [
        format!("ls {bare}"),
        format!("ls {image}"),
        "ls store --only none.txt".to_owned(),
        format!("why {} {image}", site.api.digest()),
    ] {
        let refused = env.run_line(&line).exits(5);
        assert!(refused.stderr.contains("acme/none:1"), "{refused:?}");
    }
    env.write(
        "quay.txt",
        "quay.io/acme/none:1\nacme/api:1\nacme/api:>=3\n",
    );
    for (line, n_absent) in [
        (format!("all.tar {place} --only more.txt"), [1, 1]),
        (format!("{place} store --only more.txt"), [1, 1]),
        (
            "store all.tar --only more.txt --exit-code".to_owned(),
            [1, 1],
        ),
        ("store all.tar --only quay.txt".to_owned(), [2, 2]),
        (format!("{place} {place} --only quay.txt"), [1, 1]),
        (format!("more.txt none.txt --source {place}"), [1, 1]),
    ] {
        let found = env.run_line(&format!("diff {line} --json")).exits(3);
        assert!(found.stderr.contains("acme/none:1: "), "{line}: {found:?}");
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        let n = |side: &str| found[side]["absent"].as_array().unwrap().len();
        assert_eq!([n("old"), n("new")], n_absent, "{line}: {found}");
    }
    // What one side has is a difference.
    env.write("web.txt", "acme/web:1\n");
    let gone = Fault::on("GET", path_contains("web/manifests")).does(Effect::Status(404));
    site.registry.fail(gone);
    let found = site.json(&format!("diff all.tar {place} --only web.txt"));
    assert_eq!(found["images"][0]["change"], "removed", "{found}");
    site.registry.heal();
    let later = ImageBuilder::oci(90).build();
    later.put_in(&env.store("store"), "library/tool:3.1");
    env.write("tools.txt", "tool:>=3\n");
    for (line, change) in [("all.tar store", "added"), ("store all.tar", "removed")] {
        let found = site.json(&format!("diff {line} --only tools.txt"));
        assert_eq!(found["images"][0]["change"], change, "{line}: {found}");
    }
}

#[test]
fn names_are_compared_as_a_push_gives_them() {
    let site = Site::new();
    let other = TestRegistry::start();
    let hosts = (site.place(), format!("{}/q/r", other.host()));
    site.env
        .run_line(&format!("push store {}", hosts.1))
        .success();
    let found = site.json(&format!("diff {} {}", hosts.0, hosts.1));
    assert_eq!(found["n_unchanged"], 2, "{found}");
    let again = format!("diff {} {} --exit-code", hosts.0, hosts.1);
    let _ = site.env.run_line(&again).success();
    let changed = ImageBuilder::oci(77).build();
    other.add("q/r/acme/api:1", &changed);
    let found = site.json(&format!("diff {} {}", hosts.0, hosts.1));
    assert_eq!(found["images"][0]["image"], "acme/api:1");
    assert_eq!(found["images"][0]["change"], "changed");
    // Of a whole registry the names are its own.
    let found = site.json(&format!("diff store {}", other.host()));
    assert_eq!(found["new"]["images"], 2);
    assert_eq!(found["n_unchanged"], 0);
}

#[test]
fn a_lock_finds_at_a_registry_what_it_locked() {
    let site = Site::new();
    let (env, place) = (&site.env, site.place());
    let target = TestRegistry::start();
    // One platform of an index, two of three in a new index, and all.
    let three = [40, 50, 60].map(|seed| {
        let architecture = match seed {
            40 => "amd64",
            50 => "arm64",
            _ => "s390x",
        };
        ImageBuilder::oci(seed)
            .platform("linux", architecture)
            .build()
    });
    site.registry
        .add("p/acme/three:1", &index(Format::Oci, &three));
    env.write(
        "mixed.txt",
        "acme/api:1\nacme/web:1 platform=linux/arm64\n\
         acme/three:1 platform=linux/amd64,linux/arm64\n",
    );
    for line in [
        format!("pull mixed.txt --store pulled --source {place} --lock images.lock"),
        format!("push pulled {}/q", target.host()),
        format!("verify {}/q --only images.lock", target.host()),
        format!("verify {}/q --only mixed.txt --deep", target.host()),
        "verify pulled --only images.lock".to_owned(),
        format!(
            "diff pulled {}/q --only images.lock --exit-code",
            target.host()
        ),
    ] {
        env.run_line(&line).success();
    }
}

const LOGIN: &str = "ada:secret-word";

fn locked() -> RegistryOptions {
    RegistryOptions {
        auth: Auth::Basic {
            user: "ada".to_owned(),
            password: "secret-word".to_owned(),
        },
        ..RegistryOptions::default()
    }
}

#[test]
fn a_registry_that_lets_nobody_in_is_a_refusal() {
    let site = Site::new();
    let locked = TestRegistry::with(locked());
    locked.add("p/acme/api:1", &site.api);
    site.env.write("api.txt", "acme/api:1\n");
    let host = locked.host();
    let digest = site.api.digest();
    for source in [
        format!("{host}/p"),
        format!("{host}/p --only api.txt"),
        format!("{host}/p/acme/api:1"),
        format!("api.txt --source {host}/p"),
    ] {
        let (word, flags) = source.split_once(' ').unwrap_or((&source, ""));
        for line in [
            format!("ls {source}"),
            format!("verify {source}"),
            format!("diff store {word} {flags}"),
            format!("why {digest} {source}"),
            format!("receipt {source} --output have.json"),
        ] {
            let refused = site.env.run_line(&line).exits(5);
            assert!(refused.stderr.contains("hod login"), "{line}: {refused:?}");
            let login = format!("{line} --creds-stdin");
            let _ = crate::login::run(&site.env, &login, LOGIN, &[]).success();
        }
    }
    // One login is for one registry, and is shown to no other.
    let diff = format!("diff {host}/p {} --creds-stdin", site.place());
    site.registry.take_seen();
    let _ = crate::login::run(&site.env, &diff, LOGIN, &[]).exits(2);
    assert!(site.registry.seen().is_empty());
    let both = format!("diff {host}/p {host}/p/acme --creds-stdin");
    let _ = crate::login::run(&site.env, &both, LOGIN, &[]).success();
}

#[test]
fn a_registry_that_does_not_list_its_images_is_asked_for_those_of_a_list() {
    let site = Site::new();
    for status in [401, 403, 404, 405] {
        site.registry.heal();
        let catalog = Fault::on("GET", path_contains("_catalog")).does(Effect::Status(status));
        site.registry.fail(catalog);
        let place = site.place();
        for line in [
            format!("ls {place}"),
            format!("verify {place}"),
            format!("diff store {place}"),
            format!("receipt {place} --output have.json"),
        ] {
            let refused = site.env.run_line(&line).exits(5);
            assert!(
                refused.stderr.contains("--only LIST"),
                "{line}: {refused:?}"
            );
            let _ = site
                .env
                .run_line(&format!("{line} --only list.txt"))
                .success();
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_missing() {
    let site = Site::new();
    let place = site.place();
    let down = Fault::on("*", path_contains("web/manifests")).does(Effect::Status(500));
    site.registry.fail(down);
    for (line, code) in [
        (format!("ls {place}"), 3),
        (format!("verify {place}"), 3),
        (format!("diff store {place}"), 3),
        (format!("receipt {place} --output have.json"), 3),
    ] {
        let output = site
            .env
            .run_line(&format!("{line} --retries 0"))
            .exits(code);
        assert!(output.stderr.contains("acme/web:1"), "{line}: {output:?}");
    }
    site.registry
        .fail(Fault::on("*", manifest_path).does(Effect::Status(500)));
    for line in [
        format!("ls {place}"),
        format!("verify {place}"),
        format!("diff store {place}"),
        format!("why {} {place}", site.api.digest()),
        format!("receipt {place} --output have.json"),
    ] {
        let _ = site.env.run_line(&format!("{line} --retries 0")).exits(5);
    }
    // No registry at all.
    for word in ["127.0.0.1:1/p", "127.0.0.1:1/p/acme/api:1"] {
        for verb in ["ls", "verify"] {
            let line = format!("{verb} {word} --retries 0");
            let refused = site.env.run_line(&line).exits(5);
            assert!(refused.stderr.contains("nothing was read"), "{refused:?}");
        }
    }
    site.registry.heal();
    // Blobs that the registry does not talk of.
    site.registry
        .fail(Fault::on("HEAD", blob_path).does(Effect::Status(500)));
    let output = site
        .env
        .run_line(&format!("verify {place} --retries 0"))
        .exits(3);
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn images_are_found_under_the_names_that_flags_of_a_push_gave_them() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let (etcd, api, spare) = (
        ImageBuilder::oci(1).build(),
        ImageBuilder::oci(2).build(),
        ImageBuilder::oci(3).build(),
    );
    etcd.put_in(&store, "quay.io/coreos/etcd:3");
    api.put_in(&store, "library/api:1");
    drop(store);
    env.write("list.txt", "quay.io/coreos/etcd:3\napi:1\n");
    let digest = api.digest();
    for flags in [
        "--strip-host",
        "--project offline",
        "--strip-host --project offline",
        "--rename quay.io/*=platform/* --rename library/api=team/api",
    ] {
        let registry = TestRegistry::start();
        let host = registry.host();
        for line in [
            format!("push store {host}/mirror {flags}"),
            format!("copy store store:copied {flags}"),
        ] {
            env.run_line(&line).success();
        }
        let place = format!("{host}/mirror");
        for word in [place.as_str(), "copied"] {
            for line in [
                format!("ls {word} --only list.txt {flags}"),
                format!("verify {word} --only list.txt {flags}"),
                format!("why {digest} {word} --only list.txt {flags}"),
                format!("receipt {word} --only list.txt {flags} --output have.json"),
                format!("diff store {word} {flags} --exit-code"),
                format!("diff store {word} --only list.txt {flags} --exit-code"),
                format!("diff {place} store --only list.txt {flags} --exit-code"),
                format!("diff {place} store {flags} --exit-code --list list.txt"),
            ] {
                env.run_line(&line).success();
            }
            // By their own names they are not there.
            let line = format!("verify {word} --only list.txt");
            env.run_line(&line).exits(4);
            let line = format!("ls {word} {flags}");
            let refused = env.run_line(&line).exits(2);
            assert!(refused.stderr.contains("--only LIST"), "{refused:?}");
        }
        // Another image under a new name is a change, and names its line.
        let stored = registry.store().images().unwrap().images;
        let name = stored
            .iter()
            .find(|image| image.repository.as_str().ends_with("api"));
        registry.add(&format!("{}:1", name.unwrap().repository), &spare);
        let found = site_json(&env, &format!("diff store {place} {flags} --list list.txt"));
        assert_eq!(found["images"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found["images"][0]["change"], "changed", "{found}");
        assert_eq!(found["images"][0]["line"], "list.txt:2", "{found}");
        hod_fsx::remove_file(&env.path("have.json")).unwrap();
        hod_testkit::tree::remove_tree(&env.path("copied")).unwrap();
    }
    // A rule that is about no image is a slip.
    for line in [
        "ls store --only list.txt --rename quay.io/x=y/z",
        "diff store store --rename quay.io/x=y/z",
    ] {
        env.run_line(line).exits(2);
    }
}

fn site_json(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("{line} --json")).success();
    serde_json::from_str(&output.stdout).unwrap()
}
