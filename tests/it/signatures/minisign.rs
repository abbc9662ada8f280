//! minisign checks what hod signs, and hod reads what minisign makes; openssl signs as a helper.

use std::io::Write as _;
use std::process::Stdio;

use hod_bundle::{Password, PublicKey, SecretKey, SignHelper, Signer, Trust};
use hod_oci::Digest;

use super::keys::run_with_input;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::programs::are_here;

/// Runs minisign with `line` split at spaces and `input` where it asks.
pub(crate) fn run(env: &TestEnv, line: &str, input: &str) -> (bool, String) {
    let mut command = env.command("minisign");
    command
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It need not ask.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// What stands for `hod/bundle.json`, with its id.
fn document(env: &TestEnv) -> (Vec<u8>, Digest) {
    let id = Digest::of(b"x");
    let json = format!(r#"{{"format":1,"id":"{id}"}}"#).into_bytes();
    env.write("bundle.json", &json);
    (json, id)
}

#[test]
fn minisign_checks_what_hod_signs() {
    if !are_here(&["minisign"]) {
        return;
    }
    let env = TestEnv::new();
    env.run_line("keygen").success();
    let signer = Signer::from_key(SecretKey::open(&env.read("hod.key"), None).unwrap());
    let (json, id) = document(&env);
    env.write("bundle.json.minisig", signer.sign(&json, &id).unwrap());
    let (is_good, said) = run(&env, "-V -p hod.pub -m bundle.json", "");
    assert!(is_good, "{said}");
    assert!(
        said.contains(&format!("Trusted comment: hod bundle {id}")),
        "{said}"
    );
    // The key as text, and hashing insisted on.
    let public = signer.public_key();
    let (is_good, said) = run(&env, &format!("-V -H -P {public} -m bundle.json"), "");
    assert!(is_good, "{said}");
    env.write("bundle.json", b"{}");
    let (is_good, said) = run(&env, "-V -p hod.pub -m bundle.json", "");
    assert!(!is_good, "{said}");
}

#[test]
fn minisign_signs_with_hods_keys() {
    if !are_here(&["minisign"]) {
        return;
    }
    let env = TestEnv::new();
    let _ = document(&env);
    env.run_line("keygen").success();
    let sealed = "keygen --output sealed --password-stdin";
    run_with_input(&env, sealed, "correct horse\n").success();
    for (name, input) in [("hod", ""), ("sealed", "correct horse\n")] {
        let sign = format!("-S -s {name}.key -m bundle.json -x {name}.minisig");
        let (is_good, said) = run(&env, &sign, input);
        assert!(is_good, "{said}");
        let verify = format!("-V -p {name}.pub -m bundle.json -x {name}.minisig");
        let (is_good, said) = run(&env, &verify, "");
        assert!(is_good, "{said}");
    }
}

#[test]
fn hod_signs_with_minisigns_keys() {
    if !are_here(&["minisign"]) {
        return;
    }
    let env = TestEnv::new();
    let (json, id) = document(&env);
    for (name, flag, password) in [("open", "-W", None), ("sealed", "", Some("correct horse"))] {
        let input = password.map(|p| format!("{p}\n{p}\n")).unwrap_or_default();
        let (is_good, said) = run(
            &env,
            &format!("-G {flag} -p {name}.pub -s {name}.key"),
            &input,
        );
        assert!(is_good, "{said}");
        let password = password.map(Password::new);
        let key = SecretKey::open(&env.read(format!("{name}.key")), password.as_ref()).unwrap();
        let public: PublicKey = env.read(format!("{name}.pub")).parse().unwrap();
        assert_eq!(key.public_key(), &public);
        let signer = Signer::from_key(key);
        let signature = signer.sign(&json, &id).unwrap();
        env.write("bundle.json.minisig", &signature);
        let (is_good, said) = run(&env, &format!("-V -p {name}.pub -m bundle.json"), "");
        assert!(is_good, "{said}");
        let trust = Trust { keys: vec![public] };
        assert_eq!(trust.verify(&json, &signature), Ok(public.id()));
    }
}

#[test]
fn a_helper_signs_with_a_key_that_hod_never_sees() {
    if !are_here(&["minisign", "openssl"]) {
        return;
    }
    let env = TestEnv::new();
    let (json, id) = document(&env);
    let helper = helper(&env);
    let signer = Signer::from_helper(SignHelper::new(&helper).unwrap()).unwrap();
    let signature = signer.sign(&json, &id).unwrap();
    assert_eq!(signer.sign(&json, &id).unwrap(), signature);
    env.write("bundle.json.minisig", &signature);
    let public = signer.public_key();
    let (is_good, said) = run(&env, &format!("-V -P {public} -m bundle.json"), "");
    assert!(is_good, "{said}");
}

#[test]
fn a_helper_with_another_key_than_it_says_is_found_out() {
    if !are_here(&["openssl"]) {
        return;
    }
    let env = TestEnv::new();
    let (json, id) = document(&env);
    let helper = helper(&env);
    let signer = Signer::from_helper(SignHelper::new(&helper).unwrap()).unwrap();
    let (other, _) = SecretKey::generate(None).unwrap();
    env.write("public", other.public_key().to_string());
    let lying = Signer::from_helper(SignHelper::new(&helper).unwrap()).unwrap();
    assert_ne!(lying.public_key(), signer.public_key());
    assert_eq!(
        lying.sign(&json, &id).unwrap_err().to_string(),
        format!(
            "the new signature does not verify with the public key `{}`",
            other.public_key().id()
        )
    );
}

/// Makes a helper with a key of openssl's; returns its path.
pub(super) fn helper(env: &TestEnv) -> String {
    let script = r#"#!/bin/sh
set -eu
cd "$(dirname "$0")"
case $1 in
public-key)
    cat public ;;
sign)
    cat > message
    openssl pkeyutl -sign -inkey key.pem -rawin -in message -out signature
    openssl base64 -A -in signature ;;
esac
"#;
    let path = env.write("hod-sign-openssl", script);
    let make = "openssl genpkey -algorithm ed25519 -out key.pem &&
        { printf Ed12345678; openssl pkey -in key.pem -pubout -outform DER | tail -c 32; } |
        openssl base64 -A > public && chmod +x hod-sign-openssl";
    let _ = finish(env.command("sh").args(["-c", make])).success();
    path.to_str().unwrap().to_owned()
}
