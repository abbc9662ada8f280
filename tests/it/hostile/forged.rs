//! Bundles whose every checksum is right, and whose list means harm.

use hod_oci::Digest;

use super::bundles::{check_refused, cut, site};

/// Replaces `from` by `to`, which is as long, everywhere; it must be there.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut n = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            n += 1;
        }
    }
    assert!(n > 0, "`{from}` is not there");
}

/// Where the content of a member of a tar is.
fn content(tar: &[u8], path: &str) -> std::ops::Range<usize> {
    let mut archive = tar::Archive::new(tar);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let entry = entries.find(|entry| entry.path_bytes() == path.as_bytes());
    let entry = entry.unwrap();
    let start = usize::try_from(entry.raw_file_position()).unwrap();
    start..start + usize::try_from(entry.size()).unwrap()
}

/// Edits `hod/bundle.json`, and makes every checksum right again.
fn forge(good: &[u8], edits: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = good.to_vec();
    let (bundle, volume) = (
        content(good, "hod/bundle.json"),
        content(good, "hod/volume.json"),
    );
    let digests = |tar: &[u8]| {
        (
            Digest::of(&tar[bundle.clone()]),
            Digest::of(&tar[volume.clone()]),
        )
    };
    let (old_bundle, old_volume) = digests(&tar);
    let id_at = bundle.start + br#"{"format":1,"id":"sha256:"#.len();
    let old_id = String::from_utf8(tar[id_at..id_at + 64].to_vec()).unwrap();

    for (from, to) in edits {
        replace(&mut tar[bundle.clone()], from, to);
    }
    tar[id_at..id_at + 64].fill(b'0');
    let id = Digest::of(&tar[bundle.clone()]);
    tar[id_at..id_at + 64].copy_from_slice(id.hex().as_bytes());
    for (from, to) in edits {
        let text = String::from_utf8(tar[volume.clone()].to_vec()).unwrap();
        if text.contains(from) {
            replace(&mut tar[volume.clone()], from, to);
        }
    }
    replace(&mut tar[volume.clone()], &old_id, id.hex());
    let (new_bundle, _) = digests(&tar);
    replace(&mut tar[volume.clone()], old_bundle.hex(), new_bundle.hex());
    let (_, new_volume) = digests(&tar);
    let head = 0..volume.start;
    replace(&mut tar[head], old_volume.hex(), new_volume.hex());
    tar
}

#[test]
fn a_forged_list_is_refused_by_what_it_says() {
    let (env, good) = site();
    // The forging itself is right: an edit that does no harm is found nowhere.
    let harmless = forge(&good, &[(r#""tool""#, r#""tool""#)]);
    assert!(harmless == good);

    let json = String::from_utf8(good[content(&good, "hod/bundle.json")].to_vec()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let blobs = value["blobs"].as_array().unwrap();
    let blob = blobs.last().unwrap();
    let (digest, size) = (blob["digest"].as_str().unwrap(), blob["size"].to_string());
    let listed = format!(r#""digest":"{digest}","size":{size}"#);
    let nines = "9".repeat(size.len());
    let resized = format!(r#""digest":"{digest}","size":{nines}"#);
    let hex = &digest[7..];
    let absent = format!("{}{}", &hex[..60], "ffff");
    let cases: [(&str, &[(&str, &str)], &str); 9] = [
        ("absolute", &[("README.txt", "/EADME.txt")], "/EADME.txt"),
        ("climbing", &[("README.txt", "../DME.txt")], "../DME.txt"),
        ("in the tree", &[("README.txt", "docker/abc")], "docker/abc"),
        ("in the head", &[("hosts.toml", "hod/x.toml")], ".toml"),
        ("repository", &[("zoo/zero", "../../zz")], "hod/bundle.json"),
        (
            "tag",
            &[(r#""tag":"1""#, r#""tag":"/""#)],
            "hod/bundle.json",
        ),
        ("format", &[(r#""format":1"#, r#""format":2"#)], "format"),
        ("size", &[(&listed, &resized)], hex),
        ("digest", &[(hex, &absent)], &hex[..60]),
    ];
    for (what, edits, name) in cases {
        check_refused(&env, &forge(&good, edits), (what, name));
    }
    assert!(!cut(&good).is_empty());
}
