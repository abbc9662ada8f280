//! The parsed template. Every node prints as the source text that Go quotes in errors.

use std::fmt;

use hod_gotext::quote;

/// A part of a template, and where it begins, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Nodes(Vec<Node>),
    Text(String),
    Action(Pipe),
    Break,
    Continue,
    Branch(Box<Branch>),
    Template {
        name: String,
        pipe: Option<Pipe>,
    },
    Pipe(Pipe),
    Command(Vec<Node>),
    Identifier(String),
    /// A variable and fields of it.
    Variable(Vec<String>),
    Dot,
    Nil,
    Field(Vec<String>),
    /// Fields of anything else.
    Chain(Box<Node>, Vec<String>),
    Bool(bool),
    Number(Number),
    Literal(Literal),
    /// `{{end}}`, which ends a list of nodes.
    End,
    /// `{{else}}`, which ends a list of nodes.
    Else,
}

/// A string constant: as it is written, and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Literal {
    pub source: String,
    pub text: Vec<u8>,
}

/// A number constant, as all the types that it can be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Number {
    pub source: String,
    pub int: Option<i64>,
    pub uint: Option<u64>,
    pub float: Option<f64>,
}

/// Commands, each of which gets the value of the one before, and variables that get the last value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipe {
    pub at: usize,
    /// Whether the variables exist already.
    pub is_assignment: bool,
    pub variables: Vec<String>,
    pub commands: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    If,
    Range,
    With,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Branch {
    pub word: Word,
    pub pipe: Pipe,
    pub then: Node,
    pub otherwise: Option<Node>,
}

impl Word {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Range => "range",
            Self::With => "with",
        }
    }
}

impl Node {
    /// Returns true if the node has no effect.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Nodes(nodes) => nodes.iter().all(Node::is_empty),
            Kind::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Nodes(nodes) => nodes.iter().try_for_each(|node| write!(f, "{node}")),
            Kind::Text(text) => f.write_str(text),
            Kind::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            Kind::Break => f.write_str("{{break}}"),
            Kind::Continue => f.write_str("{{continue}}"),
            Kind::End => f.write_str("{{end}}"),
            Kind::Else => f.write_str("{{else}}"),
            Kind::Branch(branch) => {
                let Branch { word, pipe, .. } = &**branch;
                write!(f, "{{{{{} {pipe}}}}}{}", word.as_str(), branch.then)?;
                if let Some(otherwise) = &branch.otherwise {
                    write!(f, "{{{{else}}}}{otherwise}")?;
                }
                f.write_str("{{end}}")
            }
            Kind::Template { name, pipe } => {
                write!(f, "{{{{template {}", quote(name))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
            Kind::Pipe(pipe) => write!(f, "{pipe}"),
            Kind::Command(arguments) => {
                for (at, argument) in arguments.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    argument.in_parentheses(f)?;
                }
                Ok(())
            }
            Kind::Identifier(name) => f.write_str(name),
            Kind::Variable(names) => f.write_str(&names.join(".")),
            Kind::Dot => f.write_str("."),
            Kind::Nil => f.write_str("nil"),
            Kind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Kind::Chain(node, names) => {
                node.in_parentheses(f)?;
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Number(number) => f.write_str(&number.source),
            Kind::Literal(literal) => f.write_str(&literal.source),
        }
    }
}

impl Node {
    /// Prints a node that is part of another: pipelines are in parentheses there.
    fn in_parentheses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Pipe(pipe) => write!(f, "({pipe})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.is_assignment { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            if at > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}
