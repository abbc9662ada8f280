//! Actions that begin with a keyword.

use super::{Block, Parsed, Parser};
use crate::lex::{Item, Keyword, Token};
use crate::node::{Branch, Kind, Node, Word};
use hod_gotext::unquote;

impl Parser<'_> {
    pub(super) fn action(&mut self) -> Parsed<Node> {
        let item = self.next_token();
        match item.token {
            Token::Keyword(Keyword::Block) => self.block(),
            Token::Keyword(Keyword::Break) => self.leave_loop(&item, Kind::Break),
            Token::Keyword(Keyword::Continue) => self.leave_loop(&item, Kind::Continue),
            Token::Keyword(Keyword::Else) => self.otherwise(),
            Token::Keyword(Keyword::End) => {
                let at = self.expect(Token::RightDelim, "end")?.at;
                let kind = Kind::End;
                Ok(Node { at, kind })
            }
            Token::Keyword(Keyword::If) => self.branch(Word::If),
            Token::Keyword(Keyword::Range) => self.branch(Word::Range),
            Token::Keyword(Keyword::With) => self.branch(Word::With),
            Token::Keyword(Keyword::Template) => self.template(),
            // `define` stands only at the top of a text, so it is not a command either.
            _ => {
                let at = item.at;
                self.back(item);
                let pipe = self.pipeline("command", Token::RightDelim)?;
                let kind = Kind::Action(pipe);
                Ok(Node { at, kind })
            }
        }
    }

    fn leave_loop(&mut self, item: &Item, kind: Kind) -> Parsed<Node> {
        let at = item.at;
        let node = Node { at, kind };
        let end = self.next_token();
        if end.token != Token::RightDelim {
            return self.unexpected(&end, &node.to_string());
        }
        if self.scope.loops == 0 {
            return self.error(format!("{node} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn otherwise(&mut self) -> Parsed<Node> {
        let kind = Kind::Else;
        let item = self.peek_token();
        let is_chained = matches!(item.token, Token::Keyword(Keyword::If | Keyword::With));
        let at = if is_chained {
            item.at
        } else {
            self.expect(Token::RightDelim, "else")?.at
        };
        Ok(Node { at, kind })
    }

    fn branch(&mut self, word: Word) -> Parsed<Node> {
        let n_variables = self.scope.variables.len();
        let pipe = self.pipeline(word.as_str(), Token::RightDelim)?;
        let is_loop = word == Word::Range;
        self.scope.loops += usize::from(is_loop);
        let Block { nodes: then, end } = self.nodes()?;
        self.scope.loops -= usize::from(is_loop);
        let otherwise = if end.kind == Kind::Else {
            Some(self.else_block(word, end.at)?)
        } else {
            None
        };
        self.scope.variables.truncate(n_variables);
        let at = pipe.at;
        let branch = Branch {
            word,
            pipe,
            then,
            otherwise,
        };
        let kind = Kind::Branch(Box::new(branch));
        Ok(Node { at, kind })
    }

    fn else_block(&mut self, word: Word, at: usize) -> Parsed<Node> {
        let next = self.peek().token;
        let is_chained = match word {
            Word::If => next == Token::Keyword(Keyword::If),
            Word::With => next == Token::Keyword(Keyword::With),
            Word::Range => false,
        };
        if is_chained {
            self.next();
            let chained = self.nested(|parser| parser.branch(word))?;
            let kind = Kind::Nodes(vec![chained]);
            return Ok(Node { at, kind });
        }
        let Block { nodes, end } = self.nodes()?;
        if end.kind != Kind::End {
            return self.error(format!("expected end; found {end}"));
        }
        Ok(nodes)
    }

    fn template(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let item = self.next_token();
        let name = self.template_name(&item, context)?;
        let next = self.next_token();
        let pipe = if next.token == Token::RightDelim {
            None
        } else {
            self.back(next);
            Some(self.pipeline(context, Token::RightDelim)?)
        };
        let at = item.at;
        let kind = Kind::Template { name, pipe };
        Ok(Node { at, kind })
    }

    fn template_name(&mut self, item: &Item, context: &str) -> Parsed<String> {
        if !matches!(item.token, Token::String | Token::RawString) {
            return self.unexpected(item, context);
        }
        match unquote(&item.text) {
            Some(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            None => self.error("invalid syntax"),
        }
    }

    /// Parses a definition that is also used where it stands.
    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let item = self.next_token();
        let name = self.template_name(&item, context)?;
        let pipe = Some(self.pipeline(context, Token::RightDelim)?);
        self.body(&name, context)?;
        let at = item.at;
        let kind = Kind::Template { name, pipe };
        Ok(Node { at, kind })
    }

    /// Parses a definition after `{{define`.
    pub(super) fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let outer = std::mem::take(&mut self.scope);
        let item = self.next_token();
        let name = self.template_name(&item, context)?;
        self.expect(Token::RightDelim, context)?;
        self.body_in_scope(&name, context)?;
        self.scope = outer;
        Ok(())
    }

    fn body(&mut self, name: &str, context: &str) -> Parsed<()> {
        let outer = std::mem::take(&mut self.scope);
        self.body_in_scope(name, context)?;
        self.scope = outer;
        Ok(())
    }

    fn body_in_scope(&mut self, name: &str, context: &str) -> Parsed<()> {
        let Block { nodes, end } = self.nodes()?;
        if end.kind != Kind::End {
            return self.error(format!("unexpected {end} in {context}"));
        }
        self.define(name, nodes)
    }
}
