//! Messages and keys that gpg 2.2 and skopeo 1.9 made; what is accepted is what gpg accepts, but for
//! SHA-1, text and armor.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::{Gpg, GpgError, KeyRing, Signed, StandaloneExpected, Unverified, verify_manifest};
use crate::passphrase::Passphrase;

/// In December of 2026, after all of them were made.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_796_083_201)
}

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/openpgp/{name}", env!("CARGO_MANIFEST_DIR"));
    hod_fsx::read(path.as_ref(), 1 << 20).unwrap()
}

fn ring(names: &[&str]) -> KeyRing {
    let mut ring = KeyRing::default();
    for name in names {
        assert_eq!(ring.add(&file(name), now()), 1, "{name}");
    }
    ring
}

fn verify(signature: &str, keys: &[&str]) -> Result<Signed, String> {
    let verified = ring(keys).verify(&file(signature), now());
    verified.map_err(|error| error.to_string())
}

#[test]
fn valid_messages_are_accepted() {
    for (signature, key) in [
        ("skopeo-alice.sig", "alice.pub"),
        ("skopeo-bob.sig", "bob.gpg"),
        ("skopeo-carol.sig", "carol.pub"),
        ("nist.sig", "nist.pub"),
        ("dora.sig", "dora.pub"),
        ("sha512.sig", "bob.gpg"),
        ("plain.sig", "alice.pub"),
        ("zlib.sig", "alice.pub"),
        ("revoked.sig", "unrevoked.gpg"),
    ] {
        let signed =
            verify(signature, &[key]).unwrap_or_else(|error| panic!("{signature}: {error}"));
        assert!(
            signed.content.starts_with(b"{\"critical\":{"),
            "{signature}"
        );
        assert_eq!(
            ring(&[key]).fingerprints(),
            std::slice::from_ref(&signed.primary)
        );
        // The subkey of Carol signed, and both names of the key are accepted.
        assert_eq!(signed.key == signed.primary, key != "carol.pub");
        assert_eq!(
            signed.require_key(std::slice::from_ref(&signed.key)),
            Ok(())
        );
        assert_eq!(
            signed.require_key(std::slice::from_ref(&signed.primary)),
            Ok(())
        );
        let error = signed.require_key(&["0".repeat(40)]).unwrap_err();
        let (key, primary) = (&signed.key, &signed.primary);
        assert_eq!(
            error.to_string(),
            format!("signature by key {key} of {primary} is not accepted")
        );
    }
}

#[test]
fn other_messages_are_refused() {
    #[track_caller]
    fn check(signature: &str, keys: &[&str], expect: &str) {
        let error = verify(signature, keys).unwrap_err();
        assert!(error.ends_with(expect), "{signature}: {error}");
    }
    let alice = &["alice.pub"][..];
    check("sha1.sig", &["bob.gpg"], "its hash algorithm is too weak");
    check("text.sig", alice, "it is not a signature of binary content");
    check("two.sig", alice, "Unexpected GPG signature count 2");
    check("literal.sig", alice, "Unexpected GPG signature count 0");
    check("expiring.sig", alice, "the signature is expired");
    check("old.sig", &["old.pub"], "the key is expired");
    check("carol-old-subkey.sig", &["carol.pub"], "the key is expired");
    check("revoked.sig", &["revoked.gpg"], "the key is revoked");
    check("early.sig", alice, "the key is newer than the signature");
    check(
        "critical.sig",
        alice,
        "it has a critical extension that is not known",
    );
    check(
        "skopeo-alice.sig",
        &["bob.gpg", "carol.pub"],
        "in signature",
    );
    check("skopeo-alice.sig", &[], "in signature");
    check("bomb.sig", alice, "it is too long");
    // Not compiled in: gpg compresses signed messages so only if it is told to.
    let error = verify("bzip2.sig", alice).unwrap_err();
    assert!(error.contains("not an OpenPGP signed message"), "{error}");
    let error = verify("skopeo-alice.sig", &["bob.gpg"]).unwrap_err();
    assert!(error.starts_with("Invalid GPG signature: "), "{error}");
    check("detached.sig", alice, "it is not content and its signature");
    for other in [
        "armored.sig",
        "clear.sig",
        "encrypted.sig",
        "alice.pub",
        "bob.gpg",
    ] {
        let error = verify(other, alice).unwrap_err();
        assert!(
            error.starts_with("not an OpenPGP signed message"),
            "{error}"
        );
    }
}

#[test]
fn copies_of_a_key_say_together_what_is_true() {
    for keys in [
        ["unrevoked.gpg", "revoked.gpg"],
        ["revoked.gpg", "unrevoked.gpg"],
    ] {
        let error = verify("revoked.sig", &keys).unwrap_err();
        assert!(error.ends_with("the key is revoked"), "{error}");
        assert_eq!(ring(&keys).fingerprints().len(), 1);
    }
    // Several blocks in one file, with text around them.
    let mut ring = KeyRing::default();
    let blocks = [
        b"# keys\n",
        &file("alice.pub")[..],
        b"\n",
        &file("carol.pub"),
    ]
    .concat();
    assert_eq!(ring.add(&blocks, now()), 2);
    assert_eq!(ring.fingerprints().len(), 2);
    assert_eq!(ring.add(b"no key", now()), 0);
    assert_eq!(ring.add(&file("literal.sig"), now()), 0);
    // The names and the subkeys of another key, below this one.
    let other = [&file("bob.gpg")[..200], &file("unrevoked.gpg")[..]].concat();
    let mut ring = KeyRing::default();
    ring.add(&other, now());
    assert!(ring.verify(&file("skopeo-bob.sig"), now()).is_err());
}

#[test]
fn what_is_not_verified_is_only_shown() {
    let unverified = Unverified::read(&file("skopeo-alice.sig")).unwrap();
    let signed = verify("skopeo-alice.sig", &["alice.pub"]).unwrap();
    assert_eq!(unverified.content, signed.content);
    assert!(signed.key.ends_with(&unverified.key_id) && unverified.key_id.len() == 16);
    assert!(Unverified::read(&file("literal.sig")).is_err());
}

#[test]
fn time_decides() {
    let ring = ring(&["old.pub", "alice.pub"]);
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    // July of 2024, before the key and the other signature expire; and before the key was made.
    assert!(ring.verify(&file("old.sig"), at(1_720_000_000)).is_ok());
    assert!(
        ring.verify(&file("expiring.sig"), at(1_720_000_000))
            .is_ok()
    );
    let error = ring
        .verify(&file("plain.sig"), at(1_600_000_000))
        .unwrap_err();
    assert!(
        error.to_string().contains("the clock of this machine"),
        "{error}"
    );
}

#[test]
fn a_signature_is_of_its_manifest_and_name() {
    let (ring, manifest) = (ring(&["alice.pub"]), file("manifest.json"));
    let check = |signature: &str, manifest: &[u8], docker_reference: &str| {
        let verified = verify_manifest(
            &file(signature),
            StandaloneExpected {
                manifest,
                docker_reference,
                keys: &ring,
                fingerprints: &ring.fingerprints(),
                now: now(),
            },
        );
        verified.map_err(|error| error.to_string())
    };
    let name = "example.com/ns/app:v1";
    let verified = check("skopeo-alice.sig", &manifest, name).unwrap();
    assert_eq!(verified.fingerprint, ring.fingerprints()[0]);
    assert_eq!(verified.digest, hod_oci::Digest::of(&manifest));
    assert_eq!(
        check("skopeo-alice.sig", &manifest, "example.com/ns/app:v2"),
        Err(
            r#"Docker reference "example.com/ns/app:v1" does not match "example.com/ns/app:v2""#
                .into()
        )
    );
    assert_eq!(
        check("skopeo-alice.sig", b"{}", name),
        Err(format!(
            r#"Signature for docker digest "{}" does not match"#,
            verified.digest
        ))
    );
}

/// A message with a flipped bit is refused, or the bit was in what surrounds the signed content.
#[test]
fn flipped_bits_do_not_change_what_is_signed() {
    for (name, key) in [
        ("plain.sig", "alice.pub"),
        ("skopeo-alice.sig", "alice.pub"),
    ] {
        let (ring, message) = (ring(&[key]), file(name));
        let content = ring.verify(&message, now()).unwrap().content;
        let mut n_accepted = 0;
        for n in 0..message.len() {
            let mut flipped = message.clone();
            flipped[n] ^= 1 << (n % 8);
            if let Ok(signed) = ring.verify(&flipped, now()) {
                assert_eq!(signed.content, content, "byte {n} of {name}");
                n_accepted += 1;
            }
        }
        // Dates and names of the literal, and what is not hashed of the signature.
        assert!(n_accepted < 40, "{n_accepted} in {name}");
    }
}

/// A key with a flipped bit verifies nothing, or verifies what it did before.
#[test]
fn flipped_bits_in_keys_do_not_make_others() {
    let (key, message) = (file("bob.gpg"), file("skopeo-bob.sig"));
    let fingerprints = ring(&["bob.gpg"]).fingerprints();
    for n in 0..key.len() {
        let mut flipped = key.clone();
        flipped[n] ^= 1 << (n % 8);
        let mut ring = KeyRing::default();
        ring.add(&flipped, now());
        if ring.verify(&message, now()).is_ok() {
            assert_eq!(ring.fingerprints(), fingerprints, "byte {n}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, cut in 0_usize..400) {
        let mut ring = ring(&["alice.pub"]);
        prop_assert!(ring.verify(&bytes, now()).is_err());
        let mut message = file("plain.sig");
        message.truncate(cut);
        message.extend(&bytes);
        prop_assert!(ring.verify(&message, now()).is_err());
        ring.add(&bytes, now());
        prop_assert_eq!(ring.fingerprints().len(), 1);
    }
}

#[test]
fn gpg_signs_with_its_keys() {
    let absent = Gpg {
        program: "no-such-gpg".to_owned(),
        home: None,
    };
    assert_eq!(
        absent.sign(b"x", "alice", None),
        Err(GpgError::Absent {
            program: "no-such-gpg".to_owned()
        })
    );
    let home = tempfile::Builder::new().prefix("g").tempdir().unwrap();
    let gpg = Gpg {
        home: Some(home.path().to_owned()),
        ..Gpg::default()
    };
    let made = hod_program::run(
        "gpg",
        &[
            "--batch",
            "--homedir",
            home.path().to_str().unwrap(),
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "secret",
            "--quick-gen-key",
            "Zoe <zoe@example.com>",
            "ed25519",
            "sign",
        ],
        b"",
    );
    // Where there is no gpg, it is tested elsewhere.
    let Ok(made) = made else { return };
    assert!(made.is_success, "{}", String::from_utf8_lossy(&made.stderr));
    let passphrase = Passphrase::new("secret").unwrap();
    let message = gpg
        .sign(b"{\n}", "zoe@example.com", Some(&passphrase))
        .unwrap();
    let keys = gpg.export(&["zoe@example.com".to_owned()]).unwrap();
    let mut ring = KeyRing::default();
    let now = SystemTime::now() + Duration::from_secs(2);
    assert_eq!(ring.add(&keys, now), 1);
    let signed = ring.verify(&message, now).unwrap();
    assert_eq!(signed.content, b"{\n}");
    let error = gpg
        .sign(b"x", "nobody@example.com", Some(&passphrase))
        .unwrap_err();
    assert!(
        matches!(&error, GpgError::Failed { message, .. } if message.contains("nobody")),
        "{error}"
    );
    // The agent that was started for these keys.
    let home = home.path().to_str().unwrap();
    let ended = hod_program::run("gpgconf", &["--homedir", home, "--kill", "all"], b"");
    assert!(ended.is_ok());
}
