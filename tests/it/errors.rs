//! Every error as a person reads it: one instance of each variant, in one snapshot a module.
//!
//! Each list of instances is held complete by a `match` that a new variant breaks.

mod bundles;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod::archive::{ArchiveError, EntryPath};
use hod::bundle::{
    BundleError, KeyError, Origin, OriginKind, ReceiptError, SignError, SignatureError,
};
use hod::cli::ui::render_error;
use hod::fsx;
use hod::hint::Hint;
use hod::layout::{CollectionError, LayoutError, NoDockerImage};
use hod::oci::{Digest, ManifestError};
use hod::ops::{BaseMissing, CarryError, HeldBy, MissingBlob, NotATool, OpsError, SourceKind};
use hod::registry::RegistryError;
use hod::store::StoreError;
use hod::transfer::TransferError;

use crate::support::images::repository;

fn digest() -> Digest {
    Digest::of(b"")
}

fn path() -> PathBuf {
    PathBuf::from("/data/store")
}

fn absent_file() -> fsx::Error {
    fsx::open(&PathBuf::from("/nonexistent/file")).unwrap_err()
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
        StoreError::File(absent_file()),
        StoreError::BadLink {
            path: path(),
            source: "sha256:3".parse::<Digest>().unwrap_err(),
        },
        StoreError::DigestMismatch {
            expected: digest(),
            actual: Digest::of(b"x"),
            len: 1,
        },
        StoreError::LengthMismatch {
            digest: digest(),
            expected: 2,
            actual: 1,
        },
        StoreError::Corrupt {
            digest: digest(),
            path: path(),
        },
        StoreError::BadManifest {
            digest: digest(),
            source: ManifestError::Schema1,
        },
        StoreError::MissingManifest { digest: digest() },
        StoreError::NoChildren { digest: digest() },
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
            | StoreError::File(_)
            | StoreError::BadLink { .. }
            | StoreError::DigestMismatch { .. }
            | StoreError::LengthMismatch { .. }
            | StoreError::Corrupt { .. }
            | StoreError::BadManifest { .. }
            | StoreError::MissingManifest { .. }
            | StoreError::NoChildren { .. }
            | StoreError::MissingBlob { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}

/// Those of what a bundle counts on.
fn of_bases() -> [TransferError; 2] {
    [
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
            image: "a/b:1".to_owned(),
        },
        TransferError::ChildAbsent { digest: digest() },
        TransferError::BlobAbsent { digest: digest() },
        TransferError::BlobLength {
            digest: digest(),
            expected: 2,
            actual: 1,
        },
        TransferError::DigestMismatch {
            expected: digest(),
            actual: Digest::of(b"x"),
            len: 1,
        },
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
        TransferError::PinnedIndex {
            digest: digest(),
            platforms: "linux/amd64".to_owned(),
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
        TransferError::Rewrite,
        TransferError::ReadOnce { digest: digest() },
        TransferError::Stopped,
    ]
    .into_iter()
    .chain(of_bases())
    .collect();
    for error in &errors {
        match error {
            // These two show what their own modules' tests show.
            TransferError::Registry(_) | TransferError::Layout(_) => unreachable!(),
            TransferError::Store(_)
            | TransferError::Bundle(_)
            | TransferError::Stream(_)
            | TransferError::File(_)
            | TransferError::Manifest(_)
            | TransferError::ImageAbsent { .. }
            | TransferError::ChildAbsent { .. }
            | TransferError::BlobAbsent { .. }
            | TransferError::BlobLength { .. }
            | TransferError::DigestMismatch { .. }
            | TransferError::BlobRead { .. }
            | TransferError::StreamRead { .. }
            | TransferError::NoPlatform { .. }
            | TransferError::PinnedIndex { .. }
            | TransferError::TooDeep { .. }
            | TransferError::TooMany { .. }
            | TransferError::Referrers { .. }
            | TransferError::TooManyReferrers { .. }
            | TransferError::ReferrersTag { .. }
            | TransferError::ReferrerDiffers { .. }
            | TransferError::NoDockerImage(_)
            | TransferError::Rewrite
            | TransferError::ReadOnce { .. }
            | TransferError::BaseLost { .. }
            | TransferError::NotMounted { .. }
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

    hint: `hod receipt REGISTRY --output have.json` writes one

    ## Json
    error: it is not valid JSON
      caused by: invalid type: map, expected u32 at line 1 column 0

    hint: `hod receipt REGISTRY --output have.json` writes one

    ## Unsupported
    error: it has format 2, which this version of hod does not know

    hint: use the version of hod that wrote it, or a later one

    ## Damaged
    error: the compact receipt is damaged: its checksum is wrong

    hint: copy it again, all of it, from `hod-receipt-1:` to its end; line breaks do not matter

    ## TooLong
    error: it is longer than 67108864 bytes

    hint: `hod receipt --list` limits a receipt to the images of lists
    ");
}

fn base_missing(target: Option<&str>) -> BaseMissing {
    let june = |n_repositories: usize| HeldBy {
        origin: Origin {
            kind: OriginKind::Bundle,
            name: "june".to_owned(),
            version: Some("1.6".to_owned()),
            id: None,
        },
        repositories: vec!["a/b".parse().unwrap(); n_repositories],
    };
    let harbor = HeldBy {
        origin: Origin {
            kind: OriginKind::Registry,
            name: "harbor.corp".to_owned(),
            version: None,
            id: None,
        },
        repositories: Vec::new(),
    };
    let blob = |n_images: usize, held: Vec<HeldBy>| MissingBlob {
        digest: digest(),
        size: 3 << 20,
        images: (1..=n_images).map(|n| format!("a/b:{n}")).collect(),
        held,
    };
    BaseMissing {
        source: PathBuf::from("july.tar"),
        target: target.map(str::to_owned),
        blobs: vec![
            blob(1, vec![june(1)]),
            blob(5, vec![june(5), harbor]),
            blob(2, Vec::new()),
        ],
    }
}

/// Those of the verbs that only look.
fn of_looking() -> [OpsError; 7] {
    [
        OpsError::NoCatalog {
            registry: "harbor.corp".parse().unwrap(),
            source: Box::new(RegistryError::Host {
                registry: "harbor.corp".parse().unwrap(),
            }),
        },
        OpsError::Receipt {
            path: path(),
            source: ReceiptError::TooLong,
        },
        OpsError::TwoReceipts {
            old: path(),
            new: path(),
        },
        OpsError::BadDigest {
            text: "sha256:12".to_owned(),
        },
        OpsError::AmbiguousDigest {
            path: path(),
            text: "e3b0c44298fc".to_owned(),
            n_found: 2,
            found: vec![digest().to_string()],
        },
        OpsError::NoSuchDigest {
            path: path(),
            text: "e3b0c44298fc".to_owned(),
            near: Vec::new(),
        },
        OpsError::NoSuchDigest {
            path: path(),
            text: "e3b0c44298fd".to_owned(),
            near: vec![digest().to_string()],
        },
    ]
}

fn wrong_source(verb: &'static str, kind: SourceKind) -> OpsError {
    OpsError::WrongSource {
        verb,
        path: path(),
        kind,
    }
}

#[test]
fn of_the_verbs() {
    let errors: Vec<OpsError> = [
        OpsError::Bind {
            address: "127.0.0.1:5000".parse().unwrap(),
            source: io::ErrorKind::AddrInUse.into(),
        },
        OpsError::UnknownSource { path: path() },
        OpsError::NoSource { path: path() },
        wrong_source("select", SourceKind::Bundle),
        wrong_source("serve", SourceKind::CompressedBundle),
        wrong_source("unpack", SourceKind::Store),
        wrong_source("select", SourceKind::Layouts),
        OpsError::NoImages { path: path() },
        OpsError::Missing {
            path: path(),
            n_wanted: 3,
            missing: vec!["a/b:1".to_owned(), "c/d:2".to_owned()],
        },
        OpsError::NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
        },
        OpsError::FileTooLong {
            path: "/media/stick/site.tar".into(),
            len: 5 << 30,
            max: u64::from(u32::MAX),
        },
        OpsError::CrossDevice {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
        },
        OpsError::BaseMissing(Box::new(base_missing(Some("harbor.corp")))),
        OpsError::BaseMissing(Box::new(base_missing(None))),
        OpsError::Conflicts {
            conflicts: vec![
                format!("image a/b:1 is {} and {}", digest(), Digest::of(b"x")),
                format!("file conf/site is {} and {}", digest(), Digest::of(b"x")),
            ],
        },
        OpsError::OutputIsSource { path: path() },
        OpsError::KeyExists { path: path() },
        OpsError::Key(KeyError::NoRandomness),
        OpsError::Piped,
        OpsError::LoginRefused {
            registry: "harbor.corp".parse().unwrap(),
            said: "401 UNAUTHORIZED".to_owned(),
        },
        OpsError::NotLoggedIn {
            name: "harbor.corp/team".to_owned(),
            path: path(),
        },
    ]
    .into_iter()
    .chain(of_looking())
    .collect();
    for error in &errors {
        match error {
            // What the floors below say, unchanged.
            OpsError::List(_)
            | OpsError::Store(_)
            | OpsError::Bundle(_)
            | OpsError::Layout(_)
            | OpsError::Registry(_)
            | OpsError::Transfer(_)
            | OpsError::Batch(_)
            | OpsError::Rename(_)
            | OpsError::File(_)
            | OpsError::Template(_)
            | OpsError::Carry(_)
            | OpsError::Keep(_)
            | OpsError::Server(_)
            // Shown by the tests of `harbor`.
            | OpsError::NotReady(_) => unreachable!(),
            OpsError::Bind { .. }
            | OpsError::UnknownSource { .. }
            | OpsError::NoSource { .. }
            | OpsError::WrongSource { .. }
            | OpsError::NoImages { .. }
            | OpsError::Missing { .. }
            | OpsError::NoSpace { .. }
            | OpsError::FileTooLong { .. }
            | OpsError::CrossDevice { .. }
            | OpsError::LoginRefused { .. }
            | OpsError::NotLoggedIn { .. }
            | OpsError::Piped
            | OpsError::NoCatalog { .. }
            | OpsError::Receipt { .. }
            | OpsError::TwoReceipts { .. }
            | OpsError::BadDigest { .. }
            | OpsError::AmbiguousDigest { .. }
            | OpsError::NoSuchDigest { .. }
            | OpsError::KeyExists { .. }
            | OpsError::Key(_)
            | OpsError::BaseMissing(_)
            | OpsError::Conflicts { .. }
            | OpsError::OutputIsSource { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
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
    let text = [render(&keys), render(&signing), render(&signatures)].concat();
    insta::assert_snapshot!(text);
}

#[test]
fn of_what_is_carried() {
    let destination = || "a/b".to_owned();
    let tool = |problem| CarryError::Tool {
        path: path(),
        problem,
    };
    let errors = [
        tool(NotATool::NotLinux),
        tool(NotATool::UnknownMachine),
        tool(NotATool::Dynamic),
        CarryError::ToolTwice {
            path: path(),
            arch: "amd64",
        },
        CarryError::Path {
            path: path(),
            source: "../a".parse::<hod::bundle::EntryPath>().unwrap_err(),
        },
        CarryError::Name { path: path() },
        CarryError::Reserved {
            path: path(),
            destination: destination(),
        },
        CarryError::Twice {
            path: path(),
            destination: destination(),
        },
        CarryError::Special { path: path() },
        CarryError::Nothing { path: path() },
        CarryError::NotText { path: path() },
        CarryError::ManyTemplates { path: path() },
    ];
    for error in &errors {
        match error {
            CarryError::Tool { .. }
            | CarryError::ToolTwice { .. }
            | CarryError::Path { .. }
            | CarryError::Name { .. }
            | CarryError::Reserved { .. }
            | CarryError::Twice { .. }
            | CarryError::Special { .. }
            | CarryError::Nothing { .. }
            | CarryError::NotText { .. }
            | CarryError::ManyTemplates { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}

#[test]
fn of_archives() {
    let member = || "blobs/sha256/ab".to_owned();
    let errors = [
        ArchiveError::File(absent_file()),
        ArchiveError::BadHeader {
            path: path(),
            offset: 512,
        },
        ArchiveError::Truncated {
            path: path(),
            len: 700,
            last: member(),
        },
        ArchiveError::Decompress {
            path: path(),
            source: io::ErrorKind::InvalidData.into(),
        },
        ArchiveError::UnsafePath {
            path: path(),
            source: "../x".parse::<EntryPath>().unwrap_err(),
        },
        ArchiveError::Kind {
            path: path(),
            member: member(),
            kind: "a device",
        },
        ArchiveError::Duplicate {
            path: path(),
            member: member(),
        },
        ArchiveError::TooMany {
            path: path(),
            n_max: 2_000_000,
        },
        ArchiveError::TooLong {
            path: path(),
            member: member(),
            len: 2,
            len_max: 1,
        },
    ];
    for error in &errors {
        match error {
            ArchiveError::File(_)
            | ArchiveError::BadHeader { .. }
            | ArchiveError::Truncated { .. }
            | ArchiveError::Decompress { .. }
            | ArchiveError::UnsafePath { .. }
            | ArchiveError::Kind { .. }
            | ArchiveError::Duplicate { .. }
            | ArchiveError::TooMany { .. }
            | ArchiveError::TooLong { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}

#[test]
fn of_what_other_tools_put_together() {
    let (member, name) = (|| "index.json".to_owned(), || "Quay/a".to_owned());
    let errors = [
        CollectionError::Json {
            path: path(),
            member: member(),
            source: serde_json::from_str::<u8>("x").unwrap_err(),
        },
        CollectionError::Content {
            path: path(),
            member: member(),
            problem: "lists 1 layers of an image whose `c.json` has 0".to_owned(),
        },
        CollectionError::Name {
            path: path(),
            member: member(),
            name: name(),
            source: name().parse::<hod::oci::Reference>().unwrap_err(),
        },
        CollectionError::Corrupt {
            path: path(),
            member: member(),
            digest: digest(),
        },
        CollectionError::Manifest {
            path: path(),
            member: member(),
            source: ManifestError::Shapeless,
        },
        CollectionError::Absent {
            path: path(),
            member: member(),
            name: "c.json".to_owned(),
        },
        CollectionError::NotAFile { path: path() },
        CollectionError::TooMuch {
            path: path(),
            len_max: 32 << 20,
        },
    ];
    for error in &errors {
        match error {
            // Shown with archives, and with the store.
            CollectionError::Archive(_) | CollectionError::File(_) => unreachable!(),
            CollectionError::Json { .. }
            | CollectionError::Content { .. }
            | CollectionError::Name { .. }
            | CollectionError::Corrupt { .. }
            | CollectionError::Manifest { .. }
            | CollectionError::Absent { .. }
            | CollectionError::NotAFile { .. }
            | CollectionError::TooMuch { .. } => {}
        }
    }
    let of_layouts = [
        LayoutError::Foreign {
            path: path(),
            format: "an OCI layout",
            found: Some("notes.txt".to_owned()),
        },
        LayoutError::DiffIdMismatch {
            layer: digest(),
            expected: digest(),
            actual: Digest::of(b"x"),
            len: 1,
        },
        LayoutError::LayerRead {
            digest: digest(),
            source: io::ErrorKind::InvalidData.into(),
        },
    ];
    insta::assert_snapshot!(render(&errors) + &render(&of_layouts));
}
