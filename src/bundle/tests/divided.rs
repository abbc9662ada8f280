//! Bundles in several volumes, as they are written and read.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::sample::{Blobs, Builder, Sample, noise, sample};
use crate::{
    BlobCheck, Bundle, BundleBlob, BundleError, BundleVerifyOutcome, Compression, Placement,
    ReadOptions, Trust, VerifyOptions, read_stream, verify, volume_path,
};
use hod_oci::Digest;
use hod_report::chain;

/// Sizes of volumes that cut the sample's largest blob, of 700,000 bytes, and that do not.
const SIZES: [u64; 5] = [120_000, 200_704, 355_000, 720_000, 900_000];

/// The sample with one more large blob, so that two may be cut.
fn large() -> Sample {
    let mut builder = Builder::new();
    builder.image("a/one:1", b"{}", &[&noise(1, 700_000), b"", &noise(2, 900)]);
    builder.image("a/two:1", b"{}", &[&noise(3, 500_001), &noise(4, 100_000)]);
    builder.finish()
}

struct Divided {
    sample: Sample,
    paths: Vec<PathBuf>,
}

fn divide(mut sample: Sample, size: u64) -> Divided {
    sample.plan.volume_size = Some(size);
    let written = sample.try_write("b.tar", Compression::Raw, 2).unwrap();
    let lens = sample.plan.lay_out().unwrap().lens();
    assert!(lens.iter().all(|&len| len <= size), "{size}: {lens:?}");
    let mut paths = Vec::new();
    for ((path, len), at) in written.files.into_iter().zip(1..) {
        let count = written.manifest.n_volumes;
        assert_eq!(path, volume_path(&sample.path("b.tar"), at, count));
        assert_eq!(
            (hod_fsx::stat(&path).unwrap().len, len),
            (len, lens[paths.len()])
        );
        paths.push(path);
    }
    Divided { sample, paths }
}

fn open(path: &Path) -> Bundle {
    Bundle::open(path, &ReadOptions::default()).unwrap()
}

fn check(path: &Path) -> BundleVerifyOutcome {
    let options = VerifyOptions {
        read: &ReadOptions::default(),
        jobs: 2,
        on_bytes: &|_| {},
    };
    verify(path, &options).unwrap()
}

fn bytes_of(bundle: &Bundle, digest: &Digest) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for range in bundle.open_blob(digest)? {
        let len = usize::try_from(range.len).unwrap();
        bytes.extend(hod_fsx::read_range(&range.file, &range.path, range.offset, len).unwrap());
    }
    Some(bytes)
}

impl Divided {
    fn joined(&self) -> Vec<u8> {
        let volumes = self.paths.iter();
        volumes
            .flat_map(|path| hod_fsx::read(path, u64::MAX / 2).unwrap())
            .collect()
    }

    /// Moves all volumes but those at `keep` into a directory of their own.
    fn hide(&self, keep: &[usize]) -> PathBuf {
        let away = self.sample.path("away");
        hod_fsx::create_dir_all(&away).unwrap();
        for (at, path) in self.paths.iter().enumerate() {
            if !keep.contains(&at) {
                hod_fsx::rename(path, &away.join(path.file_name().unwrap())).unwrap();
            }
        }
        away
    }
}

#[test]
fn every_blob_is_read_from_volumes_of_any_size() {
    for make in [sample, large] {
        for size in SIZES {
            let divided = divide(make(), size);
            let blobs = &divided.sample.plan.blobs;
            for path in [&divided.paths[0], divided.paths.last().unwrap()] {
                let bundle = open(path);
                bundle.require_complete().unwrap();
                bundle.check_all_but_blobs().unwrap();
                for blob in blobs {
                    let bytes = bytes_of(&bundle, &blob.digest).unwrap();
                    assert!(blob.digest.matches(&bytes), "{size}");
                    let manifest = bundle.read_manifest(&blob.digest).unwrap();
                    assert_eq!(manifest.is_some(), blob.is_manifest);
                }
                let outcome = check(path);
                assert_eq!((outcome.problems, outcome.notes), (vec![], vec![]));
                assert_eq!(outcome.n_blobs, blobs.len());
                assert_eq!(outcome.len, blobs.iter().map(|blob| blob.size).sum::<u64>());
            }
        }
    }
}

#[test]
fn what_fits_into_one_volume_is_not_divided() {
    let mut sample = sample();
    let once = sample.write("once.tar", Compression::Raw);
    sample.plan.volume_size = Some(once.len() as u64);
    let written = sample.try_write("b.tar", Compression::Raw, 2).unwrap();
    assert_eq!(
        written.files,
        [(sample.path("b.001.tar"), once.len() as u64)]
    );
    assert!(sample.read("b.001.tar") == once);
    sample.plan.volume_size = Some(once.len() as u64 - 1);
    let written = sample.try_write("c.tar", Compression::Raw, 2).unwrap();
    assert_eq!(written.files.len(), 2);
}

#[test]
fn joined_volumes_are_read_in_one_pass() {
    for size in SIZES {
        let divided = divide(large(), size);
        let joined = divided.joined();
        let mut blobs = Blobs::default();
        let path = Path::new("-");
        read_stream(
            joined.as_slice(),
            path,
            &Trust::default(),
            BlobCheck::Reader,
            &mut blobs,
        )
        .unwrap();
        assert_eq!(blobs.0.len(), divided.sample.plan.blobs.len());
        assert!(blobs.0.iter().all(|(digest, bytes)| digest.matches(bytes)));
        // Volumes that are missing at the end, or that come in another order.
        let count = divided.paths.len();
        let first = hod_fsx::read(&divided.paths[0], u64::MAX / 2).unwrap();
        let error = |bytes: &[u8]| {
            let read = read_stream(
                bytes,
                path,
                &Trust::default(),
                BlobCheck::Reader,
                &mut Blobs::default(),
            );
            read.unwrap_err().to_string()
        };
        let missing = error(&first);
        let n_volumes = u32::try_from(count).unwrap();
        let rest: Vec<u32> = (2..=n_volumes).collect();
        let rest = hod_report::amount::format_missing(&rest, n_volumes);
        assert_eq!(missing, format!("bundle `-` is incomplete: {rest}"));
        let last = hod_fsx::read(divided.paths.last().unwrap(), u64::MAX / 2).unwrap();
        let order = format!("expected volume 1, found volume {count}");
        assert_eq!(error(&last), order);
        let order = "expected volume 2, found volume 1";
        assert_eq!(error(&[first.clone(), first].concat()), order);
    }
}

#[test]
fn untarred_and_joined_by_cat_the_volumes_are_one_tree() {
    for size in SIZES {
        let divided = divide(large(), size);
        let mut files = std::collections::BTreeMap::new();
        for path in &divided.paths {
            let bytes = hod_fsx::read(path, u64::MAX / 2).unwrap();
            for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().to_str().unwrap().to_owned();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                files.insert(path, content);
            }
        }
        for blob in &divided.sample.plan.blobs {
            let hex = blob.digest.hex();
            let dir = format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]);
            let of_blob = files.range(dir.clone()..format!("{dir}/"));
            let bytes: Vec<u8> = of_blob.flat_map(|(_, bytes)| bytes.clone()).collect();
            assert!(blob.digest.matches(&bytes), "{size}");
        }
        for image in &divided.sample.plan.images {
            let (repository, tag) = (&image.repository, image.tag.as_ref().unwrap());
            let tags = format!("docker/registry/v2/repositories/{repository}/_manifests/tags");
            let link = &files[&format!("{tags}/{tag}/current/link")];
            assert_eq!(link, image.digest.as_str().as_bytes());
        }
    }
}

#[test]
fn any_subset_of_the_volumes_gives_what_it_has_and_names_the_rest() {
    for size in [355_000, 720_000] {
        let divided = divide(large(), size);
        let n = divided.paths.len();
        for subset in 1..(1_u32 << n) - 1 {
            let keep: Vec<usize> = (0..n).filter(|at| subset >> at & 1 == 1).collect();
            let away = divided.hide(&keep);
            let bundle = open(&divided.paths[keep[0]]);
            let missing: Vec<u32> = (1..)
                .zip(0..n)
                .filter(|(_, at)| !keep.contains(at))
                .map(|(number, _)| number)
                .collect();
            assert_eq!(bundle.missing_volumes(), missing);
            let error = bundle.require_complete().unwrap_err();
            assert!(matches!(error, BundleError::VolumesMissing { .. }));
            for blob in &bundle.manifest().blobs {
                let is_here = blob
                    .volumes()
                    .iter()
                    .all(|volume| !missing.contains(volume));
                let bytes = bytes_of(&bundle, &blob.digest);
                assert_eq!(
                    bytes.is_some_and(|bytes| blob.digest.matches(&bytes)),
                    is_here
                );
            }
            // The volumes that are present are correct, and nothing else is reported.
            let outcome = check(&divided.paths[keep[0]]);
            assert_eq!((outcome.problems, outcome.notes), (vec![], vec![]));
            let is_here = |digest: &Digest| bytes_of(&bundle, digest).is_some();
            let images = bundle.manifest().images.iter();
            let complete = images.filter(|image| image.blobs.iter().all(is_here));
            let partial = outcome.partial.unwrap();
            assert_eq!(partial.missing, missing);
            assert_eq!(partial.n_volumes as usize, n);
            assert_eq!(partial.n_complete, complete.count());
            // From another directory, under any name.
            let short = |path: &Path| {
                let name = path.file_name().unwrap().to_string_lossy();
                away.join(name.replace("b.", "B").to_uppercase())
            };
            let hidden = (0..n).filter(|at| !keep.contains(at));
            let hidden: Vec<&PathBuf> = hidden.map(|at| &divided.paths[at]).collect();
            for path in &hidden {
                hod_fsx::rename(&away.join(path.file_name().unwrap()), &short(path)).unwrap();
            }
            let options = ReadOptions {
                trust: Trust::default(),
                volume_dirs: vec![divided.sample.path("nowhere"), away.clone()],
            };
            Bundle::open(&divided.paths[keep[0]], &options)
                .unwrap()
                .require_complete()
                .unwrap();
            for path in hidden {
                hod_fsx::rename(&short(path), path).unwrap();
            }
        }
    }
}

#[test]
fn a_copy_that_is_too_short_is_one_problem_wherever_it_ends() {
    let divided = divide(large(), 355_000);
    let path = &divided.paths[1];
    let whole = hod_fsx::read(path, u64::MAX / 2).unwrap();
    let head = whole.len() / 3;
    let total = check(path).len;
    for len in [head, whole.len() / 2, whole.len() - 1025, whole.len() - 1] {
        hod_fsx::write_file(path, &whole[..len]).unwrap();
        let expected = format!(
            "`{}` is truncated: expected {} bytes, found {}",
            path.display(),
            hod_report::amount::format_bytes(whole.len() as u64),
            hod_report::amount::format_bytes(len as u64),
        );
        let outcome = check(&divided.paths[0]);
        assert_eq!(outcome.problems, [expected.as_str()], "{len}");
        let n_missing = (whole.len() - len) as u64;
        assert!(outcome.len.abs_diff(total - n_missing) < 16 * 1024, "{len}");
        let error = Bundle::open(&divided.paths[0], &ReadOptions::default()).unwrap_err();
        assert!(chain(&error).contains(&expected), "{error}");
    }
}

#[test]
fn a_volume_of_another_bundle_is_told_by_name() {
    let divided = divide(large(), 355_000);
    let mut other = large();
    other.plan.name = "other".to_owned();
    let other = divide(other, 355_000);
    hod_fsx::rename(&other.paths[1], &divided.paths[1]).unwrap();
    let error = Bundle::open(&divided.paths[0], &ReadOptions::default()).unwrap_err();
    let BundleError::InVolume { path, source } = error else {
        panic!("{error}");
    };
    assert_eq!(path, divided.paths[1]);
    assert!(
        matches!(*source, BundleError::OtherBundle { index: 2, .. }),
        "{source}"
    );
}

#[test]
fn volumes_that_are_too_small_say_which_size_is_enough() {
    let mut sample = large();
    sample.plan.volume_size = Some(10_000);
    let error = sample.try_write("b.tar", Compression::Raw, 2).unwrap_err();
    let BundleError::VolumeTooSmall { size, enough } = error else {
        panic!("{error}");
    };
    assert_eq!((size, enough), (10_000, 131_072));
    sample.plan.volume_size = Some(enough / 2);
    let less = sample.try_write("b.tar", Compression::Raw, 2).unwrap_err();
    let is_told = matches!(less, BundleError::VolumeTooSmall { enough: e, .. } if e == enough);
    assert!(is_told, "{less}");
    sample.plan.volume_size = Some(enough);
    let _ = sample.try_write("b.tar", Compression::Raw, 2).unwrap();
    assert_eq!(check(&sample.path("b.001.tar")).problems, [""; 0]);
}

#[test]
fn parts_lie_where_one_pass_needs_them() {
    let mut sample = large();
    sample.plan.volume_size = Some(200_704);
    let written = sample.try_write("b.tar", Compression::Raw, 1).unwrap();
    let cut: Vec<&BundleBlob> = written
        .manifest
        .blobs
        .iter()
        .filter(|blob| matches!(blob.place, Placement::Parts(_)))
        .collect();
    assert_eq!(cut.len(), 2);
    for blob in cut {
        let parts = blob.parts();
        assert_eq!(parts.iter().map(|part| part.size).sum::<u64>(), blob.size);
        for pair in parts.windows(2) {
            assert_eq!(pair[0].volume + 1, pair[1].volume);
            assert_eq!(pair[0].size % 4096, 0);
        }
    }
}
