//! A registry in the test's process: hod's own server over a store, behind faults and logins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt as _;
use hod_fsx::Durability;
use hod_report::Silent;
use hod_server::{Access, ServeOptions};
use hod_store::Store;
use serde_json::json;
use tokio::sync::oneshot;

use super::faults::{self, Effect, Fault};
use super::http::{self, Answer};
use super::images::Image;

/// Who may do what in a test registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Everyone everything.
    #[default]
    Open,
    /// Who knows the login, everything.
    Basic { user: String, password: String },
    /// Who brings a token of the right scope; tokens are for all, or for who knows the login.
    Bearer { login: Option<(String, String)> },
}

/// What a test registry is like.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    pub auth: Auth,
    pub faults: Vec<Fault>,
    /// What it serves; otherwise an empty store of its own.
    pub store: Option<Store>,
    /// Whether it refuses to delete, as most registries do unless they are told otherwise.
    pub keeps_all: bool,
}

/// A running registry; it ends when it is dropped.
#[derive(Debug)]
pub struct TestRegistry {
    store: Store,
    shared: Arc<Shared>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _dir: tempfile::TempDir,
}

/// A request as the registry saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    /// What was answered; 0 when the registry hung up.
    pub status: u16,
}

impl Seen {
    /// The value of a header, if it was there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug)]
struct Shared {
    host: String,
    auth: Auth,
    faults: Mutex<Vec<Fault>>,
    seen: Mutex<Vec<Seen>>,
    /// The scopes that each token in force is for.
    tokens: Mutex<BTreeMap<String, Vec<String>>>,
}

impl TestRegistry {
    /// Starts an open registry with nothing in it.
    pub fn start() -> Self {
        Self::with(RegistryOptions::default())
    }

    /// Starts a registry.
    pub fn with(options: RegistryOptions) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("hod-registry-")
            .tempdir()
            .unwrap();
        let store = options
            .store
            .unwrap_or_else(|| Store::create(dir.path()).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            host: listener.local_addr().unwrap().to_string(),
            auth: options.auth,
            faults: Mutex::new(options.faults),
            seen: Mutex::default(),
            tokens: Mutex::default(),
        });
        let serve_options = ServeOptions {
            access: if options.keeps_all {
                Access::Push
            } else {
                Access::PushAndDelete
            },
            durability: Durability::Deferred,
            reporter: Arc::new(Silent),
        };
        let router = hod_server::router(store.clone(), serve_options).layer(
            axum::middleware::from_fn_with_state(Arc::clone(&shared), handle),
        );
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || run(listener, router, stopped));
        Self {
            store,
            shared,
            running: Some((stop, thread)),
            _dir: dir,
        }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// What it serves.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Puts an image into it as `name:tag`, or without a tag as `name`.
    #[track_caller]
    pub fn add(&self, name: &str, image: &Image) {
        image.put_in(&self.store, name);
    }

    /// Adds a fault to those it has.
    pub fn fail(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Makes every token that was given out worthless.
    pub fn expire_tokens(&self) {
        self.shared.tokens.lock().unwrap().clear();
    }

    /// The requests so far, in the order of their answers.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The requests since this was last asked.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    /// How many requests so far had this method (`*` for any) and a path that `path` is true of.
    pub fn count(&self, method: &str, path: impl Fn(&str) -> bool) -> usize {
        let is_counted =
            |seen: &&Seen| (method == "*" || seen.method == method) && path(&seen.path);
        self.shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(is_counted)
            .count()
    }

    /// How many bodies of blobs were asked for so far.
    pub fn n_blob_gets(&self) -> usize {
        self.count("GET", faults::blob_path)
    }

    /// Sends a request with neither headers nor body.
    #[track_caller]
    pub fn send(&self, method: &str, target: &str) -> Answer {
        http::send(self.host(), method, target, (&[], b""))
    }

    /// Sends a request with headers and a body.
    #[track_caller]
    pub fn send_with(
        &self,
        method: &str,
        target: &str,
        request: (&[(&str, &str)], &[u8]),
    ) -> Answer {
        http::send(self.host(), method, target, request)
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Neither fails unless the server failed, which the test has seen.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's server has a runtime of its own"
)]
pub(super) fn run(
    listener: std::net::TcpListener,
    router: axum::Router,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        tokio::select! {
            result = axum::serve(listener, router).into_future() => result.unwrap(),
            _ = stopped => {}
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

/// Everything between the client and the server proper.
async fn handle(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let mut seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().clone(),
        status: 0,
    };
    let effects: Vec<Effect> = {
        let faults = shared.faults.lock().unwrap();
        let strikes = faults
            .iter()
            .filter_map(|fault| fault.strike(&seen.method, &seen.path));
        strikes.collect()
    };
    for effect in &effects {
        match effect {
            Effect::Delay(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
            Effect::NoMount => *request.uri_mut() = seen.path.parse().unwrap(),
            _ => {}
        }
    }
    let mut response = match effects.iter().find_map(|effect| instead(effect, &seen)) {
        Some(Instead::Answer(response)) => response,
        Some(Instead::HangUp) => hang_up(&shared, seen),
        None if seen.path == "/token" => give_token(&shared, &seen),
        None => match authorize(&shared, &seen) {
            Err(challenge) => unauthorized(&challenge),
            Ok(()) => next.run(request).await,
        },
    };
    for effect in effects {
        if effect == Effect::DoneButHangUp {
            hang_up(&shared, seen);
        }
        response = change(effect, response).await;
    }
    seen.status = response.status().as_u16();
    shared.seen.lock().unwrap().push(seen);
    response
}

/// Ends the connection without an answer, which hyper does when its service unwinds.
fn hang_up(shared: &Shared, seen: Seen) -> ! {
    shared.seen.lock().unwrap().push(seen);
    // Not `panic!`, which would print.
    std::panic::resume_unwind(Box::new("the registry hangs up"))
}

/// What keeps a request from being done.
#[derive(Debug)]
enum Instead {
    Answer(Response),
    HangUp,
}

fn instead(effect: &Effect, seen: &Seen) -> Option<Instead> {
    let response = match effect {
        Effect::HangUp => return Some(Instead::HangUp),
        Effect::Status(status) => error(*status),
        Effect::RefuseMount(status) => {
            let is_mount = seen
                .query
                .as_deref()
                .is_some_and(|query| query.contains("mount="));
            return is_mount.then(|| Instead::Answer(error(*status)));
        }
        Effect::RetryAfter(status, after) => {
            let mut response = error(*status);
            let after = HeaderValue::from_static(after);
            response.headers_mut().insert(RETRY_AFTER, after);
            response
        }
        Effect::Page(status, page) => answer(*status, *page),
        Effect::Redirect(status, to) => {
            let mut response = answer(*status, "");
            let to = format!("{to}{}", seen.path).parse().unwrap();
            response.headers_mut().insert(LOCATION, to);
            response
        }
        _ => return None,
    };
    Some(Instead::Answer(response))
}

/// Spoils an answer.
async fn change(effect: Effect, mut response: Response) -> Response {
    let headers = response.headers_mut();
    match effect {
        Effect::Header(name, value) => {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        Effect::NoHeader(name) => {
            headers.remove(name);
        }
        Effect::AbsoluteLocation(base) => relocate(headers, |path| format!("{base}{path}")),
        Effect::OpaqueLocation => relocate(headers, |path| format!("{path}?_state=a%2Bb%3D")),
        Effect::CutBody(len) => {
            let (parts, body) = response.into_parts();
            // A pause, in which the server sends what it has.
            let cut = futures_util::stream::once(async {
                tokio::task::yield_now().await;
                Err(axum::Error::new("the registry cuts the body"))
            });
            let body = Body::from_stream(first_bytes(body, len).chain(cut));
            return Response::from_parts(parts, body);
        }
        Effect::ShortBody(len) => {
            headers.remove(CONTENT_LENGTH);
            let (parts, body) = response.into_parts();
            return Response::from_parts(parts, Body::from_stream(first_bytes(body, len)));
        }
        Effect::FlipByte => {
            let (parts, body) = response.into_parts();
            let mut bytes = axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap()
                .to_vec();
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
            }
            return Response::from_parts(parts, Body::from(bytes));
        }
        _ => {}
    }
    response
}

fn first_bytes(
    body: Body,
    len: usize,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes, axum::Error>> {
    let mut left = len;
    body.into_data_stream().map(move |chunk| {
        let mut chunk = chunk?;
        chunk.truncate(left);
        left -= chunk.len();
        Ok(chunk)
    })
}

fn relocate(headers: &mut HeaderMap, change: impl Fn(&str) -> String) {
    if let Some(location) = headers.get(LOCATION) {
        let location = change(location.to_str().unwrap());
        headers.insert(LOCATION, location.parse().unwrap());
    }
}

pub(super) fn answer(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn error(status: u16) -> Response {
    let code = match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "NOT_FOUND",
        429 => "TOOMANYREQUESTS",
        503 => "UNAVAILABLE",
        _ => "UNKNOWN",
    };
    let body = json!({"errors": [{"code": code, "message": "as the test wants it"}]});
    answer(status, body.to_string())
}

fn unauthorized(challenge: &str) -> Response {
    let mut response = error(401);
    let challenge = challenge.parse().unwrap();
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

/// Lets a request through, or says by which challenge it is refused.
fn authorize(shared: &Shared, seen: &Seen) -> Result<(), String> {
    let given = seen.header(AUTHORIZATION.as_str());
    match &shared.auth {
        Auth::Open => Ok(()),
        Auth::Basic { user, password } if given == Some(&basic(user, password)) => Ok(()),
        Auth::Basic { .. } => Err("Basic realm=\"test\"".to_owned()),
        Auth::Bearer { .. } => {
            let tokens = shared.tokens.lock().unwrap();
            let granted = given
                .and_then(|given| given.strip_prefix("Bearer "))
                .and_then(|token| tokens.get(token));
            let needed = needed_scopes(seen);
            match granted {
                Some(granted) if needed.iter().all(|needed| covers(granted, needed)) => Ok(()),
                _ => {
                    let host = &shared.host;
                    let scope = needed.first().map(|scope| format!(",scope=\"{scope}\""));
                    let scope = scope.unwrap_or_default();
                    Err(format!(
                        "Bearer realm=\"http://{host}/token\",service=\"test\"{scope}"
                    ))
                }
            }
        }
    }
}

/// The scopes that a request needs: of its repository, and of the one it mounts from.
fn needed_scopes(seen: &Seen) -> Vec<String> {
    let path = seen.path.strip_prefix("/v2/").unwrap_or_default();
    let marker = ["/manifests/", "/blobs/", "/tags/"]
        .iter()
        .find_map(|marker| path.rfind(marker));
    let Some(end) = marker else {
        return Vec::new();
    };
    let actions = match seen.method.as_str() {
        "GET" | "HEAD" if !faults::upload_path(path) => "pull",
        "DELETE" if faults::manifest_path(&seen.path) => "delete",
        _ => "pull,push",
    };
    let mut scopes = vec![format!("repository:{}:{actions}", &path[..end])];
    let query = seen.query.as_deref().unwrap_or_default();
    for from in query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("from="))
    {
        scopes.push(format!("repository:{}:pull", from.replace("%2F", "/")));
    }
    scopes
}

/// Whether one of the granted scopes has the needed one's repository and all its actions.
fn covers(granted: &[String], needed: &str) -> bool {
    let Some((needed_name, needed_actions)) = needed.rsplit_once(':') else {
        return false;
    };
    granted
        .iter()
        .filter_map(|scope| scope.rsplit_once(':'))
        .any(|(name, actions)| {
            name == needed_name
                && needed_actions
                    .split(',')
                    .all(|needed| actions.split(',').any(|action| action == needed))
        })
}

/// `GET /token?service=&scope=…`: every scope that is asked for, to who may have any.
fn give_token(shared: &Shared, seen: &Seen) -> Response {
    if let Auth::Bearer {
        login: Some((user, password)),
    } = &shared.auth
        && seen.header(AUTHORIZATION.as_str()) != Some(&basic(user, password))
    {
        return error(401);
    }
    let query = seen.query.as_deref().unwrap_or_default();
    let scopes = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="))
        .map(|scope| {
            scope
                .replace("%3A", ":")
                .replace("%2F", "/")
                .replace("%2C", ",")
        })
        .flat_map(|scopes| {
            let split = scopes
                .split(['+', ' '])
                .flat_map(|scope| scope.split("%20"));
            split.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let mut tokens = shared.tokens.lock().unwrap();
    let n_given = shared.seen.lock().unwrap().len();
    let token = format!("token-{n_given}-{}", tokens.len());
    tokens.insert(token.clone(), scopes);
    answer(200, json!({"token": token, "expires_in": 300}).to_string())
}
