//! A Docker engine: podman's service, on a storage of its own.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::env::TestEnv;

pub const PROGRAM: &str = "podman";

/// How long the service may take to start.
const START_TIME_MAX: Duration = Duration::from_mins(1);

/// A running service; it ends when it is dropped.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    child: Child,
}

/// The containers' name of a storage below `dir`, whose files no other program has.
pub fn store(dir: &Path) -> String {
    let dir = dir.display();
    format!("[vfs@{dir}/root+{dir}/run]")
}

impl Engine {
    /// Starts a service whose storage is below the working directory.
    pub fn start(env: &TestEnv) -> Self {
        let dir = env.path("engine");
        hod_fsx::create_dir_all(&dir).unwrap();
        let socket = dir.join("s");
        let mut command = env.command(PROGRAM);
        command
            .arg("--root")
            .arg(dir.join("root"))
            .arg("--runroot")
            .arg(dir.join("run"))
            .args(["--storage-driver", "vfs", "system", "service", "-t", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "podman's service ended: {ended:?}");
            assert!(began.elapsed() < START_TIME_MAX, "podman does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { socket, child }
    }

    /// The address, for `--daemon-host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
