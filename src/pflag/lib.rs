//! Command lines as spf13's pflag 1.0.10 and cobra 1.10 read them, with their errors and `--help`.
//!
//! Pure: a [`Program`] is a table of commands and flags; [`Program::parse`] takes the arguments behind
//! the name of the program and says what is asked for, and [`Program::help`] gives the text that
//! `--help` prints, and [`Program::complete`] what shells offer. Printing, warnings and exit codes are
//! the caller's.
//!
//! There is one level of commands. Flags of [`Program::globals`] may stand before or behind the
//! command, those of the program itself only before it. `--f=v`, `--f v`, `-fv`, `-f v` and `-f=v` set a
//! flag; booleans take a value only behind `=`. Short flags cluster; `--` ends flags; a lone `-` is
//! an argument; flags and arguments mix.
//!
//! Arguments are UTF-8. Not here: flags of Go's own package, and notices of
//! deprecated flags beside `--help`.

mod complete;
mod csv;
mod duration;
mod error;
mod flag;
mod parse;
mod program;
mod suggest;
#[cfg(test)]
mod tests;
mod traverse;
mod usage;
mod value;

pub use complete::{Candidate, Completion, Then};
pub use error::{FlagError, UsageError, ValueError};
pub use flag::Flag;
pub use parse::Values;
pub use program::{Command, Layout, Program};
pub use traverse::{Invocation, Request};
pub use value::{Kind, Value};
