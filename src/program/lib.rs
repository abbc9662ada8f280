//! Other people's programs: run to their end, with a little input, for a little output.

use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

/// The most that is read of each of a program's outputs, in bytes.
const OUTPUT_LEN_MAX: u64 = 1024 * 1024;

/// The output of a program that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Whether it ended with 0.
    pub is_success: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Why a program was not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not in any directory of PATH.
    #[error("no program `{name}` is on PATH")]
    Absent { name: String },
    #[error("program `{name}` cannot be run")]
    Run { name: String, source: io::Error },
}

/// Runs `name`, found on PATH, with `arguments` and `input`, and waits for its end; blocks.
///
/// Output beyond a megabyte is cut off, which may make the program fail.
pub fn run(name: &str, arguments: &[&str], input: &[u8]) -> Result<Output, Error> {
    let child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Absent {
            name: name.to_owned(),
        },
        _ => Error::Run {
            name: name.to_owned(),
            source,
        },
    })?;
    converse(child, input).map_err(|source| Error::Run {
        name: name.to_owned(),
        source,
    })
}

fn converse(mut child: Child, input: &[u8]) -> io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three at once: a program may write before it has read.
    let conversed = std::thread::scope(|scope| {
        // Not `scope.spawn`, which panics if the system cannot start a thread.
        let thread = std::thread::Builder::new;
        let stderr = thread().spawn_scoped(scope, || read(stderr))?;
        thread().spawn_scoped(scope, || {
            if let Some(mut stdin) = stdin {
                // A program need not read its input.
                let _ = stdin.write_all(input);
            }
        })?;
        Ok::<_, io::Error>((read(stdout), stderr.join()))
    });
    let (stdout, stderr) = match conversed {
        Ok(conversed) => conversed,
        Err(error) => {
            // It has seen the ends of its pipes by now.
            child.wait()?;
            return Err(error);
        }
    };
    let status = child.wait()?;
    Ok(Output {
        is_success: status.success(),
        stdout: stdout?,
        stderr: stderr.unwrap_or_else(|_| Ok(Vec::new()))?,
    })
}

fn read(pipe: Option<impl io::Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT_LEN_MAX).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_hear_speak_and_end() {
        let output = run("sh", &["-c", "cat; echo no >&2; exit 3"], b"input").unwrap();
        assert_eq!(
            output,
            Output {
                is_success: false,
                stdout: b"input".to_vec(),
                stderr: b"no\n".to_vec(),
            }
        );
        // More than a pipe holds, with no reader.
        let deaf = run("true", &[], &vec![0; 1 << 20]).unwrap();
        assert!(deaf.is_success && deaf.stdout.is_empty());
        // More than the maximum.
        let loud = run("head", &["-c", "4000000", "/dev/zero"], b"").unwrap();
        assert_eq!(loud.stdout.len() as u64, OUTPUT_LEN_MAX);
        let absent = run("no-such-program-anywhere", &[], b"").unwrap_err();
        assert_eq!(
            absent.to_string(),
            "no program `no-such-program-anywhere` is on PATH"
        );
    }
}
