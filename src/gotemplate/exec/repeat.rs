//! Loops.

use super::{Evaluated, Flow, State};
use crate::format::sprint;
use crate::node::Branch;
use crate::value::Value;

/// An element, and its index or key; integers have none.
struct Pass {
    index: Value,
    element: Value,
}

impl<'t> State<'t> {
    pub(super) fn range(&mut self, dot: &Value, branch: &'t Branch) -> Evaluated<Flow> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let has_run = self.passes(value.indirect(), branch)?;
        let flow = match &branch.otherwise {
            Some(otherwise) if !has_run => self.walk(dot, otherwise)?,
            _ => Flow::Next,
        };
        self.variables.truncate(mark);
        // A break in the `else` of a loop ends that loop only.
        Ok(match flow {
            Flow::Break => Flow::Next,
            flow => flow,
        })
    }

    /// Runs the loop, and returns whether there was anything to run it with.
    fn passes(&mut self, value: &Value, branch: &'t Branch) -> Evaluated<bool> {
        match value {
            Value::Int(_) | Value::Int64(_) | Value::Byte(_) => {
                if branch.pipe.variables.len() > 1 {
                    let value = text(value);
                    return self.error(format!(
                        "can't use {value} to iterate over more than one variable"
                    ));
                }
                let end = value.integer().unwrap_or(0);
                for at in 0..end {
                    let element = match value {
                        Value::Int64(_) => Value::Int64(at),
                        Value::Byte(_) => Value::Byte(u8::try_from(at).unwrap_or(u8::MAX)),
                        _ => Value::Int(at),
                    };
                    let index = Value::Nil;
                    if self.pass(branch, Pass { index, element })? == Flow::Break {
                        break;
                    }
                }
                Ok(end > 0)
            }
            Value::List(list) => {
                for at in 0..list.items().len() {
                    let element = list.item(at).unwrap_or(Value::Nil);
                    let index = Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                    if self.pass(branch, Pass { index, element })? == Flow::Break {
                        break;
                    }
                }
                Ok(!list.items().is_empty())
            }
            Value::Map(map) => {
                for (key, element) in map.iter() {
                    let index = Value::text(key);
                    if self.pass(branch, Pass { index, element })? == Flow::Break {
                        break;
                    }
                }
                Ok(map.len() > 0)
            }
            Value::Nil => Ok(false),
            value => self.error(format!("range can't iterate over {}", text(value))),
        }
    }

    fn pass(&mut self, branch: &'t Branch, pass: Pass) -> Evaluated<Flow> {
        let mark = self.variables.len();
        let Pass { index, element } = pass;
        let pipe = &branch.pipe;
        match (&pipe.variables[..], pipe.is_assignment) {
            ([], _) => {}
            ([name], true) => self.set(name, element.clone())?,
            ([first, second, ..], true) => {
                self.set(first, index)?;
                self.set(second, element.clone())?;
            }
            ([_], false) => self.set_top(1, element.clone()),
            ([_, _, ..], false) => {
                self.set_top(1, element.clone());
                self.set_top(2, index);
            }
        }
        let flow = self.walk(&element, &branch.then)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Sets the n-th last variable.
    fn set_top(&mut self, n: usize, value: Value) {
        if let Some(variable) = self.variables.iter_mut().rev().nth(n - 1) {
            variable.value = value;
        }
    }
}

/// Prints a value in an error.
pub(super) fn text(value: &Value) -> String {
    let printed = sprint(std::slice::from_ref(value));
    String::from_utf8_lossy(&printed).into_owned()
}
