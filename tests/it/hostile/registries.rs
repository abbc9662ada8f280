//! Registries that lie, do not stop, or send clients around in circles.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hod_oci::{Digest, MediaType};
use serde_json::{Value, json};

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Image, image};
use hod_testkit::puppet::{Puppet, Reply};
use hod_testkit::tree::{exists, files, whole_images};

/// However a registry behaves, nobody waits longer for the answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a hostile registry answers, by the end of the target.
#[derive(Debug, Clone, Default)]
struct Script(BTreeMap<String, Reply>);

impl Script {
    /// A registry with one image as it should be, `good:1`.
    fn new() -> Self {
        let mut script = Self::default();
        script.image("good", &image(1));
        script
    }

    fn image(&mut self, tag: &str, image: &Image) {
        for manifest in &image.manifests {
            self.manifest(manifest.digest().as_str(), manifest.bytes());
        }
        self.manifest(tag, image.top().bytes());
        for blob in &image.blobs {
            let reply = Reply::ok(blob.bytes.clone());
            self.set(&format!("/blobs/{}", blob.digest), reply);
        }
    }

    fn set(&mut self, end: &str, reply: Reply) {
        self.0.insert(end.to_owned(), reply);
    }

    /// Serves bytes as a manifest under a tag or digest.
    fn manifest(&mut self, name: &str, bytes: &[u8]) {
        self.set(&format!("/manifests/{name}"), manifest_reply(bytes));
    }

    /// Serves a manifest under its own digest, and returns its descriptor.
    fn stored(&mut self, value: &Value) -> Value {
        let bytes = value.to_string();
        let digest = Digest::of(bytes.as_bytes());
        self.manifest(digest.as_str(), bytes.as_bytes());
        let media_type = value["mediaType"].as_str().unwrap();
        descriptor(media_type, digest.as_str(), bytes.len())
    }

    fn start(self) -> Puppet {
        Puppet::start(move |_, target| {
            if target == "/v2/" {
                let version = ("Docker-Distribution-Api-Version", "registry/2.0");
                return Some(Reply::ok("{}").header(version.0, version.1));
            }
            let end = target
                .find("/manifests/")
                .or_else(|| target.find("/blobs/"));
            self.0.get(&target[end?..]).cloned()
        })
    }
}

fn manifest_reply(bytes: &[u8]) -> Reply {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let media_type = value["mediaType"]
        .as_str()
        .unwrap_or(MediaType::OCI_MANIFEST);
    Reply::ok(bytes).header("Content-Type", media_type)
}

fn descriptor(media_type: &str, digest: &str, size: impl Into<Value>) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size.into()})
}

/// An image manifest of a config and layers.
fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
        "config": config, "layers": layers,
    })
}

fn index(children: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": children})
}

/// Some digest that nothing has.
fn digest(n: usize) -> String {
    format!("sha256:{n:064x}")
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Pulls `lines` from a registry, with whatever platforms, and checks what is left: nothing but
/// `good`, and that whole.
#[track_caller]
fn pull(puppet: &Puppet, (lines, rest): (&str, &str)) -> Output {
    let env = TestEnv::in_memory();
    env.write("list.txt", lines);
    let host = puppet.host();
    let start = Instant::now();
    let line = format!("pull list.txt --store store --source {host} --retries 0 {rest}");
    let output = env.run_line(&line);
    assert!(start.elapsed() < PATIENCE, "{lines}: {:?}", start.elapsed());
    assert!(
        output.stderr.len() < 20_000,
        "{} bytes are said",
        output.stderr.len()
    );
    if exists(&env.path("store")) {
        let images = whole_images(&env.path("store"));
        assert!(
            images.keys().all(|name| name.ends_with("app:good")),
            "{images:?}"
        );
        let _ = env.run_line("verify store").success();
        assert_eq!(files(&env.path("store/.hod/tmp")).len(), 0);
    }
    assert_eq!(hod_fsx::read_dir_names(&env.tmp()).unwrap().len(), 0);
    output
}

/// Checks that `app:evil` is refused with these words, alone and beside an image that arrives.
#[track_caller]
fn check(script: Script, words: &str) {
    let puppet = script.start();
    let mut beside = None;
    for rest in ["", "--platform all", "--platform linux/amd64,linux/arm64"] {
        let output = pull(&puppet, ("app:evil\n", rest));
        let beside = beside.get_or_insert(if output.code == Some(4) { 4 } else { 3 });
        assert!(matches!(output.code, Some(1 | 4 | 5)), "{output:?}");
        let text = &output.stderr;
        assert!(text.contains(words), "{rest}: no `{words}` in: {text}");
        if output.code != Some(5) {
            let output = pull(&puppet, ("app:evil\napp:good\n", "")).exits(*beside);
            assert!(output.stdout.contains("app:good"), "{}", output.stdout);
        }
    }
}

fn config(script: &mut Script) -> Value {
    let bytes = br#"{"architecture":"amd64","os":"linux"}"#;
    let digest = Digest::of(bytes);
    script.set(&format!("/blobs/{digest}"), Reply::ok(*bytes));
    descriptor(MediaType::OCI_CONFIG, digest.as_str(), bytes.len())
}

#[test]
fn manifests_that_are_none_are_refused() {
    let deep = format!(r#"{{"schemaVersion":2,"x":{}"#, "[".repeat(500_000));
    for (bytes, words) in [
        ("", "manifest"),
        ("null", "manifest"),
        ("[]", "manifest"),
        ("<html>busy</html>", "manifest"),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
        (r#"{"schemaVersion":2,"config":7,"layers":[]}"#, "manifest"),
        (
            r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
            "manifest",
        ),
        (&deep, "manifest"),
    ] {
        let mut script = Script::new();
        script.manifest("evil", bytes.as_bytes());
        check(script, words);
    }
}

#[test]
fn digests_and_sizes_that_are_none_are_refused() {
    for digest in [
        "sha256:../../../../../../etc/passwd",
        "../../../../etc/passwd",
        "sha256:",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    ] {
        let mut script = Script::new();
        let config = config(&mut script);
        let evil = manifest(&config, &[descriptor(LAYER, digest, 1)]);
        script.manifest("evil", evil.to_string().as_bytes());
        check(script, "manifest");
    }
    for size in [json!(-1), json!("1"), json!(1.5), json!(1e30), json!(null)] {
        let mut script = Script::new();
        let config = config(&mut script);
        let evil = manifest(&config, &[descriptor(LAYER, &digest(1), size)]);
        script.manifest("evil", evil.to_string().as_bytes());
        check(script, "manifest");
    }
}

#[test]
fn a_manifest_that_is_not_what_its_digest_says_is_refused() {
    let mut script = Script::new();
    let bytes = image(5).top().bytes().clone();
    script.manifest(&digest(7), &bytes);
    let puppet = script.start();
    let line = format!("app@{}\n", digest(7));
    let output = pull(&puppet, (&line, "--platform all")).exits(4);
    assert!(output.stderr.contains(&digest(7)), "{}", output.stderr);

    let mut script = Script::new();
    script.image("evil", &image(5));
    let reply = manifest_reply(&bytes).header("Docker-Content-Digest", &digest(7));
    script.set("/manifests/evil", reply);
    check(script, &digest(7));
}

#[test]
fn manifests_that_are_too_long_or_endless_are_not_read_to_their_end() {
    let long = format!(r#"{{"schemaVersion":2,"x":"{}"}}"#, "x".repeat(5 << 20));
    let mut script = Script::new();
    script.manifest("evil", long.as_bytes());
    check(script, "more than 4194304 bytes");

    let mut script = Script::new();
    let reply = manifest_reply(b"{}").of_no_length();
    script.set("/manifests/evil", reply);
    check(script, "manifest");

    let mut script = Script::new();
    let reply = Reply::ok(vec![b' '; 64 * 1024]).endless();
    let reply = reply.header("Content-Type", MediaType::OCI_MANIFEST);
    script.set("/manifests/evil", reply);
    check(script, "more than 4194304 bytes");
}

#[test]
fn an_endless_error_is_not_read_to_its_end() {
    let mut script = Script::new();
    let reply = Reply::status(403, vec![b'x'; 64 * 1024]).endless();
    script.set("/manifests/evil", reply);
    check(script, "403");
}

#[test]
fn blobs_that_are_not_as_the_manifest_says_are_refused() {
    let evil = image(5);
    let blob = evil.blobs[1].clone();
    let other = vec![7; blob.bytes.len()];
    let longer = [&blob.bytes[..], b"!"].concat();
    let shorter = &blob.bytes[..blob.bytes.len() - 1];
    let hex = blob.digest.hex();
    for (reply, words) in [
        (Reply::ok(other.clone()), hex),
        (Reply::ok(other).of_no_length(), hex),
        (Reply::ok(longer.clone()), "bytes"),
        (Reply::ok(longer).of_no_length(), "bytes"),
        (Reply::ok(shorter), "bytes"),
        (Reply::ok(shorter).of_no_length(), "bytes"),
        (Reply::ok("").of_no_length(), "bytes"),
        (Reply::ok(vec![7; 64 * 1024]).endless(), "bytes"),
        (Reply::status(500, "<html>"), "500"),
        (Reply::status(404, ""), "404"),
        (Reply::status(206, shorter), "206"),
        (Reply::status(204, ""), "204"),
    ] {
        let mut script = Script::new();
        script.image("evil", &evil);
        script.set(&format!("/blobs/{}", blob.digest), reply);
        check(script, words);
    }
}

#[test]
fn an_endless_blob_is_broken_off() {
    let evil = image(5);
    let blob = &evil.blobs[1];
    let mut script = Script::new();
    script.image("evil", &evil);
    let endless = Reply::ok(vec![7; 64 * 1024]).endless();
    script.set(&format!("/blobs/{}", blob.digest), endless);
    let puppet = script.start();
    let _ = pull(&puppet, ("app:evil\n", "")).exits(4);
    // What fits into the buffers of both sides.
    assert!(
        puppet.n_sent() < 32 << 20,
        "{} bytes were sent",
        puppet.n_sent()
    );
}

#[test]
fn layers_of_impossible_sizes_are_refused_before_anything_moves() {
    let ten_exabytes: u64 = 10_000_000_000_000_000_000;
    for sizes in [
        &[ten_exabytes][..],
        // Together they are more than a number holds.
        &[ten_exabytes, ten_exabytes],
        &[u64::MAX],
        &[u64::MAX, 1],
        &[u64::MAX, u64::MAX, 3],
        &[1 << 62],
    ] {
        let mut script = Script::new();
        let config = config(&mut script);
        let layers: Vec<Value> = sizes
            .iter()
            .enumerate()
            .map(|(n, &size)| descriptor(LAYER, &digest(n), size))
            .collect();
        let evil = manifest(&config, &layers).to_string();
        script.manifest("evil", evil.as_bytes());
        let puppet = script.start();
        for lines in [
            "app:evil\n",
            "app:evil\napp:good\n",
            "app:evil\napp:evil app/other:1\n",
        ] {
            let output = pull(&puppet, (lines, ""));
            assert!(
                matches!(output.code, Some(1 | 3 | 5)),
                "{sizes:?}: {output:?}"
            );
            assert!(output.stderr.contains("error:"), "{}", output.stderr);
            let _ = pull(&puppet, (lines, "--dry-run"));
        }
        let is_layer = |line: &String| line.contains(&digest(0)) && line.starts_with("GET");
        assert!(!puppet.seen().iter().any(is_layer), "{:?}", puppet.seen());
    }
}

#[test]
fn a_config_of_any_type_is_carried() {
    for media_type in [
        "text/html",
        "application/vnd.cncf.helm.config.v1+json",
        "x",
        "",
    ] {
        let mut script = Script::new();
        let mut config = config(&mut script);
        config["mediaType"] = json!(media_type);
        let odd = manifest(&config, &[]).to_string();
        script.manifest("good", odd.as_bytes());
        let _ = pull(&script.start(), ("app:good\n", "")).success();
    }
}

#[test]
fn indexes_that_nest_without_end_are_refused() {
    let mut script = Script::new();
    let config = config(&mut script);
    let mut inner = script.stored(&manifest(&config, &[]));
    for _ in 0..100 {
        inner = script.stored(&index(&[inner]));
    }
    let top = index(&[inner]);
    script.manifest("evil", top.to_string().as_bytes());
    check(script, "evil");
}

#[test]
fn an_index_that_is_wrong_about_a_childs_length_is_refused() {
    let mut script = Script::new();
    let config = config(&mut script);
    let mut child = script.stored(&manifest(&config, &[]));
    child["size"] = json!(child["size"].as_u64().unwrap() + 1);
    child["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let mut other = script.stored(&manifest(&config, &[]));
    other["platform"] = json!({"os": "linux", "architecture": "arm64"});
    let evil = index(&[child, other]);
    script.manifest("evil", evil.to_string().as_bytes());
    check(script, "bytes, but its manifest says");
}

#[test]
fn an_index_that_claims_to_contain_itself_is_refused() {
    let mut script = Script::new();
    let child = descriptor(MediaType::OCI_INDEX, &digest(9), 400);
    let evil = index(&[child]).to_string();
    script.manifest("evil", evil.as_bytes());
    script.manifest(&digest(9), evil.as_bytes());
    check(script, "evil");
}

#[test]
fn an_index_of_many_children_that_are_not_there_is_refused_soon() {
    let mut script = Script::new();
    let children: Vec<Value> = (0..10_000)
        .map(|n| {
            let mut child = descriptor(MediaType::OCI_MANIFEST, &digest(n), 400);
            child["platform"] = json!({"os": "linux", "architecture": "amd64"});
            child
        })
        .collect();
    let evil = index(&children).to_string();
    script.manifest("evil", evil.as_bytes());
    let puppet = script.start();
    let output = pull(&puppet, ("app:evil\n", "--platform all")).exits(1);
    assert!(output.stderr.contains("evil"), "{}", output.stderr);
    assert!(puppet.seen().len() < 200, "{}", puppet.seen().len());
}

/// Eight indexes, each of which lists the next a hundred times: 10¹⁶ images in 80 KiB.
#[test]
fn indexes_that_multiply_are_read_once_each() {
    for distinct in [false, true] {
        let mut script = Script::new();
        let config = config(&mut script);
        let leaf = script.stored(&manifest(&config, &[]));
        let mut level = vec![leaf];
        for depth in 0..7 {
            let children: Vec<Value> = level.iter().cycle().take(100).cloned().collect();
            // Each level has one index, or a few that all list all of the next.
            let n = if distinct { 10 } else { 1 };
            level = (0..n)
                .map(|n| {
                    let mut index = index(&children);
                    index["annotations"] = json!({"n": format!("{depth}-{n}")});
                    script.stored(&index)
                })
                .collect();
        }
        let children: Vec<Value> = level.iter().cycle().take(100).cloned().collect();
        script.manifest("good", index(&children).to_string().as_bytes());
        let puppet = script.start();
        for rest in ["", "--platform all", "--platform linux/amd64,linux/arm64"] {
            let n_reads = || {
                let seen = puppet.seen();
                let is_read =
                    |line: &&String| line.starts_with("GET ") && line.contains("manifests");
                seen.iter().filter(is_read).count()
            };
            let before = n_reads();
            let output = pull(&puppet, ("app:good\n", rest));
            assert!(matches!(output.code, Some(0 | 1)), "{output:?}");
            let n_asked = n_reads() - before;
            assert!(n_asked < 200, "{rest}: {n_asked} requests");
        }
        let env = TestEnv::in_memory();
        env.write("list.txt", "app:good\n");
        let start = Instant::now();
        let host = puppet.host();
        for line in [
            format!("pull list.txt --store store --source {host} --platform all"),
            "verify store".to_owned(),
            "ls store".to_owned(),
            "select list.txt --store store --output tree".to_owned(),
            "pack store --output b.tar".to_owned(),
            "verify b.tar".to_owned(),
            "unpack b.tar --output unpacked".to_owned(),
            "export b.tar --output layouts".to_owned(),
            "verify layouts".to_owned(),
        ] {
            let _ = env.run_line(&line).success();
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
}

#[test]
fn redirects_lead_nowhere_they_should_not() {
    let evil = image(5);
    let blob = format!("/blobs/{}", evil.blobs[1].digest);
    for (location, words) in [
        ("/v2/app{}", "redirected too often"),
        ("file:///etc/passwd", "redirect"),
        ("ftp://127.0.0.1/x", ""),
        ("gopher://127.0.0.1:1/x", ""),
        ("http://127.0.0.1:1/x", ""),
        ("://", ""),
        ("", ""),
    ] {
        let mut script = Script::new();
        script.image("evil", &evil);
        let location = location.replace("{}", &blob);
        script.set(&blob, Reply::status(307, "").header("Location", &location));
        let words = if words == "redirect" { "" } else { words };
        check(script, words);
    }
}

#[test]
fn a_token_server_that_means_harm_is_refused() {
    for realm in [
        "file:///etc/passwd",
        "/relative",
        "",
        "http://evil.example.com/token",
        "https://127.0.0.1:1/token",
        "SELF",
    ] {
        let puppet = Puppet::start(move |_, target| {
            if target.starts_with("/token") {
                return Some(Reply::ok(r#"{"token":"no good","expires_in":-5}"#));
            }
            let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
            Some(Reply::status(401, "").header("WWW-Authenticate", &challenge))
        });
        let output = pull(&puppet, ("app:evil\n", ""));
        // Where no token can be had, no image is asked for.
        assert!(matches!(output.code, Some(1 | 5)), "{realm}");
        assert!(output.stderr.contains("error:"), "{}", output.stderr);
        assert!(puppet.seen().len() < 20, "{:?}", puppet.seen());
    }
    // A token that is never enough is asked for again, and not forever.
    let host = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = std::sync::Arc::clone(&host);
    let puppet = Puppet::start(move |_, target| {
        if target.starts_with("/token") {
            return Some(Reply::ok(r#"{"token":"no-good"}"#));
        }
        let realm = format!("http://{}/token", own.get().unwrap());
        let challenge = format!("Bearer realm=\"{realm}\",service=\"x\"");
        Some(Reply::status(401, "").header("WWW-Authenticate", &challenge))
    });
    host.set(puppet.host().to_owned()).unwrap();
    let output = pull(&puppet, ("app:evil\n", "")).exits(5);
    assert!(output.stderr.contains("401"), "{}", output.stderr);
    assert!(puppet.seen().len() < 20, "{:?}", puppet.seen());
}

#[test]
fn uploads_go_where_the_registry_may_send_them_and_nowhere_else() {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    image(1).put_in(&store, "app/good:1");
    drop(store);
    let before = hod_testkit::tree::tree(&env.work());
    for location in [
        "file:///etc/passwd",
        "../../../../evil",
        "",
        "http://",
        "http://127.0.0.1:1/v2/x",
        "\u{7f}",
    ] {
        let puppet = Puppet::start(move |method, target| match method {
            "POST" => Some(Reply::status(202, "").header("Location", location)),
            "HEAD" => None,
            _ if target.contains("/etc/passwd") => panic!("{target} is asked for"),
            _ => Some(Reply::status(400, "")),
        });
        let host = puppet.host();
        let start = Instant::now();
        let output = env
            .run_line(&format!("push store {host} --retries 0"))
            .exits(1);
        assert!(start.elapsed() < PATIENCE);
        assert!(output.stderr.contains("app/good"), "{}", output.stderr);
    }
    assert_eq!(hod_testkit::tree::tree(&env.work()), before);
}
