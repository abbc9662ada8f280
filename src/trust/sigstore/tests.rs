//! Keys and signatures that containers/image and cosign made.

use std::collections::BTreeMap;

use super::{
    Attachments, GeneratedKey, Keys, SigstoreKeyError, SigstorePublicKey, SigstoreSecretKey,
    attachment_tag, verify,
};
use crate::passphrase::Passphrase;
use crate::payload::{Payload, PayloadKind};
use crate::signature::{Signature, SigstoreSignature};
use hod_oci::Digest;

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/sigstore/{name}", env!("CARGO_MANIFEST_DIR"));
    hod_fsx::read(path.as_ref(), 1 << 20).unwrap()
}

fn secret() -> Passphrase {
    Passphrase::new("secret").unwrap()
}

fn payload() -> Payload {
    Payload {
        digest: Digest::of(b"{}"),
        docker_reference: "example.com/a:1".to_owned(),
        creator: None,
        timestamp: None,
    }
}

fn keys(key: &SigstorePublicKey) -> Keys {
    Keys {
        keys: vec![key.clone()],
        rekor: Vec::new(),
    }
}

#[test]
fn keys_of_others_are_read_and_sign() {
    // The last one is cosign's own; the others are in containers/image's form.
    for name in ["p256", "ed25519", "rsa", "cosign"] {
        let key = SigstoreSecretKey::open(&file(&format!("{name}.key")), &secret()).unwrap();
        let public = SigstorePublicKey::parse(&file(&format!("{name}.pub"))).unwrap();
        assert_eq!(key.public_key(), &public, "{name}");
        assert_eq!(public.to_pem().as_bytes(), file(&format!("{name}.pub")));
        let signature = key.sign(&payload()).unwrap();
        assert_eq!(verify(&signature, &keys(&public)), Ok(payload()), "{name}");
        assert_eq!(format!("{key:?}"), "SigstoreSecretKey([redacted])");
    }
    let pkcs1 = SigstorePublicKey::parse(&file("rsa-pkcs1.pub")).unwrap();
    assert_eq!(pkcs1, SigstorePublicKey::parse(&file("rsa.pub")).unwrap());
}

#[test]
fn keys_are_read_as_they_are_generated() {
    let generated = GeneratedKey::generate(&secret()).unwrap();
    assert_eq!(format!("{generated:?}"), "GeneratedKey([redacted])");
    let lines: Vec<&str> = generated.secret.lines().collect();
    assert_eq!(lines[0], "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----");
    assert!(lines.iter().all(|line| line.len() <= 64) && generated.secret.ends_with("-\n"));
    let key = SigstoreSecretKey::open(generated.secret.as_bytes(), &secret()).unwrap();
    let public = SigstorePublicKey::parse(generated.public.as_bytes()).unwrap();
    assert_eq!(key.public_key(), &public);
    // Not the same signature twice, and the key of another refuses both.
    let (one, two) = (key.sign(&payload()).unwrap(), key.sign(&payload()).unwrap());
    assert_ne!(one, two);
    let other = SigstorePublicKey::parse(&file("p256.pub")).unwrap();
    assert!(verify(&one, &keys(&public)).is_ok() && verify(&two, &keys(&public)).is_ok());
    assert!(verify(&one, &keys(&other)).is_err());
}

#[test]
fn other_files_are_not_keys() {
    #[track_caller]
    fn check(name: &str, passphrase: &str, expect: &str) {
        let passphrase = Passphrase::new(passphrase).unwrap();
        let error = SigstoreSecretKey::open(&file(name), &passphrase).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    check("p256.key", "wrong", "decrypt: encrypted: decryption failed");
    check("p256.key", "", "decrypt: encrypted: decryption failed");
    check("p256.pub", "", "unsupported pem type: PUBLIC KEY");
    check("p256.sig", "", "invalid pem block");
    check(
        "p384.key",
        "secret",
        "parsing private key: it is not of ECDSA P-256, Ed25519 or RSA",
    );
    let public = |name| SigstorePublicKey::parse(&file(name)).unwrap_err();
    assert_eq!(public("p256.sig"), SigstoreKeyError::PublicPem);
    assert_eq!(public("p521.pub"), SigstoreKeyError::PublicAlgorithm);
    assert_eq!(
        public("p256.key").to_string(),
        "unknown Public key PEM file type: ENCRYPTED COSIGN PRIVATE KEY. Are you passing the correct \
         public key?"
    );
    // A key that would cost 4 GiB of memory.
    let costly = String::from_utf8(file("p256.key")).unwrap();
    let pem = pem::parse(costly).unwrap();
    let json = String::from_utf8(pem.contents().to_vec()).unwrap();
    let json = json.replace("65536", "4194304");
    let costly = pem::encode(&pem::Pem::new(pem.tag(), json));
    assert_eq!(
        SigstoreSecretKey::open(costly.as_bytes(), &secret()).unwrap_err(),
        SigstoreKeyError::Sealed {
            problem: "unsupported scrypt parameters"
        }
    );
}

#[test]
fn flipped_bits_in_keys_do_not_verify() {
    let Ok(Signature::Sigstore(signature)) = Signature::from_blob(&file("p256.sig")) else {
        panic!("a signature")
    };
    let der = pem::parse(file("p256.pub")).unwrap();
    for n in 0..der.contents().len() * 8 {
        let mut flipped = der.contents().to_vec();
        flipped[n / 8] ^= 1 << (n % 8);
        let pem = pem::encode(&pem::Pem::new(der.tag(), flipped));
        if let Ok(key) = SigstorePublicKey::parse(pem.as_bytes()) {
            assert!(verify(&signature, &keys(&key)).is_err(), "bit {n}");
        }
    }
}

#[test]
fn a_bundle_of_rekor_is_of_one_signature() {
    let trusted = |key: &str, rekor: &str| Keys {
        keys: vec![SigstorePublicKey::parse(&file(key)).unwrap()],
        rekor: vec![SigstorePublicKey::parse(&file(rekor)).unwrap()],
    };
    let read = |name: &str| match Signature::from_blob(&file(name)) {
        Ok(Signature::Sigstore(signature)) => signature,
        _ => panic!("a signature"),
    };
    let good = read("rekor.sig");
    let keys = trusted("p256.pub", "rekor.pub");
    let verified = verify(&good, &keys).unwrap();
    assert_eq!(verified.docker_reference, "example.com/ns/app:v1");
    let bundle = &good.annotations[SigstoreSignature::BUNDLE];
    let value = |text: &str| text.replace("1717200000", "1717200001");
    for changed in [
        value(bundle),
        bundle.replace(":42", ":43"),
        bundle.replace("42", "42.0"),
    ] {
        assert_ne!(&changed, bundle);
        let mut signature = good.clone();
        let annotations = &mut signature.annotations;
        annotations.insert(SigstoreSignature::BUNDLE.to_owned(), changed);
        assert!(verify(&signature, &keys).is_err());
    }
    // The same with other white space and another order of keys.
    let json: BTreeMap<String, serde_json::Value> = serde_json::from_str(bundle).unwrap();
    let mut signature = good.clone();
    signature.annotations.insert(
        SigstoreSignature::BUNDLE.to_owned(),
        serde_json::to_string_pretty(&json).unwrap(),
    );
    assert!(verify(&signature, &keys).is_ok());
}

#[test]
fn attachments_are_built_as_containers_image_does() {
    let image: Digest = Digest::of(&file("../openpgp/manifest.json"));
    assert_eq!(
        attachment_tag(&image),
        format!("sha256-{}.sig", image.hex())
    );
    // Made by skopeo: one signature, and another that was added by another key.
    let (one, two) = (
        Attachments::parse(&file("attachment-1.json")).unwrap(),
        Attachments::parse(&file("attachment-2.json")).unwrap(),
    );
    let payloads = [file("payload-1.json"), file("payload-2.json")];
    let first = one.signature(0, payloads[0].clone()).unwrap();
    let second = two.signature(1, payloads[1].clone()).unwrap();
    let built = Attachments::first(std::slice::from_ref(&first));
    assert_eq!(built.payloads, [payloads[0].clone()]);
    assert_eq!(built.config, file("config-1.json"));
    assert_eq!(built.manifest, file("attachment-1.json"));
    let added = one
        .with(&file("config-1.json"), &[first.clone(), second.clone()])
        .unwrap();
    assert_eq!(added.payloads, [payloads[1].clone()]);
    assert_eq!(added.config, file("config-2.json"));
    assert_eq!(added.manifest, file("attachment-2.json"));
    // Both are by their keys, and for another image they are not.
    for (signature, name) in [(&first, "p256.pub"), (&second, "rsa.pub")] {
        let key = SigstorePublicKey::parse(&file(name)).unwrap();
        assert_eq!(verify(signature, &keys(&key)).unwrap().digest, image);
    }
    let listed: Vec<u64> = two.payloads().map(|(_, size)| size).collect();
    assert_eq!(listed, payloads.map(|payload| payload.len() as u64));
    assert_eq!(two.config().0, &Digest::of(&file("config-2.json")));
    let error = two.signature(0, b"{}".to_vec()).unwrap_err().to_string();
    assert_eq!(
        error,
        "signature 1 of the manifest does not have its digest and size"
    );
}

#[test]
fn signatures_are_those_that_cosign_accepts() {
    // Made here, of an image in a registry, where `cosign verify` 2.4.3 accepted it.
    let Ok(Signature::Sigstore(accepted)) = Signature::from_blob(&file("made-here.sig")) else {
        panic!("it is a signature");
    };
    let key = SigstorePublicKey::parse(&file("made-here.pub")).unwrap();
    let payload = verify(&accepted, &keys(&key)).unwrap();
    assert_eq!(payload.docker_reference, "127.0.0.1:5791/team/ck:1");
    // All but the signature itself, which is another each time.
    let own = SigstoreSecretKey::open(&file("p256.key"), &secret()).unwrap();
    let again = own.sign(&payload).unwrap();
    assert_eq!(again.payload, accepted.payload);
    assert_eq!(again.media_type, accepted.media_type);
    assert!(again.annotations.keys().eq(accepted.annotations.keys()));
}

#[test]
fn attachments_of_cosign_are_read_and_extended() {
    let attachments = Attachments::parse(&file("cosign-attachment.json")).unwrap();
    let signature = attachments
        .signature(0, file("cosign-payload.json"))
        .unwrap();
    let key = SigstorePublicKey::parse(&file("cosign.pub")).unwrap();
    let payload = verify(&signature, &keys(&key)).unwrap();
    assert_eq!(payload.docker_reference, "127.0.0.1:5688/cos/app");
    let own = SigstoreSecretKey::open(&file("p256.key"), &secret()).unwrap();
    let added = own.sign(&payload).unwrap();
    let built = attachments
        .with(&file("cosign-config.json"), &[added])
        .unwrap();
    let again = Attachments::parse(&built.manifest).unwrap();
    assert_eq!(again.payloads().count(), 2);
    assert_eq!(
        again.signature(0, file("cosign-payload.json")),
        Ok(signature)
    );
    let config = String::from_utf8(built.config).unwrap();
    assert!(
        config
            .starts_with(r#"{"created":"0001-01-01T00:00:00Z","architecture":"","os":"","rootfs""#),
        "{config}"
    );
    assert!(config.ends_with(r#""history":[{"created":"0001-01-01T00:00:00Z"}]}"#));
}

#[test]
fn other_manifests_are_not_attachments() {
    for json in ["", "{}", "[]", "null", r#"{"schemaVersion":2,"layers":[]}"#] {
        assert!(Attachments::parse(json.as_bytes()).is_err(), "{json}");
    }
    let index = String::from_utf8(file("attachment-1.json")).unwrap();
    let index = index.replacen("image.manifest", "image.index", 1);
    assert_eq!(
        Attachments::parse(index.as_bytes())
            .unwrap_err()
            .to_string(),
        "unexpected MIME type for sigstore attachment manifest: \
         \"application/vnd.oci.image.index.v1+json\""
    );
    let error = payload_of("wrong").unwrap_err();
    assert!(error.contains("Unrecognized"), "{error}");
}

fn payload_of(kind: &str) -> Result<Payload, String> {
    let json = payload().to_json(PayloadKind::Sigstore).unwrap();
    let json = json.replace("cosign container image signature", kind);
    Payload::parse(PayloadKind::Sigstore, json.as_bytes()).map_err(|error| error.to_string())
}
