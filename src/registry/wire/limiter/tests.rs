#![expect(
    clippy::disallowed_methods,
    reason = "`tokio::test` gives each test a runtime of its own"
)]

use super::*;
use crate::error::meaning::Meaning;
use hod_report::Recorder;

fn limiter(at_once: usize) -> (Arc<Limiter>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let options = LimitOptions {
        at_once,
        ..LimitOptions::default()
    };
    let retry = RetryPolicy {
        attempts: 5,
        base: Duration::from_secs(2),
        max: Duration::from_mins(1),
        outage: Duration::ZERO,
    };
    let limiter = Limiter::new(options, retry, Arc::clone(&recorder) as Arc<dyn Reporter>);
    (Arc::new(limiter), recorder)
}

fn url() -> Url {
    "https://reg.corp:5000/v2/a/manifests/1".parse().unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

/// Has `n` requests under way together, all answered with `status` after `takes`.
async fn volley(limiter: &Limiter, method: &Method, (n, status): (usize, u16), takes: Duration) {
    let mut permits = Vec::new();
    for _ in 0..n {
        permits.push(limiter.admit(method, &url()).await.unwrap());
    }
    tokio::time::sleep(takes).await;
    for permit in &permits {
        limiter.heard(permit, Meaning::of(status), &HeaderMap::new());
    }
}

/// The number of requests admitted at once.
async fn width(limiter: &Limiter, method: &Method) -> usize {
    let (mut permits, url) = (Vec::new(), url());
    loop {
        let admitted = limiter.admit(method, &url);
        match tokio::time::timeout(Duration::from_millis(1), admitted).await {
            Ok(permit) => permits.push(permit.unwrap()),
            Err(_) => return permits.len(),
        }
    }
}

const FAST: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn a_lane_widens_while_it_is_full_and_halves_when_it_is_too_much() {
    let (limiter, _) = limiter(18);
    let get = Method::GET;
    assert_eq!(width(&limiter, &get).await, AT_FIRST);
    // Not for requests that do not wait for each other.
    for _ in 0..20 {
        volley(&limiter, &get, (1, 200), FAST).await;
    }
    assert_eq!(width(&limiter, &get).await, AT_FIRST);
    for n in [8, 9, 10] {
        volley(&limiter, &get, (n, 200), FAST).await;
    }
    let wide = width(&limiter, &get).await;
    assert!(wide > AT_FIRST && wide <= 18, "{wide}");
    // All of one volley halve it once.
    volley(&limiter, &get, (8, 503), FAST).await;
    assert_eq!(width(&limiter, &get).await, wide / 2);
    volley(&limiter, &get, (2, 503), FAST).await;
    assert_eq!(width(&limiter, &get).await, wide / 4);
    for _ in 0..5 {
        volley(&limiter, &get, (1, 503), FAST).await;
    }
    assert_eq!(width(&limiter, &get).await, 1, "and never to nothing");
    // Slower than at first.
    volley(&limiter, &get, (1, 200), FAST).await;
    assert_eq!(width(&limiter, &get).await, 2);
    volley(&limiter, &get, (2, 404), FAST).await;
    assert_eq!(width(&limiter, &get).await, 3);
    volley(&limiter, &get, (2, 200), FAST).await;
    assert_eq!(width(&limiter, &get).await, 3);
    // The other lane knows nothing of it.
    assert_eq!(width(&limiter, &Method::PUT).await, AT_FIRST);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_answers_slower_is_not_asked_for_more() {
    let (limiter, _) = limiter(64);
    let get = Method::GET;
    volley(&limiter, &get, (1, 200), FAST).await;
    for _ in 0..4 {
        volley(&limiter, &get, (8, 200), Duration::from_secs(2)).await;
    }
    assert!(width(&limiter, &get).await <= AT_FIRST + 1);
    // A long body does not make an answer slow.
    let put = Method::PUT;
    volley(&limiter, &put, (1, 201), FAST).await;
    for n in 8..12 {
        volley(&limiter, &put, (n, 201), Duration::from_secs(2)).await;
    }
    assert_eq!(width(&limiter, &put).await, AT_FIRST + 4);
}

#[tokio::test(start_paused = true)]
async fn silence_halves_and_a_cap_holds() {
    let (limiter, _) = limiter(18);
    let put = Method::PUT;
    let permit = limiter.admit(&put, &url()).await.unwrap();
    permit.timed_out();
    permit.timed_out();
    drop(permit);
    assert_eq!(width(&limiter, &put).await, AT_FIRST / 2);
    let held = limiter.admit(&put, &url()).await.unwrap();
    limiter.cap_writes(&url(), 1);
    assert_eq!(width(&limiter, &put).await, 0);
    drop(held);
    for _ in 0..9 {
        volley(&limiter, &put, (1, 201), FAST).await;
    }
    assert_eq!(width(&limiter, &put).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_the_host_for_every_verb() {
    let (limiter, _) = limiter(18);
    let other: Url = "https://other.corp/v2/".parse().unwrap();
    let permits = [
        limiter.admit(&Method::GET, &url()).await.unwrap(),
        limiter.admit(&Method::GET, &url()).await.unwrap(),
    ];
    let start = Instant::now();
    let asked = headers(&[("retry-after", "20")]);
    for permit in &permits {
        limiter.heard(permit, Meaning::RateLimit, &asked);
    }
    limiter.admit(&Method::GET, &other).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "others are not paused");
    for method in [Method::PUT, Method::HEAD, Method::POST] {
        limiter.admit(&method, &url()).await.unwrap();
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(20), "{method} after {took:?}");
        assert!(took < Duration::from_secs(22), "{method} after {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_without_a_time_waits_longer_each_time() {
    let (limiter, _) = limiter(18);
    let mut waits = Vec::new();
    for _ in 0..3 {
        volley(&limiter, &Method::GET, (2, 429), FAST).await;
        let start = Instant::now();
        limiter.admit(&Method::GET, &url()).await.unwrap();
        waits.push(start.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    // 2, 4 and 8 seconds, a quarter more or less, and up to a second until the first sets out.
    assert!((1.5..4.0).contains(&waits[0]), "{waits:?}");
    assert!((3.0..6.5).contains(&waits[1]), "{waits:?}");
    assert!((6.0..11.5).contains(&waits[2]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_closed_for_long_is_not_waited_for() {
    let (limiter, _) = limiter(18);
    let permit = limiter.admit(&Method::GET, &url()).await.unwrap();
    let spent = headers(&[
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "0;w=21600"),
    ]);
    limiter.heard(&permit, Meaning::RateLimit, &spent);
    // The blobs of what was pulled can still be had.
    limiter.admit(&Method::HEAD, &url()).await.unwrap();
    let closed = limiter.admit(&Method::GET, &url()).await.unwrap_err();
    assert_eq!(closed.host, "reg.corp:5000");
    assert_eq!(closed.wait, Duration::from_hours(6));
    let left = closed.until.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_mins(359), "{left:?}");
    // Other requests that are refused for so long close all of it.
    let permit = limiter.admit(&Method::PUT, &url()).await.unwrap();
    let asked = headers(&[("retry-after", "301")]);
    limiter.heard(&permit, Meaning::RateLimit, &asked);
    limiter.admit(&Method::HEAD, &url()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_will_not_do_is_told_once_and_early() {
    let (limiter, recorder) = limiter(18);
    limiter.expect_pulls(&url(), 143);
    let low = headers(&[
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "76;w=21600"),
    ]);
    for _ in 0..3 {
        let permit = limiter.admit(&Method::GET, &url()).await.unwrap();
        limiter.heard(&permit, Meaning::Success, &low);
    }
    assert_eq!(
        recorder.lines(),
        [
            "Warning { text: \"`reg.corp:5000` is to be asked for at least 142 more manifests, and \
             allows 76 more in a window of 6h00m; the rest can be pulled when it has passed. A login \
             may allow more; what was pulled is kept\" }"
        ]
    );
    let budgets = limiter.budgets();
    assert_eq!(budgets[0].0, "reg.corp:5000");
    assert_eq!(budgets[0].1.remaining, 76);
    // Enough is enough.
    let (limiter, recorder) = self::limiter(18);
    limiter.expect_pulls(&url(), 77);
    let permit = limiter.admit(&Method::GET, &url()).await.unwrap();
    limiter.heard(&permit, Meaning::Success, &low);
    assert_eq!(recorder.lines(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn warnings_are_passed_on_once() {
    let (limiter, recorder) = limiter(18);
    let permit = limiter.admit(&Method::HEAD, &url()).await.unwrap();
    let warned = headers(&[
        ("warning", r#"299 - "Your \"plan\" ends soon""#),
        ("warning", r#"110 - "stale""#),
        ("warning", "299 - unquoted"),
        ("warning", r#"299 - """#),
    ]);
    for _ in 0..2 {
        limiter.heard(&permit, Meaning::Success, &warned);
    }
    assert_eq!(
        recorder.lines(),
        [r#"Warning { text: "`reg.corp:5000` says: Your \"plan\" ends soon" }"#]
    );
    for n in 0..100 {
        let flood = headers(&[("warning", &format!("299 - \"{n}\""))]);
        limiter.heard(&permit, Meaning::Success, &flood);
    }
    assert_eq!(recorder.lines().len(), WARNINGS_MAX);
}
