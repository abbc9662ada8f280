//! Invalid indexes, and content that does not match the index.

use tar::Header;

use super::{at, check, good, honest};
use crate::format::volume::Member;
use crate::tests::sample::{Builder, index_of, noise};
use hod_oci::{Digest, MediaType};

#[test]
fn sizes_that_lie_are_refused() {
    let good = good();
    for (
        member,
        Member {
            path, offset, len, ..
        },
    ) in good.members.iter().enumerate().skip(2)
    {
        let mut header = Header::new_ustar();
        let block = at(*offset) - 512..at(*offset);
        header
            .as_mut_bytes()
            .copy_from_slice(&good.bytes[block.clone()]);
        for lie in [len + 1, len + 512, u64::MAX, 1 << 40] {
            header.set_size(lie);
            header.set_cksum();
            let mut bytes = good.bytes.clone();
            bytes[block.clone()].copy_from_slice(header.as_bytes());
            let expect = format!("member `{path}`: expected {len} bytes, found {lie}");
            if good.members[member].path.ends_with('/') {
                continue;
            }
            good.check(&bytes, &expect);
        }
    }
    // The index and the header are both wrong; the manifest shows it.
    let layer = good.find(Digest::of(&noise(1, 5000)).hex());
    let evil = good.rewrite(
        |bundle| bundle.replace("\"size\":5000", "\"size\":5001"),
        |volume| volume.replace("\"length\":5000", "\"length\":5001"),
    );
    let path = &good.members[layer].path;
    let [placed, ..] = good.refusals(&evil);
    assert_eq!(
        placed,
        format!(
            "bundle `{}` cannot be used: bundle member `{path}`: expected 5001 bytes, found 5000",
            good.sample.path("evil.tar").display()
        )
    );
    let mut header = Header::new_ustar();
    let block = at(good.members[layer].offset) - 512..at(good.members[layer].offset);
    header.as_mut_bytes().copy_from_slice(&evil[block.clone()]);
    header.set_size(5001);
    header.set_cksum();
    let mut evil = evil;
    evil[block].copy_from_slice(header.as_bytes());
    good.check_content(&evil, "with 5000 bytes, but the bundle has it with 5001");
    // The lists of the two json files do not agree.
    let evil = good.rewrite(str::to_owned, |v| {
        v.replace("\"length\":5000", "\"length\":4999")
    });
    good.check(
        &evil,
        &format!("member `{path}`: `hod/volume.json` lists it incorrectly"),
    );
    // Sums that overflow.
    for size in [u64::MAX, u64::MAX / 4 + 1] {
        let evil = good.rewrite(
            |bundle| bundle.replace("\"size\":5000", &format!("\"size\":{size}")),
            str::to_owned,
        );
        good.check(&evil, "the bundle is too large");
    }
}

#[test]
fn json_that_is_too_long_is_not_read() {
    let good = good();
    for (member, block) in [(0, 1024), (1, at(good.members[1].lead_offset))] {
        let mut header = Header::new_ustar();
        header
            .as_mut_bytes()
            .copy_from_slice(&good.bytes[block..block + 512]);
        header.set_size(1 << 40);
        header.set_cksum();
        let mut evil = good.bytes.clone();
        evil[block..block + 512].copy_from_slice(header.as_bytes());
        let path = &good.members[member].path;
        good.check(
            &evil,
            &format!("member `{path}`: it is larger than 67108864 bytes"),
        );
    }
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let good = good();
    let bundle = |from: &str, to: &str, expect: &str| good.check_json(from, to, expect);
    let layer = Digest::of(&noise(1, 5000));
    let config = Digest::of(b"{}");
    let manifest = good.sample.plan.images[0].digest.clone();
    bundle(
        "\"README.txt\"",
        "\"../../.ssh/x\"",
        "`../../.ssh/x` is not a safe path",
    );
    bundle(
        "\"README.txt\"",
        "\"/etc/passwd\"",
        "`/etc/passwd` is not a safe path",
    );
    bundle(
        "\"README.txt\"",
        "\"install.sh\"",
        "member `install.sh`: it occurs twice",
    );
    bundle(
        "\"README.txt\"",
        "\"docker/x\"",
        "member `docker/x`: its path is reserved",
    );
    bundle("\"a/b\"", "\"a/../b\"", "repository name `a/../b` has `..`");
    bundle(
        "\"tag\":\"1\"",
        "\"tag\":\"../1\"",
        "`../1` is not a valid tag",
    );
    bundle(
        "\"name\":\"sample\"",
        "\"name\":\"\\u001b[2J\"",
        "the name of the bundle is empty",
    );
    bundle("\"format\":1,", "\"format\":2,", "bundle has format 2");
    bundle(
        "\"raw\"",
        "\"zstd:chunked\"",
        "in the encoding `zstd:chunked`",
    );
    bundle("\"offset\":", "\"offset\":1", "expected at offset 1");
    bundle(
        &format!("\"digest\":\"{layer}\""),
        &format!("\"digest\":\"{config}\""),
        &format!("blob `{config}` of the bundle is listed twice or out of order"),
    );
    bundle(
        &format!("[\"{config}\""),
        &format!("[\"{}\"", Digest::of(b"nowhere")),
        &format!(
            "image `a/b:1` of the bundle requires `{}`",
            Digest::of(b"nowhere")
        ),
    );
    bundle(
        &format!("\"manifests\":[\"{manifest}\"]"),
        "\"manifests\":[]",
        "image `a/b:1` of the bundle does not list its own manifest last",
    );
    bundle(
        "\"media_type\":\"application/vnd.oci.image.manifest.v1+json\"",
        "\"media_type\":\"text/html\"",
        "image `a/b:1` of the bundle has the media type `text/html`",
    );
    bundle(
        "\"manifest\":true",
        "\"manifest\":false",
        "is listed in volumes that cannot contain it",
    );
    bundle(
        "{\"format\"",
        "[\"format\"",
        "member `hod/bundle.json` is invalid",
    );
    // A second `blobs` hides the first from some readers.
    bundle("\"base\":[]", "\"blobs\":[]", "duplicate field `blobs`");
}

#[test]
fn places_and_bases_that_make_no_sense_are_refused() {
    let good = good();
    let bundle = |from: &str, to: &str, expect: &str| good.check_json(from, to, expect);
    let layer = Digest::of(&noise(1, 5000));
    bundle(
        "\"volume\":1",
        "\"volume\":2",
        "is listed in volumes that cannot contain it",
    );
    bundle(
        "\"volume\":1,\"offset\"",
        "\"ffset\"",
        "is listed without a location, or with two",
    );
    bundle(
        "\"manifest\":true,",
        "\"manifest\":true,\"volume\":1,",
        "is listed in volumes that cannot contain it",
    );
    bundle(
        "\"volumes\":1",
        "\"volumes\":0",
        "volumes, expected 1 to 9999",
    );
    bundle(
        "\"volumes\":1",
        "\"volumes\":2",
        "`hod/volume.json` lists it incorrectly",
    );
    bundle(
        "\"base\":[]",
        "\"base\":[7]",
        "member `hod/bundle.json` is invalid",
    );
    let base = |digest: &Digest, held: &str| {
        format!("\"base\":[{{\"digest\":\"{digest}\",\"size\":5000,\"held\":[{held}]}}]")
    };
    bundle(
        "\"base\":[]",
        &base(&layer, ""),
        &format!("blob `{layer}` of the bundle is listed twice or out of order"),
    );
    let other = Digest::of(b"nowhere");
    bundle(
        "\"base\":[]",
        &base(&other, ""),
        &format!("blob `{other}` of the bundle does not belong to any image"),
    );
    bundle(
        "\"base\":[]",
        &base(&other, "{\"origin\":0,\"repositories\":[]}"),
        "but its origin is not listed",
    );
}

#[test]
fn a_volume_list_that_says_otherwise_is_refused() {
    let good = good();
    let volume = |from: &str, to: &str, expect: &str| {
        assert!(good.volume_json.contains(from), "{}", good.volume_json);
        let evil = good.rewrite(str::to_owned, |json| json.replace(from, to));
        good.check(&evil, expect);
    };
    volume("\"format\":1", "\"format\":3", "bundle has format 3");
    volume(
        "\"count\":1",
        "\"count\":4",
        "member `hod/bundle.json`: `hod/volume.json` lists it incorrectly",
    );
    for (from, to) in [
        ("\"index\":1", "\"index\":0"),
        ("\"index\":1", "\"index\":2"),
        ("\"count\":1", "\"count\":70000"),
    ] {
        let expect = "member `hod/volume.json`: `hod/volume.json` lists it incorrectly";
        volume(from, to, expect);
    }
    volume(
        "\"README.txt\"",
        "\"../README.x\"",
        "member `../README.x`: `hod/volume.json` lists",
    );
    let id = good.bundle_json[18..89].to_owned();
    let other = Digest::of(b"other");
    volume(
        &id,
        other.as_str(),
        "member `hod/bundle.json`: `hod/volume.json` lists it incorrectly",
    );
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    let mut good = good();
    // Within the padding of the json, so that no offset changes.
    let text = "\"base\":[],\"x\":1";
    good.bytes = good.rewrite(|json| json.replace("\"base\":[]", text), str::to_owned);
    let path = good.sample.path("later.tar");
    hod_fsx::write_file(&path, &good.bytes).unwrap();
    assert_eq!(check(&path).unwrap().problems, [""; 0]);
}

#[test]
fn images_that_are_not_complete_are_refused() {
    // A layer that the manifest names and the list does not.
    let mut builder = Builder::new();
    let (manifest, mut blobs) = builder.manifest(b"{}", &[b"layer"]);
    let layer = blobs.pop().unwrap();
    builder.list("a:1", MediaType::OCI_MANIFEST, vec![manifest], blobs);
    let mut sample = builder.finish();
    sample.plan.blobs.retain(|blob| blob.digest != layer);
    let good = honest(sample);
    good.check_content(
        &good.bytes,
        &format!("image `a:1` of the bundle requires `{layer}`"),
    );

    // A blob as a manifest that is none.
    let mut builder = Builder::new();
    let none = builder.blob(b"none", true);
    builder.list("a:1", MediaType::OCI_MANIFEST, vec![none.clone()], vec![]);
    let good = honest(builder.finish());
    good.check_content(
        &good.bytes,
        &format!("manifest `{none}` of the bundle cannot be read"),
    );

    // An index without any of its images; one with some is fine.
    let mut builder = Builder::new();
    let (child, blobs) = builder.manifest(b"{}", &[b"layer"]);
    let absent = Digest::of(b"absent");
    let empty = index_of(&mut builder, &[&absent]);
    let sparse = index_of(&mut builder, &[&absent, &child]);
    builder.list("a:1", MediaType::OCI_INDEX, vec![empty.clone()], vec![]);
    builder.list("b:1", MediaType::OCI_INDEX, vec![child, sparse], blobs);
    let good = honest(builder.finish());
    let [_, verified, ..] = good.refusals(&good.bytes);
    let expect =
        format!("image `a:1` of the bundle has the index `{empty}`, but none of its images");
    assert_eq!(verified, expect);
    let notes = check(&good.sample.path("good.tar")).unwrap().notes;
    assert_eq!(notes, ["image `b:1` has 1 of the 2 manifests of its index"]);

    // A top manifest under another media type than its own.
    let good = self::good();
    let evil = good.rewrite(
        |json| {
            json.replace(
                "oci.image.manifest.v1+json\",\"manifests\"",
                "oci.image.index.v1+json\",\"manifests\"",
            )
        },
        str::to_owned,
    );
    good.refusals(&evil);
}
