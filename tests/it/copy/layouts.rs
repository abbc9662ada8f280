//! Layouts, archives and stores as targets, from every kind of source.

use hod_oci::{Digest, MediaType};

use super::{kinds, names, put_kinds, source};
use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault};
use hod_testkit::images::{Image, image, repository, tag};
use hod_testkit::programs;
use hod_testkit::registry::TestRegistry;
use hod_testkit::skopeo;
use hod_testkit::tree::{assert_same, registry_tree, tree};

/// The images that a `docker save` archive holds.
const PLAIN: [&str; 5] = ["docker", "oci", "twice", "zero", "inline"];

/// The words for a target of each kind, below a directory.
pub(super) fn targets(dir: &str) -> [(&'static str, String); 5] {
    [
        ("store", format!("store:{dir}/store")),
        ("dir", format!("dir:{dir}/layouts")),
        ("oci", format!("oci:{dir}/oci")),
        ("oci-archive", format!("oci-archive:{dir}/oci.tar")),
        ("docker-archive", format!("docker-archive:{dir}/docker.tar")),
    ]
}

/// The same images in each kind of source, and lists of them: the word that names each source.
fn sources(env: &TestEnv) -> (TestRegistry, Vec<String>) {
    let from = source(env);
    put_kinds(env, "from/store");
    for line in [
        "pack from/store --output from/bundle.tar --no-tool",
        "pack from/store --output from/bundle.tar.zst --no-tool",
        "export from/store --output from/layouts",
        "export from/store --format oci --output from/oci",
        "export from/store --format oci-archive --output from/oci.tar",
    ] {
        env.run_line(line).success();
    }
    let registry = format!("list.txt --source {}", from.host());
    let words = [
        "from/store",
        "from/bundle.tar",
        "from/bundle.tar.zst",
        "from/layouts",
        "from/oci",
        "from/oci.tar",
        &registry,
    ];
    (from, words.map(str::to_owned).to_vec())
}

fn read(env: &TestEnv, path: &str) -> Vec<u8> {
    hod_fsx::read(&env.path(path), u64::MAX - 1).unwrap()
}

/// Passes when `path` has all kinds of images with their digests.
#[track_caller]
fn assert_has_all(env: &TestEnv, path: &str, case: &str) {
    let check = format!("check-{}", path.replace('/', "-"));
    env.run_line(&format!("copy {path} store:{check} --index keep"))
        .success();
    let store = env.store(&check);
    for (name, image) in &kinds() {
        let found = store.resolve_tag(&repository(&format!("kinds/{name}")), &tag("1"));
        assert_eq!(
            found.unwrap().as_ref(),
            Some(image.digest()),
            "{case}: {name}"
        );
    }
}

#[test]
fn every_layout_is_written_from_every_kind_of_source() {
    let env = TestEnv::new();
    let (_registry, words) = sources(&env);
    for (at, word) in words.iter().enumerate() {
        for (kind, target) in targets(&format!("to{at}")) {
            let case = format!("{word} -> {kind}");
            let path = target.split_once(':').unwrap().1;
            let line = format!("copy {word} {target} --index keep --report r.json");
            let is_stream = word == "from/bundle.tar.zst";
            if kind == "docker-archive" && is_stream {
                env.run_line(&line).exits(2);
                assert!(!env.path(path).exists(), "{case}");
                continue;
            }
            if kind != "docker-archive" {
                env.run_line(&line).success();
                assert_has_all(&env, path, &case);
                assert!(!env.read("r.json").contains("\"warnings\""), "{case}");
                continue;
            }
            // It has no place for indexes and artifacts.
            env.run_line(&line).exits(3);
            let listed = env.run_line(&format!("ls {path}")).success().stdout;
            for (name, image) in &kinds() {
                let is_listed = listed.contains(&format!("kinds/{name}:1"));
                assert_eq!(is_listed, PLAIN.contains(name), "{case}: {listed}");
                let is_told = env
                    .read("r.json")
                    .contains(&format!("so digest `{}` is lost", image.digest()));
                assert_eq!(is_told, PLAIN.contains(name), "{case}: {name}");
            }
            env.run_line(&format!("verify {path}")).success();
        }
    }
    // Whatever they are made from, archives are the same.
    for name in ["oci.tar", "docker.tar"] {
        let first = read(&env, &format!("to0/{name}"));
        for at in 1..words.len() {
            let path = format!("to{at}/{name}");
            let is_written = env.path(&path).exists();
            assert!(!is_written || read(&env, &path) == first, "{path}");
        }
    }
}

#[test]
fn several_targets_of_all_kinds_cost_one_fetch() {
    let env = TestEnv::new();
    let from = source(&env);
    let other = TestRegistry::start();
    let [store, dir, oci, archive, _] = targets("to").map(|(_, word)| word);
    let line = format!(
        "copy list.txt --source {} --index keep {} {store} {dir} {oci} {archive}",
        from.host(),
        other.host()
    );
    env.run_line(&line).success();
    for path in ["to/store", "to/layouts", "to/oci", "to/oci.tar"] {
        assert_has_all(&env, path, path);
    }
    for (name, image) in &kinds() {
        super::has(&other, &format!("kinds/{name}"), image);
    }
    let blobs: std::collections::BTreeSet<String> = from
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
        .map(|seen| seen.path)
        .collect();
    assert_eq!(blobs.len(), from.n_blob_gets(), "each blob is fetched once");
    // What is there needs no transport; archives are new.
    let again = format!(
        "copy list.txt --source {} --index keep to/store to/layouts to/oci",
        from.host()
    );
    env.run_line(&again).success();
    let before = tree(&env.path("to"));
    env.run_line(&line).exits(5);
    assert_same(&tree(&env.path("to")), &before, "nothing is changed");
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let env = TestEnv::new();
    let (_registry, words) = sources(&env);
    let before = names(&env);
    for word in words {
        for (kind, target) in targets("to") {
            if (word.as_str(), kind) == ("from/bundle.tar.zst", "docker-archive") {
                continue;
            }
            let line = format!("copy {word} {target} --index keep --dry-run");
            let output = env.run_line(&line);
            let code = if kind == "docker-archive" { 3 } else { 0 };
            assert_eq!(output.code, Some(code), "{line}: {}", output.stderr);
            assert!(output.stderr.contains("would"), "{line}: {}", output.stderr);
            assert_eq!(names(&env), before, "{line}");
        }
    }
    let line = "export from/store --format oci --output new --dry-run";
    let output = env.run_line(line).success();
    assert!(output.stderr.contains("would"), "{}", output.stderr);
    assert_eq!(names(&env), before);
}

#[test]
fn what_a_registry_breaks_off_or_garbles_once_is_fetched_again() {
    let env = TestEnv::new();
    let from = TestRegistry::start();
    let one = image(7);
    from.add("library/one:1", &one);
    let copy = |dir: &str| {
        for (_, target) in targets(dir) {
            let line = format!("copy one:1 --source {} {target}", from.host());
            env.run_line(&line).success();
        }
    };
    copy("whole");
    for (dir, effect) in [("cut", Effect::CutBody(100)), ("garbled", Effect::FlipByte)] {
        for (_, target) in targets(dir) {
            from.fail(
                Fault::on("GET", |path| path.contains("/blobs/"))
                    .once_each()
                    .does(effect.clone()),
            );
            let line = format!("copy one:1 --source {} {target}", from.host());
            env.run_line(&line).success();
            from.heal();
        }
        for name in ["oci.tar", "docker.tar"] {
            let (new, old) = (format!("{dir}/{name}"), format!("whole/{name}"));
            assert!(read(&env, &new) == read(&env, &old), "{new}");
        }
        for name in ["layouts", "oci"] {
            let (new, old) = (format!("{dir}/{name}"), format!("whole/{name}"));
            assert_same(&tree(&env.path(&new)), &tree(&env.path(&old)), &new);
        }
        let path = |dir: &str| env.path(format!("{dir}/store"));
        assert_same(
            &registry_tree(&path(dir)),
            &registry_tree(&path("whole")),
            dir,
        );
    }
}

#[test]
fn what_a_registry_garbles_for_good_is_in_no_archive() {
    let env = TestEnv::new();
    let from = TestRegistry::start();
    let (good, bad) = (image(7), image(17));
    from.add("ns/good:1", &good);
    from.add("ns/bad:1", &bad);
    env.write("list.txt", "ns/bad:1\nns/good:1\n");
    let layer = bad.top().blobs().nth(1).unwrap().digest.clone();
    from.fail(Fault::on("GET", move |path| path.contains(layer.as_str())).does(Effect::FlipByte));
    for (kind, target) in targets("to") {
        let line = format!("copy list.txt --source {} {target}", from.host());
        let output = env.run_line(&line);
        assert_ne!(output.code, Some(0), "{kind}");
        let path = target.split_once(':').unwrap().1;
        let listed = env.run_line(&format!("ls {path}")).success().stdout;
        assert!(listed.contains("ns/good:1"), "{kind}: {listed}");
        assert!(!listed.contains("ns/bad:1"), "{kind}: {listed}");
        env.run_line(&format!("verify {path}")).success();
        let line = format!(
            "copy list.txt --source {} {target}2 --fail-fast",
            from.host()
        );
        let output = env.run_line(&line);
        assert_ne!(output.code, Some(0), "{kind}");
        if kind.ends_with("archive") {
            assert!(!env.path(format!("{path}2")).exists(), "{kind}");
        }
    }
}

#[test]
fn manifests_are_hardlinked_like_blobs() {
    let env = TestEnv::new();
    let store = env.store("store");
    let all: Vec<(String, Image)> = kinds()
        .into_iter()
        .map(|(name, image)| (format!("kinds/{name}:1"), image))
        .collect();
    for (name, image) in &all {
        image.put_in(&store, name);
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    env.write("list.txt", names.join("\n"));
    for line in [
        "select list.txt --store store --output tree --index keep",
        "copy store oci:oci",
        "copy store dir:layouts",
        "copy store store:linked --link hard",
        "copy store oci:copied --link copy",
        // On from layouts, which keep them as files, too.
        "copy layouts store:from-layouts --link hard",
        "copy oci dir:from-oci",
    ] {
        env.run_line(line).success();
    }
    let inode = |path: std::path::PathBuf| hod_fsx::stat(&path).unwrap().identity;
    let (tree, linked) = (env.store("tree"), env.store("linked"));
    let from_layouts = env.store("from-layouts");
    for (name, image) in &all {
        let digest = image.digest();
        let own = inode(store.blob_path(digest));
        assert_eq!(inode(tree.blob_path(digest)), own, "select: {name}");
        assert_eq!(inode(linked.blob_path(digest)), own, "store: {name}");
        assert_eq!(
            inode(from_layouts.blob_path(digest)),
            own,
            "layouts: {name}"
        );
        for dir in ["layouts", "from-oci"] {
            let path = env.path(format!("{dir}/{name}/manifest.json"));
            assert_eq!(inode(path), own, "{dir}: {name}");
        }
        let blob = |dir: &str| env.path(format!("{dir}/blobs/sha256/{}", digest.hex()));
        assert_eq!(inode(blob("oci")), own, "oci: {name}");
        assert_ne!(inode(blob("copied")), own, "copied: {name}");
        for child in image.top().children() {
            let own = inode(store.blob_path(&child.digest));
            let path = env.path(format!(
                "layouts/{name}/{}.manifest.json",
                child.digest.hex()
            ));
            assert_eq!(inode(path), own, "child of {name}");
        }
    }
}

#[test]
fn words_that_cannot_be_targets_are_refused() {
    let env = TestEnv::new();
    let store = env.store("store");
    image(7).put_in(&store, "library/one:1");
    drop(store);
    env.run_line("pack store --output b.tar --no-tool")
        .success();
    env.run_line("copy store dir:layouts").success();
    env.write("empty/.keep", "");
    let before = tree(&env.work());
    for (words, code, said) in [
        ("out", 2, "`oci-archive:out`"),
        ("./out", 2, "`dir:./out`"),
        ("empty", 2, "`store:empty`"),
        ("new/out", 2, "`docker://new/out`"),
        ("b.tar", 2, "`b.tar` is a bundle"),
        ("dir:", 2, "nothing follows `dir:`"),
        ("dir:out oci:out", 2, "output `out` is given twice"),
        ("layouts ./layouts", 2, "`./layouts` is named twice"),
        ("oci-archive:-", 2, "is a stream"),
        ("store:store", 2, "is also an input"),
        ("dir:store", 2, "is also an input"),
        ("oci:layouts", 5, "already exists and is not"),
        (
            "oci-archive:b.tar",
            5,
            "`b.tar` already exists and is a bundle",
        ),
        // Nothing is written anywhere while one of them is refused.
        ("store:new docker-archive:b.tar", 5, "already exists"),
        ("dir:new 127.0.0.1:1 --retries 0", 5, "127.0.0.1:1"),
    ] {
        let line = format!("copy store {words}");
        let output = env.run_line(&line).exits(code);
        assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
        assert_same(&tree(&env.work()), &before, &line);
    }
}

#[test]
fn skopeo_reads_what_is_copied_from_a_registry() {
    if !programs::are_here(&[skopeo::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let from = source(&env);
    let line = |target: &str| {
        format!(
            "copy list.txt --source {} --index keep {target}",
            from.host()
        )
    };
    for (kind, target) in targets("to").into_iter().skip(1) {
        let copied = env.run_line(&line(&target));
        let is_docker = kind == "docker-archive";
        assert_eq!(copied.code, Some(if is_docker { 3 } else { 0 }), "{kind}");
        let path = target.split_once(':').unwrap().1;
        for (name, image) in kinds() {
            let media_type = image.top().media_type().as_str().to_owned();
            let is_oci =
                media_type == MediaType::OCI_MANIFEST || media_type == MediaType::OCI_INDEX;
            let is_found = match kind {
                "dir" => true,
                "docker-archive" => PLAIN.contains(&name),
                // skopeo finds no Docker manifest in an OCI layout by its name.
                _ => is_oci,
            };
            if !is_found || !skopeo::takes(name) {
                continue;
            }
            let out = format!("read-{kind}-{name}");
            if is_docker {
                let from = format!("docker-archive:{path}:docker.io/kinds/{name}:1");
                skopeo::run(&env, &format!("copy {from} dir:{out}")).success();
                continue;
            }
            let from = match kind {
                "dir" => format!("dir:{path}/kinds/{name}:1"),
                _ => format!("{kind}:{path}:docker.io/kinds/{name}:1"),
            };
            skopeo::copy(&env, "--all", (&from, &format!("dir:{out}")));
            let top = read(&env, &format!("{out}/manifest.json"));
            assert_eq!(&Digest::of(&top), image.digest(), "{from}");
        }
    }
}
