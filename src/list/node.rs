//! The tree of a document: strings as written, with their lines.

/// A value, and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// No value, `~` or `null`.
    Null,
    /// Any other scalar, as written.
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Pair>),
}

/// A key of a mapping, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The line of the key.
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    /// The pairs of a mapping; none if there is no value, and `None` if it is something else.
    pub(super) fn pairs(&self) -> Option<&[Pair]> {
        match &self.value {
            Value::Null => Some(&[]),
            Value::Mapping(pairs) => Some(pairs),
            Value::Text(_) | Value::Sequence(_) => None,
        }
    }

    /// The boolean that it is, in the words of YAML 1.1, which the tools take too.
    pub(super) fn boolean(&self) -> Option<bool> {
        let Value::Text(text) = &self.value else {
            return None;
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl Value {
    /// What it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a string",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// One document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) root: Node,
    /// Keys that their mapping has already. The first one counts.
    pub(super) repeated: Vec<RepeatedKey>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct RepeatedKey {
    pub(super) line: usize,
    pub(super) key: String,
    /// The line of the first one.
    pub(super) first: usize,
}

/// Why a text is not a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DocumentError {
    /// Counted from one.
    pub(super) line: usize,
    /// Never has a part of the document in it, which may be a password.
    pub(super) reason: String,
}
