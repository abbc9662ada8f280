//! Which login is found, and what is kept.

use super::auth_file::BASE64;
use super::*;
use base64::Engine as _;

fn encode(text: &str) -> String {
    BASE64.encode(text)
}

fn shown(login: &Login) -> String {
    match login {
        Login::Password { username, password } => format!("{username} {}", password.reveal()),
        Login::IdentityToken(token) => format!("identity {}", token.reveal()),
        Login::BearerToken(token) => format!("bearer {}", token.reveal()),
    }
}

#[test]
fn the_most_specific_key_wins() {
    let config = format!(
        r#"{{"auths": {{
            "harbor.corp": {{"auth": "{}"}},
            "harbor.corp/team": {{"auth": "{}"}},
            "harbor.corp/team/app": {{"username": "app", "password": "p"}},
            "https://index.docker.io/v1/": {{"auth": "{}"}},
            "https://old.corp:8443/v2/": {{"auth": "{}"}},
            "http://twice.corp": {{"auth": "{}"}},
            "twice.corp": {{"auth": "{}"}},
            "helped.corp": {{}},
            "nulled.corp": null,
            "ready.corp": {{"registrytoken": "r"}},
            "token.corp": {{"auth": "", "identitytoken": "t"}}
        }}, "HttpHeaders": {{}}, "currentContext": "x"}}"#,
        encode("host:h"),
        encode("team:t:with:colons\0\0").trim_end_matches('='),
        encode("hub:x"),
        encode("old:x"),
        encode("url:x"),
        encode("bare:x"),
    );
    let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
    let check = |registry: &str, name: &str, expect: Option<&str>| {
        let (registry, name) = (registry.parse().unwrap(), name.parse().unwrap());
        let login = credentials.lookup(&registry, Some(&name));
        let actual = login.map(|login| shown(&login));
        assert_eq!(actual.as_deref(), expect, "{registry}/{name}");
    };
    check("ready.corp", "a", Some("bearer r"));
    check("harbor.corp", "x", Some("host h"));
    check("harbor.corp", "teams/app", Some("host h"));
    check("harbor.corp", "team/other", Some("team t:with:colons"));
    check("harbor.corp", "team/app", Some("app p"));
    check("harbor.corp", "team/app/sub", Some("app p"));
    check("harbor.corp:443", "team/app", None);
    check("docker.io", "library/redis", Some("hub x"));
    check("index.docker.io", "library/redis", Some("hub x"));
    check("old.corp:8443", "a", Some("old x"));
    check("twice.corp", "a", Some("bare x"));
    check("helped.corp", "a", None);
    check("token.corp", "a", Some("identity t"));
}

#[test]
fn bad_files_are_errors_that_tell_nothing() {
    #[track_caller]
    fn check(config: &str, expect: &str) {
        let error = Credentials::parse_docker_config(config.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expect);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let shape = "the credentials are not JSON of the expected form, line 1 column";
    check(r#"{"auths": "hunter2"}"#, &format!("{shape} 19"));
    check("hunter2", &format!("{shape} 1"));
    check(" \n", "the file is empty");
    assert!(Credentials::default().add_dockercfg("x", b"[]").is_err());
}

#[test]
fn a_bad_entry_matters_to_its_own_host_only() {
    #[track_caller]
    fn check(bad: &str, expect: &str) {
        let good = encode("u:p");
        let config =
            format!(r#"{{"auths": {{"bad.corp": {bad}, "good.corp": {{"auth": "{good}"}}}}}}"#);
        let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
        let (bad, good) = ("bad.corp".parse().unwrap(), "good.corp".parse().unwrap());
        assert!(credentials.lookup(&good, None).is_some());
        assert_eq!(credentials.obstacle(&good, None), None);
        assert_eq!(credentials.lookup(&bad, None), None);
        let obstacle = credentials.obstacle(&bad, None).unwrap();
        assert_eq!(obstacle, format!("{expect} (`config.json`)"));
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
    let auth = "`auth` of `bad.corp` in the credentials is not base64 of `user:password`";
    for text in [
        "hunter2!",
        &encode("hunter2"),
        &encode(":hunter2"),
        "/w==", // not UTF-8
    ] {
        check(&format!(r#"{{"auth": "{text}"}}"#), auth);
    }
    let shape = "the entry of `bad.corp` in the credentials does not have the expected form";
    check(r#""hunter2""#, shape);
    check(r#"{"auth": 7}"#, shape);
    check("[]", shape);
}

#[test]
fn clues_come_in_the_order_of_docker_and_containers() {
    #[track_caller]
    fn check(registry: &str, name: Option<&str>, expect: &[&str]) {
        let auth = encode("u:p");
        let config = format!(
            r#"{{"auths": {{"a.b": {{"auth": "{auth}"}}, "a.b/x": {{"auth": "{auth}"}}}},
                "credHelpers": {{"a.b": "own", "https://index.docker.io/v1/": "hub"}},
                "credsStore": "store"}}"#
        );
        let file = AuthFile::parse(config.as_bytes()).unwrap();
        let name = name.map(|name| name.parse().unwrap());
        let clues = file.clues(&registry.parse().unwrap(), name.as_ref());
        let clues: Vec<String> = clues
            .iter()
            .map(|clue| match clue {
                Clue::Login { key, .. } => format!("key {key}"),
                Clue::Broken(error) => error.to_string(),
                Clue::Helper(name) => format!("helper {name}"),
                Clue::Store(name) => format!("store {name}"),
            })
            .collect();
        assert_eq!(clues, expect);
    }
    check(
        "a.b",
        Some("x/y"),
        &["helper own", "key a.b/x", "store store", "key a.b"],
    );
    check("a.b", None, &["helper own", "store store", "key a.b"]);
    check(
        "docker.io",
        Some("library/redis"),
        &["helper hub", "store store"],
    );
    check("c.d", Some("x"), &["store store"]);
}

#[test]
fn the_first_source_that_has_a_login_wins() {
    let mut credentials = Credentials::default();
    let harbor: Registry = "harbor.corp".parse().unwrap();
    credentials.give(
        harbor.clone(),
        Login::password("given", "p"),
        "--creds-stdin",
    );
    let entry = |user: &str| format!(r#"{{"auth": "{}"}}"#, encode(&format!("{user}:p")));
    let first = format!(r#"{{"auths": {{"a.b": {}}}}}"#, entry("first"));
    credentials.add_file("/first", first.as_bytes()).unwrap();
    let second = format!(
        r#"{{"auths": {{"a.b/team": {0}, "harbor.corp/team": {0}, "c.d": {0}}}}}"#,
        entry("second")
    );
    credentials.add_file("/second", second.as_bytes()).unwrap();
    let old = format!(r#"{{"https://index.docker.io/v1/": {}}}"#, entry("old"));
    credentials.add_dockercfg("/old", old.as_bytes()).unwrap();
    let check = |registry: &str, expect: Option<&str>| {
        let name = "team/app".parse().unwrap();
        let login = credentials.lookup(&registry.parse().unwrap(), Some(&name));
        let login = login.as_deref().and_then(Login::username);
        assert_eq!(login, expect, "{registry}");
    };
    check("harbor.corp", Some("given"));
    // The file decides before the length of the key does.
    check("a.b", Some("first"));
    check("c.d", Some("second"));
    check("docker.io", Some("old"));
    check("e.f", None);
    assert_eq!(credentials.files(), ["/first", "/second", "/old"]);
}

#[expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]
#[tokio::test]
async fn a_helper_that_fails_is_an_error_and_a_store_that_is_not_there_is_none() {
    let registry: Registry = "a.b".parse().unwrap();
    let find = async |config: &str| {
        let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
        let found = credentials.find(&registry, None).await;
        (found, credentials.obstacle(&registry, None))
    };
    let (found, _) = find(r#"{"credHelpers": {"a.b": "nobody-has-this"}}"#).await;
    assert!(matches!(found, Err(HelperError::Absent { .. })));
    let (found, obstacle) = find(r#"{"credsStore": "nobody-has-this"}"#).await;
    assert_eq!(found, Ok(None));
    assert_eq!(
        obstacle.unwrap(),
        "credential helper `docker-credential-nobody-has-this` is not on PATH, and `config.json` \
         names it"
    );
    let (found, obstacle) = find(r#"{"auths": null}"#).await;
    assert_eq!((found, obstacle), (Ok(None), None));
}

#[test]
fn what_else_is_in_the_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/dir/config.json");
    let file = LoginFile::new(path.clone());
    let read = || String::from_utf8(hod_fsx::read(&path, 9999).unwrap()).unwrap();
    let registry: Registry = "harbor.corp:8443".parse().unwrap();
    let login = Login::password("robot$ci", "hunter2");
    assert_eq!(file.keep(&registry, None, &login).unwrap(), Kept::InFile);
    assert_eq!(
        read(),
        format!(
            "{{\n\t\"auths\": {{\n\t\t\"harbor.corp:8443\": {{\n\t\t\t\"auth\": \"{}\"\n\t\t}}\n\t}}\n}}",
            encode("robot$ci:hunter2")
        )
    );
    let before = "{\"HttpHeaders\": {\"X\":  1.50},\n \"auths\": {\"https://harbor.corp:8443\": \
                  {\"auth\": \"eDp5\", \"email\": \"x\"}, \"other.corp\": {\"auth\":  \"eDp5\"}}}";
    hod_fsx::write_file(&path, before.as_bytes()).unwrap();
    file.keep(&registry, None, &login).unwrap();
    let text = read();
    assert!(text.contains("\"HttpHeaders\": {\"X\":  1.50}"), "{text}");
    assert!(
        text.contains("\"other.corp\": {\"auth\":  \"eDp5\"}"),
        "{text}"
    );
    assert!(!text.contains("https://harbor.corp"), "replaced: {text}");
    let found = Credentials::parse_docker_config(text.as_bytes()).unwrap();
    assert_eq!(found.lookup(&registry, None).as_deref(), Some(&login));

    // A part of a registry has its own key, and Docker Hub the one that Docker uses.
    let team = "team".parse().unwrap();
    file.keep(&registry, Some(&team), &login).unwrap();
    file.keep(&Registry::docker_hub(), None, &login).unwrap();
    for key in ["harbor.corp:8443/team", "https://index.docker.io/v1/"] {
        assert!(
            read().contains(&format!("\"{key}\": {{\n\t\t\t\"auth\":")),
            "{key}"
        );
    }
    assert!(file.forget(&registry, None).unwrap());
    assert!(!file.forget(&registry, None).unwrap());
    assert!(read().contains("harbor.corp:8443/team"));
    assert_eq!(file.forget_all().unwrap(), 3);
    assert!(read().contains("\"auths\": {}"), "{}", read());
    assert!(read().contains("HttpHeaders"));
}

#[test]
fn a_file_that_cannot_be_read_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let file = LoginFile::new(path.clone());
    let registry: Registry = "a.b".parse().unwrap();
    for text in ["{", "[]", r#"{"auths": "hunter2"}"#] {
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
        let error = file.keep(&registry, None, &Login::password("u", "p"));
        assert!(
            matches!(error, Err(KeepError::Credentials { .. })),
            "{text}"
        );
        assert_eq!(hod_fsx::read(&path, 99).unwrap(), text.as_bytes());
    }
    hod_fsx::write_file(&path, b"").unwrap();
    file.keep(&registry, None, &Login::password("u", "p"))
        .unwrap();
}

#[test]
fn what_editors_and_base64_do_to_a_file_does_no_harm() {
    let wrapped = encode(&format!("user:{}", "p".repeat(80)));
    let wrapped = format!("{}\\n{}\\n", &wrapped[..60], &wrapped[60..]);
    let config = format!(
        "\u{feff}{{\"auths\": {{\" wide.corp \": {{\"auth\": \"{}\"}}, \"HTTPS://Loud.corp/v1/\": \
         {{\"auth\": \"{}\"}}, \"wrapped.corp\": {{\"auth\": \"{wrapped}\"}}}}}}",
        encode("wide:w"),
        encode("loud:l"),
    );
    let credentials = Credentials::parse_docker_config(config.as_bytes()).unwrap();
    let found = |registry: &str| {
        let login = credentials.lookup(&registry.parse().unwrap(), None);
        login.map(|login| shown(&login)).unwrap()
    };
    assert_eq!(found("wide.corp"), "wide w");
    assert_eq!(found("loud.corp"), "loud l");
    assert_eq!(found("wrapped.corp"), format!("user {}", "p".repeat(80)));
}
