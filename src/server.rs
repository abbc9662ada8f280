//! The OCI distribution API (distribution-spec 1.1) over a store, or over a bundle that is only read:
//! a registry in one process.
//!
//! Pull, push in one piece or in chunks, mount, tags, referrers, catalog, deletion. Blobs stream both
//! ways in bounded memory; every pushed byte is hashed before it is published.

mod blobs;
mod conditions;
mod content;
mod error;
mod fallback;
mod listing;
mod manifests;
mod range;
mod referrers;
mod reply;
mod route;
mod session;
mod uploads;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::fsx::Durability;
use crate::hint::Hint;
use crate::report::{Event, Reporter};
use crate::store::Store;

pub use self::content::{Content, ServedBundle};

use self::error::{ApiError, Code};
use self::fallback::Fallback;
use self::referrers::Subjects;
use self::reply::Parameters;
use self::route::Route;
use self::session::Sessions;

/// How long requests may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

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

/// How to serve.
#[derive(Clone)]
pub struct ServeOptions {
    pub access: Access,
    /// What must be on the disk when a push is answered.
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

/// Why serving ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("failed to accept connections")]
    Accept(#[source] std::io::Error),
}

impl Hint for ServerError {
    fn hint(&self) -> Option<String> {
        None
    }
}

/// What all requests share.
#[derive(Debug)]
struct Server {
    content: Content,
    options: ServeOptions,
    sessions: Sessions,
    subjects: Subjects,
    fallback: Fallback,
}

impl Server {
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

/// Serves a store or a bundle on `listener` until `shutdown` is ready.
///
/// Then no connection is accepted, and requests that are going on have ten seconds to end. Open
/// upload sessions are lost; what was answered with 201 is kept.
pub async fn serve(
    listener: TcpListener,
    content: impl Into<Content>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let listener = listener.tap_io(|connection| {
        // Only speed depends on it.
        let _ = connection.set_nodelay(true);
    });
    let serving = axum::serve(listener, router(content, options))
        .with_graceful_shutdown(async move {
            shutdown.await;
            let _ = stopping.send(());
        })
        .into_future();
    let deadline = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(GRACE).await,
            // Serving ended by itself, which the other branch tells.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = serving => result.map_err(ServerError::Accept),
        () = deadline => Ok(()),
    }
}

/// Makes the API as a router, to be served or wrapped by the caller.
///
/// A bundle is read-only whatever the options say.
pub fn router(content: impl Into<Content>, options: ServeOptions) -> Router {
    let server = Arc::new(Server {
        content: content.into(),
        options,
        sessions: Sessions::default(),
        subjects: Subjects::default(),
        fallback: Fallback::default(),
    });
    Router::new().fallback(dispatch).with_state(server)
}

async fn dispatch(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match answer(&server, &parts, body).await {
        Ok(response) => response,
        Err(error) => {
            if let Some(cause) = error.cause() {
                let text = format!("{} {}: {cause}", parts.method, parts.uri.path());
                server
                    .options
                    .reporter
                    .event(Event::Warning { text: &text });
            }
            error.into_response()
        }
    };
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
            manifests::put(server, (name, target), headers, body).await
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
