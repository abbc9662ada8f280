//! Bad weather: a proxy in front of a real registry that does to its traffic what networks do.
//!
//! It knows HTTP/1.1 as far as it must: heads, and bodies of a known length. What happens to which
//! request is data (`faults`), and each request is counted with the bytes of its bodies.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;

use super::faults::{Effect, Fault};

const PIECE_LEN: usize = 16 * 1024;
/// How often who waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// When a test that waits has failed.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running proxy; it takes no more connections when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    host: String,
    shared: Arc<Shared>,
}

/// A request that ended, one way or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub range: Option<String>,
    /// What the client was told; 0 when nothing.
    pub status: u16,
    /// The bytes of the request's body that came from the client.
    pub len_up: u64,
    /// The bytes of the answer's body that went to the client.
    pub len_down: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    faults: Mutex<Vec<Fault>>,
    passed: Mutex<Vec<Passed>>,
    n_stalled: AtomicUsize,
    /// Whether who stalls goes on.
    is_open: AtomicBool,
    is_over: AtomicBool,
}

impl FaultProxy {
    /// Starts a proxy in front of `upstream` (`127.0.0.1:<port>`).
    pub fn start(upstream: &str, faults: Vec<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            faults: Mutex::new(faults),
            passed: Mutex::default(),
            n_stalled: AtomicUsize::new(0),
            is_open: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if served.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&served);
                std::thread::spawn(move || {
                    // A connection that broke is what this is about.
                    let _ = serve(&shared, &client);
                });
            }
        });
        Self { host, shared }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Adds a fault to those it has.
    pub fn fail(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push(fault);
    }

    /// Ends all faults, also those under way.
    pub fn heal(&self) {
        self.shared.faults.lock().unwrap().clear();
        self.shared.is_open.store(true, Ordering::SeqCst);
    }

    /// The requests that ended so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// The requests that ended since this was last asked.
    pub fn take_passed(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.shared.passed.lock().unwrap())
    }

    /// Waits until so many answers or requests are held back in all.
    #[track_caller]
    pub fn wait_for_stalls(&self, n: usize) {
        wait_until(|| self.shared.n_stalled.load(Ordering::SeqCst) >= n);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.is_open.store(true, Ordering::SeqCst);
        // Wakes it; it may be gone already.
        let _ = TcpStream::connect(&self.host);
    }
}

/// Waits until something is true, but not for ever.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < WAIT_MAX, "waited in vain");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The head of a request or an answer.
#[derive(Debug, Clone)]
struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; `None` at the end of the connection.
    fn read(mut stream: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(None);
            }
            bytes.push(byte[0]);
        }
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        let mut lines = text.trim_end().split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Some(Self { first, headers }))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| key != name);
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    fn len(&self) -> Option<u64> {
        self.get("content-length")?.parse().ok()
    }

    fn bytes(&self) -> Vec<u8> {
        let headers = self.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        format!("{}\r\n{}\r\n\r\n", self.first, headers.join("\r\n")).into_bytes()
    }
}

/// Serves a connection until a fault, or one of its ends, ends it.
fn serve(shared: &Shared, client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    loop {
        let Some(head) = Head::read(client)? else {
            return Ok(());
        };
        let mut words = head.first.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let path = target.split('?').next().unwrap().to_owned();
        let mut exchange = Exchange {
            shared,
            client,
            effects: Vec::new(),
            passed: Passed {
                method: method.to_owned(),
                path,
                range: head.get("range").map(str::to_owned),
                status: 0,
                len_up: 0,
                len_down: 0,
            },
        };
        {
            let faults = shared.faults.lock().unwrap();
            let path = fault_path(target);
            let strikes = faults
                .iter()
                .filter_map(|fault| fault.strike(method, &path));
            exchange.effects = strikes.collect();
        }
        let result = exchange.run(head);
        shared.passed.lock().unwrap().push(exchange.passed);
        if result? == Next::Close {
            return client.shutdown(Shutdown::Both);
        }
    }
}

/// The path by which faults know a request: that of the end of an upload names the blob in the
/// place of the session, so that it is the same for each attempt.
fn fault_path(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let digest = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("digest="));
    match (path.split_once("/uploads/"), digest) {
        (Some((repository, _)), Some(digest)) => format!("{repository}/uploads/{digest}"),
        _ => path.to_owned(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

struct Exchange<'a> {
    shared: &'a Shared,
    client: &'a TcpStream,
    effects: Vec<Effect>,
    passed: Passed,
}

impl Exchange<'_> {
    fn run(&mut self, mut head: Head) -> io::Result<Next> {
        let len = head.len().unwrap_or(0);
        for effect in self.effects.clone() {
            match effect {
                Effect::HangUp => return Ok(Next::Close),
                Effect::IgnoreRange => head.remove("range"),
                Effect::Status(status) => return self.answer(len, status, ("", "")),
                Effect::RetryAfter(status, after) => {
                    let header = format!("Retry-After: {after}\r\n");
                    return self.answer(len, status, (&header, ""));
                }
                Effect::Page(status, page) => {
                    return self.answer(len, status, ("Content-Type: text/html\r\n", page));
                }
                Effect::Answer(status, headers, body) => {
                    return self.answer(len, status, (&headers, &body));
                }
                _ => {}
            }
        }
        let upstream = TcpStream::connect(&self.shared.upstream)?;
        upstream.set_nodelay(true)?;
        head.set("connection", "close");
        (&upstream).write_all(&head.bytes())?;
        if self.send_up(&upstream, len)? == Next::Close {
            return Ok(Next::Close);
        }
        let Some(answer) = Head::read(&upstream)? else {
            return Ok(Next::Close);
        };
        self.send_down(&upstream, answer)
    }

    /// Answers in the registry's place, after the request's body.
    fn answer(&mut self, len: u64, status: u16, what: (&str, &str)) -> io::Result<Next> {
        let (headers, body) = what;
        io::copy(&mut self.client.take(len), &mut io::sink())?;
        self.passed.status = status;
        let is_head = self.passed.method == "HEAD";
        let head = format!(
            "HTTP/1.1 {status} Weather\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut client = self.client;
        client.write_all(head.as_bytes())?;
        if !is_head {
            client.write_all(body.as_bytes())?;
        }
        Ok(Next::Request)
    }

    fn send_up(&mut self, mut upstream: &TcpStream, len: u64) -> io::Result<Next> {
        let cut = self.effects.iter().find_map(|effect| match effect {
            Effect::CutRequest(n) | Effect::ResetRequest(n) => Some(*n as u64),
            _ => None,
        });
        let mut buffer = vec![0; PIECE_LEN];
        while self.passed.len_up < len {
            let left = len.min(cut.unwrap_or(len)) - self.passed.len_up;
            if left == 0 {
                break;
            }
            let want = buffer.len().min(usize::try_from(left).unwrap());
            let n = (&mut &*self.client).read(&mut buffer[..want])?;
            if n == 0 {
                return Ok(Next::Close);
            }
            if self.passed.len_up == 0 && self.effects.contains(&Effect::FlipRequestByte) {
                buffer[0] ^= 1;
            }
            self.passed.len_up += n as u64;
            upstream.write_all(&buffer[..n])?;
        }
        if self.passed.len_up == len {
            return Ok(Next::Request);
        }
        let is_reset = |effect: &Effect| matches!(effect, Effect::ResetRequest(_));
        if self.effects.iter().any(is_reset) {
            self.reset()?;
        }
        Ok(Next::Close)
    }

    fn send_down(&mut self, mut upstream: &TcpStream, mut head: Head) -> io::Result<Next> {
        let status = head
            .first
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok());
        let status = status.unwrap_or(0);
        let is_bodiless = self.passed.method == "HEAD" || matches!(status, 204 | 304);
        let len = if is_bodiless { Some(0) } else { head.len() };
        head.remove("connection");
        let (mut end, mut is_short) = (None, false);
        for effect in self.effects.clone() {
            match effect {
                Effect::DoneButHangUp => return Ok(Next::Close),
                Effect::NoHeader(name) => head.remove(name),
                Effect::Header(name, value) => head.set(name, value),
                Effect::ShortBody(n) => {
                    let short = len.map_or(n as u64, |len| len.min(n as u64));
                    head.set("content-length", short.to_string());
                    (end, is_short) = (Some(short), true);
                }
                Effect::CutBody(n) | Effect::ResetBody(n) | Effect::StallBody(n) => {
                    end = Some(n as u64);
                }
                _ => {}
            }
        }
        self.passed.status = status;
        let stalls = |effect: &Effect| matches!(effect, Effect::StallBody(_));
        if end == Some(0) && self.effects.iter().any(stalls) && !self.hold() {
            return Ok(Next::Close);
        }
        let mut client = self.client;
        client.write_all(&head.bytes())?;
        let mut buffer = vec![0; PIECE_LEN];
        loop {
            let left = len.unwrap_or(u64::MAX) - self.passed.len_down;
            if left == 0 {
                return Ok(Next::Request);
            }
            let until_end = end.map_or(u64::MAX, |end| end.saturating_sub(self.passed.len_down));
            if until_end == 0 && end.is_some() {
                if is_short {
                    return Ok(Next::Request);
                }
                if self.effects.iter().any(stalls) && self.hold() {
                    end = None;
                    continue;
                }
                let is_reset = |effect: &Effect| matches!(effect, Effect::ResetBody(_));
                if self.effects.iter().any(is_reset) {
                    self.reset()?;
                }
                return Ok(Next::Close);
            }
            let want = left.min(until_end).min(buffer.len() as u64);
            let n = upstream.read(&mut buffer[..usize::try_from(want).unwrap()])?;
            if n == 0 {
                return Ok(Next::Close);
            }
            if self.passed.len_down == 0 && self.effects.contains(&Effect::FlipByte) {
                buffer[0] ^= 1;
            }
            client.write_all(&buffer[..n])?;
            self.passed.len_down += n as u64;
        }
    }

    /// Says nothing until the client is gone, or the test lets it go on (true).
    fn hold(&self) -> bool {
        self.shared.n_stalled.fetch_add(1, Ordering::SeqCst);
        if self.client.set_nonblocking(true).is_err() {
            return false;
        }
        let is_open = loop {
            if self.shared.is_open.load(Ordering::SeqCst) {
                break true;
            }
            match self.client.peek(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(LOOK_EVERY);
                }
                Ok(0) | Err(_) => break false,
                Ok(_) => std::thread::sleep(LOOK_EVERY),
            }
        };
        is_open && self.client.set_nonblocking(false).is_ok()
    }

    /// Has the connection end with a reset instead of an end.
    fn reset(&self) -> io::Result<()> {
        let linger = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        Ok(setsockopt(self.client, Linger, &linger)?)
    }
}
