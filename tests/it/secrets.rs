//! Secrets are never printed, and a wish for signatures is never dropped silently.

use hod::fsx;

use crate::support::env::{Output, TestEnv, finish};
use crate::support::images::image;

/// What must not be seen.
const SECRET: &str = "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0Secret0";

/// Names and values of variables of the environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

fn site() -> TestEnv {
    let env = TestEnv::in_memory();
    image(1).put_in(&env.store("store"), "app/a:1");
    let _ = env
        .run_line("pack store --output b.tar --no-tool")
        .success();
    env
}

fn run(env: &TestEnv, line: &str, variables: Variables<'_>, more: &[&str]) -> Output {
    let mut command = env.hod();
    command.args(line.split_whitespace()).args(more);
    finish(command.envs(variables.iter().copied()))
}

#[test]
fn a_secret_in_the_place_of_a_path_is_not_shown() {
    let env = site();
    let key = format!("untrusted comment: minisign secret key\n{SECRET}\n");
    let login = format!("{{\"auths\":{{\"h\":{{\"auth\":\"{SECRET}\"}}}}}}");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n");
    let lines = format!("robot\n{SECRET}");
    let pack = "pack store --output s.tar --no-tool";
    let push = "push store 127.0.0.1:1 --retries 0";
    for value in [&key, &login, &pem, &lines, SECRET] {
        let table: [(&str, Variables<'_>, &[&str]); 8] = [
            (pack, &[("HOD_SIGN_KEY", value)], &[]),
            (pack, &[], &["--sign", value]),
            ("verify b.tar", &[("HOD_VERIFY_KEY", value)], &[]),
            ("verify b.tar", &[], &["--verify-key", value]),
            (push, &[("REGISTRY_AUTH_FILE", value)], &[]),
            (push, &[], &["--authfile", value]),
            ("logout 127.0.0.1:1", &[("REGISTRY_AUTH_FILE", value)], &[]),
            (push, &[], &["--ca", value]),
        ];
        for (line, variables, more) in table {
            let output = run(&env, line, variables, more).exits(2);
            let said = format!("{}{}", output.stdout, output.stderr);
            assert!(!said.contains("Secret"), "{line}: {said}");
        }
    }
    assert!(fsx::try_stat(&env.path("s.tar")).unwrap().is_none());
}

#[test]
fn an_empty_key_turns_nothing_off() {
    let env = site();
    let table = [
        "unpack b.tar --output u",
        "export b.tar --output e",
        "push b.tar 127.0.0.1:1",
        "verify b.tar",
        "ls b.tar",
        "diff b.tar store",
        "why abc b.tar",
        "receipt b.tar --output r.json",
        "serve b.tar --listen 127.0.0.1:0",
        "pack store --since b.tar --output d.tar",
        "bundle merge b.tar b.tar --output m.tar",
        "select x.txt --store b.tar --output o",
    ];
    env.write("x.txt", "app/a:1\n");
    for line in table {
        let _ = run(&env, line, &[("HOD_VERIFY_KEY", "")], &[]).exits(2);
    }
    for name in ["HOD_SIGN_KEY", "HOD_SIGN_KEY_DATA"] {
        for line in [
            "pack store --output s.tar",
            "bundle merge b.tar --output s.tar",
        ] {
            let _ = run(&env, line, &[(name, "")], &[]).exits(2);
        }
    }
    for output in ["u", "e", "r.json", "d.tar", "m.tar", "o", "s.tar"] {
        assert!(
            fsx::try_stat(&env.path(output)).unwrap().is_none(),
            "{output}"
        );
    }
}

#[test]
fn trusted_keys_that_cannot_be_read_turn_nothing_off() {
    let env = site();
    let sh = |script: &str| {
        let script = format!("rm -rf ~/.config/hod && mkdir -p ~/.config/hod && {script}");
        let _ = finish(env.command("sh").args(["-c", &script])).success();
    };
    let table = [
        ("touch ~/.config/hod/trusted.d", 2),
        (
            "mkdir ~/.config/hod/trusted.d && touch ~/.config/hod/trusted.d/site.key",
            2,
        ),
        (
            "mkdir ~/.config/hod/trusted.d && touch ~/.config/hod/trusted.d/site.pub",
            2,
        ),
        (
            "mkdir ~/.config/hod/trusted.d && ln -s gone ~/.config/hod/trusted.d/site.pub",
            1,
        ),
        (
            "mkdir ~/.config/hod/trusted.d && mkdir ~/.config/hod/trusted.d/site.pub",
            1,
        ),
        // No key, and no wish for one.
        ("mkdir ~/.config/hod/trusted.d", 0),
        (
            "mkdir ~/.config/hod/trusted.d && touch ~/.config/hod/trusted.d/README",
            0,
        ),
    ];
    for (script, code) in table {
        sh(script);
        let output = env.run_line("verify b.tar");
        assert_eq!(output.code, Some(code), "{script}: {}", output.stderr);
    }
}
