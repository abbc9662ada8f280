//! Uploads in chunks, against answers that real registries rarely give.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::server::{Reply, TestServer, client};
use super::{blob, reopenable};
use crate::*;
use hod_report::Diagnose as _;

const CHUNK_LEN: u64 = 4;

async fn upload(client: &Client, repo: &Repo, bytes: &'static [u8]) -> Result<(), RegistryError> {
    let client = client.with_uploads(UploadOptions {
        chunk_len: CHUNK_LEN,
        ..UploadOptions::default()
    });
    let layer = blob(bytes);
    match client.uploads.start(repo, &layer, None).await? {
        UploadStart::Session(session) => {
            let body = reopenable(Bytes::from_static(bytes));
            client.uploads.upload(session, &layer, body).await
        }
        UploadStart::Mounted => panic!("nothing was to be mounted"),
    }
}

/// The lines without the digest at their end.
fn lines(server: &TestServer) -> Vec<String> {
    let cut = |line: String| line.split("digest=").next().unwrap().to_owned();
    server.lines().into_iter().map(cut).collect()
}

#[tokio::test]
async fn a_chunk_follows_redirects_and_leaves_the_login_behind() {
    let storage = TestServer::start(|request| {
        if request.line.starts_with("PATCH") {
            Reply::new(202).header("Location: /next?sig=2")
        } else {
            Reply::new(201)
        }
    })
    .await;
    let away = format!("http://{}/first?sig=1", storage.host());
    let server = TestServer::start(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401).header("WWW-Authenticate: Basic realm=x");
        }
        match request.line.as_str() {
            line if line.starts_with("POST") => Reply::new(202).header("Location: /here"),
            _ => Reply::new(307).header(format!("Location: {away}")),
        }
    })
    .await;
    let host = server.host();
    let config = format!(r#"{{"auths":{{"{host}":{{"username":"u","password":"p"}}}}}}"#);
    let (client, recorder) = client(&config);
    upload(&client, &server.repo("app"), b"0123456789")
        .await
        .unwrap();
    assert_eq!(
        lines(&storage),
        [
            "PATCH /first?sig=1",
            "PATCH /next?sig=2",
            "PATCH /next?sig=2",
            "PUT /next?sig=2&"
        ]
    );
    let log = storage.log();
    assert!(log.iter().all(|r| r.header("authorization").is_none()));
    let bodies: Vec<&[u8]> = log.iter().map(|r| &r.body[..]).collect();
    assert_eq!(bodies, [&b"0123"[..], b"4567", b"89", b""]);
    assert_eq!(log[3].header("content-length"), Some("0"));
    // Bytes that were sent in vain are subtracted again.
    let sum: i64 = recorder.lines().iter().map(|line| moved(line)).sum();
    assert_eq!(sum, 10);
}

/// The signed number of bytes in an event.
fn moved(line: &str) -> i64 {
    let len = |prefix: &str| -> Option<i64> {
        let len = line.strip_prefix(prefix)?.strip_suffix(" }")?;
        Some(len.parse().unwrap())
    };
    len("BytesMoved { len: ").unwrap_or_else(|| -len("BytesLost { len: ").unwrap_or_default())
}

#[tokio::test]
async fn a_blob_that_is_refused_at_its_end_is_sent_twice_at_most() {
    let lost = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#;
    let refused = r#"{"errors":[{"code":"NOT_FOUND"}]}"#;
    for (body, n_sent) in [(refused, 2), (lost, 3)] {
        let server =
            TestServer::start(
                move |request| match request.line.split(' ').next().unwrap() {
                    "POST" => Reply::new(202).header("Location: /u"),
                    "HEAD" => Reply::new(404),
                    _ => Reply::new(404).body(body),
                },
            )
            .await;
        let (client, _) = client("{}");
        let error = upload(&client, &server.repo("app"), b"012").await;
        assert!(!error.unwrap_err().is_transient());
        let lines = lines(&server);
        let puts = lines.iter().filter(|line| line.starts_with("PUT"));
        assert!(puts.count() >= n_sent, "{lines:#?}");
        let is_bounded = lines.iter().filter(|line| line.starts_with("PUT")).count() == 2;
        assert_eq!(is_bounded, n_sent == 2, "{lines:#?}");
    }
}

#[tokio::test]
async fn a_wrong_digest_is_doubted_once_where_something_went_wrong_before() {
    for (may_be_corrupt, n_posts) in [(false, 1), (true, 2)] {
        let n = AtomicUsize::new(0);
        let server = TestServer::start(move |request| {
            let method = request.line.split(' ').next().unwrap();
            match method {
                "POST" | "GET" => {
                    Reply::new(if method == "GET" { 204 } else { 202 }).header("Location: /u")
                }
                "PATCH" if may_be_corrupt && n.fetch_add(1, Ordering::SeqCst) == 1 => {
                    Reply::new(500)
                }
                "PATCH" => Reply::new(202).header("Location: /u"),
                "HEAD" => Reply::new(404),
                _ => Reply::new(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
            }
        })
        .await;
        let (client, recorder) = client("{}");
        let error = upload(&client, &server.repo("app"), b"0123456789")
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("DIGEST_INVALID"));
        let all = lines(&server);
        let posts = all.iter().filter(|line| line.starts_with("POST"));
        assert_eq!(posts.count(), n_posts, "{all:#?}");
        let sum: i64 = recorder.lines().iter().map(|line| moved(line)).sum();
        assert_eq!(sum, 0, "nothing was moved in the end");
    }
}

#[tokio::test]
async fn a_registry_that_took_less_gets_the_rest() {
    let ranges = ["0-2", "0-0", "nonsense", "0-99"];
    let n = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        let at = n.load(Ordering::SeqCst);
        if request.line.starts_with("PATCH") {
            n.fetch_add(1, Ordering::SeqCst);
            return Reply::new(202).header(format!("Range: {}", ranges[at]));
        }
        Reply::new(if request.line.starts_with("PUT") {
            201
        } else {
            202
        })
        .header("Location: /u")
    })
    .await;
    let (client, recorder) = client("{}");
    upload(&client, &server.repo("app"), b"0123456789abc")
        .await
        .unwrap();
    let log = server.log();
    let sent: Vec<_> = log
        .iter()
        .filter_map(|r| Some((r.header("content-range")?, &r.body[..])))
        .collect();
    assert_eq!(
        sent,
        [
            ("0-3", &b"0123"[..]),
            ("3-6", b"3456"),
            ("7-10", b"789a"),
            ("11-12", b"bc")
        ]
    );
    let sum: i64 = recorder.lines().iter().map(|line| moved(line)).sum();
    assert_eq!(sum, 13);
}

#[tokio::test]
async fn hostile_answers_come_to_an_end() {
    // Sessions that are never there, that have more than there is, and redirects in circles.
    for (patch, get) in [
        (Reply::new(404), Reply::new(404)),
        (Reply::new(416), Reply::new(204).header("Range: 0-999999")),
        (Reply::new(416), Reply::new(204).header("Range: 0-1")),
        (
            Reply::new(416),
            Reply::new(200).header("Location: /elsewhere"),
        ),
        (Reply::new(307).header("Location: /u"), Reply::new(404)),
        (Reply::new(500), Reply::new(500)),
        (Reply::new(413), Reply::new(204)),
        (Reply::new(504), Reply::new(204)),
    ] {
        let name = format!("{patch:?} {get:?}");
        let server =
            TestServer::start(
                move |request| match request.line.split(' ').next().unwrap() {
                    "POST" => Reply::new(202).header("Location: /u"),
                    "PATCH" => patch.clone(),
                    "GET" => get.clone(),
                    _ => Reply::new(404),
                },
            )
            .await;
        let (client, recorder) = client("{}");
        upload(&client, &server.repo("app"), b"0123456789")
            .await
            .unwrap_err();
        let n = server.lines().len();
        assert!(n <= 20, "{name}: {n} requests");
        let sum: i64 = recorder.lines().iter().map(|line| moved(line)).sum();
        assert_eq!(sum, 0, "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_is_sent_at_once_cannot_be_sent_again() {
    let server = TestServer::start(|request| match request.line.split(' ').next().unwrap() {
        "POST" => Reply::new(202).header("Location: /u"),
        "PUT" => Reply::new(500),
        _ => Reply::new(404),
    })
    .await;
    let (client, _) = client("{}");
    let client = client.with_uploads(UploadOptions {
        chunk_len: 0,
        ..UploadOptions::default()
    });
    let bytes = vec![7; 17 * 1024 * 1024];
    let layer = blob(&bytes);
    let repo = server.repo("app");
    let UploadStart::Session(session) = client.uploads.start(&repo, &layer, None).await.unwrap()
    else {
        panic!("nothing was to be mounted");
    };
    let stream: UploadStream = Box::pin(futures_util::stream::iter([Ok(Bytes::from(bytes))]));
    let error = client
        .uploads
        .upload(session, &layer, UploadBody::Stream(stream))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upload was interrupted, and its data can be read only once"
    );
    assert_eq!(error.status(), Some(500));
    assert!(!error.is_transient());
    assert!(
        error
            .diagnose()
            .hint
            .unwrap()
            .contains("Push from the uncompressed `.tar`")
    );
}
