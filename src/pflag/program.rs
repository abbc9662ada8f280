//! The table of a program's commands and flags.

use crate::flag::Flag;
use crate::value::Kind;

/// A program: flags, and commands with flags of their own.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: &'static str,
    /// What `--help` begins with.
    pub about: &'static str,
    /// Printed by `--version`.
    pub version: String,
    /// Flags of the program itself, which stand before the command. A boolean named `version` prints
    /// the version.
    pub flags: Vec<Flag>,
    /// Flags that may also stand behind the command.
    pub globals: Vec<Flag>,
    /// In the order of suggestions.
    pub commands: Vec<Command>,
}

/// A command.
#[derive(Debug, Clone)]
pub struct Command {
    pub name: &'static str,
    /// Its name, and what it takes: `inspect [command options] IMAGE-NAME`.
    pub usage: &'static str,
    /// A line in the list of commands.
    pub summary: &'static str,
    /// What `--help` begins with; the summary if it is empty.
    pub about: String,
    pub examples: &'static str,
    pub flags: Vec<Flag>,
    /// Whether `--help` and suggestions leave it out.
    pub is_hidden: bool,
    pub layout: Layout,
}

/// How `--help` of a command looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As cobra has it: with global flags.
    Full,
    /// As skopeo has it: without global flags, and not indented.
    Plain,
}

impl Program {
    /// Returns the command of this name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.name == name)
    }
}

/// Returns the flag that every command has.
pub(crate) fn help_flag(help: &'static str) -> Flag {
    Flag::new("help", Kind::Bool, help).short('h')
}
