//! The methods that the values of an image have in Go: those of times and of digests.
//!
//! Of times, those that return times, numbers or texts. `Month` and `Weekday` are left out, whose
//! types have methods too.

use super::signature::{Called, Parameter};
use crate::kind::Type;
use crate::time::Time;
use crate::value::{Pointer, Value};

/// A method and what it takes. It is called with its receiver and its name.
pub(crate) struct Method {
    pub parameters: Vec<Parameter>,
    pub call: fn(&Value, &str, &[Value]) -> Called,
}

/// The name of the type of digests.
const DIGEST: &str = "digest.Digest";

pub(crate) fn find(receiver: &Value, name: &str) -> Option<Method> {
    match receiver {
        Value::Time(_) => of_time(name),
        Value::Pointer(Pointer { to, value: None }) if *to == Type::Time => {
            let method = of_time(name)?;
            Some(Method {
                parameters: method.parameters,
                call: |_, name, _| {
                    Err(format!(
                        "value method time.Time.{name} called using nil *Time pointer"
                    ))
                },
            })
        }
        Value::Text(text) if text.named == Some(DIGEST) => of_digest(name),
        _ => None,
    }
}

/// Returns true for the fields of a time, which only Go's library may read.
pub(crate) fn is_private_field(name: &str) -> bool {
    matches!(name, "wall" | "ext" | "loc")
}

/// Returns true for types that have fields.
pub(crate) fn is_struct(kind: &Type) -> bool {
    matches!(kind, Type::Struct(_) | Type::Time)
}

fn of_time(name: &str) -> Option<Method> {
    let call: fn(&Value, &str, &[Value]) -> Called = match name {
        "Format" => {
            return Some(Method {
                parameters: vec![Parameter::Typed(Type::TEXT)],
                call: |receiver, _, given| {
                    let layout = String::from_utf8_lossy(given[0].bytes());
                    Ok(Value::text(time(receiver).format(&layout)))
                },
            });
        }
        "String" => |receiver, _, _| Ok(Value::text(time(receiver).to_string())),
        "UTC" => |receiver, _, _| Ok(Value::Time(time(receiver).to_utc())),
        "IsZero" => |receiver, _, _| Ok(Value::Bool(time(receiver).is_zero())),
        "Unix" => |receiver, _, _| Ok(since_1970(receiver, 1)),
        "UnixMilli" => |receiver, _, _| Ok(since_1970(receiver, 1_000)),
        "UnixMicro" => |receiver, _, _| Ok(since_1970(receiver, 1_000_000)),
        "UnixNano" => |receiver, _, _| Ok(since_1970(receiver, 1_000_000_000)),
        "Year" | "YearDay" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" => {
            |receiver, name, _| Ok(Value::Int(time(receiver).part(name).unwrap_or(0)))
        }
        _ => return None,
    };
    let parameters = Vec::new();
    Some(Method { parameters, call })
}

fn time(receiver: &Value) -> Time {
    match receiver {
        Value::Time(time) => *time,
        _ => Time::ZERO,
    }
}

/// Returns the parts of a second since 1970, as Go's wrapping integers have them.
fn since_1970(receiver: &Value, parts: i64) -> Value {
    let time = time(receiver);
    let fraction = i64::from(time.nanos()) / (1_000_000_000 / parts);
    Value::Int64(time.unix().wrapping_mul(parts).wrapping_add(fraction))
}

fn of_digest(name: &str) -> Option<Method> {
    let call: fn(&Value, &str, &[Value]) -> Called = match name {
        "String" => |receiver, _, _| Ok(Value::text(receiver.bytes())),
        "Encoded" | "Hex" => |receiver, _, _| {
            let (_, encoded) = halves(receiver)?;
            Ok(Value::text(encoded))
        },
        "Algorithm" => |receiver, _, _| {
            let (algorithm, _) = halves(receiver)?;
            Ok(Value::named_text("digest.Algorithm", algorithm))
        },
        _ => return None,
    };
    let parameters = Vec::new();
    Some(Method { parameters, call })
}

/// Splits a digest at its colon.
fn halves(receiver: &Value) -> Result<(&[u8], &[u8]), String> {
    let digest = receiver.bytes();
    match digest.iter().position(|byte| *byte == b':') {
        Some(at) => Ok((&digest[..at], &digest[at + 1..])),
        None => Err(format!(
            "no ':' separator in digest {}",
            hod_gotext::quote(digest)
        )),
    }
}
