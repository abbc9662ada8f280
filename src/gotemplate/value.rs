//! The values that templates print: what Go would have in its structs, with the types it would have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kind::Type;
use crate::time::Time;

/// A value of Go, with its type. Clones share what they contain.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value at all: the untyped `nil`, or a key that a map does not have.
    Nil,
    /// An `interface {}` that holds a value, or [`Value::Nil`].
    Any(Arc<Value>),
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// An `int64`.
    Int64(i64),
    /// A `uint8`.
    Byte(u8),
    /// A `float64`.
    Float(f64),
    Text(Text),
    /// A `time.Time`.
    Time(Time),
    Pointer(Pointer),
    List(List),
    Map(Map),
    Struct(Struct),
}

/// A `string`, or a type whose kind is string. Not necessarily UTF-8, as in Go.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The name of its type unless it is `string`: `digest.Digest`.
    pub(crate) named: Option<&'static str>,
    pub(crate) bytes: Arc<[u8]>,
}

/// A pointer, which may be nil.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointer {
    pub(crate) to: Type,
    pub(crate) value: Option<Arc<Value>>,
}

/// A slice, which may be nil.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    pub(crate) element: Type,
    pub(crate) items: Option<Arc<[Value]>>,
}

/// A map with keys of type `string`, which may be nil.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub(crate) element: Type,
    pub(crate) entries: Option<Arc<BTreeMap<String, Value>>>,
}

/// A struct: its fields in the order of their declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    pub(crate) name: &'static str,
    pub(crate) fields: Arc<[Field]>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) json: &'static str,
    pub(crate) omit: Omit,
    pub(crate) is_embedded: bool,
    pub(crate) value: Value,
}

/// When JSON leaves a field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Omit {
    Never,
    /// `omitempty`.
    Empty,
    /// `omitzero`.
    Zero,
}

impl Field {
    /// Makes a field whose name in JSON is its own.
    pub fn new(name: &'static str, value: Value) -> Self {
        Self {
            name,
            json: name,
            omit: Omit::Never,
            is_embedded: false,
            value,
        }
    }

    /// Makes a field without a name of its own: its fields are those of the outer struct too.
    pub fn embedded(value: Struct) -> Self {
        let name = value.name.rsplit('.').next().unwrap_or(value.name);
        let mut field = Self::new(name, Value::Struct(value));
        field.is_embedded = true;
        field
    }

    /// Sets the name in JSON.
    #[must_use]
    pub fn json(mut self, name: &'static str) -> Self {
        self.json = name;
        self
    }

    /// Leaves the field out of JSON when it is false, zero, nil or empty; structs never are.
    #[must_use]
    pub fn omit_empty(mut self) -> Self {
        self.omit = Omit::Empty;
        self
    }

    /// Leaves the field out of JSON when it, and all fields in it, have the values of a new variable.
    #[must_use]
    pub fn omit_zero(mut self) -> Self {
        self.omit = Omit::Zero;
        self
    }
}

impl Value {
    /// Makes a `string`.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Text {
            named: None,
            bytes: text.into().into(),
        })
    }

    /// Makes a text of a named type, such as `digest.Digest`.
    pub fn named_text(named: &'static str, text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Text {
            named: Some(named),
            bytes: text.into().into(),
        })
    }

    /// Makes a slice; `None` is nil, which JSON prints as `null`.
    pub fn list(element: Type, items: Option<Vec<Value>>) -> Self {
        Self::List(List {
            element,
            items: items.map(Into::into),
        })
    }

    /// Makes a `[]string`; `None` is nil.
    pub fn texts(texts: Option<Vec<String>>) -> Self {
        let items = texts.map(|texts| texts.into_iter().map(Self::text).collect());
        Self::list(Type::TEXT, items)
    }

    /// Makes a map; `None` is nil, which JSON prints as `null`.
    pub fn map(element: Type, entries: Option<BTreeMap<String, Value>>) -> Self {
        Self::Map(Map {
            element,
            entries: entries.map(Arc::new),
        })
    }

    /// Makes a `map[string]string`; `None` is nil.
    pub fn text_map(entries: Option<BTreeMap<String, String>>) -> Self {
        let entries = entries.map(|entries| {
            let texts = entries.into_iter();
            texts.map(|(key, text)| (key, Self::text(text))).collect()
        });
        Self::map(Type::TEXT, entries)
    }

    /// Makes a struct; `name` is its type with the package, `inspect.Output`.
    pub fn of_struct(name: &'static str, fields: Vec<Field>) -> Self {
        Self::Struct(Struct::new(name, fields))
    }

    /// Makes a pointer.
    pub fn pointer(value: Value) -> Self {
        Self::Pointer(Pointer {
            to: value.type_of(),
            value: Some(Arc::new(value)),
        })
    }

    /// Makes a nil pointer.
    pub fn nil_pointer(to: Type) -> Self {
        Self::Pointer(Pointer { to, value: None })
    }

    /// Makes an `interface {}` that holds the value.
    pub fn any(value: Value) -> Self {
        match value {
            Self::Any(_) => value,
            value => Self::Any(Arc::new(value)),
        }
    }

    /// Returns the type; that of [`Value::Nil`] is `interface {}`.
    pub fn type_of(&self) -> Type {
        match self {
            Self::Nil | Self::Any(_) => Type::Any,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Int64(_) => Type::Int64,
            Self::Byte(_) => Type::Byte,
            Self::Float(_) => Type::Float,
            Self::Text(text) => Type::Text(text.named),
            Self::Time(_) => Type::Time,
            Self::Pointer(pointer) => Type::pointer(pointer.to.clone()),
            Self::List(list) => Type::list(list.element.clone()),
            Self::Map(map) => Type::map(map.element.clone()),
            Self::Struct(value) => Type::Struct(value.name),
        }
    }

    /// Returns the value that a new variable of the type has. Of a struct, its fields are unknown.
    pub(crate) fn zero(of: &Type) -> Self {
        match of {
            Type::Any => Self::any(Self::Nil),
            Type::Bool => Self::Bool(false),
            Type::Int => Self::Int(0),
            Type::Int64 => Self::Int64(0),
            Type::Byte => Self::Byte(0),
            Type::Float => Self::Float(0.0),
            Type::Text(named) => Self::Text(Text {
                named: *named,
                bytes: Arc::new([]),
            }),
            Type::Time => Self::Time(Time::ZERO),
            Type::Struct(name) => Self::of_struct(name, Vec::new()),
            Type::Pointer(to) => Self::nil_pointer((**to).clone()),
            Type::List(element) => Self::list((**element).clone(), None),
            Type::Map(element) => Self::map((**element).clone(), None),
        }
    }

    /// Makes the value what a variable of the type has: one of `interface {}` has the value in it.
    fn held_by(self, of: &Type) -> Self {
        match of {
            Type::Any => Self::any(self),
            _ => self,
        }
    }

    /// The bytes of a text; none of anything else.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => &text.bytes,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Self::List(list) => list.items(),
            _ => &[],
        }
    }

    /// Returns what an `interface {}` holds, or the value itself.
    pub(crate) fn in_interface(&self) -> &Value {
        match self {
            Self::Any(value) => value.in_interface(),
            value => value,
        }
    }

    /// Follows pointers and interfaces; stops at a nil one, and returns it.
    pub(crate) fn indirect(&self) -> &Value {
        match self {
            Self::Any(value) if **value != Value::Nil => value.indirect(),
            Self::Pointer(Pointer {
                value: Some(value), ..
            }) => value.indirect(),
            value => value,
        }
    }

    /// Returns true for a nil pointer, an empty interface, and no value.
    pub(crate) fn is_nil_pointer(&self) -> bool {
        match self {
            Self::Any(value) => **value == Value::Nil,
            Self::Pointer(pointer) => pointer.value.is_none(),
            _ => false,
        }
    }

    /// Returns what `if` makes of the value.
    pub(crate) fn is_true(&self) -> bool {
        match self.in_interface() {
            Self::Nil | Self::Any(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.bytes.is_empty(),
            Self::Pointer(pointer) => pointer.value.is_some(),
            Self::List(list) => !list.items().is_empty(),
            Self::Map(map) => map.len() > 0,
            Self::Time(_) | Self::Struct(_) => true,
        }
    }

    /// Returns the integer, whatever its size.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) | Self::Int64(value) => Some(*value),
            Self::Byte(value) => Some(i64::from(*value)),
            _ => None,
        }
    }
}

impl Struct {
    /// Makes a struct; `name` is its type with the package, `v1.Platform`.
    pub fn new(name: &'static str, fields: Vec<Field>) -> Self {
        Self {
            name,
            fields: fields.into(),
        }
    }

    /// Finds a field, also in embedded structs.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let own = self.fields.iter().find(|field| field.name == name);
        if let Some(field) = own {
            return Some(&field.value);
        }
        let embedded = self.fields.iter().filter(|field| field.is_embedded);
        { embedded }.find_map(|field| match &field.value {
            Value::Struct(inner) => inner.field(name),
            _ => None,
        })
    }
}

impl List {
    pub(crate) fn items(&self) -> &[Value] {
        self.items.as_deref().unwrap_or_default()
    }

    /// Returns the item as Go's index expression would: an element of `[]interface {}` is in one.
    pub(crate) fn item(&self, at: usize) -> Option<Value> {
        let item = self.items().get(at)?.clone();
        Some(item.held_by(&self.element))
    }
}

impl Map {
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.len())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        let value = self.entries.as_ref()?.get(key)?.clone();
        Some(value.held_by(&self.element))
    }

    /// Returns all entries, sorted by their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Value)> {
        let entries = self.entries.iter().flat_map(|entries| entries.iter());
        entries.map(|(key, value)| (key.as_str(), value.clone().held_by(&self.element)))
    }
}
