//! What functions take and give.

use std::fmt;

use crate::kind::Type;
use crate::value::Value;

/// What a function takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parameter {
    /// Anything, also no value at all.
    Reflected,
    /// Anything, out of the interface that it is in.
    Any,
    Typed(Type),
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reflected => f.write_str("reflect.Value"),
            Self::Any => f.write_str("interface {}"),
            Self::Typed(kind) => write!(f, "{kind}"),
        }
    }
}

/// The result, or what follows "error calling NAME: ".
pub(crate) type Called = Result<Value, String>;

/// A function and what it takes.
pub(crate) struct Function {
    pub fixed: Vec<Parameter>,
    /// What all further arguments are.
    pub rest: Option<Parameter>,
    /// Called with as many arguments as `fixed` and `rest` say.
    pub call: fn(&[Value]) -> Called,
}

impl Function {
    /// Makes a function that takes just these.
    pub(super) fn plain(fixed: impl Into<Vec<Parameter>>, call: fn(&[Value]) -> Called) -> Self {
        Self {
            fixed: fixed.into(),
            rest: None,
            call,
        }
    }

    /// Makes a function that takes any number of `rest` after these.
    pub(super) fn variadic(
        fixed: impl Into<Vec<Parameter>>,
        rest: Parameter,
        call: fn(&[Value]) -> Called,
    ) -> Self {
        Self {
            rest: Some(rest),
            ..Self::plain(fixed, call)
        }
    }

    pub(crate) fn parameter(&self, at: usize) -> Option<&Parameter> {
        self.fixed.get(at).or(self.rest.as_ref())
    }
}
