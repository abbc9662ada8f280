//! The image that skopeo makes of the tars of layers (containers' `tarball:` transport).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use hod_gotemplate::Time;
use hod_oci::{Algorithm, Digest, DigestHasher, Manifest, MediaType};
use hod_tarball::{Compression, decoder};
use serde::Serialize;

use crate::archive::{self, Spooled};
use crate::failure::{Done, Failure};
use crate::files::FilePart;
use crate::go_json;
use crate::name::STDIN;
use crate::platform::own_arch;
use crate::wording;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const COMMENT: &str = "imported from tarball";
/// How much is read at once.
const CHUNK_LEN: usize = 256 * 1024;

/// An image, and where its blobs are.
#[derive(Debug)]
pub(crate) struct MadeImage {
    pub(crate) manifest: Manifest,
    pub(crate) parts: HashMap<Digest, FilePart>,
    /// What was read from stdin, removed with this.
    pub(crate) spooled: Option<Spooled>,
}

#[derive(Serialize)]
struct Config<'a> {
    created: String,
    architecture: &'a str,
    os: &'a str,
    rootfs: RootFs<'a>,
    history: Vec<History>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: Vec<&'a Digest>,
}

#[derive(Serialize)]
struct History {
    created: String,
    created_by: String,
    comment: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OciManifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Blob<'a>,
    layers: Vec<Blob<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
}

/// A layer that was read.
struct Layer {
    digest: Digest,
    diff_id: Digest,
    len: u64,
    media_type: &'static str,
    modified: SystemTime,
}

/// Makes an image of layers, each a tar that may be compressed; `-` is stdin. Blocks.
pub(crate) fn make(layers: &[String], tmpdir: Option<&Path>) -> Done<MadeImage> {
    let spooled = if layers.iter().any(|layer| layer == STDIN) {
        let stdin = hod_fsx::stdin().map_err(|error| wording::of_file(&error));
        let stdin = stdin.map_err(|error| error.during("error buffering stdin"))?;
        Some(archive::as_it_is(stdin, Path::new(STDIN), tmpdir)?)
    } else {
        None
    };
    let mut read = Vec::with_capacity(layers.len());
    let mut parts = HashMap::new();
    for name in layers {
        let (path, modified) = match &spooled {
            Some(spooled) if name == STDIN => (spooled.path().to_owned(), Some(SystemTime::now())),
            _ => (PathBuf::from(name), None),
        };
        let layer = Layer::read(&path, modified).map_err(|error| {
            let (name, problem) = (hod_gotext::quote(name), wording::go_problem(&error));
            Failure::new(format!("error reading {name}: {problem}"))
        })?;
        parts.insert(layer.digest.clone(), FilePart::File(path));
        read.push(layer);
    }
    let config = Bytes::from(config(&read));
    let digest = Digest::of(&config);
    let manifest = OciManifest {
        schema_version: 2,
        media_type: MediaType::OCI_MANIFEST,
        config: Blob {
            media_type: MediaType::OCI_CONFIG,
            digest: &digest,
            size: config.len() as u64,
        },
        layers: read.iter().map(Layer::blob).collect(),
    };
    let manifest = Manifest::parse(go_json::compact(&manifest).into(), None);
    let manifest = manifest.map_err(|error| Failure::new(error.to_string()))?;
    parts.insert(digest, FilePart::Bytes(config));
    Ok(MadeImage {
        manifest,
        parts,
        spooled,
    })
}

/// The configuration: the newest layer's time, and a step for each layer.
fn config(layers: &[Layer]) -> Vec<u8> {
    let newest = layers.iter().map(|layer| layer.modified).max();
    let history = layers.iter().map(|layer| History {
        created: Time::from(layer.modified).to_rfc3339(),
        created_by: format!("/bin/sh -c #(nop) ADD file:{} in /", layer.diff_id.hex()),
        comment: COMMENT,
    });
    go_json::compact(&Config {
        created: Time::from(newest.unwrap_or(SystemTime::UNIX_EPOCH)).to_rfc3339(),
        architecture: own_arch(),
        os: std::env::consts::OS,
        rootfs: RootFs {
            kind: "layers",
            diff_ids: layers.iter().map(|layer| &layer.diff_id).collect(),
        },
        history: history.collect(),
    })
}

impl Layer {
    /// Digests a file as it is and unpacked; its time, unless that is given, is when it was
    /// written.
    fn read(path: &Path, modified: Option<SystemTime>) -> io::Result<Self> {
        let of_file = |error: hod_fsx::Error| io::Error::other(wording::of_file(&error).text);
        let file = hod_fsx::open(path).map_err(of_file)?;
        let stat = hod_fsx::stat(path).map_err(of_file)?;
        let mut raw = Hashed::new(file);
        let (compression, unpacked) = {
            let (compression, mut content) = decoder(&mut raw)?;
            let unpacked = match compression {
                Compression::None => None,
                _ => Some(hashed(&mut content)?),
            };
            (compression, unpacked)
        };
        // What follows the compressed data, or all.
        io::copy(&mut raw, &mut io::sink())?;
        let (digest, len) = raw.finish();
        Ok(Self {
            diff_id: unpacked.unwrap_or_else(|| digest.clone()),
            digest,
            len,
            media_type: match compression {
                Compression::None => LAYER,
                Compression::Zstd => LAYER_ZSTD,
                // OCI has no types for the others; this is what skopeo calls them.
                Compression::Gzip | Compression::Bzip2 | Compression::Xz => LAYER_GZIP,
            },
            modified: modified.or(stat.modified).unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    fn blob(&self) -> Blob<'_> {
        Blob {
            media_type: self.media_type,
            digest: &self.digest,
            size: self.len,
        }
    }
}

/// A file whose bytes are digested as they are read.
struct Hashed {
    file: File,
    hasher: DigestHasher,
    len: u64,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file,
            hasher: DigestHasher::new(Algorithm::Sha256),
            len: 0,
        }
    }

    fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.len)
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.len += n as u64;
        Ok(n)
    }
}

fn hashed(content: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = DigestHasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_image_is_made_of_layers_as_skopeo_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8], nanos: u32| {
            let path = dir.path().join(name);
            hod_fsx::write_file(&path, bytes).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, nanos);
            #[expect(clippy::disallowed_methods, reason = "a test sets a time")]
            let file = File::options().append(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
            path.display().to_string()
        };
        let plain = write("a.tar", b"tar", 0);
        let packed = zstd::encode_all(&b"tar"[..], 3).unwrap();
        let packed = write("b.tar.zst", &packed, 120_000_000);
        let made = make(&[plain, packed], None).unwrap();
        let hod_oci::ManifestBody::Image(image) = made.manifest.body() else {
            panic!("it is an image");
        };
        let types: Vec<&str> = image.layers.iter().map(|l| l.media_type.as_str()).collect();
        assert_eq!(types, [LAYER, LAYER_ZSTD]);
        let Some(FilePart::Bytes(config)) = made.parts.get(&image.config.digest) else {
            panic!("the configuration is in memory");
        };
        let hex = Digest::of(b"tar").hex().to_owned();
        let step = |time: &str| {
            format!(
                "{{\"created\":\"{time}\",\"created_by\":\"/bin/sh -c #(nop) ADD file:{hex} in /\",\
                 \"comment\":\"imported from tarball\"}}"
            )
        };
        let arch = own_arch();
        let expected = format!(
            "{{\"created\":\"2023-11-14T22:13:20.12Z\",\"architecture\":\"{arch}\",\"os\":\"linux\",\
             \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:{hex}\",\"sha256:{hex}\"]}},\
             \"history\":[{},{}]}}",
            step("2023-11-14T22:13:20Z"),
            step("2023-11-14T22:13:20.12Z")
        );
        assert_eq!(String::from_utf8(config.to_vec()).unwrap(), expected);
    }
}
