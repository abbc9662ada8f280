//! Logins: `hod login` and `hod logout`, files, helpers, variables and stdin; beside skopeo.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use hod_testkit::docker_registry::{self, DockerRegistry, Door, PASSWORD, USER};
use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::image;
use hod_testkit::programs;
use hod_testkit::registry::{Auth, RegistryOptions, TestRegistry};
use hod_testkit::skopeo;
use hod_testkit::tree::remove_tree;

/// A registry that lets [`USER`] in.
fn locked(auth: fn(String, String) -> Auth) -> TestRegistry {
    let registry = TestRegistry::with(RegistryOptions {
        auth: auth(USER.to_owned(), PASSWORD.to_owned()),
        ..RegistryOptions::default()
    });
    registry.add("team/app:1", &image(1));
    registry
}

fn basic(user: String, password: String) -> Auth {
    Auth::Basic { user, password }
}

fn bearer(user: String, password: String) -> Auth {
    Auth::Bearer {
        login: Some((user, password)),
    }
}

/// Runs hod with a line, something on stdin, and variables.
pub(crate) fn run(env: &TestEnv, line: &str, input: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = env.hod();
    command.args(line.split_whitespace()).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(variables.iter().copied());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let output = Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(PASSWORD), "a secret is told:\n{text}");
        assert!(
            !text.contains(&encoded(PASSWORD)),
            "a secret is told:\n{text}"
        );
    }
    output
}

fn encoded(password: &str) -> String {
    BASE64.encode(format!("{USER}:{password}"))
}

fn login(env: &TestEnv, host: &str) -> Output {
    let line = format!("login {host} --username {USER} --password-stdin");
    run(env, &line, &format!("{PASSWORD}\n"), &[])
}

fn pull_line(host: &str) -> String {
    format!("pull list.txt --store store --source {host} --platform all")
}

fn config(env: &TestEnv) -> String {
    let path = env.home().join(".docker/config.json");
    let bytes = hod_fsx::try_read(&path, 1 << 20)
        .unwrap()
        .unwrap_or_default();
    String::from_utf8(bytes).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "modes are looked at here alone")]
fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Puts a helper on a PATH of its own, which keeps what it is told in files; returns the PATH.
#[expect(clippy::disallowed_methods, reason = "modes are set here alone")]
fn helper(env: &TestEnv, name: &str, script: &str) -> String {
    let path = env.path(format!("bin/docker-credential-{name}"));
    hod_fsx::write_file(&path, format!("#!/bin/sh\n{script}").as_bytes()).unwrap();
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, permissions).unwrap();
    format!("{}:/usr/bin:/bin", env.path("bin").display())
}

const KEEPER: &str = r#"
cd "$HOME" || exit 1
echo "$1" >> calls
case $1 in
store) cat > kept ;;
get) cat > asked; [ -f kept ] && exec cat kept
     echo 'credentials not found in native keychain'; exit 1 ;;
erase) cat > asked; rm -f kept ;;
esac
"#;

#[test]
fn skopeo_and_hod_read_each_others_logins() {
    if !programs::are_here(&[skopeo::PROGRAM, docker_registry::PROGRAM]) {
        return;
    }
    let env = TestEnv::new();
    let registry = DockerRegistry::serve_behind(Door::Login, &env, "theirs");
    let host = registry.host();
    env.write("list.txt", "team/app:1\n");
    image(1).put_in(&env.store("mine"), "team/app:1");
    let output = login(&env, host).success();
    let docker_config = env.home().join(".docker/config.json");
    assert_eq!(mode(&docker_config), 0o600);
    assert!(output.stderr.contains("not encrypted"), "{}", output.stderr);
    let _ = env.run_line(&format!("push mine {host}")).success();
    // skopeo by what hod wrote.
    let inspect = format!("inspect --raw --tls-verify=false docker://{host}/team/app:1");
    let _ = skopeo::run(&env, &inspect).success();
    let who = skopeo::run(&env, &format!("login --get-login {host}")).success();
    assert_eq!(who.stdout.trim(), USER);
    let out = env.run_line(&format!("logout {host}")).success();
    assert!(!out.stderr.contains("another login"), "{}", out.stderr);
    let _ = skopeo::run(&env, &inspect).exits(1);
    let _ = env.run_line(&pull_line(host)).exits(5);

    // hod by what skopeo wrote.
    let line = format!("login --tls-verify=false --username {USER} --password {PASSWORD} {host}");
    let _ = skopeo::run(&env, &line).success();
    let _ = env.run_line(&pull_line(host)).success();
    let who = env.run_line(&format!("login --get-login {host}")).success();
    assert_eq!(who.stdout, format!("{USER}\n"));
    // It is in another file than the one that hod forgets from.
    let out = env.run_line(&format!("logout {host}")).exits(1);
    assert!(out.stderr.contains("has no login for"), "{}", out.stderr);
    let _ = login(&env, host).success();
    let out = env.run_line(&format!("logout {host}")).success();
    assert!(
        out.stderr.contains("there is another login for"),
        "{}",
        out.stderr
    );
    let _ = skopeo::run(&env, &format!("logout {host}")).success();
    let none = env.run_line(&format!("login --get-login {host}")).exits(1);
    assert!(none.stderr.contains("has no login for"), "{}", none.stderr);
}

#[test]
fn a_login_is_checked_before_it_is_kept() {
    for auth in [basic, bearer] {
        let (env, registry) = (TestEnv::new(), locked(auth));
        let host = registry.host();
        let line = format!("login {host} --username {USER} --password-stdin");
        let output = run(&env, &line, "wr0ng-Passw0rd", &[]).exits(5);
        assert!(
            output.stderr.contains("refused this login: 401"),
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains("wr0ng-Passw0rd"));
        assert_eq!(config(&env), "");
        // Nobody is there to be asked, and nothing is sent.
        registry.take_seen();
        let output = run(&env, &format!("login {host}"), "", &[]).exits(2);
        assert!(
            output.stderr.contains("stdin is not a terminal"),
            "{}",
            output.stderr
        );
        assert!(registry.seen().is_empty());
        let variables = [("HOD_USERNAME", USER), ("HOD_PASSWORD", PASSWORD)];
        let _ = run(&env, &format!("login {host}"), "", &variables).success();
        assert!(config(&env).contains(&encoded(PASSWORD)));
        env.write("list.txt", "team/app:1\n");
        let _ = env.run_line(&pull_line(host)).success();
        let all = env.run_line("logout --all").success();
        assert!(
            all.stderr.contains("removed 1 login from"),
            "{}",
            all.stderr
        );
        assert!(!config(&env).contains(&encoded(PASSWORD)));
    }
}

#[test]
fn an_open_registry_cannot_check() {
    let (env, registry) = (TestEnv::new(), TestRegistry::start());
    let output = login(&env, registry.host()).success();
    assert!(
        output.stderr.contains("requires no login"),
        "{}",
        output.stderr
    );
}

#[test]
fn two_logins_at_once_are_both_kept() {
    let env = TestEnv::new();
    let registries: Vec<TestRegistry> = (0..6).map(|_| locked(basic)).collect();
    std::thread::scope(|scope| {
        for registry in &registries {
            let env = &env;
            scope.spawn(move || {
                let _ = login(env, registry.host()).success();
            });
        }
    });
    let text = config(&env);
    for registry in &registries {
        assert!(text.contains(registry.host()), "{text}");
    }
}

#[test]
fn a_helper_keeps_gives_and_forgets() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    let path = helper(&env, "files", KEEPER);
    let config_path = env.home().join(".docker/config.json");
    hod_fsx::write_file(&config_path, br#"{"credsStore": "files", "other": [1.0]}"#).unwrap();
    let path = [("PATH", path.as_str())];
    let line = format!("login {host} --username {USER} --password-stdin");
    let output = run(&env, &line, PASSWORD, &path).success();
    assert!(
        output.stderr.contains("docker-credential-files"),
        "{}",
        output.stderr
    );
    let text = config(&env);
    assert!(text.contains(&format!("\"{host}\": {{}}")), "{text}");
    assert!(text.contains("[1.0]") && !text.contains("auth\""), "{text}");
    let kept = hod_fsx::read(&env.home().join("kept"), 999).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(
        kept,
        json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD})
    );
    // Many images, one question.
    let names: Vec<String> = (0..9).map(|n| format!("team/app{n}:1")).collect();
    for name in &names {
        registry.add(name, &image(2));
    }
    env.write("list.txt", names.join("\n"));
    hod_fsx::remove_file(&env.home().join("calls")).unwrap();
    let _ = run(&env, &pull_line(host), "", &path).success();
    let calls = hod_fsx::read(&env.home().join("calls"), 999).unwrap();
    assert_eq!(calls, b"get\n");
    let asked = hod_fsx::read(&env.home().join("asked"), 999).unwrap();
    assert_eq!(asked, host.as_bytes());
    let _ = run(&env, &format!("logout {host}"), "", &path).success();
    assert!(
        hod_fsx::try_read(&env.home().join("kept"), 9)
            .unwrap()
            .is_none()
    );
    // It has nothing now, which is no failure of its own.
    let output = run(&env, &pull_line(host), "", &path).exits(5);
    assert!(output.stderr.contains("No login for"), "{}", output.stderr);
}

#[test]
fn a_helper_that_fails_is_named_with_what_it_says() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    env.write("list.txt", "team/app:1\n");
    let config_path = env.home().join(".docker/config.json");
    let config = json!({"credHelpers": {host: "broken"}});
    hod_fsx::write_file(&config_path, config.to_string().as_bytes()).unwrap();
    let path = helper(&env, "broken", "echo 'the vault is sealed'; exit 1\n");
    let path = [("PATH", path.as_str())];
    let output = run(&env, &pull_line(host), "", &path).exits(5);
    assert!(
        output
            .stderr
            .contains("`docker-credential-broken` failed: the vault is sealed"),
        "{}",
        output.stderr
    );
    // A store that is not on this machine only explains why there is no login.
    hod_fsx::write_file(&config_path, br#"{"credsStore": "desktop.exe"}"#).unwrap();
    let output = run(&env, &pull_line(host), "", &path).exits(5);
    assert!(
        output
            .stderr
            .contains("`docker-credential-desktop.exe` is not on"),
        "{}",
        output.stderr
    );
    let open = TestRegistry::start();
    open.add("team/app:1", &image(1));
    let _ = run(&env, &pull_line(open.host()), "", &path).success();
}

#[test]
fn what_is_given_for_this_run_counts_first() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    env.write("list.txt", "team/app:1\n");
    let line = pull_line(host);
    let wrong = json!({"auths": {host: {"auth": encoded("wrong")}}}).to_string();
    let docker_config = env.home().join(".docker/config.json");
    hod_fsx::write_file(&docker_config, wrong.as_bytes()).unwrap();
    let right = ("HOD_PASSWORD", PASSWORD);
    let user = ("HOD_USERNAME", USER);
    let bad = ("HOD_PASSWORD", "wr0ng");
    let check = |line: &str, input: &str, variables: &[(&str, &str)], code: i32| {
        let _ = remove_tree(&env.path("store"));
        run(&env, line, input, variables).exits(code)
    };
    check(&line, "", &[], 5);
    check(&line, "", &[user, right], 0);
    let own = [
        ("HOD_SOURCE_USERNAME", USER),
        ("HOD_SOURCE_PASSWORD", PASSWORD),
    ];
    check(&line, "", &[own[0], own[1], user, bad], 0);
    let other = [
        ("HOD_TARGET_USERNAME", USER),
        ("HOD_TARGET_PASSWORD", PASSWORD),
    ];
    check(&line, "", &other, 5);
    let stdin = format!("{line} --creds-stdin");
    check(&stdin, &format!("{USER}:{PASSWORD}\nrest"), &[user, bad], 0);
    let output = check(&stdin, &format!("{USER}:wrong"), &[], 5);
    let hint = "the user and password on the first line of stdin";
    let said = output
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains(hint), "{said}");
    assert!(!said.contains("og in again"), "{said}");
    let output = check(&stdin, "nonsense", &[], 2);
    assert!(output.stderr.contains("user:password"), "{}", output.stderr);
    let output = check(&line, "", &[user], 2);
    assert!(
        output
            .stderr
            .contains("`HOD_USERNAME` is set, but `HOD_PASSWORD` is not"),
        "{}",
        output.stderr
    );
    let output = check(&stdin.replace("list.txt", "-"), "x", &[], 2);
    assert!(
        output.stderr.contains("both read stdin"),
        "{}",
        output.stderr
    );
    // A named file is the only one, and must be there.
    env.write(
        "auth.json",
        json!({"auths": {host: {"auth": encoded(PASSWORD)}}}).to_string(),
    );
    check(&format!("{line} --authfile auth.json"), "", &[], 0);
    check(&line, "", &[("REGISTRY_AUTH_FILE", "auth.json")], 0);
    env.write("empty.json", "{}");
    let output = check(&format!("{line} --authfile empty.json"), "", &[], 5);
    assert!(output.stderr.contains("No login for"), "{}", output.stderr);
    check(&format!("{line} --authfile absent.json"), "", &[], 2);
    let text = json!({"auths": {host: {"auth": encoded(PASSWORD)}}}).to_string();
    check(&line, "", &[("DOCKER_AUTH_CONFIG", &text)], 0);
    // For the other side.
    image(1).put_in(&env.store("mine"), "team/app:1");
    let push = format!("push mine {host}/copy");
    check(&push, "", &[other[0], other[1], user, bad], 0);
    check(&push, "", &own, 5);
    check(
        &format!("{push} --creds-stdin"),
        &format!("{USER}:{PASSWORD}"),
        &[],
        0,
    );
    // A login for one registry, and a list of two.
    env.write("list.txt", format!("{host}/team/app:1\nother.test/x:1\n"));
    let line = "pull list.txt --store store";
    let output = check(line, "", &[user, right], 2);
    assert!(
        output
            .stderr
            .contains("`HOD_USERNAME` gives a login for one registry"),
        "{}",
        output.stderr
    );
    env.write("list.txt", format!("{host}/team/app:1\n"));
    check(&format!("{line} --platform all"), "", &[user, right], 0);
}

#[test]
fn a_file_that_cannot_be_used_does_not_stop_who_does_not_need_it() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    env.write("list.txt", "team/app:1\n");
    let path = env.home().join(".config/containers/auth.json");
    let docker = json!({"auths": {host: {"auth": encoded(PASSWORD)}}}).to_string();
    hod_fsx::write_file(&env.home().join(".docker/config.json"), docker.as_bytes()).unwrap();
    let shown = path.display().to_string();
    let check = |text: Option<&str>, warns: bool| {
        let _ = remove_tree(&env.path("store"));
        if let Some(text) = text {
            hod_fsx::write_file(&path, text.as_bytes()).unwrap();
        } else {
            hod_fsx::remove_file(&path).unwrap();
            hod_fsx::create_dir_all(&path).unwrap();
        }
        let output = env.run_line(&pull_line(host)).success();
        let warning = format!("warning: logins in `{shown}` are ignored");
        assert_eq!(output.stderr.contains(&warning), warns, "{}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
        // Named, it must be good.
        let _ = remove_tree(&env.path("store"));
        let named = env.run_line(&format!("{} --authfile {shown}", pull_line(host)));
        assert_ne!(named.code, Some(0), "{text:?}");
        assert!(!named.stderr.contains("hunter2"), "{}", named.stderr);
    };
    // The entry of another host.
    check(Some(r#"{"auths": {"a.b": "hunter2"}}"#), false);
    check(Some(r#"{"auths": {"a.b": {"auth": "hunter2!"}}}"#), false);
    check(Some(""), true);
    check(Some(r#"{"auths": "hunter2"}"#), true);
    check(None, true);
}

#[test]
fn a_bad_entry_of_the_host_itself_is_named() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    env.write("list.txt", "team/app:1\n");
    let path = env.home().join(".docker/config.json");
    let config = json!({"auths": {host: {"auth": "hunter2!"}}}).to_string();
    hod_fsx::write_file(&path, config.as_bytes()).unwrap();
    let output = env.run_line(&pull_line(host)).exits(5);
    let expect = format!(
        "The login for `{host}` cannot be used: `auth` of `{host}` in the credentials is not base64"
    );
    let stderr = output.stderr.replace("\n      ", " ");
    assert!(stderr.contains(&expect), "{stderr}");
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

#[test]
fn a_wrong_password_is_shown_once_in_a_run() {
    for auth in [basic, bearer] {
        let (env, registry) = (TestEnv::new(), locked(auth));
        let host = registry.host();
        let names: Vec<String> = (0..20).map(|n| format!("team/app{n}:1")).collect();
        env.write("list.txt", names.join("\n"));
        let config = json!({"auths": {host: {"auth": encoded("wr0ng")}}});
        let path = env.home().join(".docker/config.json");
        hod_fsx::write_file(&path, config.to_string().as_bytes()).unwrap();
        let output = env.run_line(&pull_line(host)).exits(5);
        assert!(
            output
                .stderr
                .contains(&format!("`{host}` refuses the login of `{USER}`: 401")),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains(&path.display().to_string()));
        assert!(output.stderr.contains(&format!("hod login {host}")));
        // With what was asked for, and once more to see that it is the login itself.
        let shown = registry.seen().into_iter();
        let shown = shown.filter(|seen| seen.header("authorization").is_some());
        assert_eq!(shown.count(), 2, "{:#?}", registry.seen());
    }
}

#[test]
fn a_login_for_a_part_of_a_registry_is_for_that_part() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    registry.add("other/app:1", &image(3));
    let _ = login(&env, &format!("{host}/team")).success();
    assert!(config(&env).contains(&format!("\"{host}/team\"")));
    env.write("list.txt", "team/app:1\nother/app:1\n");
    let output = env.run_line(&pull_line(host)).exits(3);
    assert!(output.stderr.contains("other/app:1"), "{}", output.stderr);
    let _ = finish(env.hod().args(["logout", &format!("{host}/team")])).success();
}

#[test]
fn what_is_missing_is_named() {
    let env = TestEnv::new();
    let check = |line: &str, input: &str, expect: &str| {
        let output = run(&env, line, input, &[]).exits(2);
        assert!(output.stderr.contains(expect), "{}", output.stderr);
    };
    check(
        "login harbor.test --username u --password-stdin",
        "\n",
        "no password found on stdin",
    );
    check(
        "login https://harbor.test --username u --password-stdin",
        "p",
        "is not of the form `REGISTRY[/REPOSITORY]`",
    );
    check("logout", "", "REGISTRY");
    let mut command = env.hod();
    command.env_remove("HOME").args(["logout", "harbor.test"]);
    let output = finish(&mut command).exits(2);
    assert!(
        output
            .stderr
            .contains("neither `HOME` nor `DOCKER_CONFIG` is set"),
        "{}",
        output.stderr
    );
}

/// Runs hod on a terminal of its own, where somebody types `input`.
fn on_a_terminal(env: &TestEnv, line: &str, input: &str) -> Output {
    let hod = env!("CARGO_BIN_EXE_hod");
    let mut command = env.command("script");
    command.args(["--quiet", "--return", "--command"]);
    // After a key has come, the terminal is as hod left it.
    command.arg(format!(
        "{hod} {line}; code=$?; stty -a | grep -ow -e '-*echo'; exit $code"
    ));
    command.arg("/dev/null").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_password_of_a_key_is_asked_on_a_terminal() {
    if !programs::are_here(&["script"]) {
        return;
    }
    let env = TestEnv::new();
    image(1).put_in(&env.store("store"), "a/b:1");
    let typed = "sealed words\n";
    let made = on_a_terminal(&env, "keygen --password-stdin", typed).success();
    assert!(
        made.stdout.trim_end().ends_with("\necho"),
        "{}",
        made.stdout
    );
    let pack = "pack store --no-tool --sign hod.key --output site.tar";
    let packed = on_a_terminal(&env, pack, typed).success();
    let said = &packed.stdout;
    assert!(said.contains("password of secret key `hod.key`"), "{said}");
    assert!(said.contains("signed by key "), "{said}");
    let _ = env
        .run_line("pack store --sign hod.key --output other.tar")
        .exits(2);
}

#[test]
fn a_person_is_asked_on_a_terminal() {
    if !programs::are_here(&["script"]) {
        return;
    }
    let (env, registry) = (TestEnv::new(), locked(basic));
    let host = registry.host();
    // The password is typed when it is asked for: before, the terminal itself would show it.
    let line = format!("login {host} --username {USER}");
    let output = on_a_terminal(&env, &line, &format!("{PASSWORD}\n")).success();
    let said = &output.stdout;
    assert!(said.contains("password of `carrier`"), "{said}");
    assert!(said.contains("logged in to"), "{said}");
    assert!(said.trim_end().ends_with("\necho"), "{said}");
    assert!(config(&env).contains(&encoded(PASSWORD)));
    // The terminal is as it was, and was asked for what nobody shall see.
    env.write("list.txt", "team/app:1\n");
    let line = format!("{} --creds-stdin", pull_line(host));
    let output = on_a_terminal(&env, &line, &format!("{USER}:{PASSWORD}\n")).success();
    let said = &output.stdout;
    assert!(said.contains("USER:PASSWORD (not shown):"), "{said}");
    assert!(said.trim_end().ends_with("\necho"), "{said}");
}

/// What a login that was killed left has passwords in it; it is removed by name, and only that.
#[test]
fn what_a_killed_login_left_is_removed_by_the_next() {
    let (env, registry) = (TestEnv::new(), locked(basic));
    let _ = login(&env, registry.host()).success();
    let dir = env.home().join(".docker");
    let (killed, foreign) = (dir.join(".hod-aB3dE6"), dir.join(".hod-notes.txt"));
    hod_fsx::write_file(&killed, b"password").unwrap();
    hod_fsx::write_file(&foreign, b"precious").unwrap();
    let path = dir.join("config.json");
    let before = config(&env);
    let permissions = std::fs::Permissions::from_mode(0o644);
    let file = hod_fsx::open(&path).unwrap();
    file.set_permissions(permissions).unwrap();
    // The same login: the file need not be written, and is its owner's alone all the same.
    let said = login(&env, registry.host()).success().stderr;
    assert!(said.contains("readable only by you"), "{said}");
    assert_eq!(config(&env), before);
    assert_eq!(mode(&path) & 0o777, 0o600);
    assert!(hod_fsx::try_stat(&killed).unwrap().is_none());
    assert!(hod_fsx::try_stat(&foreign).unwrap().is_some());
}
