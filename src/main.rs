//! The `hod` command: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hod::cli::run(std::env::args_os().collect()).into()
}
