//! What stands between a client and a registry: passes requests on, one a connection, and does to
//! some of them what bad lines and proxies do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Deed {
    /// It is passed on, and its answer passed back.
    Pass,
    /// The line breaks in both directions after so many bytes of the body.
    Cut(u64),
    /// It is passed on, and the line breaks before the answer.
    Mute,
    /// It is answered here, by its head alone, with this status, these header lines and this body.
    Answer(u16, &'static str, &'static str),
    /// Nothing of it is passed on until [`Relay::release`].
    Hold,
    /// It is passed on but for its second half, which waits until [`Relay::release`].
    HoldHalf,
}

/// A request as it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub method: String,
    /// With the query.
    pub target: String,
    /// As sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many bytes of the body the registry was sent.
    pub len: u64,
    /// What the client was answered; 0 when nothing.
    pub status: u16,
}

impl Passed {
    /// The value of a header, if it was there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

type Judge = dyn Fn(&Passed) -> Deed + Send + Sync;

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    host: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    passed: Mutex<Vec<Passed>>,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    n_held: usize,
    is_open: bool,
}

impl Relay {
    /// Starts a relay to `upstream` (`127.0.0.1:<port>`) that does to each request what `judge`
    /// says when it sees its head.
    pub fn to(upstream: &str, judge: impl Fn(&Passed) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let (of_thread, upstream) = (Arc::clone(&shared), upstream.to_owned());
        let judge: Arc<Judge> = Arc::new(judge);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if of_thread.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, judge) = (Arc::clone(&of_thread), Arc::clone(&judge));
                let upstream = upstream.clone();
                std::thread::spawn(move || {
                    // Whoever hangs up has its reasons.
                    let _ = relay(connection.unwrap(), &upstream, (&*judge, &shared));
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

    /// The requests whose answers are over.
    pub fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// The requests since this was last asked.
    pub fn take_passed(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.shared.passed.lock().unwrap())
    }

    /// Waits until something is held.
    #[track_caller]
    pub fn wait_for_held(&self) {
        let gate = self.shared.gate();
        let (gate, timeout) = self
            .shared
            .changed
            .wait_timeout_while(gate, Duration::from_secs(30), |gate| gate.n_held == 0)
            .unwrap();
        assert!(!timeout.timed_out() || gate.n_held > 0, "nothing is held");
    }

    /// Lets go what is held, and holds nothing from now on.
    pub fn release(&self) {
        self.shared.gate().is_open = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.release();
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(&self.host);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap()
    }

    fn hold(&self) {
        let mut gate = self.gate();
        gate.n_held += 1;
        self.changed.notify_all();
        let mut gate = self.changed.wait_while(gate, |gate| !gate.is_open).unwrap();
        gate.n_held -= 1;
    }
}

fn relay(
    mut client: TcpStream,
    upstream: &str,
    (judge, shared): (&Judge, &Shared),
) -> std::io::Result<()> {
    let head = read_head(&mut client)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut passed = Passed {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        len: 0,
        status: 0,
    };
    let len = passed
        .header("content-length")
        .map_or(0, |len| len.parse().unwrap());
    let deed = judge(&passed);
    let result = if let Deed::Answer(status, headers, body) = deed {
        passed.status = status;
        answer(&mut client, (status, headers, body))
    } else {
        if matches!(deed, Deed::Hold) {
            shared.hold();
        }
        let server = TcpStream::connect(upstream)?;
        exchange(
            (&mut client, server),
            (&head, len),
            (&deed, shared),
            &mut passed,
        )
    };
    shared.passed.lock().unwrap().push(passed);
    let _ = client.shutdown(Shutdown::Both);
    result
}

fn exchange(
    (client, mut server): (&mut TcpStream, TcpStream),
    (head, len): (&str, u64),
    (deed, shared): (&Deed, &Shared),
    passed: &mut Passed,
) -> std::io::Result<()> {
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes())?;
    let first = match deed {
        Deed::Cut(at) => *at,
        Deed::HoldHalf => len / 2,
        _ => len,
    };
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    std::thread::scope(|scope| {
        // Meanwhile the answer may come: a registry need not hear everything before it refuses.
        let body = scope.spawn(move || {
            let mut n = pass_on(&from, &to, first);
            if matches!(deed, Deed::HoldHalf) {
                shared.hold();
                n += pass_on(&from, &to, len - first);
            }
            if matches!(deed, Deed::Cut(_)) {
                let _ = to.shutdown(Shutdown::Both);
            }
            n
        });
        let answered = (|| {
            let head = read_head(&mut server)?;
            if matches!(deed, Deed::Mute | Deed::Cut(_)) {
                return Ok(());
            }
            passed.status = head.split(' ').nth(1).unwrap().parse().unwrap();
            client.write_all(head.as_bytes())?;
            std::io::copy(&mut server, client)?;
            client.shutdown(Shutdown::Write)?;
            server.shutdown(Shutdown::Both)
        })();
        passed.len = body.join().unwrap();
        if passed.len < len && passed.status > 0 {
            drain(client)?;
        }
        answered
    })
}

/// Passes on `len` bytes, or as many as the other side takes; returns how many.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, len: u64) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let mut n_passed = 0;
    while n_passed < len {
        let want = buffer.len().min(usize::try_from(len - n_passed).unwrap());
        match from.read(&mut buffer[..want]) {
            Ok(n @ 1..) if to.write_all(&buffer[..n]).is_ok() => n_passed += n as u64,
            _ => break,
        }
    }
    n_passed
}

/// Reads on for a while, so that the answer is not lost with the connection.
fn drain(client: &mut TcpStream) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    std::io::copy(client, &mut std::io::sink())?;
    Ok(())
}

/// Answers as a proxy does that has read the head: at once, then it reads on for a while, so that
/// the answer is not lost with the connection.
fn answer(
    client: &mut TcpStream,
    (status, headers, body): (u16, &str, &str),
) -> std::io::Result<()> {
    let len = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len}\r\n{headers}\r\n{body}"
    );
    client.write_all(text.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    drain(client)
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
