//! What can be wrong with the archives and layouts of others, as a person reads it.

use std::io;
use std::sync::Arc;

use hod_layout::{CollectionError, LayoutError};
use hod_oci::{Algorithm, Digest, ManifestError};
use hod_tarball::{ArchiveError, EntryPath, WindowTooLarge};

use super::{absent_file, digest, path, render};

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
        ArchiveError::Trailing {
            path: path(),
            offset: 1536,
        },
        ArchiveError::Decompress {
            path: path(),
            source: io::ErrorKind::InvalidData.into(),
        },
        ArchiveError::Decompress {
            path: path(),
            source: io::Error::other(WindowTooLarge { log_max: 27 }),
        },
        ArchiveError::UnsafePath {
            path: path(),
            source: "../x".parse::<EntryPath>().unwrap_err(),
        },
        ArchiveError::Kind {
            path: path(),
            member: member(),
            kind: "character device",
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
            | ArchiveError::Trailing { .. }
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

/// What can be wrong with compressed layers.
fn of_layers() -> [CollectionError; 4] {
    let layer = || "ab12.tar.gz".to_owned();
    [
        CollectionError::DiffId {
            path: path(),
            member: layer(),
            expected: digest(),
            actual: Digest::of(b"x"),
        },
        CollectionError::Unpack {
            path: path(),
            member: layer(),
            source: Arc::new(io::ErrorKind::UnexpectedEof.into()),
        },
        CollectionError::Bomb {
            path: path(),
            member: layer(),
        },
        CollectionError::DiffIdAlgorithm {
            path: path(),
            member: layer(),
            algorithm: Algorithm::Sha512,
        },
    ]
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
            problem: "is not a link: it is too long".to_owned(),
        },
        CollectionError::Contradiction {
            path: path(),
            member: member(),
            problem: "lists 1 layers of an image whose `c.json` has 0".to_owned(),
        },
        CollectionError::Name {
            path: path(),
            member: member(),
            name: name(),
            source: name().parse::<hod_oci::Reference>().unwrap_err(),
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
    let errors: Vec<CollectionError> = errors.into_iter().chain(of_layers()).collect();
    for error in &errors {
        match error {
            // Shown with archives, and with the store.
            CollectionError::Archive(_) | CollectionError::File(_) => unreachable!(),
            CollectionError::Json { .. }
            | CollectionError::Content { .. }
            | CollectionError::Contradiction { .. }
            | CollectionError::DiffId { .. }
            | CollectionError::Unpack { .. }
            | CollectionError::Bomb { .. }
            | CollectionError::DiffIdAlgorithm { .. }
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
