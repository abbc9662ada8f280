//! Every error as a person reads it: one instance of each variant, in one snapshot a module.
//!
//! Each list of instances is held complete by a `match` that a new variant breaks.

mod bundles;
mod formats;
mod verbs;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod::cli::ui::render_error;
use hod_bundle::{BundleError, KeyError, ReceiptError, SignError, SignatureError};
use hod_layout::NoDockerImage;
use hod_oci::{ContentMismatch, Digest, ManifestError};
use hod_report::ErrorClass;
use hod_report::Hint;
use hod_store::StoreError;
use hod_transfer::{
    AbsentChild, BlobHolder, Holder, SizeClaim, TargetFailure, TransferError, Unmatched, Wish,
};

use hod_testkit::images::repository;

fn digest() -> Digest {
    Digest::of(b"")
}

fn path() -> PathBuf {
    PathBuf::from("/data/store")
}

fn absent_file() -> hod_fsx::Error {
    hod_fsx::open(&PathBuf::from("/nonexistent/file")).unwrap_err()
}

/// Renders each error, with its hint, under its variant's name.
fn render<E: std::error::Error + Hint>(errors: &[E]) -> String {
    let mut text = String::new();
    for error in errors {
        let name = format!("{error:?}");
        let name = name.split([' ', '(', '{']).next().unwrap_or_default();
        let rendered = render_error(error, error.hint().as_deref());
        writeln!(text, "## {name}\n{rendered}\n").unwrap();
    }
    text
}

#[test]
fn of_the_store() {
    let errors = [
        StoreError::NotAStore { path: path() },
        StoreError::InsideTree { path: path() },
        StoreError::ReadOnly { path: path() },
        StoreError::InUse { path: path() },
        StoreError::Indirect { path: path() },
        StoreError::IndirectFile { path: path() },
        StoreError::SameDirectory {
            path: path(),
            origin: "store".into(),
        },
        StoreError::Changed { path: path() },
        StoreError::NotPutBack {
            path: path(),
            kept: "store/.hod/tmp/kept.gone-a1b2c3/data".into(),
            source: Box::new(absent_file()),
        },
        StoreError::File(absent_file()),
        StoreError::BadLink {
            path: path(),
            source: "sha256:3".parse::<Digest>().unwrap_err(),
        },
        StoreError::Content(ContentMismatch::Digest {
            expected: digest(),
            actual: Digest::of(b"x"),
            len: 1,
        }),
        StoreError::Content(ContentMismatch::Length {
            digest: digest(),
            expected: 2,
            actual: 1,
        }),
        StoreError::Corrupt {
            digest: digest(),
            path: path(),
        },
        StoreError::BadManifest {
            digest: digest(),
            source: ManifestError::Schema1,
        },
        StoreError::MissingBlob {
            repository: repository("a/b"),
            digest: digest(),
        },
    ];
    for error in &errors {
        match error {
            StoreError::NotAStore { .. }
            | StoreError::InsideTree { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::InUse { .. }
            | StoreError::Indirect { .. }
            | StoreError::IndirectFile { .. }
            | StoreError::SameDirectory { .. }
            | StoreError::Changed { .. }
            | StoreError::NotPutBack { .. }
            | StoreError::File(_)
            | StoreError::BadLink { .. }
            | StoreError::Content(_)
            | StoreError::Corrupt { .. }
            | StoreError::BadManifest { .. }
            | StoreError::MissingBlob { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}

fn damaged_source(holder: BlobHolder) -> TransferError {
    TransferError::DamagedSource {
        paths: vec![path()],
        holder,
        digest: digest(),
        actual: Digest::of(b"x"),
    }
}

/// Those of what a bundle counts on, and of damage at either end.
fn of_bases() -> [TransferError; 7] {
    [
        damaged_source(BlobHolder::Store),
        damaged_source(BlobHolder::Bundle),
        damaged_source(BlobHolder::Other),
        TransferError::TargetDamaged {
            repository: "harbor.corp/site/app".to_owned(),
            digest: digest(),
            expected: 2,
            actual: Some(0),
        },
        TransferError::TargetDamaged {
            repository: "harbor.corp/site/app".to_owned(),
            digest: digest(),
            expected: 2,
            actual: None,
        },
        TransferError::BaseLost { digest: digest() },
        TransferError::NotMounted {
            digest: digest(),
            repository: "harbor.corp/site/new".to_owned(),
            from: Some("harbor.corp/site/app".to_owned()),
        },
    ]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one of every error")]
fn of_the_way() {
    let errors: Vec<TransferError> = [
        TransferError::Store(StoreError::NotAStore { path: path() }),
        TransferError::Bundle(BundleError::Compressed { path: path() }),
        TransferError::Stream(Arc::new(BundleError::TooLarge)),
        TransferError::File(absent_file()),
        TransferError::Manifest(ManifestError::Shapeless),
        TransferError::ImageAbsent {
            registry: Some("harbor.corp".parse().unwrap()),
            similar: vec!["1.0".parse().unwrap(), "1.1".parse().unwrap()],
        },
        TransferError::Unmatched(Unmatched::NoRepository {
            registry: "docker.io".parse().unwrap(),
        }),
        TransferError::Unmatched(Unmatched::NoTag {
            n_tags: 7,
            newest: vec!["1.0".parse().unwrap(), "1.1".parse().unwrap()],
        }),
        TransferError::Unmatched(Unmatched::TooMany {
            n_tags: 12_345,
            n_max: 10_000,
        }),
        TransferError::ChildAbsent(Box::new(AbsentChild {
            digest: digest(),
            role: "linux/arm64".to_owned(),
            holder: Holder::Archive,
            present: vec!["linux/amd64".to_owned()],
            wish: Wish::Platform,
        })),
        TransferError::BlobAbsent { digest: digest() },
        TransferError::BlobLength {
            digest: digest(),
            claim: SizeClaim::Manifest(Digest::of(b"x")),
            expected: 2,
            actual: 1,
        },
        TransferError::SizesDiffer {
            digest: digest(),
            first: Box::new((Digest::of(b"x"), 2)),
            second: Box::new((Digest::of(b"y"), 3)),
        },
        TransferError::WrongSize {
            manifest: Digest::of(b"x"),
            digest: digest(),
            expected: 2,
            source: Arc::new(TransferError::Stopped),
        },
        TransferError::Content(ContentMismatch::Digest {
            expected: digest(),
            actual: Digest::of(b"x"),
            len: 1,
        }),
        TransferError::BlobRead {
            path: path(),
            source: io::ErrorKind::UnexpectedEof.into(),
        },
        TransferError::StreamRead {
            digest: digest(),
            source: io::ErrorKind::InvalidData.into(),
        },
        TransferError::NoPlatform {
            wanted: "linux/riscv64".to_owned(),
            offered: "linux/amd64, linux/arm64".to_owned(),
        },
        TransferError::OtherPlatform {
            platform: "linux/amd64".to_owned(),
            missing: "linux/arm64".to_owned(),
        },
        TransferError::PinnedIndex {
            digest: digest(),
            platforms: "linux/amd64".to_owned(),
        },
        TransferError::Rewritten {
            expected: digest(),
            actual: Digest::of(b"x"),
        },
        TransferError::TooDeep { depth_max: 8 },
        TransferError::TooMany {
            n_max: 1000,
            len_max: 33_554_432,
        },
        TransferError::Referrers {
            digest: digest(),
            source: Box::new(TransferError::TooManyReferrers {
                n_max: 1000,
                len_max: 33_554_432,
            }),
        },
        TransferError::TooManyReferrers {
            n_max: 1000,
            len_max: 33_554_432,
        },
        TransferError::ReferrersTag {
            repository: "harbor.corp/a/b".to_owned(),
            tag: "sha256-12".parse().unwrap(),
        },
        TransferError::ReferrerDiffers {
            repository: "harbor.corp/a/b".to_owned(),
            tag: "sha256-12.sig".parse().unwrap(),
        },
        TransferError::NoDockerImage(NoDockerImage::Index),
        TransferError::NoDockerImage(NoDockerImage::NoTag),
        TransferError::NameTaken {
            name: "a/b:1".to_owned(),
            digest: digest(),
            other: Digest::of(b"x"),
        },
        TransferError::ManifestAsBlob { digest: digest() },
        TransferError::Rewrite,
        TransferError::ReadOnce { digest: digest() },
        TransferError::Stopped,
        TransferError::TargetFailed {
            text: "no space left".to_owned(),
            class: ErrorClass::Space,
            meaning: TargetFailure::Other,
            hint: Some("make room".to_owned()),
        },
    ]
    .into_iter()
    .chain(of_bases())
    .collect();
    for error in &errors {
        match error {
            // These show what the tests of what is in them show.
            TransferError::Registry(_)
            | TransferError::PartialIndex { .. }
            | TransferError::Layout(_) => unreachable!(),
            TransferError::Store(_)
            | TransferError::Bundle(_)
            | TransferError::Stream(_)
            | TransferError::File(_)
            | TransferError::Manifest(_)
            | TransferError::ImageAbsent { .. }
            | TransferError::Unmatched(_)
            | TransferError::ChildAbsent(_)
            | TransferError::BlobAbsent { .. }
            | TransferError::BlobLength { .. }
            | TransferError::SizesDiffer { .. }
            | TransferError::WrongSize { .. }
            | TransferError::NameTaken { .. }
            | TransferError::Content(_)
            | TransferError::BlobRead { .. }
            | TransferError::StreamRead { .. }
            | TransferError::NoPlatform { .. }
            | TransferError::OtherPlatform { .. }
            | TransferError::PinnedIndex { .. }
            | TransferError::Rewritten { .. }
            | TransferError::TooDeep { .. }
            | TransferError::TooMany { .. }
            | TransferError::Referrers { .. }
            | TransferError::TooManyReferrers { .. }
            | TransferError::ReferrersTag { .. }
            | TransferError::ReferrerDiffers { .. }
            | TransferError::NoDockerImage(_)
            | TransferError::ManifestAsBlob { .. }
            | TransferError::Rewrite
            | TransferError::ReadOnce { .. }
            | TransferError::BaseLost { .. }
            | TransferError::DamagedSource { .. }
            | TransferError::TargetDamaged { .. }
            | TransferError::NotMounted { .. }
            | TransferError::TargetFailed { .. }
            | TransferError::Stopped => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}

#[test]
fn of_receipts() {
    let json = serde_json::from_str::<u32>("{").unwrap_err();
    let errors = [
        ReceiptError::NotAReceipt {
            found: "it has no `format`",
        },
        ReceiptError::Json(json),
        ReceiptError::Unsupported {
            what: "format 2".to_owned(),
        },
        ReceiptError::Damaged {
            what: "its checksum is wrong",
        },
        ReceiptError::TooLong,
    ];
    for error in &errors {
        match error {
            ReceiptError::NotAReceipt { .. }
            | ReceiptError::Json(_)
            | ReceiptError::Unsupported { .. }
            | ReceiptError::Damaged { .. }
            | ReceiptError::TooLong => {}
        }
    }
    insta::assert_snapshot!(render(&errors), @"
    ## NotAReceipt
    error: it is no receipt: it has no `format`

    hint: `hod receipt REGISTRY --output have.json` writes one.

    ## Json
    error: it is not valid JSON
      caused by: invalid type: map, expected u32 at line 1 column 0

    hint: `hod receipt REGISTRY --output have.json` writes one.

    ## Unsupported
    error: it has format 2, which this version of hod does not know

    hint: Use the version of hod that wrote it, or a later one.

    ## Damaged
    error: the compact receipt is damaged: its checksum is wrong

    hint: Copy it again, all of it, from `hod-receipt-1:` to its end; line breaks do not matter.

    ## TooLong
    error: it is longer than 67108864 bytes

    hint: `hod receipt --list` limits a receipt to the images of lists.
    ");
}

#[test]
fn of_keys_and_signatures() {
    let key = || "0FB1A5FD687DC583".parse().unwrap();
    let keys = [
        KeyError::Public {
            problem: "its last line is not base64",
        },
        KeyError::Secret {
            problem: "it is not for Ed25519",
        },
        KeyError::Weak { id: key() },
        KeyError::PasswordNeeded,
        KeyError::PasswordWrong,
        KeyError::Damaged,
        KeyError::TooCostly,
        KeyError::NoRandomness,
    ];
    for error in &keys {
        match error {
            KeyError::Public { .. }
            | KeyError::Secret { .. }
            | KeyError::Weak { .. }
            | KeyError::PasswordNeeded
            | KeyError::PasswordWrong
            | KeyError::Damaged
            | KeyError::TooCostly
            | KeyError::NoRandomness => {}
        }
    }
    let program = || "hod-sign-vault".to_owned();
    let signing = [
        SignError::HelperName {
            helper: "../vault".to_owned(),
        },
        SignError::HelperAbsent { program: program() },
        SignError::HelperFailed {
            program: program(),
            message: "permission denied".to_owned(),
        },
        SignError::HelperKey {
            program: program(),
            source: KeyError::Public {
                problem: "its last line is not base64",
            },
        },
        SignError::HelperAnswer { program: program() },
        SignError::Wrong { key: key() },
    ];
    for error in &signing {
        match error {
            SignError::HelperName { .. }
            | SignError::HelperAbsent { .. }
            | SignError::HelperFailed { .. }
            | SignError::HelperKey { .. }
            | SignError::HelperAnswer { .. }
            | SignError::Wrong { .. } => {}
        }
    }
    let other = || "F0123456789ABCDE".parse().unwrap();
    let signatures = [
        SignatureError::Unsigned {
            path: PathBuf::from("/data/site.tar"),
            trusted: vec![key()],
        },
        SignatureError::UnknownKey {
            key: other(),
            trusted: vec![key(), other(), key()],
        },
        SignatureError::Altered { key: key() },
        SignatureError::OtherBundle {
            key: key(),
            signed: digest(),
        },
        SignatureError::Comment { key: key() },
        SignatureError::Legacy,
        SignatureError::Format {
            problem: "it has not four lines",
        },
        SignatureError::Missing { listed: key() },
        SignatureError::Disagrees {
            listed: None,
            key: key(),
        },
        SignatureError::Disagrees {
            listed: Some(other()),
            key: key(),
        },
    ];
    for error in &signatures {
        match error {
            SignatureError::Unsigned { .. }
            | SignatureError::UnknownKey { .. }
            | SignatureError::Altered { .. }
            | SignatureError::OtherBundle { .. }
            | SignatureError::Comment { .. }
            | SignatureError::Legacy
            | SignatureError::Format { .. }
            | SignatureError::Missing { .. }
            | SignatureError::Disagrees { .. } => {}
        }
    }
    insta::assert_snapshot!([render(&keys), render(&signing), render(&signatures)].concat());
}
