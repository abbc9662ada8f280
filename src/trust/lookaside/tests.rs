//! Tables of what containers/image 5.39 says; `tests/lookaside` has its answers.

use std::path::Path;

use super::{
    Lookaside, LookasideError, RegistriesD, RegistriesDPaths, SignatureLocation, SignatureSettings,
};
use crate::signature::Signature;
use hod_oci::Digest;

fn read(dir: &Path) -> Result<RegistriesD, LookasideError> {
    let paths = RegistriesDPaths {
        explicit: Some(dir.to_owned()),
        home: None,
    };
    paths.read()
}

fn settings(registries: &RegistriesD, image: &str) -> SignatureSettings {
    let image = image.parse::<crate::DockerName>().unwrap().or_latest();
    registries.settings(&image).unwrap()
}

#[test]
fn each_setting_is_that_of_the_most_specific_namespace() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lookaside/registries.d");
    let registries = read(&dir).unwrap();
    for row in include_str!("../tests/lookaside/table.txt").lines() {
        let [image, read, write, attachments] =
            <[&str; 4]>::try_from(row.split('\t').collect::<Vec<_>>()).unwrap();
        if read == "file:relative" {
            // There containers/image appends a path that it then does not show.
            let image = image.parse::<crate::DockerName>().unwrap().or_latest();
            assert!(registries.settings(&image).is_err());
            continue;
        }
        let found = settings(&registries, image);
        assert_eq!(found.read.url().as_str(), read, "{row}");
        assert_eq!(found.write.url().as_str(), write, "{row}");
        let expect = attachments == "true <nil>";
        assert_eq!(found.use_sigstore_attachments, expect, "{row}");
    }
}

#[test]
fn yaml_is_read_alike() {
    let root = tempfile::tempdir().unwrap();
    for row in include_str!("../tests/lookaside/yaml.txt").lines() {
        let (text, expect) = row.split_once('\t').unwrap();
        let text = text.replace("\\n", "\n").replace("\\t", "\t");
        hod_fsx::write_file(&root.path().join("a.yaml"), text.as_bytes()).unwrap();
        let image = "x.y/z:1".parse().unwrap();
        let found = read(root.path()).and_then(|registries| registries.settings(&image));
        let found = found.map(|found| {
            let url = found.read.url();
            format!("{} {}", url.as_str(), found.use_sigstore_attachments)
        });
        match found {
            Ok(found) => assert_eq!(found, expect, "{text}"),
            Err(error) => assert!(
                expect == "error" || expect == "a:b:c false",
                "{text}: {error}"
            ),
        }
    }
}

#[test]
fn one_thing_is_said_once() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        hod_fsx::write_file(&root.path().join(name), text.as_bytes()).unwrap();
    };
    let error = || {
        let error = read(root.path()).unwrap_err().to_string();
        error.replace(root.path().to_str().unwrap(), "")
    };
    assert!(read(&root.path().join("none")).is_ok());
    write("a.yaml", "default-docker: {}\ndocker: {x.y: {}}");
    write("b.yaml", "default-docker: {}");
    assert_eq!(
        error(),
        "Error parsing signature storage configuration: \"default-docker\" defined both in \
         \"/a.yaml\" and \"/b.yaml\""
    );
    write("b.yaml", "docker: {x.y: {}}");
    assert_eq!(
        error(),
        "Error parsing signature storage configuration: \"docker\" namespace \"x.y\" defined both in \
         \"/a.yaml\" and \"/b.yaml\""
    );
    write("b.yaml", "docker: &a {}\n\ndefault-docker: *a");
    assert_eq!(
        error(),
        "parsing /b.yaml: line 3: aliases are not supported"
    );
    write("b.yaml", "docker:\n  <<: {}\n");
    assert_eq!(
        error(),
        "parsing /b.yaml: line 2: merge keys are not supported"
    );
    write("b.yaml", &format!("a: {}", "[".repeat(100)));
    assert_eq!(
        error(),
        "parsing /b.yaml: line 1: the values are nested too deeply"
    );
}

#[test]
fn the_users_own_directory_comes_first() {
    let home = tempfile::tempdir().unwrap();
    let paths = RegistriesDPaths {
        explicit: None,
        home: Some(home.path().to_owned()),
    };
    let file = home.path().join(".config/containers/registries.d/a.yaml");
    hod_fsx::write_file(&file, b"default-docker: {lookaside: file:///own}").unwrap();
    let found = settings(&paths.read().unwrap(), "x.y/z:1");
    assert_eq!(found.read.url().as_str(), "file:///own/z");
}

/// Reads the signatures of a manifest from files.
fn stored(storage: &Lookaside, manifest: &Digest) -> Result<Vec<Signature>, LookasideError> {
    let mut signatures = Vec::new();
    for location in storage.locations(manifest) {
        let SignatureLocation::File(path) = location? else {
            panic!("a file");
        };
        match SignatureLocation::read_file(&path)? {
            Some(signature) => signatures.push(signature),
            None => break,
        }
    }
    Ok(signatures)
}

#[test]
fn signatures_are_stored_read_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("with space");
    let url = format!("file://{}", dir.display().to_string().replace(' ', "%20"));
    let storage = Lookaside::new(&url, "ns/app").unwrap();
    let manifest = Digest::of(b"{}");
    let of = |bytes: &[u8]| Signature::SimpleSigning(bytes.to_owned());
    let (one, two) = (of(&[0xa3, 1]), of(&[0xa3, 2]));
    assert_eq!(stored(&storage, &manifest).unwrap(), []);
    storage.write(&manifest, &[]).unwrap();
    storage
        .write(&manifest, &[one.clone(), two.clone()])
        .unwrap();
    let path = dir.join(format!("ns/app@sha256={}/signature-2", manifest.hex()));
    assert_eq!(
        storage.location(&manifest, 2).unwrap(),
        SignatureLocation::File(path.clone())
    );
    assert_eq!(hod_fsx::read(&path, 10).unwrap(), two.to_blob());
    assert_eq!(
        stored(&storage, &manifest).unwrap(),
        [one.clone(), two.clone()]
    );
    // Fewer than there were.
    storage
        .write(&manifest, std::slice::from_ref(&two))
        .unwrap();
    assert_eq!(stored(&storage, &manifest).unwrap(), [two]);
    hod_fsx::write_file(&path, b"none").unwrap();
    assert!(matches!(
        stored(&storage, &manifest),
        Err(LookasideError::Format { .. })
    ));
    storage.remove(&manifest).unwrap();
    assert_eq!(stored(&storage, &manifest).unwrap(), []);
    storage.remove(&manifest).unwrap();
    storage.write(&manifest, &vec![one; 128]).unwrap();
    assert!(matches!(
        stored(&storage, &manifest),
        Err(LookasideError::TooMany { count: 128 })
    ));
}

#[test]
fn other_storage_is_named_and_not_written() {
    let manifest = Digest::of(b"{}");
    let hex = manifest.hex();
    let http = Lookaside::new("https://user:secret@h.org/a?b=c", "ns/app").unwrap();
    let url = format!("https://user:secret@h.org/a/ns/app@sha256={hex}/signature-3?b=c");
    let Ok(SignatureLocation::Http(found)) = http.location(&manifest, 3) else {
        panic!("a URL");
    };
    assert_eq!(found.as_str(), url);
    assert!(!format!("{found} {found:?} {http:?}").contains("secret"));
    let signatures = [Signature::SimpleSigning(vec![0xa3])];
    let error = http.write(&manifest, &signatures).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "Writing directly to a https lookaside https://user:xxxxx@h.org/a/ns/app@sha256={hex}/\
             signature-1?b=c is not supported. Configure a lookaside-staging: location"
        )
    );
    assert_eq!(http.remove(&manifest).unwrap_err().to_string(), error);
    for (url, reads) in [("ftp://h/x", "ftp://h/x"), ("/plain", "/plain")] {
        let storage = Lookaside::new(url, "ns/app").unwrap();
        let error = storage.location(&manifest, 1).unwrap_err().to_string();
        let expect = format!("{reads}/ns/app@sha256={hex}/signature-1");
        assert_eq!(
            error,
            format!("Unsupported scheme when reading signature from {expect}")
        );
        let error = storage
            .write(&manifest, &signatures)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("Unsupported scheme when writing signature to {expect}")
        );
        let error = storage.remove(&manifest).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("Unsupported scheme when deleting signature from {expect}")
        );
    }
    let wrong = Lookaside::new("file:///a\nb", "x").unwrap_err().to_string();
    assert_eq!(wrong, "Invalid signature storage URL file:///a\\x0ab");
}
