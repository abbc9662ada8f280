//! Logins, tokens, and to whom they are shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::server::{Reply, Request, TestServer, client, start_raw};
use super::{MANIFEST, blob, fetch_all, manifest_reply, reopenable, session, tag};
use crate::*;
use hod_report::Diagnose as _;

/// A registry whose token server is itself.
fn with_tokens(request: &Request, port: u16, serve: impl Fn(&Request) -> Reply) -> Reply {
    if request.line.starts_with("GET /token") {
        return Reply::new(200).body(r#"{"token":"t","expires_in":300}"#);
    }
    match request.header("authorization") {
        Some("Bearer t") => serve(request),
        _ => Reply::new(401).header(format!(
            r#"WWW-Authenticate: Bearer realm="http://127.0.0.1:{port}/token",service="s""#
        )),
    }
}

#[tokio::test]
async fn futures_can_be_spawned_and_one_token_serves_them_all() {
    let port = Arc::new(AtomicUsize::new(0));
    let server_port = Arc::clone(&port);
    let server = TestServer::start(move |request| {
        let port = server_port.load(Ordering::SeqCst).try_into().unwrap();
        with_tokens(request, port, |_| manifest_reply())
    })
    .await;
    port.store(server.port.into(), Ordering::SeqCst);
    let (client, _) = client("{}");
    let repo = server.repo("team/app");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, repo) = (client.clone(), repo.clone());
            tokio::spawn(async move { client.manifests.fetch(&repo, &tag()).await })
        })
        .collect();
    for task in tasks {
        let manifest = task.await.unwrap().unwrap().unwrap();
        assert_eq!(manifest.bytes(), MANIFEST);
        assert_eq!(manifest.digest(), &Digest::of(MANIFEST.as_bytes()));
    }
    let lines = server.lines();
    let tokens: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("/token"))
        .collect();
    assert_eq!(
        tokens,
        ["GET /token?service=s&scope=repository%3Ateam%2Fapp%3Apull"]
    );
    // Another call knows how to log in: one request, and a GET since the HEAD named no digest.
    client.manifests.head(&repo, &tag()).await.unwrap().unwrap();
    assert_eq!(server.lines().len(), lines.len() + 2);
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let n_tokens = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        if request.line.starts_with("GET /token") {
            let n = n_tokens.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200).body(format!(r#"{{"access_token":"t{n}"}}"#));
        }
        match request.header("authorization") {
            Some("Bearer t1") if request.line.contains("/app/") => manifest_reply(),
            _ => Reply::new(401).header(
                r#"WWW-Authenticate: Bearer realm="/token",scope="repository:app:pull repository:base:pull""#,
            ),
        }
    })
    .await;
    let (client, _) = client("{}");
    let found = client.manifests.fetch(&server.repo("app"), &tag()).await;
    assert!(found.unwrap().is_some());
    let lines = server.lines();
    assert_eq!(
        lines,
        [
            "GET /v2/app/manifests/1.0",
            "GET /token?scope=repository%3Aapp%3Apull",
            "GET /v2/app/manifests/1.0",
            "GET /token?scope=repository%3Aapp%3Apull&scope=repository%3Abase%3Apull",
            "GET /v2/app/manifests/1.0",
        ]
    );
    let error = client.manifests.fetch(&server.repo("other"), &tag()).await;
    assert_eq!(error.unwrap_err().status(), Some(401));
    assert_eq!(
        server.lines().len(),
        lines.len() + 4,
        "one more token, once"
    );
}

#[tokio::test]
async fn a_password_is_sent_where_one_is_asked_for() {
    let server = TestServer::start(|request| match request.header("authorization") {
        Some("Basic cm9ib3Q6aHVudGVyMg==") => manifest_reply(),
        Some(_) => Reply::new(500),
        None => Reply::new(401).header(r#"WWW-Authenticate: Basic realm="x""#),
    })
    .await;
    let host = server.host();
    let config = format!(r#"{{"auths":{{"{host}":{{"username":"robot","password":"hunter2"}}}}}}"#);
    let (known, _) = client(&config);
    let repo = server.repo("app");
    assert!(
        known
            .manifests
            .fetch(&repo, &tag())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(server.lines().len(), 2);
    assert!(!format!("{known:?}").contains("hunter2"));

    let (unknown, _) = client("{}");
    let error = unknown.manifests.fetch(&repo, &tag()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("GET /v2/app/manifests/1.0 on {host}: 401 Unauthorized")
    );
    assert!(error.diagnose().hint.unwrap().contains("hod login"));
    assert_eq!(server.lines().len(), 3, "the same again is not tried");
}

#[tokio::test]
async fn a_login_never_follows_a_redirect_to_another_origin() {
    let storage = TestServer::start(|_| Reply::new(200).body("0123456789")).await;
    let to = format!("http://{}/data?X-Signature=secret", storage.host());
    let server = TestServer::start(move |request| {
        if request.header("authorization").is_none() {
            Reply::new(401).header("WWW-Authenticate: Basic realm=x")
        } else if request.line.starts_with("GET /v2/app/") {
            // First within the origin, where the login goes along.
            Reply::new(302).header("Location: /inside")
        } else {
            Reply::new(307).header(format!("Location: {to}"))
        }
    })
    .await;
    let host = server.host();
    let config = format!(r#"{{"auths":{{"{host}":{{"username":"u","password":"p"}}}}}}"#);
    let (client, _) = client(&config);
    let repo = server.repo("app");
    let bytes = fetch_all(&client, &repo, &blob(b"0123456789")).await;
    assert_eq!(bytes.unwrap(), b"0123456789");
    let inside = &server.log()[2];
    assert_eq!(inside.line, "GET /inside");
    assert!(inside.header("authorization").is_some());
    let outside = &storage.log()[0];
    assert_eq!(outside.line, "GET /data?X-Signature=secret");
    assert_eq!(outside.header("authorization"), None);
    assert_eq!(outside.header("cookie"), None);

    // Errors from there are reported without the signature.
    let error = fetch_all(&client, &repo, &blob(b"0")).await.unwrap_err();
    let storage_host = storage.host();
    assert_eq!(
        error.to_string(),
        format!(
            "GET /data on {storage_host} (redirected by {}): expected 1 bytes, found 10 or more",
            repo.registry
        )
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn redirects_end() {
    let server = TestServer::start(|request| {
        let path = request.line.split(' ').nth(1).unwrap();
        Reply::new(307).header(format!("Location: {path}x"))
    })
    .await;
    let (client, _) = client("{}");
    let error = fetch_all(&client, &server.repo("app"), &blob(b"x")).await;
    assert!(matches!(error, Err(RegistryError::Redirects { .. })));
    assert_eq!(server.lines().len(), 11);
}

#[tokio::test]
async fn one_token_reads_and_writes_what_will_be_pushed() {
    let server = TestServer::start(|request| {
        if request.line.starts_with("GET /token") {
            return Reply::new(200).body(r#"{"token":"t"}"#);
        }
        match request.header("authorization") {
            Some(_) if request.line.starts_with("POST ") => Reply::new(202).header("Location: /u"),
            Some(_) => Reply::new(404),
            None => Reply::new(401).header(r#"WWW-Authenticate: Bearer realm="/token""#),
        }
    })
    .await;
    let (client, _) = client("{}");
    let client = client.for_push();
    let repo = server.repo("app");
    assert!(
        client
            .manifests
            .head(&repo, &tag())
            .await
            .unwrap()
            .is_none()
    );
    session(&client, &repo).await;
    let tokens = server
        .lines()
        .into_iter()
        .filter(|line| line.contains("/token"));
    assert_eq!(
        tokens.collect::<Vec<_>>(),
        ["GET /token?scope=repository%3Aapp%3Apull%2Cpush"]
    );
}

#[tokio::test]
async fn a_token_that_expires_before_the_put_is_renewed() {
    let n_tokens = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        if request.line.starts_with("GET /token") {
            let n = n_tokens.fetch_add(1, Ordering::SeqCst);
            return Reply::new(200).body(format!(r#"{{"token":"t{n}"}}"#));
        }
        let is_put = request.line.starts_with("PUT ");
        match request.header("authorization") {
            Some("Bearer t0") if !is_put => Reply::new(202).header("Location: /u"),
            Some("Bearer t1" | "Bearer t2") if is_put => Reply::new(201),
            _ => Reply::new(401).header(r#"WWW-Authenticate: Bearer realm="/token""#),
        }
    })
    .await;
    let (client, recorder) = client("{}");
    let repo = server.repo("app");
    let bytes = Bytes::from_static(b"x");
    let location = session(&client, &repo).await;
    client
        .uploads
        .upload(location, &blob(&bytes), reopenable(bytes))
        .await
        .unwrap();
    assert_eq!(
        recorder.lines(),
        [
            "BytesMoved { len: 1 }",
            "BytesLost { len: 1 }",
            "BytesMoved { len: 1 }"
        ]
    );
}

#[tokio::test]
async fn a_server_of_another_protocol_is_recognised() {
    let alert: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    let table: [(&str, &[u8], Result<TlsFailure, &str>); 5] = [
        ("http", alert, Ok(TlsFailure::TlsRequired)),
        ("http", b"SSH-2.0-x\r\n", Err("the answer is not HTTP")),
        (
            "https",
            b"HTTP/1.1 400 X\r\n\r\n",
            Ok(TlsFailure::PlainAnswer),
        ),
        ("https", b"SSH-2.0-x\r\n", Err("the answer is not TLS")),
        ("https", alert, Ok(TlsFailure::Handshake)),
    ];
    for (scheme, bytes, expect) in table {
        let host = start_raw(bytes).await;
        let (client, _) = client("{}");
        let transport = client.session.transport();
        let url = format!("{scheme}://{host}/v2/").parse().unwrap();
        let call = wire::transport::Call::new(reqwest::Method::GET, url);
        let error = transport.send(&call, None).await.unwrap_err();
        let found = match &error {
            RegistryError::Tls { failure, .. } => Ok(*failure),
            RegistryError::Transport { source, .. } => Err(source.to_string()),
            other => panic!("{other}"),
        };
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            expect.as_ref().map_err(|text| &**text)
        );
        // Only what is known is advised.
        let hint = error.diagnose().hint.unwrap_or_default();
        assert_eq!(
            hint.contains("--insecure"),
            found == Ok(TlsFailure::TlsRequired),
            "{hint}"
        );
        assert_eq!(
            hint.contains("--plain-http"),
            matches!(found, Ok(TlsFailure::PlainAnswer | TlsFailure::TlsRequired)),
            "{hint}"
        );
        assert_eq!(error.is_transient(), found.is_err());
    }
}

#[tokio::test]
async fn a_proxy_that_fails_is_not_taken_for_a_tls_server() {
    const COMPLAINT: &str = "Client sent an HTTP request to an HTTPS server.";
    for (status, is_tls) in [(400, true), (502, false)] {
        let server = TestServer::start(move |_| Reply::new(status).body(COMPLAINT)).await;
        let (client, _) = client("{}");
        let repo = server.repo("app");
        let found = client.manifests.fetch(&repo, &tag()).await;
        assert_eq!(found.unwrap_err().is_tls(), is_tls, "{status}");
    }
}

/// The credentials with one login for a registry.
fn config_of(host: &str, user: &str, password: &str) -> String {
    format!(r#"{{"auths":{{"{host}":{{"username":"{user}","password":"{password}"}}}}}}"#)
}

/// Harbor's token service: with a scope, a wrong password gets an anonymous token.
fn harbor(request: &Request) -> Reply {
    // u:right
    let is_right = request.header("authorization") == Some("Basic dTpyaWdodA==");
    if request.line.starts_with("GET /service/token") {
        let has_scope = request.line.contains("scope=");
        return match (is_right, has_scope) {
            (false, false) => Reply::new(401)
                .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}"#),
            (false, true) => Reply::new(200).body(r#"{"token":"nobody"}"#),
            (true, _) => Reply::new(200).body(r#"{"token":"somebody"}"#),
        };
    }
    match request.header("authorization") {
        Some("Bearer somebody") => manifest_reply(),
        _ => Reply::new(401)
            .header(r#"WWW-Authenticate: Bearer realm="/service/token",service="harbor-registry""#),
    }
}

#[tokio::test]
async fn a_wrong_password_is_found_out_before_harbor_takes_it_for_nobody() {
    let server = TestServer::start(harbor).await;
    let (wrong, _) = client(&config_of(&server.host(), "u", "wrong"));
    for name in ["team/a", "team/b", "team/c"] {
        let error = wrong.manifests.fetch(&server.repo(name), &tag()).await;
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` refuses the login of `u`: 401 UNAUTHORIZED: unauthorized",
                server.host()
            )
        );
        let hint = error.diagnose().hint.unwrap();
        assert!(hint.contains("`config.json`, key `127.0.0.1:"), "{hint}");
        assert!(!error.is_transient());
    }
    assert_eq!(
        server.lines(),
        [
            "GET /v2/team/a/manifests/1.0",
            "GET /service/token?service=harbor-registry&account=u",
        ]
    );
    let (right, _) = client(&config_of(&server.host(), "u", "right"));
    for name in ["team/a", "team/b"] {
        let found = right.manifests.fetch(&server.repo(name), &tag()).await;
        assert!(found.unwrap().is_some());
    }
    let checks = server.lines().into_iter();
    let checks = checks.filter(|line| line.ends_with("harbor-registry&account=u"));
    assert_eq!(checks.count(), 2, "once for each of the two runs");

    let (nobody, _) = client("{}");
    let registry = server.repo("x").registry;
    let check = async |password| {
        let login = Login::password("u", password);
        LoginCheck::run(&nobody.session, &registry, &login)
            .await
            .unwrap()
    };
    assert!(matches!(check("wrong").await, LoginCheck::Refused(_)));
}

/// A login that was accepted and is not known any more may count as a wrong password wherever it is
/// shown.
#[tokio::test]
async fn a_login_that_is_forgotten_is_shown_once_a_while() {
    let n_given = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        if request.line.starts_with("GET /service/token") {
            // Tokens name their login; the second is anonymous.
            let has_scope = request.line.contains("scope=");
            let is_known = !has_scope || n_given.fetch_add(1, Ordering::Relaxed) == 0;
            let claims = if is_known { r#"{"sub":"u"}"# } else { "{}" };
            let claims = URL_SAFE_NO_PAD.encode(claims);
            let token = if is_known { "known" } else { "nobody" };
            return Reply::new(200).body(format!(r#"{{"token":"{token}.{claims}.x"}}"#));
        }
        let bearer = request.header("authorization").unwrap_or_default();
        if bearer.starts_with("Bearer known") && request.line.contains("/first/") {
            return manifest_reply();
        }
        Reply::new(401)
            .header(r#"WWW-Authenticate: Bearer realm="/service/token",service="harbor-registry""#)
    })
    .await;
    let (client, _) = client(&config_of(&server.host(), "u", "right"));
    let first = client
        .manifests
        .fetch(&server.repo("first/a"), &tag())
        .await;
    assert!(first.unwrap().is_some());
    let (second, third, at) = (server.repo("second/a"), server.repo("third/b"), &tag());
    let fetches = [&second, &third, &second].map(|repo| client.manifests.fetch(repo, at));
    for error in futures_util::future::join_all(fetches).await {
        let error = error.unwrap_err();
        let hint = error.diagnose().hint.unwrap_or_default();
        assert!(hint.contains("while its database is down"), "{hint}");
    }
    let n_shown = || {
        let lines = server.lines().into_iter();
        lines.filter(|line| line.contains("/service/token")).count()
    };
    // Its check, the token for the first, and one anonymous token, or two that were in flight.
    let n = n_shown();
    assert!((3..=4).contains(&n), "{:#?}", server.lines());
    let error = client.manifests.fetch(&second, at).await;
    assert!(error.is_err());
    assert_eq!(n_shown(), n, "{:#?}", server.lines());
}

#[tokio::test]
async fn a_repository_that_is_closed_to_a_good_login_is_no_refused_login() {
    let server = TestServer::start(|request| {
        let is_known = request.header("authorization").is_some();
        if is_known && (request.line == "GET /v2/" || request.line.contains("/open/")) {
            manifest_reply()
        } else {
            Reply::new(401).header("WWW-Authenticate: Basic realm=x")
        }
    })
    .await;
    let (client, _) = client(&config_of(&server.host(), "u", "p"));
    for _ in 0..2 {
        let error = client
            .manifests
            .fetch(&server.repo("closed/a"), &tag())
            .await;
        assert_eq!(error.unwrap_err().status(), Some(401));
    }
    let found = client.manifests.fetch(&server.repo("open/a"), &tag()).await;
    assert!(found.unwrap().is_some());
    let roots = server.lines().into_iter().filter(|line| line == "GET /v2/");
    assert_eq!(roots.count(), 1, "the login is looked into once");
    let registry = server.repo("x").registry;
    let login = Login::password("u", "p");
    let check = LoginCheck::run(&client.session, &registry, &login).await;
    assert_eq!(check.unwrap(), LoginCheck::Accepted);
}

#[tokio::test]
async fn a_ready_token_is_sent_as_it_is() {
    let server = TestServer::start(|request| match request.header("authorization") {
        Some("Bearer ready") if request.line.contains("/open/") => manifest_reply(),
        _ => Reply::new(401).header(r#"WWW-Authenticate: Bearer realm="/token""#),
    })
    .await;
    let config = format!(
        r#"{{"auths":{{"{}":{{"registrytoken":"ready"}}}}}}"#,
        server.host()
    );
    let (client, _) = client(&config);
    let found = client.manifests.fetch(&server.repo("open/a"), &tag()).await;
    assert!(found.unwrap().is_some());
    let error = client
        .manifests
        .fetch(&server.repo("closed/a"), &tag())
        .await;
    let hint = error.unwrap_err().diagnose().hint.unwrap();
    assert!(hint.contains("the token in the credentials"), "{hint}");
    let lines = server.lines();
    assert!(
        !lines.iter().any(|line| line.contains("/token")),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3, "and no more often than once: {lines:?}");
}
