//! What the installer asks of hod, and what it makes of the answer: hod is a script here.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{SHELLS, Site, contains};
use hod_testkit::env::finish;
use hod_testkit::programs;

/// Writes a program for `HOD`.
fn fake(site: &Site, script: &str) -> std::path::PathBuf {
    let path = site.env.write("fake hod", format!("#!/bin/sh\n{script}\n"));
    let _ = finish(site.env.command("chmod").arg("+x").arg(&path)).success();
    path
}

#[test]
fn exit_codes_are_hods() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("site");
    let hod = fake(&site, "echo said; [ \"$1\" != push ] || exit \"$CODE\"");
    for shell in SHELLS {
        for code in [0, 1, 2, 3, 4, 5, 130] {
            for log in ["/dev/null", "log"] {
                let mut command = site.install(shell);
                command.env("HOD", &hod).env("CODE", code.to_string());
                command.args(["--registry", "r.corp", "--skip-verify", "--log", log]);
                contains(&finish(&mut command).exits(code), "\nsaid\n");
            }
        }
        let output = finish(site.install(shell).arg("--nonsense")).exits(2);
        contains(&output, "unknown option `--nonsense`");
        let output = finish(&mut site.install(shell)).exits(2);
        assert!(output.stderr.starts_with("usage: "), "{}", output.stderr);
    }
    assert!(site.env.read("log").contains("\nsaid\n"));
}

#[test]
fn a_login_is_advised_where_the_registry_asked_for_one() {
    let site = Site::new("site");
    let hod = fake(&site, "echo \"$SAID\"; exit \"$CODE\"");
    let check = |said: &str, code: i32, is_advised: bool| {
        let mut command = site.install(&["dash"]);
        command.env("HOD", &hod).env("SAID", said);
        command.env("CODE", code.to_string());
        let output = finish(command.args(["--registry", "r.corp", "--skip-verify"])).exits(code);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(
            all.contains("The registry requires a login"),
            is_advised,
            "{all}"
        );
    };
    for code in [1, 3, 5] {
        check("error: `r.corp` answered 401 Unauthorized", code, true);
        // What an earlier run was told is in the log still.
        check("error: cannot connect to `r.corp`", code, false);
        check("error: blob `sha256:401` is damaged", code, false);
        check("error: `r.corp` answered 403 Forbidden", code, false);
    }
}

#[test]
fn options_and_variables_say_the_same() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("site");
    let hod = fake(
        &site,
        "[ \"$1 $4\" != \"push --dry-run\" ] || exit 0; printf '<%s>' \"$@\"; echo",
    );
    let bundle = site.path("site.tar");
    let options = "--registry r.corp:1/p --project a --create-projects=public --rename x/*=y/* \
                   --rename z=w --strip-host --insecure --plain-http --skip-verify";
    let variables = [
        ("REGISTRY", "r.corp:1/p"),
        ("PROJECT", "a"),
        ("CREATE_PROJECTS", "public"),
        ("RENAME", "x/*=y/* z=w"),
        ("STRIP_HOST", "1"),
        ("INSECURE", "1"),
        ("PLAIN_HTTP", "1"),
        ("SKIP_VERIFY", "1"),
        ("CA", "it's a ca"),
        ("VERIFY_KEY", "k"),
        ("VOLUME_DIR", "v w"),
    ];
    for shell in SHELLS {
        let mut by_option = site.install(shell);
        by_option.env("HOD", &hod).args(options.split_whitespace());
        by_option.args(["--ca", "it's a ca", "--verify-key=k", "--volume-dir", "v w"]);
        let by_option = finish(by_option.args(["--", "--max-rate", "1 M"])).success();
        let mut by_variable = site.install(shell);
        by_variable.env("HOD", &hod);
        for (name, value) in variables {
            by_variable.env(format!("HOD_INSTALL_{name}"), value);
        }
        let by_variable = finish(by_variable.args(["--", "--max-rate", "1 M"])).success();
        for output in [by_option, by_variable] {
            let line = output
                .stdout
                .lines()
                .find(|line| line.starts_with('<'))
                .unwrap();
            let start = format!("<push><{}><r.corp:1/p>", bundle.display());
            assert!(line.starts_with(&start), "{line}");
            for words in [
                "<--volume-dir><v w>",
                "<--verify-key><k>",
                "<--project><a>",
                "<--create-projects=public>",
                "<--rename><x/*=y/*><--rename><z=w>",
                "<--strip-host>",
                "<--insecure><r.corp:1>",
                "<--plain-http><r.corp:1>",
                "<--ca><it's a ca>",
                "<--max-rate><1 M>",
            ] {
                assert_eq!(line.matches(words).count(), 1, "{words} in {line}");
            }
        }
    }
}

#[test]
fn a_login_on_stdin_reaches_each_push_and_nothing_else() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("site");
    let script = "case \"$*\" in *--creds-stdin*) IFS= read -r line; printf '%s: %s\\n' \"$1\" \"$line\" >>got ;; esac";
    let hod = fake(&site, script);
    site.env.write("login", "robot$x:a b\\n%s'\"\nmore\n");
    for shell in SHELLS {
        site.env.write("got", "");
        let mut command = site.install(shell);
        command
            .env("HOD", &hod)
            .args(["--registry", "r", "--creds-stdin"]);
        let login = hod_fsx::open(&site.env.path("login")).unwrap();
        let output = finish(command.stdin(Stdio::from(login))).success();
        let line = "push: robot$x:a b\\n%s'\"\n";
        assert_eq!(site.env.read("got"), line.repeat(2), "{shell:?}");
        let said = output.stdout + &output.stderr + &site.log();
        assert!(!said.contains("robot"), "{said}");
        let mut command = site.install(shell);
        command
            .env("HOD", &hod)
            .args(["--registry", "r", "--creds-stdin"]);
        contains(&finish(&mut command).exits(2), "requires a login on stdin");
    }
}

/// hod finishes what it should not leave, and its last words are seen and kept.
#[test]
fn an_interrupt_is_hods_and_the_installer_waits_for_it() {
    if !programs::are_here(&["busybox"]) {
        return;
    }
    let site = Site::new("site");
    let script = "trap 'echo last words; exit 130' INT; : >started; \
                  while :; do sleep 0.05; done";
    let hod = fake(&site, script);
    for shell in SHELLS {
        // A shell cannot trap what was ignored when it began, as it is for what runs in the background.
        let mut command = site.install(&[&["env", "--default-signal=INT"][..], shell].concat());
        command
            .env("HOD", &hod)
            .args(["--registry", "r", "--skip-verify"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).spawn().unwrap();
        let start = Instant::now();
        while !hod_testkit::tree::exists(&site.env.path("started")) {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        hod_fsx::remove_file(&site.env.path("started")).unwrap();
        let group = format!("-{}", child.id());
        let _ = finish(site.env.command("kill").args(["-INT", "--", &group])).success();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(130), "{shell:?}: {said}");
        assert!(said.contains("\nlast words\n"), "{shell:?}: {said}");
        site.check_tidy();
    }
    assert_eq!(site.log().matches("\nlast words\n").count(), SHELLS.len());
}
