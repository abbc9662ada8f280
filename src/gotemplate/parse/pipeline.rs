//! Pipelines: declarations, commands and their operands.

use super::number::{self, NumberError};
use super::{Parsed, Parser};
use crate::lex::{Item, Token};
use crate::node::{Kind, Literal, Node, Pipe};
use hod_gotext::{quote, unquote};

impl Parser<'_> {
    /// Parses a pipeline with what ends it. `context` is what errors call it.
    pub(super) fn pipeline(&mut self, context: &str, end: Token) -> Parsed<Pipe> {
        let mut pipe = Pipe {
            at: self.peek_token().at,
            is_assignment: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        while self.peek_token().token == Token::Variable {
            if !self.declaration(&mut pipe, context)? {
                break;
            }
        }
        loop {
            let item = self.next_token();
            if item.token == end {
                self.check(&pipe, context)?;
                return Ok(pipe);
            }
            if !begins_operand(item.token) {
                return self.unexpected(&item, context);
            }
            self.back(item);
            let command = self.command()?;
            pipe.commands.push(command);
        }
    }

    /// Parses a variable if it is declared or assigned, and returns whether another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let variable = self.next();
        let after = self.peek().clone();
        let next = self.peek_token().clone();
        match next.token {
            Token::Assign | Token::Declare => {
                pipe.is_assignment = next.token == Token::Assign;
                self.next_token();
                self.declare(variable, pipe);
                Ok(false)
            }
            Token::Char if next.text == "," => {
                self.next_token();
                self.declare(variable, pipe);
                if context != "range" || pipe.variables.len() >= 2 {
                    return self.error(format!("too many declarations in {context}"));
                }
                match self.peek_token().token {
                    Token::Variable | Token::RightDelim | Token::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                }
            }
            _ => {
                if after.token == Token::Space {
                    self.back(after);
                }
                self.back(variable);
                Ok(false)
            }
        }
    }

    fn declare(&mut self, variable: Item, pipe: &mut Pipe) {
        // A name with fields declares its first part.
        let name = variable.text.split('.').next().unwrap_or_default();
        pipe.variables.push(name.to_owned());
        self.scope.variables.push(variable.text);
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (at, command) in pipe.commands.iter().enumerate().skip(1) {
            let Kind::Command(arguments) = &command.kind else {
                continue;
            };
            if arguments.first().is_some_and(is_constant) {
                let stage = at + 1;
                return self.error(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Node> {
        let at = self.peek_token().at;
        let mut arguments = Vec::new();
        loop {
            self.peek_token();
            if let Some(operand) = self.operand()? {
                arguments.push(operand);
            }
            let item = self.next();
            match item.token {
                Token::Space => continue,
                Token::RightDelim | Token::RightParen => self.back(item),
                Token::Pipe => {}
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if arguments.is_empty() {
            return self.error("empty command");
        }
        let kind = Kind::Command(arguments);
        Ok(Node { at, kind })
    }

    /// Parses a term and the fields behind it.
    fn operand(&mut self) -> Parsed<Option<Node>> {
        let Some(node) = self.term()? else {
            return Ok(None);
        };
        if self.peek().token != Token::Field {
            return Ok(Some(node));
        }
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().token == Token::Field {
            names.push(self.next().text[1..].to_owned());
        }
        let kind = match node.kind {
            Kind::Field(first) => Kind::Field([first, names].concat()),
            Kind::Variable(first) => Kind::Variable([first, names].concat()),
            _ if is_constant(&node) => {
                let term = quote(node.to_string());
                return self.error(format!("unexpected . after term {term}"));
            }
            _ => Kind::Chain(Box::new(node), names),
        };
        Ok(Some(Node { at, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Node>> {
        let item = self.next_token();
        let kind = match item.token {
            Token::Identifier if !(self.is_function)(&item.text) => {
                let name = quote(&item.text);
                return self.error(format!("function {name} not defined"));
            }
            Token::Identifier => Kind::Identifier(item.text),
            Token::Dot => Kind::Dot,
            Token::Nil => Kind::Nil,
            Token::Variable if !self.scope.variables.contains(&item.text) => {
                let name = quote(&item.text);
                return self.error(format!("undefined variable {name}"));
            }
            Token::Variable => Kind::Variable(vec![item.text]),
            Token::Field => Kind::Field(vec![item.text[1..].to_owned()]),
            Token::Bool => Kind::Bool(item.text == "true"),
            Token::CharConstant | Token::Complex | Token::Number => {
                let parsed = match item.token {
                    Token::CharConstant => number::character(&item.text),
                    Token::Complex => Err(NumberError::Complex),
                    _ => number::number(&item.text),
                };
                match parsed {
                    Ok(number) => Kind::Number(number),
                    Err(error) => return self.error(error.message(&item.text)),
                }
            }
            Token::LeftParen => {
                let context = "parenthesized pipeline";
                let pipe = self.nested(|parser| parser.pipeline(context, Token::RightParen))?;
                let at = pipe.at;
                let kind = Kind::Pipe(pipe);
                return Ok(Some(Node { at, kind }));
            }
            Token::String | Token::RawString => match unquote(&item.text) {
                Some(text) => Kind::Literal(Literal {
                    source: item.text,
                    text,
                }),
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.back(item);
                return Ok(None);
            }
        };
        let at = item.at;
        Ok(Some(Node { at, kind }))
    }
}

fn begins_operand(token: Token) -> bool {
    matches!(
        token,
        Token::Bool
            | Token::CharConstant
            | Token::Complex
            | Token::Dot
            | Token::Field
            | Token::Identifier
            | Token::Number
            | Token::Nil
            | Token::RawString
            | Token::String
            | Token::Variable
            | Token::LeftParen
    )
}

fn is_constant(node: &Node) -> bool {
    matches!(
        node.kind,
        Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number(_) | Kind::Literal(_)
    )
}
