//! What can go wrong on the way.

use std::io;
use std::sync::Arc;

use hod_bundle::BundleError;
use hod_layout::{LayoutError, NoDockerImage};
use hod_oci::{ContentMismatch, Digest, ManifestError};
use hod_registry::RegistryError;
use hod_report::{Diagnosis, ErrorClass};
use hod_store::StoreError;
use hod_transfer::{
    AbsentChild, BlobHolder, Holder, SignatureError, SizeClaim, TransferError, Unmatched, Wish,
};
use hod_trust::{Reason, Rejected};

use super::{absent_file, digest, other, path, table};

fn blocked() -> RegistryError {
    RegistryError::Blocked {
        reference: "bad.corp/a:1".to_owned(),
        prefix: "bad.corp".to_owned(),
        file: "/etc/containers/registries.conf".to_owned(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each error")]
fn of_the_way() {
    insta::assert_snapshot!(table!(TransferError {
        Store(StoreError::NotAStore { path: path() }) => Usage 2,
        Bundle(BundleError::Compressed { path: path() }) => Usage 2,
        Stream(Arc::new(BundleError::TooLarge)) => Usage 2,
        File(absent_file()) => NotFound 1,
        Manifest(ManifestError::Shapeless) => Verify 4,
        ImageAbsent {
            registry: Some("harbor.corp".parse().unwrap()),
            similar: vec!["1.0".parse().unwrap(), "1.1".parse().unwrap()],
        } => NotFound 5,
        ListedBy {
            indexes: vec!["1.0".parse().unwrap()],
        } => Policy 5,
        Unmatched(Unmatched::NoRepository {
            registry: "docker.io".parse().unwrap(),
        }) => NotFound 5,
        BadLine(hod_list::BadLine {
            file: "list.txt".to_owned(),
            line: 3,
            text: "Redis".to_owned(),
            reason: "uppercase letter in repository name".to_owned(),
            fix: Some("redis".to_owned()),
            format: None,
        }) => Usage 2,
        ChildAbsent(Box::new(AbsentChild {
            digest: digest(),
            role: "linux/arm64".to_owned(),
            holder: Holder::Archive,
            present: vec!["linux/amd64".to_owned()],
            wish: Wish::Platform,
        })) => NotFound 1,
        BlobAbsent { digest: digest() } => NotFound 1,
        BlobLength {
            digest: digest(),
            claim: SizeClaim::Manifest(other()),
            expected: 2,
            actual: 1,
        } => Verify 4,
        SizesDiffer {
            digest: digest(),
            first: Box::new((other(), 2)),
            second: Box::new((Digest::of(b"y"), 3)),
        } => Verify 4,
        WrongSize {
            manifest: other(),
            digest: digest(),
            expected: 2,
            source: Arc::new(TransferError::Stopped),
        } => Verify 4,
        Content(ContentMismatch::Digest {
            expected: digest(),
            actual: other(),
            len: 1,
        }) => Verify 4,
        BlobRead {
            path: path(),
            source: io::ErrorKind::UnexpectedEof.into(),
        } => File 1,
        StreamRead {
            digest: digest(),
            source: io::ErrorKind::InvalidData.into(),
        } => File 1,
        NoPlatform {
            wanted: "linux/riscv64".to_owned(),
            offered: "linux/amd64, linux/arm64".to_owned(),
        } => NotFound 1,
        Filtered {
            wanted: "linux/riscv64".to_owned(),
            offered: "linux/amd64, linux/arm64".to_owned(),
        } => NotFound 5,
        OtherPlatform {
            platform: "linux/amd64".to_owned(),
            missing: "linux/arm64".to_owned(),
        } => NotFound 1,
        PinnedIndex {
            digest: digest(),
            platforms: "linux/amd64".to_owned(),
        } => Policy 1,
        Rewritten {
            expected: digest(),
            actual: other(),
        } => Policy 1,
        TooDeep { depth_max: 8 } => Policy 1,
        TooMany {
            n_max: 1000,
            len_max: 33_554_432,
        } => Policy 1,
        Referrers {
            digest: digest(),
            source: Box::new(TransferError::TooManyReferrers {
                n_max: 1000,
                len_max: 33_554_432,
            }),
        } => Policy 1,
        TooManyReferrers {
            n_max: 1000,
            len_max: 33_554_432,
        } => Policy 1,
        ReferrersTag {
            repository: "harbor.corp/a/b".to_owned(),
            tag: "sha256-12".parse().unwrap(),
        } => Policy 1,
        ReferrerDiffers {
            repository: "harbor.corp/a/b".to_owned(),
            tag: "sha256-12.sig".parse().unwrap(),
        } => Policy 1,
        NoDockerImage(NoDockerImage::Index) => Policy 1,
        NameTaken {
            name: "a/b:1".to_owned(),
            digest: digest(),
            other: other(),
        } => Policy 1,
        ManifestAsBlob { digest: digest() } => Policy 1,
        Rewrite => Internal 1,
        ReadOnce { digest: digest() } => Network 1,
        Rejected { source: Box::new(Rejected::NoSignature) } => Policy 5,
        Signatures {
            digest: digest(),
            source: Box::new(SignatureError::ReadOnce),
        } => Policy 5,
        Stopped => Stopped 1,
        TargetDamaged {
            repository: "harbor.corp/site/app".to_owned(),
            digest: digest(),
            expected: 2,
            actual: Some(0),
        } => Server 1,
        BaseLost { digest: digest() } => NotFound 1,
        NotMounted {
            digest: digest(),
            repository: "harbor.corp/site/new".to_owned(),
            from: Some("harbor.corp/site/app".to_owned()),
        } => NotFound 1,
        DamagedSource {
            paths: vec![path()],
            holder: BlobHolder::Store,
            digest: digest(),
            actual: other(),
        } => Verify 4,
        TargetFailed {
            text: "no space left".to_owned(),
            diagnosis: Diagnosis::new(ErrorClass::Space).hint("Free some space."),
            is_damaged_source: false,
        } => Space 1,
        Registry(blocked()) => Policy 1,
        PartialIndex {
            lacking: "linux/arm64".to_owned(),
            source: Box::new(blocked()),
        } => Policy 1,
        Layout(LayoutError::NotALayout { path: path() }) => Usage 2,
    } more {
        TransferError::Unmatched(Unmatched::NoTag {
            n_tags: 7,
            newest: vec!["1.0".parse().unwrap(), "1.1".parse().unwrap()],
        }) => NotFound 5,
        TransferError::Unmatched(Unmatched::TooMany {
            n_tags: 12_345,
            n_max: 10_000,
        }) => Policy 5,
        TransferError::NoDockerImage(NoDockerImage::NoTag) => Policy 1,
        TransferError::TargetDamaged {
            repository: "harbor.corp/site/app".to_owned(),
            digest: digest(),
            expected: 2,
            actual: None,
        } => Server 1,
        TransferError::DamagedSource {
            paths: vec![path()],
            holder: BlobHolder::Bundle,
            digest: digest(),
            actual: other(),
        } => Verify 4,
        TransferError::DamagedSource {
            paths: vec![path()],
            holder: BlobHolder::Other,
            digest: digest(),
            actual: other(),
        } => Verify 4,
        TransferError::NoDockerImage(NoDockerImage::Foreign { digest: digest() }) => Policy 1,
        TransferError::Rejected {
            source: Box::new(Rejected::ByPolicy { image: "docker://h.corp/a:1".to_owned() }),
        } => Policy 5,
        TransferError::Rejected {
            source: Box::new(Rejected::Signature(Reason::Identity { signed: "h.corp/b:1".to_owned() })),
        } => Policy 5,
    }));
}
