//! `serve`: a store, or a bundle as it is, as a registry.

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::net::TcpListener;

use super::{Catalog, Context, OpsError, Verb, base};
use hod_bundle::ReadOptions;
use hod_fsx::Durability;
use hod_report::{Diagnose as _, ErrorClass};
use hod_server::{Access, AccessLog, Content, Front, Hosts, Logins, ServedBundle, Serving, Tls};
use hod_store::{Store, StoreError};

/// More connections than any site's machines make, and few enough for the memory of a small one.
const CONNECTIONS_MAX: usize = 8192;
/// Number of open files reserved for purposes other than connections.
const OPEN_FILES_KEPT: u64 = 64;

/// The content to serve, the address, and who has access.
pub struct ServeOptions {
    /// A store, or a bundle.
    pub source: PathBuf,
    pub listen: SocketAddr,
    pub access: Access,
    /// A certificate and its key, in PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The users who may come in.
    pub htpasswd: Option<PathBuf>,
    /// Further names that clients on this machine use for it.
    pub allow_hosts: Vec<String>,
    pub exposure: Exposure,
    pub access_log: Option<Arc<dyn AccessLog>>,
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("source", &self.source)
            .field("listen", &self.listen)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// Whether other machines may push without encryption and passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    Refused,
    Accepted,
}

/// Serves the source until `shutdown` completes; `on_ready` gets the URL to reach it at.
///
/// A store that may be written to is created when it does not exist; one that other machines may
/// write to without encryption and passwords is refused, and so are pushes to a bundle. What is in it
/// but configs and layers is verified before it is served, and those when they are sent. A delta is
/// refused: half of its images could not be pulled.
pub fn serve<'a>(
    cx: &'a Context,
    options: &'a ServeOptions,
    on_ready: impl FnOnce(&str) + 'a,
    shutdown: impl Future<Output = ()> + 'a,
) -> Verb<'a, ()> {
    let (on_ready, shutdown) = (Box::new(on_ready), Box::pin(shutdown));
    Box::pin(run(cx, options, on_ready, shutdown))
}

async fn run(
    cx: &Context,
    options: &ServeOptions,
    on_ready: Box<dyn FnOnce(&str) + '_>,
    shutdown: LocalBoxFuture<'_, ()>,
) -> Result<(), OpsError> {
    super::catalog::require_no_pipe(&options.source)?;
    check_exposure(cx, options)?;
    let (tls_files, htpasswd) = (options.tls.clone(), options.htpasswd.clone());
    let (tls, logins) = hod_bridge::run(move || {
        let tls = tls_files.map(|(certificate, key)| Tls::open(&certificate, &key));
        let logins = htpasswd.map(|path| Logins::open(&path).map(Arc::new));
        Ok::<_, OpsError>((tls.transpose()?, logins.transpose()?))
    })
    .await?;
    let (access, reading) = (options.access, cx.reading.clone());
    let (content, made) = cx
        .open_store(&options.source, move |path| open(path, access, &reading))
        .await?;
    if made == Made::Now {
        let path = options.source.display();
        cx.note(&format!("created `{path}`, an empty store"));
    }
    let (listener, address) = bind(options.listen).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    on_ready(&format!("{scheme}://{address}"));
    let hosts = if options.listen.ip().is_loopback() {
        Hosts::Loopback(options.allow_hosts.clone())
    } else {
        Hosts::Any
    };
    let serving = Serving {
        content,
        options: hod_server::ServeOptions {
            access,
            durability: Durability::Synced,
            reporter: Arc::clone(&cx.reporter),
        },
        front: Front {
            tls,
            logins,
            hosts,
            log: options.access_log.clone(),
            connections_max: connections_max(hod_fsx::raise_open_files_max()),
        },
    };
    hod_server::serve(listener, serving, shutdown).await;
    Ok(())
}

/// Refuses unprotected writes from other machines, and warns of unprotected reads.
fn check_exposure(cx: &Context, options: &ServeOptions) -> Result<(), OpsError> {
    let address = options.listen;
    let lacking = match (&options.tls, &options.htpasswd) {
        (Some(_), Some(_)) => return Ok(()),
        (None, Some(_)) => "encryption",
        (Some(_), None) => "passwords",
        (None, None) => "encryption or passwords",
    };
    if address.ip().is_loopback() {
        return Ok(());
    }
    let is_file = hod_fsx::try_stat(&options.source)?.is_some_and(|stat| stat.is_file);
    // A file is refused as read-only.
    if options.access != Access::ReadOnly && !is_file && options.exposure == Exposure::Refused {
        return Err(OpsError::Exposed { address, lacking });
    }
    cx.warn(&format!(
        "other machines can reach {address} without {lacking}"
    ));
    Ok(())
}

/// Binds a port of all IPv4 interfaces if there is no IPv6.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), OpsError> {
    let failed = |source| OpsError::Bind { address, source };
    let listener = match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Maximum number of open connections: each may hold an additional file, and other parts need some,
/// too.
fn connections_max(open_files_max: u64) -> usize {
    let n = open_files_max.saturating_sub(OPEN_FILES_KEPT) / 2;
    usize::try_from(n).map_or(CONNECTIONS_MAX, |n| n.clamp(1, CONNECTIONS_MAX))
}

/// Whether the store existed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Before,
    Now,
}

/// Opens `path`; a directory is a store, or becomes one if it is writable.
fn open(path: &Path, access: Access, reading: &ReadOptions) -> Result<(Content, Made), OpsError> {
    let stat = hod_fsx::try_stat(path)?;
    if stat.is_none() && access == Access::ReadOnly {
        return Err(OpsError::NoSource {
            path: path.to_owned(),
        });
    }
    if stat.is_some_and(|stat| stat.is_file) {
        if access != Access::ReadOnly {
            return Err(OpsError::ReadOnlyBundle {
                path: path.to_owned(),
            });
        }
        let catalog = Catalog::open(path, reading)?;
        return match catalog.source().as_bundle() {
            Some(bundle) => {
                bundle.require_complete()?;
                base::require_no_base(bundle.manifest(), path)?;
                let served = ServedBundle::new(Arc::clone(bundle))?;
                Ok((Content::Bundle(Arc::new(served)), Made::Before))
            }
            None => Err(OpsError::WrongSource {
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
    match Store::create(path) {
        Ok(store) => Ok((Content::Store(store), made)),
        Err(source) if made == Made::Before && source.diagnose().class == ErrorClass::File => {
            Err(OpsError::NotWritable {
                path: path.to_owned(),
                source,
            })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_all_else() {
        for (open_files_max, expect) in [
            (0, 1),
            (100, 18),
            (1024, 480),
            (524_288, CONNECTIONS_MAX),
            (u64::MAX, CONNECTIONS_MAX),
        ] {
            assert_eq!(connections_max(open_files_max), expect, "{open_files_max}");
        }
    }
}
