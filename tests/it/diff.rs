//! `hod diff`: what differs, and what a delta would weigh.

use serde_json::Value;

use crate::ls::three;
use hod_testkit::env::TestEnv;
use hod_testkit::images::{Compression, ImageBuilder, layer};

fn differ(env: &TestEnv, line: &str) -> Value {
    let output = env.run_line(&format!("diff {line} --json")).success();
    serde_json::from_str(&output.stdout).unwrap()
}

/// `old.tar` has three images; in `new.tar`, one is gone, one has a new layer, one is new.
fn two(env: &TestEnv) {
    three(env);
    fsx_rename(env, "site.tar", "old.tar");
    let store = env.store("store");
    ImageBuilder::oci(10)
        .layer(&layer(1, 3_000, Compression::Gzip))
        .layer(&layer(99, 5_000, Compression::Gzip))
        .build()
        .put_in(&store, "acme/api:1");
    ImageBuilder::oci(70)
        .layer(&layer(1, 3_000, Compression::Gzip))
        .build()
        .put_in(&store, "acme/new:1");
    env.write("new.txt", "# first\nacme/api:1\n\nacme/web:1\nacme/new:1\n");
    let _ = env
        .run_line("pack new.txt --store store --output new.tar")
        .success();
}

fn fsx_rename(env: &TestEnv, from: &str, to: &str) {
    hod_fsx::rename(&env.path(from), &env.path(to)).unwrap();
}

#[test]
fn images_and_layers_are_told_apart() {
    let env = TestEnv::in_memory();
    two(&env);
    let output = env
        .run_line("diff old.tar new.tar --list new.txt")
        .success();
    insta::assert_snapshot!(output.snapshot(&[]), @"
    exit code: 0
    --- stdout
       IMAGE       OLD           NEW           NEW LAYERS  LINE
    ~  acme/api:1  2033525d81e5  186653788ba6     6.8 KiB  new.txt:2
    -  acme/cli:1  44a3ed579170  -                    0 B
    +  acme/new:1  -             1cd88aa2eb49       198 B  new.txt:5
    --- stderr
    1 image added, 1 removed, 1 changed, 1 unchanged; layers and configs: 3 of 7.0 KiB added, 4 of 5.5 KiB removed, 3 of 15.3 KiB shared; a delta would be 8.7 KiB
    ");
    // The other way round.
    let back = differ(&env, "new.tar old.tar");
    let there = differ(&env, "old.tar new.tar");
    assert_eq!(back["added"], there["removed"]);
    assert_eq!(back["removed"], there["added"]);
    assert_eq!(back["shared"], there["shared"]);
}

#[test]
fn the_kind_of_source_makes_no_difference() {
    let env = TestEnv::in_memory();
    two(&env);
    let _ = env.run_line("unpack old.tar --output old").success();
    let _ = env.run_line("unpack new.tar --output new").success();
    let _ = env.run_line("export new.tar --output layouts").success();
    let bundles = differ(&env, "old.tar new.tar");
    for line in ["old new", "old.tar new", "old new.tar", "old layouts"] {
        let other = differ(&env, line);
        for key in [
            "images",
            "n_unchanged",
            "added",
            "removed",
            "shared",
            "delta_bytes",
        ] {
            assert_eq!(other[key], bundles[key], "{line}: {key}");
        }
    }
}

#[test]
fn equal_sources_do_not_differ_and_the_exit_code_says_so() {
    let env = TestEnv::in_memory();
    two(&env);
    let same = env.run_line("diff new.tar new.tar --exit-code").success();
    assert_eq!(same.stdout, "");
    let _ = env.run_line("diff old.tar new.tar").success();
    let _ = env.run_line("diff old.tar new.tar --exit-code").exits(1);
    let _ = env.run_line("diff old.tar none.tar --exit-code").exits(2);
}

#[test]
fn a_receipt_stands_for_what_its_target_has() {
    let env = TestEnv::in_memory();
    two(&env);
    let bundles = differ(&env, "old.tar new.tar");
    for flags in ["", "--compact"] {
        let _ = env
            .run_line(&format!("receipt old.tar --output have {flags}"))
            .success();
        let receipt = differ(&env, "have new.tar");
        for key in ["added", "shared", "delta_bytes"] {
            assert_eq!(receipt[key], bundles[key], "{key}");
        }
        assert_eq!(receipt["removed"], Value::Null);
        let images = receipt["images"].as_array().unwrap();
        let names: Vec<&Value> = images.iter().map(|image| &image["image"]).collect();
        assert_eq!(names, ["acme/api:1", "acme/new:1"]);
        let back = differ(&env, "new.tar have");
        assert_eq!(back["removed"], bundles["added"]);
        assert_eq!(back["added"], Value::Null);
    }
    let refused = env.run_line("diff have have").exits(2);
    assert!(
        refused.stderr.contains("are both receipts"),
        "{}",
        refused.stderr
    );
    env.write("broken", "hod-receipt-1:AAAA");
    let refused = env.run_line("diff broken new.tar").exits(2);
    assert!(refused.stderr.contains("damaged"), "{}", refused.stderr);
}
