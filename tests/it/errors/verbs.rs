//! What can go wrong with a verb, as a person reads it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod_bundle::{KeyError, Origin, OriginKind, ReceiptError};
use hod_fsx::LinkMode;
use hod_oci::Digest;
use hod_ops::{
    BaseMissing, CarryError, Fewer, FileKind, HeldBy, MissingBlob, NotATool, OpsError, OutputError,
    SourceKind,
};
use hod_registry::RegistryError;
use hod_store::StoreError;
use hod_transfer::{TransferError, Transport};

use super::{absent_file, digest, path, render};

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
fn of_looking() -> [OpsError; 10] {
    [
        OpsError::LoginRefused {
            registry: "harbor.corp".parse().unwrap(),
            said: "401 UNAUTHORIZED".to_owned(),
        },
        OpsError::NotLoggedIn {
            name: "harbor.corp/team".to_owned(),
            path: path(),
        },
        OpsError::NoCatalog {
            registry: "harbor.corp".parse().unwrap(),
            source: Box::new(RegistryError::Host {
                registry: "harbor.corp".parse().unwrap(),
            }),
        },
        OpsError::NothingRead {
            word: "harbor.corp".into(),
            undone: "; no receipt was written",
            source: Arc::new(TransferError::Registry(RegistryError::Host {
                registry: "harbor.corp".parse().unwrap(),
            })),
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

fn not_a_directory(path: &str, kind: FileKind) -> OpsError {
    OpsError::NotADirectory {
        path: path.into(),
        kind,
    }
}

fn of_paths() -> Vec<OpsError> {
    vec![
        OpsError::OutputIsSource { path: path() },
        OpsError::KeyExists { path: path() },
        OpsError::OutputsExist {
            paths: vec![path()],
        },
        OpsError::OutputsExist {
            paths: vec![path(), path(), path()],
        },
        OpsError::OtherImages {
            path: path(),
            n_others: 4,
        },
        OpsError::WouldLose {
            path: path(),
            store: "store".into(),
            images: (1..=22)
                .map(|n| format!("a/one:{n} (`ab12` is not there)"))
                .collect(),
        },
        OpsError::NotRemoved {
            path: path(),
            source: StoreError::Changed { path: path() },
        },
        OpsError::BundleText { field: "name" },
        OpsError::BundleText { field: "version" },
        OpsError::ListWithoutStore {
            path: "lists/a.txt".into(),
        },
        OpsError::Compression {
            path: "site.tar.gz".into(),
            compression: "gzip",
        },
        OpsError::Compression {
            path: path(),
            compression: "xz",
        },
        not_a_directory("-", FileKind::Pipe),
        not_a_directory("one.tar", FileKind::Bundle),
        not_a_directory("notes", FileKind::Other),
    ]
}

/// Those of a server that does not start.
fn of_serving() -> [OpsError; 4] {
    [
        OpsError::Bind {
            address: "127.0.0.1:5000".parse().unwrap(),
            source: io::ErrorKind::AddrInUse.into(),
        },
        OpsError::Exposed {
            address: "0.0.0.0:5000".parse().unwrap(),
            lacking: "encryption or passwords",
        },
        OpsError::ReadOnlyBundle { path: path() },
        OpsError::NotWritable {
            path: path(),
            source: StoreError::File(absent_file()),
        },
    ]
}

fn unknown_source() -> OpsError {
    OpsError::UnknownSource {
        path: path(),
        tree: None,
    }
}

fn of_outputs() -> Vec<OpsError> {
    let room = [Fewer::List, Fewer::ListOfStore, Fewer::Only, Fewer::Never].map(|fewer| {
        OutputError::NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
            fewer,
        }
    });
    let links = [LinkMode::Hard, LinkMode::Reflink].map(|mode| OutputError::CannotLink {
        path: path(),
        mode,
        needed: 20 << 30,
        available: 11 << 30,
    });
    let others = [
        OutputError::Exists {
            path: "site.tar".into(),
            found: None,
        },
        OutputError::Exists {
            path: "site.tar".into(),
            found: Some(SourceKind::Bundle.as_str()),
        },
        OutputError::IsStore { path: path() },
        OutputError::NotWritable {
            path: path(),
            source: absent_file(),
        },
        OutputError::NoSpaceForAll {
            paths: vec!["layouts".into(), "site.tar".into()],
            needed: 20 << 30,
            available: 11 << 30,
        },
        OutputError::IsLayout {
            path: path(),
            kind: "an OCI layout",
            wanted: "a directory of `dir:` layouts",
        },
        OutputError::FileTooLong {
            path: "/media/stick/site.tar".into(),
            len: 5 << 30,
            max: u64::from(u32::MAX),
        },
        OutputError::CrossDevice {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
        },
    ];
    let errors = others.into_iter().chain(room).chain(links);
    errors
        .map(|error| {
            match error {
                OutputError::Exists { .. }
                | OutputError::IsStore { .. }
                | OutputError::IsLayout { .. }
                | OutputError::NotWritable { .. }
                | OutputError::NoSpaceForAll { .. }
                | OutputError::NoSpace { .. }
                | OutputError::FileTooLong { .. }
                | OutputError::CrossDevice { .. }
                | OutputError::CannotLink { .. } => {}
            }
            let error = OpsError::from(error);
            assert!(error.is_refusal());
            error
        })
        .collect()
}

/// What ends there are, and cannot be.
fn of_ends() -> Vec<OpsError> {
    vec![
        OpsError::OtherKind {
            path: "site.tar".into(),
            kind: SourceKind::Bundle,
            transport: Transport::Store,
        },
        OpsError::NoSuchImage {
            path: "layout".into(),
            image: "3.0".to_owned(),
            present: vec!["library/app:1.0".to_owned(), "library/app:2.0".to_owned()],
        },
        OpsError::AmbiguousImage {
            path: "layout".into(),
            image: "2.0".to_owned(),
            found: vec!["library/app:2.0".to_owned(), "team/api:2.0".to_owned()],
        },
        OpsError::OneName {
            target: "layout".to_owned(),
            image: "2.0".to_owned(),
            n_images: 3,
        },
        OpsError::OneTarget {
            path: "-".into(),
            kind: SourceKind::PipedBundle,
        },
        OpsError::Piped,
        OpsError::RemoteSource {
            verb: "select with `--replace`",
        },
    ]
}

#[test]
fn of_the_verbs() {
    let others = [
        unknown_source(),
        OpsError::NoSource { path: path() },
        wrong_source("serve", SourceKind::CompressedBundle),
        wrong_source("merge", SourceKind::Store),
        wrong_source("pack", SourceKind::Layouts),
        OpsError::NoImages { path: path() },
        OpsError::NoneFound {
            missing: vec!["a/b:1: not found".to_owned(), "a/c:2: not found".to_owned()],
        },
        OpsError::Missing {
            path: path(),
            n_wanted: 3,
            missing: vec!["a/b:1".to_owned(), "c/d:2".to_owned()],
        },
        OpsError::BaseMissing(Box::new(base_missing(Some("harbor.corp")))),
        OpsError::BaseMissing(Box::new(base_missing(None))),
        OpsError::Conflicts {
            conflicts: vec![
                format!("image a/b:1 is {} and {}", digest(), Digest::of(b"x")),
                format!("file conf/site is {} and {}", digest(), Digest::of(b"x")),
            ],
        },
        OpsError::Key(KeyError::NoRandomness),
    ];
    let errors: Vec<OpsError> = of_serving()
        .into_iter()
        .chain(others)
        .chain(of_ends())
        .chain(of_outputs())
        .chain(of_looking())
        .chain(of_paths())
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
            | OpsError::NotReady(_)
            | OpsError::SourcesNotReady(_)
            | OpsError::TargetsNotReady(_) => unreachable!(),
            OpsError::OneTarget { .. }
            | OpsError::OtherKind { .. }
            | OpsError::NoSuchImage { .. }
            | OpsError::AmbiguousImage { .. }
            | OpsError::OneName { .. }
            | OpsError::RemoteSource { .. }
            | OpsError::Bind { .. }
            | OpsError::Exposed { .. }
            | OpsError::ReadOnlyBundle { .. }
            | OpsError::NotWritable { .. }
            | OpsError::UnknownSource { .. }
            | OpsError::NoSource { .. }
            | OpsError::WrongSource { .. }
            | OpsError::NoImages { .. }
            | OpsError::Missing { .. }
            | OpsError::NoneFound { .. }
            | OpsError::Output(_)
            | OpsError::LoginRefused { .. }
            | OpsError::NotLoggedIn { .. }
            | OpsError::Piped
            | OpsError::NoCatalog { .. }
            | OpsError::NothingRead { .. }
            | OpsError::Receipt { .. }
            | OpsError::TwoReceipts { .. }
            | OpsError::BadDigest { .. }
            | OpsError::AmbiguousDigest { .. }
            | OpsError::NoSuchDigest { .. }
            | OpsError::KeyExists { .. }
            | OpsError::Key(_)
            | OpsError::BaseMissing(_)
            | OpsError::Conflicts { .. }
            | OpsError::OutputIsSource { .. }
            | OpsError::OutputsExist { .. }
            | OpsError::OtherImages { .. }
            | OpsError::WouldLose { .. }
            | OpsError::NotRemoved { .. }
            | OpsError::BundleText { .. }
            | OpsError::ListWithoutStore { .. }
            | OpsError::Compression { .. }
            | OpsError::NotADirectory { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
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
            source: "../a".parse::<hod_bundle::EntryPath>().unwrap_err(),
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
        CarryError::Setting {
            key: "registy".to_owned(),
            known: vec!["project".to_owned(), "registry".to_owned()],
        },
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
            | CarryError::Setting { .. }
            | CarryError::ManyTemplates { .. } => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}
