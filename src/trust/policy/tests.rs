//! Tables of what containers/image 5.39 says; `tests/policy` has its answers.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::key_source::KeySource;
use super::requirement::Requirement;
use super::{Evaluation, ImageUnderTest, Policy, PolicyError, PolicyPaths, PolicyScope, Rejected};
use crate::docker_name::DockerName;
use crate::signature::Signature;
use hod_oci::Digest;
use hod_report::Diagnose as _;
use hod_report::ErrorClass;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

fn parse(json: &str) -> Result<Policy, String> {
    let prefix = "invalid policy in \"/p\": ";
    Policy::parse(Path::new("/p"), json.as_bytes())
        .map_err(|error| error.to_string().strip_prefix(prefix).unwrap().to_owned())
}

fn columns<const N: usize>(line: &str) -> [&str; N] {
    let columns: Vec<&str> = line.split('\t').collect();
    columns.try_into().unwrap_or_else(|_| panic!("{line}"))
}

fn scope(transport: &str, image: &str) -> PolicyScope {
    let name = || image.parse::<DockerName>().unwrap().or_latest();
    match transport {
        "docker" => PolicyScope::docker(&name()),
        "docker-daemon" if image.starts_with("sha256:") => PolicyScope::docker_daemon(None),
        "docker-daemon" => PolicyScope::docker_daemon(Some(&name())),
        "dir" => PolicyScope::dir(Path::new(image)),
        "oci" => PolicyScope::oci(Path::new(image)),
        "oci-archive" => PolicyScope::oci_archive(Path::new(image)),
        _ => PolicyScope::whole("docker-archive"),
    }
}

#[test]
fn the_most_specific_scope_applies() {
    let table = include_str!("../tests/policy/lookup.txt");
    let (policy, rows) = table.split_once('\n').unwrap();
    // Every scope requires a key at a path that is its own name.
    let policy = parse(policy).unwrap();
    for row in rows.lines() {
        let [transport, image, expect] = columns(row);
        let requirements = policy.requirements(&scope(transport, image)).all();
        let [Requirement::SignedBy(signed_by)] = requirements else {
            panic!("{row}");
        };
        let expect = KeySource::Paths(vec![expect.to_owned()]);
        assert_eq!(signed_by.keys(), &expect, "{row}");
    }
}

#[test]
fn policies_are_parsed_as_strictly() {
    for row in include_str!("../tests/policy/parse.txt").lines() {
        let [json, expect] = columns(row);
        let found = match parse(json) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error,
        };
        // The places of errors of syntax, and Go's names of types.
        let is_about_syntax = |text: &str| {
            [
                "invalid character",
                "illegal base64",
                "cannot unmarshal",
                "unexpected data",
                "trailing",
            ]
            .iter()
            .any(|known| text.to_lowercase().contains(known))
        };
        if is_about_syntax(expect) {
            assert!(is_about_syntax(&found), "{json}\n{found}\n{expect}");
        } else {
            assert_eq!(found, expect, "{json}");
        }
    }
}

fn evaluate(image: &str, requirements: &str, signatures: &str) -> Result<(), Rejected> {
    let requirements = requirements.replace("@/", &format!("{FILES}/"));
    let policy = parse(&format!("{{\"default\":{requirements}}}")).unwrap();
    let manifest = hod_fsx::read(format!("{FILES}/openpgp/manifest.json").as_ref(), 1 << 20);
    let manifest = manifest.unwrap();
    let digest = Digest::of(&manifest);
    let image = image.replace("@M", &format!("@{digest}"));
    let (name, scope, shown) = if image.is_empty() {
        (
            None,
            PolicyScope::dir(Path::new("/tmp/tt")),
            "dir:/tmp/tt".to_owned(),
        )
    } else {
        let name: DockerName = image.parse().unwrap();
        let scope = PolicyScope::docker(&name);
        (Some(name), scope, format!("docker://{image}"))
    };
    let read = |file: &str| {
        let blob = hod_fsx::read(format!("{FILES}/{file}").as_ref(), 1 << 20).unwrap();
        Signature::from_blob(&blob).unwrap()
    };
    let signatures: Vec<Signature> = signatures
        .split(',')
        .filter(|file| !file.is_empty())
        .map(read)
        .collect();
    let image = ImageUnderTest {
        scope: &scope,
        name: &shown,
        docker_reference: name.as_ref(),
        manifest: &manifest,
        manifest_digest: &digest,
    };
    let requirements = policy.requirements(&scope);
    let evaluated = requirements.evaluate(&image, &signatures, evaluation());
    if !requirements.needs_signatures() {
        let unread = requirements.evaluate(&image, &[], evaluation());
        assert_eq!(unread, evaluated);
    }
    evaluated
}

/// In December of 2026.
fn evaluation() -> Evaluation {
    Evaluation {
        now: UNIX_EPOCH + Duration::from_secs(1_796_083_201),
        must_verify: false,
    }
}

#[test]
fn images_are_accepted_and_refused_alike() {
    for row in include_str!("../tests/policy/evaluate.txt").lines() {
        let [image, requirements, signatures, expect] = columns(row);
        let found = match evaluate(image, requirements, signatures) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found == "ok", expect == "ok", "{row}\n{found}");
        // What Go's and other libraries have their own words for.
        let differs = [
            "openpgp: ",
            "P1363",
            "open @/",
            "Key not found",
            "does not match: ",
            "p521.pub",
        ];
        if !differs.iter().any(|known| row.contains(known)) {
            assert_eq!(found, expect, "{row}");
        }
    }
}

#[test]
fn certificates_are_never_accepted() {
    let fulcio = r#"[{"type":"sigstoreSigned","fulcio":{"caPath":"/c","oidcIssuer":"x","subjectEmail":"a@b"},"rekorPublicKeyPath":"/r"}]"#;
    let pki = r#"[{"type":"sigstoreSigned","pki":{"caRootsPath":"/c","subjectEmail":"a@b"}}]"#;
    for (requirements, feature) in [(fulcio, "fulcio"), (pki, "pki")] {
        for signatures in ["", "sigstore/p256.sig", "sigstore/rekor.sig"] {
            let error = evaluate("example.com/ns/app:v1", requirements, signatures).unwrap_err();
            assert_eq!(error, Rejected::Unsupported { feature });
            assert_eq!(error.diagnose().class, ErrorClass::Policy);
        }
    }
}

#[test]
fn an_image_is_not_verified_by_accepting_anything() {
    let manifest = b"{}";
    let (digest, other) = (Digest::of(manifest), Digest::of(b"other"));
    let scope = PolicyScope::docker(&"x.y/z:1".parse().unwrap());
    let policy = parse(r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let requirements = policy.requirements(&scope);
    assert!(!requirements.needs_signatures() && !requirements.needs_sigstore());
    let image = ImageUnderTest {
        scope: &scope,
        name: "docker://x.y/z:1",
        docker_reference: None,
        manifest,
        manifest_digest: &digest,
    };
    assert_eq!(requirements.evaluate(&image, &[], evaluation()), Ok(()));
    let strict = Evaluation {
        must_verify: true,
        ..evaluation()
    };
    let error = requirements.evaluate(&image, &[], strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "No signature verification policy found for image docker:x.y/z:1"
    );
    let wrong = ImageUnderTest {
        manifest_digest: &other,
        ..image
    };
    let error = requirements
        .evaluate(&wrong, &[], evaluation())
        .unwrap_err();
    assert!(matches!(error, Rejected::Manifest { .. }));
}

#[test]
fn a_policy_is_looked_for() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("containers/policy.json");
    let paths = PolicyPaths {
        explicit: None,
        config_home: Some(root.path().to_owned()),
    };
    assert_eq!(
        paths.searched(),
        [
            file.clone(),
            "/etc/containers/policy.json".into(),
            "/usr/share/containers/policy.json".into()
        ]
    );
    let error = PolicyError::NotFound {
        searched: vec!["/a/policy.json".into(), "/b/policy.json".into()],
    };
    assert_eq!(
        error.to_string(),
        "config file not found: no policy.json file found; searched paths: [\"/a/policy.json\" \
         \"/b/policy.json\"]"
    );
    hod_fsx::create_dir_all(file.parent().unwrap()).unwrap();
    hod_fsx::write_file(&file, br#"{"default":[{"type":"nope"}]}"#).unwrap();
    let error = paths.read().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "invalid policy in \"{}\": Unknown policy requirement type \"nope\"",
            file.display()
        )
    );
    hod_fsx::write_file(&file, br#"{"default":[{"type":"reject"}]}"#).unwrap();
    assert!(paths.read().is_ok());
    let absent = PolicyPaths {
        explicit: Some("/no/such/policy.json".into()),
        ..paths
    };
    let error = absent.read().unwrap_err().to_string();
    assert_eq!(
        error,
        "open /no/such/policy.json: no such file or directory"
    );
}

proptest! {
    /// A signature with any flipped bit is refused.
    #[test]
    fn flipped_bits_are_not_accepted(at in 0_usize..10_000, bit in 0_u8..8) {
        let requirement = r#"[{"type":"sigstoreSigned","keyPath":"@/sigstore/p256.pub"}]"#;
        let policy = format!("{{\"default\":{}}}", requirement.replace("@/", &format!("{FILES}/")));
        let policy = parse(&policy).unwrap();
        let read = |file: &str| hod_fsx::read(format!("{FILES}/{file}").as_ref(), 1 << 20).unwrap();
        let (manifest, blob) = (read("openpgp/manifest.json"), read("sigstore/p256.sig"));
        let name: DockerName = "example.com/ns/app:v1".parse().unwrap();
        let scope = PolicyScope::docker(&name);
        let digest = Digest::of(&manifest);
        let accepts = |signature: &Signature, manifest: &[u8]| {
            let image = ImageUnderTest {
                scope: &scope,
                name: "",
                docker_reference: Some(&name),
                manifest,
                manifest_digest: &Digest::of(manifest),
            };
            let signatures = [signature.clone()];
            policy.requirements(&scope).evaluate(&image, &signatures, evaluation()).is_ok()
        };
        let Ok(Signature::Sigstore(signature)) = Signature::from_blob(&blob) else {
            return Err(TestCaseError::fail("a signature"));
        };
        let whole = Signature::Sigstore(signature.clone());
        prop_assert!(accepts(&whole, &manifest));
        let mut changed = signature.clone();
        let n = at % changed.payload.len();
        changed.payload[n] ^= 1 << bit;
        prop_assert!(!accepts(&Signature::Sigstore(changed), &manifest));
        let mut changed = manifest.clone();
        let n = at % changed.len();
        changed[n] ^= 1 << bit;
        prop_assert!(Digest::of(&changed) != digest);
        prop_assert!(!accepts(&whole, &changed));
        let mut changed = signature;
        let base64 = changed.annotations.values_mut().next().unwrap();
        let mut bytes = base64.clone().into_bytes();
        let n = at % bytes.len();
        bytes[n] ^= 1 << (bit % 7);
        *base64 = String::from_utf8(bytes).unwrap();
        let is_newline = base64.as_bytes()[n] == b'\n' || base64.as_bytes()[n] == b'\r';
        prop_assert!(is_newline || !accepts(&Signature::Sigstore(changed), &manifest));
    }
}
