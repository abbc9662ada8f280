//! Tables with aligned columns.

use std::fmt;

use super::text::visible_line;

/// The alignment of a cell in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table of `N` columns with a head; its `Display` is its text, without a line break at the end.
#[derive(Debug, Clone)]
pub struct Table<const N: usize> {
    columns: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
    is_hidden: [bool; N],
}

impl<const N: usize> Table<N> {
    /// Makes a table without rows.
    pub fn new(columns: [(&'static str, Align); N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            is_hidden: [false; N],
        }
    }

    /// Hides the column of that name.
    pub fn hide(&mut self, name: &str) {
        for (is_hidden, column) in self.is_hidden.iter_mut().zip(&self.columns) {
            *is_hidden |= column.0 == name;
        }
    }

    /// Adds a row; each cell becomes one line, with line breaks escaped.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.map(|cell| visible_line(&cell).into_owned()));
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> [usize; N] {
        std::array::from_fn(|at| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            let head = self.columns[at].0.chars().count();
            cells.fold(head, usize::max)
        })
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let head: [String; N] = self.columns.map(|(name, _)| name.to_owned());
        for (n, row) in std::iter::once(&head).chain(&self.rows).enumerate() {
            let mut line = String::new();
            let columns = widths.iter().zip(&self.columns).zip(self.is_hidden);
            for (cell, ((width, (_, align)), is_hidden)) in row.iter().zip(columns) {
                if is_hidden {
                    continue;
                }
                let gap = " ".repeat(width - cell.chars().count());
                let cell = match align {
                    Align::Left => format!("{cell}{gap}  "),
                    Align::Right => format!("{gap}{cell}  "),
                };
                line.push_str(&cell);
            }
            let line_break = if n == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn columns_align_and_lines_do_not_trail() {
        let mut table = Table::new([
            ("IMAGE", Align::Left),
            ("SIZE", Align::Right),
            ("PLATFORM", Align::Left),
        ]);
        assert!(table.is_empty());
        table.row([
            "library/redis:7.4".into(),
            "117.0 MiB".into(),
            "linux/amd64".into(),
        ]);
        table.row(["a\u{1b}\nb".into(), "9 B".into(), String::new()]);
        assert_snapshot!(table.to_string(), @r"
        IMAGE                   SIZE  PLATFORM
        library/redis:7.4  117.0 MiB  linux/amd64
        a\u{1b} b                9 B
        ");
        assert!(
            table
                .to_string()
                .lines()
                .all(|line| line == line.trim_end())
        );
        assert!(!table.to_string().ends_with('\n'));
        table.hide("SIZE");
        assert_snapshot!(table.to_string(), @r"
        IMAGE              PLATFORM
        library/redis:7.4  linux/amd64
        a\u{1b} b
        ");
    }
}
