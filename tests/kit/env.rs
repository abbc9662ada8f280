//! A place of its own for each test, and the real program run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use hod_store::Store;

/// A file system in memory that most machines have; containers often have a tiny one.
const MEMORY: &str = "/dev/shm";
/// What must be free there, in bytes.
const ROOM_MIN: u64 = 512 * 1024 * 1024;

/// The program under test: Cargo builds it before the tests of its package, in the directory above
/// theirs.
pub fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().with_file_name("hod");
        assert!(program.is_file(), "{} is built", program.display());
        program
    });
    &PROGRAM
}

/// An empty directory with a HOME and a TMPDIR in it, which is gone when the test ends.
#[derive(Debug)]
pub struct TestEnv {
    root: tempfile::TempDir,
}

/// What a run of a program ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl TestEnv {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same in memory where there is room, for tests with many writes: a sync of a disk waits
    /// for whatever else the machine is doing.
    pub fn in_memory() -> Self {
        let has_room = hod_fsx::available(Path::new(MEMORY)).is_ok_and(|len| len > ROOM_MIN);
        if has_room {
            Self::below(Path::new(MEMORY))
        } else {
            Self::new()
        }
    }

    fn below(dir: &Path) -> Self {
        let root = tempfile::Builder::new()
            .prefix("hod-test-")
            .tempdir_in(dir)
            .unwrap();
        for dir in ["home/.config", "tmp", "work"] {
            hod_fsx::create_dir_all(&root.path().join(dir)).unwrap();
        }
        Self { root }
    }

    /// The working directory of the program, where the test's files are.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The user's home directory.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// What `TMPDIR` is; nothing may be left in it.
    pub fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// A path below the working directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.work().join(relative)
    }

    /// Writes a file below the working directory and returns its path.
    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        hod_fsx::write_file(&path, bytes.as_ref()).unwrap();
        path
    }

    /// Reads a text file below the working directory.
    pub fn read(&self, relative: impl AsRef<Path>) -> String {
        let bytes = hod_fsx::read(&self.path(relative), u64::MAX - 1).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Opens a store below the working directory, creating it when it is missing.
    pub fn store(&self, relative: impl AsRef<Path>) -> Store {
        Store::create(&self.path(relative)).unwrap()
    }

    /// Runs `hod` with these arguments to its end.
    #[must_use = "check the exit code, or say `.success()`"]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.hod();
        command.args(args);
        finish(&mut command)
    }

    /// Runs `hod` with `line` split at spaces.
    #[must_use = "check the exit code, or say `.success()`"]
    pub fn run_line(&self, line: &str) -> Output {
        self.run(line.split_whitespace())
    }

    /// `hod`, to be given arguments, input or variables.
    pub fn hod(&self) -> Command {
        self.command(program())
    }

    /// Any program, in this environment and no other.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.home())
            .env("TMPDIR", self.tmp())
            .env("XDG_CONFIG_HOME", self.home().join(".config"))
            .env("XDG_CACHE_HOME", self.home().join(".cache"))
            .env("XDG_DATA_HOME", self.home().join(".local/share"))
            .env("XDG_RUNTIME_DIR", self.tmp())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }
}

/// Runs a command to its end, with what it says.
#[must_use = "check the exit code, or say `.success()`"]
pub fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whether a program of that name is there, for tests with other people's programs.
pub fn has_program(name: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|dir| hod_fsx::try_stat(&Path::new(dir).join(name)).is_ok_and(|stat| stat.is_some()))
}

impl Output {
    /// Passes when the program ended with 0, and says why not otherwise.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    /// Passes when the program ended with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout\n{}--- stderr\n{}---",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The output as one text for a snapshot, with each `(what, name)` replaced by its name.
    pub fn snapshot(&self, names: &[(&str, &str)]) -> String {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        let mut text = format!(
            "exit code: {code}\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        );
        for (what, name) in names {
            text = text.replace(what, name);
        }
        text
    }
}
