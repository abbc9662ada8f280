//! The access log: one line for each request, when its answer was sent, in the "combined" format
//! that tools read, with the seconds that it took at the end.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

/// Takes the lines of the log.
pub trait AccessLog: Send + Sync {
    /// Takes one line, without its end; must not wait for long.
    fn line(&self, line: &str);
}

/// A request, until it is logged by being dropped.
pub(super) struct Record {
    log: Arc<dyn AccessLog>,
    started: Instant,
    /// Up to the user, and from the time to the request line.
    remote: SocketAddr,
    user: Option<String>,
    request: String,
    user_agent: String,
    status: u16,
    len: u64,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl Record {
    pub(super) fn new(log: &Arc<dyn AccessLog>, remote: SocketAddr, parts: &Parts) -> Self {
        let user_agent = parts.headers.get(USER_AGENT);
        Self {
            log: Arc::clone(log),
            started: Instant::now(),
            remote,
            user: None,
            request: format!("{} {} {:?}", parts.method, parts.uri, parts.version),
            user_agent: user_agent.map_or_else(
                || "-".to_owned(),
                |value| escape(&String::from_utf8_lossy(value.as_bytes())),
            ),
            status: 0,
            len: 0,
        }
    }

    pub(super) fn answered(&mut self, user: Option<String>, status: u16) {
        (self.user, self.status) = (user, status);
    }

    pub(super) fn sent(&mut self, len: usize) {
        self.len += len as u64;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let user = self.user.as_deref().map_or_else(|| "-".to_owned(), escape);
        let line = format!(
            "{} - {user} [{}] \"{}\" {} {} \"-\" \"{}\" {:.3}",
            self.remote.ip().to_canonical(),
            time(SystemTime::now()),
            escape(&self.request),
            self.status,
            self.len,
            self.user_agent,
            self.started.elapsed().as_secs_f64(),
        );
        self.log.line(&line);
    }
}

/// `29/Nov/2026:15:30:13 +0000`
fn time(now: SystemTime) -> String {
    // `Sun, 29 Nov 2026 15:30:13 GMT`
    let date = httpdate::fmt_http_date(now);
    let parts: Vec<&str> = date.split(' ').collect();
    match parts[..] {
        [_, day, month, year, clock, _] => format!("{day}/{month}/{year}:{clock} +0000"),
        _ => date,
    }
}

/// Escapes what ends a field or moves a cursor.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte == b'"' || byte == b'\\' || !(b' '..=b'~').contains(&byte) {
            write!(escaped, "\\x{byte:02x}").expect("a string takes all text");
        } else {
            escaped.push(char::from(byte));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_other_logs() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_eq!(time(then), "09/Sep/2001:01:46:40 +0000");
    }

    #[test]
    fn fields_stay_in_their_quotes() {
        assert_eq!(
            escape("a \"b\" \\ \u{1b}[2J\n"),
            "a \\x22b\\x22 \\x5c \\x1b[2J\\x0a"
        );
    }
}
