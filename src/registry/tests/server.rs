//! A registry for tests: scripted answers over real sockets, and a log of what was asked.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Client, ClientOptions, Credentials, LimitOptions, RegistriesConf, Repo};
use hod_report::{Recorder, Reporter};
use hod_retry::RetryPolicy;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET /v2/ HTTP/1.1` without the version.
    pub(crate) line: String,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The answer of the server: status line and headers verbatim, then the body.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    /// Number of bytes of the body sent before the connection is cut.
    cut_at: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut_at: None,
        }
    }

    pub(crate) fn header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn cut_at(mut self, len: usize) -> Self {
        self.cut_at = Some(len);
        self
    }
}

/// Answers on `127.0.0.1`; ends with the runtime of the test.
pub(crate) struct TestServer {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Request>>>,
}

impl TestServer {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, server_log) = (Arc::new(answer), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&server_log));
                tokio::spawn(async move {
                    let _ = serve(stream, &*answer, &log).await;
                });
            }
        });
        Self { port, log }
    }

    pub(crate) fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The requests as `GET /v2/`, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log().into_iter().map(|request| request.line).collect()
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn repo(&self, name: &str) -> Repo {
        Repo {
            registry: self.host().parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }
}

/// Answers any first bytes with `answer`, and closes the connection.
pub(crate) async fn start_raw(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    host
}

/// Refuses every request after its headers, but reads the body so that the client gets the answer.
pub(crate) async fn start_refusing(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 1024];
            let _ = stream.read(&mut buffer).await;
            let reply =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(reply.as_bytes()).await;
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        }
    });
    host
}

/// Takes connections, and nothing of what comes over them.
pub(crate) async fn start_silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    host
}

/// A client that tries three times without delay, and its reports.
pub(crate) fn client(config: &str) -> (Client, Arc<Recorder>) {
    client_with(config, LimitOptions::default(), Duration::ZERO)
}

/// The same, waiting for a host that is down for longer than its attempts take.
pub(crate) fn waiting_client(config: &str) -> (Client, Arc<Recorder>) {
    client_with(config, LimitOptions::default(), Duration::from_mins(1))
}

/// The same without logins, and without patience.
pub(crate) fn impatient_client() -> (Client, Arc<Recorder>) {
    let limits = LimitOptions {
        stall_timeout: Duration::from_millis(200),
        ..LimitOptions::default()
    };
    client_with("{}", limits, Duration::ZERO)
}

fn client_with(config: &str, limits: LimitOptions, outage: Duration) -> (Client, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let client = Client::new(ClientOptions {
        credentials: Credentials::parse_docker_config(config.as_bytes()).unwrap(),
        trust: crate::TrustOptions::default(),
        registries_conf: RegistriesConf::default(),
        plain_http: Vec::new(),
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(1),
            max: Duration::from_millis(2),
            outage,
        },
        limits,
        reporter: Arc::clone(&recorder) as Arc<dyn Reporter>,
        user_agent: "hod/test".to_owned(),
        purpose: crate::Purpose::Pull,
    })
    .unwrap();
    (client, recorder)
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read_request(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        let reply = answer(&request);
        let is_head = request.line.starts_with("HEAD ");
        log.lock().unwrap().push(request);
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        let has_len = reply
            .headers
            .iter()
            .any(|header| header.to_ascii_lowercase().starts_with("content-length:"));
        for header in &reply.headers {
            write!(head, "{header}\r\n").unwrap();
        }
        if !has_len {
            write!(head, "Content-Length: {}\r\n", reply.body.len()).unwrap();
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let len = reply.cut_at.unwrap_or(reply.body.len());
        if !is_head {
            stream.write_all(&reply.body[..len]).await?;
        }
        if reply.cut_at.is_some() {
            return Ok(());
        }
    }
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let head_len = loop {
        if let Some(at) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_len]).into_owned();
    let (line, rest) = head.split_once("\r\n").unwrap();
    let mut request = Request {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        head: rest.to_owned(),
        body: Vec::new(),
    };
    let len: usize = request
        .header("content-length")
        .map_or(0, |len| len.parse().unwrap());
    while buffer.len() < head_len + len {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer[head_len..head_len + len].to_vec();
    buffer.drain(..head_len + len);
    Ok(Some(request))
}
