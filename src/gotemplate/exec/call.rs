//! Calls of functions and methods.

use super::command::Given;
use super::{Evaluated, State};
use crate::functions::methods::Method;
use crate::functions::{self, Function, Parameter};
use crate::node::Node;
use crate::value::Value;

/// A method, and what it is called on.
pub(super) struct Callee<'a> {
    pub name: &'a str,
    pub receiver: &'a Value,
    pub method: Method,
}

impl<'t> State<'t> {
    /// Calls a function. `node` is what errors of the function itself show.
    pub(super) fn function(
        &mut self,
        dot: &Value,
        name: &'t str,
        node: &'t Node,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        let Some(function) = functions::find(name) else {
            let name = hod_gotext::quote(name);
            return self.error(format!("{name} is not a defined function"));
        };
        let n_given = given.arguments.len() + usize::from(given.piped.is_some());
        let n_fixed = function.fixed.len();
        if function.rest.is_some() {
            if n_given < n_fixed {
                let n_written = given.arguments.len();
                return self.error(format!(
                    "wrong number of args for {name}: want at least {n_fixed} got {n_written}"
                ));
            }
        } else if n_given != n_fixed {
            return self.error(format!(
                "wrong number of args for {name}: want {n_fixed} got {n_given}"
            ));
        }
        if matches!(name, "and" | "or") {
            return self.logic(dot, name, given);
        }
        let arguments = self.arguments(dot, &function, given)?;
        let result = if name == "call" {
            Err(refused_call(&arguments, given))
        } else {
            (function.call)(&arguments)
        };
        self.finish(node, name, result)
    }

    pub(super) fn call_method(
        &mut self,
        dot: &Value,
        node: &'t Node,
        callee: Callee<'_>,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        let Callee {
            name,
            receiver,
            method,
        } = callee;
        let n_given = given.arguments.len() + usize::from(given.piped.is_some());
        let n_fixed = method.parameters.len();
        if n_given != n_fixed {
            return self.error(format!(
                "wrong number of args for {name}: want {n_fixed} got {n_given}"
            ));
        }
        let function = Function {
            fixed: method.parameters,
            rest: None,
            call: |_| Ok(Value::Nil),
        };
        let arguments = self.arguments(dot, &function, given)?;
        let result = (method.call)(receiver, name, &arguments);
        self.finish(node, name, result)
    }

    fn arguments(
        &mut self,
        dot: &Value,
        function: &Function,
        given: Given<'t, '_>,
    ) -> Evaluated<Vec<Value>> {
        let mut arguments = Vec::new();
        for node in given.arguments {
            let Some(parameter) = function.parameter(arguments.len()) else {
                break;
            };
            let argument = self.nested(|state| state.argument(dot, parameter, node))?;
            arguments.push(argument);
        }
        if let Some(value) = given.piped
            && let Some(parameter) = function.parameter(arguments.len())
        {
            arguments.push(self.fit(value.clone(), parameter)?);
        }
        Ok(arguments)
    }

    /// Evaluates arguments until one decides.
    fn logic(&mut self, dot: &Value, name: &str, given: Given<'t, '_>) -> Evaluated<Value> {
        let mut value = Value::Nil;
        for node in given.arguments {
            value = self.nested(|state| state.argument(dot, &Parameter::Reflected, node))?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(given.piped.cloned().unwrap_or(value))
    }

    fn finish(
        &mut self,
        node: &'t Node,
        name: &str,
        result: Result<Value, String>,
    ) -> Evaluated<Value> {
        match result {
            Ok(value) => {
                if let Value::Text(text) = &value {
                    self.count_made(text.bytes.len())?;
                }
                Ok(value)
            }
            Err(message) => {
                self.at(node);
                self.error(format!("error calling {name}: {message}"))
            }
        }
    }
}

/// Says why a value cannot be called: none is a function.
fn refused_call(arguments: &[Value], given: Given<'_, '_>) -> String {
    let callee = arguments.first().map_or(&Value::Nil, Value::in_interface);
    let name = match (given.arguments.first(), callee) {
        (_, Value::Nil) => return "call of nil".to_owned(),
        (Some(node), _) => node.to_string(),
        (None, Value::Text(text)) => String::from_utf8_lossy(&text.bytes).into_owned(),
        (None, callee) => format!("<{} Value>", callee.type_of()),
    };
    format!("non-function {name} of type {}", callee.type_of())
}
