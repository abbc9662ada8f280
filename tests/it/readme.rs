//! The commands of README.md, run in their order in an empty directory.
//!
//! What a fenced block is says its info string: `sh` is run, `sh background` is a server that runs
//! on, `sh skopeo` is run where skopeo is, `sh elsewhere` is not run; `console` is run and prints
//! what it shows; `text FILE` is the content of a file; `text` is a picture. The two hosts that
//! stand for the reader's registries, and the addresses of servers, are replaced by those of the
//! servers that stand in for them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::fixtures;
use hod_testkit::env::{TestEnv, finish};
use hod_testkit::programs;

const VERBS: [&str; 24] = [
    "inspect",
    "tags",
    "delete",
    "digest",
    "bundle",
    "copy",
    "sync",
    "diff",
    "keygen",
    "receipt",
    "why",
    "pull",
    "select",
    "pack",
    "unpack",
    "export",
    "push",
    "verify",
    "ls",
    "serve",
    "login",
    "logout",
    "doctor",
    "completions",
];

/// What the reader needs from elsewhere, or what takes too long.
const NOT_RUN: [&str; 3] = ["cargo", "docker", "make"];

/// A fenced block.
struct Block {
    line: usize,
    info: String,
    text: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, content) in (1..).zip(text.lines()) {
        match (content.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let (info, text) = (info.to_owned(), String::new());
                open = Some(Block { line, info, text });
            }
            (None, Some(block)) => {
                block.text.push_str(content);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A server that is a process of its own; it ends when this is dropped.
struct Server {
    child: Child,
    host: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let host = line.trim_end().strip_prefix("http://");
        let host = host.expect("a server says where it is").to_owned();
        Self { child, host }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither fails while the server runs, which is all that the test needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory in which the README's commands run, and the servers that they reach.
struct Walk {
    env: TestEnv,
    servers: Vec<Server>,
    /// What the README says, and what that is here.
    names: Vec<(String, String)>,
}

impl Walk {
    fn new() -> Self {
        let mut walk = Self {
            env: TestEnv::new(),
            servers: Vec::new(),
            names: Vec::new(),
        };
        let registry = fixtures::dir().join("registry");
        let (registry, target) = (registry.to_str().unwrap(), walk.env.home().join("harbor"));
        walk.stand_in("registry.example.com", &[registry]);
        walk.stand_in(
            "harbor.example.com",
            &[target.to_str().unwrap(), "--writable"],
        );
        // For skopeo, which takes no `http` from the address alone, and wants to know whom to trust.
        let containers = walk.env.home().join(".config/containers");
        let harbor = &walk.servers[1].host;
        let insecure = format!("[[registry]]\nlocation = \"{harbor}\"\ninsecure = true\n");
        let policy = "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}";
        hod_fsx::write_file(&containers.join("registries.conf"), insecure.as_bytes()).unwrap();
        hod_fsx::write_file(&containers.join("policy.json"), policy.as_bytes()).unwrap();
        walk
    }

    fn stand_in(&mut self, name: &str, args: &[&str]) {
        let mut command = self.env.hod();
        command.arg("serve").args(args);
        let server = Server::start(command.args(["--listen", "127.0.0.1:0"]));
        self.names.push((name.to_owned(), server.host.clone()));
        self.servers.push(server);
    }

    /// The text with the names of here.
    fn here(&self, text: &str) -> String {
        let replace = |text: String, (there, here): &(String, String)| text.replace(there, here);
        self.names.iter().fold(text.to_owned(), replace)
    }

    fn shell(&self, script: &str) -> Command {
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_hod"));
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            program.parent().unwrap().display()
        );
        let mut command = self.env.command("sh");
        command.env("PATH", path);
        command.args(["-e", "-u", "-c", &self.here(script)]);
        command
    }

    fn visit(&mut self, block: &Block) {
        let at = format!("README.md:{}", block.line);
        match block.info.split_once(' ').unwrap_or((&block.info, "")) {
            ("sh", "skopeo") if !programs::are_here(&["skopeo"]) => {}
            ("sh", "" | "skopeo") => {
                let output = finish(&mut self.shell(&block.text));
                assert_eq!(output.code, Some(0), "{at}\n{}", output.stderr);
            }
            ("sh", "background") => {
                let (_, address) = block.text.trim_end().rsplit_once(' ').unwrap();
                let any_port = block.text.replace(address, "127.0.0.1:0");
                let server = Server::start(&mut self.shell(&format!("exec {any_port}")));
                self.names.push((address.to_owned(), server.host.clone()));
                self.servers.push(server);
            }
            ("sh", "elsewhere") => {
                for line in block.text.lines() {
                    let program = line.split(' ').next().unwrap();
                    assert!(NOT_RUN.contains(&program), "{at}: `{program}` is not run");
                }
            }
            ("console", "") => {
                let (command, expected) = block.text.split_once('\n').unwrap();
                let command = command.strip_prefix("$ ").expect("a prompt comes first");
                let output = finish(&mut self.shell(command)).success();
                assert_eq!(output.stdout, expected, "{at}");
            }
            ("text", "") => {}
            ("text", file) => drop(self.env.write(file, &block.text)),
            _ => panic!("{at}: what is a block `{}`?", block.info),
        }
    }
}

#[test]
fn every_command_of_the_readme_works() {
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = String::from_utf8(hod_fsx::read(&readme, 1 << 20).unwrap()).unwrap();
    let blocks = blocks(&readme);
    let mut walk = Walk::new();
    for block in &blocks {
        walk.visit(block);
    }
    let is_run = |block: &&Block| block.info != "sh elsewhere" && !block.info.starts_with("text");
    let commands: Vec<&str> = blocks
        .iter()
        .filter(is_run)
        .flat_map(|block| block.text.lines())
        .collect();
    for verb in VERBS {
        let verb = format!("hod {verb} ");
        assert!(
            commands.iter().any(|line| line.contains(&verb)),
            "no `{verb}`"
        );
    }
}
