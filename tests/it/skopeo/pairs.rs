//! Every transport to every other, by hod and by the installed skopeo: the digests are the same
//! where nothing is compressed, and the layers where something is.

use std::io::Read as _;
use std::path::Path;

use hod_oci::Digest;
use hod_testkit::tree::read;
use serde_json::Value;

use super::lab::{Lab, Player};
use super::normal::Ran;

/// The kinds of sources and destinations. Each has a place in the directory of a run.
const KINDS: [Kind; 5] = [
    Kind::Docker,
    Kind::Dir,
    Kind::Oci,
    Kind::OciArchive,
    Kind::DockerArchive,
];
const IMAGES: [&str; 2] = ["lab/oci:v1", "lab/s2:v1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Docker,
    Dir,
    Oci,
    OciArchive,
    DockerArchive,
}

impl Kind {
    /// Where the stock is, as skopeo wrote it.
    fn source(self, image: &str) -> String {
        let dir = format!("../../seed/{}", image.replace([':', '/'], "-"));
        match self {
            Self::Docker => format!("docker://$R/{image}"),
            Self::Dir => format!("dir:{dir}/dir"),
            Self::Oci => format!("oci:{dir}/oci:t"),
            Self::OciArchive => format!("oci-archive:{dir}/oci.tar:t"),
            Self::DockerArchive => format!("docker-archive:{dir}/docker.tar"),
        }
    }

    fn destination(self) -> &'static str {
        match self {
            Self::Docker => "docker://$R/$P/x:1",
            Self::Dir => "dir:d",
            Self::Oci => "oci:d:x",
            Self::OciArchive => "oci-archive:d.tar:x",
            Self::DockerArchive => "docker-archive:d.tar:foo/baz:2",
        }
    }
}

/// Has the installed skopeo write the stock in every form.
fn seed(lab: &Lab) {
    for image in IMAGES {
        let dir = format!("../../seed/{}", image.replace([':', '/'], "-"));
        let copy = format!("skopeo copy -q --src-tls-verify=false docker://$R/{image}");
        let line = format!(
            "mkdir -p {dir} && {copy} dir:{dir}/dir && {copy} oci:{dir}/oci:t && \
             {copy} oci-archive:{dir}/oci.tar:t && {copy} docker-archive:{dir}/docker.tar:foo/bar:1"
        );
        let ran = lab.run(&Player::Installed, &line);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
}

/// Copies, and has the installed skopeo read what was written.
fn copy(lab: &Lab, player: &Player, line: &str, to: &str) -> Ran {
    let line = format!(
        "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --digestfile digest {line} \
         {to} && /usr/bin/skopeo inspect --raw --tls-verify=false {to} > raw && \
         /usr/bin/skopeo inspect --config --raw --tls-verify=false {to} > config && \
         /usr/bin/skopeo copy -q --src-tls-verify=false {to} dir:read"
    );
    lab.run(player, &line)
}

/// What of a run counts: the digests and the files of layouts. Archives count as they are read, and
/// the texts of layouts are other ones since skopeo 1.10.
fn digests(ran: &Ran) -> Vec<(&str, &str)> {
    let is_left_out = |path: &str| {
        [".tar", "index.json", "oci-layout"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    let files = ran.files.iter().filter(|(path, _)| !is_left_out(path));
    files
        .map(|(path, what)| (path.as_str(), what.as_str()))
        .collect()
}

/// All pairs with this source.
fn from(source: Kind) {
    let Some(lab) = Lab::new() else { return };
    seed(&lab);
    for image in IMAGES {
        for to in KINDS {
            let (line, to_name) = (source.source(image), to.destination());
            let skopeo = copy(&lab, &Player::Installed, &line, to_name);
            let hod = copy(&lab, &Player::Hod, &line, to_name);
            let what = format!(
                "{image}: {source:?} to {to:?}\n{}{}",
                skopeo.stderr, hod.stderr
            );
            assert_eq!((skopeo.code, hod.code), (0, 0), "{what}");
            assert_unpacks(&lab.last_dir().join("read"));
            let is_compressing = matches!(to, Kind::Docker | Kind::Oci | Kind::OciArchive);
            if source == Kind::DockerArchive && is_compressing {
                // The layers of such archives are not compressed, and every compressor is another.
                assert_eq!(hod.files["config"], skopeo.files["config"], "{what}");
            } else {
                assert_eq!(digests(&hod), digests(&skopeo), "{what}");
            }
        }
    }
}

/// Passes when every layer of a `dir:` layout unpacks to what the config says.
#[track_caller]
fn assert_unpacks(dir: &Path) {
    let json = |path: &Path| serde_json::from_slice::<Value>(&read(path)).unwrap();
    let hex = |value: &Value| value["digest"].as_str().unwrap()[7..].to_owned();
    let manifest = json(&dir.join("manifest.json"));
    let config = json(&dir.join(hex(&manifest["config"])));
    let layers = manifest["layers"].as_array().unwrap();
    let diff_ids: Vec<Digest> = layers
        .iter()
        .map(|layer| Digest::of(&unpacked(&read(&dir.join(hex(layer))))))
        .collect();
    let expected: Vec<Digest> =
        serde_json::from_value(config["rootfs"]["diff_ids"].clone()).unwrap();
    assert_eq!(diff_ids, expected, "{}", dir.display());
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] => {
            let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
            decoder.read_to_end(&mut tar).unwrap();
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => tar = zstd::decode_all(bytes).unwrap(),
        _ => tar.extend_from_slice(bytes),
    }
    tar
}

#[test]
fn from_a_registry() {
    from(Kind::Docker);
}

#[test]
fn from_a_dir() {
    from(Kind::Dir);
}

#[test]
fn from_an_oci_layout() {
    from(Kind::Oci);
}

#[test]
fn from_an_oci_archive() {
    from(Kind::OciArchive);
}

#[test]
fn from_a_docker_archive() {
    from(Kind::DockerArchive);
}

#[test]
fn whole_indexes() {
    let Some(lab) = Lab::new() else { return };
    for image in ["lab/idxoci:v1", "lab/idxs2:v1"] {
        for to in [Kind::Docker, Kind::Dir, Kind::Oci, Kind::OciArchive] {
            for flags in ["", "--format oci", "--format v2s2"] {
                if flags == "--format v2s2" && matches!(to, Kind::Oci | Kind::OciArchive) {
                    continue;
                }
                let line = format!(
                    "skopeo copy -q --all --src-tls-verify=false --dest-tls-verify=false \
                     --digestfile digest {flags} docker://$R/{image} {to} && \
                     /usr/bin/skopeo inspect --raw --tls-verify=false {to} > raw",
                    to = to.destination()
                );
                let skopeo = lab.run(&Player::Installed, &line);
                let hod = lab.run(&Player::Hod, &line);
                let what = format!("{image} to {to:?} {flags}\n{}{}", skopeo.stderr, hod.stderr);
                assert_eq!((skopeo.code, hod.code), (0, 0), "{what}");
                assert_eq!(digests(&hod), digests(&skopeo), "{what}");
                assert_eq!(hod.pushed, skopeo.pushed, "{what}");
            }
        }
    }
}

/// Every way to compress anew: the layers unpack to the same, and have the type of the compression.
#[test]
fn other_compressions() {
    let Some(lab) = Lab::new() else { return };
    let rows = [
        ("raw", "dir:d --dest-compress", "tar+gzip"),
        ("raws2", "dir:d --dest-compress", "tar.gzip"),
        ("raw", "oci:d", "tar+gzip"),
        ("raws2", "oci:d", "tar+gzip"),
        ("raw", "docker://$R/$P/x:1", "tar+gzip"),
        ("raws2", "docker://$R/$P/x:1", "tar.gzip"),
        ("raw", "oci:d --dest-oci-accept-uncompressed-layers", ".tar"),
        ("oci", "dir:d --dest-decompress", ".tar"),
        ("s2", "dir:d --dest-decompress", ".tar"),
        ("zstd", "dir:d --dest-decompress", ".tar"),
        ("zstd", "oci:d", "tar+zstd"),
        ("oci", "oci:d --dest-compress-format zstd", "tar+zstd"),
        (
            "oci",
            "oci:d --dest-compress-format zstd --dest-compress-level 9",
            "tar+zstd",
        ),
        ("zstd", "oci:d --dest-compress-format gzip", "tar+gzip"),
        (
            "raw",
            "docker://$R/$P/x:1 --dest-compress-format zstd",
            "tar+zstd",
        ),
    ];
    for (image, rest, suffix) in rows {
        let to = rest.split(' ').next().unwrap();
        let line = format!("docker://$R/lab/{image}:v1 {rest}");
        let copy = format!(
            "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false {line} && \
             /usr/bin/skopeo copy -q --src-tls-verify=false {to} dir:read"
        );
        let ran = lab.run(&Player::Hod, &copy);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        let read_dir = lab.last_dir().join("read");
        assert_unpacks(&read_dir);
        let manifest: Value =
            serde_json::from_slice(&read(&read_dir.join("manifest.json"))).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let media_type = layer["mediaType"].as_str().unwrap();
            assert!(media_type.ends_with(suffix), "{line}: {media_type}");
        }
    }
}

/// Archives in every compression, from files, links and pipes, are read as the plain ones.
#[test]
fn compressed_and_piped_archives() {
    let Some(lab) = Lab::new() else { return };
    seed(&lab);
    let plain = |source: &str| lab.run(&Player::Hod, &format!("skopeo copy -q {source} dir:d"));
    for (transport, file) in [("docker-archive", "docker.tar"), ("oci-archive", "oci.tar")] {
        let archive = format!("../../seed/lab-s2-v1/{file}");
        let expected = plain(&format!("{transport}:{archive}"));
        assert_eq!(expected.code, 0, "{}", expected.stderr);
        for program in ["gzip --fast", "xz -0", "bzip2", "zstd -q", "cat"] {
            let copy = format!("skopeo copy -q {transport}");
            let mut lines = vec![
                format!("{program} < {archive} > a && {copy}:a dir:d; rm a"),
                format!("{program} < {archive} > a && ln -s a b && {copy}:./b dir:d; rm a b"),
            ];
            if transport == "docker-archive" {
                lines.push(format!("{program} < {archive} | {copy}:/dev/stdin dir:d"));
            }
            for line in lines {
                let ran = lab.run(&Player::Hod, &line);
                assert_eq!(ran.files, expected.files, "{line}: {}", ran.stderr);
            }
        }
    }
}

/// One image under more names, and a layout whose blobs are in a directory of many.
#[test]
fn more_tags_and_shared_blobs() {
    let Some(lab) = Lab::new() else { return };
    for line in [
        "skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 docker-archive:f.tar:a/b:1 --additional-tag a/b:2 --additional-tag c:3 && /usr/bin/skopeo list-tags docker-archive:f.tar; rm -f f.tar",
        "skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 oci:d:x --dest-shared-blob-dir s && /usr/bin/skopeo inspect --raw --shared-blob-dir s oci:d:x; rm -f d/index.json d/oci-layout",
        "skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 oci:d:x --dest-shared-blob-dir s && skopeo copy -q oci:d:x dir:e --src-shared-blob-dir s && skopeo inspect --raw --shared-blob-dir s oci:d:x; rm -f d/index.json d/oci-layout",
        "skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 oci:d:x && skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 oci:d:y && skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 oci:d:x && /usr/bin/skopeo inspect --raw oci:d:x; rm -f d/index.json d/oci-layout",
    ] {
        let skopeo = lab.run(&Player::Installed, line);
        let hod = lab.run(&Player::Hod, line);
        assert_eq!(hod.to_string(), skopeo.to_string(), "{line}");
        assert_eq!(hod.code, 0, "{line}");
    }
}
