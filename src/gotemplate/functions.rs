//! The functions of templates: those of Go, and those of the library that skopeo formats with.

mod compare;
mod index;
pub(crate) mod methods;
mod words;

use std::fmt;

use crate::kind::Type;
use crate::value::{List, Text, Value};
use crate::{escape, format, json};

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
    pub(crate) fn parameter(&self, at: usize) -> Option<&Parameter> {
        self.fixed.get(at).or(self.rest.as_ref())
    }
}

fn function(fixed: impl Into<Vec<Parameter>>, call: fn(&[Value]) -> Called) -> Function {
    Function {
        fixed: fixed.into(),
        rest: None,
        call,
    }
}

fn variadic(
    fixed: impl Into<Vec<Parameter>>,
    rest: Parameter,
    call: fn(&[Value]) -> Called,
) -> Function {
    Function {
        fixed: fixed.into(),
        rest: Some(rest),
        call,
    }
}

/// Returns the function of this name.
pub(crate) fn find(name: &str) -> Option<Function> {
    use Parameter::{Any, Reflected, Typed};
    let text = || Typed(Type::TEXT);
    let int = || Typed(Type::Int);
    Some(match name {
        // These do not evaluate all arguments, and `call` names its first; the executor runs them.
        "and" | "or" | "call" => variadic([Reflected], Reflected, |_| Ok(Value::Nil)),
        "not" => function([Reflected], |given| Ok(Value::Bool(!given[0].is_true()))),
        "index" => variadic([Reflected], Reflected, index::index),
        "slice" => variadic([Reflected], Reflected, index::slice),
        "len" => function([Reflected], |given| index::len(&given[0])),
        "eq" => variadic([Reflected], Reflected, compare::eq),
        "ne" => function([Reflected, Reflected], compare::ne),
        "lt" => function([Reflected, Reflected], compare::lt),
        "le" => function([Reflected, Reflected], compare::le),
        "gt" => function([Reflected, Reflected], compare::gt),
        "ge" => function([Reflected, Reflected], compare::ge),
        "print" => variadic([], Any, |given| Ok(Value::text(format::sprint(given)))),
        "println" => variadic([], Any, |given| Ok(Value::text(format::sprintln(given)))),
        "printf" => variadic([text()], Any, |given| {
            let text = format::sprintf(bytes(&given[0]), &given[1..]);
            Ok(Value::text(text))
        }),
        "html" => variadic([], Any, |given| {
            Ok(Value::text(escape::html(&joined(given))))
        }),
        "js" => variadic([], Any, |given| Ok(Value::text(escape::js(&joined(given))))),
        "urlquery" => variadic([], Any, |given| {
            Ok(Value::text(escape::url_query(&joined(given))))
        }),
        "json" => function([Any], |given| {
            let text = json::json(&given[0], json::HtmlEscapes::No);
            Ok(Value::text(text))
        }),
        "join" => function([Typed(Type::list(Type::TEXT)), text()], |given| {
            Ok(words::join(given))
        }),
        "split" => function([text(), text()], |given| Ok(words::split(given))),
        "lower" => function([text()], |given| Ok(words::lower(&given[0]))),
        "upper" => function([text()], |given| Ok(words::upper(&given[0]))),
        "title" => function([text()], |given| Ok(words::title(&given[0]))),
        "pad" => function([text(), int(), int()], words::pad),
        "truncate" => function([text(), int()], words::truncate),
        _ => return None,
    })
}

/// Returns true if there is a function of this name.
pub(crate) fn is_function(name: &str) -> bool {
    find(name).is_some()
}

/// The bytes of a text; none of anything else.
fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Text(Text { bytes, .. }) => bytes,
        _ => &[],
    }
}

/// Prints the arguments of an escaping function as one text.
fn joined(given: &[Value]) -> Vec<u8> {
    if let [Value::Text(text)] = given
        && text.named.is_none()
    {
        return text.bytes.to_vec();
    }
    let printable = given.iter().map(|value| match value.indirect() {
        Value::Nil => Value::text("<no value>"),
        value => value.clone(),
    });
    format::sprint(&printable.collect::<Vec<_>>())
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => List::items(list),
        _ => &[],
    }
}
