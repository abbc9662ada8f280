//! What is told of arguments that cannot be used: by the flag or variable, with what to do instead.

use super::assert_says;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::images::image;

/// A store, a bundle of it, a `docker save` archive and a list, which are all there is.
fn site() -> TestEnv {
    let env = TestEnv::new();
    image(1).put_in(&env.store("mine"), "a/b:1");
    for line in [
        "pack mine --output site.tar --no-tool",
        "export mine --format docker-archive --output saved.tar",
    ] {
        let _ = env.run_line(line).success();
    }
    env.write("list.txt", "##one\na/b:1\n##two\na/b:1\n");
    env.write("lists/a.txt", "a/b:1\n");
    env.write("lists/deep/b.list", "a/b:1\n");
    env.write("deep/er/b.list", "a/b:1\n");
    env
}

#[test]
fn a_file_that_is_missing_is_named_with_its_flag() {
    let env = site();
    let registry = "127.0.0.1:1";
    for (line, expect) in [
        ("ls nofile", "`nofile` not found"),
        ("verify nofile", "`nofile` not found"),
        ("diff mine nofile", "`nofile` not found"),
        ("why 7cf040809e10 nofile", "`nofile` not found"),
        ("export nofile --output x", "`nofile` not found"),
        ("unpack nofile --output x", "`nofile` not found"),
        ("serve nofile --listen 0", "`nofile` not found"),
        ("push nofile h.corp", "`nofile` not found"),
        (
            "ls site.tar --verify-key nofile",
            "`nofile` (`--verify-key`) not found",
        ),
        (
            "ls site.tar --volume-dir nodir",
            "`nodir` (`--volume-dir`) not found",
        ),
        (
            "ls site.tar --volume-dir list.txt",
            "`list.txt` (`--volume-dir`) is not a directory",
        ),
        (
            "pack mine --output x.tar --sign nofile",
            "`nofile` (`--sign`) not found",
        ),
        (
            "pack mine --output x.tar --since nofile",
            "`nofile` (`--since`) not found",
        ),
        (
            "pack mine --output x.tar --tool nofile",
            "`nofile` (`--tool`) not found",
        ),
        (
            "pack mine --output x.tar --file nofile=a/",
            "`nofile` (`--file`) not found",
        ),
        (
            "pack mine --output x.tar --template-dir nodir",
            "`nodir` (`--template-dir`) not found",
        ),
        (
            "pack list.txt --store nostore --output x.tar",
            "`nostore` (`--store`) not found",
        ),
        (
            "select list.txt --store nostore --output x",
            "`nostore` (`--store`) not found",
        ),
        (
            "select nolist --store mine --output x",
            "image list `nolist` not found",
        ),
        (
            "serve mine --listen 0 --htpasswd nofile",
            "`nofile` (`--htpasswd`) not found",
        ),
        (
            "serve mine --listen 0 --tls-cert nofile --tls-key list.txt",
            "`nofile` (`--tls-cert`) not found",
        ),
    ] {
        assert_says(&env.run_line(line).exits(2), &[expect]);
    }
    for flag in ["--ca", "--authfile"] {
        let line = format!("push mine {registry} {flag} nofile");
        let expect = format!("`nofile` (`{flag}`) not found");
        assert_says(&env.run_line(&line).exits(2), &[&expect]);
    }
    let line = format!("push mine {registry} --ca list.txt");
    let output = env.run_line(&line).exits(2);
    assert_says(&output, &["`list.txt` (`--ca`) cannot be used", "PEM"]);
    for (variable, line) in [
        ("HOD_SIGN_KEY", "pack mine --output x.tar"),
        ("HOD_VERIFY_KEY", "ls site.tar"),
        ("REGISTRY_AUTH_FILE", "push mine 127.0.0.1:1"),
        ("CONTAINERS_REGISTRIES_CONF", "pull list.txt --store s"),
    ] {
        let mut hod = env.hod();
        hod.env(variable, "nofile").args(line.split(' '));
        let expect = format!("`nofile` (`{variable}`) not found");
        assert_says(&finish(&mut hod).exits(2), &[&expect]);
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_recognised() {
    let env = site();
    for (line, expect) in [
        // Something with images in the place of a list.
        (
            "pull site.tar --store s",
            "`site.tar` is an archive, not an image list",
        ),
        (
            "pull site.tar --store s",
            "`hod push site.tar REGISTRY` pushes its images",
        ),
        (
            "pull saved.tar --store s",
            "`hod unpack saved.tar --output STORE`",
        ),
        (
            "pull mine --store s",
            "`mine` is a store, not an image list",
        ),
        (
            "pull deep --store s",
            "Lists in subdirectories are not read. Name `deep/er` itself.",
        ),
        ("pull nginx --store s", "name its tag: `nginx:TAG`"),
        ("push mine h.corp --only a/b:1", "put `echo 'a/b:1' |`"),
        // A registry in the place of a local source.
        ("serve h.corp", "`hod ls h.corp` lists its images"),
        (
            "unpack h.corp:8443 --output x",
            "hod pull h.corp:8443 --store",
        ),
        (
            "select list.txt --store h.corp --output x",
            "hod copy h.corp TARGET",
        ),
        (
            "pack mine --output x.tar --since h.corp",
            "`hod receipt h.corp --output FILE`",
        ),
        ("serve nginx:1.27", "`hod pull nginx:1.27 --store STORE`"),
        // Another tool's spelling.
        ("push dir:mine h.corp", "Write `mine`, without `dir:`"),
        (
            "push docker-daemon:a:1 h.corp",
            "`docker save --output FILE a:1`",
        ),
        (
            "push mine docker://h.corp/x:1",
            "Name only the registry: `h.corp`",
        ),
        ("push mine https://h.corp/", "Write it as `h.corp`"),
        ("login docker://h.corp", "Write it as `h.corp`"),
        (
            "export mine --output docker://h.corp",
            "`hod push SRC REGISTRY[/PREFIX]`",
        ),
        (
            "export mine --output oci:x --format dir",
            "pass `--format oci`",
        ),
        // Values of flags.
        (
            "pull list.txt --store s --section one,two",
            "`--section one --section two`",
        ),
        ("push mine h.corp --project P", "did you mean `p`?"),
        (
            "serve mine --listen 127.0.0.1:99999",
            "the largest is 65535",
        ),
    ] {
        let output = env.run_line(line);
        assert_eq!(output.code, Some(2), "{line}: {}", output.stderr);
        assert_says(&output, &[expect]);
    }
}

#[test]
fn an_archive_on_stdin_is_to_be_written_to_a_file() {
    let env = site();
    let mut hod = env.hod();
    let saved = hod_fsx::open(&env.path("saved.tar")).unwrap();
    hod.args(["push", "-", "127.0.0.1:1"]).stdin(saved);
    let output = finish(&mut hod).exits(2);
    assert_says(
        &output,
        &[
            "From a pipe, hod reads only bundles",
            "docker save IMAGE --output",
        ],
    );
}

#[test]
fn layouts_are_not_exported_into_a_store() {
    let env = site();
    let _ = env.run_line("unpack site.tar --output other").success();
    let output = env.run_line("export site.tar --output other").exits(5);
    assert_says(
        &output,
        &["`other` is a store, and layouts do not belong in it"],
    );
    assert!(!env.path("other/a").exists());
}

#[test]
fn lists_in_subdirectories_are_told_of() {
    let env = site();
    let line = "select --store mine --output tree lists";
    let output = env.run_line(line).success();
    assert_says(
        &output,
        &["warning: lists in `lists/deep` are not read; add `lists/deep` to the command"],
    );
    let output = env.run_line(&format!("{line} lists/deep/")).success();
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

#[test]
fn a_path_that_the_system_refuses_gets_a_hint() {
    let env = site();
    for line in [
        "export mine --output list.txt/x",
        "unpack site.tar --output list.txt/x",
        "pack mine --output list.txt/x.tar --no-tool",
        "select list.txt --store mine --output list.txt/x",
        "receipt mine --output list.txt/x",
        "keygen --output list.txt/x",
        "push mine 127.0.0.1:1 --report list.txt/x.json",
    ] {
        let output = env.run_line(line);
        assert_ne!(output.code, Some(0), "{line}");
        assert_says(&output, &["is a file, but a directory is expected there"]);
    }
}
