//! `serve`: a store, or a bundle as it is, as a registry.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Catalog, Context, OpsError, base};
use crate::bundle::ReadOptions;
use crate::fsx::{self, Durability};
use crate::server::{self, Access, Content, ServedBundle};
use crate::store::{Store, StoreError};
use crate::transfer::Source;

/// What to serve, and where.
#[derive(Debug)]
pub struct ServeOptions {
    /// A store, or a bundle.
    pub source: PathBuf,
    pub listen: SocketAddr,
    pub access: Access,
}

/// Serves the source until `shutdown` completes; `on_ready` gets the address that was bound.
///
/// A store that may be written to is created when it does not exist. A bundle is never written to; what
/// is in it but configs and layers is verified before it is served, and those when they are sent. One
/// that counts on its target is refused: there is none here, and half of its images could be pulled.
pub async fn serve(
    cx: &Context,
    options: &ServeOptions,
    on_ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OpsError> {
    super::catalog::require_no_pipe(&options.source)?;
    let (access, reading) = (options.access, cx.reading.clone());
    let (content, made) = cx
        .open_store(&options.source, move |path| open(path, access, &reading))
        .await?;
    if matches!(content, Content::Bundle(_)) && access != Access::ReadOnly {
        cx.note("a bundle is served read-only: pushes are refused");
    }
    if made == Made::Now {
        let path = options.source.display();
        cx.note(&format!("created `{path}`, an empty store"));
    }
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
    server::serve(listener, content, options, shutdown).await?;
    Ok(())
}

/// Whether what is served existed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Before,
    Now,
}

/// Opens what is at `path`; a directory is a store, or becomes one when it may be written to.
fn open(path: &Path, access: Access, reading: &ReadOptions) -> Result<(Content, Made), OpsError> {
    if fsx::try_stat(path)?.is_some_and(|stat| stat.is_file) {
        let catalog = Catalog::open(path, reading)?;
        return match catalog.source() {
            Source::Bundle(bundle) => {
                bundle.require_complete()?;
                base::require_no_base(bundle.manifest(), path)?;
                let served = ServedBundle::new(Arc::clone(bundle))?;
                Ok((Content::Bundle(Arc::new(served)), Made::Before))
            }
            _ => Err(OpsError::WrongSource {
                verb: "serve",
                path: path.to_owned(),
                kind: catalog.kind(),
            }),
        };
    }
    if access == Access::ReadOnly {
        return Ok((Content::Store(Store::open(path)?), Made::Before));
    }
    let made = match Store::open(path) {
        Ok(_) => Made::Before,
        Err(StoreError::NotAStore { .. }) => Made::Now,
        Err(error) => return Err(error.into()),
    };
    Ok((Content::Store(Store::create(path)?), made))
}
