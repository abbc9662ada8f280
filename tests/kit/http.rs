//! A client that knows nothing: HTTP/1.1 over a socket, so that tests see what the server sends.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// An answer as it came, header names in lower case.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body ended before it was whole.
    pub is_cut: bool,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the first error in the body.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// Sends one request to `host` on a connection of its own and reads the answer.
#[track_caller]
pub fn send(host: &str, method: &str, target: &str, request: (&[(&str, &str)], &[u8])) -> Answer {
    try_send(host, method, target, request).expect("the server answers")
}

/// The same, where the server may hang up without an answer: `None`.
#[track_caller]
pub fn try_send(
    host: &str,
    method: &str,
    target: &str,
    (headers, body): (&[(&str, &str)], &[u8]),
) -> Option<Answer> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    let given = |name: &str| {
        headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if !matches!(method, "GET" | "HEAD") && !given("content-length") && !given("transfer-encoding")
    {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head += "\r\n";
    let mut connection = TcpStream::connect(host).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    // A server that answers early may close before all of the body is sent.
    let sent = connection.write_all(body);
    if sent.is_ok() && given("content-length") {
        // Ends a body that is shorter than was said.
        let _ = connection.shutdown(std::net::Shutdown::Write);
    }
    let mut bytes = Vec::new();
    let end = connection.read_to_end(&mut bytes);
    parse(method, &bytes, end.is_err())
}

fn parse(method: &str, bytes: &[u8], is_reset: bool) -> Option<Answer> {
    let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_len]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: bytes[head_len + 4..].to_vec(),
        is_cut: is_reset,
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        match dechunk(&answer.body) {
            Ok(body) => answer.body = body,
            Err(body) => (answer.body, answer.is_cut) = (body, true),
        }
    } else if let Some(len) = answer.header("content-length")
        && method != "HEAD"
    {
        answer.is_cut |= answer.body.len() != len.parse::<usize>().unwrap();
    }
    Some(answer)
}

/// The body of a chunked answer; an error holds as much as came of one that is cut.
fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Err(body);
        };
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return Ok(body);
        }
        let chunk = &rest[end + 2..];
        if chunk.len() < size + 2 {
            body.extend_from_slice(&chunk[..chunk.len().min(size)]);
            return Err(body);
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &chunk[size + 2..];
    }
}
