//! Archives as other tools write them, of which none is needed to make one.

use hod_oci::Digest;
use serde_json::json;

use super::{assert_is_the_store, plain_images, put, put_zoo, system};
use hod_testkit::env::TestEnv;
use hod_testkit::tree::{assert_same, registry_tree};

/// A tar of these files, in this order.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_tar_of_a_registry_is_read_in_place() {
    let env = TestEnv::new();
    put_zoo(&env);
    system(&env, "tar", "cf tree.tar -C store docker");
    system(&env, "tar", "cf below.tar --exclude .hod store");
    system(&env, "tar", "cf dots.tar -C store ./docker");
    system(&env, "tar", "czf tree.tgz -C store docker");
    for source in ["tree.tar", "below.tar", "dots.tar", "tree.tgz"] {
        assert_is_the_store(&env, source);
        let _ = env.run_line(&format!("verify {source}")).success();
    }
}

#[test]
fn a_registry_in_several_archives_is_one() {
    let env = TestEnv::new();
    put_zoo(&env);
    let repositories = "docker/registry/v2/repositories";
    system(
        &env,
        "tar",
        &format!("cf mirror_000001.tar -C store {repositories}"),
    );
    let blobs = "docker/registry/v2/blobs/sha256";
    let mut dirs = hod_fsx::read_dir_names(&env.path(format!("store/{blobs}"))).unwrap();
    let second = dirs.split_off(dirs.len() / 2);
    for (number, dirs) in [(2, dirs), (3, second)] {
        let dirs: Vec<String> = dirs
            .iter()
            .map(|dir| format!("{blobs}/{}", dir.to_str().unwrap()))
            .collect();
        let line = format!("cf mirror_00000{number}.tar -C store {}", dirs.join(" "));
        system(&env, "tar", &line);
    }
    assert_is_the_store(&env, "mirror_000002.tar");
    env.write("carried/note", "");
    for number in 1..=3 {
        let name = format!("mirror_00000{number}.tar");
        hod_fsx::rename(&env.path(&name), &env.path(format!("carried/{name}"))).unwrap();
    }
    assert_is_the_store(&env, "carried");
    hod_fsx::remove_file(&env.path("carried/mirror_000002.tar")).unwrap();
    let output = env.run_line("ls carried");
    assert!(
        output.stderr.contains("archive number 2 of those beside"),
        "{output:?}"
    );
}

/// The files of a `docker save` of old: layers in directories, one of them a link.
fn saved(layers: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let name = format!("{}.json", Digest::of(&config).hex());
    let layer_name = |at: usize| format!("{at:064}/layer.tar");
    let names: Vec<String> = (0..layers.len()).map(layer_name).collect();
    let list = json!([{"Config": name, "RepoTags": ["busybox:1", "ns/app:2"], "Layers": names}]);
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        files.push((format!("{at:064}/VERSION"), b"1.0".to_vec()));
        files.push((format!("{at:064}/json"), b"{}".to_vec()));
        files.push((layer_name(at), layer.to_vec()));
    }
    files.push((name, config));
    files.push((
        "manifest.json".to_owned(),
        serde_json::to_vec(&list).unwrap(),
    ));
    files.push(("repositories".to_owned(), b"{}".to_vec()));
    files
}

fn refs(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(path, bytes)| (path.as_str(), &bytes[..]))
        .collect()
}

#[test]
fn docker_save_of_old_is_read_with_its_links() {
    let env = TestEnv::new();
    let layers: [&[u8]; 2] = [b"first layer", b"second layer"];
    let files = saved(&layers);
    env.write("saved.tar", tar(&refs(&files)));
    // The same with the layers elsewhere, and links to them.
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, (bytes, target): (&[u8], &str)| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if kind.is_file() {
            builder.append_data(&mut header, path, bytes).unwrap();
        } else {
            builder.append_link(&mut header, path, target).unwrap();
        }
    };
    for (path, bytes) in &files {
        match path.strip_suffix("/layer.tar") {
            Some(dir) if dir.ends_with('0') => {
                add(path, tar::EntryType::Symlink, (b"", "../elsewhere/a.tar"));
                add("elsewhere/a.tar", tar::EntryType::Regular, (bytes, ""));
            }
            Some(_) => {
                add("b.tar", tar::EntryType::Regular, (bytes, ""));
                add(path, tar::EntryType::Link, (b"", "b.tar"));
            }
            None => add(path, tar::EntryType::Regular, (bytes, "")),
        }
    }
    env.write("linked.tar", builder.into_inner().unwrap());
    system(&env, "gzip", "-k linked.tar");
    for source in ["saved.tar", "linked.tar", "linked.tar.gz"] {
        let line = format!("unpack {source} --output of-{source}");
        let _ = env.run_line(&line).success();
        let same = registry_tree(&env.path("of-saved.tar"));
        assert_same(
            &registry_tree(&env.path(format!("of-{source}"))),
            &same,
            source,
        );
        let _ = env.run_line(&format!("verify {source}")).success();
    }
    let listed = env.run_line("ls linked.tar").success().stdout;
    assert!(
        listed.contains("busybox:1") && listed.contains("ns/app:2"),
        "{listed}"
    );
    let store = env.store("of-linked.tar");
    let layer = store.blob_path(&Digest::of(b"first layer"));
    assert_eq!(hod_fsx::read(&layer, 99).unwrap(), b"first layer");
}

#[test]
fn compressed_layers_stay_compressed() {
    let env = TestEnv::new();
    let plain = b"a layer that some tool compressed".repeat(99);
    let packed = zstd::encode_all(&plain[..], 1).unwrap();
    let mut files = saved(&[&plain]);
    files
        .iter_mut()
        .filter(|(path, _)| path.ends_with("layer.tar"))
        .for_each(|(_, bytes)| {
            bytes.clone_from(&packed);
        });
    env.write("saved.tar", tar(&refs(&files)));
    system(&env, "gzip", "-k saved.tar");
    for source in ["saved.tar", "saved.tar.gz"] {
        let line = format!("unpack {source} --output of-{source}");
        let _ = env.run_line(&line).success();
        let store = env.store(format!("of-{source}"));
        assert!(store.blob_path(&Digest::of(&packed)).exists(), "{source}");
    }
    let line = "export of-saved.tar --format docker-archive --output plain.tar";
    let _ = env.run_line(line).success();
    let _ = env.run_line("unpack plain.tar --output plain").success();
    assert!(env.store("plain").blob_path(&Digest::of(&plain)).exists());
}

#[test]
fn a_large_compressed_archive_takes_little_memory() {
    let env = TestEnv::new();
    // Layers of noise that are larger together than the limit below.
    let big = hod_testkit::images::noise(7, 60 << 20);
    let files = saved(&[&big, &big[1..]]);
    let bytes = tar(&refs(&files));
    env.write("big.tar.zst", zstd::encode_all(&bytes[..], 1).unwrap());
    let exe = env!("CARGO_BIN_EXE_hod");
    // The limit is of all address space, of which threads and code take most.
    let line = format!("ulimit -v 700000; exec {exe} --jobs 2 unpack big.tar.zst --output out");
    let _ = super::finish(env.command("sh").args(["-c", &line])).success();
    assert!(env.store("out").blob_path(&Digest::of(&big)).exists());
}

#[test]
fn plain_images_are_pushed_from_every_kind_of_archive() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    let _ = env
        .run_line("export store --format oci-archive --output oci.tar")
        .success();
    system(&env, "zstd", "-q oci.tar");
    system(&env, "tar", "cf tree.tar -C store docker");
    for source in ["oci.tar", "oci.tar.zst", "tree.tar"] {
        let registry = hod_testkit::registry::TestRegistry::start();
        let line = format!("push {source} {}", registry.host());
        let _ = env.run_line(&line).success();
        for (name, image) in plain_images() {
            let (repository, tag) = name.split_once(':').unwrap();
            let answer = registry.send("GET", &format!("/v2/{repository}/manifests/{tag}"));
            assert_eq!(
                &answer.body[..],
                &image.top().bytes()[..],
                "{source} {name}"
            );
        }
    }
}

#[test]
fn a_label_in_front_of_an_archive_is_skipped() {
    let env = TestEnv::in_memory();
    put(&env, &plain_images());
    let _ = env
        .run_line("export store --format oci --output layout")
        .success();
    for (name, label) in [("a.tar", "july"), ("b.tar", "/july"), ("c.tar", "../july")] {
        let line = format!("cf {name} --format gnu --label={label} -C layout .");
        system(&env, "tar", &line);
        assert_is_the_store(&env, name);
        let _ = env.run_line(&format!("verify {name}")).success();
    }
}
