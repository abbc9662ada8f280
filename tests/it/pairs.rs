//! Every kind of end as a source and as a target of `hod copy`.

use std::collections::BTreeMap;

use serde_json::Value;

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Compression, Format, Image, ImageBuilder, image, index, layer};
use hod_testkit::referrers::about;
use hod_testkit::registry::TestRegistry;

/// The kinds of ends; a name that is not `registry` is a transport too.
const KINDS: [&str; 7] = [
    "registry",
    "store",
    "bundle",
    "dir",
    "oci",
    "oci-archive",
    "docker-archive",
];

/// One image of each shape.
fn shapes() -> [(&'static str, Image); 4] {
    let amd = ImageBuilder::oci(300)
        .layer(&layer(301, 4_000, Compression::Gzip))
        .build();
    let arm = ImageBuilder::oci(310)
        .platform("linux", "arm64")
        .layer(&layer(311, 3_000, Compression::Zstd))
        .build();
    let oci = ImageBuilder::oci(320)
        .layer(&layer(321, 2_000, Compression::Gzip))
        .build();
    [
        ("schema2", image(330)),
        ("index", index(Format::Oci, &[amd, arm])),
        ("oci", oci.clone()),
        ("signed", oci),
    ]
}

/// What an end has of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Has {
    digest: String,
    platforms: Vec<String>,
    n_referrers: u64,
}

/// What an end has, by name without a tag.
fn list(env: &TestEnv, end: &str) -> BTreeMap<String, Has> {
    let output = env.run_line(&format!("ls {end} --json")).success();
    let listed: Value = serde_json::from_str(&output.stdout).unwrap();
    let images = listed["images"].as_array().unwrap().iter();
    let image = |image: &Value| {
        let name = image["image"].as_str().unwrap();
        let (name, _) = name.rsplit_once(':').unwrap();
        let name = name.rsplit('/').next().unwrap().to_owned();
        let platforms = image["platforms"].as_array().unwrap().iter();
        let has = Has {
            digest: image["digest"].as_str().unwrap().to_owned(),
            platforms: platforms.map(|p| p.as_str().unwrap().to_owned()).collect(),
            n_referrers: image["referrers"].as_u64().unwrap(),
        };
        (name, has)
    };
    images.map(image).collect()
}

/// An end of a kind that has nothing yet.
struct End {
    word: String,
    /// Kept alive.
    _registry: Option<TestRegistry>,
}

fn end(kind: &str, name: &str) -> End {
    if kind == "registry" {
        let registry = TestRegistry::start();
        return End {
            word: registry.host().to_owned(),
            _registry: Some(registry),
        };
    }
    let ending = match kind {
        "bundle" | "oci-archive" | "docker-archive" => ".tar",
        _ => "",
    };
    End {
        word: format!("{kind}:{name}{ending}"),
        _registry: None,
    }
}

/// The statuses of the images that a run reports, by name, and what it says of them.
fn reported(output: &Output) -> BTreeMap<String, (String, bool)> {
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let images = report["images"].as_array().unwrap().iter();
    let image = |image: &Value| {
        let name = image["destination"].as_str().unwrap();
        let (name, _) = name.rsplit_once(':').unwrap();
        let status = image["status"].as_str().unwrap().to_owned();
        let is_noted = image["warnings"].is_array();
        (
            name.rsplit('/').next().unwrap().to_owned(),
            (status, is_noted),
        )
    };
    images.map(image).collect()
}

/// Copies from one end to another, and compares what is there with what was there.
fn check(env: &TestEnv, (from, from_kind): (&End, &str), to_kind: &str) {
    let to = end(to_kind, &format!("{from_kind}-to-{to_kind}"));
    let line = format!("copy {} {} --json", from.word, to.word);
    let had = list(env, &from.word);
    let output = env.run_line(&line);
    let has_platforms = had.values().any(|image| image.platforms.len() > 1);
    let is_partial = to_kind == "docker-archive" && has_platforms;
    assert_eq!(
        output.code,
        Some(if is_partial { 3 } else { 0 }),
        "{line}: {}",
        output.stderr
    );
    let reported = reported(&output);
    let has = list(env, &to.word);
    for (name, had) in had {
        let (status, is_noted) = &reported[&name];
        if to_kind != "docker-archive" {
            assert_eq!(status, "done", "{line}: {name}");
            assert_eq!(has.get(&name), Some(&had), "{line}: {name}");
            continue;
        }
        if had.platforms.len() > 1 {
            assert_eq!(status, "failed", "{line}: {name}");
            assert!(!has.contains_key(&name), "{line}: {name}");
            continue;
        }
        // Such an archive has no manifests, no compressed layers and no referrers, which is said.
        assert_eq!(status, "done", "{line}: {name}");
        let has = &has[&name];
        assert_eq!(has.platforms, had.platforms, "{line}: {name}");
        assert_eq!(has.n_referrers, 0, "{line}: {name}");
        let is_changed = has.digest != had.digest || had.n_referrers > 0;
        assert!(
            !is_changed || *is_noted,
            "{line}: {name}: {}",
            output.stdout
        );
    }
    env.run_line(&format!("verify {}", to.word)).success();
}

/// A registry with all shapes.
fn registry() -> TestRegistry {
    let registry = TestRegistry::start();
    for (name, image) in shapes() {
        registry.add(&format!("kinds/{name}:1"), &image);
        if name == "signed" {
            let sbom = about(image.top(), "application/spdx+json", 340);
            registry.add(&format!("kinds/{name}"), &sbom);
        }
    }
    registry
}

/// All pairs with a source of this kind.
fn from(kind: &str) {
    let (env, registry) = (TestEnv::new(), registry());
    let origin = end(kind, "origin");
    let source = if kind == "registry" {
        End {
            word: registry.host().to_owned(),
            _registry: None,
        }
    } else {
        let filled = env.run_line(&format!("copy {} {}", registry.host(), origin.word));
        assert!(matches!(filled.code, Some(0 | 3)), "{}", filled.stderr);
        origin
    };
    for to in KINDS {
        check(&env, (&source, kind), to);
    }
}

#[test]
fn from_a_registry() {
    from("registry");
}

#[test]
fn from_a_store() {
    from("store");
}

#[test]
fn from_a_bundle() {
    from("bundle");
}

#[test]
fn from_layouts() {
    from("dir");
}

#[test]
fn from_an_oci_layout() {
    from("oci");
}

#[test]
fn from_an_oci_archive() {
    from("oci-archive");
}

#[test]
fn from_a_docker_archive() {
    from("docker-archive");
}
