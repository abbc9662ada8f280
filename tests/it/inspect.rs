//! `hod inspect`: an image is the same wherever it is, and its bytes are those of its digest.

use serde_json::{Value, json};

use hod_oci::{Digest, Manifest};
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{Blob, Compression, Format, Image, ImageBuilder, image, index, layer};
use hod_testkit::referrers::{about, cosign_tag, signatures};
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};

fn shown(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("inspect {line} --json")).success();
    serde_json::from_str(&output.stdout).unwrap()
}

/// What a run writes to stdout, byte for byte.
fn written(env: &TestEnv, line: &str) -> Vec<u8> {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    output.stdout
}

/// An image with everything in its config.
fn rich() -> Image {
    let layer = layer(1, 3_000, Compression::Gzip);
    let config = Blob::new(
        json!({
            "created": "2026-01-02T03:04:05Z", "author": "ci", "os": "linux",
            "architecture": "amd64",
            "config": {
                "User": "1000:1000", "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
                "Env": ["PATH=/bin", "A=b"], "Entrypoint": ["/app", "--x y"], "Cmd": ["serve"],
                "Volumes": {"/data": {}}, "WorkingDir": "/srv",
                "Labels": {"org.example": "one\nline"}, "StopSignal": "SIGINT",
            },
            "rootfs": {"type": "layers", "diff_ids": [&layer.diff_id]},
        })
        .to_string(),
    );
    let image = ImageBuilder::oci(1).layer(&layer).build();
    let mut manifest: Value = serde_json::from_slice(image.top().bytes()).unwrap();
    manifest["config"]["digest"] = json!(config.digest);
    manifest["config"]["size"] = json!(config.bytes.len());
    manifest["annotations"] = json!({"org.opencontainers.image.version": "1.2"});
    let manifest = Manifest::parse(manifest.to_string().into_bytes().into(), None).unwrap();
    Image {
        manifests: vec![manifest],
        blobs: vec![config, layer.blob.clone()],
    }
}

/// An index of two platforms with a signature and an SBOM.
fn signed() -> (Image, [Image; 2]) {
    let children = ["amd64", "arm64"].map(|architecture| {
        ImageBuilder::oci(7)
            .platform("linux", architecture)
            .layer(&layer(9, 900, Compression::Gzip))
            .build()
    });
    (index(Format::Oci, &children), children)
}

#[test]
fn an_image_is_shown_with_its_config_and_layers() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    registry.add("acme/api:1", &rich());
    let line = format!("inspect {}/acme/api:1", registry.host());
    let output = env.run_line(&line).success();
    insta::assert_snapshot!(output.snapshot(&[(registry.host(), "HOST")]));
}

#[test]
fn an_index_is_shown_with_its_platforms_and_referrers() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let (image, children) = signed();
    registry.add("acme/api:1", &image);
    let sbom = about(children[0].top(), "application/spdx+json", 4);
    registry.add("acme/api", &sbom);
    let signature = signatures(&[5]);
    let tag = cosign_tag(image.digest(), "sig");
    registry.add(&format!("acme/api:{tag}"), &signature);
    let host = registry.host();
    let output = env
        .run_line(&format!("inspect {host}/acme/api:1"))
        .success();
    insta::assert_snapshot!(output.snapshot(&[(host, "HOST")]));
    let found = shown(&env, &format!("{host}/acme/api:1"));
    assert_eq!(found["digest"], image.digest().as_str());
    assert_eq!(found["kind"], "an image");
    let manifests = found["manifests"].as_array().unwrap();
    for (child, facts) in children.iter().zip(manifests) {
        assert_eq!(facts["digest"], child.digest().as_str());
        let len = child.blobs_len() + child.top().bytes().len() as u64;
        assert_eq!(facts["total_bytes"], len);
        assert_eq!(facts["layers"].as_array().unwrap().len(), 1);
    }
    assert_eq!(found["referrers"].as_array().unwrap().len(), 2);
    let without = shown(&env, &format!("{host}/acme/api:1 --no-referrers"));
    assert_eq!(without["referrers"], json!([]));
    let one = shown(&env, &format!("{host}/acme/api:1 --platform linux/arm64"));
    assert_eq!(one["digest"], children[1].digest().as_str());
    assert_eq!(one["index_digest"], image.digest().as_str());
    assert_eq!(one["manifests"][0]["platform"], "linux/arm64");
    assert_eq!(one["referrers"][0]["tag"], tag.as_str());
    let other = env
        .run_line(&format!("inspect {host}/acme/api:1 --platform linux/s390x"))
        .exits(1);
    assert!(other.stderr.contains("linux/amd64"), "{}", other.stderr);
}

#[test]
fn every_source_shows_the_same() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let host = registry.host();
    let (image, children) = signed();
    let single = rich();
    registry.add("acme/api:1", &image);
    registry.add("acme/web:2", &single);
    for line in [
        &format!("copy {host} store:store --strip-host"),
        "pack store --output site.tar --no-tool",
        "pack store --output site.tar.zst --no-tool",
        "export store --output layouts",
        "export store --output oci --format oci",
        "export store --output docker.tar --format docker-archive --platform linux/amd64",
    ] {
        env.run_line(line).success();
    }
    let mut expect = shown(&env, &format!("{host}/acme/web:2"));
    for source in [
        "store acme/web:2",
        "store:store 2",
        "site.tar acme/web:2",
        "bundle:site.tar acme/web:2",
        "layouts 2",
        "dir:layouts acme/web:2",
        "oci:oci:2",
        "oci:oci acme/web:2",
    ] {
        let found = shown(&env, source);
        expect["image"] = found["image"].clone();
        expect["kind"] = found["kind"].clone();
        assert_eq!(found, expect, "{source}");
        let raw = written(&env, &format!("inspect {source} --raw"));
        assert_eq!(raw, *single.top().bytes(), "{source}");
        let config = written(&env, &format!("inspect {source} --config"));
        assert_eq!(config, single.blobs[0].bytes, "{source}");
    }
    let list = env.write("one.txt", "acme/web:2\n");
    let listed = shown(&env, &format!("store --only {}", list.display()));
    assert_eq!(listed["digest"], single.digest().as_str());
    // Compressed bundles are read once, from front to back.
    let compressed = shown(&env, "site.tar.zst acme/web:2");
    assert_eq!(compressed["digest"], single.digest().as_str());
    let _ = env
        .run_line("inspect site.tar.zst acme/web:2 --config")
        .exits(2);
    let docker = shown(&env, "docker.tar acme/web:2");
    assert_eq!(docker["manifests"][0]["config"]["user"], "1000:1000");
    for (child, platform) in children.iter().zip(["linux/amd64", "linux/arm64"]) {
        for source in [
            &format!("{host}/acme/api:1"),
            "store acme/api:1",
            "oci:oci:1",
        ] {
            let raw = written(
                &env,
                &format!("inspect {source} --raw --platform {platform}"),
            );
            assert_eq!(raw, *child.top().bytes(), "{source}");
            let config = format!("inspect {source} --config --platform {platform}");
            let config = written(&env, &config);
            assert!(
                child.blobs.iter().any(|blob| blob.bytes == config),
                "{source}"
            );
        }
    }
}

#[test]
fn raw_bytes_have_the_digest_of_the_image() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let (image, _) = signed();
    registry.add("acme/api:1", &image);
    let host = registry.host();
    registry.take_seen();
    let raw = written(&env, &format!("inspect {host}/acme/api:1 --raw"));
    assert_eq!(Digest::of(&raw), *image.digest());
    let gets = registry.count("GET", |path| path.contains("/manifests/"));
    assert_eq!(gets, 1, "only the manifest is fetched");
    env.write("m", raw);
    let digest = env.run_line("digest m").success();
    assert_eq!(digest.stdout, format!("{}\n", image.digest()));
    let _ = env
        .run_line(&format!("inspect {host}/acme/api:1 --config"))
        .exits(2);
    let _ = env
        .run_line(&format!("inspect {host}/acme/api:1 --raw --config"))
        .exits(2);
}

#[test]
fn artifacts_are_shown_too() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let subject = image(1);
    registry.add("acme/api:1", &subject);
    let chart = hod_testkit::images::artifact(3);
    registry.add("acme/chart:1", &chart);
    let sbom = about(subject.top(), "application/spdx+json", 4);
    registry.add("acme/api:sbom", &sbom);
    let host = registry.host();
    let found = shown(&env, &format!("{host}/acme/chart:1"));
    assert_eq!(found["digest"], chart.digest().as_str());
    assert!(found["artifact_type"].is_string(), "{found}");
    assert!(found["manifests"][0].get("config").is_none(), "{found}");
    let found = shown(&env, &format!("{host}/acme/api:sbom"));
    assert_eq!(found["subject"], subject.digest().as_str());
    assert_eq!(found["artifact_type"], "application/spdx+json");
}

#[test]
fn what_is_missing_is_a_failure_with_a_hint() {
    let (env, registry) = (TestEnv::in_memory(), TestRegistry::start());
    let host = registry.host();
    registry.add("acme/api:1.0", &image(1));
    image(1).put_in(&env.store("store"), "acme/api:1.0");
    image(2).put_in(&env.store("store"), "acme/web:1.0");
    let similar = env
        .run_line(&format!("inspect {host}/acme/api:1.1"))
        .exits(1);
    assert!(similar.stderr.contains("`1.0`"), "{}", similar.stderr);
    for (line, code) in [
        (format!("inspect {host}/acme/none:1"), 1),
        (format!("inspect {host}/acme/api"), 1),
        (format!("inspect {host}"), 0),
        ("inspect store".to_owned(), 2),
        ("inspect store acme/none:1".to_owned(), 1),
        ("inspect none.tar".to_owned(), 2),
        ("inspect nosuch".to_owned(), 2),
        (format!("inspect {host}/acme/api:1.0 acme/api:1.0"), 2),
    ] {
        let output = env.run_line(&line);
        assert_eq!(output.code, Some(code), "{line}: {}", output.stderr);
    }
    let found = shown(&env, &format!("{host} acme/api:1.0"));
    assert_eq!(found["digest"], image(1).digest().as_str());
    let output = env
        .run_line(&format!("inspect {host}/acme/none:1 --json"))
        .exits(1);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["verb"], "inspect");
    assert_eq!(document["error"]["class"], "not-found");
    let raw = env
        .run_line(&format!("inspect {host}/acme/none:1 --raw --json"))
        .exits(1);
    assert_eq!(raw.stdout, "");
}

#[test]
fn damaged_content_does_not_verify() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let image = rich();
    image.put_in(&store, "acme/api:1");
    let damage = |digest: &Digest| {
        let hex = digest.hex();
        let path = format!(
            "store/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        );
        let before = env.read(&path);
        env.write(
            &path,
            before
                .replace("ci", "CI")
                .replace("schemaVersion\":2", "schemaVersion\":3"),
        );
        (path, before)
    };
    let (path, before) = damage(&image.blobs[0].digest);
    let _ = env.run_line("inspect store").exits(4);
    let _ = env.run_line("inspect store --config").exits(4);
    let _ = env.run_line("inspect store --raw").success();
    env.write(path, before);
    let _ = env.run_line("inspect store").success();
    let _ = damage(image.digest());
    let raw = env.run_line("inspect store --raw").exits(4);
    assert_eq!(raw.stdout, "");
}

#[test]
fn a_login_is_required_where_it_is() {
    let env = TestEnv::in_memory();
    let registry = TestRegistry::with(RegistryOptions {
        auth: Auth::Bearer {
            login: Some(("ci".to_owned(), "s3cret".to_owned())),
        },
        ..RegistryOptions::default()
    });
    registry.add("acme/api:1", &image(1));
    let line = format!("inspect {}/acme/api:1", registry.host());
    let output = env.run_line(&line).exits(1);
    assert!(output.stderr.contains("hod login"), "{}", output.stderr);
    let mut command = env.hod();
    command
        .args(line.split_whitespace())
        .env("HOD_USERNAME", "ci")
        .env("HOD_PASSWORD", "s3cret");
    let _ = finish(&mut command).success();
}

#[test]
fn templates_have_the_fields_of_the_document() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    let (image, _) = signed();
    image.put_in(&store, "acme/api:1");
    rich().put_in(&store, "acme/rich:1");
    let document = shown(&env, "store acme/api:1");
    let run = |image: &str, template: &str| {
        let mut command = env.hod();
        command.args(["inspect", "store", image, "--format", template]);
        finish(&mut command)
    };
    let digest = document["digest"].as_str().unwrap();
    let platforms: Vec<String> = document["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| {
            format!(
                "{} {}\n",
                manifest["platform"].as_str().unwrap(),
                manifest["digest"].as_str().unwrap()
            )
        })
        .collect();
    for (template, expected) in [
        ("{{.digest}}", format!("{digest}\n")),
        ("{{upper \"x\"}} {{.nosuch}}", "X <no value>\n".to_owned()),
        (
            "{{range .manifests}}{{if .platform}}{{println .platform .digest}}{{end}}{{end}}",
            platforms.concat(),
        ),
    ] {
        let output = run("acme/api:1", template).success();
        assert_eq!(output.stdout, expected, "{template}");
    }
    for all in ["json", "{{json .}}"] {
        let output = run("acme/api:1", all).success();
        let printed: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(printed, document, "{all}");
    }
    let joined = r#"{{range .manifests}}{{join .config.env " "}}{{end}}"#;
    let joined = run("acme/rich:1", joined).success();
    assert_eq!(joined.stdout, "PATH=/bin A=b\n");
    for template in [
        "{{",
        "{{nosuch .}}",
        "{{range .digest}}{{end}}",
        "{{template \"x\"}}",
    ] {
        let output = run("acme/api:1", template);
        assert_eq!(output.code, Some(2), "{template}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{template}");
    }
    let output = env.run_line("inspect store acme/api:1 --format x --json");
    assert_eq!(output.code, Some(2));
}
