//! Hosts that are down for a while.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::{Reply, TestServer, client, waiting_client};
use super::{manifest_reply, tag};

/// A server that answers once, then is down for `n` requests.
async fn down_for(n: usize) -> TestServer {
    let n_requests = AtomicUsize::new(0);
    TestServer::start(move |_| match n_requests.fetch_add(1, Ordering::SeqCst) {
        0 => manifest_reply(),
        at if at <= n => Reply::new(502),
        _ => manifest_reply(),
    })
    .await
}

#[tokio::test]
async fn a_host_that_answered_before_is_waited_for() {
    let server = down_for(40).await;
    let (client, recorder) = waiting_client("{}");
    for _ in 0..2 {
        let found = client.manifests.fetch(&server.repo("app"), &tag()).await;
        assert!(found.unwrap().is_some());
    }
    assert_eq!(recorder.lines().len(), 40);
}

#[tokio::test]
async fn who_says_how_often_is_not_made_to_wait() {
    let server = down_for(40).await;
    let (client, _) = client("{}");
    let repo = server.repo("app");
    assert!(client.manifests.fetch(&repo, &tag()).await.is_ok());
    let error = client.manifests.fetch(&repo, &tag()).await.unwrap_err();
    assert_eq!(error.to_string(), "gave up after 3 attempts");
}

#[tokio::test]
async fn a_host_that_never_answered_is_not_waited_for() {
    let server = TestServer::start(|_| Reply::new(502)).await;
    let (client, _) = waiting_client("{}");
    let error = client
        .manifests
        .fetch(&server.repo("app"), &tag())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "gave up after 3 attempts");
}
