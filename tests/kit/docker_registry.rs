//! The real registry: Docker's `registry:2`, as Debian packs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::env::{Output, TestEnv, finish};
use super::http::{self, Answer};
use super::images::Image;
use super::pki::Pair;
use super::programs;
use super::token_server::{self, TokenServer};

pub const PROGRAM: &str = "docker-registry";

/// The program to run, which is [`PROGRAM`] unless the caller of the tests wants another.
fn program() -> String {
    let other = programs::other_registry().map(|path| path.into_string().unwrap());
    other.unwrap_or_else(|| PROGRAM.to_owned())
}

/// Who is let in where a login is asked for.
pub const USER: &str = "carrier";
/// Their password.
pub const PASSWORD: &str = "s3cret-Passw0rd";
/// The two as `docker-registry` wants them: bcrypt, of the least cost.
const HTPASSWD: &str = "carrier:$2b$04$4Ohpwv0/gwDEzyCDVjhpW.0GhSK9ypb3JT5frdh2jhKelVbtCZl8e\n";

/// Every type of manifest; the registry hides or converts what a client does not accept.
const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// A running registry over a tree; it ends when it is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    host: String,
    child: Child,
    access_log: Option<JoinHandle<String>>,
    error_log: Option<JoinHandle<String>>,
    _config: tempfile::TempDir,
}

/// A request, as the access log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub status: u16,
}

/// What a registry shows, and whom it lets in.
#[derive(Debug)]
pub struct Tls<'a> {
    pub server: Pair,
    /// The CA, in PEM, of the clients that are let in.
    pub client_authority: Option<&'a str>,
}

/// Whether the registry asks for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Open,
    Login,
}

impl DockerRegistry {
    /// Serves the tree at `root`, below the working directory.
    pub fn serve(env: &TestEnv, root: impl AsRef<Path>) -> Self {
        Self::serve_behind(Door::Open, env, root)
    }

    /// Serves the tree at `root`, to all or to [`USER`] only.
    pub fn serve_behind(door: Door, env: &TestEnv, root: impl AsRef<Path>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&env.path(root));
        if door == Door::Login {
            let path = dir.path().join("htpasswd");
            hod_fsx::write_file(&path, HTPASSWD.as_bytes()).unwrap();
            config["auth"] = json!({"htpasswd": {"realm": "tests", "path": path}});
        }
        Self::start(env, dir, &config)
    }

    /// Serves the tree at `root` and lets everyone delete from it.
    pub fn serve_deleting(env: &TestEnv, root: impl AsRef<Path>) -> Self {
        let mut config = config(&env.path(root));
        config["storage"]["delete"] = json!({"enabled": true});
        Self::start(env, tempfile::tempdir().unwrap(), &config)
    }

    /// Serves the tree at `root` in TLS, to all or to those whose certificate the CA has signed.
    pub fn serve_tls(env: &TestEnv, root: impl AsRef<Path>, tls: &Tls<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            hod_fsx::write_file(&path, text.as_bytes()).unwrap();
            path
        };
        let mut config = config(&env.path(root));
        config["http"]["tls"] = json!({
            "certificate": write("server.crt", &tls.server.certificate),
            "key": write("server.key", &tls.server.key),
        });
        if let Some(authority) = tls.client_authority {
            config["http"]["tls"]["clientcas"] = json!([write("clients.crt", authority)]);
        }
        Self::start(env, dir, &config)
    }

    /// Serves the tree at `root` to who brings a token of `server`.
    pub fn serve_with_tokens(env: &TestEnv, root: impl AsRef<Path>, server: &TokenServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let certificate = dir.path().join("tokens.pem");
        hod_fsx::write_file(&certificate, server.certificate().as_bytes()).unwrap();
        let mut config = config(&env.path(root));
        config["auth"] = json!({"token": {
            "realm": server.realm(),
            "service": token_server::SERVICE,
            "issuer": token_server::ISSUER,
            "rootcertbundle": certificate,
        }});
        Self::start(env, dir, &config)
    }

    /// Serves what the registry at `upstream` has, and keeps it in the tree at `root`.
    pub fn mirror(env: &TestEnv, root: impl AsRef<Path>, upstream: &str) -> Self {
        let mut config = config(&env.path(root));
        config["proxy"] = json!({"remoteurl": format!("http://{upstream}")});
        Self::start(env, tempfile::tempdir().unwrap(), &config)
    }

    fn start(env: &TestEnv, dir: tempfile::TempDir, config: &Value) -> Self {
        let config = write_config(dir.path(), config);
        let mut command = env.command(program());
        command
            .arg("serve")
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let access_log = std::thread::spawn(move || {
            let mut log = String::new();
            stdout.read_to_string(&mut log).unwrap();
            log
        });
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        let host = loop {
            let line_start = log.len();
            let n_read = stderr.read_line(&mut log).unwrap();
            assert_ne!(n_read, 0, "docker-registry does not start:\n{log}");
            if let Some((_, rest)) = log[line_start..].split_once("listening on ") {
                break rest.split(['"', ',']).next().unwrap().to_owned();
            }
        };
        assert!(host.starts_with("127.0.0.1:"), "it listens on {host}");
        let error_log = std::thread::spawn(move || {
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self {
            host,
            child,
            access_log: Some(access_log),
            error_log: Some(error_log),
            _config: dir,
        }
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Gets something, accepting every type of manifest.
    #[track_caller]
    pub fn get(&self, target: &str) -> Answer {
        http::send(self.host(), "GET", target, (&[("Accept", ACCEPT)], b""))
    }

    /// Passes when it serves every byte of the image as `repository:tag`.
    #[track_caller]
    pub fn assert_serves(&self, name: &str, image: &Image) {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let by_tag = self.get(&format!("/v2/{repository}/manifests/{tag}"));
        assert_eq!(by_tag.status, 200, "{name}: {}", by_tag.text());
        assert_eq!(by_tag.body, *image.top().bytes(), "{name}");
        self.assert_serves_by_digest(repository, image);
    }

    /// Passes when it serves every byte of the image in `repository`, under whatever tag.
    #[track_caller]
    pub fn assert_serves_by_digest(&self, repository: &str, image: &Image) {
        let name = repository;
        for manifest in &image.manifests {
            let digest = manifest.digest();
            let answer = self.get(&format!("/v2/{repository}/manifests/{digest}"));
            assert_eq!(answer.body, *manifest.bytes(), "{name}: {digest}");
            let media_type = answer.header("content-type");
            assert_eq!(media_type, Some(manifest.media_type().as_str()), "{name}");
        }
        for blob in &image.blobs {
            let answer = self.get(&format!("/v2/{repository}/blobs/{}", blob.digest));
            assert_eq!(answer.status, 200, "{name}: {}", blob.digest);
            assert_eq!(answer.body, blob.bytes, "{name}: {}", blob.digest);
        }
    }

    /// Stops it when all requests are done, and returns them in the order of their answers.
    #[track_caller]
    pub fn stop(mut self) -> Vec<Logged> {
        let pid = self.child.id().to_string();
        let signalled = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status();
        assert!(signalled.unwrap().success());
        let status = self.child.wait().unwrap();
        let error_log = self.error_log.take().unwrap().join().unwrap();
        assert!(status.success(), "docker-registry failed:\n{error_log}");
        let access_log = self.access_log.take().unwrap().join().unwrap();
        access_log.lines().map(Logged::parse).collect()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // Fails for one that was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Logged {
    /// Parses a line of the combined log format: `… "GET /v2/?n=1 HTTP/1.1" 200 …`.
    fn parse(line: &str) -> Self {
        let mut fields = line.split('"').skip(1);
        let (request, rest) = (fields.next().unwrap(), fields.next().unwrap());
        let mut request = request.split(' ');
        let (method, target) = (request.next().unwrap(), request.next().unwrap());
        Self {
            method: method.to_owned(),
            path: target.split('?').next().unwrap().to_owned(),
            status: rest.split_whitespace().next().unwrap().parse().unwrap(),
        }
    }
}

/// Runs the garbage collection over the tree at `root`, below the working directory.
pub fn garbage_collect(env: &TestEnv, root: impl AsRef<Path>, flags: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), &config(&env.path(root)));
    let mut command = env.command(program());
    finish(command.arg("garbage-collect").args(flags).arg(config))
}

fn config(root: &Path) -> Value {
    json!({
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": root},
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {"addr": "127.0.0.1:0", "secret": "tests", "draintimeout": "10s"},
        // As Harbor has it. Otherwise no foreign layer is taken.
        "validation": {"disabled": true},
    })
}

/// Writes the configuration as JSON, which is YAML too.
fn write_config(dir: &Path, config: &Value) -> PathBuf {
    let path = dir.join("config.yml");
    hod_fsx::write_file(&path, config.to_string().as_bytes()).unwrap();
    path
}
