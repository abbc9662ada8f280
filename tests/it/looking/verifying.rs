//! `hod verify` of registries and of parts of local sources.

use std::process::Stdio;

use hod_oci::Digest;

use super::Site;
use hod_testkit::env::finish;
use hod_testkit::faults::{Effect, Fault, blob_path, path_contains};

/// The two layers of `acme/api:1` and its config: one that only this image has, and the shared one.
fn layers(site: &Site) -> [Digest; 3] {
    let blobs = site.api.top().stored_blobs();
    let digests: Vec<Digest> = blobs.map(|blob| blob.digest.clone()).collect();
    digests.try_into().unwrap()
}

fn damage(site: &Site, digest: &Digest, change: impl FnOnce(&mut Vec<u8>)) {
    let path = site.registry.store().blob_path(digest);
    let mut bytes = hod_fsx::read(&path, 1 << 20).unwrap();
    change(&mut bytes);
    // In place of a file that may be shared.
    hod_fsx::remove_file(&path).unwrap();
    hod_fsx::write_file(&path, &bytes).unwrap();
}

#[test]
fn damage_at_a_registry_is_found() {
    for (what, shallow, deep) in [
        ("missing", true, true),
        ("cut short", true, true),
        ("longer", true, true),
        ("flipped", false, true),
    ] {
        let site = Site::new();
        let [_, _, own] = layers(&site);
        match what {
            "missing" => hod_fsx::remove_file(&site.registry.store().blob_path(&own)).unwrap(),
            "cut short" => damage(&site, &own, |bytes| bytes.truncate(10)),
            "longer" => damage(&site, &own, |bytes| bytes.push(0)),
            _ => damage(&site, &own, |bytes| bytes[100] ^= 1),
        }
        let image = format!("{}/acme/api:1", site.place());
        for (flags, is_found) in [("", shallow), ("--deep", deep)] {
            let line = format!("verify {} {flags}", site.place());
            let output = site.env.run_line(&line);
            if !is_found {
                let _ = output.success();
                continue;
            }
            let output = output.exits(4);
            let lines: Vec<&str> = output.stdout.lines().collect();
            assert_eq!(lines.len(), 1, "{what} {flags}: {output:?}");
            assert!(lines[0].starts_with(&image), "{what} {flags}: {output:?}");
            assert!(
                lines[0].contains(own.as_str()),
                "{what} {flags}: {output:?}"
            );
            // Other images are whole.
            let web = format!("verify {}/acme/web:1 {flags}", site.place());
            let _ = site.env.run_line(&web).success();
        }
    }
}

#[test]
fn every_part_of_an_image_is_verified() {
    let site = Site::new();
    let sbom = hod_testkit::referrers::about(site.api.top(), "x/sbom", 2);
    site.registry.add("p/acme/api", &sbom);
    let place = site.place();
    let _ = site.env.run_line(&format!("verify {place}")).success();
    // A child of an index, a config, and a layer of a referrer.
    let child = site.web.manifests[0].digest().clone();
    let config = layers(&site)[0].clone();
    let of_referrer = sbom.blobs.last().unwrap().digest.clone();
    for digest in [&child, &config, &of_referrer] {
        let gone = Fault::on("*", path_contains(digest.to_string())).does(Effect::Status(404));
        site.registry.fail(gone);
    }
    for flags in ["", "--deep"] {
        let line = format!("verify {place} {flags}");
        let output = site.env.run_line(&line).exits(4);
        for digest in [&child, &config, &of_referrer] {
            assert!(
                output.stdout.contains(digest.as_str()),
                "{digest}: {output:?}"
            );
        }
        let line = format!("verify {place}/acme/api:1 --no-referrers {flags}");
        let output = site.env.run_line(&line).exits(4);
        assert!(!output.stdout.contains(of_referrer.as_str()), "{output:?}");
    }
}

#[test]
fn a_line_that_is_cut_is_no_damage() {
    let site = Site::new();
    let cut = Fault::on("GET", blob_path).once_each();
    site.registry.fail(cut.does(Effect::CutBody(50)));
    let flipped = Fault::on("GET", blob_path).nth(3);
    site.registry.fail(flipped.does(Effect::FlipByte));
    let line = format!("verify {} --deep --json", site.place());
    let output = site.env.run_line(&line).success();
    let found: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(found["problems"], serde_json::json!([]));
    assert!(found.get("unhashed_bytes").is_none(), "{found}");
}

/// Some servers answer every HEAD with a length of 0, and some know no HEAD at all.
#[test]
fn a_head_that_lies_is_not_believed() {
    for effect in [
        Effect::Header("content-length", "0".to_owned()),
        Effect::Status(405),
    ] {
        let site = Site::new();
        site.registry
            .fail(Fault::on("HEAD", blob_path).does(effect.clone()));
        let output = site.env.run_line(&format!("verify {}", site.place()));
        assert_eq!(output.code, Some(0), "{effect:?}: {output:?}");
    }
}

#[test]
fn a_list_narrows_what_is_verified_of_a_local_source() {
    let site = Site::new();
    let env = &site.env;
    for line in [
        "pack store --output all.tar --no-tool",
        "pack store --output all.tar.zst --no-tool",
        "export store --format oci --output oci",
        "export store --output layouts",
    ] {
        env.run_line(line).success();
    }
    env.write("web.txt", "acme/web:1\n");
    env.write("api.txt", "acme/api:1\n");
    for word in ["store", "all.tar", "all.tar.zst", "oci", "layouts"] {
        let verified = site.json(&format!("verify {word} --only web.txt"));
        assert_eq!(verified["n_images"], 1, "{word}");
        assert_eq!(verified["problems"], serde_json::json!([]), "{word}");
        let bytes = verified["bytes"].as_u64().unwrap();
        assert_eq!(bytes, site.web.blobs_len(), "{word}");
    }
    let mut piped = env.hod();
    piped
        .args(["verify", "-", "--only", "web.txt"])
        .stdin(Stdio::from(hod_fsx::open(&env.path("all.tar")).unwrap()));
    let _ = finish(&mut piped).success();
    // A layer of the one image only.
    let own = &layers(&site)[2];
    let path = env.store("store").blob_path(own);
    let bytes = hod_fsx::read(&path, 1 << 20).unwrap();
    let offset = |bundle: &[u8]| {
        let mut windows = bundle.windows(bytes.len());
        windows.position(|window| window == bytes).unwrap()
    };
    let mut bundle = hod_fsx::read(&env.path("all.tar"), 1 << 24).unwrap();
    let at = offset(&bundle);
    bundle[at + 50] ^= 1;
    env.write("all.tar", &bundle);
    hod_fsx::remove_file(&path).unwrap();
    let mut damaged = bytes;
    damaged[50] ^= 1;
    hod_fsx::write_file(&path, &damaged).unwrap();
    for word in ["store", "all.tar"] {
        let _ = env.run_line(&format!("verify {word}")).exits(4);
        let _ = env
            .run_line(&format!("verify {word} --only web.txt"))
            .success();
        let output = env
            .run_line(&format!("verify {word} --only api.txt"))
            .exits(4);
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "{word}: {output:?}");
        assert!(lines[0].starts_with("acme/api:1: "), "{word}: {output:?}");
    }
    let mut piped = env.hod();
    piped
        .args(["verify", "-", "--only", "api.txt"])
        .stdin(Stdio::from(hod_fsx::open(&env.path("all.tar")).unwrap()));
    let _ = finish(&mut piped).exits(4);
}

#[test]
fn a_delta_is_verified_without_what_its_target_has() {
    let site = Site::new();
    let env = &site.env;
    env.write("api.txt", "acme/api:1\n");
    for line in [
        "pack api.txt --store store --output old.tar --no-tool",
        "pack store --since old.tar --output delta.tar --no-tool",
        "verify delta.tar --only list.txt",
    ] {
        env.run_line(line).success();
    }
    let listed = site.json("ls delta.tar --only list.txt");
    let whole = site.json("ls delta.tar");
    for key in ["images", "total_bytes", "common_bytes"] {
        assert_eq!(listed[key], whole[key], "{key}");
    }
}
