//! Damage in what is on this machine: every verb ends with 4 and names the file.

use std::path::Path;

use hod_oci::Digest;

use super::sources::{damage, layer_of};
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, ImageBuilder, image, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{files, read};

/// The kinds of sources, how each is made, and the verbs that read it.
const KINDS: [(&str, &str, &[&str]); 5] = [
    (
        "dirs",
        "export good --output dirs",
        &["push", "export", "verify"],
    ),
    (
        "oci",
        "export good --output oci --format oci",
        &["push", "pack", "export", "unpack", "verify"],
    ),
    (
        "oci.tar",
        "export good --output oci.tar --format oci-archive",
        &["push", "pack", "export", "unpack", "verify"],
    ),
    (
        "docker.tar",
        "export good --output docker.tar --format docker-archive",
        &["push", "pack", "export", "unpack", "verify"],
    ),
    // A tree of a registry.
    (
        "tree",
        "select list.txt --store good --output tree --link copy",
        &["push", "pack", "export", "verify"],
    ),
];

/// Cuts in half whatever file is `content`.
fn cut(root: &Path, content: &[u8]) {
    let found = files(root).into_iter().find(|path| read(path) == content);
    let path = found.expect("a file has it");
    hod_fsx::remove_file(&path).unwrap();
    hod_fsx::write_file(&path, &content[..content.len() / 2]).unwrap();
}

#[test]
fn every_verb_ends_with_4_and_names_the_file() {
    let bad = ImageBuilder::docker(731)
        .layer(&layer(731, 40_000, Compression::Uncompressed))
        .build();
    let config = bad.blobs.iter().min_by_key(|blob| blob.bytes.len());
    let parts = [
        ("manifest", bad.top().bytes().to_vec()),
        ("config", config.unwrap().bytes.to_vec()),
        ("layer", layer_of(&bad).bytes.to_vec()),
    ];
    for (kind, made_by, verbs) in KINDS {
        for (part, content) in &parts {
            // Nothing in such an archive is the manifest that a registry has.
            if kind == "docker.tar" && *part == "manifest" {
                continue;
            }
            let env = TestEnv::new();
            let store = env.store("good");
            image(730).put_in(&store, "a/good:1");
            bad.put_in(&store, "a/bad:1");
            drop(store);
            env.write("list.txt", "a/good:1\na/bad:1\n");
            env.run_line(made_by).success();
            let root = env.path(kind);
            let hurt = if kind == "dirs" && *part == "manifest" {
                // Nothing says what its digest should be.
                cut(&root, content);
                "manifest.json".to_owned()
            } else {
                let hurt = damage(&root, content);
                assert!(!hurt.is_empty(), "{kind} {part}");
                let name = hurt[0].strip_prefix(env.work()).unwrap();
                name.display().to_string()
            };
            for verb in verbs {
                let registry = TestRegistry::start();
                let line = match *verb {
                    "push" => format!("push {kind} {} --retries 0", registry.host()),
                    "pack" => format!("pack {kind} --output out.tar --no-tool"),
                    // A link to a file of a tree without stamps is made unread, for speed.
                    "export" if kind == "tree" => "export tree --output out --link copy".to_owned(),
                    "export" => format!("export {kind} --output out"),
                    "unpack" => format!("unpack {kind} --output unpacked"),
                    verb => format!("{verb} {kind}"),
                };
                let output = env.run_line(&line);
                let said = [output.stdout, output.stderr].concat();
                assert_eq!(output.code, Some(4), "{part}: {line}: {said}");
                let digest = Digest::of(content);
                let is_named = said.contains(&hurt) || said.contains(digest.hex());
                assert!(is_named, "{part}: {line}: {hurt}: {said}");
            }
        }
    }
}
