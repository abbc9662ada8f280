//! What goes in comes out: the same bytes, the same way each time, and nothing twice.

use std::path::Path;

use hod_testkit::env::finish;
use hod_testkit::faults::manifest_path;
use hod_testkit::images::menagerie;
use hod_testkit::random::Random;
use hod_testkit::registry::{Seen, TestRegistry};
use hod_testkit::tree::{assert_same, files, inodes, read, registry_tree, tree, whole_images};
use hod_testkit::zoo::Zoo;

#[test]
fn what_is_packed_is_unpacked() {
    let (zoo, store) = Zoo::pulled();
    let before = registry_tree(&store);
    assert_eq!(whole_images(&store).len(), zoo.lines.len());
    for bundle in ["b.tar", "b.tar.zst"] {
        let run = |line: String| zoo.env.run_line(&line).success();
        let _ = run(format!(
            "pack --force all.txt --store store --output {bundle}"
        ));
        let _ = run(format!("verify {bundle}"));
        let _ = run(format!("unpack {bundle} --output {bundle}.d"));
        let unpacked = zoo.env.path(format!("{bundle}.d"));
        assert_same(&registry_tree(&unpacked), &before, bundle);
        let _ = run(format!("verify {bundle}.d"));
    }
    let compressed = read(&zoo.env.path("b.tar.zst"));
    let raw = read(&zoo.env.path("b.tar"));
    assert!(zstd::decode_all(&compressed[..]).unwrap() != raw, "b is b");
}

#[test]
fn a_compressed_bundle_is_the_same_tar() {
    let (zoo, _) = Zoo::pulled();
    for bundle in ["b.tar", "b.tar.zst"] {
        // Only the README says which of the two it is in.
        let line = format!("pack --force all.txt --store store --output {bundle}");
        let _ = zoo.env.run_line(&line).success();
        let mut untar = zoo.env.command("tar");
        hod_fsx::create_dir_all(&zoo.env.path(format!("{bundle}.d"))).unwrap();
        untar.args(["--extract", "--file", bundle, "--directory"]);
        let _ = finish(untar.arg(format!("{bundle}.d"))).success();
    }
    let untarred = |name: &str| {
        let mut tree = tree(&zoo.env.path(name));
        for path in [
            "README.txt",
            "SHA256SUMS",
            "hod/bundle.json",
            "hod/volume.json",
        ] {
            assert!(tree.remove(Path::new(path)).is_some(), "{path}");
        }
        tree
    };
    let raw = untarred("b.tar.d");
    assert_same(&untarred("b.tar.zst.d"), &raw, "zstd");
    let tree = registry_tree(&zoo.env.path("store"));
    assert_same(&registry_tree(&zoo.env.path("b.tar.d")), &tree, "tar");
}

#[test]
fn the_whole_way_returns_the_same_bytes() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    let mut chosen = zoo.lines.clone();
    random.shuffle(&mut chosen);
    chosen.truncate(1 + random.below(chosen.len()));
    zoo.env.write("site.txt", chosen.join("\n"));
    let second = TestRegistry::start();
    let host = second.host();
    for line in [
        "select site.txt --store store --output site".to_owned(),
        "pack --force site --output site.tar".to_owned(),
        "pack --force site --output site.tar.zst".to_owned(),
        format!("push site.tar {host}"),
        format!("pull site.txt --source {host} --platform all --store again"),
        format!("push site.tar.zst {host}/z"),
        format!("push site {host}/s"),
        "export site --output layouts".to_owned(),
        format!("push layouts {host}/l"),
    ] {
        let _ = zoo.env.run_line(&line).success();
    }
    let selected = zoo.env.path("site");
    let before = registry_tree(&selected);
    assert_same(&registry_tree(&zoo.env.path("again")), &before, "pulled");
    let images = whole_images(&selected);
    assert_eq!(images.len(), chosen.len());
    let pushed = whole_images(second.store().path());
    assert_eq!(pushed.len(), 4 * chosen.len());
    for (name, digest) in &images {
        for prefix in ["", "z/", "s/", "l/"] {
            assert_eq!(pushed.get(&format!("{prefix}{name}")), Some(digest));
        }
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let mut random = Random::new();
    let (zoo, _) = Zoo::pulled();
    let mut lines = zoo.lines.clone();
    let _ = zoo
        .env
        .run_line("select all.txt --store store --output tree")
        .success();
    for name in ["b.tar", "b.tar.zst"] {
        let mut first: Option<Vec<u8>> = None;
        for jobs in [1, 2, 8] {
            random.shuffle(&mut lines);
            zoo.env.write("mixed.txt", lines.join("\n"));
            for source in ["mixed.txt --store store", "tree", "tree --fsync"] {
                let line = format!("pack --force {source} --output {name} --jobs {jobs}");
                let _ = zoo.env.run_line(&line).success();
                let bytes = read(&zoo.env.path(name));
                let first = first.get_or_insert_with(|| bytes.clone());
                assert!(bytes == *first, "{name} from {source} at {jobs} jobs");
            }
        }
    }
}

#[test]
fn a_selected_tree_shares_data_and_no_link() {
    let (zoo, store) = Zoo::pulled();
    let line = "select all.txt --store store --output tree";
    let output = zoo.env.run_line(line).success();
    assert!(output.stderr.contains("linked"), "{}", output.stderr);
    let selected = zoo.env.path("tree");
    let below = "docker/registry/v2";
    let theirs = inodes(&store.join(below));
    let ours = inodes(&selected.join(below));
    assert_eq!(ours.len(), theirs.len());
    for (path, inode) in &ours {
        // Links are always new.
        let is_shared = theirs[path] == *inode;
        assert_eq!(is_shared, path.ends_with("data"), "{}", path.display());
    }
    let line = "select all.txt --store store --output copied --link copy";
    let _ = zoo.env.run_line(line).success();
    let copied = inodes(&zoo.env.path("copied").join(below));
    assert_eq!(copied.len(), theirs.len());
    assert!(copied.iter().all(|(path, inode)| theirs[path] != *inode));
}

/// The hex of every config and layer of the zoo.
fn zoo_blobs() -> Vec<String> {
    let images = menagerie();
    let blobs = images.iter().flat_map(|(_, image)| &image.blobs);
    blobs.map(|blob| blob.digest.hex().to_owned()).collect()
}

#[test]
fn a_second_pull_moves_no_blob_and_says_so() {
    let (zoo, store) = Zoo::pulled();
    let before = (inodes(&store), tree(&store));
    let n_gets = zoo.registry.n_blob_gets();
    assert!(n_gets > 0);
    let output = zoo.pull("store").success();
    assert_eq!(zoo.registry.n_blob_gets(), n_gets);
    assert!(
        output.stderr.contains("nothing to transfer"),
        "{}",
        output.stderr
    );
    let json = zoo
        .env
        .run_line(&format!("{} --json", zoo.pull_line("store")));
    let json: serde_json::Value = serde_json::from_str(&json.success().stdout).unwrap();
    assert_eq!(
        (&json["moved_bytes"], &json["moved_blobs"]),
        (&0.into(), &0.into())
    );
    assert_eq!(zoo.registry.n_blob_gets(), n_gets);
    assert_eq!((inodes(&store), tree(&store)), before);
}

#[test]
fn each_blob_is_fetched_once() {
    let (zoo, _) = Zoo::pulled();
    let mut blobs = zoo_blobs();
    blobs.sort();
    blobs.dedup();
    assert_eq!(zoo.registry.n_blob_gets(), blobs.len());
}

#[test]
fn a_second_select_unpack_export_and_push_change_nothing() {
    let (zoo, _) = Zoo::pulled();
    let _ = zoo
        .env
        .run_line("pack --force all.txt --store store --output b.tar")
        .success();
    let _ = zoo
        .env
        .run_line("pack --force all.txt --store store --output b.tar.zst")
        .success();
    for (output, line) in [
        ("tree", "select all.txt --store store --output tree"),
        (
            "copied",
            "select all.txt --store store --output copied --link copy",
        ),
        ("unpacked", "unpack b.tar --output unpacked"),
        ("unpacked", "unpack b.tar.zst --output unpacked"),
        ("layouts", "export store --output layouts"),
    ] {
        let path = zoo.env.path(output);
        let _ = zoo.env.run_line(line).success();
        let before = (inodes(&path), tree(&path));
        assert!(!files(&path).is_empty());
        let _ = zoo.env.run_line(line).success();
        assert!((inodes(&path), tree(&path)) == before, "{line}");
    }
    // Layouts that are no links of anything are made again, since equal lengths prove nothing.
    let layouts = tree(&zoo.env.path("layouts"));
    for bundle in ["b.tar", "b.tar", "b.tar.zst", "b.tar.zst"] {
        let line = format!("export {bundle} --output layouts");
        let _ = zoo.env.run_line(&line).success();
        assert_same(&tree(&zoo.env.path("layouts")), &layouts, &line);
    }
    let second = TestRegistry::start();
    for source in ["b.tar", "b.tar.zst", "store", "tree", "layouts"] {
        let line = format!("push {source} {}", second.host());
        let _ = zoo.env.run_line(&line).success();
        let _ = second.take_seen();
        let output = zoo.env.run_line(&line).success();
        let n_images = zoo.lines.len();
        let seen = second.take_seen();
        let is_head = |seen: &&Seen| seen.method == "HEAD" && manifest_path(&seen.path);
        assert_eq!(seen.iter().filter(is_head).count(), n_images, "{source}");
        assert_eq!(seen.len(), n_images, "{source} costs one request an image");
        let said = format!("({n_images} unchanged)");
        assert!(output.stderr.contains(&said), "{}", output.stderr);
    }
}

#[test]
fn two_pulls_at_once_into_one_store_end_with_one() {
    let zoo = Zoo::new();
    let line = zoo.pull_line("store");
    let runs: Vec<_> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| zoo.env.run_line(&line));
        let runs = [run(), run(), run()];
        runs.map(|run| run.join().unwrap()).into_iter().collect()
    });
    for output in runs {
        let _ = output.success();
    }
    let store = zoo.env.path("store");
    assert_eq!(whole_images(&store).len(), zoo.lines.len());
    let _ = zoo.env.run_line("verify store").success();
    let alone = Zoo::pulled();
    assert_same(&registry_tree(&store), &registry_tree(&alone.1), "alone");
    assert!(files(&store.join(".hod/tmp")).is_empty());
}
