//! Commands: a function with arguments, or an operand.

use super::{Evaluated, State};
use crate::node::{Kind, Node, Number};
use crate::value::Value;

/// What follows the first word of a command.
#[derive(Clone, Copy)]
pub(super) struct Given<'t, 'v> {
    /// The arguments that are written.
    pub arguments: &'t [Node],
    /// The value of the command before it in the pipeline.
    pub piped: Option<&'v Value>,
}

impl Given<'_, '_> {
    pub(super) const NOTHING: Given<'static, 'static> = Given {
        arguments: &[],
        piped: None,
    };

    pub(super) fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && self.piped.is_none()
    }
}

impl<'t> State<'t> {
    pub(super) fn command(
        &mut self,
        dot: &Value,
        command: &'t Node,
        piped: Option<&Value>,
    ) -> Evaluated<Value> {
        let Kind::Command(words) = &command.kind else {
            return self.error(format!("unknown node: {command}"));
        };
        let Some((first, arguments)) = words.split_first() else {
            return self.error("empty command");
        };
        let given = Given { arguments, piped };
        match &first.kind {
            Kind::Field(names) => {
                self.at(first);
                self.fields(first, names, dot.clone(), dot, given)
            }
            Kind::Chain(..) => self.chain(dot, first, given),
            Kind::Identifier(name) => {
                self.at(first);
                self.function(dot, name, command, given)
            }
            Kind::Pipe(pipe) => {
                self.require_nothing(first, given)?;
                self.pipe(dot, pipe)
            }
            Kind::Variable(_) => self.variable_fields(dot, first, given),
            _ => {
                self.at(first);
                self.require_nothing(first, given)?;
                match &first.kind {
                    Kind::Bool(value) => Ok(Value::Bool(*value)),
                    Kind::Dot => Ok(dot.clone()),
                    Kind::Nil => self.error("nil is not a command"),
                    Kind::Number(number) => self.constant(number),
                    Kind::Literal(literal) => Ok(Value::text(literal.text.clone())),
                    _ => {
                        let word = hod_gotext::quote(first.to_string());
                        self.error(format!("can't evaluate command {word}"))
                    }
                }
            }
        }
    }

    fn require_nothing(&self, first: &Node, given: Given<'_, '_>) -> Evaluated<()> {
        if given.is_nothing() {
            return Ok(());
        }
        // A pipeline prints without its parentheses here.
        self.error(format!("can't give argument to non-function {first}"))
    }

    /// Returns the value that a constant has where no type is expected.
    pub(super) fn constant(&self, number: &Number) -> Evaluated<Value> {
        let source = &number.source;
        let is_character = source.starts_with('\'');
        let has_prefix = source.starts_with("0x") || source.starts_with("0X");
        let is_hex = source.len() > 2 && has_prefix && !source.contains(['p', 'P']);
        let is_float = !is_character && !is_hex && source.contains(['.', 'e', 'E', 'p', 'P']);
        match number {
            Number {
                float: Some(float), ..
            } if is_float => Ok(Value::Float(*float)),
            Number { int: Some(int), .. } => Ok(Value::Int(*int)),
            _ => self.error(format!("{source} overflows int")),
        }
    }

    pub(super) fn chain(
        &mut self,
        dot: &Value,
        node: &'t Node,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        self.at(node);
        let Kind::Chain(inner, names) = &node.kind else {
            return self.error(format!("unknown node: {node}"));
        };
        if inner.kind == Kind::Nil {
            return self.error(format!("indirection through explicit nil in {node}"));
        }
        let receiver = self.operand(dot, inner)?;
        self.fields(node, names, receiver, dot, given)
    }

    pub(super) fn variable_fields(
        &mut self,
        dot: &Value,
        node: &'t Node,
        given: Given<'t, '_>,
    ) -> Evaluated<Value> {
        self.at(node);
        let Kind::Variable(names) = &node.kind else {
            return self.error(format!("unknown node: {node}"));
        };
        let Some((name, names)) = names.split_first() else {
            return self.error("undefined variable: ");
        };
        let value = self.variable(name)?;
        if names.is_empty() {
            if given.is_nothing() {
                return Ok(value);
            }
            return self.error(format!("can't give argument to non-function {node}"));
        }
        self.fields(node, names, value, dot, given)
    }
}
