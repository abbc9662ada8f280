//! Tokens: for how much one is asked, and how.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::{Reply, Request, TestServer, client};
use super::{manifest_reply, tag};
use crate::*;
use hod_report::Diagnose as _;

const CHALLENGE: &str = r#"WWW-Authenticate: Bearer realm="/token",service="s""#;

fn token_lines(server: &TestServer) -> Vec<String> {
    let mut lines = server.lines();
    lines.retain(|line| line.contains("/token"));
    lines
}

fn config(server: &TestServer, login: &str) -> String {
    format!(r#"{{"auths":{{"{}":{{{login}}}}}}}"#, server.host())
}

async fn fetch(client: &Client, repo: &Repo) -> Result<bool, RegistryError> {
    let found = client.manifests.fetch(repo, &tag()).await?;
    Ok(found.is_some())
}

#[tokio::test]
async fn one_token_is_asked_for_all_that_is_expected() {
    let server = TestServer::start(|request| {
        if request.line.starts_with("GET /token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        match request.header("authorization") {
            Some("Bearer t") => manifest_reply(),
            _ => Reply::new(401).header(CHALLENGE),
        }
    })
    .await;
    let (client, _) = client("{}");
    let repos: Vec<Repo> = (0..3).map(|n| server.repo(&format!("r{n}"))).collect();
    client.expect(&repos);
    assert_eq!(server.lines(), [] as [&str; 0], "nothing is sent");
    for repo in &repos {
        assert!(fetch(&client, repo).await.unwrap());
    }
    assert_eq!(
        token_lines(&server),
        [
            "GET /token?service=s&scope=repository%3Ar0%3Apull&scope=repository%3Ar1%3Apull\
             &scope=repository%3Ar2%3Apull"
        ]
    );
    assert_eq!(server.lines().len(), 5);
}

/// Gives tokens named after their scopes, of which it takes so many; `others` are refused.
fn narrow_minded(request: &Request, refuse: impl Fn() -> Option<Reply>) -> Reply {
    let n_scopes = request.line.matches("scope=").count();
    if request.line.starts_with("GET /token") {
        if n_scopes > 1
            && let Some(reply) = refuse()
        {
            return reply;
        }
        // Like servers that know but the first scope.
        let name = request.line.split("%3A").nth(1).unwrap_or("none");
        return Reply::new(200).body(format!(r#"{{"token":"{name}"}}"#));
    }
    let name = request.line.split('/').nth(2).unwrap_or_default();
    let expect = format!("Bearer {name}");
    if request.header("authorization") == Some(&expect) {
        manifest_reply()
    } else {
        Reply::new(401).header(CHALLENGE)
    }
}

#[tokio::test]
async fn a_token_server_that_refuses_much_is_asked_for_little() {
    for status in [400, 403, 404, 414, 431] {
        let server =
            TestServer::start(move |request| narrow_minded(request, || Some(Reply::new(status))))
                .await;
        let (client, _) = client("{}");
        let repos: Vec<Repo> = (0..3).map(|n| server.repo(&format!("r{n}"))).collect();
        client.expect(&repos);
        for repo in &repos {
            assert!(fetch(&client, repo).await.unwrap(), "{status}");
        }
        // One that is refused, then one each.
        assert_eq!(token_lines(&server).len(), 4, "{status}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_and_again() {
    let server =
        TestServer::start(|request| narrow_minded(request, || Some(Reply::new(401)))).await;
    let (client, _) = client(&config(&server, r#""username":"u","password":"p""#));
    let repos = [server.repo("a"), server.repo("b")];
    client.expect(&repos);
    let error = fetch(&client, &repos[0]).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    // The second asks whether it is the login that is refused.
    assert_eq!(token_lines(&server).len(), 2);
}

#[tokio::test]
async fn a_token_server_that_knows_one_scope_only_is_found_out() {
    let server = TestServer::start(|request| narrow_minded(request, || None)).await;
    let (client, _) = client("{}");
    let repos: Vec<Repo> = (0..4).map(|n| server.repo(&format!("r{n}"))).collect();
    client.expect(&repos);
    for repo in &repos {
        assert!(fetch(&client, repo).await.unwrap());
    }
    let tokens = token_lines(&server);
    // The first is valid by chance. The second is refused, as is the one fetched in its place; from
    // then on, each is requested separately.
    assert_eq!(tokens.len(), 5, "{tokens:#?}");
    assert!(
        tokens[2..]
            .iter()
            .all(|line| line.matches("scope=").count() == 1)
    );
}

#[tokio::test]
async fn what_is_not_allowed_does_not_spoil_the_rest() {
    let server = TestServer::start(|request| {
        if request.line.starts_with("GET /token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        match request.header("authorization") {
            Some("Bearer t") if !request.line.contains("/denied/") => manifest_reply(),
            _ => Reply::new(401).header(CHALLENGE),
        }
    })
    .await;
    let (client, _) = client("{}");
    let repos = [server.repo("a"), server.repo("denied"), server.repo("b")];
    client.expect(&repos);
    assert!(fetch(&client, &repos[0]).await.unwrap());
    assert_eq!(
        fetch(&client, &repos[1]).await.unwrap_err().status(),
        Some(401)
    );
    let n_tokens = token_lines(&server).len();
    assert!(fetch(&client, &repos[2]).await.unwrap());
    assert!(fetch(&client, &repos[0]).await.unwrap());
    let tokens = token_lines(&server);
    assert_eq!(tokens.len(), n_tokens + 1, "both by one token: {tokens:#?}");
}

#[tokio::test]
async fn harbor_is_asked_for_one_scope_a_project() {
    let server = TestServer::start(|request| {
        if request.line.starts_with("GET /service/token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        match request.header("authorization") {
            Some("Bearer t") => manifest_reply(),
            Some(_) => Reply::new(401).header(r#"WWW-Authenticate: Basic realm="harbor""#),
            None => Reply::new(401).header(
                r#"WWW-Authenticate: Bearer realm="/service/token",service="harbor-registry""#,
            ),
        }
    })
    .await;
    let (client, _) = client("{}");
    let client = client.for_push();
    for n in 0..60 {
        let repo = server.repo(&format!("offline/app{n}"));
        assert!(fetch(&client, &repo).await.unwrap());
    }
    assert!(fetch(&client, &server.repo("other/app")).await.unwrap());
    assert_eq!(
        token_lines(&server),
        [
            "GET /service/token?service=harbor-registry\
             &scope=repository%3Aoffline%2Fapp0%3Apull%2Cpush",
            "GET /service/token?service=harbor-registry\
             &scope=repository%3Aother%2Fapp%3Apull%2Cpush",
        ]
    );
}

fn form(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

#[tokio::test]
async fn an_identity_token_is_posted_and_rotates() {
    let server = TestServer::start(|request| {
        if request.line.starts_with("GET /token") {
            return Reply::new(500);
        }
        if request.line == "POST /token" {
            let form = form(request);
            let (token, next) = match () {
                () if form.contains("&refresh_token=first&") => ("a", "second"),
                () if form.contains("&refresh_token=second&") => ("b", "third"),
                () => return Reply::new(401),
            };
            return Reply::new(200).body(format!(
                r#"{{"access_token":"{token}","refresh_token":"{next}"}}"#
            ));
        }
        // The third is refused, and the first is good again.
        match (request.line.as_str(), request.header("authorization")) {
            ("GET /v2/a/manifests/1.0" | "GET /v2/c/manifests/1.0", Some("Bearer a"))
            | ("GET /v2/b/manifests/1.0", Some("Bearer b")) => manifest_reply(),
            _ => Reply::new(401).header(CHALLENGE),
        }
    })
    .await;
    let (client, recorder) = client(&config(&server, r#""identitytoken":"first""#));
    for name in ["a", "b", "c"] {
        assert!(fetch(&client, &server.repo(name)).await.unwrap(), "{name}");
    }
    let posts: Vec<String> = server
        .log()
        .iter()
        .filter(|request| request.line == "POST /token")
        .map(form)
        .collect();
    let expect = |token: &str, name: &str| {
        format!(
            "grant_type=refresh_token&refresh_token={token}&service=s&client_id=hod\
             &scope=repository%3A{name}%3Apull"
        )
    };
    assert_eq!(
        posts,
        [
            expect("first", "a"),
            expect("second", "b"),
            expect("third", "c"),
            expect("first", "c"),
        ]
    );
    let log = server.log();
    let post = log.iter().find(|r| r.line == "POST /token").unwrap();
    assert_eq!(post.header("authorization"), None);
    assert_eq!(
        post.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    let said = format!("{client:?} {:?}", recorder.lines());
    assert!(
        !said.contains("first") && !said.contains("second"),
        "{said}"
    );
}

#[tokio::test]
async fn an_identity_token_that_rotates_serves_many_at_once() {
    let n = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        if request.line == "POST /token" {
            // Each is good once.
            let n = n.fetch_add(1, Ordering::SeqCst);
            if !form(request).contains(&format!("refresh_token=r{n}&")) {
                return Reply::new(401);
            }
            let next = n + 1;
            return Reply::new(200).body(format!(
                r#"{{"access_token":"t","refresh_token":"r{next}"}}"#
            ));
        }
        match request.header("authorization") {
            Some("Bearer t") => manifest_reply(),
            _ => Reply::new(401).header(CHALLENGE),
        }
    })
    .await;
    let (client, _) = client(&config(&server, r#""identitytoken":"r0""#));
    let fetches = (0..8).map(|n| {
        let (client, repo) = (client.clone(), server.repo(&format!("r{n}")));
        tokio::spawn(async move { fetch(&client, &repo).await })
    });
    for fetched in fetches.collect::<Vec<_>>() {
        assert!(fetched.await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn an_identity_token_is_never_sent_elsewhere() {
    let elsewhere = TestServer::start(|_| Reply::new(200).body(r#"{"token":"t"}"#)).await;
    let to = format!("Location: http://{}/token", elsewhere.host());
    let server = TestServer::start(move |request| match request.line.as_str() {
        "POST /token" => Reply::new(307).header(&to),
        _ => Reply::new(401).header(CHALLENGE),
    })
    .await;
    let (client, _) = client(&config(&server, r#""identitytoken":"secret""#));
    let error = fetch(&client, &server.repo("a")).await.unwrap_err();
    assert_eq!(error.status(), Some(307), "{error}");
    assert_eq!(elsewhere.lines(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_token_server_without_identity_tokens_says_so() {
    let server = TestServer::start(|request| match request.line.as_str() {
        "POST /token" => Reply::new(405),
        _ => Reply::new(401).header(CHALLENGE),
    })
    .await;
    let (client, _) = client(&config(&server, r#""identitytoken":"secret""#));
    let error = fetch(&client, &server.repo("a")).await.unwrap_err();
    let host = server.host();
    assert_eq!(
        error.to_string(),
        format!("POST /token on {host}: 405: the token server does not accept identity tokens")
    );
    assert!(
        error
            .diagnose()
            .hint
            .unwrap()
            .contains("a user and a password")
    );
}

#[tokio::test]
async fn a_password_is_posted_where_it_cannot_be_sent_otherwise() {
    let server = TestServer::start(|request| match request.line.as_str() {
        "POST /token" if form(request).contains("&username=u&password=p&") => {
            Reply::new(200).body(r#"{"access_token":"t"}"#)
        }
        "POST /token" => Reply::new(400),
        line if line.starts_with("GET /token") => Reply::new(405),
        _ if request.header("authorization") == Some("Bearer t") => manifest_reply(),
        _ => Reply::new(401).header(CHALLENGE),
    })
    .await;
    let (known, _) = client(&config(&server, r#""username":"u","password":"p""#));
    for name in ["a", "b"] {
        assert!(fetch(&known, &server.repo(name)).await.unwrap());
    }
    let tokens = token_lines(&server);
    assert_eq!(tokens.len(), 3, "the GET only once: {tokens:#?}");
    // The error is that of the request that every client sends.
    let (wrong, _) = client(&config(&server, r#""username":"u","password":"wrong""#));
    let error = fetch(&wrong, &server.repo("a")).await.unwrap_err();
    assert_eq!(error.status(), Some(405));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let n = AtomicUsize::new(0);
    let server = TestServer::start(move |_| {
        n.fetch_add(1, Ordering::SeqCst);
        manifest_reply().header("Set-Cookie: sid=1; Path=/")
    })
    .await;
    let (client, _) = client("{}");
    for _ in 0..2 {
        assert!(fetch(&client, &server.repo("a")).await.unwrap());
    }
    let log = server.log();
    assert!(log.iter().all(|request| request.header("cookie").is_none()));
    assert_eq!(log.len(), 2);
}
