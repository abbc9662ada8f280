//! `serve`: a store as a registry.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Context, OpsError};
use crate::bridge;
use crate::fsx::Durability;
use crate::server::{self, Access};
use crate::store::Store;

/// What to serve, and where.
#[derive(Debug)]
pub struct ServeOptions {
    pub store: PathBuf,
    pub listen: SocketAddr,
    pub access: Access,
}

/// Serves the store until `shutdown` completes; `on_ready` gets the address that was bound.
///
/// A store that may be written to is created when it is missing.
pub async fn serve(
    cx: &Context,
    options: &ServeOptions,
    on_ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OpsError> {
    let (path, access) = (options.store.clone(), options.access);
    let store = bridge::run(move || match access {
        Access::ReadOnly => Store::open(&path),
        Access::ReadWrite => Store::create(&path),
    })
    .await?;
    if !options.listen.ip().is_loopback() {
        cx.warn(&format!(
            "{} can be reached from other machines, without encryption or passwords",
            options.listen
        ));
    }
    let bind = |source| OpsError::Bind {
        address: options.listen,
        source,
    };
    let listener = TcpListener::bind(options.listen).await.map_err(bind)?;
    on_ready(listener.local_addr().map_err(bind)?);
    let options = server::ServeOptions {
        access,
        durability: Durability::Synced,
        reporter: Arc::clone(&cx.reporter),
    };
    server::serve(listener, store, options, shutdown).await?;
    Ok(())
}
