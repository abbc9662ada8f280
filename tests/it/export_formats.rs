//! Formats of the neighbours: what hod exports comes back as it was, and what their tools write is
//! read, whatever it is packed in.

mod damaged;
mod hostile;
mod packed_layers;
mod sources;

pub(crate) use sources::tar;

use std::path::Path;

use hod_oci::{Digest, MediaType};

use hod_testkit::docker_registry;
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, Format, Image, ImageBuilder, index, layer, menagerie};
use hod_testkit::programs;
use hod_testkit::skopeo;
use hod_testkit::tree::{assert_same, registry_tree, tree};

/// Images that every format holds: one platform, every compression, a layer in common.
fn plain_images() -> Vec<(&'static str, Image)> {
    let shared = layer(1, 20_000, Compression::Gzip);
    let of = |seed, compression| {
        let own = layer(seed, 5_000, compression);
        ImageBuilder::docker(seed)
            .layer(&shared)
            .layer(&own)
            .build()
    };
    let oci = ImageBuilder::oci(5).layer(&shared).build();
    vec![
        ("library/one:1", of(2, Compression::Gzip)),
        ("library/one:latest", of(2, Compression::Gzip)),
        ("ns/two:1.0", of(3, Compression::Uncompressed)),
        ("quay.io/ns/three:1", oci.clone()),
        ("ns/three:1", oci),
    ]
}

/// Puts images into `store`.
fn put(env: &TestEnv, images: &[(&str, Image)]) {
    let store = env.store("store");
    for (name, image) in images {
        image.put_in(&store, name);
    }
}

/// Everything that there is, and two names of other registries.
fn zoo() -> Vec<(String, Image)> {
    let mut zoo: Vec<(String, Image)> = menagerie()
        .into_iter()
        .map(|(kind, image)| (format!("zoo/{kind}:1.0"), image))
        .collect();
    let plain = plain_images().into_iter();
    zoo.extend(plain.map(|(name, image)| (name.to_owned(), image)));
    zoo
}

fn put_zoo(env: &TestEnv) {
    let store = env.store("store");
    for (name, image) in zoo() {
        image.put_in(&store, &name);
    }
}

/// Runs a program of the system, with `line` split at spaces.
fn system(env: &TestEnv, program: &str, line: &str) -> Output {
    finish(env.command(program).args(line.split_whitespace())).success()
}

/// Passes when `source` unpacks to a tree that is the same as `store`.
#[track_caller]
fn assert_is_the_store(env: &TestEnv, source: &str) {
    let output = format!("from-{}", source.replace('/', "-"));
    let line = format!("unpack {source} --output {output}");
    let _ = env.run_line(&line).success();
    let (new, old) = (env.path(&output), env.path("store"));
    assert_same(&registry_tree(&new), &registry_tree(&old), source);
}

#[test]
fn oci_layouts_come_back_as_they_were() {
    let env = TestEnv::new();
    put_zoo(&env);
    for (format, output) in [("oci", "layout"), ("oci-archive", "oci.tar")] {
        let line = format!("export store --format {format} --output {output}");
        let _ = env.run_line(&line).success();
        assert_is_the_store(&env, output);
        let _ = env.run_line(&format!("verify {output}")).success();
    }
    system(&env, "gzip", "-k oci.tar");
    system(&env, "zstd", "-q oci.tar");
    assert_is_the_store(&env, "oci.tar.gz");
    assert_is_the_store(&env, "oci.tar.zst");
    // A tar of the directory, as people make it.
    system(&env, "tar", "czf dir.tgz layout");
    system(&env, "tar", "cf dot.tar -C layout .");
    assert_is_the_store(&env, "dir.tgz");
    assert_is_the_store(&env, "dot.tar");
}

#[test]
fn archives_are_the_same_whatever_they_are_made_from_and_with() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    let _ = env.run_line("pack store --output site.tar").success();
    let _ = env.run_line("pack store --output site.tar.zst").success();
    for format in ["oci-archive", "docker-archive"] {
        let first = format!("{format}.tar");
        let line = format!("export store --format {format} --output {first}");
        let _ = env.run_line(&line).success();
        let bytes = hod_fsx::read(&env.path(&first), u64::MAX - 1).unwrap();
        for (source, jobs) in [("site.tar", 1), ("site.tar.zst", 3), ("store", 7)] {
            if (source, format) == ("site.tar.zst", "docker-archive") {
                continue;
            }
            let line =
                format!("export {source} --format {format} --output again.tar --jobs {jobs}");
            let _ = env.run_line(&line).success();
            let again = hod_fsx::read(&env.path("again.tar"), u64::MAX - 1).unwrap();
            assert!(again == bytes, "{format} from {source}");
            hod_fsx::remove_file(&env.path("again.tar")).unwrap();
        }
    }
}

#[test]
fn docker_archives_hold_configurations_and_layers() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    let line = "export store --format docker-archive --output saved.tar";
    let output = env.run_line(line).success();
    assert!(output.stderr.contains("other digests"), "{}", output.stderr);
    let _ = env.run_line("verify saved.tar").success();
    // What comes out of it goes into it again as it was.
    let _ = env.run_line("unpack saved.tar --output again").success();
    let line = "export again --format docker-archive --output again.tar";
    let _ = env.run_line(line).success();
    let read = |name: &str| hod_fsx::read(&env.path(name), u64::MAX - 1).unwrap();
    assert!(read("saved.tar") == read("again.tar"));
    system(&env, "gzip", "-k saved.tar");
    let _ = env
        .run_line("unpack saved.tar.gz --output packed")
        .success();
    let (a, b) = (env.path("again"), env.path("packed"));
    assert_same(&registry_tree(&a), &registry_tree(&b), "saved.tar.gz");
    let listed = env.run_line("ls saved.tar").success().stdout;
    for name in [
        "docker.io/library/one:1",
        "docker.io/ns/two:1.0",
        "quay.io/ns/three:1",
    ] {
        assert!(listed.contains(name), "{listed}");
    }
    // A list finds them by the names that it has everywhere.
    env.write("list.txt", "one:1\nquay.io/ns/three:1\n");
    let _ = env
        .run_line("pack list.txt --store saved.tar --output some.tar")
        .success();
    let _ = env.run_line("verify some.tar").success();
}

#[test]
fn what_a_docker_archive_cannot_hold_is_refused_by_name() {
    let env = TestEnv::new();
    let one = plain_images().remove(0).1;
    let both = index(Format::Oci, &[one.clone(), plain_images().remove(2).1]);
    let artifact = hod_testkit::images::artifact(9);
    put(
        &env,
        &[
            ("ns/one:1", one),
            ("ns/list:1", both),
            ("ns/chart:1", artifact),
        ],
    );
    let line = "export store --format docker-archive --output saved.tar";
    let output = env.run_line(line).exits(3);
    for text in [
        "ns/list:1: a `docker save` archive cannot contain the image: it is an index of several platforms",
        "ns/chart:1: a `docker save` archive cannot contain the image: it is not a runnable image",
    ] {
        assert!(output.stderr.contains(text), "{}", output.stderr);
    }
    let listed = env.run_line("ls saved.tar").success().stdout;
    assert!(
        listed.contains("ns/one:1") && !listed.contains("ns/list"),
        "{listed}"
    );
    let _ = env.run_line(&format!("{line}2 --fail-fast")).exits(1);
    assert!(!env.path("saved.tar2").exists());
    let _ = env.run_line("pack store --output b.tar.zst").success();
    let line = "export b.tar.zst --format docker-archive --output saved.tar2";
    let output = env.run_line(line).exits(2);
    assert!(
        output.stderr.contains("cannot export for `docker load`"),
        "{}",
        output.stderr
    );
}

#[test]
fn layouts_share_blobs_and_are_added_to() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    env.write("one.txt", "one:1\n");
    env.write("two.txt", "ns/two:1.0\n");
    for list in ["one.txt", "two.txt", "one.txt"] {
        let line = format!("export store --format oci --only {list} --output layout");
        let _ = env.run_line(&line).success();
    }
    let listed = env.run_line("ls layout").success().stdout;
    assert!(
        listed.contains("library/one:1") && listed.contains("ns/two:1.0"),
        "{listed}"
    );
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let image = plain_images().remove(0).1;
    let blob = &image.blobs[0].digest;
    let path = env.path(format!("layout/blobs/sha256/{}", blob.hex()));
    assert!(hod_fsx::stat(&path).unwrap().n_links > 1);
    let _ = env.run_line("verify layout").success();
}

#[test]
fn what_is_not_ours_is_not_replaced() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    env.write("dir/notes.txt", "precious");
    env.write("file.tar", "precious");
    let _ = env
        .run_line("pack store --output bundle.tar --no-tool")
        .success();
    for (format, output) in [
        ("docker-archive", "docker.tar"),
        ("oci-archive", "oci.tar"),
        ("oci", "layout"),
        ("dir", "dirs"),
    ] {
        let line = format!("export store --format {format} --output {output}");
        let _ = env.run_line(&line).success();
    }
    let one = "dirs/ns/two:1.0";
    let before = tree(&env.work());
    let other = "already exists and is not";
    let directory = "output `dir` cannot be written";
    let is_bundle = "`bundle.tar` already exists and is a bundle; nothing was written";
    for (format, output, (code, said)) in [
        ("oci", "dir", (5, other)),
        ("oci", "file.tar", (5, other)),
        ("oci-archive", "file.tar", (5, "`file.tar` already exists;")),
        ("oci-archive", "dir", (2, directory)),
        ("oci-archive", "bundle.tar", (5, is_bundle)),
        ("oci-archive", "docker.tar", (5, "a `docker save` archive;")),
        (
            "oci-archive",
            "oci.tar",
            (5, "an archive of an OCI layout;"),
        ),
        (
            "docker-archive",
            "file.tar",
            (5, "`file.tar` already exists;"),
        ),
        ("docker-archive", "dir", (2, directory)),
        ("docker-archive", "bundle.tar", (5, is_bundle)),
        (
            "docker-archive",
            "docker.tar",
            (5, "a `docker save` archive;"),
        ),
        (
            "docker-archive",
            "oci.tar",
            (5, "an archive of an OCI layout;"),
        ),
        ("dir", "layout", (5, "`layout` is an OCI layout")),
        ("dir", one, (5, "is a `dir:` layout")),
        ("dir", "file.tar", (5, other)),
    ] {
        let line = format!("export store --format {format} --output {output}");
        let stderr = env.run_line(&line).exits(code).stderr;
        assert!(stderr.contains(said), "{line}: {stderr}");
        assert_same(&tree(&env.work()), &before, &line);
    }
}

#[test]
fn a_damaged_layer_is_in_no_archive() {
    let env = TestEnv::new();
    put(&env, &plain_images());
    let (name, image) = plain_images().remove(0);
    let layer = image.top().blobs().nth(2).unwrap().digest.clone();
    let path = env.store("store").blob_path(&layer);
    let mut bytes = hod_fsx::read(&path, u64::MAX - 1).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    hod_fsx::write_file(&path, &bytes).unwrap();
    for format in ["oci-archive", "docker-archive"] {
        let line = format!("export store --format {format} --output {format}.tar");
        let stderr = env.run_line(&line).exits(4).stderr;
        assert!(stderr.contains(layer.as_str()), "{stderr}");
        // The archive holds the other images.
        let listed = env.run_line(&format!("ls {format}.tar")).success().stdout;
        assert!(!listed.contains(name), "{listed}");
        // A header, and all but the two names of that image.
        assert_eq!(listed.lines().count(), plain_images().len() - 1, "{listed}");
        let _ = env.run_line(&format!("verify {format}.tar")).success();
    }
}

#[test]
fn skopeo_reads_what_hod_exports() {
    if !programs::are_here(&[skopeo::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    put(&env, &plain_images());
    for (format, output) in [
        ("oci", "layout"),
        ("oci-archive", "oci.tar"),
        ("docker-archive", "saved.tar"),
    ] {
        let line = format!("export store --format {format} --output {output}");
        let _ = env.run_line(&line).success();
        let transport = if format == "oci" { "oci" } else { format };
        for (name, image) in plain_images() {
            // skopeo finds no Docker manifest in an OCI layout by its name.
            let is_oci = image.top().media_type().as_str() == MediaType::OCI_MANIFEST;
            if transport != "docker-archive" && !is_oci {
                continue;
            }
            let full = if name.starts_with("quay.io") {
                name.to_owned()
            } else {
                format!("docker.io/{name}")
            };
            let from = format!("{transport}:{output}:{full}");
            let config = &image.top().blobs().next().unwrap().digest;
            let dir = format!("{format}-{}", name.replace(['/', ':'], "-"));
            if format == "docker-archive" {
                let line = format!("copy {from} dir:{dir}");
                let _ = skopeo::run(&env, &line).success();
            } else {
                skopeo::copy(&env, "--all", (&from, &format!("dir:{dir}")));
                let top = hod_fsx::read(&env.path(format!("{dir}/manifest.json")), 1 << 20);
                assert_eq!(&Digest::of(&top.unwrap()), image.digest(), "{from}");
            }
            assert!(
                env.path(format!("{dir}/{}", config.hex())).exists(),
                "{from}"
            );
        }
    }
}

#[test]
fn hod_reads_what_skopeo_writes() {
    if !programs::are_here(&[skopeo::PROGRAM, docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let images = plain_images();
    put(&env, &images);
    let _ = env.run_line("export store --output layouts").success();
    let (name, image) = &images[0];
    let from = format!("dir:layouts/{name}");
    skopeo::copy(&env, "--all", (&from, "oci:app:1.0"));
    skopeo::copy(&env, "--all", (&from, "oci-archive:app.tar:ns/app:2"));
    let to = "docker-archive:saved.tar:ns/app:3";
    let _ = skopeo::run(&env, &format!("copy {from} {to}")).success();
    let _ = skopeo::run(&env, &format!("copy {from} docker-archive:bare.tar")).success();
    let registry = docker_registry::DockerRegistry::serve(&env, "target");
    for source in ["app", "app.tar", "saved.tar", "bare.tar"] {
        let _ = env.run_line(&format!("verify {source}")).success();
        let line = format!("push {source} {}", registry.host());
        let output = env.run_line(&line).success();
        assert!(!output.stdout.is_empty(), "{source}");
    }
    registry.assert_serves("library/app:1.0", &as_oci(&env, "app"));
    let listed = env.run_line("ls saved.tar").success().stdout;
    let config = &image.top().blobs().next().unwrap().digest;
    assert!(listed.contains("docker.io/ns/app:3"), "{listed}");
    assert!(listed.contains("linux/amd64"), "{listed}");
    let _ = env.run_line("unpack saved.tar --output unpacked").success();
    assert!(env.store("unpacked").blob_path(config).exists());
    let listed = env.run_line("ls bare.tar").success().stdout;
    assert!(listed.contains("bare@sha256:"), "{listed}");
}

/// The one image of an OCI layout that skopeo wrote, which may have converted it.
fn as_oci(env: &TestEnv, layout: &str) -> Image {
    let root = env.path(layout);
    let collection = hod_layout::Collection::open_dir(&root).unwrap().unwrap();
    let top = collection.images()[0].digest.clone();
    let manifest = collection.read_manifest(&top).unwrap().unwrap();
    let read = |digest: &Digest| {
        let path = collection.blob_file(digest).unwrap();
        hod_testkit::images::Blob::new(hod_testkit::tree::read(Path::new(&path)))
    };
    let blobs = manifest.blobs().map(|blob| read(&blob.digest)).collect();
    Image {
        manifests: vec![manifest],
        blobs,
    }
}
