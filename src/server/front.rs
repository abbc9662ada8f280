//! The server in front of the API: connections, encryption, logins, and checks of hosts and
//! origins.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::request::Parts;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access_log::{AccessLog, Record};
use super::bodies::{Answered, Received};
use super::connections::{Activity, Connection, Connections, Watched};
use super::dispatch::respond;
use super::error::ApiError;
use super::logins::Logins;
use super::origin::{Hosts, check_host, check_origin};
use super::state::Server;
use super::tls::Tls;

/// Maximum time that requests may continue after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Maximum time for the headers of a request, and for an idle connection.
const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// Maximum time for a TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(20);
/// Maximum number of bytes of a request or an answer buffered for a connection.
const BUFFER_LEN_MAX: usize = 128 * 1024;
/// Delay after the system refused a connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// Interval of the search for idle connections if the maximum is reached.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// The layer between the network and the API.
#[derive(Clone)]
pub struct Front {
    /// Plain HTTP without.
    pub tls: Option<Tls>,
    /// The users with access; without it, everyone has access.
    pub logins: Option<Arc<Logins>>,
    pub hosts: Hosts,
    pub log: Option<Arc<dyn AccessLog>>,
    /// Maximum number of open connections.
    pub connections_max: usize,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            tls: None,
            logins: None,
            hosts: Hosts::Any,
            log: None,
            connections_max: 1024,
        }
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("hosts", &self.hosts)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// The state that all connections share.
struct Door {
    server: Arc<Server>,
    front: Front,
    /// True once the server is to stop.
    stopping: watch::Receiver<bool>,
}

/// Accepts connections until `shutdown` is ready; running requests then have [`GRACE`] to finish.
pub(super) async fn run(
    listener: TcpListener,
    server: Arc<Server>,
    front: Front,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let connections_max = front.connections_max.max(1);
    let door = Arc::new(Door {
        server,
        front,
        stopping,
    });
    let connections = Arc::new(Connections::default());
    let mut tasks = JoinSet::new();
    let accepting = async {
        for id in 0.. {
            let (stream, remote) = accept(&listener, &connections).await;
            while tasks.try_join_next().is_some() {}
            while tasks.len() >= connections_max {
                let has_shed = connections.shed();
                let pause = if has_shed { GRACE } else { FULL_PAUSE };
                let _ = tokio::time::timeout(pause, tasks.join_next()).await;
            }
            // Only speed depends on it.
            let _ = stream.set_nodelay(true);
            let connection = connections.open(id);
            tasks.spawn(Arc::clone(&door).serve(stream, remote, connection));
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    let _ = stop.send(true);
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all_ended).await;
}

/// Accepts the next connection, despite errors of others.
async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, SocketAddr) {
    loop {
        if let Ok(accepted) = listener.accept().await {
            return accepted;
        }
        // Most likely no file descriptors are left: closing an idle connection frees one.
        connections.shed();
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
}

impl Door {
    /// Serves one connection to its end.
    async fn serve(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, connection: Connection) {
        let activity = Arc::clone(&connection.activity);
        let stream = Watched::new(stream, Arc::clone(&activity));
        let serving = async {
            match &self.front.tls {
                None => self.talk(stream, remote, &activity).await,
                Some(Tls(acceptor)) => {
                    let greeting = acceptor.accept(stream);
                    let greeted = tokio::time::timeout(HANDSHAKE_TIME_MAX, greeting).await;
                    if let Ok(Ok(stream)) = greeted {
                        self.talk(stream, remote, &activity).await;
                    }
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = activity.must_go() => {}
        }
    }

    /// Speaks HTTP until the connection ends, or, when the server is to stop, its request.
    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        remote: SocketAddr,
        activity: &Arc<Activity>,
    ) {
        let service = service_fn(async |request: hyper::Request<Incoming>| {
            Ok::<_, Infallible>(self.answer(request, remote, activity).await)
        });
        let mut stopping = self.stopping.clone();
        let talking = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_buf_size(BUFFER_LEN_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut talking = std::pin::pin!(talking);
        tokio::select! {
            // A client that disconnected is not a failure of the server.
            _ = talking.as_mut() => return,
            _ = stopping.wait_for(|stops| *stops) => {}
        }
        talking.as_mut().graceful_shutdown();
        let _ = talking.await;
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        remote: SocketAddr,
        activity: &Arc<Activity>,
    ) -> Response<Answered> {
        let in_flight = activity.begin();
        let (parts, body) = request.into_parts();
        let log = self.front.log.as_ref();
        let mut record = log.map(|log| Record::new(log, remote, &parts));
        let body = Received::new(body);
        let unread = body.unread();
        let (user, admitted) = match self.admit(&parts).await {
            Ok(user) => (user, Ok(Body::new(body))),
            Err(error) => (None, Err(error)),
        };
        let mut response = respond(&self.server, &parts, admitted).await;
        if unread.is_too_much() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Some(record) = &mut record {
            record.answered(user, response.status().as_u16());
        }
        response.map(|body| Answered::new(body, record, in_flight))
    }

    /// Returns the user who sends a request that may be answered.
    async fn admit(&self, parts: &Parts) -> Result<Option<String>, ApiError> {
        check_host(parts.version, &parts.headers)?;
        self.front.hosts.check(&parts.uri, &parts.headers)?;
        check_origin(&parts.method, &parts.uri, &parts.headers)?;
        match &self.front.logins {
            Some(logins) => logins.user(&parts.headers).await.map(Some),
            None => Ok(None),
        }
    }
}
