//! The types of Go that values have.

use std::fmt;
use std::sync::Arc;

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
