//! `index`, `slice` and `len`.

use std::sync::Arc;

use super::signature::Called;
use crate::kind::Type;
use crate::value::{List, Map, Text, Value};

pub(super) fn index(given: &[Value]) -> Called {
    let mut item = given[0].in_interface().clone();
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    for index in &given[1..] {
        let index = index.in_interface();
        if item.indirect().is_nil_pointer() {
            return Err("index of nil pointer".to_owned());
        }
        item = match item.indirect() {
            Value::List(list) => {
                let at = position(index, list.items().len())?;
                let out_of_range = || "reflect: slice index out of range".to_owned();
                list.item(at).ok_or_else(out_of_range)?
            }
            Value::Text(Text { bytes, .. }) => {
                let at = position(index, bytes.len())?;
                let out_of_range = || "reflect: string index out of range".to_owned();
                Value::Byte(*bytes.get(at).ok_or_else(out_of_range)?)
            }
            Value::Map(map) => entry(map, index)?,
            other => return Err(format!("can't index item of type {}", other.type_of())),
        };
    }
    Ok(item)
}

/// Returns what a map has for the key, or what a new variable of its elements has.
fn entry(map: &Map, key: &Value) -> Called {
    let expected = Type::TEXT;
    match key {
        Value::Nil => Err(format!("value is nil; should be of type {expected}")),
        Value::Text(Text { named: None, bytes }) => {
            let value = std::str::from_utf8(bytes).ok().and_then(|key| map.get(key));
            Ok(value.unwrap_or_else(|| Value::zero(&map.element)))
        }
        key => {
            let kind = key.type_of();
            Err(format!("value has type {kind}; should be {expected}"))
        }
    }
}

/// Returns an index of at most `len`.
fn position(index: &Value, len: usize) -> Result<usize, String> {
    if *index == Value::Nil {
        return Err("cannot index slice/array with nil".to_owned());
    }
    let Some(at) = index.integer() else {
        let kind = index.type_of();
        return Err(format!("cannot index slice/array with type {kind}"));
    };
    let position = usize::try_from(at).ok().filter(|at| *at <= len);
    position.ok_or_else(|| format!("index out of range: {at}"))
}

pub(super) fn slice(given: &[Value]) -> Called {
    let item = given[0].in_interface();
    if *item == Value::Nil {
        return Err("slice of untyped nil".to_owned());
    }
    let item = item.indirect();
    if item.is_nil_pointer() {
        return Err("slice of nil pointer".to_owned());
    }
    let indexes = &given[1..];
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let len = match item {
        Value::Text(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) => text.bytes.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_of())),
    };
    let mut bounds = vec![0, len];
    for (at, index) in indexes.iter().enumerate() {
        let position = position(index, len)?;
        match bounds.get_mut(at) {
            Some(bound) => *bound = position,
            None => bounds.push(position),
        }
    }
    let mut pairs = bounds.iter().zip(&bounds[1..]);
    if let Some((low, high)) = pairs.find(|(low, high)| low > high) {
        return Err(format!("invalid slice index: {low} > {high}"));
    }
    let range = bounds[0]..bounds[1];
    Ok(match item {
        Value::Text(Text { named, bytes }) => Value::Text(Text {
            named: *named,
            bytes: Arc::from(&bytes[range]),
        }),
        Value::List(List { element, items }) => Value::List(List {
            element: element.clone(),
            items: items.as_ref().map(|items| Arc::from(&items[range])),
        }),
        other => other.clone(),
    })
}

pub(super) fn len(value: &Value) -> Called {
    let value = value.indirect();
    if value.is_nil_pointer() {
        return Err("len of nil pointer".to_owned());
    }
    let len = match value {
        Value::Text(text) => text.bytes.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        // What Go's library says of a value that it did not expect.
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => return Err(format!("len of type {}", other.type_of())),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}
