//! Splits a template into its tokens.

mod scan;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The value says what is wrong.
    Error,
    Bool,
    /// A comma, and whatever no rule has.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Dot,
    Nil,
    Keyword(Keyword),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A token, its place and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub token: Token,
    /// Bytes from the start of the template.
    pub at: usize,
    /// The line it begins in, from 1.
    pub line: usize,
    pub text: String,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.token {
            Token::Eof => f.write_str("EOF"),
            Token::Error => f.write_str(&self.text),
            Token::Keyword(_) | Token::Dot | Token::Nil => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                write!(f, "{}...", hod_gotext::quote(&start))
            }
            _ => f.write_str(&hod_gotext::quote(&self.text)),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// The state between two tokens.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    /// Where the next character is.
    at: usize,
    /// Where the token begins.
    start: usize,
    /// Open parentheses.
    depth: usize,
    /// 1 and the number of newlines seen.
    line: usize,
    start_line: usize,
    is_in_action: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            at: 0,
            start: 0,
            depth: 0,
            line: 1,
            start_line: 1,
            is_in_action: false,
        }
    }

    /// Returns the next token; after the last one, and after an error, [`Token::Eof`] or an error.
    pub(crate) fn next(&mut self) -> Item {
        if self.is_in_action {
            self.inside_action()
        } else {
            self.outside_action()
        }
    }

    fn rest(&self) -> &'a str {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    /// Goes on by `len` bytes, and counts their lines.
    fn advance(&mut self, len: usize) {
        let passed = &self.input[self.at..self.at + len];
        self.line += passed.matches('\n').count();
        self.at += len;
    }

    fn ignore(&mut self) {
        self.start = self.at;
        self.start_line = self.line;
    }

    fn emit(&mut self, token: Token) -> Item {
        let item = Item {
            token,
            at: self.start,
            line: self.start_line,
            text: self.input[self.start..self.at].to_owned(),
        };
        self.ignore();
        item
    }

    fn error(&mut self, message: impl Into<String>) -> Item {
        let item = Item {
            token: Token::Error,
            at: self.start,
            line: self.start_line,
            text: message.into(),
        };
        (self.input, self.at, self.start) = ("", 0, 0);
        item
    }

    fn outside_action(&mut self) -> Item {
        loop {
            let Some(len) = self.rest().find(LEFT) else {
                self.advance(self.rest().len());
                let is_end = self.at == self.start;
                return self.emit(if is_end { Token::Eof } else { Token::Text });
            };
            let text = &self.rest()[..len];
            let is_trimmed = has_left_trim_marker(&self.rest()[len + LEFT.len()..]);
            let kept = if is_trimmed {
                text.trim_end_matches(SPACES)
            } else {
                text
            };
            self.advance(kept.len());
            if !kept.is_empty() {
                let item = self.emit(Token::Text);
                self.advance(len - kept.len());
                self.ignore();
                return item;
            }
            self.advance(len);
            self.ignore();
            let marker = if is_trimmed { 2 } else { 0 };
            if self.rest()[LEFT.len() + marker..].starts_with("/*") {
                self.advance(LEFT.len() + marker);
                self.ignore();
                if let Some(error) = self.comment() {
                    return error;
                }
                continue;
            }
            self.advance(LEFT.len());
            let item = self.emit(Token::LeftDelim);
            self.is_in_action = true;
            self.advance(marker);
            self.ignore();
            self.depth = 0;
            return item;
        }
    }

    /// Goes past a comment, unless something is wrong with it.
    fn comment(&mut self) -> Option<Item> {
        let Some(len) = self.rest()[2..].find("*/") else {
            return Some(self.error("unclosed comment"));
        };
        self.advance(2 + len + 2);
        let is_trimmed = has_right_trim_marker(self.rest());
        if !is_trimmed && !self.rest().starts_with(RIGHT) {
            return Some(self.error("comment ends before closing delimiter"));
        }
        self.skip_right_delim(is_trimmed);
        self.ignore();
        None
    }

    /// Goes past the closing braces, and past what their marker trims.
    fn skip_right_delim(&mut self, is_trimmed: bool) {
        self.advance(if is_trimmed { 2 } else { 0 } + RIGHT.len());
        if is_trimmed {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start_matches(SPACES).len());
    }

    fn right_delim(&mut self) -> Item {
        let is_trimmed = has_right_trim_marker(self.rest());
        if is_trimmed {
            self.advance(2);
            self.ignore();
        }
        self.advance(RIGHT.len());
        let item = self.emit(Token::RightDelim);
        if is_trimmed {
            self.trim();
            self.ignore();
        }
        self.is_in_action = false;
        item
    }
}

fn has_left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(SPACES))
}

/// Returns true if a blank, a minus and the closing braces follow.
fn has_right_trim_marker(text: &str) -> bool {
    let marker = text.strip_prefix(SPACES);
    let after = marker.and_then(|rest| rest.strip_prefix('-'));
    after.is_some_and(|rest| rest.starts_with(RIGHT))
}
