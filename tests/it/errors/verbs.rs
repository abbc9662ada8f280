//! What can go wrong with a verb.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hod_bundle::{BaseOrigin, BundleError, KeyError, OriginKind, ReceiptError};
use hod_fsx::LinkMode;
use hod_layout::LayoutError;
use hod_list::{ListError, RenameError};
use hod_ops::{
    BaseMissing, BatchFailure, CarryError, Fewer, FileKind, HeldBy, MissingBlob, NotATool,
    OpsError, OutputError, SourceKind,
};
use hod_registry::{KeepError, RegistryError};
use hod_server::ServerError;
use hod_store::StoreError;
use hod_transfer::{TransferError, Transport};

use super::{absent_file, digest, other, path, table};

fn base_missing(target: Option<&str>) -> BaseMissing {
    let june = |n_repositories: usize| HeldBy {
        origin: BaseOrigin {
            kind: OriginKind::Bundle,
            name: "june".to_owned(),
            version: Some("1.6".to_owned()),
            id: None,
        },
        repositories: vec!["a/b".parse().unwrap(); n_repositories],
    };
    let harbor = HeldBy {
        origin: BaseOrigin {
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

fn blocked() -> RegistryError {
    RegistryError::Blocked {
        reference: "bad.corp/a:1".to_owned(),
        prefix: "bad.corp".to_owned(),
        file: "/etc/containers/registries.conf".to_owned(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each error")]
fn of_the_verbs() {
    insta::assert_snapshot!(table!(OpsError {
        List(ListError::Empty {
            files: vec!["a.txt".to_owned()],
            sections: Vec::new(),
        }) => Usage 2,
        Store(StoreError::NotAStore { path: path() }) => Usage 2,
        Bundle(BundleError::TooLarge) => Usage 2,
        Layout(LayoutError::NotALayout { path: path() }) => Usage 2,
        Registry(blocked()) => Policy 1,
        Transfer(TransferError::Stopped) => Stopped 1,
        Batch(BatchFailure {
            image: "a/b:1".to_owned(),
            error: Arc::new(TransferError::BlobAbsent { digest: digest() }),
        }) => NotFound 1,
        Rename(RenameError::Rule {
            rule: "a".to_owned(),
            reason: "no `=`".to_owned(),
        }) => Usage 2,
        File(absent_file()) => NotFound 1,
        Carry(CarryError::Name { path: path() }) => Usage 2,
        Keep(KeepError::File(absent_file())) => NotFound 1,
        Server(ServerError::NoLogins { path: path() }) => Usage 2,
        Output(OutputError::IsStore { path: path() }) => File 5,
        UnknownSource {
            path: path(),
            tree: Some("/data".into()),
        } => Usage 2,
        Bind {
            address: "127.0.0.1:5000".parse().unwrap(),
            source: io::ErrorKind::AddrInUse.into(),
        } => Network 1,
        Exposed {
            address: "0.0.0.0:5000".parse().unwrap(),
            lacking: "encryption or passwords",
        } => Policy 5,
        ReadOnlyBundle { path: path() } => Usage 2,
        NotWritable {
            path: path(),
            source: StoreError::File(absent_file()),
        } => NotFound 1,
        NoSource { path: path() } => Usage 2,
        WrongSource {
            verb: "serve",
            path: path(),
            kind: SourceKind::CompressedBundle,
        } => Usage 2,
        NoImages { path: path() } => NotFound 5,
        NoneFound {
            missing: vec!["a/b:1: not found".to_owned(), "a/c:2: not found".to_owned()],
        } => NotFound 5,
        Missing {
            path: path(),
            n_wanted: 3,
            missing: vec!["a/b:1".to_owned(), "c/d:2".to_owned()],
        } => NotFound 5,
        BaseMissing(Box::new(base_missing(Some("harbor.corp")))) => NotFound 5,
        Conflicts {
            conflicts: vec![
                format!("image a/b:1 is {} and {}", digest(), other()),
                format!("file conf/site is {} and {}", digest(), other()),
            ],
        } => Policy 5,
        Key(KeyError::NoRandomness) => Internal 1,
        NotABaseline { path: path() } => Usage 2,
        OtherKind {
            path: "site.tar".into(),
            kind: SourceKind::Bundle,
            transport: Transport::Store,
        } => Usage 2,
        NoSuchImage {
            path: "layout".into(),
            image: "3.0".to_owned(),
            present: vec!["library/app:1.0".to_owned(), "library/app:2.0".to_owned()],
        } => NotFound 5,
        AmbiguousImage {
            path: "layout".into(),
            image: "2.0".to_owned(),
            found: vec!["library/app:2.0".to_owned(), "team/api:2.0".to_owned()],
        } => Usage 2,
        OneName {
            target: "layout".to_owned(),
            image: "2.0".to_owned(),
            n_images: 3,
        } => Usage 2,
        OneTarget {
            path: "-".into(),
            kind: SourceKind::PipedBundle,
        } => Usage 2,
        Piped => Usage 2,
        RemoteSource {
            verb: "select with `--replace`",
        } => Usage 2,
        LoginRefused {
            registry: "harbor.corp".parse().unwrap(),
            said: "401 UNAUTHORIZED".to_owned(),
        } => Auth 5,
        NotLoggedIn {
            name: "harbor.corp/team".to_owned(),
            path: path(),
        } => Auth 1,
        NoCatalog {
            registry: "harbor.corp".parse().unwrap(),
            source: Box::new(blocked()),
        } => Policy 5,
        NothingRead {
            word: "harbor.corp".into(),
            undone: "; no receipt was written",
            source: Arc::new(TransferError::Registry(blocked())),
        } => Policy 5,
        Receipt {
            path: path(),
            source: ReceiptError::TooLong,
        } => Usage 2,
        TwoReceipts {
            old: path(),
            new: path(),
        } => Usage 2,
        BadDigest {
            text: "sha256:12".to_owned(),
        } => Usage 2,
        AmbiguousDigest {
            path: path(),
            text: "e3b0c44298fc".to_owned(),
            n_found: 2,
            found: vec![digest().to_string()],
        } => Usage 2,
        NoSuchDigest {
            path: path(),
            text: "e3b0c44298fc".to_owned(),
            near: Vec::new(),
        } => NotFound 5,
        OutputIsSource { path: path() } => Usage 2,
        KeyExists { path: path() } => File 5,
        OutputsExist {
            paths: vec![path()],
        } => File 5,
        OtherImages {
            path: path(),
            n_others: 4,
        } => Policy 5,
        WouldLose {
            path: path(),
            store: "store".into(),
            images: (1..=22)
                .map(|n| format!("a/one:{n} (`ab12` is not there)"))
                .collect(),
        } => Policy 5,
        NotRemoved {
            path: path(),
            source: StoreError::Changed { path: path() },
        } => Policy 1,
        BundleText { field: "name" } => Usage 2,
        ListWithoutStore {
            path: "lists/a.txt".into(),
        } => Usage 2,
        Compression {
            path: "site.tar.gz".into(),
            compression: "gzip",
        } => Usage 2,
        NotADirectory {
            path: "-".into(),
            kind: FileKind::Pipe,
        } => Usage 2,
        SchemaOne {
            path: "manifest.json".into(),
            source: hod_oci::signed_payload(br#"{"schemaVersion":1,"signatures":[{"protected":""}]}"#)
                .unwrap_err(),
        } => Verify 4,
        Looking(Box::new(OpsError::NoImages { path: path() })) => NotFound 1,
        Unshown {
            image: "a/b:1".to_owned(),
            source: Arc::new(TransferError::NoPlatform {
                wanted: "linux/s390x".to_owned(),
                offered: "linux/amd64, linux/arm64".to_owned(),
            }),
        } => NotFound 1,
        NotATag {
            image: format!("harbor.corp/a/b@{}", digest()),
        } => Usage 2,
        OneImage {
            word: path(),
            n_images: 2,
            images: vec!["a/b:1".to_owned(), "a/c:2".to_owned()],
        } => Usage 2,
        OnePlatform {
            image: "a/b:1".to_owned(),
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
        } => Usage 2,
        NoConfig {
            image: "a/b:1".to_owned(),
        } => NotFound 1,
        OneRepository {
            path: path(),
            repositories: vec!["a/b".to_owned(), "a/c".to_owned()],
        } => Usage 2,
        NoSuchRepository {
            path: path(),
            repository: "a/d".to_owned(),
            present: vec!["a/b".to_owned(), "a/c".to_owned()],
        } => NotFound 5,
    } more {
        OpsError::UnknownSource {
            path: path(),
            tree: None,
        } => Usage 2,
        OpsError::WrongSource {
            verb: "merge",
            path: path(),
            kind: SourceKind::Store,
        } => Usage 2,
        OpsError::WrongSource {
            verb: "pack",
            path: path(),
            kind: SourceKind::Layouts,
        } => Usage 2,
        OpsError::BaseMissing(Box::new(base_missing(None))) => NotFound 5,
        OpsError::NoSuchDigest {
            path: path(),
            text: "e3b0c44298fd".to_owned(),
            near: vec![digest().to_string()],
        } => NotFound 5,
        OpsError::OutputsExist {
            paths: vec![path(), path(), path()],
        } => File 5,
        OpsError::BundleText { field: "version" } => Usage 2,
        OpsError::Compression {
            path: path(),
            compression: "xz",
        } => Usage 2,
        OpsError::NotADirectory {
            path: "one.tar".into(),
            kind: FileKind::Bundle,
        } => Usage 2,
        OpsError::NotADirectory {
            path: "notes".into(),
            kind: FileKind::Other,
        } => Usage 2,
    } without { Template, NotReady, SourcesNotReady, TargetsNotReady }));
}

#[test]
fn of_outputs() {
    insta::assert_snapshot!(table!(OutputError {
        Exists {
            path: "site.tar".into(),
            found: None,
        } => File 5,
        IsStore { path: path() } => File 5,
        NotWritable {
            path: path(),
            source: absent_file(),
        } => NotFound 5,
        NoSpaceForAll {
            paths: vec!["layouts".into(), "site.tar".into()],
            needed: 20 << 30,
            available: 11 << 30,
        } => Space 5,
        IsLayout {
            path: path(),
            kind: "an OCI layout",
            wanted: "a directory of `dir:` layouts",
        } => File 5,
        FileTooLong {
            path: "/media/stick/site.tar".into(),
            len: 5 << 30,
            max: u64::from(u32::MAX),
        } => Space 5,
        CrossDevice {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
        } => File 5,
        NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
            fewer: Fewer::List,
        } => Space 5,
        CannotLink {
            path: path(),
            mode: LinkMode::Hard,
            needed: 20 << 30,
            available: 11 << 30,
        } => File 5,
    } more {
        OutputError::Exists {
            path: "site.tar".into(),
            found: Some(SourceKind::Bundle.as_str()),
        } => File 5,
        OutputError::NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
            fewer: Fewer::ListOfStore,
        } => Space 5,
        OutputError::NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
            fewer: Fewer::Only,
        } => Space 5,
        OutputError::NoSpace {
            path: path(),
            needed: 20 << 30,
            available: 11 << 30,
            fewer: Fewer::Never,
        } => Space 5,
        OutputError::CannotLink {
            path: path(),
            mode: LinkMode::Reflink,
            needed: 20 << 30,
            available: 11 << 30,
        } => File 5,
    }));
}

#[test]
fn of_what_is_carried() {
    let destination = || "a/b".to_owned();
    insta::assert_snapshot!(table!(CarryError {
        Tool {
            path: path(),
            problem: NotATool::NotLinux,
        } => Usage 2,
        ToolTwice {
            path: path(),
            arch: "amd64",
        } => Usage 2,
        Path {
            path: path(),
            source: "../a".parse::<hod_bundle::EntryPath>().unwrap_err(),
        } => Usage 2,
        Name { path: path() } => Usage 2,
        Reserved {
            path: path(),
            destination: destination(),
        } => Usage 2,
        Twice {
            path: path(),
            destination: destination(),
        } => Usage 2,
        Special { path: path() } => Usage 2,
        Nothing { path: path() } => Usage 2,
        NotText { path: path() } => Usage 2,
        ManyTemplates { path: path() } => Usage 2,
        Setting {
            key: "registy".to_owned(),
            known: vec!["project".to_owned(), "registry".to_owned()],
        } => Usage 2,
    } more {
        CarryError::Tool {
            path: path(),
            problem: NotATool::UnknownMachine,
        } => Usage 2,
        CarryError::Tool {
            path: path(),
            problem: NotATool::Dynamic,
        } => Usage 2,
    }));
}
