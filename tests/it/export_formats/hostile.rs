//! Archives that mean harm, or were harmed.

use std::collections::BTreeSet;

use hod_layout::Collection;
use hod_oci::Digest;
use tar::{EntryType, Header};

use super::sources::tar as tar_of;
use super::{plain_images, put};
use hod_testkit::env::TestEnv;
use hod_testkit::tree::{assert_same, tree};

/// One more member of an archive.
fn member(path: &str, kind: EntryType, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header::new_gnu();
    // Not through the checks that a writer has.
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(0);
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Passes when every verb refuses the archive, says `expect`, and changes nothing.
#[track_caller]
fn check_refused(env: &TestEnv, bytes: &[u8], (what, expect): (&str, &str)) {
    for (file, bytes) in [
        ("evil.tar", bytes.to_vec()),
        ("evil.tar.zst", zstd::encode_all(bytes, 1).unwrap()),
    ] {
        env.write(file, bytes);
        let before = tree(&env.work());
        for line in [
            "verify EVIL",
            "unpack EVIL --output new",
            "export EVIL --format oci --output new",
            "push EVIL 127.0.0.1:1",
        ] {
            let output = env.run_line(&line.replace("EVIL", file));
            let text = format!("{}{}", output.stdout, output.stderr);
            assert!(matches!(output.code, Some(1..=5)), "{what}: {output:?}");
            assert!(text.contains(expect), "{what}: {text}");
        }
        assert_same(&tree(&env.work()), &before, what);
        hod_fsx::remove_file(&env.path(file)).unwrap();
    }
}

/// A good archive of an OCI layout without its end.
fn good(env: &TestEnv) -> Vec<u8> {
    put(env, &plain_images());
    let line = "export store --format oci-archive --output good.tar";
    let _ = env.run_line(line).success();
    let mut bytes = hod_fsx::read(&env.path("good.tar"), u64::MAX - 1).unwrap();
    bytes.truncate(bytes.len() - 1024);
    bytes
}

#[test]
fn members_that_no_archive_of_images_has_are_refused() {
    let env = TestEnv::new();
    let good = good(&env);
    let check = |more: Vec<u8>, case: (&str, &str)| {
        let bytes = [&good[..], &more, &[0; 1024]].concat();
        check_refused(&env, &bytes, case);
    };
    let file = EntryType::Regular;
    let plain = |path: &str| member(path, file, |_| {});
    check(plain("../../etc/passwd"), ("traversal", "component `..`"));
    check(plain("/etc/passwd"), ("absolute", "it is absolute"));
    check(plain("a\\b"), ("backslash", "has a backslash"));
    check(
        plain("index.json"),
        ("twice", "contains `index.json` twice"),
    );
    let digest = plain_images()[0]
        .1
        .top()
        .blobs()
        .next()
        .unwrap()
        .digest
        .clone();
    let blob = format!("blobs/sha256/{}", digest.hex());
    check(plain(&blob), ("blob twice", "twice"));
    let device = member("dev", EntryType::Char, |_| {});
    check(
        device,
        ("device", "contains `dev`, which is a character device"),
    );
    let pipe = member("pipe", EntryType::Fifo, |_| {});
    check(pipe, ("pipe", "which is a named pipe"));
    let sparse = member("sparse", EntryType::GNUSparse, |_| {});
    check(sparse, ("sparse", "which is a sparse file"));
    let long = member("x", EntryType::GNULongName, |header| {
        header.set_size(1 << 40);
    });
    check(long, ("long name", "a long name"));
    let huge = member("huge", file, |header| header.set_size(u64::MAX / 2));
    check(huge, ("length", "is truncated"));
    let overflow = member("huge", file, |header| header.set_size(u64::MAX - 511));
    check(overflow, ("overflow", "no valid header"));
    let bad = [b'x'; 512].to_vec();
    check(bad, ("garbage", "no valid header"));
}

#[test]
fn archives_that_are_cut_off_are_found() {
    let env = TestEnv::new();
    let good = good(&env);
    for cut in [good.len(), good.len() - 1, good.len() / 2, 513 * 3, 600] {
        check_refused(&env, &good[..cut], ("cut", "is truncated"));
    }
}

#[test]
fn lists_that_lie_are_refused() {
    let env = TestEnv::new();
    let digest = Digest::of(b"x");
    let layout: (&str, &[u8]) = ("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}");
    let check = |index: &[u8], case: (&str, &str)| {
        check_refused(&env, &tar_with_end(&[layout, ("index.json", index)]), case);
    };
    check(b"[", ("json", "`index.json` in `evil.tar"));
    check(
        b"{\"manifests\":[{\"digest\":\"sha256:1\"}]}",
        ("digest", "`index.json` in"),
    );
    check(b"{\"manifests\":[]}", ("empty", "contains no images"));
    let absent = format!(
        r#"{{"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1}}]}}"#
    );
    check(absent.as_bytes(), ("absent", "image not found"));
    let huge = vec![b' '; 17 << 20];
    check(&huge, ("huge", "at most 16.0 MiB is read"));
    let check = |list: &str, more: &[(&str, &[u8])], case: (&str, &str)| {
        let mut files = more.to_vec();
        files.push(("manifest.json", list.as_bytes()));
        check_refused(&env, &tar_with_end(&files), case);
    };
    let one = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["l.tar"]}]"#;
    let none: (&str, &[u8]) = ("c.json", b"{\"rootfs\":{\"diff_ids\":[]}}");
    check(
        one,
        &[],
        ("no config", "refers to `c.json`, which was not found"),
    );
    check(
        one,
        &[none],
        ("layers", "lists 1 layers of an image whose `c.json` has 0"),
    );
    let away = one.replace("c.json", "../c.json");
    check(
        &away,
        &[none],
        ("away", "refers to `../c.json`, which was not found"),
    );
    let config = format!("{{\"rootfs\":{{\"diff_ids\":[\"{digest}\"]}}}}");
    let config: (&str, &[u8]) = ("c.json", config.as_bytes());
    check(
        one,
        &[config],
        ("no layer", "refers to `l.tar`, which was not found"),
    );
    let wrong: (&str, &[u8]) = ("l.tar", b"y");
    check_wrong(
        &env,
        &tar_with_end(&[config, wrong, ("manifest.json", one.as_bytes())]),
    );
}

/// A layer that is not what its image says is found before it is visible anywhere.
fn check_wrong(env: &TestEnv, bytes: &[u8]) {
    env.write("wrong.tar", bytes);
    let output = env.run_line("verify wrong.tar").exits(4);
    assert!(output.stdout.contains("(`l.tar`)"), "{output:?}");
    let _ = env.run_line("unpack wrong.tar --output new").exits(4);
    assert!(!env.path("new").exists());
}

#[test]
fn links_in_circles_lead_nowhere() {
    let env = TestEnv::new();
    let mut bytes = tar_of(&[(
        "manifest.json",
        br#"[{"Config":"a","RepoTags":["x:1"],"Layers":[]}]"#,
    )]);
    bytes.truncate(bytes.len() - 1024);
    for (path, target) in [("a", "b"), ("b", "a")] {
        bytes.extend(member(path, EntryType::Symlink, |header| {
            header.set_link_name(target).unwrap();
        }));
    }
    bytes.extend([0; 1024]);
    check_refused(
        &env,
        &bytes,
        ("circle", "refers to `a`, which was not found"),
    );
}

fn tar_with_end(files: &[(&str, &[u8])]) -> Vec<u8> {
    tar_of(files)
}

#[test]
fn an_image_that_is_listed_again_and_again_is_one() {
    #[track_caller]
    fn check(env: &TestEnv, files: &[(&str, &[u8])], expect: (usize, usize)) {
        for (file, bytes) in [
            ("many.tar", tar_of(files)),
            (
                "many.tar.zst",
                zstd::encode_all(&tar_of(files)[..], 1).unwrap(),
            ),
        ] {
            let path = env.write(file, bytes);
            let found = Collection::open_file(&path).unwrap().unwrap();
            let images = found.images().iter();
            let digests: BTreeSet<&Digest> = images.map(|image| &image.digest).collect();
            let count = (found.images().len(), found.unreadable().len());
            assert_eq!(count, expect, "{file}");
            assert!(digests.len() <= 1, "{file}: {digests:?}");
        }
    }
    let env = TestEnv::in_memory();
    let config: (&str, &[u8]) = ("c.json", br#"{"rootfs":{"diff_ids":[]}}"#);
    let tags = [
        r#""a:1","b:1","-:-","#.repeat(100_000),
        r#""a:1""#.to_owned(),
    ]
    .concat();
    let one = format!(r#"{{"Config":"c.json","RepoTags":[{tags}],"Layers":[]}}"#);
    let lists = format!("[{one}]");
    check(&env, &[config, ("manifest.json", lists.as_bytes())], (2, 1));
    let one = r#"{"Config":"c.json","RepoTags":["a:1"],"Layers":[]},"#;
    let nameless = r#"{"Config":"c.json","RepoTags":null,"Layers":[]},"#;
    let absent = r#"{"Config":"d.json","RepoTags":["d:1"],"Layers":[]}"#;
    let lists = format!(
        "[{}{}{absent},{absent}]",
        one.repeat(10_000),
        nameless.repeat(10_000)
    );
    check(&env, &[config, ("manifest.json", lists.as_bytes())], (2, 1));
    let digest = Digest::of(b"x");
    let entry = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"a:1"}}}},"#
    );
    let index = format!(
        r#"{{"manifests":[{}]}}"#,
        entry.repeat(10_000).trim_end_matches(',')
    );
    let layout: (&str, &[u8]) = ("oci-layout", b"{}");
    check(&env, &[layout, ("index.json", index.as_bytes())], (1, 0));
}
