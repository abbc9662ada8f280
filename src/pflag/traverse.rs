//! From a command line to what it asks for.

use crate::error::FlagError;
use crate::flag::Flag;
use crate::parse::{Group, Values, parse};
use crate::program::{Command, Program, help_flag};

/// What a command line asks for.
#[derive(Debug)]
pub enum Request<'p> {
    Run(Invocation<'p>),
    /// `--help`, or the command `help`; of the program if no command is named.
    Help(Option<&'p Command>),
    /// `help help`.
    HelpOfHelp,
    Version,
    /// The command `help` with words that are not a command.
    UnknownTopic(Vec<String>),
}

/// A command that is to run.
#[derive(Debug)]
pub struct Invocation<'p> {
    /// None if the command line has none, or an unknown one, which is then the first argument.
    pub command: Option<&'p Command>,
    /// The flags of the command.
    pub flags: Values,
    /// The flags of the program: those that may stand anywhere, and those before the command.
    pub globals: Values,
    pub arguments: Vec<String>,
}

/// What was found in front of the flags of a command.
enum Found<'p> {
    Root,
    Help,
    Command(&'p Command),
}

impl Program {
    /// Reads a command line, without the name of the program.
    pub fn parse(&self, arguments: &[String]) -> Result<Request<'_>, FlagError> {
        let mut globals = Values::of(self.globals.iter().chain(&self.flags));
        let (found, before, after) = self.traverse(arguments);
        if !matches!(found, Found::Root) {
            let flags = self.root_flags().collect();
            let values = &mut globals;
            parse(&mut [Group { flags, values }], &before)?;
        }
        let help = help_flag("");
        let mut asked = Values::of([&help]);
        let own: &[Flag] = match found {
            Found::Root => &self.flags,
            Found::Help => &[],
            Found::Command(command) => &command.flags,
        };
        let mut flags = Values::of(own);
        let arguments = {
            let mut own_group = Group {
                flags: own.iter().collect(),
                values: &mut flags,
            };
            let mut global_group = Group {
                flags: self.globals.iter().collect(),
                values: &mut globals,
            };
            if matches!(found, Found::Root) {
                global_group.flags = self.root_flags().collect();
                own_group.flags.clear();
            }
            let help_group = Group {
                flags: vec![&help],
                values: &mut asked,
            };
            parse(&mut [own_group, global_group, help_group], &after)?
        };
        let is_help = asked.bool("help");
        Ok(match found {
            Found::Root if is_help => Request::Help(None),
            Found::Root if globals.bool("version") => Request::Version,
            Found::Help if is_help => Request::HelpOfHelp,
            Found::Help => self.topic(arguments),
            Found::Command(command) if is_help => Request::Help(Some(command)),
            Found::Root => Request::Run(Invocation {
                command: None,
                flags: Values::default(),
                globals,
                arguments,
            }),
            Found::Command(command) => Request::Run(Invocation {
                command: Some(command),
                flags,
                globals,
                arguments,
            }),
        })
    }

    fn root_flags(&self) -> impl Iterator<Item = &Flag> {
        self.flags.iter().chain(&self.globals)
    }

    /// Finds the command, and returns the flags before it, and all that follows it. A flag that is not
    /// a known boolean takes the next argument with it.
    fn traverse(&self, arguments: &[String]) -> (Found<'_>, Vec<String>, Vec<String>) {
        let (mut flags, mut is_value) = (Vec::new(), false);
        for (at, argument) in arguments.iter().enumerate() {
            let has_sign = argument.contains('=');
            let short = argument.strip_prefix('-').filter(|rest| rest.len() == 1);
            if let Some(name) = argument.strip_prefix("--").filter(|_| !has_sign) {
                is_value = !self.is_boolean(|flag| flag.name == name);
            } else if let Some(letter) = short.filter(|_| !has_sign)
                && !self.is_boolean(|flag| flag.shorthand.is_some_and(|s| letter == s.to_string()))
            {
                is_value = true;
            } else if is_value {
                is_value = false;
            } else if !is_flag(argument) {
                let after = arguments[at + 1..].to_vec();
                if argument == "help" {
                    return (Found::Help, flags, after);
                }
                let Some(command) = self.command(argument) else {
                    break;
                };
                return (Found::Command(command), flags, after);
            }
            flags.push(argument.clone());
        }
        (Found::Root, Vec::new(), arguments.to_vec())
    }

    fn is_boolean(&self, fits: impl Fn(&Flag) -> bool) -> bool {
        let flag = self.root_flags().find(|flag| fits(flag));
        flag.is_some_and(|flag| flag.implied().is_some())
    }

    fn topic(&self, words: Vec<String>) -> Request<'_> {
        // Words that look like flags are passed over.
        let mut topics = words.iter().take_while(|word| *word != "--");
        let is_word = |word: &&String| !word.is_empty() && !word.starts_with('-');
        let Some(first) = topics.find(is_word) else {
            return Request::Help(None);
        };
        if first == "help" {
            return Request::HelpOfHelp;
        }
        match self.command(first) {
            Some(command) => Request::Help(Some(command)),
            None => Request::UnknownTopic(words),
        }
    }
}

fn is_flag(argument: &str) -> bool {
    match argument.strip_prefix("--") {
        Some(name) => !name.is_empty(),
        None => argument.len() > 1 && argument.starts_with('-'),
    }
}
