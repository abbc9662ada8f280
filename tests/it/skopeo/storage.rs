//! `containers-storage:` beside Debian's skopeo; `tarball:`; archives through pipes.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use hod_testkit::engine::{self, store};
use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::noise;
use hod_testkit::programs;
use hod_testkit::skopeo as real;

use super::{lab, skopeo};

const TLS: &str = "--src-tls-verify=false --dest-tls-verify=false";

fn raw(env: &TestEnv, run: impl Fn(&TestEnv, &str) -> Output, image: &str) -> Value {
    let raw = run(env, &format!("inspect --raw {image}")).success().stdout;
    serde_json::from_str(&raw).unwrap()
}

#[test]
fn storage_gets_and_gives_what_skopeo_gives_and_gets() {
    if !programs::are_here(&[engine::PROGRAM, real::PROGRAM]) {
        return;
    }
    let (env, registry) = (TestEnv::new(), lab());
    let from = registry.host();
    let (own, other) = (store(&env.path("own")), store(&env.path("other")));
    for kind in ["oci", "s2"] {
        let name = |store: &str| format!("containers-storage:{store}lab/{kind}:v1");
        let source = format!("docker://{from}/lab/{kind}:v1");
        let digest = |run: &dyn Fn(&TestEnv, &str) -> Output, store: &str| {
            let to = name(store);
            let _ = run(
                &env,
                &format!("copy -q {TLS} --digestfile digest {source} {to}"),
            )
            .success();
            env.read("digest")
        };
        assert_eq!(digest(&skopeo, &own), digest(&real::run, &other));
        // Each reads what the other wrote; the manifest is the registry's.
        let manifest = raw(&env, real::run, &name(&own));
        assert_eq!(manifest, raw(&env, skopeo, &name(&other)));
        let shown = skopeo(&env, &format!("inspect {}", name(&own))).success();
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["Name"], format!("docker.io/lab/{kind}"));
        let id = manifest["config"]["digest"].as_str().unwrap();
        let id = id.strip_prefix("sha256:").unwrap();
        for text in [format!("@{id}"), id[..12].to_owned()] {
            let by_id = raw(&env, skopeo, &format!("containers-storage:{own}{text}"));
            assert_eq!(by_id, manifest);
        }
        // Layers leave the storage uncompressed, and say so.
        let _ = skopeo(&env, &format!("copy -q {} dir:{kind}-out", name(&own))).success();
        let out = raw(&env, skopeo, &format!("dir:{kind}-out"));
        assert_eq!(out["config"]["digest"], manifest["config"]["digest"]);
        let layers = out["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 2);
        assert!(
            layers
                .iter()
                .all(|layer| layer["mediaType"].as_str().unwrap().ends_with("tar"))
        );
        let archives = [&own, &other].map(|store| {
            let run: &dyn Fn(&TestEnv, &str) -> Output =
                if store == &own { &skopeo } else { &real::run };
            let to = format!("docker-archive:{kind}-{}.tar", store == &own);
            let _ = run(&env, &format!("copy -q {} {to}", name(store))).success();
            raw(&env, skopeo, &to)
        });
        assert_eq!(archives[0], archives[1]);
        let again = format!("containers-storage:{own}lab/{kind}:v2");
        let _ = skopeo(&env, &format!("copy -q {} {again}", name(&own))).success();
        assert_eq!(raw(&env, skopeo, &again), out);
    }
    let (root, _) = own.split_once('+').unwrap();
    for (scope, code) in [("docker.io/lab", 1), ("docker.io/else", 0)] {
        env.write(
            "policy.json",
            json!({
                "default": [{"type": "insecureAcceptAnything"}],
                "transports": {"containers-storage": {format!("{root}]{scope}"): [{"type": "reject"}]}},
            })
            .to_string(),
        );
        let mut command = env.hod();
        command.args(["skopeo", "--policy", "policy.json", "copy", "-q"]);
        command.args([
            format!("containers-storage:{own}lab/s2:v1"),
            format!("dir:p{code}"),
        ]);
        let _ = hod_testkit::env::finish(&mut command).exits(code);
    }
    let none = format!("containers-storage:{own}none");
    for line in [format!("inspect {none}"), format!("copy {none} dir:none")] {
        let output = skopeo(&env, &line).exits(2);
        let text =
            format!("{own}docker.io/library/none:latest\\\" does not resolve to an image ID");
        assert!(output.stderr.contains(&text), "{}", output.stderr);
    }
    // Tools of this test may hold layers open no longer.
    let _ = skopeo(&env, &format!("delete containers-storage:{other}lab/s2:v1")).success();
    let _ = skopeo(
        &env,
        &format!("inspect containers-storage:{other}lab/s2:v1"),
    )
    .exits(2);
}

#[test]
fn names_of_storage_are_checked_and_its_tools_are_required() {
    let env = TestEnv::new();
    for (name, expect) in [
        ("", "is an empty reference: invalid reference"),
        ("[vfs@rel]x", "path name is not absolute"),
        ("x@", "empty trailing digest or ID"),
    ] {
        let output = skopeo(&env, &format!("inspect containers-storage:{name}")).exits(1);
        assert!(output.stderr.contains(expect), "{}", output.stderr);
    }
    let mut command = env.hod();
    command.env("PATH", env.path("none"));
    command.args(["skopeo", "inspect", "containers-storage:x"]);
    let output = hod_testkit::env::finish(&mut command).exits(1);
    assert!(
        output.stderr.contains("requires podman or buildah"),
        "{}",
        output.stderr
    );
}

/// A tar with one file.
fn tar_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).unwrap();
    builder.into_inner().unwrap()
}

/// Runs hod as skopeo with an input.
fn with_input(env: &TestEnv, line: &str, input: &[u8]) -> std::process::Output {
    let mut command = env.hod();
    command.args(["skopeo", "--insecure-policy"]);
    command.args(line.split_whitespace());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that fails reads no further.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn layers_become_an_image() {
    let env = TestEnv::new();
    let tar = tar_of("a", &noise(1, 5_000));
    env.write("a.tar", &tar);
    env.write("b.tar.zst", zstd::encode_all(&tar[..], 3).unwrap());
    let _ = skopeo(&env, "copy -q tarball:a.tar:b.tar.zst dir:own").success();
    let own = raw(&env, skopeo, "dir:own");
    assert_eq!(
        own["layers"][1]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
    if programs::are_here(&[real::PROGRAM]) {
        let _ = real::run(&env, "copy -q tarball:a.tar:b.tar.zst dir:other").success();
        let other = raw(&env, skopeo, "dir:other");
        for at in 0..2 {
            assert_eq!(own["layers"][at]["digest"], other["layers"][at]["digest"]);
            assert_eq!(own["layers"][at]["size"], other["layers"][at]["size"]);
        }
    }
    let output = with_input(&env, "copy -q tarball:- oci:in", &tar);
    assert!(output.status.success(), "{output:?}");
    let config = skopeo(&env, "inspect --config --raw oci:in")
        .success()
        .stdout;
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], own["layers"][0]["digest"]);
    let absent = skopeo(&env, "inspect tarball:none.tar").exits(1);
    assert!(
        absent
            .stderr
            .contains("open none.tar: no such file or directory")
    );
    let written = skopeo(&env, "copy dir:own tarball:a.tar").exits(1);
    assert!(
        written
            .stderr
            .contains("can only be read from, not written to")
    );
}

#[test]
fn archives_go_through_pipes() {
    let (env, registry) = (TestEnv::new(), lab());
    let source = format!("docker://{}/lab/oci:v1", registry.host());
    let _ = skopeo(
        &env,
        &format!("copy -q {TLS} {source} docker-archive:file.tar:a/b:c"),
    )
    .success();
    let file = hod_fsx::read(&env.path("file.tar"), u64::MAX - 1).unwrap();
    let line = format!("copy -q {TLS} {source} docker-archive:/dev/stdout:a/b:c");
    let piped = with_input(&env, &line, b"");
    assert!(piped.status.success(), "{piped:?}");
    assert!(piped.stdout == file, "the archives differ");
    let read = with_input(&env, "copy -q docker-archive:/dev/stdin dir:out", &file);
    assert!(read.status.success(), "{read:?}");
    assert_eq!(
        raw(&env, skopeo, "dir:out"),
        raw(&env, skopeo, "docker-archive:file.tar")
    );
}

#[test]
fn digests_are_written_through_links() {
    let (env, registry) = (TestEnv::new(), lab());
    env.write(
        "there",
        "old, and longer than a digest is: so that it would be seen behind it",
    );
    std::os::unix::fs::symlink("there", env.path("link")).unwrap();
    let source = format!("docker://{}/lab/oci:v1", registry.host());
    let _ = skopeo(
        &env,
        &format!("copy -q {TLS} --digestfile link {source} dir:out"),
    )
    .success();
    let is_digest = |text: &str| text.starts_with("sha256:") && text.len() == 71;
    assert!(is_digest(&env.read("there")), "{}", env.read("there"));
}

/// Docker 25 and later save OCI layouts that have a `manifest.json` as well; of Docker 29 the layers
/// are compressed.
#[test]
fn archives_of_new_engines_are_read_by_their_manifest() {
    let (env, registry) = (TestEnv::new(), lab());
    let source = format!("docker://{}/lab/oci:v1", registry.host());
    let _ = skopeo(&env, &format!("copy -q {TLS} {source} oci:new:v1")).success();
    let manifest = raw(&env, skopeo, "oci:new:v1");
    let path = |blob: &Value| {
        let digest = blob["digest"].as_str().unwrap();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let layers: Vec<String> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(path)
        .collect();
    let saved = json!([{
        "Config": path(&manifest["config"]),
        "RepoTags": ["lab/oci:v1"],
        "Layers": layers,
    }]);
    env.write("new/manifest.json", saved.to_string());
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", env.path("new")).unwrap();
    env.write("new.tar", builder.into_inner().unwrap());
    let _ = skopeo(
        &env,
        &format!("copy -q {TLS} {source} docker-archive:old.tar"),
    )
    .success();
    let old = raw(&env, skopeo, "docker-archive:old.tar");
    for image in [
        "docker-archive:new.tar",
        "docker-archive:new.tar:lab/oci:v1",
    ] {
        assert_eq!(raw(&env, skopeo, image), old);
        if programs::are_here(&[real::PROGRAM]) {
            assert_eq!(raw(&env, real::run, image), old);
        }
        let _ = skopeo(&env, &format!("copy -q {image} dir:out")).success();
        assert_eq!(raw(&env, skopeo, "dir:out"), old);
    }
}
