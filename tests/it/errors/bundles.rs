//! What can be wrong with a bundle, as a person reads it.

use std::io;
use std::path::PathBuf;

use hod_bundle::{
    BlobProblem, BundleError, ImageProblem, MemberProblem, SignError, SignatureError,
};
use hod_oci::ManifestError;
use hod_tarball::{EntryPath, WindowTooLarge};

use super::{absent_file, digest, other, path, table};

fn member(problem: MemberProblem) -> BundleError {
    BundleError::Member {
        path: "hod/bin/a\nb".to_owned(),
        problem,
    }
}

fn volume() -> PathBuf {
    PathBuf::from("/media/usb/site.002.tar")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each error")]
fn of_bundles() {
    insta::assert_snapshot!(table!(BundleError {
        Write {
            path: path(),
            source: absent_file(),
        } => NotFound 1,
        ReadBlob {
            digest: digest(),
            source: absent_file(),
        } => NotFound 1,
        BlobDamaged {
            digest: digest(),
            actual: other(),
        } => Verify 4,
        BlobLength {
            digest: digest(),
            expected: 2,
            actual: 1,
        } => Verify 4,
        ReadFile {
            path: PathBuf::from("/nonexistent/file"),
            source: absent_file(),
        } => NotFound 1,
        FileChanged { path: path() } => File 1,
        Read {
            path: path(),
            source: absent_file(),
        } => NotFound 1,
        Decompress {
            path: path(),
            member: "hod/bundle.json".to_owned(),
            source: io::ErrorKind::UnexpectedEof.into(),
        } => Verify 4,
        Window {
            path: path(),
            source: WindowTooLarge { log_max: 24 },
        } => Verify 4,
        NotABundle {
            path: path(),
            found: "it is empty".to_owned(),
        } => Usage 2,
        Compressed { path: path() } => Usage 2,
        Unsupported {
            what: "format 2".to_owned(),
        } => Usage 2,
        Json {
            member: "hod/bundle.json",
            source: serde_json::from_str::<u32>("{").unwrap_err(),
        } => Verify 4,
        Id {
            expected: digest(),
            actual: other(),
        } => Verify 4,
        Text { field: "name" } => Verify 4,
        Path("../a".parse::<EntryPath>().unwrap_err()) => Verify 4,
        Member {
            path: "hod/bin/a\nb".to_owned(),
            problem: MemberProblem::Missing,
        } => Verify 4,
        Manifest {
            digest: digest(),
            source: ManifestError::Shapeless,
        } => Verify 4,
        Blob {
            digest: digest(),
            problem: BlobProblem::Joined { actual: other() },
        } => Verify 4,
        Image {
            image: "a/b:1".to_owned(),
            problem: ImageProblem::Absent { digest: digest() },
        } => Verify 4,
        Signature(SignatureError::Legacy) => Verify 4,
        Sign(SignError::HelperAbsent {
            program: "hod-sign-vault".to_owned(),
        }) => Usage 2,
        Stopped => Stopped 1,
        TooLarge => Usage 2,
        NoSuchVolume {
            index: 7,
            n_volumes: 3,
        } => NotFound 5,
        InBundle {
            path: path(),
            source: Box::new(member(MemberProblem::Padding)),
        } => Verify 4,
        OtherSibling {
            path: volume(),
            expected: digest(),
            actual: other(),
            what: "the size of the volumes",
        } => Usage 2,
        VolumeTooSmall {
            size: 10_000,
            enough: 131_072,
        } => Policy 5,
        StreamedVolumes => Usage 2,
        TooManyVolumes { n_max: 9999 } => Policy 5,
        VolumesMissing {
            path: volume(),
            missing: vec![1],
            count: 2,
        } => NotFound 5,
        OtherBundle {
            path: volume(),
            index: 2,
            expected: digest(),
            actual: other(),
        } => Usage 2,
        Empty { path: path() } => Verify 4,
        Incomplete {
            path: path(),
            len: 9_000_000,
            expected: 20_840_960,
        } => Verify 4,
        VolumeOrder {
            expected: 2,
            found: 3,
        } => NotFound 5,
        VolumesEnd {
            path: path(),
            expected: 3,
            count: 4,
        } => NotFound 5,
        InStream {
            index: 2,
            count: 4,
            source: Box::new(member(MemberProblem::Truncated)),
        } => Verify 4,
        InVolume {
            path: volume(),
            source: Box::new(member(MemberProblem::Differs)),
        } => Verify 4,
    } more {
        BundleError::VolumesMissing {
            path: volume(),
            missing: vec![1, 3, 4, 6, 7, 8],
            count: 9,
        } => NotFound 5,
    }));
}
