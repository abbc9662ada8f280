//! `hod digest`: the digest of a manifest, and of any file.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use hod_oci::Digest;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::{image, noise};

#[test]
fn a_digest_is_that_of_the_bytes() {
    let env = TestEnv::in_memory();
    for bytes in [
        image(1).top().bytes().to_vec(),
        Vec::new(),
        noise(3, 5_000_000),
    ] {
        let path = env.write("file", &bytes);
        let expect = format!("{}\n", Digest::of(&bytes));
        let output = env.run_line("digest file").success();
        assert_eq!(
            (output.stdout, output.stderr),
            (expect.clone(), String::new())
        );
        let mut command = env.hod();
        command
            .args(["digest", "-"])
            .stdin(Stdio::from(hod_fsx::open(&path).unwrap()));
        assert_eq!(finish(&mut command).success().stdout, expect);
        let output = env.run_line("digest file --json").success();
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(document["digest"], expect.trim_end());
        assert_eq!(document["bytes"], bytes.len());
    }
    let _ = env.run_line("digest none").exits(2);
    let _ = env.run_line("digest .").exits(1);
}

#[test]
fn a_signed_manifest_of_schema_1_has_the_digest_of_its_payload() {
    let env = TestEnv::in_memory();
    let payload = "{\n   \"schemaVersion\": 1,\n   \"name\": \"a/b\"\n}";
    let tail = URL_SAFE_NO_PAD.encode("\n}");
    let len = payload.len() - 2;
    let protected = format!(r#"{{"formatLength":{len},"formatTail":"{tail}"}}"#);
    let protected = URL_SAFE_NO_PAD.encode(protected);
    let signature = format!(r#"[{{"header":{{}},"signature":"x","protected":"{protected}"}}]"#);
    let signed = format!("{},\n   \"signatures\": {signature}\n}}", &payload[..len]);
    env.write("signed.json", &signed);
    let output = env.run_line("digest signed.json").success();
    assert_eq!(
        output.stdout,
        format!("{}\n", Digest::of(payload.as_bytes()))
    );
    env.write("broken.json", signed.replace(&protected, "e30"));
    let _ = env.run_line("digest broken.json").exits(4);
}
