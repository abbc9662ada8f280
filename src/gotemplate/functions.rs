//! The functions of templates: those of Go, and those of the library that skopeo formats with.

mod compare;
mod index;
pub(crate) mod methods;
mod signature;
mod words;

pub(crate) use signature::{Function, Parameter};

use crate::kind::Type;
use crate::value::Value;
use crate::{escape, format, json};

/// Returns the function of this name.
pub(crate) fn find(name: &str) -> Option<Function> {
    use Parameter::{Any, Reflected, Typed};
    let text = || Typed(Type::TEXT);
    let int = || Typed(Type::Int);
    Some(match name {
        // These do not evaluate all arguments, and `call` names its first; the executor runs them.
        "and" | "or" | "call" => Function::variadic([Reflected], Reflected, |_| Ok(Value::Nil)),
        "not" => Function::plain([Reflected], |given| Ok(Value::Bool(!given[0].is_true()))),
        "index" => Function::variadic([Reflected], Reflected, index::index),
        "slice" => Function::variadic([Reflected], Reflected, index::slice),
        "len" => Function::plain([Reflected], |given| index::len(&given[0])),
        "eq" => Function::variadic([Reflected], Reflected, compare::eq),
        "ne" => Function::plain([Reflected, Reflected], compare::ne),
        "lt" => Function::plain([Reflected, Reflected], compare::lt),
        "le" => Function::plain([Reflected, Reflected], compare::le),
        "gt" => Function::plain([Reflected, Reflected], compare::gt),
        "ge" => Function::plain([Reflected, Reflected], compare::ge),
        "print" => Function::variadic([], Any, |given| Ok(Value::text(format::sprint(given)))),
        "println" => Function::variadic([], Any, |given| Ok(Value::text(format::sprintln(given)))),
        "printf" => Function::variadic([text()], Any, |given| {
            let text = format::sprintf(given[0].bytes(), &given[1..]);
            Ok(Value::text(text))
        }),
        "html" => Function::variadic([], Any, |given| {
            Ok(Value::text(escape::html(&joined(given))))
        }),
        "js" => Function::variadic([], Any, |given| Ok(Value::text(escape::js(&joined(given))))),
        "urlquery" => Function::variadic([], Any, |given| {
            Ok(Value::text(escape::url_query(&joined(given))))
        }),
        "json" => Function::plain([Any], |given| {
            let text = json::json(&given[0], json::HtmlEscapes::No);
            Ok(Value::text(text))
        }),
        "join" => Function::plain([Typed(Type::list(Type::TEXT)), text()], words::join),
        "split" => Function::plain([text(), text()], words::split),
        "lower" => Function::plain([text()], |given| Ok(words::lower(&given[0]))),
        "upper" => Function::plain([text()], |given| Ok(words::upper(&given[0]))),
        "title" => Function::plain([text()], |given| Ok(words::title(&given[0]))),
        "pad" => Function::plain([text(), int(), int()], words::pad),
        "truncate" => Function::plain([text(), int()], words::truncate),
        _ => return None,
    })
}

/// Returns true if there is a function of this name.
pub(crate) fn is_function(name: &str) -> bool {
    find(name).is_some()
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
