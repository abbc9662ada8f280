//! Comparisons. Only simple values can be ordered; the integers of all sizes compare with each other.

use std::cmp::Ordering;
use std::mem::discriminant;
use std::sync::Arc;

use super::signature::Called;
use crate::format::sprintf;
use crate::value::{Pointer, Struct, Value};

const BAD_TYPE: &str = "invalid type for comparison";

/// What a value compares as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Uint,
    Float,
    Text,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_) | Value::Int64(_) => Basic::Int,
        Value::Byte(_) => Basic::Uint,
        Value::Float(_) => Basic::Float,
        Value::Text(_) => Basic::Text,
        _ => return None,
    })
}

/// Returns true if the first value equals any other.
pub(super) fn eq(given: &[Value]) -> Called {
    let first = given[0].in_interface();
    if given.len() == 1 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in &given[1..] {
        if are_equal(first, other.in_interface())? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn are_equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (basic(a), basic(b)) {
        (Some(Basic::Int | Basic::Uint), Some(Basic::Int | Basic::Uint)) => {
            Ok(a.integer() == b.integer())
        }
        (kind, other) if kind != other => {
            if *a == Value::Nil || *b == Value::Nil {
                return Ok(false);
            }
            Err(incompatible(a, b))
        }
        (None, _) => are_equal_compounds(a, b),
        (Some(_), _) => match (a, b) {
            (Value::Text(a), Value::Text(b)) => Ok(a.bytes == b.bytes),
            (a, b) => Ok(a == b),
        },
    }
}

fn are_equal_compounds(a: &Value, b: &Value) -> Result<bool, String> {
    let is_either_nil = *a == Value::Nil || *b == Value::Nil;
    if !is_either_nil && discriminant(a) != discriminant(b) {
        let text = |value: &Value| printed(b"%s", value);
        return Err(format!(
            "non-comparable types {}: {}, {}: {}",
            text(a),
            a.type_of(),
            b.type_of(),
            printed(b"%v", b)
        ));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    if !is_comparable(b) {
        return Err(format!(
            "non-comparable type {}: {}",
            printed(b"%s", b),
            b.type_of()
        ));
    }
    Ok(match (a, b) {
        (
            Value::Pointer(Pointer { value: Some(a), .. }),
            Value::Pointer(Pointer { value: Some(b), .. }),
        ) => Arc::ptr_eq(a, b),
        (a, b) => a.type_of() == b.type_of() && a == b,
    })
}

fn printed(format: &[u8], value: &Value) -> String {
    let text = sprintf(format, std::slice::from_ref(value));
    String::from_utf8_lossy(&text).into_owned()
}

fn is_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Pointer(pointer) => pointer.value.is_none(),
        Value::List(list) => list.items.is_none(),
        Value::Map(map) => map.entries.is_none(),
        _ => false,
    }
}

fn is_comparable(value: &Value) -> bool {
    match value {
        Value::Struct(Struct { fields, .. }) => {
            fields.iter().all(|field| is_comparable(&field.value))
        }
        value => value.type_of().is_comparable(),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_of(),
        b.type_of()
    )
}

pub(super) fn ne(given: &[Value]) -> Called {
    Ok(Value::Bool(!are_equal(
        given[0].in_interface(),
        given[1].in_interface(),
    )?))
}

fn order(given: &[Value]) -> Result<Option<Ordering>, String> {
    let (a, b) = (given[0].in_interface(), given[1].in_interface());
    let (Some(kind), Some(other)) = (basic(a), basic(b)) else {
        return Err(BAD_TYPE.to_owned());
    };
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.bytes.cmp(&b.bytes))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Bool(_), Value::Bool(_)) => Err(BAD_TYPE.to_owned()),
        (a, b) => match (kind, other) {
            (Basic::Int | Basic::Uint, Basic::Int | Basic::Uint) => {
                Ok(Some(a.integer().cmp(&b.integer())))
            }
            _ => Err(incompatible(a, b)),
        },
    }
}

pub(super) fn lt(given: &[Value]) -> Called {
    Ok(Value::Bool(order(given)? == Some(Ordering::Less)))
}

pub(super) fn le(given: &[Value]) -> Called {
    let order = order(given)?;
    let is_le = matches!(order, Some(Ordering::Less | Ordering::Equal));
    Ok(Value::Bool(is_le))
}

pub(super) fn gt(given: &[Value]) -> Called {
    let order = order(given)?;
    let is_le = matches!(order, Some(Ordering::Less | Ordering::Equal));
    Ok(Value::Bool(!is_le))
}

pub(super) fn ge(given: &[Value]) -> Called {
    Ok(Value::Bool(order(given)? != Some(Ordering::Less)))
}
