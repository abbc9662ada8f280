//! Arguments become values of flags.

use std::collections::BTreeMap;

use crate::error::FlagError;
use crate::flag::Flag;
use crate::value::{self, Value};

/// What flags were set to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    set: BTreeMap<&'static str, Value>,
    initial: BTreeMap<&'static str, Value>,
    notices: Vec<String>,
}

impl Values {
    pub(crate) fn of<'f>(flags: impl IntoIterator<Item = &'f Flag>) -> Self {
        let initial = flags.into_iter().map(|flag| (flag.name, flag.initial()));
        Self {
            initial: initial.collect(),
            ..Self::default()
        }
    }

    /// Returns true if the flag was given.
    pub fn is_set(&self, name: &str) -> bool {
        self.set.contains_key(name)
    }

    /// Returns the value of a flag, or of one that was not given; `None` if there is no such flag.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.set.get(name).or_else(|| self.initial.get(name))
    }

    /// Returns the value of a boolean.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Bool(true)))
    }

    /// Returns the value of a boolean if it was given.
    pub fn optional_bool(&self, name: &str) -> Option<bool> {
        self.is_set(name).then(|| self.bool(name))
    }

    /// Returns the value of a text.
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// Returns the value of a text if it was given.
    pub fn optional_text(&self, name: &str) -> Option<&str> {
        self.is_set(name).then(|| self.text(name))
    }

    /// Returns the values of a flag that takes many.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// Notices of deprecated flags, in the order of their use.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    fn set(&mut self, flag: &Flag, text: &str) -> Result<(), FlagError> {
        let read = value::read(flag.kind, text, self.set.get(flag.name));
        let value = read.map_err(|reason| FlagError::Invalid {
            flag: flag.spelled(),
            value: text.to_owned(),
            reason,
        })?;
        self.set.insert(flag.name, value);
        if let Some(instead) = flag.deprecated {
            let name = flag.name;
            self.notices
                .push(format!("Flag --{name} has been deprecated, {instead}"));
        }
        Ok(())
    }
}

/// Flags that share their values.
pub(crate) struct Group<'a> {
    pub flags: Vec<&'a Flag>,
    pub values: &'a mut Values,
}

/// Reads arguments for groups of flags; a name in a group hides it in the later ones. Returns the
/// arguments that are no flags.
pub(crate) fn parse(
    groups: &mut [Group<'_>],
    arguments: &[String],
) -> Result<Vec<String>, FlagError> {
    let mut parser = Parser { groups, arguments };
    let mut others = Vec::new();
    while let Some((first, rest)) = parser.arguments.split_first() {
        parser.arguments = rest;
        if first == "--" {
            others.extend_from_slice(rest);
            break;
        } else if let Some(long) = first.strip_prefix("--") {
            parser.long(long)?;
        } else if first.len() > 1 && first.starts_with('-') {
            parser.cluster(&first[1..])?;
        } else {
            others.push(first.clone());
        }
    }
    Ok(others)
}

struct Parser<'p, 'a> {
    groups: &'p mut [Group<'a>],
    arguments: &'p [String],
}

impl Parser<'_, '_> {
    /// Returns the group and the flag that fits.
    fn find(&self, fits: impl Fn(&Flag) -> bool) -> Option<(usize, Flag)> {
        let groups = self.groups.iter().enumerate();
        let mut found = groups.filter_map(|(at, group)| {
            let flag = group.flags.iter().find(|flag| fits(flag))?;
            Some((at, (*flag).clone()))
        });
        found.next()
    }

    fn set(&mut self, group: usize, flag: &Flag, value: &str) -> Result<(), FlagError> {
        self.groups[group].values.set(flag, value)
    }

    fn take(&mut self) -> Option<String> {
        let (first, rest) = self.arguments.split_first()?;
        self.arguments = rest;
        Some(first.clone())
    }

    /// Reads what follows two hyphens.
    fn long(&mut self, argument: &str) -> Result<(), FlagError> {
        if argument.starts_with(['-', '=']) {
            let argument = format!("--{argument}");
            return Err(FlagError::Syntax { argument });
        }
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, None),
        };
        let Some((group, flag)) = self.find(|flag| flag.name == name) else {
            return Err(match name {
                "help" => FlagError::Help,
                name => FlagError::Unknown {
                    name: name.to_owned(),
                },
            });
        };
        let value = match (value, flag.implied()) {
            (Some(value), _) => Some(value.to_owned()),
            (None, Some(implied)) => Some(implied.to_owned()),
            (None, None) => self.take(),
        };
        let value = value.ok_or_else(|| FlagError::MissingValue {
            name: name.to_owned(),
        })?;
        self.set(group, &flag, &value)
    }

    /// Reads what follows one hyphen: flags, and the value of the last one.
    fn cluster(&mut self, cluster: &str) -> Result<(), FlagError> {
        let mut rest = cluster;
        while let Some(byte) = rest.bytes().next() {
            // What tests of Go take; everything else ignores it.
            if rest.starts_with("test.") {
                return Ok(());
            }
            // Go takes a byte for the character.
            let shorthand = char::from(byte);
            let cluster = rest.to_owned();
            let Some((group, flag)) = self.find(|flag| flag.shorthand == Some(shorthand)) else {
                return Err(match shorthand {
                    'h' => FlagError::Help,
                    shorthand => FlagError::UnknownShorthand { shorthand, cluster },
                });
            };
            rest = &rest[1..];
            let behind_sign = rest.strip_prefix('=').filter(|value| !value.is_empty());
            let value = match (behind_sign, flag.implied()) {
                (Some(value), _) => {
                    rest = "";
                    Some(value.to_owned())
                }
                (None, Some(implied)) => Some(implied.to_owned()),
                (None, None) if !rest.is_empty() => Some(std::mem::take(&mut rest).to_owned()),
                (None, None) => self.take(),
            };
            let value = value.ok_or(FlagError::MissingShorthandValue { shorthand, cluster })?;
            self.set(group, &flag, &value)?;
        }
        Ok(())
    }
}
