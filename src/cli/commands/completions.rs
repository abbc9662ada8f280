//! `hod completions`

use clap::CommandFactory as _;

use crate::cli::Exit;
use crate::cli::args::{Cli, CompletionsArgs};
use crate::cli::error::CommandError;
use crate::cli::ui::Printer;

pub(super) fn run(printer: &Printer, args: &CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hod", &mut script);
    printer.block(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
