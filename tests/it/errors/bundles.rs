//! What can be wrong with a bundle, as a person reads it.

use std::io;
use std::path::PathBuf;

use hod_bundle::{
    BlobProblem, BundleError, ImageProblem, MemberProblem, SignError, SignatureError,
};
use hod_oci::{Digest, ManifestError};
use hod_tarball::{EntryPath, WindowTooLarge};

use super::{absent_file, digest, path, render};

fn other() -> Digest {
    Digest::of(b"x")
}

fn member(problem: MemberProblem) -> BundleError {
    BundleError::Member {
        path: "hod/bin/a\nb".to_owned(),
        problem,
    }
}

fn volume() -> PathBuf {
    PathBuf::from("/media/usb/site.002.tar")
}

/// Those of one file.
fn of_one_file() -> Vec<BundleError> {
    vec![
        BundleError::Write {
            path: path(),
            source: absent_file(),
        },
        BundleError::ReadBlob {
            digest: digest(),
            source: absent_file(),
        },
        BundleError::BlobDamaged {
            digest: digest(),
            actual: other(),
        },
        BundleError::BlobLength {
            digest: digest(),
            expected: 2,
            actual: 1,
        },
        BundleError::ReadFile {
            path: PathBuf::from("/nonexistent/file"),
            source: absent_file(),
        },
        BundleError::FileChanged { path: path() },
        BundleError::Read {
            path: path(),
            source: absent_file(),
        },
        BundleError::Decompress {
            path: path(),
            member: "hod/bundle.json".to_owned(),
            source: io::ErrorKind::UnexpectedEof.into(),
        },
        BundleError::Window {
            path: path(),
            source: WindowTooLarge { log_max: 24 },
        },
        BundleError::NotABundle {
            path: path(),
            found: "it is empty".to_owned(),
        },
        BundleError::Compressed { path: path() },
        BundleError::Unsupported {
            what: "format 2".to_owned(),
        },
        BundleError::Json {
            member: "hod/bundle.json",
            source: serde_json::from_str::<u32>("{").unwrap_err(),
        },
        BundleError::Id {
            expected: digest(),
            actual: other(),
        },
        BundleError::Text { field: "name" },
        BundleError::Path("../a".parse::<EntryPath>().unwrap_err()),
        member(MemberProblem::Missing),
        BundleError::Manifest {
            digest: digest(),
            source: ManifestError::Shapeless,
        },
        BundleError::Blob {
            digest: digest(),
            problem: BlobProblem::Joined { actual: other() },
        },
        BundleError::Image {
            image: "a/b:1".to_owned(),
            problem: ImageProblem::Absent { digest: digest() },
        },
        BundleError::Signature(SignatureError::Legacy),
        BundleError::Sign(SignError::HelperAbsent {
            program: "hod-sign-vault".to_owned(),
        }),
        BundleError::Stopped,
        BundleError::TooLarge,
    ]
}

/// Those of volumes.
fn of_volumes() -> Vec<BundleError> {
    vec![
        BundleError::NoSuchVolume {
            index: 7,
            n_volumes: 3,
        },
        BundleError::InBundle {
            path: path(),
            source: Box::new(member(MemberProblem::Padding)),
        },
        BundleError::OtherSibling {
            path: volume(),
            expected: digest(),
            actual: other(),
            what: "the size of the volumes",
        },
        BundleError::VolumeTooSmall {
            size: 10_000,
            needed: 70_144,
        },
        BundleError::StreamedVolumes,
        BundleError::TooManyVolumes { n_max: 9999 },
        BundleError::VolumesMissing {
            path: volume(),
            missing: vec![1],
            count: 2,
        },
        BundleError::VolumesMissing {
            path: volume(),
            missing: vec![1, 3, 4, 6, 7, 8],
            count: 9,
        },
        BundleError::OtherBundle {
            path: volume(),
            index: 2,
            expected: digest(),
            actual: other(),
        },
        BundleError::Empty { path: path() },
        BundleError::Incomplete {
            path: path(),
            len: 9_000_000,
            expected: 20_840_960,
        },
        BundleError::VolumeOrder {
            expected: 2,
            found: 3,
        },
        BundleError::VolumesEnd {
            path: path(),
            expected: 3,
            count: 4,
        },
        BundleError::InStream {
            index: 2,
            count: 4,
            source: Box::new(member(MemberProblem::Truncated)),
        },
        BundleError::InVolume {
            path: volume(),
            source: Box::new(member(MemberProblem::Differs)),
        },
    ]
}

#[test]
fn of_bundles() {
    let errors: Vec<BundleError> = of_one_file().into_iter().chain(of_volumes()).collect();
    for error in &errors {
        match error {
            BundleError::Write { .. }
            | BundleError::ReadBlob { .. }
            | BundleError::BlobDamaged { .. }
            | BundleError::BlobLength { .. }
            | BundleError::ReadFile { .. }
            | BundleError::FileChanged { .. }
            | BundleError::Read { .. }
            | BundleError::Decompress { .. }
            | BundleError::Window { .. }
            | BundleError::NotABundle { .. }
            | BundleError::Empty { .. }
            | BundleError::Incomplete { .. }
            | BundleError::Compressed { .. }
            | BundleError::Unsupported { .. }
            | BundleError::Json { .. }
            | BundleError::Id { .. }
            | BundleError::Text { .. }
            | BundleError::Path(_)
            | BundleError::Member { .. }
            | BundleError::Manifest { .. }
            | BundleError::Blob { .. }
            | BundleError::Image { .. }
            | BundleError::NoSuchVolume { .. }
            | BundleError::OtherSibling { .. }
            | BundleError::VolumeTooSmall { .. }
            | BundleError::StreamedVolumes
            | BundleError::TooManyVolumes { .. }
            | BundleError::VolumesMissing { .. }
            | BundleError::OtherBundle { .. }
            | BundleError::VolumeOrder { .. }
            | BundleError::VolumesEnd { .. }
            | BundleError::InStream { .. }
            | BundleError::InVolume { .. }
            | BundleError::InBundle { .. }
            | BundleError::Signature(_)
            | BundleError::Sign(_)
            | BundleError::Stopped
            | BundleError::TooLarge => {}
        }
    }
    insta::assert_snapshot!(render(&errors));
}
