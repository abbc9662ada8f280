//! Calls of an engine's API, in the newest version that both sides know.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hod_bridge::Chunks;
use hod_fsx::FileRange;
use hod_registry::{ClientPair, TlsLimits};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Body, Method, RequestBuilder, Response};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::address::{Address, Route};
use super::{loaded, refusal};
use crate::archive::{self, Spooled};
use crate::client::RegistryFlags;
use crate::failure::{Done, Failure};
use crate::name::DaemonImage;
use crate::wording;

/// The newest version of the API that this program knows.
const VERSION_MAX: Version = Version {
    major: 1,
    minor: 54,
};
/// The header in which an engine states the newest version that it knows.
const VERSION_HEADER: &str = "Api-Version";
/// The longest answer that is not an archive, in bytes.
const ANSWER_LEN_MAX: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// What rustls says of an answer that is not TLS.
const NOT_TLS: &str = "received corrupt message";
/// The longest file of certificates, in bytes.
const PEM_LEN_MAX: u64 = 4 * 1024 * 1024;

/// An engine that can be called.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    client: reqwest::Client,
    address: Address,
}

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl Engine {
    /// A client of the engine at `host`; nothing is sent. Blocks: certificates are read.
    pub(crate) fn open(host: Option<&str>, flags: &RegistryFlags) -> Done<Self> {
        let address = Address::parse(host)?;
        let during = |error: Failure| error.during("initializing docker engine client");
        TlsLimits::ensure();
        let builder = reqwest::Client::builder()
            .user_agent(flags.user_agent())
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_only()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none());
        let builder = if address.is_local() {
            builder.no_proxy()
        } else {
            builder
        };
        let builder = match &address.route {
            Route::Socket(path) => builder.unix_socket(path.as_path()).tls_certs_only([]),
            Route::Plain => builder.tls_certs_only([]),
            Route::Tls => with_certificates(builder, flags).map_err(during)?,
        };
        let client = builder.build();
        let client = client.map_err(|error| during(Failure::new(hod_report::chain(&error))))?;
        Ok(Self { client, address })
    }

    /// Has the engine save an image into a temporary file.
    pub(crate) async fn save(&self, image: &DaemonImage, tmpdir: Option<&Path>) -> Done<Spooled> {
        let during = |error: Failure| error.during("loading image from docker engine");
        let name = match image {
            DaemonImage::Id(id) => id.to_string(),
            DaemonImage::Named(named) => named.familiar(),
        };
        let call = format!("/images/get?names={}", escaped(&name));
        let request = self.request(Method::GET, &call).await.map_err(during)?;
        let answer = self.answer(request).await.map_err(during)?;
        let tmpdir = tmpdir.map(Path::to_owned);
        let spool = move |chunks: Chunks<reqwest::Error>| {
            archive::unpacked(Answer::of(chunks), Path::new(&name), tmpdir.as_deref())
        };
        hod_bridge::pipe_to_blocking(answer.bytes_stream(), spool).await
    }

    /// Has the engine load the archive at `path`.
    pub(crate) async fn load(&self, path: &Path) -> Done {
        let opened = {
            let path = path.to_owned();
            hod_bridge::run(move || {
                let file = Arc::new(hod_fsx::open(&path)?);
                let len = hod_fsx::len_of(&file, &path)?;
                Ok::<_, hod_fsx::Error>(FileRange {
                    file,
                    path,
                    offset: 0,
                    len,
                })
            })
        };
        let archive = opened.await.map_err(|error| wording::of_file(&error))?;
        let during = |error: Failure| error.during("starting a load operation in docker engine");
        let request = self.request(Method::POST, "/images/load?quiet=1").await;
        let request = request
            .map_err(during)?
            .header(CONTENT_TYPE, "application/x-tar")
            .body(Body::wrap_stream(hod_bridge::stream_file(archive)));
        let answer = self.answer(request).await.map_err(during)?;
        let bytes = read(answer)
            .await
            .map_err(|error| Failure::new(format!("parsing docker load progress: {error}")))?;
        loaded::check(&bytes)
    }

    /// A call in the version that both sides know.
    async fn request(&self, method: Method, call: &str) -> Done<RequestBuilder> {
        let Version { major, minor } = self.version().await?;
        let url = format!("{}/v{major}.{minor}{call}", self.address.base);
        Ok(self.client.request(method, url))
    }

    /// Asks the engine for the newest version that it knows; those that do not say know ours.
    async fn version(&self) -> Done<Version> {
        let url = format!("{}/_ping", self.address.base);
        let head = self.client.head(&url).send().await;
        let headers = match head {
            Ok(answer) if answer.status().is_success() => answer.headers().clone(),
            Err(error) if error.is_connect() => return Err(self.of_error(&error)),
            // Old engines know no HEAD here.
            _ => self.answer(self.client.get(&url)).await?.headers().clone(),
        };
        version_in(&headers)
    }

    /// Sends a call, and fails if it is refused.
    async fn answer(&self, request: RequestBuilder) -> Done<Response> {
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.of_error(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let url = answer.url().path().to_owned();
        let media_type = answer.headers().get(CONTENT_TYPE);
        let is_json = media_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"));
        let body = read(answer).await.unwrap_or_default();
        Err(refusal::of(status, is_json, &body, &url))
    }

    /// A call without an answer, in the words of Docker's client.
    fn of_error(&self, error: &reqwest::Error) -> Failure {
        let address = &self.address.text;
        let down = || {
            Failure::new(format!(
                "Cannot connect to the Docker daemon at {address}. Is the docker daemon running?"
            ))
        };
        if error.is_timeout() {
            return down();
        }
        match (io_kind(error), &self.address.route) {
            (Some(io::ErrorKind::ConnectionRefused), _) => down(),
            (Some(io::ErrorKind::PermissionDenied), _) => Failure::new(format!(
                "permission denied while trying to connect to the docker API at {address}"
            )),
            (Some(io::ErrorKind::NotFound), Route::Socket(path)) => Failure::new(format!(
                "failed to connect to the docker API at {address}; check if the path is correct \
                 and if the daemon is running: dial unix {}: connect: no such file or directory",
                path.display()
            )),
            (_, Route::Tls) if is_plain_answer(error) => Failure::new(format!(
                "error during connect: tls: first record does not look like a TLS handshake; an \
                 engine without TLS is http://{}",
                self.address.base.trim_start_matches("https://")
            )),
            _ => Failure::new(format!(
                "error during connect: {}",
                refused_handshake(error).map_or_else(|| chain(error), str::to_owned)
            )),
        }
    }
}

/// The certificates that the flags name: `ca.pem`, `cert.pem` and `key.pem`.
fn with_certificates(
    builder: reqwest::ClientBuilder,
    flags: &RegistryFlags,
) -> Done<reqwest::ClientBuilder> {
    let read =
        |path: &Path| hod_fsx::read(path, PEM_LEN_MAX).map_err(|error| wording::of_file(&error));
    let is_verified = flags.tls_verify != Some(false);
    let Some(dir) = &flags.cert_dir else {
        return Ok(builder.tls_danger_accept_invalid_certs(!is_verified));
    };
    let mut trusted = Vec::new();
    if is_verified {
        let path = dir.join("ca.pem");
        let shown = hod_gotext::quote(path.display().to_string());
        let pem = read(&path).map_err(|error| error.during(format!("reading CA file {shown}")))?;
        trusted = certificates(&pem);
        if trusted.is_empty() {
            return Err(Failure::new(format!("no certificate found in {shown}")));
        }
    }
    let with_pair = || {
        let mut pem = read(&dir.join("cert.pem"))?;
        pem.push(b'\n');
        pem.extend(read(&dir.join("key.pem"))?);
        with_pair(builder, &pem, is_verified.then_some(trusted))
            .ok_or_else(|| Failure::new("cert.pem and key.pem are not a certificate and its key"))
    };
    with_pair().map_err(|error: Failure| error.during("loading X509 key pair"))
}

/// Gives a client its own certificate, and the authorities that it trusts; without any, it trusts
/// every engine.
fn with_pair(
    builder: reqwest::ClientBuilder,
    pem: &[u8],
    trusted: Option<Vec<CertificateDer<'static>>>,
) -> Option<reqwest::ClientBuilder> {
    let Some(trusted) = trusted else {
        let identity = reqwest::Identity::from_pem(pem).ok()?;
        let builder = builder.tls_danger_accept_invalid_certs(true);
        return Some(builder.identity(identity));
    };
    let pair = ClientPair {
        chain: certificates(pem),
        key: PrivateKeyDer::from_pem_slice(pem).ok()?,
    };
    let config = hod_registry::tls_config(trusted, Some(pair)).ok()?;
    Some(builder.tls_backend_preconfigured(config))
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let found: Result<_, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.unwrap_or_default()
}

fn version_in(headers: &HeaderMap) -> Done<Version> {
    let Some(header) = headers.get(VERSION_HEADER) else {
        return Ok(VERSION_MAX);
    };
    let parsed = header.to_str().ok().and_then(Version::parse);
    parsed
        .map(|version| version.min(VERSION_MAX))
        .ok_or_else(|| Failure::new("must be formatted <major>.<minor>"))
}

/// Reads an answer that is not an archive.
async fn read(answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut pieces = answer.bytes_stream().map_err(|error| chain(&error)).boxed();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > ANSWER_LEN_MAX {
            return Err(format!("the answer is longer than {ANSWER_LEN_MAX} bytes"));
        }
    }
    Ok(bytes)
}

/// A name as a part of a query.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The causes of an error, without URLs: a socket has none that would tell anything.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    match causes.pop() {
        Some(last) => last,
        None => "the connection failed".to_owned(),
    }
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    let mut found = None;
    while let Some(cause) = source {
        found = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or(found);
        source = cause.source();
    }
    found
}

/// Whether the other side does not speak TLS.
fn is_plain_answer(error: &reqwest::Error) -> bool {
    chain(error).contains(NOT_TLS)
}

/// The refusal of a handshake, as Go names it.
fn refused_handshake(error: &reqwest::Error) -> Option<&'static str> {
    match chain(error).strip_prefix("received fatal alert: ")? {
        "ProtocolVersion" => Some("remote error: tls: protocol version not supported"),
        "HandshakeFailure" => Some("remote error: tls: handshake failure"),
        _ => None,
    }
}

/// The blocking end of an answer.
struct Answer {
    chunks: Chunks<reqwest::Error>,
    current: Bytes,
}

impl Answer {
    fn of(chunks: Chunks<reqwest::Error>) -> Self {
        Self {
            chunks,
            current: Bytes::new(),
        }
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.next() {
                Some(Ok(chunk)) => self.current = chunk,
                Some(Err(error)) => return Err(io::Error::other(chain(&error))),
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current[..n]);
        self.current.advance(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_of_both_versions_is_spoken() {
        #[track_caller]
        fn check(header: Option<&str>, expect: Option<(u16, u16)>) {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(VERSION_HEADER, header.parse().unwrap());
            }
            let version = version_in(&headers).ok();
            let expect = expect.map(|(major, minor)| Version { major, minor });
            assert_eq!(version, expect);
        }
        check(Some("1.41"), Some((1, 41)));
        check(Some("1.24"), Some((1, 24)));
        check(Some("1.99"), Some((1, 54)));
        check(None, Some((1, 54)));
        check(Some("latest"), None);
    }

    #[test]
    fn names_are_escaped_in_queries() {
        assert_eq!(escaped("a.b/c:1@sha256:0"), "a.b%2Fc%3A1%40sha256%3A0");
    }
}
