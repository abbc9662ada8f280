//! Fields of structs, keys of maps, and methods.

use super::call::Callee;
use super::command::Given;
use super::{Evaluated, State};
use crate::functions::methods;
use crate::node::Node;
use crate::value::{Pointer, Value};

impl<'t> State<'t> {
    /// Follows a chain of names. What is given is given to the last one.
    pub(super) fn fields(
        &mut self,
        node: &'t Node,
        names: &'t [String],
        receiver: Value,
        dot: &Value,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        let mut value = receiver;
        for (at, name) in names.iter().enumerate() {
            let given = if at + 1 == names.len() {
                given
            } else {
                Given::NOTHING
            };
            value = self.field(node, name, &value, dot, given)?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        node: &'t Node,
        name: &'t str,
        receiver: &Value,
        dot: &Value,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        if *receiver == Value::Nil {
            return Ok(Value::Nil);
        }
        let kind = receiver.type_of();
        let value = receiver.indirect();
        if matches!(value, Value::Any(_)) {
            return self.error(format!("nil pointer evaluating {kind}.{name}"));
        }
        if let Some(method) = methods::find(value, name) {
            let callee = Callee {
                name,
                receiver: value,
                method,
            };
            return self.call_method(dot, node, callee, given);
        }
        match value {
            Value::Struct(value) => {
                if let Some(field) = value.field(name) {
                    if !given.is_nothing() {
                        return self.error(format!(
                            "{name} has arguments but cannot be invoked as function"
                        ));
                    }
                    return Ok(field.clone());
                }
            }
            Value::Time(_) if methods::is_private_field(name) => {
                return self.error(format!(
                    "{name} is an unexported field of struct type {kind}"
                ));
            }
            Value::Map(map) => {
                if !given.is_nothing() {
                    return self.error(format!("{name} is not a method but has arguments"));
                }
                return Ok(map.get(name).unwrap_or(Value::Nil));
            }
            Value::Pointer(Pointer { to, .. }) if !methods::is_struct(to) => {
                return self.error(format!("nil pointer evaluating {kind}.{name}"));
            }
            _ => {}
        }
        self.error(format!("can't evaluate field {name} in type {kind}"))
    }
}
