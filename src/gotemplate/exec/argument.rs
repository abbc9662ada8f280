//! Arguments of functions, as the types that they take.

use super::command::Given;
use super::{Evaluated, State};
use crate::functions::Parameter;
use crate::kind::Type;
use crate::node::{Kind, Node};
use crate::value::{Pointer, Value};

impl<'t> State<'t> {
    /// Evaluates an argument for a parameter.
    pub(super) fn argument(
        &mut self,
        dot: &Value,
        parameter: &Parameter,
        node: &'t Node,
    ) -> Evaluated<Value> {
        self.at(node);
        match &node.kind {
            Kind::Nil => match parameter {
                Parameter::Reflected | Parameter::Any => Ok(Value::Nil),
                Parameter::Typed(kind @ Type::List(_)) => Ok(Value::zero(kind)),
                Parameter::Typed(kind) => self.error(format!("cannot assign nil to {kind}")),
            },
            Kind::Dot
            | Kind::Field(_)
            | Kind::Variable(_)
            | Kind::Pipe(_)
            | Kind::Identifier(_)
            | Kind::Chain(..) => {
                let value = self.operand(dot, node)?;
                self.fit(value, parameter)
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::Literal(_) => self.typed(parameter, node),
            _ => self.error(format!("can't handle {node} for arg of type {parameter}")),
        }
    }

    /// Evaluates what stands for itself, without a type that it must have.
    pub(super) fn operand(&mut self, dot: &Value, node: &'t Node) -> Evaluated<Value> {
        self.at(node);
        match &node.kind {
            Kind::Dot => Ok(dot.clone()),
            Kind::Field(names) => self.fields(node, names, dot.clone(), dot, Given::NOTHING),
            Kind::Variable(_) => self.variable_fields(dot, node, Given::NOTHING),
            Kind::Pipe(pipe) => self.nested(|state| state.pipe(dot, pipe)),
            Kind::Identifier(name) => self.function(dot, name, node, Given::NOTHING),
            Kind::Chain(..) => self.chain(dot, node, Given::NOTHING),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Number(number) => self.constant(number),
            Kind::Literal(literal) => Ok(Value::text(literal.text.clone())),
            _ => self.error(format!(
                "can't handle assignment of {node} to empty interface argument"
            )),
        }
    }

    /// Makes a constant a value of the type of the parameter.
    fn typed(&mut self, parameter: &Parameter, node: &'t Node) -> Evaluated<Value> {
        let Parameter::Typed(kind) = parameter else {
            return match &node.kind {
                Kind::Bool(value) => Ok(Value::Bool(*value)),
                Kind::Number(number) => self.constant(number),
                Kind::Literal(literal) => Ok(Value::text(literal.text.clone())),
                _ => Ok(Value::Nil),
            };
        };
        match (kind, &node.kind) {
            (Type::Text(_), Kind::Literal(literal)) => Ok(Value::text(literal.text.clone())),
            (Type::Text(_), _) => self.error(format!("expected string; found {node}")),
            (Type::Int, Kind::Number(number)) if number.int.is_some() => {
                Ok(Value::Int(number.int.unwrap_or_default()))
            }
            (Type::Int, _) => self.error(format!("expected integer; found {node}")),
            _ => self.error(format!("can't handle {node} for arg of type {kind}")),
        }
    }

    /// Checks that a value fits a parameter.
    pub(super) fn fit(&mut self, value: Value, parameter: &Parameter) -> Evaluated<Value> {
        let kind = match parameter {
            Parameter::Reflected => return Ok(value),
            Parameter::Any => return Ok(value.in_interface().clone()),
            Parameter::Typed(kind) => kind,
        };
        if value == Value::Nil {
            if matches!(kind, Type::List(_)) {
                return Ok(Value::zero(kind));
            }
            return self.error(format!("invalid value; expected {kind}"));
        }
        if value.type_of() == *kind {
            return Ok(value);
        }
        let inner = value.in_interface();
        if inner.type_of() == *kind && *inner != Value::Nil {
            return Ok(inner.clone());
        }
        if let Value::Pointer(Pointer { to, value: pointed }) = inner
            && to == kind
        {
            return match pointed {
                Some(pointed) => Ok((**pointed).clone()),
                None => self.error(format!("dereference of nil pointer of type {kind}")),
            };
        }
        let got = match inner {
            Value::Nil => value.type_of(),
            inner => inner.type_of(),
        };
        self.error(format!("wrong type for value; expected {kind}; got {got}"))
    }
}
