//! A dry run finds what the real run finds: how much is missing, and what cannot be had.

use hod_store::Store;
use serde_json::Value;

use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::tree;

fn images() -> [Image; 2] {
    let shared = layer(50, 4_000, Compression::Uncompressed);
    [1, 2].map(|seed| {
        let own = layer(50 + seed, 3_000, Compression::Gzip);
        ImageBuilder::oci(seed).layer(&shared).layer(&own).build()
    })
}

/// What a target has before the run.
#[derive(Debug, Clone, Copy)]
enum State {
    Empty,
    /// One of two images.
    Half,
    All,
    /// All, with a layer that was changed.
    Damaged,
    /// All, with a layer that was cut.
    Cut,
}

const STATES: [State; 5] = [
    State::Empty,
    State::Half,
    State::All,
    State::Damaged,
    State::Cut,
];

/// Makes `target` from the store `full`.
fn prepare(env: &TestEnv, state: State) {
    let [one, two] = images();
    let name = match state {
        State::Empty => return,
        _ => env.store("target"),
    };
    one.put_in(&name, "a/one:1");
    if let State::Half = state {
        return;
    }
    two.put_in(&name, "a/two:1");
    let own = two.blobs.last().unwrap();
    let path = name.blob_path(&own.digest);
    match state {
        State::Damaged => {
            let mut bytes = own.bytes.to_vec();
            bytes[9] ^= 1;
            hod_fsx::write_file(&path, &bytes).unwrap();
            let range = name.open_unverified(&own.digest).unwrap().unwrap();
            name.record_damaged(&range);
        }
        State::Cut => hod_fsx::write_file(&path, b"short").unwrap(),
        _ => {}
    }
}

#[test]
fn a_dry_run_counts_what_the_real_run_moves() {
    for verb in ["pull", "select", "select --link copy", "select --replace"] {
        for state in STATES {
            let env = TestEnv::in_memory();
            let registry = TestRegistry::start();
            let full = env.store("full");
            for (image, name) in images().iter().zip(["a/one:1", "a/two:1"]) {
                image.put_in(&full, name);
                registry.add(name, image);
            }
            drop(full);
            env.write("list.txt", "a/one:1\na/two:1\n");
            prepare(&env, state);
            let line = match verb.split_once(' ') {
                None if verb == "pull" => {
                    format!("pull list.txt --store target --source {}", registry.host())
                }
                other => {
                    let rest = other.map_or("", |(_, rest)| rest);
                    format!("select list.txt --store full --output target {rest}")
                }
            };
            let what = format!("{verb}, {state:?}");
            let before = tree(&env.work());
            let run = |rest: &str| {
                let output = env.run_line(&format!("--json {line} {rest}")).success();
                serde_json::from_str::<Value>(&output.stdout).unwrap()
            };
            let dry = run("--dry-run");
            assert_eq!(tree(&env.work()), before, "{what}");
            let real = run("");
            let number = |value: &Value| value.as_u64().unwrap();
            let moved = number(&real["moved_bytes"]) + number(&real["linked_bytes"]);
            assert_eq!(number(&dry["would_move"]["bytes"]), moved, "{what}: {real}");
            let again = run("--dry-run");
            assert_eq!(number(&again["would_move"]["bytes"]), 0, "{what}");
        }
    }
}

#[test]
fn a_dry_run_of_a_selection_finds_what_the_store_lacks() {
    for (harm, code) in [("gone", 3), ("cut", 4), ("damaged", 4)] {
        let env = TestEnv::in_memory();
        let full = env.store("full");
        let [one, two] = images();
        one.put_in(&full, "a/one:1");
        two.put_in(&full, "a/two:1");
        let own = two.blobs.last().unwrap();
        let path = full.blob_path(&own.digest);
        match harm {
            "gone" => hod_fsx::remove_file(&path).unwrap(),
            "cut" => hod_fsx::write_file(&path, b"short").unwrap(),
            _ => {
                let mut bytes = own.bytes.to_vec();
                bytes[9] ^= 1;
                hod_fsx::write_file(&path, &bytes).unwrap();
                full.record_damaged(&full.open_unverified(&own.digest).unwrap().unwrap());
            }
        }
        drop(full);
        env.write("list.txt", "a/one:1\na/two:1\n");
        for rest in ["", "--link copy", "--replace"] {
            let line = format!("select list.txt --store full --output target {rest}");
            for rest in ["--dry-run", ""] {
                let output = env.run_line(&format!("{line} {rest}"));
                let said = &output.stderr;
                assert_eq!(output.code, Some(code), "{harm}: {line} {rest}: {said}");
                assert!(said.contains(own.digest.hex()), "{harm}: {said}");
            }
            let made = Store::open(&env.path("target")).unwrap().images().unwrap();
            assert_eq!(made.images.len(), 1, "{harm}");
        }
    }
}
