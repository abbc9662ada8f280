//! A server that says whatever a test wants it to say, right or wrong.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// An answer, spelt out.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// `None` where the end of the connection is the end of the body.
    len: Option<u64>,
    is_endless: bool,
    /// Between one byte and the next.
    pause: Option<Duration>,
}

type Script = dyn Fn(&str, &str) -> Option<Reply> + Send + Sync;

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Puppet {
    host: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    n_sent: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

impl Reply {
    /// Status 200 and this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: Vec::new(),
            len: Some(body.len() as u64),
            body,
            is_endless: false,
            pause: None,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says nothing of the length.
    pub fn of_no_length(mut self) -> Self {
        self.len = None;
        self
    }

    /// Repeats the body, a byte now and then, for as long as anybody listens.
    pub fn dripping(self) -> Self {
        Self {
            pause: Some(Duration::from_millis(100)),
            ..self.endless()
        }
    }

    /// Repeats the body for as long as anybody listens, and says nothing of its length.
    pub fn endless(mut self) -> Self {
        self.is_endless = true;
        self.of_no_length()
    }
}

impl Puppet {
    /// Starts a server that answers method and target as `script` says, and else with 404.
    pub fn start(script: impl Fn(&str, &str) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let script: Arc<Script> = Arc::new(script);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if of_thread.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (script, shared) = (Arc::clone(&script), Arc::clone(&of_thread));
                std::thread::spawn(move || {
                    // A client that hangs up has heard enough.
                    let _ = answer(connection.unwrap(), &*script, &shared);
                });
            }
        });
        Self {
            host,
            shared,
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The methods and targets of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many bytes of endless bodies were sent so far.
    pub fn n_sent(&self) -> usize {
        self.shared.n_sent.load(Ordering::SeqCst)
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(&self.host);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a client of TLS begins with.
const TLS_HANDSHAKE: [u8; 1] = [0x16];

fn answer(mut connection: TcpStream, script: &Script, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head == TLS_HANDSHAKE {
            // Whoever tries TLS first would wait for an answer.
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.starts_with("POST") && head.to_lowercase().contains("transfer-encoding: chunked") {
        // A connection that is closed before all is read takes the answer with it.
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n0\r\n\r\n") {
            connection.read_exact(&mut byte)?;
            body.push(byte[0]);
        }
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let line = format!("{method} {target}");
    shared.seen.lock().unwrap().push(line);
    let reply = script(method, target).unwrap_or_else(|| Reply::status(404, ""));
    let mut text = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    if let Some(len) = reply.len {
        write!(text, "Content-Length: {len}\r\n").unwrap();
    }
    text += "\r\n";
    connection.write_all(text.as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    connection.write_all(&reply.body)?;
    while reply.is_endless && !shared.is_over.load(Ordering::SeqCst) {
        connection.write_all(&reply.body)?;
        shared.n_sent.fetch_add(reply.body.len(), Ordering::SeqCst);
        if let Some(pause) = reply.pause {
            connection.flush()?;
            std::thread::sleep(pause);
        }
    }
    Ok(())
}
