//! The store's promises, on trees in a temporary directory.

use std::path::{Path, PathBuf};

use super::*;
use hod_fsx::{Durability, LinkMode, TempDir};
use hod_oci::{Algorithm, Descriptor, Digest, Manifest, RepositoryName, Tag, Verifier};

/// A store in a directory that goes with it.
pub(super) struct Scratch {
    pub(super) store: Store,
    dir: TempDir,
}

pub(super) fn scratch() -> Scratch {
    let dir = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
    let store = Store::create(&dir.path().join("store")).unwrap();
    Scratch { store, dir }
}

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The path of something in the tree.
    pub(super) fn tree(&self, path: &str) -> PathBuf {
        self.store.path().join("docker/registry/v2").join(path)
    }

    pub(super) fn blob(&self, bytes: &[u8]) -> Digest {
        put_blob(&self.store, bytes)
    }

    /// Writes an image with a config and two layers made from `seed`.
    pub(super) fn image(&self, seed: &str) -> Publication {
        let parts = ["config", "shared", seed].map(|part| format!("{part} of an image"));
        let blobs: Vec<Digest> = parts
            .iter()
            .map(|part| self.blob(part.as_bytes()))
            .collect();
        let part = |at: usize| {
            let (digest, len) = (&blobs[at], parts[at].len());
            format!(r#"{{"mediaType":"application/x","digest":"{digest}","size":{len}}}"#)
        };
        let json = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{},{}]}}"#,
            part(0),
            part(1),
            part(2)
        );
        let top = self.manifest(json);
        Publication {
            repository: name("library/app"),
            tag: Some(tag("1")),
            manifests: vec![top.clone()],
            top,
            blobs,
        }
    }

    /// Writes an index of `children`.
    pub(super) fn index(&self, children: &[&Digest]) -> Digest {
        let entries: Vec<String> = children
            .iter()
            .map(|digest| {
                let media_type = "application/vnd.oci.image.manifest.v1+json";
                let len = self.store.blob_len(digest).unwrap().unwrap_or(7);
                format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{len}}}"#)
            })
            .collect();
        let entries = entries.join(",");
        self.manifest(format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#))
    }

    fn manifest(&self, json: String) -> Digest {
        let manifest = Manifest::parse(json.into_bytes().into(), None).unwrap();
        self.store.write_manifest(&manifest).unwrap();
        manifest.digest().clone()
    }

    pub(super) fn publish(&self, image: &Publication) {
        let images = std::slice::from_ref(image);
        self.store.publish(images, Durability::Deferred).unwrap();
    }
}

pub(super) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

pub(super) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn put_blob(store: &Store, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let mut writer = store.blob_writer(&digest).unwrap();
    writer.write(bytes).unwrap();
    writer.commit(Durability::Deferred).unwrap();
    digest
}

/// All files below `dir`, as paths relative to it.
fn files(dir: &Path) -> Vec<String> {
    hod_fsx::walk(dir, |_| true)
        .map(Result::unwrap)
        .filter(|entry| entry.kind == hod_fsx::WalkKind::File)
        .map(|entry| {
            let path = entry.path.strip_prefix(dir).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect()
}

fn read(path: &Path) -> String {
    String::from_utf8(hod_fsx::read(path, 1 << 20).unwrap()).unwrap()
}

#[test]
fn a_published_image_is_the_tree_of_distribution() {
    let scratch = scratch();
    let image = scratch.image("a");
    scratch.publish(&image);
    let mut expect: Vec<String> = image
        .blobs
        .iter()
        .map(|digest| format!("_layers/sha256/{}/link", digest.hex()))
        .collect();
    let hex = image.top.hex();
    expect.extend([
        format!("_manifests/revisions/sha256/{hex}/link"),
        "_manifests/tags/1/current/link".to_owned(),
        format!("_manifests/tags/1/index/sha256/{hex}/link"),
    ]);
    expect.sort();
    let dir = scratch.tree("repositories/library/app");
    assert_eq!(files(&dir), expect);
    assert_eq!(
        read(&dir.join("_manifests/tags/1/current/link")),
        image.top.as_str()
    );
    assert!(files(&scratch.store.temp_dir().unwrap()).is_empty());
    let images = scratch.store.images().unwrap().images;
    assert_eq!(images[0].to_string(), "library/app:1");
    assert_eq!(images.len(), 1);
}

#[test]
fn publishing_again_leaves_every_inode_and_a_moved_tag_gets_a_new_one() {
    let scratch = scratch();
    let mut image = scratch.image("a");
    scratch.publish(&image);
    let dir = scratch.tree("repositories/library/app");
    let inodes = || -> Vec<_> {
        let identity = |path: &String| hod_fsx::stat(&dir.join(path)).unwrap().identity;
        files(&dir).iter().map(identity).collect()
    };
    let before = inodes();
    scratch.publish(&image);
    assert_eq!(inodes(), before);

    let current = dir.join("_manifests/tags/1/current/link");
    let old = hod_fsx::stat(&current).unwrap().identity;
    let first = std::mem::replace(&mut image, scratch.image("b"));
    scratch.publish(&image);
    assert_ne!(hod_fsx::stat(&current).unwrap().identity, old);
    let store = &scratch.store;
    let history = store.tag_history(&image.repository, &tag("1")).unwrap();
    assert_eq!(history.len(), 2);
    // A former digest of a tag is not listed as an image.
    assert_eq!(store.images().unwrap().images.len(), 1);
    assert!(store.has_revision(&image.repository, &first.top).unwrap());
}

#[test]
fn a_new_tag_of_a_repository_that_stands_and_one_below_another() {
    let scratch = scratch();
    let mut image = scratch.image("a");
    image.repository = name("library/app/sub");
    scratch.publish(&image);
    image.repository = name("library/app");
    scratch.publish(&image);
    image.tag = Some(tag("2"));
    scratch.publish(&image);
    image.repository = name("bare");
    image.tag = None;
    scratch.publish(&image);
    let shown: Vec<String> = scratch
        .store
        .images()
        .unwrap()
        .images
        .iter()
        .map(ToString::to_string)
        .collect();
    let by_digest = format!("bare@{}", image.top);
    assert_eq!(
        shown,
        [
            by_digest.as_str(),
            "library/app:1",
            "library/app:2",
            "library/app/sub:1"
        ]
    );
}

#[test]
fn nothing_is_published_before_its_blobs_are_there() {
    let scratch = scratch();
    let mut image = scratch.image("a");
    image.blobs.push(Digest::of(b"elsewhere"));
    let error = scratch
        .store
        .publish(&[image], Durability::Synced)
        .unwrap_err();
    assert!(matches!(error, StoreError::MissingBlob { .. }), "{error}");
    assert!(scratch.store.repositories().unwrap().is_empty());
}

#[test]
fn only_the_right_bytes_are_committed() {
    #[track_caller]
    fn check(scratch: &Scratch, bytes: &[u8], expected: impl Into<Verifier>, expect: &str) {
        let mut writer = scratch.store.blob_writer(expected).unwrap();
        let written = writer.write(bytes);
        let error = written.and_then(|()| writer.commit(Durability::Synced));
        let error = error.unwrap_err();
        assert!(matches!(error, StoreError::Content(_)), "{error:?}");
        assert!(error.to_string().contains(expect), "{error}");
        let digest = Digest::of(b"right");
        assert_eq!(scratch.store.blob_len(&digest).unwrap(), None);
        assert!(files(&scratch.store.temp_dir().unwrap()).is_empty());
    }
    let scratch = scratch();
    let blob = &Descriptor::new("x/y".into(), Digest::of(b"right"), 5);
    check(&scratch, b"wrong", &blob.digest, "arrived as `sha256:");
    check(&scratch, b"wrong", blob, "after 5 bytes");
    check(&scratch, b"righ", blob, "arrived with 4 of 5 bytes");
    check(&scratch, b"right!", blob, "arrived with 6 of 5 bytes");
    let mut upload = scratch.store.upload(Algorithm::Sha256).unwrap();
    upload.write(b"wrong").unwrap();
    let error = upload.commit(&blob.digest, Durability::Synced).unwrap_err();
    assert!(matches!(error, StoreError::Content(_)), "{error:?}");
    let digest = scratch.blob(b"right");
    let read = scratch.store.read_blob(&digest, 5).unwrap();
    assert_eq!(read.as_deref(), Some(&b"right"[..]));
}

#[test]
fn a_digest_of_another_algorithm_than_the_likely_one_is_computed_again() {
    let scratch = scratch();
    let mut hasher = hod_oci::DigestHasher::new(Algorithm::Sha512);
    hasher.update(b"bytes");
    let digest = hasher.finish();
    let mut upload = scratch.store.upload(Algorithm::Sha256).unwrap();
    upload.write(b"bytes").unwrap();
    upload.commit(&digest, Durability::Synced).unwrap();
    assert_eq!(scratch.store.blob_len(&digest).unwrap(), Some(5));
}

#[test]
fn imported_files_share_the_inode_and_remains_of_a_crash_are_replaced() {
    let scratch = scratch();
    let digest = scratch.blob(b"layer");
    let source = scratch.store.blob_path(&digest);
    let other = Store::create(&scratch.path().join("other")).unwrap();
    let import = |mode| other.import_file(&source, &digest, mode).unwrap();
    assert!(import(LinkMode::Hard));
    assert!(!import(LinkMode::Hard) && !import(LinkMode::Copy));
    let path = other.blob_path(&digest);
    let identity = |path| hod_fsx::stat(path).unwrap().identity;
    assert_eq!(identity(&path), identity(&source));

    hod_fsx::write_file(&path, b"la").unwrap();
    assert!(import(LinkMode::Hard));
    assert_eq!(identity(&path), identity(&source));
}

#[test]
fn trees_of_other_tools_can_be_read() {
    let scratch = scratch();
    let image = scratch.image("a");
    // As shell scripts write it: a newline, no history, no layer links, no `library/`.
    let dir = scratch.tree("repositories/redis/_manifests");
    let line = format!("{}\n", image.top);
    let revision = format!("revisions/sha256/{}/link", image.top.hex());
    for link in [&revision, "tags/7.0/current/link"] {
        hod_fsx::write_file(&dir.join(link), line.as_bytes()).unwrap();
    }
    hod_fsx::write_file(&dir.join("tags/.DS_Store"), b"").unwrap();
    hod_fsx::create_dir_all(&scratch.tree("repositories/UPPER/_manifests")).unwrap();
    hod_fsx::create_dir_all(&scratch.tree("repositories/empty")).unwrap();

    let tree = scratch.store.path().join("docker/registry/v2");
    for path in [scratch.store.path(), &tree] {
        assert!(Store::detect(path).unwrap());
        let store = Store::open(path).unwrap();
        let images = store.images().unwrap().images;
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].to_string(), "redis:7.0");
        let manifest = store.read_manifest(&images[0].digest).unwrap().unwrap();
        assert_eq!(manifest.stored_blobs().count(), 3);
        assert!(matches!(store.temp_dir(), Err(StoreError::ReadOnly { .. })));
    }
    assert!(matches!(
        Store::create(&tree),
        Err(StoreError::InsideTree { .. })
    ));
    assert!(matches!(
        Store::open(scratch.path()),
        Err(StoreError::NotAStore { .. })
    ));
}

#[test]
fn images_that_cannot_be_carried_are_listed_and_not_walked() {
    let scratch = scratch();
    let mut image = scratch.image("a");
    image.top = scratch.blob(br#"{"schemaVersion":1,"fsLayers":[]}"#);
    image.manifests = vec![image.top.clone()];
    image.tag = None;
    scratch.publish(&image);
    assert_eq!(scratch.store.images().unwrap().images[0].digest, image.top);
    let error = scratch.store.read_manifest(&image.top).unwrap_err();
    assert!(matches!(error, StoreError::BadManifest { .. }), "{error}");
}

#[test]
fn damaged_manifests_are_not_read() {
    let scratch = scratch();
    let image = scratch.image("a");
    let path = scratch.store.blob_path(&image.top);
    let whole = read(&path);
    hod_fsx::write_file(&path, whole.replace("size", "sizE").as_bytes()).unwrap();
    let error = scratch.store.read_manifest(&image.top).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    // Writing it again repairs it.
    scratch.image("a");
    assert!(scratch.store.read_manifest(&image.top).unwrap().is_some());
}

#[test]
fn a_deleted_revision_takes_its_tags_along() {
    let scratch = scratch();
    let image = scratch.image("a");
    scratch.publish(&image);
    let store = &scratch.store;
    let delete = || {
        store
            .delete_revision(&image.repository, &image.top)
            .unwrap()
    };
    assert!(delete());
    assert!(!delete());
    assert!(store.tags(&image.repository).unwrap().is_empty());
    assert!(store.images().unwrap().images.is_empty());
    assert!(!store.delete_tag(&image.repository, &tag("1")).unwrap());
    assert!(store.blob_len(&image.top).unwrap().is_some());
}

#[test]
fn temporary_files_of_the_dead_are_swept_and_those_of_the_living_kept() {
    let scratch = scratch();
    let left = scratch.store.temp_dir().unwrap().join("blob-deAd00");
    hod_fsx::write_file(&left, b"half").unwrap();
    let second = Store::create(scratch.store.path()).unwrap();
    assert!(hod_fsx::try_stat(&left).unwrap().is_some());
    let path = scratch.store.path().to_owned();
    let Scratch { store, dir } = scratch;
    drop((store, second));
    let foreign = path.join(".hod/tmp/notes");
    hod_fsx::write_file(&foreign, b"x").unwrap();
    let _third = Store::create(&path).unwrap();
    assert!(hod_fsx::try_stat(&left).unwrap().is_none());
    assert!(hod_fsx::try_stat(&foreign).unwrap().is_some());
    drop(dir);
}

#[test]
fn a_state_that_is_a_link_is_refused_before_anything_is_touched() {
    for (dir, file) in [
        ("", "tmp/blob-aaaaaa"),
        ("tmp", "blob-aaaaaa"),
        ("partial", "notes"),
        ("originals", "notes"),
        ("lock", "notes"),
    ] {
        let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
        let (victim, store) = (root.path().join("victim"), root.path().join("store"));
        hod_fsx::write_file(&victim.join(file), b"precious").unwrap();
        hod_fsx::create_dir_all(&store).unwrap();
        let link = if dir.is_empty() {
            store.join(".hod")
        } else {
            hod_fsx::create_dir_all(&store.join(".hod")).unwrap();
            store.join(".hod").join(dir)
        };
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        match Store::create(&store).unwrap_err() {
            StoreError::Indirect { path } => assert_eq!(path, link),
            StoreError::File(error) => {
                assert_eq!(dir, "lock");
                assert_eq!(error.kind(), hod_fsx::IoKind::NotOwn);
                assert_eq!(error.path(), link);
            }
            other => panic!("{dir}: {other:?}"),
        }
        assert_eq!(hod_fsx::read(&victim.join(file), 9).unwrap(), b"precious");
        assert_eq!(hod_fsx::read_dir_names(&victim).unwrap().len(), 1, "{dir}");
        assert!(hod_fsx::try_stat(&store.join("docker")).unwrap().is_none());
    }
}

#[test]
fn what_was_made_is_discarded_while_it_is_empty_and_nobody_has_it_open() {
    let root = TempDir::create_in(&std::env::temp_dir(), "hod-store-").unwrap();
    let path = root.path().join("a/store");
    let (store, mut made) = Store::create_new(&path).unwrap();
    assert!(!made.discard().unwrap(), "it is open");
    // Another run finds a store that it did not make.
    let (second, mut made_second) = Store::create_new(&path).unwrap();
    drop(store);
    assert!(!made.discard().unwrap());
    drop(second);
    assert!(made_second.discard().unwrap());
    assert!(hod_fsx::try_stat(&path).unwrap().is_some());
    let foreign = path.join("docker/notes");
    hod_fsx::write_file(&foreign, b"x").unwrap();
    assert!(made.discard().unwrap());
    assert_eq!(hod_fsx::read_dir_names(&path).unwrap(), ["docker"]);
    assert_eq!(
        hod_fsx::read_dir_names(&path.join("docker")).unwrap(),
        ["notes"]
    );
    hod_fsx::remove_file(&foreign).unwrap();

    let path = root.path().join("b/store");
    let (store, mut made) = Store::create_new(&path).unwrap();
    drop(store);
    assert!(made.discard().unwrap());
    assert_eq!(hod_fsx::read_dir_names(root.path()).unwrap(), ["a"]);
    assert!(made.discard().unwrap(), "a second time does nothing");
}
