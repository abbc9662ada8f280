//! What can go wrong in a store, with receipts, and with keys and signatures.

use std::path::PathBuf;

use hod_bundle::{KeyError, ReceiptError, SignError, SignatureError};
use hod_oci::{ContentMismatch, Digest, ManifestError};
use hod_store::StoreError;
use hod_testkit::images::repository;

use super::{absent_file, digest, other, path, table};

#[test]
fn of_the_store() {
    insta::assert_snapshot!(table!(StoreError {
        NotAStore { path: path() } => Usage 2,
        InsideTree { path: path() } => Usage 2,
        ReadOnly { path: path() } => Internal 1,
        InUse { path: path() } => Policy 5,
        Indirect { path: path() } => Policy 5,
        IndirectFile { path: path() } => Policy 5,
        SameDirectory {
            path: path(),
            origin: "store".into(),
        } => Policy 5,
        Changed { path: path() } => Policy 1,
        NotPutBack {
            path: path(),
            kept: "store/.hod/tmp/kept.gone-a1b2c3/data".into(),
            source: Box::new(absent_file()),
        } => NotFound 1,
        File(absent_file()) => NotFound 1,
        BadLink {
            path: path(),
            source: "sha256:3".parse::<Digest>().unwrap_err(),
        } => Verify 4,
        Content(ContentMismatch::Digest {
            expected: digest(),
            actual: other(),
            len: 1,
        }) => Verify 4,
        Corrupt {
            digest: digest(),
            path: path(),
        } => Verify 4,
        BadManifest {
            digest: digest(),
            source: ManifestError::Schema1,
        } => Policy 1,
        MissingBlob {
            repository: repository("a/b"),
            digest: digest(),
        } => NotFound 1,
    } more {
        StoreError::Content(ContentMismatch::Length {
            digest: digest(),
            expected: 2,
            actual: 1,
        }) => Verify 4,
    }));
}

#[test]
fn of_receipts() {
    insta::assert_snapshot!(table!(ReceiptError {
        NotAReceipt {
            found: "it has no `format`",
        } => Usage 2,
        Json(serde_json::from_str::<u32>("{").unwrap_err()) => Usage 2,
        Unsupported {
            what: "format 2".to_owned(),
        } => Usage 2,
        Damaged {
            what: "its checksum is wrong",
        } => Usage 2,
        TooLong => Usage 2,
    }));
}

#[test]
fn of_keys_and_signatures() {
    let key = || "0FB1A5FD687DC583".parse().unwrap();
    let program = || "hod-sign-vault".to_owned();
    let other = || "F0123456789ABCDE".parse().unwrap();
    let keys = table!(KeyError {
        Public {
            problem: "its last line is not base64",
        } => Usage 2,
        Secret {
            problem: "it is not for Ed25519",
        } => Usage 2,
        Weak { id: key() } => Usage 2,
        PasswordNeeded => Usage 2,
        PasswordWrong => Usage 2,
        Damaged => Usage 2,
        TooCostly => Usage 2,
        NoRandomness => Internal 1,
    });
    let signing = table!(SignError {
        HelperName {
            helper: "../vault".to_owned(),
        } => Usage 2,
        HelperAbsent { program: program() } => Usage 2,
        HelperFailed {
            program: program(),
            message: "permission denied".to_owned(),
        } => Auth 1,
        HelperKey {
            program: program(),
            source: KeyError::Public {
                problem: "its last line is not base64",
            },
        } => Auth 1,
        HelperAnswer { program: program() } => Auth 1,
        Wrong { key: key() } => Verify 4,
    });
    let signatures = table!(SignatureError {
        Unsigned {
            path: PathBuf::from("/data/site.tar"),
            trusted: vec![key()],
        } => Verify 4,
        UnknownKey {
            key: other(),
            trusted: vec![key(), other(), key()],
        } => Verify 4,
        Altered { key: key() } => Verify 4,
        OtherBundle {
            key: key(),
            signed: digest(),
        } => Verify 4,
        Comment { key: key() } => Verify 4,
        Legacy => Verify 4,
        Format {
            problem: "it has not four lines",
        } => Verify 4,
        Missing { listed: key() } => Verify 4,
        Disagrees {
            listed: None,
            key: key(),
        } => Verify 4,
    } more {
        SignatureError::Disagrees {
            listed: Some(other()),
            key: key(),
        } => Verify 4,
    });
    insta::assert_snapshot!([keys, signing, signatures].concat());
}
