//! Parses a template into its definitions.

mod control;
mod number;
mod pipeline;

use std::collections::BTreeMap;

use crate::error::TemplateError;
use crate::lex::{Item, Keyword, Lexer, Token};
use crate::limits::NESTING_MAX;
use crate::node::{Kind, Node};

/// All definitions in a text, by name. That of the whole text has the name of the template.
pub(crate) type Definitions = BTreeMap<String, Node>;

/// Boxed, so that results stay small.
pub(crate) type Parsed<T> = Result<T, Box<TemplateError>>;

/// Parses a text. `is_function` says which names are functions.
pub(crate) fn parse(
    name: &str,
    text: &str,
    is_function: &dyn Fn(&str) -> bool,
) -> Parsed<Definitions> {
    let mut parser = Parser {
        name,
        lexer: Lexer::new(text),
        is_function,
        scope: Scope::default(),
        nesting: 0,
        definitions: Definitions::new(),
    };
    let root = parser.all()?;
    parser.define(name, root)?;
    Ok(parser.definitions)
}

pub(crate) struct Parser<'a> {
    name: &'a str,
    lexer: Lexer<'a>,
    is_function: &'a dyn Fn(&str) -> bool,
    scope: Scope,
    /// Blocks and parentheses around the current place.
    nesting: usize,
    definitions: Definitions,
}

/// What each definition has for itself.
#[derive(Debug)]
struct Scope {
    /// Tokens that were looked at; the last one is next.
    ahead: Vec<Item>,
    /// The line of the token that was read last.
    line: usize,
    variables: Vec<String>,
    /// The line in which the current action began.
    action_line: Option<usize>,
    /// Loops around the current place.
    loops: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            ahead: Vec::new(),
            line: 0,
            variables: vec!["$".to_owned()],
            action_line: None,
            loops: 0,
        }
    }
}

impl Parser<'_> {
    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Box::new(TemplateError::Parse {
            name: self.name.to_owned(),
            line: self.scope.line,
            message: message.into(),
        }))
    }

    fn next(&mut self) -> Item {
        if let Some(item) = self.scope.ahead.pop() {
            return item;
        }
        let item = self.lexer.next();
        self.scope.line = item.line;
        item
    }

    fn back(&mut self, item: Item) {
        self.scope.ahead.push(item);
    }

    fn peek(&mut self) -> &Item {
        if self.scope.ahead.is_empty() {
            let item = self.next();
            self.back(item);
        }
        &self.scope.ahead[self.scope.ahead.len() - 1]
    }

    fn next_token(&mut self) -> Item {
        loop {
            let item = self.next();
            if item.token != Token::Space {
                return item;
            }
        }
    }

    fn peek_token(&mut self) -> &Item {
        let item = self.next_token();
        self.back(item);
        self.peek()
    }

    fn expect(&mut self, token: Token, context: &str) -> Parsed<Item> {
        let item = self.next_token();
        if item.token == token {
            return Ok(item);
        }
        self.unexpected(&item, context)
    }

    fn unexpected<T>(&self, item: &Item, context: &str) -> Parsed<T> {
        if item.token != Token::Error {
            return self.error(format!("unexpected {item} in {context}"));
        }
        let start = self.scope.action_line.filter(|line| *line != item.line);
        let started = start.map(|line| {
            // Not "unclosed action in action".
            let action = if item.text.ends_with(" action") {
                ""
            } else {
                " in action"
            };
            format!("{action} started at {}:{line}", self.name)
        });
        self.error(format!("{item}{}", started.unwrap_or_default()))
    }

    /// Goes one level deeper for as long as `parse` runs.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= NESTING_MAX {
            return self.error("max expression depth exceeded");
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// Parses the whole text.
    fn all(&mut self) -> Parsed<Node> {
        let at = self.peek().at;
        let mut nodes = Vec::new();
        while self.peek().token != Token::Eof {
            if self.peek().token == Token::LeftDelim {
                let delim = self.next();
                let item = self.next_token();
                if item.token == Token::Keyword(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.back(item);
                self.back(delim);
            }
            let node = self.text_or_action()?;
            if matches!(node.kind, Kind::End | Kind::Else) {
                return self.error(format!("unexpected {node}"));
            }
            nodes.push(node);
        }
        let kind = Kind::Nodes(nodes);
        Ok(Node { at, kind })
    }

    /// Parses nodes up to `{{end}}` or `{{else}}`, and returns that too.
    fn nodes(&mut self) -> Parsed<Block> {
        let at = self.peek_token().at;
        let mut nodes = Vec::new();
        while self.peek_token().token != Token::Eof {
            let node = self.nested(Self::text_or_action)?;
            if matches!(node.kind, Kind::End | Kind::Else) {
                let kind = Kind::Nodes(nodes);
                let nodes = Node { at, kind };
                return Ok(Block { nodes, end: node });
            }
            nodes.push(node);
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Node> {
        let item = self.next_token();
        match item.token {
            Token::Text => Ok(Node {
                at: item.at,
                kind: Kind::Text(item.text),
            }),
            Token::LeftDelim => {
                self.scope.action_line = Some(item.line);
                let action = self.action();
                self.scope.action_line = None;
                action
            }
            _ => self.unexpected(&item, "input"),
        }
    }

    /// Adds a definition; one that is not empty cannot be replaced by another.
    fn define(&mut self, name: &str, root: Node) -> Parsed<()> {
        let has_one = self
            .definitions
            .get(name)
            .is_some_and(|old| !old.is_empty());
        if !has_one {
            self.definitions.insert(name.to_owned(), root);
        } else if !root.is_empty() {
            let name = hod_gotext::quote(name);
            return self.error(format!("template: multiple definition of template {name}"));
        }
        Ok(())
    }
}

/// Nodes, and what ends them.
struct Block {
    nodes: Node,
    end: Node,
}
