//! The tokens inside an action.

use super::{Item, Keyword, Lexer, RIGHT, SPACES, Token, has_right_trim_marker};
use hod_gotext::{is_print, quote};

impl Lexer<'_> {
    pub(super) fn inside_action(&mut self) -> Item {
        let is_end = self.rest().starts_with(RIGHT) || has_right_trim_marker(self.rest());
        if is_end && self.depth > 0 {
            return self.error("unclosed left paren");
        }
        if is_end {
            return self.right_delim();
        }
        let Some(first) = self.peek() else {
            return self.error("unclosed action");
        };
        let second = self.rest().chars().nth(1);
        match first {
            c if SPACES.contains(&c) => self.space(),
            '+' | '-' | '0'..='9' => self.number(),
            // At the end of the text it might be a number.
            '.' if second.is_none_or(|c| c.is_ascii_digit()) => self.number(),
            c if is_alphanumeric(c) => self.identifier(),
            c => {
                self.bump();
                self.sign(c)
            }
        }
    }

    /// Emits the token that begins with this character, which is taken already.
    fn sign(&mut self, first: char) -> Item {
        match first {
            '=' => self.emit(Token::Assign),
            ':' if self.bump() == Some('=') => self.emit(Token::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(Token::Pipe),
            '"' => self.quoted('"', Token::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Token::CharConstant, "unterminated character constant"),
            '`' => self.raw_quoted(),
            '$' => self.name(Token::Variable, Token::Variable),
            '.' => self.name(Token::Dot, Token::Field),
            '(' => {
                self.depth += 1;
                self.emit(Token::LeftParen)
            }
            ')' if self.depth == 0 => self.error("unexpected right paren"),
            ')' => {
                self.depth -= 1;
                self.emit(Token::RightParen)
            }
            c if c.is_ascii() && is_print(c) => self.emit(Token::Char),
            c => self.error(format!("unrecognized character in action: {}", code(c))),
        }
    }

    fn space(&mut self) -> Item {
        let rest = self.rest();
        let len = rest.len() - rest.trim_start_matches(SPACES).len();
        // The last blank may belong to a trim marker.
        let is_marker = has_right_trim_marker(&rest[len - 1..]);
        if is_marker && len == 1 {
            return self.right_delim();
        }
        self.advance(if is_marker { len - 1 } else { len });
        self.emit(Token::Space)
    }

    fn identifier(&mut self) -> Item {
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
        if !self.is_at_terminator() {
            return self.bad_character();
        }
        let token = match &self.input[self.start..self.at] {
            "block" => Token::Keyword(Keyword::Block),
            "break" => Token::Keyword(Keyword::Break),
            "continue" => Token::Keyword(Keyword::Continue),
            "define" => Token::Keyword(Keyword::Define),
            "else" => Token::Keyword(Keyword::Else),
            "end" => Token::Keyword(Keyword::End),
            "if" => Token::Keyword(Keyword::If),
            "range" => Token::Keyword(Keyword::Range),
            "template" => Token::Keyword(Keyword::Template),
            "with" => Token::Keyword(Keyword::With),
            "nil" => Token::Nil,
            "true" | "false" => Token::Bool,
            _ => Token::Identifier,
        };
        self.emit(token)
    }

    /// Reads a name after its first character, or that character alone.
    fn name(&mut self, alone: Token, named: Token) -> Item {
        if self.is_at_terminator() {
            return self.emit(alone);
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.bump();
        }
        if !self.is_at_terminator() {
            return self.bad_character();
        }
        self.emit(named)
    }

    fn bad_character(&mut self) -> Item {
        let next = self.peek().map(code).unwrap_or_default();
        self.error(format!("bad character {next}"))
    }

    fn is_at_terminator(&self) -> bool {
        let is_terminator = |c: char| SPACES.contains(&c) || ".,|:)(".contains(c);
        self.peek().is_none_or(is_terminator) || self.rest().starts_with(RIGHT)
    }

    fn quoted(&mut self, mark: char, token: Token, unterminated: &str) -> Item {
        loop {
            match self.bump() {
                Some('\\') => {
                    // What follows is part of the literal, unless it ends the line.
                    if matches!(self.bump(), Some('\n') | None) {
                        return self.error(unterminated);
                    }
                }
                Some('\n') | None => return self.error(unterminated),
                Some(c) if c == mark => return self.emit(token),
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> Item {
        loop {
            match self.bump() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Token::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Item {
        let is_number = self.scan_number();
        if is_number && !matches!(self.peek(), Some('+' | '-')) {
            return self.emit(Token::Number);
        }
        if !is_number || !self.scan_number() || !self.input[..self.at].ends_with('i') {
            let text = quote(&self.input.as_bytes()[self.start..self.at]);
            return self.error(format!("bad number syntax: {text}"));
        }
        self.emit(Token::Complex)
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_all(digits);
        if self.accept(".") {
            self.accept_all(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_all("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }

    fn accept(&mut self, valid: &str) -> bool {
        let is_valid = self.peek().is_some_and(|c| valid.contains(c));
        if is_valid {
            self.bump();
        }
        is_valid
    }

    fn accept_all(&mut self, valid: &str) {
        while self.accept(valid) {}
    }
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Prints a character as Go's `%#U`.
fn code(c: char) -> String {
    let printed = if is_print(c) {
        format!(" '{c}'")
    } else {
        String::new()
    };
    format!("U+{:04X}{printed}", u32::from(c))
}
