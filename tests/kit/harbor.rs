//! A Harbor in the test's process that answers as Harbor 2.15 was seen to answer: core with its
//! tokens, projects, quotas and rules, in front of hod's own server as the backend.
//! `harbor/facts.md` says what it imitates.
//!
//! `core` handles `/v2/`, `api` handles `/service/token` and `/api/v2.0`, `policy` decides what may
//! be pulled, and `outage` answers while the database is down. Not imitated: Harbor's race that
//! counts a blob several times when several clients upload it into one project at once.

mod api;
mod core;
mod deleting;
mod outage;
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use hod_fsx::Durability;
use hod_oci::Descriptor;
use hod_report::Silent;
use hod_server::{Access, ServeOptions};
use hod_store::Store;
use serde_json::json;
use tokio::sync::oneshot;

use super::registry::{Seen, answer, basic, run};

/// Who someone is to Harbor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Admin,
    User,
    SystemRobot,
    /// A robot of the whole system that has the permission to create projects.
    ProjectCreator,
    ProjectRobot,
    /// With the CLI secret of a user of OIDC, which little of the API takes.
    OidcUser,
}

/// What someone may do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Guest,
    Developer,
    /// As a developer, and besides may delete, and read project, quota and rules.
    Maintainer,
}

#[derive(Debug, Clone)]
struct Account {
    name: String,
    password: String,
    kind: Kind,
}

/// A project and what is in it.
#[derive(Debug, Clone, Default)]
pub struct ProjectState {
    pub public: bool,
    /// In bytes; `None` is Harbor's -1.
    pub limit: Option<u64>,
    pub is_proxy: bool,
    /// What a proxy cache finds at the registry behind it: `app:1` → digest.
    pub upstream: BTreeMap<String, Descriptor>,
    /// The tags that are immutable once they are there, in every repository; `**` is all.
    pub immutable: BTreeSet<String>,
    /// Which images may be pulled.
    pub pull_policy: PullPolicy,
    members: BTreeMap<String, Role>,
    /// Digest and length of all that counts for the quota.
    blobs: BTreeMap<String, u64>,
    /// When it was created, by the clock that tokens go by too.
    born: u64,
    /// What Harbor's database has: digests and tags by repository.
    artifacts: BTreeSet<(String, String)>,
    tags: BTreeMap<(String, String), String>,
    /// What each index lists, by repository and digest.
    children: BTreeMap<(String, String), Vec<String>>,
    /// Tags that were deleted by the API; the backend still has them.
    deleted_tags: BTreeSet<(String, String)>,
}

impl ProjectState {
    pub fn used(&self) -> u64 {
        self.blobs.values().sum()
    }
}

impl ProjectState {
    fn has_immutable(&self, tag: &str) -> bool {
        self.immutable.contains(tag) || self.immutable.contains("**")
    }
}

/// Which images of a project may be pulled; pushes are not held to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    #[default]
    Everything,
    /// Cosign's content trust.
    Signed,
    /// No vulnerabilities; no image has been scanned.
    Scanned,
}

#[derive(Debug, Clone)]
struct Token {
    user: Option<String>,
    /// Actions by project.
    access: BTreeMap<String, Vec<String>>,
    born: u64,
}

/// An answer in place of Harbor's own: what its database, its jobs and its proxies come up with.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub method: &'static str,
    /// A part of the path.
    pub path: &'static str,
    pub status: u16,
    pub body: String,
    /// How many requests it is for, from the first on.
    pub n_left: usize,
}

impl Refusal {
    pub fn new(method: &'static str, path: &'static str, answer: (u16, &str, &str)) -> Self {
        let (status, code, message) = answer;
        Self {
            method,
            path,
            status,
            body: error_body(code, message),
            n_left: usize::MAX,
        }
    }

    pub fn first(mut self, n: usize) -> Self {
        self.n_left = n;
        self
    }
}

/// What a proxy in front of it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Proxy {
    #[default]
    Nothing,
    /// It lets nothing through but `/v2/` and `/service/`.
    HidesApi,
    /// It adds the session's cookie to what clients send.
    AddsCookie,
}

/// Whether a request is the one at which something begins.
pub type Begins = fn(&Seen) -> bool;

/// All that changes.
#[derive(Debug, Default)]
pub struct HarborState {
    pub read_only: bool,
    pub admin_only: bool,
    /// How many more requests that need the database are answered without it.
    pub n_without_database: usize,
    /// The database is stopped at the first request like this, for so many requests.
    stop_at: Option<(Begins, usize)>,
    /// Whether Harbor's external URL is `https`, though it is reached without TLS.
    pub is_https_outside: bool,
    /// The longest header line that nginx takes.
    pub header_len_max: usize,
    pub proxy: Proxy,
    pub refusals: Vec<Refusal>,
    pub projects: BTreeMap<String, ProjectState>,
    accounts: Vec<Account>,
    tokens: BTreeMap<String, Token>,
    uploads: BTreeMap<String, u64>,
    clock: u64,
    /// How many blobs are being uploaded now, and at most so far.
    n_uploading: usize,
    pub n_uploading_max: usize,
    n_requests: usize,
}

impl HarborState {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Stops the database at the first request like this, for the next `n` requests that need it.
    pub fn stop_database_at(&mut self, begins: Begins, n: usize) {
        self.stop_at = Some((begins, n));
        self.n_without_database = usize::MAX;
    }

    /// Makes every token that was given out worthless.
    pub fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Creates a project in which these may do something.
    pub fn add_project(&mut self, name: &str, members: &[(&str, Role)]) -> &mut ProjectState {
        let born = self.tick();
        let members = members.iter();
        let members = members.map(|(name, role)| ((*name).to_owned(), *role));
        let project = ProjectState {
            born,
            members: members.collect(),
            ..ProjectState::default()
        };
        self.projects.entry(name.to_owned()).or_insert(project)
    }

    fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    fn login(&self, authorization: Option<&str>) -> Option<&Account> {
        let given = authorization?;
        let is_theirs = |account: &&Account| basic(&account.name, &account.password) == given;
        self.accounts.iter().find(is_theirs)
    }
}

/// What someone may do with the images of a project.
fn actions(user: Option<&Account>, project: &ProjectState) -> Vec<String> {
    let role = user.and_then(|user| project.members.get(&user.name));
    let is_admin = user.is_some_and(|user| user.kind == Kind::Admin);
    let actions: &[&str] = match role {
        _ if is_admin => &["delete", "pull", "push", "scanner-pull"],
        Some(Role::Maintainer) => &["delete", "pull", "push"],
        Some(Role::Developer) => &["pull", "push"],
        Some(Role::Guest) => &["pull"],
        None if project.public => &["pull"],
        None => &[],
    };
    actions.iter().map(|&action| action.to_owned()).collect()
}

#[derive(Debug)]
struct Shared {
    host: String,
    state: Mutex<HarborState>,
    seen: Mutex<Vec<Seen>>,
}

/// A running Harbor; it ends when it is dropped.
#[derive(Debug)]
pub struct Harbor {
    store: Store,
    shared: Arc<Shared>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _dir: tempfile::TempDir,
}

impl Harbor {
    /// Starts a Harbor with `admin` (password `Harbor12345`) and nothing else.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("hod-harbor-")
            .tempdir()
            .unwrap();
        let store = Store::create(dir.path()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            host: listener.local_addr().unwrap().to_string(),
            state: Mutex::default(),
            seen: Mutex::default(),
        });
        let options = ServeOptions {
            access: Access::PushAndDelete,
            durability: Durability::Deferred,
            reporter: Arc::new(Silent),
        };
        let router = hod_server::router(store.clone(), options).layer(
            axum::middleware::from_fn_with_state(Arc::clone(&shared), handle),
        );
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || run(listener, router, stopped));
        let harbor = Self {
            store,
            shared,
            running: Some((stop, thread)),
            _dir: dir,
        };
        harbor.add_account(Kind::Admin, "admin", "Harbor12345");
        harbor.state().header_len_max = HEADER_LEN_MAX;
        harbor
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// The backend's storage.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn state(&self) -> MutexGuard<'_, HarborState> {
        self.shared.state.lock().unwrap()
    }

    pub fn add_account(&self, kind: Kind, name: &str, password: &str) {
        self.state().accounts.push(Account {
            name: name.to_owned(),
            password: password.to_owned(),
            kind,
        });
    }

    /// The requests since this was last asked.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }
}

impl Drop for Harbor {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Neither fails unless the server failed, which the test has seen.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn error_body(code: &str, message: &str) -> String {
    json!({"errors": [{"code": code, "message": message}]}).to_string()
}

/// An error as Harbor sends them.
fn error(status: u16, code: &str, message: &str) -> Response {
    answer(status, error_body(code, message))
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().clone(),
        status: 0,
    };
    let mut response = match instead(&shared, &seen) {
        Some(response) => response,
        None if seen.path.starts_with("/v2/") => core::answer(&shared, &seen, request, next).await,
        None => {
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
            api::answer(&mut shared.state.lock().unwrap(), &seen, &body.unwrap())
        }
    };
    let headers = response.headers_mut();
    let id = {
        let mut state = shared.state.lock().unwrap();
        state.n_requests += 1;
        format!("req-{:08}", state.n_requests)
    };
    headers.insert("x-request-id", id.parse().unwrap());
    let sid = HeaderValue::from_static("sid=0123456789abcdef; Path=/; HttpOnly");
    headers.insert("set-cookie", sid);
    seen.status = response.status().as_u16();
    shared.seen.lock().unwrap().push(seen);
    response
}

/// The longest header line that nginx takes unless it is told otherwise.
const HEADER_LEN_MAX: usize = 8 * 1024;

/// What nginx answers to a request that does not fit into its buffers.
fn too_large(seen: &Seen, len_max: usize) -> Option<Response> {
    let page = |status: u16, title: &str| {
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>400 Bad \
             Request</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        let mut response = answer(status, page);
        let html = HeaderValue::from_static("text/html");
        response.headers_mut().insert("content-type", html);
        response
    };
    let query = seen.query.as_deref().unwrap_or_default();
    if seen.path.len() + query.len() + "GET ? HTTP/1.1".len() > len_max {
        return Some(page(414, "414 Request-URI Too Large"));
    }
    let is_long = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
        name.as_str().len() + ": ".len() + value.len() > len_max
    };
    let title = "400 Request Header Or Cookie Too Large";
    seen.headers.iter().any(is_long).then(|| page(400, title))
}

/// What stands before everything: nginx, sessions (facts.md 3), and what a test wants.
fn instead(shared: &Shared, seen: &Seen) -> Option<Response> {
    let mut state = shared.state.lock().unwrap();
    if let Some(response) = too_large(seen, state.header_len_max) {
        return Some(response);
    }
    let has_session = seen.header("cookie").is_some_and(|c| c.contains("sid="));
    let is_safe = matches!(seen.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if (has_session || state.proxy == Proxy::AddsCookie) && !is_safe {
        return Some(error(403, "FORBIDDEN", "CSRF token not found in request"));
    }
    if state.proxy == Proxy::HidesApi && seen.path.starts_with("/api/") {
        return Some(answer(404, "<html><h1>404 Not Found</h1></html>"));
    }
    if let Some((begins, n)) = state.stop_at {
        // Who has not logged in begins nothing.
        if seen.header("authorization").is_some() && begins(seen) {
            state.stop_at = None;
            state.n_without_database = n;
        }
    }
    if state.stop_at.is_none()
        && state.n_without_database > 0
        && let Some(response) = outage::answer(&shared.host, seen, state.n_without_database)
    {
        state.n_without_database -= 1;
        return Some(response);
    }
    let refusal = state.refusals.iter_mut().find(|refusal| {
        // Nobody gets past the challenge without a login.
        (seen.header("authorization").is_some() || !seen.path.starts_with("/v2/"))
            && (refusal.method == "*" || refusal.method == seen.method)
            && seen.path.contains(refusal.path)
            && refusal.n_left > 0
    })?;
    refusal.n_left -= 1;
    Some(answer(refusal.status, refusal.body.clone()))
}
