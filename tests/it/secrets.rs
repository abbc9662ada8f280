//! Secrets are never printed, and a wish for signatures is never dropped silently.

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::puppet::{Puppet, Reply};

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

/// Contents of files, in each of which `Secret0` is what must not be seen.
fn contents() -> Vec<String> {
    let json = format!(r#"{{"auths":{{"h":{{"auth":"{SECRET}"}}}}}}"#);
    // `alice:hod-Secret0-`
    let encoded = "YWxpY2U6aG9kLVNlY3JldDAt";
    vec![
        SECRET.to_owned(),
        format!("{SECRET}\n"),
        format!("\"{SECRET}\""),
        format!("'{SECRET}'"),
        format!("untrusted comment: minisign secret key\n{SECRET}\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"),
        format!("robot\n{SECRET}"),
        json.clone(),
        format!("'{json}'"),
        "alice:$2y$05$Secret0abcdefghijklmnopqrstuv/ABCDEFGHIJKLMNOPQRSTUVWXY".to_owned(),
        encoded.to_owned(),
        format!("@{SECRET}"),
        format!("./{SECRET}"),
        // The key in base64, as variables of CI systems hold it.
        ENCODED_SECRET.to_owned(),
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTZWNyZXQwIn0.Secret0".to_owned(),
    ]
}

const ENCODED_SECRET: &str =
    "UldRQUFFSXlBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQTBTZWNyZXQw";

/// What of the contents must not be seen.
const HIDDEN: [&str; 4] = ["Secret0", "YWxpY2U6aG9k", "hod-Secret", "UldRQUFFSXlBQUFB"];

#[track_caller]
fn check_hidden(env: &TestEnv, output: &Output, what: &str) {
    let report = hod_fsx::try_read(&env.path("report.json"), 1 << 20).unwrap();
    let junit = hod_fsx::try_read(&env.path("report.xml"), 1 << 20).unwrap();
    let files = [report, junit].map(Option::unwrap_or_default);
    let files = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = [output.stdout.as_str(), &output.stderr, &files[0], &files[1]].concat();
    for hidden in HIDDEN {
        assert!(!said.contains(hidden), "{what}: {said}");
    }
    assert_ne!(output.code, Some(0), "{what}");
    if output.stdout.starts_with('{') {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&output.stdout);
        assert!(parsed.is_ok(), "{what}: {}", output.stdout);
    }
}

const NAMES: [&str; 6] = [
    "HOD_SIGN_KEY",
    "HOD_VERIFY_KEY",
    "REGISTRY_AUTH_FILE",
    "CONTAINERS_REGISTRIES_CONF",
    "SOURCE_DATE_EPOCH",
    "HTTPS_PROXY",
];

/// Where people may put a secret by mistake; `{}` is where it goes.
const LINES: [&[&str]; 38] = [
    &["pack", "store", "--output", "s.tar", "--sign", "{}"],
    &["pack", "store", "--output", "s.tar", "--sign", "helper:{}"],
    &["pack", "store", "--output", "s.tar", "--sign={}"],
    &["pack", "store", "--output", "{}"],
    &["pack", "store", "--output", "s.tar", "--volume-size", "{}"],
    &["pack", "store", "--output", "s.tar", "--since", "{}"],
    &["verify", "b.tar", "--verify-key", "{}"],
    &["verify", "b.tar", "--verify-key={}"],
    &["verify", "{}"],
    &["verify", "{}", "--json"],
    &["ls", "{}"],
    &["why", "abc", "{}"],
    &["inspect", "{}"],
    &["inspect", "store", "{}"],
    &["tags", "{}"],
    &["delete", "{}", "--yes"],
    &["digest", "{}"],
    &["unpack", "{}", "--output", "u"],
    &["export", "b.tar", "--output", "e", "--format", "{}"],
    &["select", "{}", "--store", "store", "--output", "o"],
    &["pull", "{}", "--store", "s"],
    &["pull", "list.txt", "--store", "s", "--source", "{}"],
    &["pull", "list.txt", "--store", "s", "--report", "{}"],
    &["push", "store", "{}"],
    &["push", "store", "{}", "--json", "--report", "report.json"],
    &["push", "store", "{}", "--report", "report.xml"],
    &["push", "{}", "127.0.0.1:1", "--report", "report.json"],
    &["push", "store", "127.0.0.1:1", "--authfile", "{}"],
    &["push", "store", "127.0.0.1:1", "--ca", "{}"],
    &["push", "store", "127.0.0.1:1", "--insecure", "{}"],
    &["push", "store", "127.0.0.1:1", "--creds-stdin={}"],
    &["login", "127.0.0.1:1", "--password={}"],
    &["login", "127.0.0.1:1", "--password-stdin", "{}"],
    &["login", "{}", "--username", "alice", "--password-stdin"],
    &["logout", "{}"],
    &["doctor", "{}"],
    &[
        "serve",
        "store",
        "--listen",
        "127.0.0.1:0",
        "--htpasswd",
        "{}",
    ],
    &["keygen", "--output", "gone/{}"],
];

fn with(env: &TestEnv, words: &[&str], value: &str) -> Output {
    let mut command = env.hod();
    command.args(words.iter().map(|word| word.replace("{}", value)));
    finish(&mut command)
}

#[test]
fn no_content_of_a_file_is_shown() {
    let env = site();
    env.write("list.txt", "app/a:1\n");
    for value in contents() {
        for words in LINES {
            // A secret of several lines is a list of images where one is expected, word by word.
            let output = with(&env, words, &value);
            check_hidden(&env, &output, &format!("{words:?} {value}"));
        }
        for name in NAMES {
            let line = match name {
                "HOD_VERIFY_KEY" => "verify b.tar --json",
                "HOD_SIGN_KEY" | "SOURCE_DATE_EPOCH" => "pack store --output s.tar --json",
                "CONTAINERS_REGISTRIES_CONF" => "pull list.txt --store s",
                _ => "push store gone.invalid --retries 0 --report report.json",
            };
            let output = run(&env, line, &[(name, &value)], &[]);
            check_hidden(&env, &output, &format!("{name} {value}"));
        }
    }
    assert!(hod_fsx::try_stat(&env.path("s.tar")).unwrap().is_none());
}

/// A login where a file of secrets is expected, or a flag that takes none.
#[test]
fn no_login_is_shown_in_the_place_of_a_file() {
    let env = site();
    env.write("list.txt", "app/a:1\n");
    for value in [
        "@alice:Secret0",
        "alice:Secret0",
        "alice:Sec/Secret0",
        "\"alice:Secret0\"",
    ] {
        let lines: [&[&str]; 12] = [
            &["pack", "store", "--output", "s.tar", "--sign", "{}"],
            &["verify", "b.tar", "--verify-key", "{}"],
            &["push", "store", "127.0.0.1:1", "--authfile", "{}"],
            &["push", "store", "127.0.0.1:1", "--ca", "{}"],
            &["push", "store", "127.0.0.1:1", "--creds-stdin={}"],
            &["push", "store", "127.0.0.1:1", "--creds={}"],
            &["login", "127.0.0.1:1", "--creds-stdin", "{}"],
            &["logout", "127.0.0.1:1", "--authfile", "{}"],
            &["login", "127.0.0.1:1", "--username", "{}"],
            &["login", "127.0.0.1:1", "--username={}", "--password-stdin"],
            &["login", "127.0.0.1:1", "-u", "{}", "--password-stdin"],
            &[
                "serve",
                "store",
                "--listen",
                "127.0.0.1:0",
                "--htpasswd",
                "{}",
            ],
        ];
        for words in lines {
            let output = with(&env, words, value).exits(2);
            check_hidden(&env, &output, &format!("{words:?} {value}"));
        }
        for (name, line) in [
            ("HOD_SIGN_KEY", "pack store --output s.tar"),
            ("HOD_VERIFY_KEY", "verify b.tar"),
            ("REGISTRY_AUTH_FILE", "push store 127.0.0.1:1"),
            ("REGISTRY_AUTH_FILE", "logout 127.0.0.1:1"),
            ("REGISTRY_AUTH_FILE", "doctor 127.0.0.1:1"),
            ("DOCKER_CONFIG", "doctor 127.0.0.1:1"),
            ("DOCKER_CONFIG", "push store 127.0.0.1:1"),
            ("DOCKER_CONFIG", "login 127.0.0.1:1 -u a --password-stdin"),
            ("CONTAINERS_REGISTRIES_CONF", "pull list.txt --store s"),
            ("HOD_USERNAME", "push store 127.0.0.1:1"),
            ("HOD_USERNAME", "login 127.0.0.1:1"),
        ] {
            let password = ("HOD_PASSWORD", "wonder");
            let is_user = name == "HOD_USERNAME";
            let variables: &[_] = &[(name, value), password];
            let variables = &variables[..=usize::from(is_user)];
            let output = run(&env, line, variables, &[]).exits(2);
            check_hidden(&env, &output, &format!("{name} {value}"));
        }
    }
}

/// What is only a path is named, so that it can be corrected.
#[test]
fn a_missing_file_is_named() {
    let env = site();
    for path in [
        "gone/site.key",
        "/gone/alice:1/site.key",
        "./alice:1.key",
        "@gone",
    ] {
        let lines: [&[&str]; 4] = [
            &["pack", "store", "--output", "s.tar", "--sign", "{}"],
            &["verify", "b.tar", "--verify-key", "{}"],
            &["push", "store", "127.0.0.1:1", "--authfile", "{}"],
            &["push", "store", "127.0.0.1:1", "--ca", "{}"],
        ];
        for words in lines {
            let output = with(&env, words, path).exits(2);
            assert!(output.stderr.contains(path), "{words:?}: {}", output.stderr);
        }
    }
}

/// A login before the `@` of an address, or a token behind its `?`.
#[test]
fn no_password_of_an_address_is_shown() {
    let env = site();
    for value in [
        "alice:Secret0@127.0.0.1:1",
        "alice:Secret0@host",
        "https://alice:Secret0@harbor.corp/app",
        "https://Secret0@harbor.corp",
        "alice:p@Secret0/x@harbor.corp/a",
        "docker://alice:Secret0@host/a:1",
        "harbor.corp?token=Secret0",
        "https://harbor.corp/app?user=a&token=Secret0",
    ] {
        env.write("list.txt", format!("app/a:1\n{value}/app/b:1\n"));
        let lines: [&[&str]; 14] = [
            &["push", "store", "{}"],
            &["push", "store", "{}", "--json", "--report", "report.json"],
            &["push", "store", "{}", "--report", "report.xml"],
            &["push", "{}", "harbor.corp"],
            &["pull", "{}", "--store", "s"],
            &["pull", "list.txt", "--store", "s"],
            &["pull", "list.txt", "--store", "s", "--source", "{}"],
            &["push", "store", "h.corp", "--insecure", "{}"],
            &["push", "store", "h.corp", "--plain-http", "{}"],
            &["login", "{}", "--username", "alice", "--password-stdin"],
            &["logout", "{}"],
            &["doctor", "{}"],
            &["doctor", "{}", "--json"],
            &["receipt", "{}", "--output", "r.json"],
        ];
        for words in lines {
            let output = with(&env, words, value);
            check_hidden(&env, &output, &format!("{words:?} {value}"));
        }
    }
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
            hod_fsx::try_stat(&env.path(output)).unwrap().is_none(),
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
        ("ln -s gone ~/.config/hod/trusted.d", 2),
        ("ln -s trusted.d ~/.config/hod/trusted.d", 1),
        ("rmdir ~/.config/hod && ln -s gone ~/.config/hod", 2),
        (
            "mkdir ~/.config/keys && ln -s ../keys ~/.config/hod/trusted.d",
            0,
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

/// What hod sent, where the server repeats it.
#[test]
fn what_was_sent_is_not_shown() {
    const PASSWORD: &str = "Zq9SECRETpw";
    const TOKEN: &str = "Zq9.SECRET-token_0123456789";
    const BASE64: &str = "Ym9iOlpxOVNFQ1JFVHB3";
    let said = |status: u16| {
        let message = format!("is wrong: {PASSWORD}, {BASE64}, {TOKEN}");
        let error = serde_json::json!({"code": "DENIED", "message": message, "detail": message});
        let body = serde_json::json!({"errors": [error]}).to_string();
        Reply::status(status, body).header("Content-Type", "application/json")
    };
    let asks_password =
        Puppet::start(move |_, _| Some(said(401).header("WWW-Authenticate", "Basic realm=\"x\"")));
    let gives_tokens = Puppet::start(move |_, target| {
        Some(match target.split('?').next() {
            Some("/token") => Reply::ok(format!(r#"{{"token":"{TOKEN}"}}"#)),
            Some("/v2/") => said(401).header("WWW-Authenticate", "Bearer realm=\"/token\""),
            _ => said(403),
        })
    });
    for (server, hidden) in [
        (&asks_password, [PASSWORD, BASE64]),
        (&gives_tokens, [PASSWORD, TOKEN]),
    ] {
        let env = site();
        env.write("list.txt", "app/a:1\n");
        let host = server.host();
        let mut all = String::new();
        for line in [
            format!("pull list.txt --store s --source {host}"),
            format!("pull list.txt --store s --source {host} --no-preflight"),
            format!("push store {host}"),
            format!("push store {host} --no-preflight"),
            format!("receipt {host} --output r.json"),
            format!("doctor {host}/app/a:1"),
            format!("login {host}"),
        ] {
            // Where no login was asked for yet, none is sent.
            if hidden.contains(&TOKEN) && line.contains("--no-preflight") {
                continue;
            }
            for more in ["", "--json", "--report report.json", "--report report.xml"] {
                let login = [("HOD_USERNAME", "bob"), ("HOD_PASSWORD", PASSWORD)];
                let output = run(&env, &format!("{line} {more} --retries 0"), &login, &[]);
                for text in [output.stdout.clone(), output.stderr.clone()] {
                    all.push_str(&text);
                }
                for name in ["report.json", "report.xml", "r.json"] {
                    let bytes = hod_fsx::try_read(&env.path(name), 1 << 20).unwrap();
                    all.push_str(&String::from_utf8_lossy(&bytes.unwrap_or_default()));
                }
                for secret in hidden {
                    assert!(!all.contains(secret), "{line} {more}: {all}");
                }
            }
        }
        assert!(all.contains("is wrong: ***"), "{all}");
    }
}
