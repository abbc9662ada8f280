//! The declaration of a flag.

use crate::value::{Kind, Value};

/// A flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    pub name: &'static str,
    /// An ASCII character.
    pub shorthand: Option<char>,
    pub kind: Kind,
    /// What `--help` says; a word in backquotes names the value.
    pub help: &'static str,
    /// The text of a flag that was not given.
    pub default: String,
    /// Whether `--help` leaves it out.
    pub is_hidden: bool,
    /// What to use instead.
    pub deprecated: Option<&'static str>,
}

impl Flag {
    pub fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            shorthand: None,
            kind,
            help,
            default: String::new(),
            is_hidden: false,
            deprecated: None,
        }
    }

    #[must_use]
    pub fn short(mut self, shorthand: char) -> Self {
        self.shorthand = Some(shorthand);
        self
    }

    /// Sets the text of a flag that was not given; only for kinds that are one text.
    #[must_use]
    pub fn default_text(mut self, text: impl Into<String>) -> Self {
        self.default = text.into();
        self
    }

    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    /// Marks the flag as deprecated, which hides it; its use gives a notice with this text.
    #[must_use]
    pub fn deprecated(mut self, instead: &'static str) -> Self {
        self.deprecated = Some(instead);
        self.hidden()
    }

    /// Returns the value that stands for a flag without one.
    pub(crate) fn implied(&self) -> Option<&'static str> {
        (self.kind == Kind::Bool).then_some("true")
    }

    /// Returns the value of a flag that was not given.
    pub(crate) fn initial(&self) -> Value {
        match self.kind {
            Kind::Bool => Value::Bool(false),
            Kind::Text | Kind::Named(_) => Value::Text(self.default.clone()),
            Kind::TextArray | Kind::TextSlice => Value::Texts(Vec::new()),
            Kind::Int => Value::Int(0),
            Kind::IntSlice => Value::Ints(Vec::new()),
            Kind::Uint => Value::Uint(0),
            Kind::Duration => Value::Duration(0),
        }
    }

    /// Returns how errors name the flag.
    pub(crate) fn spelled(&self) -> String {
        match self.shorthand {
            Some(shorthand) => format!("-{shorthand}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}
