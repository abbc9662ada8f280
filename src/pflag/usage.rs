//! The texts of `--help`.

use crate::flag::Flag;
use crate::program::{Command, Layout, Program, help_flag};
use crate::value::Kind;
use hod_gotext::quote;

/// Minimum width of the names of commands.
const NAME_WIDTH_MIN: usize = 11;
/// The names of commands that cobra adds.
const ADDED: [&str; 2] = ["help", "completion"];

impl Program {
    /// Returns what `--help` prints, of the program or of a command.
    pub fn help(&self, command: Option<&Command>) -> String {
        let about = match command {
            None => self.about,
            Some(command) if command.about.is_empty() => command.summary,
            Some(command) => &command.about,
        };
        with_about(about, &self.usage(command))
    }

    /// Returns what `help --help` prints.
    pub fn help_of_help(&self) -> String {
        let about = format!(
            "Help provides help for any command in the application.\n\
             Simply type {} help [path to command] for full details.",
            self.name
        );
        let usage = format!("  {} help [command] [flags]", self.name);
        with_about(&about, &self.full_usage(&usage, "", &[], "help for help"))
    }

    /// Returns what `help` prints for words that are not a command; cobra prints it on stderr and is
    /// content.
    pub fn unknown_topic(&self, words: &[String]) -> String {
        let words: Vec<String> = words.iter().map(|word| backquoted(word)).collect();
        // The command `help` lists the flags without `--help` here.
        let usage = self.root_usage("");
        format!("Unknown help topic [{}]\n{usage}", words.join(" "))
    }

    /// Returns what `--version` prints.
    pub fn version_line(&self) -> String {
        format!("{} version {}\n", self.name, self.version)
    }

    /// Returns the usage of the program or of a command: `--help` without its beginning.
    pub fn usage(&self, command: Option<&Command>) -> String {
        let Some(command) = command else {
            return self.root_usage(&format!("help for {}", self.name));
        };
        let line = format!("{} {}", self.name, command.usage);
        let help = format!("help for {}", command.name);
        match command.layout {
            Layout::Full => {
                let line = format!("  {line} [flags]");
                self.full_usage(&line, command.examples, &command.flags, &help)
            }
            Layout::Plain => {
                let flags = flag_usages(command.flags.iter(), &help);
                let examples = section("Examples", command.examples);
                format!("Usage:\n{line}{examples}\n\nFlags:\n{flags}\n\n")
            }
        }
    }

    fn root_usage(&self, help: &str) -> String {
        let name = self.name;
        let hidden = self.commands.iter().map(|command| command.name);
        let width = hidden.chain(ADDED).map(str::len).max();
        let width = width.unwrap_or(0).max(NAME_WIDTH_MIN);
        let visible = self.commands.iter().filter(|command| !command.is_hidden);
        let mut lines: Vec<(&str, &str)> = visible
            .map(|command| (command.name, command.summary))
            .collect();
        lines.push(("help", "Help about any command"));
        lines.sort_unstable();
        let list = lines
            .iter()
            .map(|(name, summary)| format!("\n  {name:width$} {summary}"));
        let list: Vec<String> = list.collect();
        let list = list.concat();
        let flags = flag_usages(self.flags.iter().chain(&self.globals), help);
        format!(
            "Usage:\n  {name} [flags]\n  {name} [command]\n\nAvailable Commands:{list}\n\n\
             Flags:\n{flags}\n\n\
             Use \"{name} [command] --help\" for more information about a command.\n"
        )
    }

    fn full_usage(&self, line: &str, examples: &str, flags: &[Flag], help: &str) -> String {
        let examples = section("Examples", examples);
        // A flag of the command hides that of the program.
        let is_own = |global: &&Flag| flags.iter().any(|flag| flag.name == global.name);
        let globals = lines_of(self.globals.iter().filter(|global| !is_own(global)));
        let flags = flag_usages(flags.iter(), help);
        format!(
            "Usage:\n{line}{examples}\n\nFlags:\n{flags}{}\n",
            section("Global Flags", &globals)
        )
    }
}

fn with_about(about: &str, usage: &str) -> String {
    let about = about.trim_end();
    if about.is_empty() {
        return usage.to_owned();
    }
    format!("{about}\n\n{usage}")
}

fn section(title: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("\n\n{title}:\n{text}")
}

/// Quotes a word as Go's `%#q`.
fn backquoted(word: &str) -> String {
    let is_raw = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !c.is_ascii_control());
    if word.chars().all(is_raw) {
        return format!("`{word}`");
    }
    quote(word)
}

/// Lists flags and the flag `help`, which says `help`; without that flag if it says nothing.
fn flag_usages<'f>(flags: impl Iterator<Item = &'f Flag>, help: &str) -> String {
    let help_line = help_flag("");
    let mut listed: Vec<Line> = flags.filter(|flag| !flag.is_hidden).map(Line::of).collect();
    if !help.is_empty() {
        let mut line = Line::of(&help_line);
        help.clone_into(&mut line.right);
        listed.push(line);
    }
    aligned(listed)
}

fn lines_of<'f>(flags: impl Iterator<Item = &'f Flag>) -> String {
    aligned(flags.filter(|flag| !flag.is_hidden).map(Line::of).collect())
}

/// A flag, and what is said about it.
struct Line {
    name: &'static str,
    left: String,
    right: String,
}

impl Line {
    fn of(flag: &Flag) -> Self {
        let mut left = match flag.shorthand {
            Some(shorthand) => format!("  -{shorthand}, --{}", flag.name),
            None => format!("      --{}", flag.name),
        };
        let (value, mut right) = unquoted(flag);
        if !value.is_empty() {
            left.push(' ');
            left.push_str(&value);
        }
        if !flag.default.is_empty() {
            let default = match flag.kind {
                Kind::Text => quote(&flag.default),
                _ => flag.default.clone(),
            };
            right.extend([format!(" (default {default})")]);
        }
        Self {
            name: flag.name,
            left,
            right,
        }
    }
}

/// Returns the name of the value, and the help without the backquotes around it.
fn unquoted(flag: &Flag) -> (String, String) {
    let mut parts = flag.help.splitn(3, '`');
    if let (Some(before), Some(name), Some(after)) = (parts.next(), parts.next(), parts.next()) {
        return (name.to_owned(), format!("{before}{name}{after}"));
    }
    let name = match flag.kind {
        Kind::Bool => "",
        Kind::Text => "string",
        Kind::Named(name) => name,
        Kind::TextArray => "stringArray",
        Kind::TextSlice => "strings",
        Kind::Int => "int",
        Kind::IntSlice => "ints",
        Kind::Uint => "uint",
        Kind::Duration => "duration",
    };
    (name.to_owned(), flag.help.to_owned())
}

/// Puts what is said about all flags in one column; sorted by name, without a newline at the end.
fn aligned(mut lines: Vec<Line>) -> String {
    lines.sort_by_key(|line| line.name);
    // In bytes, as Go counts.
    let width = lines.iter().map(|line| line.left.len()).max().unwrap_or(0);
    let indent = format!("\n{}", " ".repeat(width + 3));
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let blanks = " ".repeat(width - line.left.len() + 3);
            format!("{}{blanks}{}", line.left, line.right.replace('\n', &indent))
        })
        .collect();
    text.join("\n").trim_end().to_owned()
}
