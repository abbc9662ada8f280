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
mod dispatch;
mod error;
mod fallback;
mod front;
mod lane;
mod listing;
mod logins;
mod manifests;
mod options;
mod origin;
mod range;
mod referrers;
mod reply;
mod route;
mod session;
mod startup_error;
mod state;
mod subjects;
mod tls;
mod uploads;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;

pub use self::access_log::AccessLog;
pub use self::content::{Content, ServedBundle};
pub use self::front::Front;
pub use self::logins::Logins;
pub use self::options::{Access, ServeOptions};
pub use self::origin::Hosts;
pub use self::startup_error::ServerError;
pub use self::tls::Tls;

use self::dispatch::respond;
use self::state::Server;

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
