//! Executes a parsed template.

mod argument;
mod call;
mod command;
mod field;
mod repeat;

use crate::error::TemplateError;
use crate::format::sprint;
use crate::limits::{DEPTH_MAX, Limits, MADE_FACTOR};
use crate::node::{Branch, Kind, Node, Pipe, Word};
use crate::parse::Definitions;
use crate::value::Value;

/// Boxed, so that results stay small.
pub(crate) type Evaluated<T> = Result<T, Box<TemplateError>>;

/// What is executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'t> {
    pub name: &'t str,
    pub text: &'t str,
    pub definitions: &'t Definitions,
    pub limits: Limits,
}

/// A failed execution, and what it had printed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub error: TemplateError,
    pub printed: Vec<u8>,
}

/// Executes the definition that has the name of the program.
pub(crate) fn execute(program: Program<'_>, data: &Value) -> Result<Vec<u8>, Box<Failed>> {
    let Some(root) = program.definitions.get(program.name) else {
        return Ok(Vec::new());
    };
    let mut state = State {
        program,
        definition: program.name,
        source: Source::Node(root),
        variables: vec![Variable {
            name: "$",
            value: data.clone(),
        }],
        out: Vec::new(),
        depth: 0,
        steps: 0,
        made: 0,
    };
    match state.walk(data, root) {
        Ok(_) => Ok(state.out),
        Err(error) => Err(Box::new(Failed {
            error: *error,
            printed: state.out,
        })),
    }
}

/// How a node was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Variable<'t> {
    name: &'t str,
    value: Value,
}

/// What is executed now, for errors.
#[derive(Clone, Copy)]
enum Source<'t> {
    Node(&'t Node),
    Pipe(&'t Pipe),
}

struct State<'t> {
    program: Program<'t>,
    /// The name of the definition.
    definition: &'t str,
    source: Source<'t>,
    variables: Vec<Variable<'t>>,
    out: Vec<u8>,
    depth: usize,
    steps: u64,
    /// Bytes of all texts that functions made.
    made: usize,
}

impl<'t> State<'t> {
    /// Makes an error of the place that is executed.
    fn error<T>(&self, message: impl Into<String>) -> Evaluated<T> {
        let (at, context) = match self.source {
            Source::Node(node) => (node.at, node.to_string()),
            Source::Pipe(pipe) => (pipe.at, pipe.to_string()),
        };
        let before = self.program.text.get(..at).unwrap_or(self.program.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Err(Box::new(TemplateError::Execute {
            name: self.program.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start,
            template: self.definition.to_owned(),
            context,
            message: message.into(),
        }))
    }

    fn at(&mut self, node: &'t Node) {
        self.source = Source::Node(node);
    }

    /// Counts a step, and refuses more than the limits allow.
    fn step(&mut self) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > self.program.limits.steps {
            return self.error(format!(
                "more than {} steps of execution",
                self.program.limits.steps
            ));
        }
        Ok(())
    }

    fn print(&mut self, text: &[u8]) -> Evaluated<()> {
        self.check_len(self.out.len() + text.len())?;
        self.out.extend(text);
        Ok(())
    }

    fn check_len(&self, len: usize) -> Evaluated<()> {
        let max = self.program.limits.output_len;
        if len > max {
            return self.error(format!("output is longer than {max} bytes"));
        }
        Ok(())
    }

    /// Counts a text that a function has made.
    fn count_made(&mut self, len: usize) -> Evaluated<()> {
        self.check_len(len)?;
        self.made = self.made.saturating_add(len);
        let max = self.program.limits.output_len.saturating_mul(MADE_FACTOR);
        if self.made > max {
            return self.error(format!("functions make more than {max} bytes"));
        }
        Ok(())
    }

    /// Goes one level deeper for as long as `run` runs.
    fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        if self.depth >= DEPTH_MAX {
            return self.error(format!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn walk(&mut self, dot: &Value, node: &'t Node) -> Evaluated<Flow> {
        self.at(node);
        self.step()?;
        match &node.kind {
            Kind::Nodes(nodes) => {
                for node in nodes {
                    let flow = self.nested(|state| state.walk(dot, node))?;
                    if flow != Flow::Next {
                        return Ok(flow);
                    }
                }
            }
            Kind::Text(text) => self.print(text.as_bytes())?,
            Kind::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.at(node);
                    self.print_value(&value)?;
                }
            }
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::Branch(branch) if branch.word == Word::Range => {
                return self.range(dot, branch);
            }
            Kind::Branch(branch) => return self.condition(dot, branch),
            Kind::Template { name, pipe } => self.template(dot, name, pipe.as_ref())?,
            _ => return self.error(format!("unknown node: {node}")),
        }
        Ok(Flow::Next)
    }

    fn print_value(&mut self, value: &Value) -> Evaluated<()> {
        let value = match value {
            Value::Pointer(_) => value.indirect(),
            value => value,
        };
        let text = match value {
            Value::Nil => b"<no value>".to_vec(),
            value => sprint(std::slice::from_ref(value)),
        };
        self.print(&text)
    }

    fn condition(&mut self, dot: &Value, branch: &'t Branch) -> Evaluated<Flow> {
        let mark = self.variables.len();
        let value = self.pipe(dot, &branch.pipe)?;
        let dot = match branch.word {
            Word::With if value.is_true() => &value,
            _ => dot,
        };
        let nodes = if value.is_true() {
            Some(&branch.then)
        } else {
            branch.otherwise.as_ref()
        };
        let flow = nodes.map_or(Ok(Flow::Next), |nodes| self.walk(dot, nodes))?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn template(&mut self, dot: &Value, name: &'t str, pipe: Option<&'t Pipe>) -> Evaluated<()> {
        let Some(root) = self.program.definitions.get(name) else {
            let name = hod_gotext::quote(name);
            return self.error(format!("template {name} not defined"));
        };
        let dot = match pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nil,
        };
        let own = vec![Variable {
            name: "$",
            value: dot.clone(),
        }];
        let variables = std::mem::replace(&mut self.variables, own);
        let definition = std::mem::replace(&mut self.definition, name);
        self.nested(|state| state.walk(&dot, root))?;
        self.variables = variables;
        self.definition = definition;
        Ok(())
    }

    /// Evaluates a pipeline, and gives its value to its variables.
    fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Evaluated<Value> {
        self.source = Source::Pipe(pipe);
        self.step()?;
        let mut value = None;
        for command in &pipe.commands {
            let result = self.nested(|state| state.command(dot, command, value.as_ref()))?;
            value = Some(match result {
                Value::Any(inner) => (*inner).clone(),
                result => result,
            });
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            if pipe.is_assignment {
                self.set(name, value.clone())?;
            } else {
                self.variables.push(Variable {
                    name,
                    value: value.clone(),
                });
            }
        }
        Ok(value)
    }

    fn set(&mut self, name: &str, value: Value) -> Evaluated<()> {
        let variables = self.variables.iter_mut().rev();
        let variable = { variables }.find(|variable| variable.name == name);
        match variable {
            Some(variable) => {
                variable.value = value;
                Ok(())
            }
            None => self.error(format!("undefined variable: {name}")),
        }
    }

    fn variable(&self, name: &str) -> Evaluated<Value> {
        let variable = self
            .variables
            .iter()
            .rev()
            .find(|variable| variable.name == name);
        match variable {
            Some(variable) => Ok(variable.value.clone()),
            None => self.error(format!("undefined variable: {name}")),
        }
    }
}
