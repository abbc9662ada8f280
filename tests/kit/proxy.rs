//! Tiny proxies: whoever they are asked for, they lead to one server.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For plain http: the request itself names the host.
    Http,
    /// For TLS: a tunnel, which is asked for with CONNECT.
    Tunnel,
    /// SOCKS 5, without a password, with the names left to it.
    Socks,
}

/// A running proxy; its thread ends with the tests.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start(kind: Kind, server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, server) = (Arc::clone(&asked), server.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, server) = (Arc::clone(&log), server.clone());
                std::thread::spawn(move || lead(stream.unwrap(), kind, (&server, &log)));
            }
        });
        Self { address, asked }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// For which hosts it was asked, one a connection.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn lead(mut client: TcpStream, kind: Kind, (server, log): (&str, &Mutex<Vec<String>>)) {
    let mut server = TcpStream::connect(server).unwrap();
    match kind {
        Kind::Http => {
            let Some(head) = read_head(&mut client) else {
                return;
            };
            let target = head.split(' ').nth(1).unwrap();
            let host = target.split('/').nth(2).unwrap_or_default().to_owned();
            log.lock().unwrap().push(host);
            server.write_all(head.as_bytes()).unwrap();
        }
        Kind::Tunnel => {
            let Some(text) = read_head(&mut client) else {
                return;
            };
            let host = text.strip_prefix("CONNECT ").unwrap();
            let host = host.split(' ').next().unwrap().to_owned();
            log.lock().unwrap().push(host);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        }
        Kind::Socks => {
            let mut greeting = [0; 2];
            client.read_exact(&mut greeting).unwrap();
            let mut methods = vec![0; greeting[1].into()];
            client.read_exact(&mut methods).unwrap();
            client.write_all(&[5, 0]).unwrap();
            let mut head = [0; 5];
            client.read_exact(&mut head).unwrap();
            assert_eq!(head[3], 3, "the name is left to the proxy");
            let mut name = vec![0; usize::from(head[4]) + 2];
            client.read_exact(&mut name).unwrap();
            name.truncate(head[4].into());
            log.lock().unwrap().push(String::from_utf8(name).unwrap());
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        }
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let upstream = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = upstream.join();
}

/// The head of a request; `None` on a connection that was made and not used.
fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}
