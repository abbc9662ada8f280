//! What arguments name: transports, one image of a layout, images among lists, registries.

use std::path::Path;

use hod_store::Store;

use hod_testkit::env::TestEnv;
use hod_testkit::faults::{Effect, Fault, path_contains};
use hod_testkit::images::image;
use hod_testkit::registry::{RegistryOptions, TestRegistry};
use hod_testkit::tree::{exists, tree};

/// The names of all images of a store, a blank between them.
fn names(path: &Path) -> String {
    let images = Store::open(path).unwrap().images().unwrap().images;
    let mut names: Vec<String> = images
        .iter()
        .filter_map(|image| Some(format!("{}:{}", image.repository, image.tag.as_ref()?)))
        .collect();
    names.sort();
    names.join(" ")
}

/// An environment with a store of three images, and all else that can be made of it.
fn made() -> TestEnv {
    let env = TestEnv::in_memory();
    let store = env.store("store");
    for (n, name) in (0..).zip(["library/app:1", "library/app:2", "team/api:2"]) {
        image(n).put_in(&store, name);
    }
    drop(store);
    for line in [
        "pack store --output all.tar",
        "export store --output dirs",
        "export store --format oci --output oci",
        "export store --format oci-archive --output oci.tar",
        "export store --format docker-archive --output docker.tar",
    ] {
        env.run_line(line).success();
    }
    env
}

#[test]
fn one_image_of_a_layout_is_chosen_behind_its_path() {
    let env = made();
    for (source, expect) in [
        ("oci:oci:1", "library/app:1"),
        ("oci:oci:app:2", "library/app:2"),
        ("oci-archive:oci.tar:library/app:2", "library/app:2"),
        ("docker-archive:docker.tar:team/api:2", "team/api:2"),
        ("docker-archive:docker.tar:1", "library/app:1"),
        ("oci:oci", "library/app:1 library/app:2 team/api:2"),
    ] {
        for verb in ["push", "copy"] {
            let target = TestRegistry::start();
            let target_name = format!("docker://{}", target.host());
            env.run([verb, source, &target_name]).success();
            assert_eq!(names(target.store().path()), expect, "{verb} {source}");
        }
    }
    let target = TestRegistry::start();
    let copy = |source: &str| env.run(["copy", source, target.host()]);
    let absent = copy("oci:oci:3").exits(5).stderr;
    assert!(absent.contains("`oci` has no image `3`"), "{absent}");
    assert!(
        absent.contains("It has `docker.io/library/app:1`, `docker.io/library/app:2`"),
        "{absent}"
    );
    let twice = copy("oci:oci:2").exits(2).stderr;
    let expect = "`2` is 2 images in `oci`:\n  docker.io/library/app:2\n  docker.io/team/api:2";
    assert!(twice.contains(expect), "{twice}");
    let bad = copy("oci:oci:A/b:1").exits(2).stderr;
    assert!(
        bad.contains("`A/b:1`, after the path in `oci:oci:A/b:1`"),
        "{bad}"
    );
    env.write("list.txt", "app:1");
    env.run(["copy", "oci:oci:1", target.host(), "--only", "list.txt"])
        .exits(2);
    assert_eq!(names(target.store().path()), "");
}

#[test]
fn a_target_names_the_one_image_that_it_gets() {
    let env = made();
    for (target, expect) in [
        ("oci:one:9.9", "docker.io/library/app:9.9"),
        ("oci-archive:one.tar:q.io/x/y:3", "q.io/x/y:3"),
        ("docker-archive:d.tar:redis:7", "docker.io/library/redis:7"),
    ] {
        env.run(["copy", "oci:oci:1", target]).success();
        let (_, path) = target.split_once(':').unwrap();
        let path = path.split(':').next().unwrap();
        let listed = env.run(["ls", path]).success().stdout;
        let names = listed.lines().skip(1).map(|line| line.split(' ').next());
        assert_eq!(names.flatten().collect::<Vec<_>>(), [expect], "{target}");
    }
    let refused = env.run(["copy", "store", "oci:two:9.9"]).exits(2).stderr;
    let expect = "`two:9.9` names one image, but 3 are to be copied";
    assert!(refused.contains(expect), "{refused}");
    assert!(!hod_fsx::try_stat(&env.path("two")).is_ok_and(|stat| stat.is_some()));
}

#[test]
fn a_transport_that_names_another_kind_is_refused() {
    let env = made();
    let target = TestRegistry::start();
    for (source, expect) in [
        (
            "store:all.tar",
            "`all.tar` is a bundle, not a store (`store:`)",
        ),
        (
            "bundle:store",
            "`store` is a registry tree, not a bundle (`bundle:`)",
        ),
        (
            "dir:oci",
            "`oci` is an OCI layout, not a directory of `dir:` layouts",
        ),
        (
            "oci:dirs",
            "`dirs` is a directory of `dir:` layouts, not an OCI layout",
        ),
        (
            "oci-archive:docker.tar",
            "not an archive of an OCI layout (`oci-archive:`)",
        ),
        (
            "docker-archive:oci.tar",
            "not a `docker save` archive (`docker-archive:`)",
        ),
    ] {
        for verb in ["push", "copy"] {
            let refused = env.run([verb, source, target.host()]).exits(2).stderr;
            let said: Vec<&str> = refused.split_whitespace().collect();
            assert!(
                said.join(" ").contains(expect),
                "{verb} {source}: {refused}"
            );
        }
    }
    for source in [
        "store:store",
        "bundle:all.tar",
        "dir:dirs",
        "oci:oci",
        "oci-archive:oci.tar",
    ] {
        let target = TestRegistry::start();
        env.run(["push", source, target.host()]).success();
        assert_eq!(
            names(target.store().path()).split(' ').count(),
            3,
            "{source}"
        );
    }
    assert!(target.seen().is_empty());
}

#[test]
fn a_file_that_is_missing_is_not_a_registry() {
    let env = TestEnv::in_memory();
    let target = TestRegistry::start();
    for source in [
        "missing.txt",
        "lists/x.list",
        "images.lock",
        "a.yaml",
        "x.tar.zst",
        "x.tar",
        "x.tar.gz",
        "x.tgz",
        "x.tar.zstd",
        "x.haul",
        "./x",
        "../nosuch/x",
    ] {
        for line in [
            format!("copy {source} {}", target.host()),
            format!("push {source} {}", target.host()),
            format!("export {source} --output new"),
            format!("ls {source}"),
            format!("verify {source}"),
            format!("diff {source} {source}"),
            format!("why 0123456789ab {source}"),
            format!("receipt {source} --output new.json"),
        ] {
            let refused = env.run_line(&line).exits(2).stderr;
            let expect = format!("`{source}` not found");
            assert!(refused.contains(&expect), "{line}: {refused}");
        }
    }
    let refused = env.run(["ls", "@missing"]).exits(2).stderr;
    assert!(
        refused.contains("image list `missing` not found"),
        "{refused}"
    );
    assert!(target.seen().is_empty());
}

#[test]
fn a_second_image_is_not_a_target() {
    let (env, target) = (TestEnv::in_memory(), TestRegistry::start());
    let host = target.host();
    for words in [
        ["app:1", "team/api:2", host],
        ["h.corp/x:1", "h.corp/y:1", host],
        ["h.corp/x:1", "other.corp/y:1", host],
    ] {
        let [first, second, _] = words;
        let refused = env.run(["copy", first, second, host]).exits(2).stderr;
        let expect = format!("`{second}` is an image, not a target");
        assert!(refused.contains(&expect), "{refused}");
    }
    assert!(target.seen().is_empty());
}

#[test]
fn a_registry_for_names_is_refused_where_there_are_none() {
    let env = made();
    let from = registry();
    let (host, target) = (from.host(), TestRegistry::start());
    env.write("list.txt", "team/api:2\n");
    env.run_line("receipt store --output have.json").success();
    let team = format!("{host}/team");
    from.take_seen();
    for word in [
        "store",
        "all.tar",
        "dirs",
        "oci:oci",
        "docker-archive:docker.tar",
        &team,
    ] {
        for line in [
            format!("ls {word}"),
            format!("ls {word} --only list.txt"),
            format!("verify {word}"),
            format!("why 0123456789ab {word}"),
            format!("diff {word} all.tar"),
            format!("diff have.json {word}"),
            format!("receipt {word} --output new.json"),
            format!("copy {word} {}", target.host()),
            format!("push {word} {}", target.host()),
            format!("export {word} --output new"),
        ] {
            let line = format!("{line} --source {host}/mirror");
            let refused = env.run_line(&line).exits(2).stderr;
            assert!(
                refused.contains("Leave out `--source`"),
                "{line}: {refused}"
            );
        }
    }
    let pull = format!("pull {team} --store new --source {host}");
    env.run_line(&pull).exits(2);
    assert!(from.seen().is_empty() && target.seen().is_empty());
    // Beside a list or an image there are names.
    for line in ["diff store list.txt", "diff team/api:2 all.tar"] {
        env.run_line(&format!("{line} --source {host}")).success();
    }
}

#[test]
fn what_is_left_of_a_run_is_a_list_for_the_same_verb() {
    let (env, from) = (TestEnv::in_memory(), registry());
    env.write("list.txt", "team/api:2\nteam/web:1\n");
    let host = from.host();
    let web = |effect| Fault::on("*", path_contains("team/web/manifests")).does(effect);
    for (n, (source, again, flags)) in (0..).zip([
        ("list.txt", "@retry.txt", format!("--source {host}")),
        (&format!("{host}/team"), "@retry.txt", String::new()),
        (
            &format!("{host}/team"),
            "@retry.txt",
            "--project p".to_owned(),
        ),
    ]) {
        for verb in ["copy", "push", "export", "pull"] {
            let target = TestRegistry::start();
            let to = match verb {
                "export" => format!("--output out{n}"),
                "pull" => format!("--store pulled{n}"),
                _ => target.host().to_owned(),
            };
            let line = |source: &str| {
                format!("{verb} {source} {to} {flags} --retries 0 --retry-list retry.txt")
            };
            from.fail(web(Effect::Status(500)));
            env.run_line(&line(source)).exits(3);
            from.heal();
            let listed = format!("ls @retry.txt {flags} --json").replace(" --project p", "");
            let listed = env.run_line(&listed).success().stdout;
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            assert_eq!(
                listed["images"].as_array().unwrap().len(),
                1,
                "{verb}: {listed}"
            );
            let left = env.run_line(&line(again)).success();
            assert_eq!(left.stdout.lines().count(), 1, "{verb}: {left:?}");
            assert!(left.stdout.contains("team/web:1"), "{verb}: {left:?}");
            if matches!(verb, "copy" | "push") {
                let prefix = if flags.contains("--project") {
                    "p/"
                } else {
                    ""
                };
                let expect = format!("{prefix}team/api:2 {prefix}team/web:1");
                assert_eq!(names(target.store().path()), expect, "{verb} {source}");
            }
        }
    }
}

/// A registry with two projects.
fn registry() -> TestRegistry {
    let registry = TestRegistry::start();
    for (n, name) in (0..).zip([
        "library/app:1",
        "library/app:2",
        "team/api:2",
        "team/web:1",
        "mirror/library/app:3",
    ]) {
        registry.add(name, &image(n));
    }
    registry
}

#[test]
fn sections_of_a_list_that_is_a_source_are_chosen() {
    let (env, from, target) = (TestEnv::in_memory(), registry(), TestRegistry::start());
    env.write(
        "list.txt",
        "app:1\n##a\napp:2\n##b\nteam/api:2\nteam/web:1\n",
    );
    let copy = |rest: &str| {
        let line = format!("copy {rest} {} --source {}", target.host(), from.host());
        env.run_line(&line)
    };
    copy("list.txt --section a").success();
    assert_eq!(names(target.store().path()), "library/app:2");
    let refused = copy("list.txt --section c").exits(2).stderr;
    assert!(refused.contains("has no section `c`"), "{refused}");
    let line = format!("copy {}/team {} --section a", from.host(), target.host());
    let refused = env.run_line(&line).exits(2).stderr;
    assert!(
        refused.contains("`--section a` requires a list"),
        "{refused}"
    );
    assert_eq!(names(target.store().path()), "library/app:2");
}

#[test]
fn images_stand_among_lists_and_a_registry_alone() {
    let (env, from) = (TestEnv::in_memory(), registry());
    env.write("lists/a.txt", "team/api:2\napp:1\n");
    env.write("list.txt", "##s\nteam/web:1\n");
    let pull = |words: &str| {
        let store = format!("s{}", words.len());
        let line = format!("pull {words} --store {store} -q");
        (env.run_line(&line), env.path(store))
    };
    let host = from.host();
    let own = |name: &str| format!("{}/{name}", host.replace(':', "_"));
    for (words, expect) in [
        (
            format!("app:2 lists list.txt team/api:2 --source {host}"),
            "library/app:1 library/app:2 team/api:2 team/web:1".to_owned(),
        ),
        (
            format!("docker://{host}/library/app:2 app:1 --source docker://{host}"),
            format!("{} library/app:1", own("library/app:2")),
        ),
        (
            format!("app:3 --source {host}/mirror"),
            "library/app:3".to_owned(),
        ),
        (format!("{host}/team"), "team/api:2 team/web:1".to_owned()),
        (
            format!("docker://{host}"),
            "library/app:1 library/app:2 mirror/library/app:3 team/api:2 team/web:1".to_owned(),
        ),
    ] {
        let (pulled, store) = pull(&words);
        pulled.success();
        assert_eq!(names(&store), expect, "{words}");
    }
    let (refused, _) = pull(&format!("{host}/team app:1"));
    let refused = refused.exits(2).stderr;
    let expect =
        format!("`{host}/team` is a registry, which cannot be named together with other arguments");
    assert!(refused.contains(&expect), "{refused}");
}

#[test]
fn push_and_export_take_registries_lists_and_images() {
    let env = made();
    let from = TestRegistry::with(RegistryOptions {
        store: Some(env.store("store")),
        ..RegistryOptions::default()
    });
    let host = from.host();
    env.write("list.txt", "library/app:1\nteam/api:2\n");
    let app = format!("{host}/library/app:1");
    let source = format!("--source {host}");
    for (what, options, names) in [
        (
            host,
            "",
            vec!["library/app:1", "library/app:2", "team/api:2"],
        ),
        (&app, "--strip-host", vec!["library/app:1"]),
        ("list.txt", &source, vec!["library/app:1", "team/api:2"]),
        ("app:2", &source, vec!["library/app:2"]),
    ] {
        let target = TestRegistry::start();
        let line = format!("push {what} {} {options}", target.host());
        env.run_line(&line).success();
        assert_eq!(
            self::names(target.store().path()),
            names.join(" "),
            "{line}"
        );
        for (n, format) in (0..).zip(["dir", "oci", "oci-archive", "docker-archive"]) {
            let output = format!("out-{}-{n}", what.replace(['/', ':'], "-"));
            let line = format!("export {what} --output {format}:{output} {options}");
            env.run_line(&line).success();
            let listed = env.run_line(&format!("ls {output} --json")).success();
            let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
            let n_images = listed["images"].as_array().unwrap().len();
            assert_eq!(n_images, names.len(), "{line}");
        }
    }
}

#[test]
fn a_transport_in_front_of_a_path_must_be_that_of_the_flag() {
    let env = made();
    let from = TestRegistry::with(RegistryOptions {
        store: Some(env.store("store")),
        ..RegistryOptions::default()
    });
    env.write("list.txt", "library/app:1\n");
    let pull = format!("pull list.txt --source {} --store", from.host());
    for (line, made) in [
        (format!("{pull} store:pulled"), "pulled"),
        (
            "select list.txt --store store:store --output store:tree".to_owned(),
            "tree",
        ),
        (
            "select list.txt --store oci:oci --output other".to_owned(),
            "other",
        ),
        ("pack store:store --output bundle:a.tar".to_owned(), "a.tar"),
        ("pack oci:oci --output b.tar".to_owned(), "b.tar"),
        (
            "pack list.txt --store dir:dirs --output c.tar --since store:pulled".to_owned(),
            "c.tar",
        ),
        (
            "unpack bundle:all.tar --output store:unpacked".to_owned(),
            "unpacked",
        ),
        (
            "export bundle:all.tar --output oci-archive:d.tar".to_owned(),
            "d.tar",
        ),
        (
            "bundle merge bundle:a.tar b.tar --output bundle:e.tar".to_owned(),
            "e.tar",
        ),
    ] {
        env.run_line(&line).success();
        assert!(exists(&env.path(made)), "{line}");
    }
    let before = tree(&env.work());
    for line in [
        format!("{pull} oci:x"),
        format!("{pull} bundle:x"),
        "select list.txt --store store --output dir:x".to_owned(),
        "pack store --output store:x".to_owned(),
        "unpack all.tar --output bundle:x".to_owned(),
        "export store --output store:x".to_owned(),
        "export store --output oci:x --format dir".to_owned(),
        "copy store store:x --link hard 127.0.0.1:1 oci:oci --dry-run --section a".to_owned(),
        format!("copy {}/library/app:1 store:x --link hard", from.host()),
        "copy store 127.0.0.1:1 --link hard".to_owned(),
        "copy app:1 team/api:2 127.0.0.1:1".to_owned(),
    ] {
        env.run_line(&line).exits(2);
        assert_eq!(tree(&env.work()), before, "{line}");
    }
}
