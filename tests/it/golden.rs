//! `fixtures/bundles/v1`: bundles of format 1 as they were written when it was new. They never
//! change, and every version must open them.
//!
//! `HOD_WRITE_FIXTURES=1 cargo test golden` writes what is missing there, and nothing else.

mod signed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hod_bundle::{
    BaseBlob, BaseOrigin, Bundle, BundleFile, BundleImage, BundleManifest, FileContent, Held,
    OriginKind, PackBlob, PackPlan, Placement, ReadOptions,
};
use hod_fsx::FileRange;
use hod_oci::{Digest, MediaType, Platform, RepositoryName};

use hod_testkit::env::TestEnv;
use hod_testkit::tree::{read, whole_images};
use hod_testkit::volumes::{joined, pack};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Of the divided bundle: the least that makes three volumes of it.
const VOLUME_SIZE: u64 = 139_264;

fn dir() -> PathBuf {
    crate::fixtures::dir().join("bundles/v1")
}

/// All that the bundles are made of; nothing here may ever change.
#[derive(Default)]
struct Input {
    blobs: BTreeMap<Digest, (Vec<u8>, bool)>,
    images: Vec<BundleImage>,
}

impl Input {
    fn blob(&mut self, bytes: &str, is_manifest: bool) -> Digest {
        let digest = Digest::of(bytes.as_bytes());
        let bytes = bytes.as_bytes().to_vec();
        self.blobs.insert(digest.clone(), (bytes, is_manifest));
        digest
    }

    /// Adds a manifest with its config and layers.
    fn manifest(
        &mut self,
        media_type: &str,
        (config, layers): (&str, &[&str]),
    ) -> (Digest, Vec<Digest>) {
        let kind = media_type == DOCKER;
        let (config_type, layer_type) = if kind {
            (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar",
            )
        } else {
            (
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar",
            )
        };
        let descriptor = |media_type: &str, bytes: &str| {
            let (digest, size) = (Digest::of(bytes.as_bytes()), bytes.len());
            format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"{digest}"}}"#)
        };
        let listed: Vec<String> = layers.iter().map(|l| descriptor(layer_type, l)).collect();
        let json = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{},"layers":[{}]}}"#,
            descriptor(config_type, config),
            listed.join(",")
        );
        let all = std::iter::once(&config).chain(layers);
        let blobs = all.map(|bytes| self.blob(bytes, false)).collect();
        (self.blob(&json, true), blobs)
    }

    fn image(
        &mut self,
        (name, media_type): (&str, &str),
        (manifests, blobs): (Vec<Digest>, Vec<Digest>),
    ) {
        let (repository, tag) = match name.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (name, None),
        };
        let platform = |architecture| Platform::new("linux", architecture);
        self.images.push(BundleImage {
            repository: repository.parse().unwrap(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            digest: manifests.last().unwrap().clone(),
            media_type: MediaType::new(media_type),
            platforms: if media_type == INDEX {
                vec![platform("amd64"), platform("arm64")]
            } else {
                vec![platform("amd64")]
            },
            manifests,
            blobs,
        });
    }

    fn plan(&self, name: &str) -> PackPlan {
        let blob = |(digest, (bytes, is_manifest)): (&Digest, &(Vec<u8>, bool))| PackBlob {
            digest: digest.clone(),
            size: bytes.len() as u64,
            is_manifest: *is_manifest,
        };
        let file = |path: &str, text: &str, executable: bool| BundleFile {
            path: path.parse().unwrap(),
            content: FileContent::Bytes(text.as_bytes().to_vec()),
            executable,
            is_everywhere: !path.contains('/'),
        };
        PackPlan {
            name: name.to_owned(),
            version: Some("1.0".to_owned()),
            images: self.images.clone(),
            blobs: self.blobs.iter().map(blob).collect(),
            files: vec![
                file("README.txt", "Read me first: 先读我。\n", false),
                file("hod/bin/hod-linux-amd64", "not really a program\n", true),
                file("charts/app-1.0.yaml", "replicas: 2\n", false),
            ],
            origins: Vec::new(),
            base: Vec::new(),
            volume_size: None,
            signer: None,
            mtime: 1_700_000_000,
            tool_version: "0.1.0".to_owned(),
        }
    }
}

fn config(architecture: &str) -> String {
    format!(
        r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    )
}

fn lines(text: &str, len: usize) -> String {
    (0..)
        .flat_map(|n: usize| format!("{text} {n}\n").into_bytes())
        .take(len)
        .map(char::from)
        .collect()
}

/// A plain image, and an index of two that share a layer.
fn plain() -> Input {
    let mut input = Input::default();
    let shared = lines("shared", 3000);
    let (manifest, blobs) = input.manifest(DOCKER, (&config("amd64"), &[&shared, ""]));
    input.image(("library/small:1", DOCKER), (vec![manifest], blobs));
    let own = lines("own", 500);
    let (amd64, mut blobs) = input.manifest(MANIFEST, (&config("amd64"), &[&shared]));
    let (arm64, more) = input.manifest(MANIFEST, (&config("arm64"), &[&shared, &own]));
    blobs.extend(more);
    blobs.sort();
    blobs.dedup();
    let descriptor = |digest: &Digest, architecture: &str| {
        let size = input.blobs[digest].0.len();
        format!(
            r#"{{"mediaType":"{MANIFEST}","size":{size},"digest":"{digest}","platform":{{"architecture":"{architecture}","os":"linux"}}}}"#
        )
    };
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{},{}]}}"#,
        descriptor(&amd64, "amd64"),
        descriptor(&arm64, "arm64")
    );
    let index = input.blob(&index, true);
    let manifests = vec![amd64, arm64, index];
    input.image(("quay.io/team/multi:v1", INDEX), (manifests, blobs));
    input
}

/// The same with an image that has no tag and a layer that is larger than a volume.
fn large() -> Input {
    let mut input = plain();
    let large = lines("large", 180_000);
    let (manifest, blobs) = input.manifest(MANIFEST, (&config("s390x"), &[&large]));
    input.image(("team/large", MANIFEST), (vec![manifest], blobs));
    input
}

/// Another version of the plain image, whose shared layer the target has.
fn delta() -> (Input, PackPlan) {
    let mut input = Input::default();
    let (shared, new) = (lines("shared", 3000), lines("new", 700));
    let (manifest, blobs) = input.manifest(DOCKER, (&config("amd64"), &[&shared, &new]));
    input.image(("library/small:2", DOCKER), (vec![manifest], blobs));
    let mut plan = input.plan("delta");
    let origin = |kind, name: &str| BaseOrigin {
        kind,
        name: name.to_owned(),
        version: None,
        id: None,
    };
    plan.origins = vec![
        BaseOrigin {
            version: Some("1.0".to_owned()),
            id: Some(Digest::of(b"an id")),
            ..origin(OriginKind::Bundle, "plain")
        },
        origin(OriginKind::Registry, "harbor.corp"),
        origin(OriginKind::Store, "/data/store"),
    ];
    let is_in_base = |digest: &Digest| {
        *digest == Digest::of(shared.as_bytes())
            || *digest == Digest::of(config("amd64").as_bytes())
    };
    let held = |origin, repository: &str| Held {
        origin,
        repositories: vec![repository.parse().unwrap()],
    };
    let (base, blobs): (Vec<PackBlob>, Vec<PackBlob>) = plan
        .blobs
        .into_iter()
        .partition(|blob| is_in_base(&blob.digest));
    plan.blobs = blobs;
    plan.base = base
        .into_iter()
        .map(|blob| BaseBlob {
            digest: blob.digest,
            size: blob.size,
            held: vec![held(0, "library/small"), held(1, "offline/library/small")],
        })
        .collect();
    (input, plan)
}

/// A bundle, the name of its file or of its volumes, and how it is made.
struct Golden {
    file: &'static str,
    /// Where there are volumes.
    n_volumes: Option<usize>,
    input: Input,
    plan: PackPlan,
}

fn all() -> Vec<Golden> {
    let of = |file, input: Input, plan: PackPlan| Golden {
        file,
        n_volumes: None,
        input,
        plan,
    };
    let undivided = |file| of(file, plain(), plain().plan("plain"));
    let divided = PackPlan {
        volume_size: Some(VOLUME_SIZE),
        ..large().plan("divided")
    };
    let (input, plan) = delta();
    let [signed, signed_volumes] = signed::all();
    vec![
        undivided("plain.tar"),
        undivided("plain.tar.zst"),
        Golden {
            n_volumes: Some(3),
            ..of("divided.tar", large(), divided)
        },
        of("delta.tar", input, plan),
        signed,
        signed_volumes,
    ]
}

impl Golden {
    /// The frozen files.
    fn files(&self) -> Vec<PathBuf> {
        let Some(n) = self.n_volumes else {
            return vec![dir().join(self.file)];
        };
        let stem = self.file.trim_end_matches(".tar");
        (1..=n)
            .map(|n| dir().join(format!("{stem}.{n:03}.tar")))
            .collect()
    }

    /// Writes the bundle as it is written today.
    fn write(&self, output: &Path) -> Vec<PathBuf> {
        let dir = output.parent().unwrap();
        let blobs: BTreeMap<&Digest, FileRange> = self
            .input
            .blobs
            .iter()
            .map(|(digest, (bytes, _))| {
                let path = dir.join(digest.hex());
                hod_fsx::write_file(&path, bytes).unwrap();
                let range = FileRange {
                    file: Arc::new(hod_fsx::open(&path).unwrap()),
                    path,
                    offset: 0,
                    len: bytes.len() as u64,
                };
                (digest, range)
            })
            .collect();
        pack(&self.plan, output, &|digest| blobs[digest].clone())
    }
}

#[test]
fn frozen_bundles_are_written_today_as_they_were() {
    for golden in all() {
        let env = TestEnv::new();
        let written = golden.write(&env.path(golden.file));
        let frozen = golden.files();
        if crate::fixtures::must_write() {
            for (path, from) in frozen.iter().zip(&written) {
                if hod_fsx::try_stat(path).unwrap().is_none() {
                    hod_fsx::write_file(path, &read(from)).unwrap();
                }
            }
        }
        let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
        let names = |paths: &[PathBuf]| paths.iter().map(name).collect::<Vec<_>>();
        assert_eq!(names(&written), names(&frozen));
        for (written, frozen) in written.iter().zip(&frozen) {
            let (mut now, mut then) = (read(written), read(frozen));
            assert!(
                then.len() <= 136 * 1024,
                "{}: fixtures are small",
                frozen.display()
            );
            if golden.file.strip_suffix(".zst").is_some() {
                // Another version of zstd may find another way to say the same.
                (now, then) = (
                    zstd::decode_all(&now[..]).unwrap(),
                    zstd::decode_all(&then[..]).unwrap(),
                );
            }
            assert!(now == then, "{} is another", frozen.display());
        }
    }
}

/// What `hod/bundle.json` means, a line each.
fn meaning(manifest: &BundleManifest) -> String {
    use std::fmt::Write as _;
    let short = |digest: &Digest| digest.hex()[..8].to_owned();
    let mut text = format!(
        "{} {:?} by {} at {}, {} volumes, id {}, signed by {:?}\n",
        manifest.name,
        manifest.version,
        manifest.tool_version,
        manifest.created,
        manifest.n_volumes,
        short(&manifest.id),
        manifest.signed_by,
    );
    for image in &manifest.images {
        let list = |digests: &[Digest]| digests.iter().map(short).collect::<Vec<_>>().join(" ");
        let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "image {} {} {}\n  manifests {}\n  blobs {}",
            image.name(),
            image.media_type,
            platforms.join(","),
            list(&image.manifests),
            list(&image.blobs)
        );
    }
    for blob in &manifest.blobs {
        let place = match &blob.place {
            Placement::Everywhere => "everywhere".to_owned(),
            Placement::Volume(volume) => format!("in {volume}"),
            Placement::Parts(parts) => {
                let part = |part: &hod_bundle::Part| {
                    format!(
                        "{} of {} in {}",
                        short(&part.digest),
                        part.size,
                        part.volume
                    )
                };
                parts.iter().map(part).collect::<Vec<_>>().join(" + ")
            }
        };
        let kind = if blob.is_manifest { "manifest" } else { "blob" };
        let _ = writeln!(
            text,
            "{kind} {} of {}: {place}",
            short(&blob.digest),
            blob.size
        );
    }
    for file in &manifest.files {
        let place = file
            .volume
            .map_or("everywhere".to_owned(), |v| format!("in {v}"));
        let kind = if file.executable { "program" } else { "file" };
        let digest = short(&file.digest);
        let _ = writeln!(
            text,
            "{kind} {} {digest} of {}: {place}",
            file.path, file.size
        );
    }
    for origin in &manifest.origins {
        let id = origin.id.as_ref().map(short);
        let _ = writeln!(
            text,
            "{:?} {} {:?} {id:?}",
            origin.kind, origin.name, origin.version
        );
    }
    for blob in &manifest.base {
        let held: Vec<String> = blob
            .held
            .iter()
            .map(|held| {
                let names: Vec<&str> = held
                    .repositories
                    .iter()
                    .map(RepositoryName::as_str)
                    .collect();
                format!("{}: {}", held.origin, names.join(" "))
            })
            .collect();
        let _ = writeln!(
            text,
            "base {} of {}: held by {}",
            short(&blob.digest),
            blob.size,
            held.join(", ")
        );
    }
    text
}

#[test]
fn frozen_bundles_mean_what_they_meant() {
    let open = |name: &str| {
        let bundle = Bundle::open(&dir().join(name), &ReadOptions::default()).unwrap();
        bundle.require_complete().unwrap();
        bundle.check_all_but_blobs().unwrap();
        meaning(bundle.manifest())
    };
    insta::assert_snapshot!(open("plain.tar"));
    insta::assert_snapshot!(open("divided.002.tar"));
    insta::assert_snapshot!(open("delta.tar"));
    insta::assert_snapshot!(open("signed.tar"));
    insta::assert_snapshot!(open("signed-volumes.002.tar"));
}

/// Checks the headers of a tar against what the docs of `src/bundle/header.rs` say, without any of
/// the code there; returns how many members it has.
fn check_headers(tar: &[u8]) -> usize {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&byte| byte == 0);
        String::from_utf8(bytes[..end.unwrap_or(bytes.len())].to_vec()).unwrap()
    };
    let octal = |bytes: &[u8]| usize::from_str_radix(&text(bytes), 8).unwrap();
    let (mut at, mut n) = (0, 0);
    while at < tar.len() - 1024 {
        let header = &tar[at..at + 512];
        let size = octal(&header[124..136]);
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>();
        let blanks = 8 * usize::from(b' ');
        let checksum = sum(header) - sum(&header[148..156]) + blanks;
        assert_eq!(text(&header[148..156]), format!("{checksum:07o}"));
        assert_eq!(&header[108..124], b"0000000\x000000000\0");
        assert_eq!(octal(&header[136..148]), 1_700_000_000);
        assert_eq!(&header[257..265], b"ustar\x0000");
        let empty = [&header[157..257], &header[265..345], &header[500..]].concat();
        assert!(empty.iter().all(|&byte| byte == 0));
        let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
        let mode = text(&header[100..108]);
        let content = &tar[at + 512..at + 512 + size];
        match header[156] {
            b'x' => {
                assert_eq!(
                    (name.as_str(), mode.as_str()),
                    ("PaxHeaders/hod", "0000644")
                );
                let record = text(content);
                assert!(size.is_multiple_of(512) && record.ends_with(" \n"));
                assert!(record.starts_with(&format!("{size} comment=")));
            }
            kind => {
                let path = if prefix.is_empty() {
                    name
                } else {
                    format!("{prefix}/{name}")
                };
                let trimmed = path.trim_end_matches('/');
                let cut = trimmed.match_indices('/').map(|(at, _)| at);
                let cut = cut.take_while(|&at| at <= 155).last().unwrap_or_default();
                let cut = if path.len() <= 100 { 0 } else { cut };
                assert_eq!(prefix, path[..cut]);
                let is_program = path.starts_with("hod/bin/");
                let expect = match kind {
                    b'0' if !is_program => "0000644",
                    b'0' | b'5' => "0000755",
                    _ => panic!("{path}"),
                };
                assert_eq!((mode.as_str(), kind == b'5'), (expect, path.ends_with('/')));
                assert!(!path.contains("/blobs/") || (at + 512).is_multiple_of(4096));
                n += 1;
            }
        }
        let padded = size.next_multiple_of(512);
        assert!(
            tar[at + 512 + size..at + 512 + padded]
                .iter()
                .all(|&byte| byte == 0)
        );
        at += 512 + padded;
    }
    assert_eq!(tar[at..], [0; 1024]);
    n
}

#[test]
fn frozen_bundles_have_the_headers_that_are_described() {
    for golden in all() {
        for path in golden.files() {
            let mut bytes = read(&path);
            if golden.file.strip_suffix(".zst").is_some() {
                bytes = zstd::decode_all(&bytes[..]).unwrap();
            }
            assert!(check_headers(&bytes) > 8, "{}", path.display());
        }
    }
}

#[test]
fn frozen_bundles_are_verified_listed_and_unpacked() {
    let env = TestEnv::new();
    let at = |name: &str| dir().join(name).display().to_string();
    env.write("divided.tar", joined(&all()[2].files()));
    let names = ["library/small:1", "quay.io/team/multi:v1"];
    for (source, n_images) in [
        (at("plain.tar"), 2),
        (at("plain.tar.zst"), 2),
        (at("divided.001.tar"), 3),
        (at("divided.003.tar"), 3),
    ] {
        let _ = env.run(["verify", &source]).success();
        let listed = env.run(["ls", &source]).success().stdout;
        assert_eq!(listed.lines().count(), 1 + n_images, "{listed}");
        let output = format!("{}.d", Path::new(&source).file_name().unwrap().display());
        let _ = env.run(["unpack", &source, "--output", &output]).success();
        let _ = env.run(["verify", &output]).success();
        let images = whole_images(&env.path(&output));
        assert!(
            names.iter().all(|name| images.contains_key(*name)),
            "{images:?}"
        );
    }
    // Joined, in one pass.
    let mut unpack = env.hod();
    unpack.args(["unpack", "-", "--output", "joined.d"]);
    unpack.stdin(hod_fsx::open(&env.path("divided.tar")).unwrap());
    let _ = hod_testkit::env::finish(&mut unpack).success();
    let _ = env.run_line("verify joined.d").success();
    // What the delta counts on is there, or it is not.
    let delta = at("delta.tar");
    let _ = env.run(["verify", &delta]).success();
    let refused = env.run(["unpack", &delta, "--output", "nothing.d"]);
    assert_ne!(refused.code, Some(0));
    let _ = env
        .run(["unpack", &delta, "--output", "plain.tar.d"])
        .success();
    let _ = env.run_line("verify plain.tar.d").success();
    assert!(whole_images(&env.path("plain.tar.d")).contains_key("library/small:2"));
}
