//! The types of Go that values have.

use std::fmt;
use std::sync::Arc;

use crate::time::Time;
use crate::value::{List, Map, Pointer, Struct, Text, Value};

/// A type of Go; prints as Go names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`.
    Any,
    Bool,
    Int,
    Int64,
    /// `uint8`.
    Byte,
    /// `float64`.
    Float,
    /// `string`, or a named type of that kind.
    Text(Option<&'static str>),
    /// `time.Time`.
    Time,
    /// A struct, by its name with the package.
    Struct(&'static str),
    Pointer(Arc<Type>),
    List(Arc<Type>),
    /// A map from `string`.
    Map(Arc<Type>),
}

impl Type {
    /// `string`.
    pub const TEXT: Type = Type::Text(None);

    pub fn pointer(to: Type) -> Self {
        Self::Pointer(Arc::new(to))
    }

    pub fn list(element: Type) -> Self {
        Self::List(Arc::new(element))
    }

    pub fn map(element: Type) -> Self {
        Self::Map(Arc::new(element))
    }

    /// Returns the value that a new variable of the type has. Of a struct, its fields are unknown.
    pub(crate) fn zero(&self) -> Value {
        match self {
            Self::Any => Value::any(Value::Nil),
            Self::Bool => Value::Bool(false),
            Self::Int => Value::Int(0),
            Self::Int64 => Value::Int64(0),
            Self::Byte => Value::Byte(0),
            Self::Float => Value::Float(0.0),
            Self::Text(named) => Value::Text(Text {
                named: *named,
                bytes: Arc::new([]),
            }),
            Self::Time => Value::Time(Time::ZERO),
            Self::Struct(name) => Value::Struct(Struct::new(name, Vec::new())),
            Self::Pointer(to) => Value::Pointer(Pointer {
                to: (**to).clone(),
                value: None,
            }),
            Self::List(element) => Value::List(List {
                element: (**element).clone(),
                items: None,
            }),
            Self::Map(element) => Value::Map(Map {
                element: (**element).clone(),
                entries: None,
            }),
        }
    }

    /// Makes the value one that a variable of the type can have.
    pub(crate) fn hold(&self, value: Value) -> Value {
        match self {
            Self::Any => Value::any(value),
            _ => value,
        }
    }

    /// Returns true if the elements of a comparison with `==` may be of this type.
    pub(crate) fn is_comparable(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("interface {}"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Int64 => f.write_str("int64"),
            Self::Byte => f.write_str("uint8"),
            Self::Float => f.write_str("float64"),
            Self::Text(named) => f.write_str(named.unwrap_or("string")),
            Self::Time => f.write_str("time.Time"),
            Self::Struct(name) => f.write_str(name),
            Self::Pointer(to) => write!(f, "*{to}"),
            Self::List(element) => write!(f, "[]{element}"),
            Self::Map(element) => write!(f, "map[string]{element}"),
        }
    }
}
