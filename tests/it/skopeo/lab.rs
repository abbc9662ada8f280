//! Docker's registry with the stock, and lines of shell that are run beside it by hod or by skopeo.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use hod_testkit::docker_registry::{self, DockerRegistry};
use hod_testkit::env::{TestEnv, finish, program};
use hod_testkit::{programs, skopeo};

use super::normal::Ran;
use super::stock::stock;

/// What the tests with the installed skopeo need.
pub(super) const PROGRAMS: [&str; 2] = [docker_registry::PROGRAM, skopeo::PROGRAM];
/// The directories that `PATH` continues with.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// The registry's storage.
const STORE: &str = "registry";

/// The program that is called `skopeo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Player {
    Hod,
    Installed,
    /// The program at this path.
    At(PathBuf),
}

/// A place to run lines in.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) env: TestEnv,
    registry: DockerRegistry,
    n_runs: Cell<usize>,
    variables: RefCell<Vec<(&'static str, String)>>,
}

impl Lab {
    /// None where a program is missing, which fails in CI.
    #[track_caller]
    pub(super) fn new() -> Option<Self> {
        if !programs::are_here(&PROGRAMS) {
            return None;
        }
        let env = TestEnv::in_memory();
        let store = env.store(STORE);
        for (name, image) in stock() {
            image.put_in(&store, name);
        }
        let registry = DockerRegistry::serve(&env, STORE);
        let policy = env.home().join(".config/containers/policy.json");
        hod_fsx::create_dir_all(policy.parent().unwrap()).unwrap();
        let all = br#"{"default":[{"type":"insecureAcceptAnything"}]}"#;
        hod_fsx::write_file(&policy, all).unwrap();
        Some(Self {
            env,
            registry,
            n_runs: Cell::new(0),
            variables: RefCell::default(),
        })
    }

    /// `127.0.0.1:<port>`.
    pub(super) fn host(&self) -> &str {
        self.registry.host()
    }

    /// The storage of the registry.
    pub(super) fn store(&self) -> PathBuf {
        self.env.path(STORE)
    }

    /// Adds a variable for all lines.
    pub(super) fn set(&self, name: &'static str, value: impl Into<String>) {
        self.variables.borrow_mut().push((name, value.into()));
    }

    /// Runs a line of shell in an empty directory, with these variables for it: `$R` is the
    /// registry, `$P` a namespace in it that is the run's own.
    pub(super) fn run(&self, player: &Player, line: &str) -> Ran {
        let n = self.n_runs.get();
        self.n_runs.set(n + 1);
        let dir = self.env.path(format!("runs/{n}"));
        hod_fsx::create_dir_all(&dir).unwrap();
        let namespace = format!("run{n}");
        let output = finish(
            self.shell(player)
                .env("P", &namespace)
                .args(["-c", line])
                .current_dir(&dir),
        );
        let names = [
            (format!("{}/", dir.display()), "W/"),
            (dir.display().to_string(), "W"),
            (self.host().to_owned(), "R"),
            (format!("R/{namespace}"), "R/P"),
            (self.env.home().display().to_string(), "HOME"),
            (self.env.tmp().display().to_string(), "TMP"),
        ];
        let pushed = (self.store(), namespace.as_str());
        Ran::of(&output, &dir, (&pushed.0, pushed.1), &names)
    }

    /// A shell in which `skopeo` is that program.
    pub(super) fn shell(&self, player: &Player) -> Command {
        let bin = self.bin(player);
        let mut shell = self.env.command("sh");
        shell
            .env("PATH", format!("{}:{SYSTEM_PATH}", bin.display()))
            .env("R", self.host())
            .envs(self.variables.borrow().iter().cloned());
        shell
    }

    /// A directory with that program under skopeo's name.
    fn bin(&self, player: &Player) -> PathBuf {
        let (name, path) = match player {
            Player::Hod => ("hod", program().to_owned()),
            Player::Installed => ("installed", PathBuf::from("/usr/bin/skopeo")),
            Player::At(path) => ("at", path.clone()),
        };
        let dir = self.env.path(format!("bin/{name}"));
        if hod_fsx::try_stat(&dir).unwrap().is_none() {
            hod_fsx::create_dir_all(&dir).unwrap();
            symlink(path, dir.join("skopeo")).unwrap();
        }
        dir
    }

    /// A directory that was written by the last run.
    pub(super) fn last_dir(&self) -> PathBuf {
        self.env.path(format!("runs/{}", self.n_runs.get() - 1))
    }
}

/// The tags below a namespace of a registry's storage, each with what it names.
pub(super) fn tags_in(store: &Path, namespace: &str) -> Vec<(String, String)> {
    let repositories = store.join("docker/registry/v2/repositories");
    let mut tags = Vec::new();
    for path in hod_testkit::tree::files(&repositories.join(namespace)) {
        if !path.ends_with("current/link") {
            continue;
        }
        let digest = String::from_utf8(hod_testkit::tree::read(&path)).unwrap();
        let tag = path.parent().and_then(Path::parent).unwrap();
        let repository = tag.ancestors().nth(3).unwrap();
        let name = repository.strip_prefix(&repositories).unwrap().display();
        let tag = tag.file_name().unwrap().to_str().unwrap();
        tags.push((format!("{name}:{tag}"), digest));
    }
    tags
}
