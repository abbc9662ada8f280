//! Whatever is done to a tree is found and named.

use super::*;
use crate::tests::{Scratch, name, scratch, tag};

/// The kinds of problems found, with two threads and with one.
fn kinds(scratch: &Scratch) -> Vec<&'static str> {
    let outcome = run(scratch, 2);
    assert_eq!(outcome, run(scratch, 1));
    outcome.problems.iter().map(Problem::kind).collect()
}

fn run(scratch: &Scratch, jobs: usize) -> VerifyOutcome {
    verify(&scratch.store, jobs, &|_| ()).unwrap()
}

/// A store with the image `library/app:1`, whose files are at the returned paths.
fn with_image() -> (Scratch, crate::Publication) {
    let scratch = scratch();
    let image = scratch.image("a");
    scratch.publish(&image);
    (scratch, image)
}

const REPOSITORY: &str = "repositories/library/app";

#[test]
fn a_whole_store_has_no_problems() {
    let (scratch, image) = with_image();
    let hashed = std::sync::atomic::AtomicU64::new(0);
    let outcome = verify(&scratch.store, 2, &|n| {
        hashed.fetch_add(n, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!((outcome.n_blobs, outcome.n_images), (4, 1));
    assert_eq!(outcome.len, hashed.into_inner());
    assert_eq!((outcome.problems, outcome.notes), (vec![], vec![]));

    // Another image under the same tag leaves the first in the history.
    let second = scratch.image("b");
    scratch.publish(&second);
    assert_eq!(run(&scratch, 2).n_images, 1);
    assert!(
        scratch
            .store
            .delete_tag(&image.repository, &tag("1"))
            .unwrap()
    );
    assert_eq!(run(&scratch, 2).n_images, 2);
    assert!(kinds(&scratch).is_empty());
}

#[test]
fn any_flipped_bit_of_a_blob_is_named() {
    let (scratch, image) = with_image();
    for digest in image.blobs.iter().chain([&image.top]) {
        let path = scratch.store.blob_path(digest);
        let bytes = hod_fsx::read(&path, 1 << 20).unwrap();
        for at in (0..bytes.len()).step_by(11) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            hod_fsx::write_file(&path, &bytes).unwrap();
            let problems = run(&scratch, 2).problems;
            assert!(
                matches!(&problems[..], [Problem::DamagedBlob { digest: named, .. }] if named == digest),
                "{problems:?}"
            );
        }
        hod_fsx::write_file(&path, &bytes).unwrap();
    }
    assert!(kinds(&scratch).is_empty());
}

#[test]
fn every_missing_file_is_found() {
    #[track_caller]
    fn check(path: &str, expect: &[&str]) {
        let (scratch, _) = with_image();
        hod_fsx::remove_file(&scratch.tree(path)).unwrap();
        assert_eq!(kinds(&scratch), expect);
    }
    let (_scratch, image) = with_image();
    let (top, blob) = (image.top.hex(), image.blobs[1].hex());
    let data = |hex: &str| format!("blobs/sha256/{}/{hex}/data", &hex[..2]);
    check(&data(top), &["missing-manifest"]);
    check(&data(blob), &["missing-blob"]);
    check(
        &format!("{REPOSITORY}/_layers/sha256/{blob}/link"),
        &["missing-layer-link"],
    );
    let manifests = format!("{REPOSITORY}/_manifests");
    check(
        &format!("{manifests}/revisions/sha256/{top}/link"),
        &["tag-without-revision"],
    );
    check(&format!("{manifests}/tags/1/current/link"), &["empty-tag"]);
    // Pulling does not need it.
    check(&format!("{manifests}/tags/1/index/sha256/{top}/link"), &[]);
}

#[test]
fn links_must_be_exact() {
    #[track_caller]
    fn check(bytes: &str, expect: LinkFault) {
        let (scratch, image) = with_image();
        let bytes = bytes.replace("DIGEST", image.top.as_str());
        let revision = format!("revisions/sha256/{}/link", image.top.hex());
        for link in [revision.as_str(), "tags/1/current/link"] {
            let path = scratch.tree(REPOSITORY).join("_manifests").join(link);
            if expect == LinkFault::OtherDigest && link.starts_with("tags") {
                continue;
            }
            hod_fsx::write_file(&path, bytes.as_bytes()).unwrap();
            let problems = run(&scratch, 2).problems;
            let fault = expect;
            assert_eq!(
                problems,
                [Problem::BadLink {
                    path: path.clone(),
                    fault
                }]
            );
            hod_fsx::write_file(&path, image.top.as_str().as_bytes()).unwrap();
        }
    }
    check("", LinkFault::Empty);
    check("DIGEST\n", LinkFault::WhiteSpace);
    check("DIGEST0", LinkFault::NoDigest);
    check(&"x".repeat(1000), LinkFault::NoDigest);
    check(Digest::of(b"other").as_str(), LinkFault::OtherDigest);
}

#[test]
fn what_is_out_of_place_is_found() {
    #[track_caller]
    fn check(path: &str, expect: &[&str], n_notes: usize) {
        let (scratch, _) = with_image();
        hod_fsx::write_file(&scratch.tree(path), b"").unwrap();
        assert_eq!(kinds(&scratch), expect);
        assert_eq!(run(&scratch, 1).notes.len(), n_notes);
    }
    check("blobs/sha256/ab/abc/data", &["stray-data"], 0);
    check("blobs/data", &["stray-data"], 0);
    check("blobs/sha256/ab/.tmp", &[], 1);
    check("repositories/library/app/_layers/link", &["stray-link"], 0);
    check(
        "repositories/library/app/_manifests/tags/.tmp",
        &["stray-tag"],
        0,
    );
    check(
        "repositories/library/app/_manifests/tags/a b/x",
        &["stray-tag"],
        1,
    );
    check(
        "repositories/library/app/_manifests/tags/2/index/x",
        &["empty-tag"],
        1,
    );
    check("repositories/library/app/_uploads/x/data", &[], 0);
    check(
        "repositories/UPPER/_manifests/x",
        &["bad-repository-name"],
        0,
    );
    check("repositories/library/README", &[], 1);
}

#[test]
fn a_sparse_index_is_noted_and_an_empty_one_is_a_problem() {
    let scratch = scratch();
    let (mut image, other) = (scratch.image("a"), scratch.image("b"));
    let gone = Digest::of(b"gone");
    image.top = scratch.index(&[&image.top, &other.top, &gone]);
    image.manifests.push(image.top.clone());
    scratch.publish(&image);
    // The child's bytes are present, but its link was lost.
    assert_eq!(kinds(&scratch), ["missing-revision-link"]);
    // They belong to another repository: this one was not given it.
    let elsewhere = crate::Publication {
        repository: name("elsewhere"),
        ..other
    };
    scratch.publish(&elsewhere);
    let outcome = run(&scratch, 2);
    assert_eq!((outcome.problems, outcome.n_images), (vec![], 2));
    assert_eq!(outcome.notes.len(), 1);
    assert!(outcome.notes[0].ends_with("is sparse: 1 of 3 manifests found"));

    image.repository = name("hollow");
    image.top = scratch.index(&[&gone]);
    image.manifests = vec![image.top.clone()];
    scratch.publish(&image);
    assert_eq!(kinds(&scratch), ["no-children"]);
}

#[test]
fn a_manifest_that_lies_or_is_none_is_found() {
    let (scratch, mut image) = with_image();
    image.top = scratch.blob(b"no manifest");
    image.manifests = vec![image.top.clone()];
    scratch.publish(&image);
    assert_eq!(kinds(&scratch), ["bad-manifest"]);
    let outcome = run(&scratch, 2);
    let shown = outcome.problems[0].to_string();
    assert!(shown.ends_with("cannot be read: manifest is not valid JSON of a known shape"));

    let (scratch, mut image) = with_image();
    // The index is written without its child, and claims that the child has 7 bytes.
    let child = image.top.clone();
    let path = scratch.store.blob_path(&child);
    let bytes = hod_fsx::read(&path, 1 << 20).unwrap();
    hod_fsx::remove_file(&path).unwrap();
    image.top = scratch.index(&[&child]);
    image.manifests.push(image.top.clone());
    hod_fsx::write_file(&path, &bytes).unwrap();
    scratch.publish(&image);
    assert_eq!(kinds(&scratch), ["wrong-size"]);
}
