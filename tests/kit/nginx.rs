//! nginx in front of a registry, as customers have it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::env::TestEnv;

pub const PROGRAM: &str = "nginx";
/// Another program may take a port between its choice and its use.
const ATTEMPTS: usize = 5;

/// A running nginx with two servers; it ends when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    host: String,
    other: String,
    child: Child,
    dir: tempfile::TempDir,
}

/// A request, as nginx logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub server: String,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// The headers of those names; `-` for one that was not there.
    pub authorization: String,
    pub cookie: String,
}

impl Nginx {
    /// Starts nginx. `servers` makes the `server` blocks, without `listen`, for the two addresses
    /// (`127.0.0.1:<port>`) that they will have.
    pub fn start(env: &TestEnv, servers: impl Fn(&str, &str) -> [String; 2]) -> Self {
        for _ in 0..ATTEMPTS {
            let dir = tempfile::tempdir().unwrap();
            let listeners = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
            let [host, other] = listeners
                .each_ref()
                .map(|l| l.local_addr().unwrap().to_string());
            drop(listeners);
            let [first, second] = servers(&host, &other);
            let at = dir.path().display();
            let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {at}/{name};\n"))
                .concat();
            let config = format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{\n{temp}\
                 log_format tests '$server_addr:$server_port|$request_method|$uri|$status|\
                 $http_authorization|$http_cookie';\n\
                 access_log {at}/access.log tests;\n\
                 server {{ listen {host}; {first} }}\n\
                 server {{ listen {other}; {second} }}\n}}\n"
            );
            let path = dir.path().join("nginx.conf");
            hod_fsx::write_file(&path, config.as_bytes()).unwrap();
            let mut command = env.command(PROGRAM);
            command.arg("-p").arg(dir.path()).arg("-c").arg(&path);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().unwrap();
            let mut nginx = Self {
                host,
                other,
                child,
                dir,
            };
            if nginx.comes_up() {
                return nginx;
            }
        }
        panic!("nginx does not start");
    }

    fn comes_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(&self.other).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("nginx does not come up:\n{}", self.text("error.log"));
    }

    /// Of the first server.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Of the second server.
    pub fn other(&self) -> &str {
        &self.other
    }

    /// The requests whose answers are over.
    pub fn log(&self) -> Vec<Logged> {
        let log = self.text("access.log");
        log.lines().map(Logged::parse).collect()
    }

    fn text(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        let bytes = hod_fsx::read(&path, u64::MAX - 1).unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Logged {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split('|').collect();
        let [server, method, path, status, authorization, cookie] = fields[..] else {
            panic!("{line}");
        };
        Self {
            server: server.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            status: status.parse().unwrap(),
            authorization: authorization.to_owned(),
            cookie: cookie.to_owned(),
        }
    }
}
