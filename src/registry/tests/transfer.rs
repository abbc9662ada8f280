//! Manifests, blobs, uploads and tags, and how they fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::server::{Reply, TestServer, client, impatient_client, start_refusing, start_silent};
use super::{MANIFEST, blob, fetch_all, manifest_reply, reopenable, session, tag};
use crate::*;
use hod_oci::{Descriptor, Manifest, MediaType};
use hod_report::Diagnose as _;

#[tokio::test]
async fn transient_failures_pass_or_are_given_up() {
    let n = AtomicUsize::new(0);
    let server = TestServer::start(move |request| {
        if request.line.contains("/never/") {
            return Reply::new(503)
                .body(r#"{"errors":[{"code":"UNAVAILABLE","message":"no\n  disk"}]}"#);
        }
        match n.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(429).header("Retry-After: 0"),
            1 => manifest_reply().cut_at(10),
            _ => manifest_reply(),
        }
    })
    .await;
    let (client, recorder) = client("{}");
    let found = client.manifests.fetch(&server.repo("app"), &tag()).await;
    assert!(found.unwrap().is_some());
    let lines = recorder.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("429 Too Many Requests"), "{}", lines[0]);

    let error = client
        .manifests
        .fetch(&server.repo("never"), &tag())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "gave up after 3 attempts");
    assert!(!error.is_transient());
    assert_eq!(error.status(), Some(503));
    let host = server.host();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        format!("GET /v2/never/manifests/1.0 on {host}: 503 UNAVAILABLE: no disk")
    );
}

#[tokio::test]
async fn a_long_wait_is_not_waited_for() {
    let server = TestServer::start(|_| Reply::new(429).header("Retry-After: 21600")).await;
    let (client, _) = client("{}");
    let error = client
        .manifests
        .fetch(&server.repo("app"), &tag())
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(429));
    let left = error.retry_after().unwrap();
    assert!(left > Duration::from_mins(359), "{left:?}");
    // Nor is the host asked again.
    let again = client.manifests.fetch(&server.repo("other"), &tag()).await;
    let again = again.unwrap_err();
    assert_eq!(server.lines().len(), 1);
    assert_eq!(again.to_string(), error.to_string());
    let host = server.host();
    let begin = format!("`{host}` does not allow more requests until ");
    assert!(error.to_string().starts_with(&begin), "{error}");
    assert!(error.to_string().ends_with(" GMT"), "{error}");
    assert_eq!(
        again.diagnose().hint.unwrap(),
        format!(
            "Run the same command again in 6h00m: it does only what is missing. Or log in to \
             `{host}`, which may allow more."
        )
    );
}

#[tokio::test]
async fn manifests_are_what_their_digest_says() {
    let other = Digest::of(b"other");
    let server_other = other.clone();
    let server = TestServer::start(move |request| {
        if request.line.contains("/absent/") {
            Reply::new(404)
        } else if request.line.contains("/lied/") {
            manifest_reply().header(format!("Docker-Content-Digest: {server_other}"))
        } else if request.line.contains("/schema1/") {
            Reply::new(200)
                .header(format!(
                    "Content-Type: {}",
                    MediaType::DOCKER_SCHEMA1_SIGNED
                ))
                .header(format!("Docker-Content-Digest: {server_other}"))
                .body("{}")
        } else if request.line.contains("/long/") {
            Reply::new(200).body(vec![b' '; 4 * 1024 * 1024 + 1])
        } else if request.line.starts_with("HEAD /v2/nohead/") {
            Reply::new(405)
        } else {
            manifest_reply().header("Docker-Content-Digest: no digest")
        }
    })
    .await;
    let (client, _) = client("{}");
    let own = Digest::of(MANIFEST.as_bytes());
    let fetch = async |name: &str, reference: ManifestRef| {
        client.manifests.fetch(&server.repo(name), &reference).await
    };
    assert!(fetch("absent", tag()).await.unwrap().is_none());
    assert!(
        fetch("app", ManifestRef::Digest(own.clone()))
            .await
            .unwrap()
            .is_some()
    );
    let message = |result: Result<Option<Manifest>, RegistryError>| {
        let error = result.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = error.to_string();
        let text = text.split_once(": ").unwrap().1.to_owned();
        (text, source.unwrap_or_default())
    };
    let wrong = (format!("expected `{other}`, found `{own}`"), String::new());
    assert_eq!(message(fetch("lied", tag()).await), wrong);
    assert_eq!(
        message(fetch("app", ManifestRef::Digest(other)).await),
        wrong
    );
    let (text, source) = message(fetch("schema1", tag()).await);
    assert_eq!(text, "unusable manifest");
    assert!(source.contains("schema 1"), "{source}");
    let (text, _) = message(fetch("long", tag()).await);
    assert_eq!(text, "the answer has more than 4194304 bytes");

    let head = client.manifests.head(&server.repo("nohead"), &tag()).await;
    assert_eq!(head.unwrap().unwrap().digest, Some(own.clone()));
    // A HEAD without a digest proves nothing; the GET that follows does.
    let head = client.manifests.head(&server.repo("app"), &tag()).await;
    assert_eq!(
        head.unwrap().unwrap(),
        HeadManifest {
            digest: Some(own),
            media_type: MediaType::OCI_MANIFEST.into(),
            len: Some(MANIFEST.len() as u64),
        }
    );
    let accept = server.log()[0].header("accept").unwrap().to_owned();
    assert_eq!(accept, MediaType::MANIFESTS.join(", "));
}

#[tokio::test]
async fn a_blob_has_the_length_of_its_descriptor() {
    let server = TestServer::start(|request| {
        if request.line.contains("/short/") {
            Reply::new(200).body("0123456789").cut_at(4)
        } else if request.line.contains("/unsized/") {
            Reply::new(200)
                .header("Content-Length: 10\r\nX: y")
                .body("0123456789")
        } else if request.line.contains("/absent/") {
            Reply::new(404)
        } else {
            Reply::new(200).body("0123456789")
        }
    })
    .await;
    let (client, _) = client("{}");
    let right = blob(b"0123456789");
    let fetch =
        async |name: &str, blob: &Descriptor| fetch_all(&client, &server.repo(name), blob).await;
    assert_eq!(fetch("app", &right).await.unwrap(), b"0123456789");
    let error = fetch("app", &blob(b"01234")).await.unwrap_err();
    assert!(matches!(
        error,
        RegistryError::Length {
            expected: 5,
            actual: 10,
            ..
        }
    ));
    let error = fetch("short", &right).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(
        fetch("absent", &right).await.unwrap_err().status(),
        Some(404)
    );
    let head = async |name: &str, blob: &Descriptor| {
        let head = client.blobs.head(&server.repo(name), blob).await;
        head.unwrap()
    };
    assert_eq!(head("app", &right).await, ContentCheck::Present);
    assert_eq!(head("absent", &right).await, ContentCheck::Absent);
    let differs = ContentCheck::Differs { len: Some(10) };
    assert_eq!(head("app", &blob(b"01234")).await, differs);
}

#[tokio::test]
async fn a_blob_is_fetched_from_where_it_ended() {
    const BYTES: &[u8] = b"0123456789";
    let server = TestServer::start(|request| {
        let part = Reply::new(206).body(&BYTES[4..]);
        match (
            request.header("range"),
            request.line.split('/').nth(2).unwrap(),
        ) {
            (Some("bytes=4-"), "app") => part.header("Content-Range: bytes 4-9/10"),
            (Some(_), "stars") => part.header("Content-Range: bytes 4-9/*"),
            // Another part, no word of which part, and a part of something else.
            (Some(_), "other") => part.header("Content-Range: bytes 3-9/10"),
            (Some(_), "mute") => part,
            (Some(_), "longer") => part.header("Content-Range: bytes 4-9/11"),
            (Some(_), "refuses") => Reply::new(416).header("Content-Range: bytes */10"),
            (Some(_), "shorter") => Reply::new(416).header("Content-Range: bytes */3"),
            (Some(_), "cut") => part.header("Content-Range: bytes 4-9/10").cut_at(2),
            (Some(_), "early") => Reply::new(206)
                .header("Content-Range: bytes 4-6/10")
                .body(&BYTES[4..7]),
            (Some(_), "gone") => Reply::new(404),
            (Some(_), "moved") => Reply::new(307).header("Location: /v2/app/signed"),
            // Who ignores ranges sends the whole.
            _ => Reply::new(200).body(BYTES),
        }
    })
    .await;
    let (client, _) = client("{}");
    let right = blob(BYTES);
    let fetch = async |name: &str| {
        let body = client.blobs.fetch(&server.repo(name), &right, 4).await?;
        let chunks: Vec<Bytes> = futures_util::TryStreamExt::try_collect(body.stream).await?;
        Ok::<_, RegistryError>(chunks.concat())
    };
    for (name, n_requests) in [
        ("app", 1),
        ("stars", 1),
        ("moved", 2),
        ("ignores", 1),
        ("other", 2),
        ("mute", 2),
        ("refuses", 2),
    ] {
        let n_before = server.log().len();
        assert_eq!(fetch(name).await.unwrap(), b"456789", "{name}");
        let log = server.log();
        assert_eq!(log.len() - n_before, n_requests, "{name}");
        assert_eq!(log[n_before].header("range"), Some("bytes=4-"), "{name}");
    }
    for (name, actual) in [("longer", 11), ("shorter", 3)] {
        let error = fetch(name).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::Length { expected: 10, actual: len, .. } if len == actual),
            "{name}: {error:?}"
        );
    }
    assert!(fetch("cut").await.unwrap_err().is_transient());
    let error = fetch("early").await.unwrap_err();
    assert!(matches!(error, RegistryError::Truncated { actual: 7, .. }));
    assert_eq!(fetch("gone").await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_harbor_gets_few_writes_at_once() {
    for (service, expect) in [("harbor-registry", 5), ("registry", 8)] {
        let server = TestServer::start(move |request| {
            if request.line.starts_with("GET /token") {
                return Reply::new(200).body(r#"{"token":"t"}"#);
            }
            if request.header("authorization").is_none() {
                let host = request.header("host").unwrap();
                return Reply::new(401).header(format!(
                    "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"{service}\""
                ));
            }
            manifest_reply()
        })
        .await;
        let (client, _) = client("{}");
        let repo = server.repo("app");
        client.manifests.fetch(&repo, &tag()).await.unwrap();
        let root = client.session.root(&repo.registry).unwrap();
        let (mut permits, put) = (Vec::new(), reqwest::Method::PUT);
        for _ in 0..expect {
            permits.push(client.session.transport().admit(&put, &root).await.unwrap());
        }
        let one_more = client.session.transport().admit(&put, &root);
        let one_more = tokio::time::timeout(Duration::from_millis(1), one_more).await;
        assert!(one_more.is_err(), "{service}");
    }
}

#[tokio::test]
async fn an_upload_goes_where_it_is_told_to() {
    let storage = TestServer::start(|_| Reply::new(201)).await;
    let elsewhere = format!("http://{}/put?sig=s", storage.host());
    let server = TestServer::start(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401).header("WWW-Authenticate: Basic realm=x");
        }
        match request.line.as_str() {
            line if line.contains("mount=") && line.contains("from=good") => Reply::new(201),
            line if line.contains("mount=") && line.contains("from=bad") => Reply::new(401),
            "POST /v2/away/blobs/uploads/" => {
                Reply::new(202).header(format!("Location: {elsewhere}"))
            }
            "POST /v2/lost/blobs/uploads/" => Reply::new(202),
            line if line.starts_with("POST ") => {
                Reply::new(202).header("Location: /v2/app/blobs/uploads/1?_state=a%3D")
            }
            _ => Reply::new(201),
        }
    })
    .await;
    let host = server.host();
    let config = format!(r#"{{"auths":{{"{host}":{{"username":"u","password":"p"}}}}}}"#);
    let (client, recorder) = client(&config);
    let repo = server.repo("app");
    let bytes = Bytes::from_static(b"0123456789");
    let layer = blob(&bytes);

    let location = session(&client, &repo).await;
    client
        .uploads
        .upload(location, &layer, reopenable(bytes.clone()))
        .await
        .unwrap();
    let put = server.log().pop().unwrap();
    let digest = &layer.digest;
    assert_eq!(
        put.line,
        format!("PUT /v2/app/blobs/uploads/1?_state=a%3D&digest={digest}")
    );
    assert_eq!(put.body, bytes);
    assert_eq!(put.header("content-length"), Some("10"));
    assert_eq!(put.header("transfer-encoding"), None);
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
    assert!(put.header("authorization").is_some());
    assert_eq!(recorder.lines(), ["BytesMoved { len: 10 }"]);

    let away = server.repo("away");
    let location = session(&client, &away).await;
    let stream: UploadStream = Box::pin(futures_util::stream::iter([
        Ok(bytes.slice(..4)),
        Ok(bytes.slice(4..)),
    ]));
    client
        .uploads
        .upload(location, &layer, UploadBody::Stream(stream))
        .await
        .unwrap();
    let put = storage.log().pop().unwrap();
    assert_eq!(put.line, format!("PUT /put?sig=s&digest={digest}"));
    assert_eq!(put.body, bytes);
    assert_eq!(put.header("authorization"), None);

    let lost = client
        .uploads
        .start(&server.repo("lost"), &layer, None)
        .await;
    assert!(matches!(lost, Err(RegistryError::Protocol { .. })));
    let mount = async |from: &str| {
        let from = from.parse().unwrap();
        client
            .uploads
            .start(&repo, &layer, Some(&from))
            .await
            .unwrap()
    };
    assert!(matches!(mount("good").await, UploadStart::Mounted));
    assert!(matches!(mount("bad").await, UploadStart::Session(_)));
    assert!(matches!(mount("other").await, UploadStart::Session(_)));
}

#[tokio::test]
async fn data_that_is_not_what_was_promised_is_not_uploaded() {
    let server = TestServer::start(|_| Reply::new(202).header("Location: /u")).await;
    let (client, recorder) = client("{}");
    let repo = server.repo("app");
    let layer = blob(b"0123456789");
    for (chunks, expect) in [
        (vec!["01234"], "5 of the expected 10 bytes"),
        (vec!["01234", "567890"], "more than the expected 10 bytes"),
    ] {
        let location = session(&client, &repo).await;
        let stream: UploadStream =
            Box::pin(futures_util::stream::iter(chunks).map(|chunk| Ok(Bytes::from(chunk))));
        let error = client
            .uploads
            .upload(location, &layer, UploadBody::Stream(stream))
            .await
            .unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), expect);
        assert!(!error.is_transient());
        // A part of a stream is whole before any of it is sent.
        assert_eq!(recorder.lines(), [] as [&str; 0]);
        assert!(!server.lines().iter().any(|line| line.starts_with("PUT")));
    }
}

#[tokio::test]
async fn a_refusal_is_heard_while_the_data_is_sent() {
    let refusing = start_refusing(413).await;
    let location = format!("Location: http://{refusing}/u");
    let server = TestServer::start(move |_| Reply::new(202).header(&location)).await;
    let (client, recorder) = client("{}");
    let bytes = Bytes::from(vec![7; 16 * 1024 * 1024]);
    let layer = blob(&bytes);
    let location = session(&client, &server.repo("app")).await;
    let stream: UploadStream = Box::pin(futures_util::stream::iter(
        (0..256).map(move |n| Ok(bytes.slice(n * 65536..(n + 1) * 65536))),
    ));
    let error = client
        .uploads
        .upload(location, &layer, UploadBody::Stream(stream))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(413), "{error:?}");
    assert!(
        error
            .diagnose()
            .hint
            .unwrap()
            .contains("client_max_body_size")
    );
    let lines = recorder.lines();
    assert!(lines.len() < 257, "not everything was sent");
    assert!(lines.last().unwrap().starts_with("BytesLost"));
}

#[tokio::test]
async fn an_upload_that_nobody_takes_is_given_up() {
    let silent = start_silent().await;
    let location = format!("Location: http://{silent}/u");
    let server = TestServer::start(move |_| Reply::new(202).header(&location)).await;
    let (client, recorder) = impatient_client();
    let bytes = Bytes::from(vec![7; 32 * 1024 * 1024]);
    let layer = blob(&bytes);
    let location = session(&client, &server.repo("app")).await;
    let stream: UploadStream = Box::pin(futures_util::stream::iter(
        (0..512).map(move |n| Ok(bytes.slice(n * 65536..(n + 1) * 65536))),
    ));
    let error = client
        .uploads
        .upload(location, &layer, UploadBody::Stream(stream))
        .await
        .unwrap_err();
    // And asking how far it came is met with silence too.
    let RegistryError::GaveUp { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*source, RegistryError::Stalled { .. }),
        "{source:?}"
    );
    let lines = recorder.lines();
    assert!(lines.iter().any(|line| line.starts_with("BytesLost")));
}

#[tokio::test]
async fn tags_are_listed_over_pages() {
    let server = TestServer::start(|request| match request.line.as_str() {
        "GET /v2/app/tags/list?n=1000" => Reply::new(200)
            .header(r#"Link: </v2/app/tags/list?last=b>; rel="next""#)
            .body(r#"{"name":"app","tags":["a",".tmp","b"]}"#),
        "GET /v2/app/tags/list?last=b" => Reply::new(200)
            .header(r#"Link: <http://127.0.0.1:1/v2/app/tags/list>; rel="next""#)
            .body(r#"{"name":"app","tags":null}"#),
        _ => Reply::new(404).body(r#"{"errors":[{"code":"NAME_UNKNOWN","message":"x"}]}"#),
    })
    .await;
    let (client, recorder) = client("{}");
    let tags = client.tags.list(&server.repo("app")).await.unwrap();
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    assert_eq!(tags, ["a", "b"]);
    assert!(recorder.lines()[0].contains("`.tmp` is not a valid tag"));
    let error = client.tags.list(&server.repo("none")).await.unwrap_err();
    assert_eq!(error.code(), Some("NAME_UNKNOWN"));
}
