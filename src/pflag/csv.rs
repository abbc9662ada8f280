//! Texts that are separated by commas, as Go's `encoding/csv` reads a record.

use crate::error::ValueError;

const BARE: &str = "bare \" in non-quoted-field";
const EXTRANEOUS: &str = "extraneous or missing \" in quoted-field";

/// Reads the first record of a text.
pub(crate) fn record(text: &str) -> Result<Vec<String>, ValueError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    // CRLF ends a line as LF does.
    let text = text.replace("\r\n", "\n");
    let start = text.len() - text.trim_start_matches('\n').len();
    if start == text.len() {
        return Err(ValueError::NoRecord);
    }
    let mut reader = Reader {
        rest: &text[start..],
        start: start + 1,
        line: start + 1,
        column: 1,
    };
    let mut fields = Vec::new();
    loop {
        let (field, is_last) = reader.field()?;
        fields.push(field);
        if is_last {
            return Ok(fields);
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// The line in which the record begins.
    start: usize,
    line: usize,
    /// In bytes, from 1.
    column: usize,
}

impl Reader<'_> {
    fn advance(&mut self, len: usize) {
        self.rest = &self.rest[len..];
        self.column += len;
    }

    fn fail<T>(&self, column: usize, problem: &'static str) -> Result<T, ValueError> {
        let (start, line) = (self.start, self.line);
        Err(if start == line {
            ValueError::Csv {
                line,
                column,
                problem,
            }
        } else {
            ValueError::CsvRecord {
                start,
                line,
                column,
                problem,
            }
        })
    }

    /// Reads a field, and returns whether it is the last one.
    fn field(&mut self) -> Result<(String, bool), ValueError> {
        if self.rest.starts_with('"') {
            self.advance(1);
            return self.quoted_field();
        }
        let len = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let field = &self.rest[..len];
        // A carriage return at the very end is the end of a line.
        let is_end = self.rest.len() == len;
        let line = field.strip_suffix('\r').filter(|_| is_end);
        let field = line.unwrap_or(field);
        if let Some(at) = field.find('"') {
            return self.fail(self.column + at, BARE);
        }
        let field = field.to_owned();
        let is_last = !self.rest[len..].starts_with(',');
        self.advance(if is_last { len } else { len + 1 });
        Ok((field, is_last))
    }

    fn quoted_field(&mut self) -> Result<(String, bool), ValueError> {
        let mut field = String::new();
        loop {
            let Some(len) = self.rest.find(['"', '\n']) else {
                let len = self.rest.len();
                self.advance(len);
                return self.fail(self.column, EXTRANEOUS);
            };
            field.push_str(&self.rest[..len]);
            if self.rest[len..].starts_with('\n') {
                field.push('\n');
                self.advance(len + 1);
                if !self.rest.is_empty() {
                    self.line += 1;
                    self.column = 1;
                }
                continue;
            }
            self.advance(len + 1);
            match self.rest.chars().next() {
                Some('"') => {
                    field.push('"');
                    self.advance(1);
                }
                Some(',') => {
                    self.advance(1);
                    return Ok((field, false));
                }
                Some('\n') | None => return Ok((field, true)),
                Some('\r') if self.rest == "\r" => return Ok((field, true)),
                Some(_) => return self.fail(self.column - 1, EXTRANEOUS),
            }
        }
    }
}
