//! The frozen bundles that are signed, and the frozen signatures in them.
//!
//! Their key is `test-only.key`, beside them: anybody can sign with it, and nobody may trust it.

use hod_bundle::{PackPlan, SecretKey, Signer};

use super::{Golden, dir, joined, plain};
use crate::signatures::minisign;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::programs::are_here;
use hod_testkit::tree::{exists, read, remove_tree};

/// Makes three volumes of the plain bundle.
const VOLUME_SIZE: u64 = 69_632;

fn signer() -> Signer {
    let key = String::from_utf8(read(&dir().join("test-only.key"))).unwrap();
    Signer::from_key(SecretKey::open(&key, None).unwrap())
}

/// The plain bundle, signed, as one file and in volumes.
pub(super) fn all() -> [Golden; 2] {
    let plan = |name| PackPlan {
        signer: Some(signer()),
        ..plain().plan(name)
    };
    [
        Golden {
            file: "signed.tar",
            n_volumes: None,
            input: plain(),
            plan: plan("signed"),
        },
        Golden {
            file: "signed-volumes.tar",
            n_volumes: Some(3),
            input: plain(),
            plan: PackPlan {
                volume_size: Some(VOLUME_SIZE),
                ..plan("signed-volumes")
            },
        },
    ]
}

/// The flag by which the test key is trusted.
fn trusting() -> String {
    format!("--verify-key={}", dir().join("test-only.pub").display())
}

#[test]
fn frozen_signatures_are_verified_wherever_bundles_are_read() {
    let env = TestEnv::new();
    let _ = env.run_line("keygen --output other").success();
    for file in all().iter().flat_map(Golden::files) {
        let file = file.to_str().unwrap();
        let output = env.run(["verify", file, &trusting()]).success();
        let said = output.stderr;
        assert!(said.contains("signed by the trusted key"), "{said}");
        assert!(!said.contains("missing"), "{said}");
        let _ = env
            .run(["unpack", file, "--output", "out", &trusting()])
            .success();
        let _ = env.run_line("verify out").success();
        remove_tree(&env.path("out")).unwrap();
        let refused = env.run([
            "unpack",
            file,
            "--output",
            "out",
            "--verify-key",
            "other.pub",
        ]);
        let refused = refused.exits(4);
        assert!(
            refused.stderr.contains("is signed by key"),
            "{}",
            refused.stderr
        );
        assert!(!exists(&env.path("out")));
    }
    // What is frozen beside them is by nobody.
    let plain = dir().join("plain.tar");
    let unsigned = env.run(["ls", plain.to_str().unwrap(), &trusting()]);
    let unsigned = unsigned.exits(4);
    assert!(unsigned.stderr.contains("is not signed"));
    // Joined, in one pass.
    for golden in all() {
        env.write("joined.tar", joined(&golden.files()));
        let mut unpack = env.hod();
        unpack.args(["unpack", "-", "--output", "out", &trusting()]);
        unpack.stdin(hod_fsx::open(&env.path("joined.tar")).unwrap());
        let _ = finish(&mut unpack).success();
        let _ = env.run_line("verify out").success();
        remove_tree(&env.path("out")).unwrap();
    }
}

#[test]
fn minisign_checks_frozen_signatures() {
    if !are_here(&["minisign"]) {
        return;
    }
    let env = TestEnv::new();
    let key = dir().join("test-only.pub");
    for file in all().iter().flat_map(Golden::files) {
        let mut untar = env.command("tar");
        untar.arg("-xf").arg(&file);
        untar.args(["hod/bundle.json", "hod/bundle.json.minisig"]);
        let _ = finish(&mut untar).success();
        let line = format!("-V -H -p {} -m hod/bundle.json", key.display());
        let (is_good, said) = minisign::run(&env, &line, "");
        assert!(is_good, "{}: {said}", file.display());
    }
}
