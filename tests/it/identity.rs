//! Identity is the digest, sizes are compared, and an error belongs to its image: whatever the
//! order, the spelling and the verb.

mod names;
mod sizes;
mod units;

use hod_oci::{Digest, Manifest};
use serde_json::{Value, json};

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Blob, Image, ImageBuilder, Layer};

/// Writes an OCI layout of these images, each with a name, to the directory `path`.
fn write_layout(env: &TestEnv, path: &str, images: &[(&str, &Image)]) {
    let entry = |(name, image): &(&str, &Image)| {
        let top = image.top().descriptor();
        json!({
            "mediaType": top.media_type, "digest": top.digest, "size": top.size,
            "annotations": {"io.containerd.image.name": name},
        })
    };
    let entries: Vec<Value> = images.iter().map(entry).collect();
    let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    env.write(format!("{path}/index.json"), index);
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    env.write(format!("{path}/oci-layout"), version);
    for (_, image) in images {
        for blob in &image.blobs {
            write_blob(env, path, (&blob.digest, &blob.bytes));
        }
        for manifest in &image.manifests {
            write_blob(env, path, (manifest.digest(), manifest.bytes()));
        }
    }
}

fn write_blob(env: &TestEnv, layout: &str, (digest, bytes): (&Digest, &[u8])) {
    env.write(format!("{layout}/blobs/sha256/{}", digest.hex()), bytes);
}

/// A tar of what is in a directory.
fn write_tar(env: &TestEnv, dir: &str, to: &str) {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("", env.path(dir)).unwrap();
    env.write(to, builder.into_inner().unwrap());
}

/// An image of one layer that says another size of it than it has.
fn lying(seed: u64, layer: &Layer, more: i64) -> Image {
    let honest = ImageBuilder::docker(seed).layer(layer).build();
    let mut json: Value = serde_json::from_slice(honest.top().bytes()).unwrap();
    let size = json["layers"][0]["size"].as_i64().unwrap();
    json["layers"][0]["size"] = json!(size + more);
    let manifest = Manifest::parse(json.to_string().into_bytes().into(), None).unwrap();
    Image {
        manifests: vec![manifest],
        blobs: honest.blobs,
    }
}

fn blob_of(layer: &Layer) -> &Blob {
    &layer.blob
}

#[track_caller]
fn says(output: &Output, texts: &[&str]) {
    for text in texts {
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(all.contains(text), "no `{text}` in\n{all}");
    }
}
