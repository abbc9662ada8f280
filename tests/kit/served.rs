//! `hod serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::env::{TestEnv, finish};
use super::http::{self, Answer};

/// A running `hod serve`; it is ended with this.
#[derive(Debug)]
pub struct Served {
    child: Child,
    /// `127.0.0.1:<port>`.
    pub host: String,
}

impl Served {
    /// Serves `source` read-only on a free port.
    #[track_caller]
    pub fn start(env: &TestEnv, source: &str) -> Self {
        Self::with(env, source, "")
    }

    /// Serves `source` on a free port, with further flags separated by blanks.
    #[track_caller]
    pub fn with(env: &TestEnv, source: &str, flags: &str) -> Self {
        let mut command = env.hod();
        command.args(["serve", source, "--listen", "127.0.0.1:0"]);
        command.args(flags.split_whitespace());
        Self::spawn(env, &mut command)
    }

    /// Runs a command that becomes `hod serve`.
    #[track_caller]
    #[expect(
        clippy::disallowed_methods,
        reason = "what the child says goes straight to a file"
    )]
    pub fn spawn(env: &TestEnv, command: &mut Command) -> Self {
        let log = std::fs::File::create(env.path("serve.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let host = line
            .trim()
            .split_once("://")
            .map(|(_, host)| host.to_owned());
        let Some(host) = host else {
            let _ = child.wait();
            panic!("it does not serve: {}", env.read("serve.log"));
        };
        Self { child, host }
    }

    /// Sends it a signal, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, env: &TestEnv, signal: &str) {
        let mut kill = env.command("kill");
        let pid = self.child.id().to_string();
        let _ = finish(kill.args(["-s", signal, &pid])).success();
    }

    /// Waits for its end; returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Sends a request with neither headers nor body.
    #[track_caller]
    pub fn send(&self, method: &str, target: &str) -> Answer {
        http::send(&self.host, method, target, (&[], b""))
    }

    /// Asks for a part of a blob.
    #[track_caller]
    pub fn range(&self, target: &str, range: &str) -> Answer {
        http::send(&self.host, "GET", target, (&[("Range", range)], b""))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
