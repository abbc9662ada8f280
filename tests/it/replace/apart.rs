//! What stays or is set aside when a tree is replaced, and replacing it while others are at work.

use super::*;

#[test]
fn a_removed_name_leaves_the_file_and_its_other_names() {
    let env = site();
    let line = "select some.txt --store store --output tree";
    let _ = env.run_line(line).success();
    let second = line.replace("tree", "second");
    let _ = env.run_line(&second).success();
    // Damaged everywhere, since it is one file: nothing good is lost with a name of it.
    let path = blob_path(&env, "store", own(&build(0)));
    let n_links = |path: &Path| hod_fsx::stat(path).unwrap().n_links;
    assert_eq!(n_links(&path), 3);
    let (before, second) = (tree(&env.path("store")), tree(&env.path("second")));
    let _ = replace(&env, "three.txt", "").success();
    assert_eq!(n_links(&path), 2);
    assert_eq!(tree(&env.path("store")), before);
    assert_eq!(tree(&env.path("second")), second);
    assert_eq!(whole_images(&env.path("tree")).len(), 1);
}

#[test]
fn what_hod_did_not_write_stays_and_is_named() {
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    let hex = "ab".repeat(32);
    let files = [
        format!("blobs/sha256/ab/{hex}/notes.txt"),
        "repositories/a/one/_uploads/1/data".to_owned(),
        "repositories/a/one/_manifests/tags/1/README".to_owned(),
        "repositories/a/notes.txt".to_owned(),
        // A blob that the store lacks, and no image has.
        format!("blobs/sha256/ab/{hex}/data"),
    ];
    let inner = env.path("tree").join(INNER);
    for file in &files {
        hod_fsx::write_file(&inner.join(file), b"precious").unwrap();
    }
    hod_fsx::create_dir_all(&env.path("elsewhere/current")).unwrap();
    env.write("elsewhere/current/link", "precious");
    let tag = inner.join("repositories/a/two/_manifests/notes");
    symlink(env.path("elsewhere"), &tag).unwrap();
    let output = replace(&env, "three.txt", "--json").success();
    assert!(
        output.stderr.contains("6 files in `tree`"),
        "{}",
        output.stderr
    );
    let left = json(&output);
    let left = left["left_files"].as_array().unwrap();
    assert_eq!(left.len(), 6, "{left:?}");
    for file in &files {
        assert_eq!(read(&inner.join(file)), b"precious", "{file}");
        let named = |left: &Value| left.as_str().unwrap().ends_with(file.as_str());
        assert!(left.iter().any(named), "{file}");
    }
    assert_eq!(env.read("elsewhere/current/link"), "precious");
    assert!(exists(&tag));
    let listed = json(&env.run_line("ls tree --json").success());
    assert_eq!(listed["images"].as_array().unwrap().len(), 1, "{listed}");
    // Nor is it in the way the next time.
    let _ = replace(&env, "some.txt", "").success();
    let _ = replace(&env, "three.txt", "").success();
}

#[test]
fn nothing_is_removed_when_an_image_fails() {
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    hod_fsx::write_file(&blob_path(&env, "store", own(&build(2))), b"short").unwrap();
    env.write("list.txt", "a/one:1\nb/three:1\n");
    let before = whole_images(&env.path("tree"));
    let dry = replace(&env, "list.txt", "--dry-run --json");
    assert_eq!(dry.code, Some(4), "{}", dry.stderr);
    assert!(
        dry.stderr.contains("nothing would be removed"),
        "{}",
        dry.stderr
    );
    assert!(json(&dry).get("removed").is_none(), "{}", dry.stdout);
    let output = replace(&env, "list.txt", "");
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(
        output.stderr.contains("nothing was removed"),
        "{}",
        output.stderr
    );
    assert_eq!(whole_images(&env.path("tree")), before);
}

#[test]
fn a_tag_that_cannot_be_read_stays_and_is_named() {
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    let tag = env.path("tree").join(INNER);
    let link = tag.join("repositories/a/two/_manifests/tags/1/current/link");
    hod_fsx::write_file(&link, b"").unwrap();
    for rest in ["--dry-run --json", "--json"] {
        let output = replace(&env, "three.txt", rest).success();
        assert!(
            output.stderr.contains("tag `a/two:1` in `tree` stays"),
            "{}",
            output.stderr
        );
        let output = json(&output);
        let removed = output["removed"].as_array().unwrap();
        assert_eq!(removed.len(), 1, "{output}");
        let left = output["left_files"].as_array().unwrap();
        let is_named = |left: &Value| {
            Path::new(left.as_str().unwrap())
                .ends_with("repositories/a/two/_manifests/tags/1/current/link")
        };
        assert!(left.iter().any(is_named), "{output}");
        assert_eq!(read(&link), b"");
    }
    // One that the list has is written again.
    let _ = replace(&env, "some.txt", "").success();
    assert_eq!(whole_images(&env.path("tree")).len(), 2);
}

/// As on an overlay, whose lower layers have directories that cannot be renamed.
#[test]
fn a_tag_whose_directory_cannot_be_renamed_is_removed_in_place() {
    if !are_here(&["strace"]) {
        return;
    }
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    let line = "select three.txt --store store --output tree --replace";
    let tags = "repositories/a/one/_manifests/tags";
    let mut strace = env.command("strace");
    strace.args(["-f", "-q", "-o", "strace.log", "-P"]);
    strace.arg(env.path("tree").join(INNER).join(tags));
    strace.args(["-e", "inject=renameat2:error=EXDEV"]);
    strace.arg(env!("CARGO_BIN_EXE_hod"));
    let _ = finish(strace.args(line.split_whitespace())).success();
    let log = env.read("strace.log");
    assert!(log.contains("EXDEV"), "{log}");
    assert_eq!(whole_images(&env.path("tree")).len(), 1);
    let _ = env
        .run_line("select three.txt --store store --output new")
        .success();
    let new = registry_tree(&env.path("new"));
    assert_same(&registry_tree(&env.path("tree")), &new, "in place");
}

#[test]
fn a_tree_in_use_is_left_alone() {
    let env = site();
    let _ = replace(&env, "some.txt", "").success();
    let before = registry_tree(&env.path("tree"));
    let held = env.store("tree");
    let said = replace(&env, "three.txt", "").exits(5).stderr;
    assert!(said.contains("`tree` is in use"), "{said}");
    drop(held);
    assert_eq!(registry_tree(&env.path("tree")), before);
    // The store may be used, but not replaced.
    let held = env.store("store");
    let _ = replace(&env, "three.txt", "").success();
    let line = "select one.txt --store tree --output store --replace";
    let _ = env.run_line(line).exits(5);
    drop(held);
}

#[test]
fn many_at_once_end_with_whole_images() {
    let env = site();
    for _ in 0..4 {
        let lines = [
            "some.txt --replace",
            "three.txt --replace",
            "one.txt --add",
            "three.txt --add",
            "two.txt --replace --link copy",
        ];
        let children: Vec<_> = lines
            .iter()
            .map(|line| {
                let line = format!("select --store store --output tree {line}");
                let mut command = env.hod();
                command.args(line.split_whitespace());
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for (child, line) in children.into_iter().zip(lines) {
            let output = child.wait_with_output().unwrap();
            let code = output.status.code();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(code, Some(0 | 5)), "{line}: {code:?}: {said}");
        }
        let _ = whole_images(&env.path("tree"));
        let _ = env.run_line("verify tree").success();
    }
    let _ = replace(&env, "some.txt", "").success();
    let _ = env
        .run_line("select some.txt --store store --output new")
        .success();
    let new = registry_tree(&env.path("new"));
    assert_same(&registry_tree(&env.path("tree")), &new, "at last");
    let _ = env.run_line("verify store").success();
}

/// Kills a run at the n-th call of each kind that changes a tree, for many n, and lets the next one
/// end the work.
#[test]
fn a_killed_replacement_goes_on() {
    if !are_here(&["strace"]) {
        return;
    }
    let env = site();
    let amd64 = ImageBuilder::oci(30).platform("linux", "amd64").build();
    let arm64 = ImageBuilder::oci(31).platform("linux", "arm64").build();
    let store = env.store("store");
    index(Format::Oci, &[amd64, arm64]).put_in(&store, "m/multi:1");
    signatures(&[1]).put_in(
        &store,
        &format!("a/two:{}", cosign_tag(build(1).digest(), "sig")),
    );
    about(build(1).top(), "application/x", 40).put_in(&store, "a/two");
    drop(store);
    env.write("some.txt", "a/one:1\na/two:1\nm/multi:1\n");
    env.write("other.txt", "a/one:1\nb/three:1\n");
    let known = whole_images(&env.path("store"));
    let before = registry_tree(&env.path("store"));
    let expect = |list: &str, name: &str| {
        let line = format!("select {list} --store store --output {name}");
        let _ = env.run_line(&line).success();
        registry_tree(&env.path(name))
    };
    let end: Tree = expect("other.txt", "end");
    let _ = expect("some.txt", "tree");
    let line = "select other.txt --store store --output tree --replace";
    let mut n_killed = 0;
    for call in [
        "unlinkat",
        "renameat2",
        "rename",
        "linkat",
        "mkdir",
        "openat",
    ] {
        for n in (1..).step_by(if call == "openat" { 97 } else { 3 }) {
            let mut strace = env.command("strace");
            let inject = format!("inject={call}:signal=SIGKILL:when={n}");
            strace.args(["-f", "-q", "-o", "/dev/null", "-e", &inject]);
            strace.arg(env!("CARGO_BIN_EXE_hod"));
            let killed = finish(strace.args(line.split_whitespace())).code.is_none();
            for (name, digest) in visible_images(&env.path("tree")) {
                let is_referrer = name.contains(":sha256-");
                assert!(is_referrer || known.get(&name) == Some(&digest), "{name}");
            }
            let _ = env.run_line("verify tree").success();
            let _ = env.run_line(line).success();
            assert_same(&registry_tree(&env.path("tree")), &end, &inject);
            let left = hod_fsx::read_dir_names(&env.path("tree/.hod/tmp")).unwrap();
            assert!(left.is_empty(), "{inject}: {left:?}");
            if !killed {
                break;
            }
            n_killed += 1;
            let back = line.replace("other.txt", "some.txt");
            let _ = env.run_line(&back).success();
        }
        let back = line.replace("other.txt", "some.txt");
        let _ = env.run_line(&back).success();
    }
    assert!(n_killed > 20, "{n_killed}");
    assert_eq!(registry_tree(&env.path("store")), before);
}

/// A blob is set aside when the run is killed, and the store loses its copy in the same moment: the
/// tree has it again from the next run on, whatever that does.
#[test]
fn a_blob_that_was_set_aside_is_put_back() {
    if !are_here(&["strace"]) {
        return;
    }
    let mut n_aside = 0;
    // What is removed before is the staging of the run itself.
    for (n, next) in (16..).zip(["--replace", "--add"].into_iter().cycle()) {
        let env = site();
        copied(&env);
        let blobs = |store: &str| -> BTreeMap<Digest, Vec<u8>> {
            let store = Store::open(&env.path(store)).unwrap();
            let images = [build(0), build(1)];
            let digests = images.iter().flat_map(|image| &image.blobs);
            let digests = digests.map(|blob| (blob.digest.clone(), store.blob_path(&blob.digest)));
            let there = digests.filter(|(_, path)| exists(path));
            there.map(|(digest, path)| (digest, read(&path))).collect()
        };
        let before = blobs("tree");
        let mut strace = env.command("strace");
        let inject = format!("inject=unlinkat:signal=SIGKILL:when={n}");
        strace.args(["-f", "-q", "-o", "/dev/null", "-e", &inject]);
        strace.arg(env!("CARGO_BIN_EXE_hod"));
        let line = "select three.txt --store store --output tree --replace";
        if finish(strace.args(line.split_whitespace())).code.is_some() {
            break;
        }
        let left = files(&env.path("tree/.hod/tmp"));
        let aside = left
            .iter()
            .find_map(|path| path.to_str()?.rsplit('/').next()?.parse().ok());
        let Some(aside): Option<Digest> = aside else {
            continue;
        };
        n_aside += 1;
        hod_fsx::remove_file(&blob_path(&env, "store", &aside)).unwrap();
        let next = format!("select three.txt --store store --output tree {next}");
        let _ = env.run_line(&next);
        assert_eq!(blobs("tree").get(&aside), before.get(&aside), "{next} {n}");
        assert_eq!(files(&env.path("tree/.hod/tmp")), Vec::<PathBuf>::new());
    }
    assert!(n_aside > 2, "{n_aside}");
}
