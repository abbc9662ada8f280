//! What may stand at the end of a command line, as cobra's `__complete` says it.

use crate::flag::Flag;
use crate::program::{Command, Program, help_flag};

/// What may stand there, and what a shell is to make of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    pub candidates: Vec<Candidate>,
    pub then: Then,
}

/// A word that may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub word: String,
    /// Empty where nothing is said of it.
    pub help: String,
}

/// What a shell is to do besides, by cobra's numbers (`ShellCompDirective`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// Offer files if there is no candidate.
    #[default]
    Files = 0,
    Nothing = 4,
    /// No space follows the candidate.
    NoSpace = 6,
}

impl Then {
    /// Cobra's names of what a number stands for.
    pub fn names(self) -> &'static str {
        match self {
            Self::Files => "ShellCompDirectiveDefault",
            Self::Nothing => "ShellCompDirectiveNoFileComp",
            Self::NoSpace => "ShellCompDirectiveNoSpace, ShellCompDirectiveNoFileComp",
        }
    }
}

impl Program {
    /// Completes the last of `words`, which are those behind the name of the program. `arguments_of`
    /// says what the arguments of a command begin with; nothing for those that are files.
    pub fn complete(
        &self,
        words: &[String],
        arguments_of: impl Fn(&Command) -> &'static [&'static str],
    ) -> Completion {
        let Some((last, before)) = words.split_last() else {
            return Completion::default();
        };
        let place = self.place(before);
        let are_flags_over = before.iter().any(|word| word == "--");
        if place.is_value {
            return Completion::default();
        }
        if last.starts_with('-') && !are_flags_over {
            if last.contains('=') {
                return Completion::default();
            }
            let flags = self.flags_of(place.command);
            return Completion {
                candidates: beginning(flags, last),
                then: Then::Nothing,
            };
        }
        match place.command {
            Some(command) => {
                let starts = arguments_of(command).iter();
                let candidates: Vec<Candidate> = starts.map(|start| candidate(start, "")).collect();
                let then = if candidates.is_empty() {
                    Then::Files
                } else {
                    Then::NoSpace
                };
                // All of them, as cobra has it: the scripts leave out what does not fit.
                Completion { candidates, then }
            }
            None if place.is_unknown => Completion::default(),
            None => Completion {
                candidates: beginning(self.names(), last),
                then: Then::Nothing,
            },
        }
    }

    /// The commands, with `help`.
    fn names(&self) -> Vec<Candidate> {
        let shown = self.commands.iter().filter(|command| !command.is_hidden);
        let mut names: Vec<Candidate> = shown
            .map(|command| candidate(command.name, command.summary))
            .chain([candidate("help", "Help about any command")])
            .collect();
        names.sort_by(|a, b| a.word.cmp(&b.word));
        names
    }

    fn flags_of(&self, command: Option<&Command>) -> Vec<Candidate> {
        let name = command.map_or(self.name, |command| command.name);
        let own = command.map_or(&self.flags, |command| &command.flags);
        let mut help = candidates_of(&help_flag(""));
        for one in &mut help {
            one.help = format!("help for {name}");
        }
        let sorted = |mut flags: Vec<Vec<Candidate>>| {
            flags.sort_by(|a, b| a[0].word.cmp(&b[0].word));
            flags.concat()
        };
        let shown = |flags: &[Flag]| -> Vec<Vec<Candidate>> {
            let shown = flags.iter().filter(|flag| !flag.is_hidden);
            shown.map(candidates_of).collect()
        };
        let mut own = shown(own);
        own.push(help);
        let mut globals = shown(&self.globals);
        if command.is_none() {
            globals.extend(own);
            return sorted(globals);
        }
        [sorted(globals), sorted(own)].concat()
    }

    /// What the words in front of the last one make of it.
    fn place(&self, before: &[String]) -> Place<'_> {
        let mut place = Place::default();
        for word in before {
            if place.is_value {
                place.is_value = false;
            } else if word.starts_with('-') && word != "-" {
                place.is_value = self.takes_next(place.command, word);
            } else if place.command.is_none() && !place.is_unknown && word != "help" {
                place.command = self.command(word);
                place.is_unknown = place.command.is_none();
            }
        }
        place
    }

    /// Whether the word after a flag is its value.
    fn takes_next(&self, command: Option<&Command>, word: &str) -> bool {
        if word.contains('=') || word == "--" {
            return false;
        }
        let own = command.map_or(&self.flags, |command| &command.flags);
        let mut flags = own.iter().chain(&self.globals);
        let found = match word.strip_prefix("--") {
            Some(name) => flags.find(|flag| flag.name == name),
            None => flags.find(|flag| flag.shorthand.is_some_and(|short| word.ends_with(short))),
        };
        found.is_some_and(|flag| flag.implied().is_none())
    }
}

/// Where a word stands.
#[derive(Debug, Default)]
struct Place<'p> {
    command: Option<&'p Command>,
    /// Behind a word that is not a command.
    is_unknown: bool,
    /// Behind a flag that takes a value.
    is_value: bool,
}

/// The forms of a flag, the long one first.
fn candidates_of(flag: &Flag) -> Vec<Candidate> {
    let long = candidate(&format!("--{}", flag.name), flag.help);
    let short = flag.shorthand;
    let short = short.map(|short| candidate(&format!("-{short}"), flag.help));
    std::iter::once(long).chain(short).collect()
}

fn candidate(word: &str, help: &str) -> Candidate {
    Candidate {
        word: word.to_owned(),
        help: help.to_owned(),
    }
}

fn beginning(candidates: Vec<Candidate>, start: &str) -> Vec<Candidate> {
    let candidates = candidates.into_iter();
    candidates
        .filter(|one| one.word.starts_with(start))
        .collect()
}
