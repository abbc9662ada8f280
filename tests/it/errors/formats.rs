//! What can be wrong with the archives and layouts of others.

use std::io;
use std::sync::Arc;

use hod_layout::{BadName, BadNameReason, CollectionError, LayoutError};
use hod_oci::{Algorithm, ContentMismatch, ManifestError};
use hod_tarball::{ArchiveError, EntryPath, WindowTooLarge};

use super::{absent_file, digest, other, path, table};

#[test]
fn of_archives() {
    let member = || "blobs/sha256/ab".to_owned();
    insta::assert_snapshot!(table!(ArchiveError {
        File(absent_file()) => NotFound 1,
        BadHeader {
            path: path(),
            offset: 512,
        } => Verify 4,
        Truncated {
            path: path(),
            len: 700,
            last: member(),
        } => Verify 4,
        Trailing {
            path: path(),
            offset: 1536,
        } => Verify 4,
        Decompress {
            path: path(),
            source: io::ErrorKind::InvalidData.into(),
        } => Verify 4,
        UnsafePath {
            path: path(),
            source: "../x".parse::<EntryPath>().unwrap_err(),
        } => Policy 1,
        Kind {
            path: path(),
            member: member(),
            kind: "character device",
        } => Policy 1,
        Duplicate {
            path: path(),
            member: member(),
        } => Policy 1,
        TooMany {
            path: path(),
            n_max: 2_000_000,
        } => Policy 1,
        TooLong {
            path: path(),
            member: member(),
            len: 2,
            len_max: 1,
        } => Policy 1,
    } more {
        ArchiveError::Decompress {
            path: path(),
            source: io::Error::other(WindowTooLarge { log_max: 27 }),
        } => Verify 4,
    }));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each error")]
fn of_what_other_tools_put_together() {
    let (member, name) = (|| "index.json".to_owned(), || "Quay/a".to_owned());
    let collections = table!(CollectionError {
        Archive(ArchiveError::File(absent_file())) => NotFound 1,
        File(absent_file()) => NotFound 1,
        Json {
            path: path(),
            member: member(),
            source: serde_json::from_str::<u8>("x").unwrap_err(),
        } => Verify 4,
        Content {
            path: path(),
            member: member(),
            problem: "is not a link: it is too long".to_owned(),
        } => Verify 4,
        Contradiction {
            path: path(),
            member: member(),
            problem: "lists 1 layers of an image whose `c.json` has 0".to_owned(),
        } => Verify 4,
        Name {
            path: path(),
            member: member(),
            name: name(),
            source: name().parse::<hod_oci::Reference>().unwrap_err(),
        } => Usage 2,
        Corrupt {
            path: path(),
            member: member(),
            digest: digest(),
        } => Verify 4,
        Manifest {
            path: path(),
            member: member(),
            source: ManifestError::Shapeless,
        } => Verify 4,
        Absent {
            path: path(),
            member: member(),
            name: "c.json".to_owned(),
        } => Verify 4,
        NotAFile { path: path() } => Verify 4,
        TooMuch {
            path: path(),
            len_max: 32 << 20,
        } => Policy 1,
        DiffId {
            path: path(),
            member: member(),
            expected: digest(),
            actual: other(),
        } => Verify 4,
        Unpack {
            path: path(),
            member: member(),
            source: Arc::new(io::ErrorKind::UnexpectedEof.into()),
        } => Verify 4,
        Bomb {
            path: path(),
            member: member(),
        } => Policy 1,
        DiffIdAlgorithm {
            path: path(),
            member: member(),
            algorithm: Algorithm::Sha512,
        } => Policy 1,
    });
    let layouts = table!(LayoutError {
        Foreign {
            path: path(),
            format: "an OCI layout",
            found: Some("notes.txt".to_owned()),
        } => File 5,
        DiffIdMismatch {
            layer: digest(),
            expected: digest(),
            actual: other(),
            len: 1,
        } => Verify 4,
        LayerRead {
            digest: digest(),
            source: io::ErrorKind::InvalidData.into(),
        } => Verify 4,
        File(absent_file()) => NotFound 1,
        Collection(Arc::new(CollectionError::NotAFile { path: path() })) => Verify 4,
        NotALayout { path: path() } => Usage 2,
        UnknownVersion { path: path(), text: "2.0".to_owned() } => Usage 2,
        BadManifest { path: path(), source: ManifestError::Shapeless } => Verify 4,
        Corrupt { path: path(), digest: digest() } => Verify 4,
        NotAFile { path: path() } => Verify 4,
        BadNames(vec![BadName {
            path: path(),
            reason: BadNameReason::Nameless,
        }]) => Usage 2,
        Occupied { path: path(), found: None } => File 5,
        Busy { path: path() } => File 1,
        Content(ContentMismatch::Digest {
            expected: digest(),
            actual: other(),
            len: 1,
        }) => Verify 4,
        NoManifest { path: path() } => NotFound 1,
        Incomplete { path: path(), digest: digest() } => NotFound 1,
        WrongLength {
            path: path(),
            digest: digest(),
            expected: 2,
            actual: 1,
        } => Verify 4,
    });
    insta::assert_snapshot!(collections + &layouts);
}
