//! The OCI distribution API (distribution-spec 1.1) over a store, or over a bundle that is only read:
//! a registry in one process.
//!
//! Pull, push in one piece or in chunks, mount, tags, referrers, catalog, deletion. Blobs stream both
//! ways in bounded memory; every pushed byte is hashed before it is published.

mod access_log;
mod blobs;
mod bodies;
mod conditions;
mod connections;
mod content;
mod error;
mod fallback;
mod front;
mod lane;
mod listing;
mod logins;
mod manifests;
mod origin;
mod range;
mod referrers;
mod reply;
mod route;
mod session;
mod tls;
mod uploads;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tokio::net::TcpListener;

use hod_fsx::Durability;
use hod_report::Hint;
use hod_report::{Event, Reporter};
use hod_store::Store;

pub use self::access_log::AccessLog;
pub use self::content::{Content, ServedBundle};
pub use self::front::Front;
pub use self::logins::Logins;
pub use self::origin::Hosts;
pub use self::tls::Tls;

use self::error::{ApiError, Code};
use self::fallback::Fallback;
use self::lane::Lane;
use self::referrers::Subjects;
use self::reply::Parameters;
use self::route::Route;
use self::session::Sessions;

/// What clients may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Pull.
    ReadOnly,
    /// Pull and push; requires a store that was created, not only opened.
    Push,
    /// Pull, push and delete; requires the same.
    PushAndDelete,
}

/// Options for serving.
#[derive(Clone)]
pub struct ServeOptions {
    pub access: Access,
    /// How much of a push is synced before it is answered.
    pub durability: Durability,
    /// Learns, as warnings, of what failed on the server's side.
    pub reporter: Arc<dyn Reporter>,
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("access", &self.access)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// Why a server cannot be started as requested.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    File(hod_fsx::Error),
    #[error("`{}` has no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("`{}` has no private key in PEM form", path.display())]
    NoKey { path: PathBuf },
    #[error("certificate `{}` and key `{}` cannot be used together", certificate.display(), key.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    #[error("`{}` has no user", path.display())]
    NoLogins { path: PathBuf },
    #[error("line {line} of `{}` is not a login: {reason}", path.display())]
    BadLogin {
        path: PathBuf,
        line: usize,
        reason: &'static str,
    },
}

impl Hint for ServerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoCertificate { .. } | Self::NoKey { .. } | Self::Pair { .. } => Some(
                "Give `--tls-cert` the server's certificate, followed by those of its issuers, and \
                 `--tls-key` its private key without a password."
                    .to_owned(),
            ),
            Self::NoLogins { .. } | Self::BadLogin { .. } => {
                Some("Add a user with `htpasswd -B FILE USER`.".to_owned())
            }
        }
    }
}

/// The state that all requests share.
#[derive(Debug)]
struct Server {
    content: Content,
    options: ServeOptions,
    sessions: Sessions,
    subjects: Subjects,
    fallback: Fallback,
    transfers: Lane,
}

impl Server {
    fn new(content: Content, options: ServeOptions) -> Self {
        Self {
            content,
            options,
            sessions: Sessions::default(),
            subjects: Subjects::default(),
            fallback: Fallback::default(),
            transfers: Lane::default(),
        }
    }

    /// Returns the store to write to.
    fn store(&self) -> Result<&Store, ApiError> {
        match (&self.content, self.options.access) {
            (Content::Store(store), Access::Push | Access::PushAndDelete) => Ok(store),
            (Content::Store(_), Access::ReadOnly) => Err(ApiError::new(
                Code::Unsupported,
                "this registry is read-only: it was started without `--writable`",
            )),
            (Content::Bundle(_), _) => Err(ApiError::new(
                Code::Unsupported,
                "this registry is read-only: it serves a bundle",
            )),
        }
    }

    /// Returns the store to delete from.
    fn store_to_delete_from(&self) -> Result<&Store, ApiError> {
        match self.options.access {
            Access::Push => Err(ApiError::new(
                Code::Unsupported,
                "this registry deletes nothing: it was started without `--allow-delete`",
            )),
            Access::ReadOnly | Access::PushAndDelete => self.store(),
        }
    }
}

/// The content and the options of a server.
#[derive(Debug)]
pub struct Serving {
    pub content: Content,
    pub options: ServeOptions,
    pub front: Front,
}

/// Serves on `listener` until `shutdown` is ready.
///
/// Then no connection is accepted, and running requests have ten seconds to finish. Open upload
/// sessions are lost; everything answered with 201 is kept.
pub async fn serve(listener: TcpListener, serving: Serving, shutdown: impl Future<Output = ()>) {
    let server = Arc::new(Server::new(serving.content, serving.options));
    front::run(listener, server, serving.front, shutdown).await;
}

/// Makes the API as a router, to be served or wrapped by the caller.
///
/// A bundle is always read-only.
pub fn router(content: impl Into<Content>, options: ServeOptions) -> Router {
    let server = Arc::new(Server::new(content.into(), options));
    Router::new().fallback(dispatch).with_state(server)
}

async fn dispatch(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    respond(&server, &parts, Ok(body)).await
}

/// Answers a request, or says why it was not admitted.
async fn respond(
    server: &Arc<Server>,
    parts: &Parts,
    admitted: Result<Body, ApiError>,
) -> Response {
    let answered = match admitted {
        Ok(body) => answer(server, parts, body).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| {
        if let Some(cause) = error.cause() {
            let text = format!("{} {}: {cause}", parts.method, parts.uri.path());
            server
                .options
                .reporter
                .event(Event::Warning { text: &text });
        }
        error.into_response()
    });
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

async fn answer(server: &Arc<Server>, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let (method, headers) = (&parts.method, &parts.headers);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let route = Route::parse(parts.uri.path());
    if !reads {
        server.store().map_err(|error| match &route {
            Ok(route) => with_allow(error, route, Access::ReadOnly),
            Err(_) => error,
        })?;
    }
    let parameters = Parameters::of(&parts.uri)?;
    let route = route?;
    let not_allowed = |error: ApiError| with_allow(error, &route, server.options.access);
    if *method == Method::DELETE && !matches!(route, Route::Upload(..)) {
        server.store_to_delete_from().map_err(not_allowed)?;
    }
    match (route.clone(), method) {
        (Route::Base, _) if reads => Ok(reply::json(&serde_json::json!({}))),
        (Route::Catalog, _) if reads => listing::catalog(server, &parameters).await,
        (Route::Tags(name), _) if reads => listing::tags(server, name, &parameters).await,
        (Route::Referrers(name, subject), _) if reads => {
            referrers::list(server, (name, subject), &parameters).await
        }
        (Route::Manifest(name, target), _) if reads => {
            manifests::get(server, (name, target), method, headers).await
        }
        (Route::Manifest(name, target), &Method::PUT) => {
            manifests::put(server, (name, target), (&parameters, headers), body).await
        }
        (Route::Manifest(name, target), &Method::DELETE) => {
            manifests::delete(server, name, target).await
        }
        (Route::Blob(name, digest), _) if reads => {
            blobs::get(server, (name, digest), method, headers).await
        }
        (Route::Blob(name, digest), &Method::DELETE) => blobs::delete(server, name, digest).await,
        (Route::Uploads(name), &Method::POST) => {
            uploads::start(server, name, &parameters, body).await
        }
        (Route::Upload(name, id), _) => {
            let session = server.sessions.find(&name, &id)?;
            match *method {
                Method::GET => uploads::status(&session).await,
                Method::PATCH => uploads::append(server, &session, headers, body).await,
                Method::PUT => {
                    uploads::finish(server, &session, (&parameters, headers), body).await
                }
                Method::DELETE => uploads::cancel(server, &session).await,
                _ => Err(not_allowed(unsupported(method))),
            }
        }
        _ => Err(not_allowed(unsupported(method))),
    }
}

/// Adds the `Allow` that a 405 must have.
fn with_allow(error: ApiError, route: &Route, access: Access) -> ApiError {
    error.with_header(header::ALLOW, reply::ascii(route.allowed(access)))
}

fn unsupported(method: &Method) -> ApiError {
    ApiError::new(Code::Unsupported, format!("{method} is not supported here"))
}
