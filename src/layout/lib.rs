//! The formats of the neighbours: skopeo's `dir:`, OCI layouts, `docker save` archives.
//!
//! [`Collection`] reads all but the first, which is this:
//!
//! ```text
//! DIR/ns/app:1.0/               named by `skopeo sync --dest dir`; `app@sha256:<hex>` for a digest
//!     version                   `Directory Transport Version: 1.1`, with a line break
//!     manifest.json             the top manifest or index, byte for byte
//!     <hex>.manifest.json       an index's child; of a sparse index some are absent
//!     <hex>                     a config or a layer; `<algorithm>-<hex>` if not sha256
//!     signature-1               left where they are, and not read
//! ```
//!
//! Names come from the file system and bytes from anybody: paths are made from [`hod_oci`]'s
//! types only, and manifests are checked against the digest they are asked for by.

mod blob;
mod collection;
mod dir;
mod docker;
mod error;
mod file_name;
mod find;
mod oci;
mod writer;

pub use blob::BlobWriter;
pub use collection::{
    Collection, CollectionEntry, CollectionError, CollectionKind, NamedImage, UnreadableImage,
    has_archive_name,
};
pub use dir::DirLayout;
pub use docker::{DockerImage, DockerLayer, DockerWriter, NoDockerImage};
pub use error::{BadName, BadNameReason, LayoutError};
pub use find::{FoundLayout, detect, find_layouts, kind_of_one};
pub use oci::{OciArchivePlan, OciArchiveWriter, OciDirWriter, OciEntry};
pub use writer::{Committed, DirWriter};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use hod_fsx::{Durability, LinkMode};
    use hod_oci::{ContentMismatch, Digest, Manifest};

    fn image(config: &[u8], layer: &[u8]) -> Manifest {
        let (config_digest, layer_digest) = (Digest::of(config), Digest::of(layer));
        let json = format!(
            r#"{{"schemaVersion":2, "x":[1.50],"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer_digest}","size":{}}}]}}"#,
            config.len(),
            layer.len()
        );
        Manifest::parse(json.into_bytes().into(), None).unwrap()
    }

    fn index(children: &[&Manifest]) -> Manifest {
        let entry = |child: &&Manifest| {
            let (digest, len) = (child.digest(), child.bytes().len());
            let media_type = child.media_type();
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{len}}}"#)
        };
        let entries: Vec<String> = children.iter().map(entry).collect();
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        Manifest::parse(json.into_bytes().into(), None).unwrap()
    }

    fn put_blob(writer: &DirWriter, bytes: &[u8]) {
        let mut blob = writer.blob_writer(&Digest::of(bytes)).unwrap();
        blob.write(bytes).unwrap();
        blob.commit().unwrap();
    }

    fn write(destination: &Path, config: &[u8], layer: &[u8]) -> Committed {
        let mut writer = DirWriter::create(destination).unwrap();
        put_blob(&writer, config);
        put_blob(&writer, layer);
        writer
            .add_manifest_top(&image(config, layer), None)
            .unwrap();
        writer.commit(Durability::Deferred).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("ns/app:1");
        let (one, two) = (image(b"{}", b"1"), image(b"{}", b""));
        let top = index(&[&one, &two, &image(b"{}", b"absent")]);
        let mut writer = DirWriter::create(&path).unwrap();
        for bytes in [&b"{}"[..], b"1", b""] {
            put_blob(&writer, bytes);
        }
        writer.add_child(&one, None).unwrap();
        writer.add_child(&two, None).unwrap();
        writer.add_manifest_top(&top, None).unwrap();
        assert_eq!(
            writer.commit(Durability::Synced).unwrap(),
            Committed::Created
        );

        let layout = DirLayout::open(&path).unwrap();
        assert_eq!(layout.top_manifest().unwrap().bytes(), top.bytes());
        for manifest in [&top, &one, &two] {
            let read = layout.read_manifest(manifest.digest()).unwrap().unwrap();
            assert_eq!(read.bytes(), manifest.bytes());
        }
        let absent = layout.read_manifest(&top.children()[2].digest).unwrap();
        assert!(absent.is_none());
        assert_eq!(layout.open_blob(&Digest::of(b"1")).unwrap().unwrap().len, 1);
        assert_eq!(layout.open_blob(&Digest::of(b"")).unwrap().unwrap().len, 0);
        assert!(layout.open_blob(&Digest::of(b"2")).unwrap().is_none());
        let version = hod_fsx::read(&path.join("version"), 99).unwrap();
        assert_eq!(version, b"Directory Transport Version: 1.1\n");
        assert_eq!(hod_fsx::read_dir_names(&path).unwrap().len(), 7);
    }

    #[test]
    fn an_older_layout_is_replaced_and_an_equal_one_left() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app:1");
        let source = root.path().join("source");
        hod_fsx::write_file(&source, b"layer").unwrap();
        let link = |mode| {
            let mut writer = DirWriter::create(&path).unwrap();
            put_blob(&writer, b"");
            writer
                .link_blob(&source, &Digest::of(b"layer"), mode)
                .unwrap();
            writer
                .add_manifest_top(&image(b"", b"layer"), None)
                .unwrap();
            writer.commit(Durability::Deferred).unwrap()
        };
        assert_eq!(write(&path, b"{}", b"old"), Committed::Created);
        assert_eq!(link(LinkMode::Hard), Committed::Replaced);
        assert_eq!(hod_fsx::stat(&source).unwrap().n_links, 2);
        let relink = || {
            let mut writer = DirWriter::create(&path).unwrap();
            for (name, bytes) in [
                (Digest::of(b""), &b""[..]),
                (Digest::of(b"layer"), b"layer"),
            ] {
                let old = path.join(name.hex());
                assert_eq!(hod_fsx::read(&old, 9).unwrap(), bytes);
                writer.link_blob(&old, &name, LinkMode::Hard).unwrap();
            }
            writer
                .add_manifest_top(&image(b"", b"layer"), None)
                .unwrap();
            writer.commit(Durability::Deferred).unwrap()
        };
        let before = hod_fsx::stat(&path.join("manifest.json")).unwrap();
        assert_eq!(relink(), Committed::Unchanged);
        assert_eq!(hod_fsx::stat(&path.join("manifest.json")).unwrap(), before);
        assert_eq!(link(LinkMode::Copy), Committed::Replaced);
        assert_eq!(hod_fsx::stat(&source).unwrap().n_links, 1);
        assert_eq!(
            hod_fsx::read_dir_names(root.path()).unwrap(),
            ["app:1", "source"]
        );
    }

    #[test]
    fn what_is_not_ours_is_never_replaced() {
        #[track_caller]
        fn check(file: &str, expect: &str) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("app:1");
            write(&path, b"{}", b"1");
            hod_fsx::write_file(&path.join(file), b"precious").unwrap();
            let error = DirWriter::create(&path).unwrap_err().to_string();
            assert!(error.ends_with(expect), "{error}");
            assert_eq!(hod_fsx::read(&path.join(file), 99).unwrap(), b"precious");
            assert_eq!(hod_fsx::read_dir_names(root.path()).unwrap(), ["app:1"]);
        }
        check(
            "notes.txt",
            "already exists and is not a `dir:` layout: it has `notes.txt`",
        );
        check("version", "already exists and is not a `dir:` layout");
        let hex = "a".repeat(64);
        let expect = format!("already exists and is not a `dir:` layout: it has `{hex}`");
        check(&format!("{hex}/file"), &expect);
    }

    #[test]
    fn an_incomplete_layout_does_not_appear() {
        #[track_caller]
        fn check(fill: impl Fn(&mut DirWriter), expect: &str) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("app:1");
            let mut writer = DirWriter::create(&path).unwrap();
            fill(&mut writer);
            let error = writer.commit(Durability::Deferred).unwrap_err().to_string();
            assert!(error.ends_with(expect), "{error}");
            assert!(hod_fsx::read_dir_names(root.path()).unwrap().is_empty());
        }
        let one = image(b"{}", b"1");
        let config = Digest::of(b"{}");
        let (missing, layer) = (Digest::of(b"1"), Digest::of(b"1"));
        check(|_| {}, "has no top manifest yet");
        check(
            |writer| {
                put_blob(writer, b"{}");
                writer.add_manifest_top(&one, None).unwrap();
            },
            &format!("is incomplete: `{missing}` is missing"),
        );
        check(
            |writer| writer.add_manifest_top(&index(&[&one]), None).unwrap(),
            &format!("is incomplete: `{}` is missing", one.digest()),
        );
        check(
            |writer| {
                let source = writer.destination().with_file_name("short");
                hod_fsx::write_file(&source, b"").unwrap();
                put_blob(writer, b"{}");
                writer.link_blob(&source, &layer, LinkMode::Copy).unwrap();
                writer.add_manifest_top(&one, None).unwrap();
                hod_fsx::remove_file(&source).unwrap();
            },
            "expected 1 bytes, found 0",
        );
        check(
            |writer| {
                let mut blob = writer.blob_writer(&config).unwrap();
                blob.write(b"[]").unwrap();
                assert!(matches!(
                    blob.commit(),
                    Err(LayoutError::Content(ContentMismatch::Digest { len: 2, .. }))
                ));
                put_blob(writer, b"1");
                writer.add_manifest_top(&one, None).unwrap();
            },
            &format!("is incomplete: `{config}` is missing"),
        );
    }

    #[test]
    fn two_writers_of_one_layout_do_not_mix() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app:1");
        let _first = DirWriter::create(&path).unwrap();
        assert!(matches!(
            DirWriter::create(&path),
            Err(LayoutError::Busy { .. })
        ));
    }

    #[test]
    fn damage_and_unknown_versions_are_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app:1");
        let child = image(b"{}", b"1");
        write(&path, b"{}", b"1");
        let open = || DirLayout::open(&path);
        let file = path.join(format!("{}.manifest.json", child.digest().hex()));
        hod_fsx::write_file(&file, b"{}").unwrap();
        let error = open().unwrap().read_manifest(child.digest()).unwrap_err();
        assert!(matches!(error, LayoutError::Corrupt { .. }), "{error}");
        let blob = path.join(Digest::of(b"dir").hex());
        hod_fsx::create_dir_all(&blob).unwrap();
        let error = open().unwrap().open_blob(&Digest::of(b"dir")).unwrap_err();
        assert!(matches!(error, LayoutError::NotAFile { .. }), "{error}");
        hod_fsx::remove_file(&path.join("version")).unwrap();
        open().unwrap();
        hod_fsx::write_file(&path.join("version"), b"Directory Transport Version: 9.9\n").unwrap();
        let error = open().unwrap_err().to_string();
        assert!(
            error.ends_with(
                "says `Directory Transport Version: 9.9`; layout versions up to 1.2 are supported"
            ),
            "{error}"
        );
        hod_fsx::write_file(&path.join("version"), b"Directory Transport Version: 1.1").unwrap();
        hod_fsx::write_file(&path.join("manifest.json"), b"[{}]").unwrap();
        assert!(matches!(
            open().unwrap().top_manifest(),
            Err(LayoutError::BadManifest { .. })
        ));
        assert!(matches!(
            DirLayout::open(root.path()),
            Err(LayoutError::NotALayout { .. })
        ));
    }

    #[test]
    fn other_algorithms_stand_in_the_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app:1");
        let hex = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                   47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        let digest: Digest = format!("sha512:{hex}").parse().unwrap();
        let json = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{digest}","size":0}},"layers":[]}}"#
        );
        let mut writer = DirWriter::create(&path).unwrap();
        writer.blob_writer(&digest).unwrap().commit().unwrap();
        let top = Manifest::parse(json.into_bytes().into(), None).unwrap();
        writer.add_manifest_top(&top, None).unwrap();
        writer.commit(Durability::Deferred).unwrap();
        assert_eq!(
            hod_fsx::read(&path.join("version"), 99).unwrap(),
            b"Directory Transport Version: 1.2\n"
        );
        let layout = DirLayout::open(&path).unwrap();
        assert!(layout.open_blob(&digest).unwrap().is_some());
        hod_fsx::rename(&path.join(format!("sha512-{hex}")), &path.join(hex)).unwrap();
        assert!(layout.open_blob(&digest).unwrap().is_some());
    }
}
