//! Columns as Go's `text/tabwriter` aligns them: cells end with a tab, and a column is as wide as its
//! widest cell in the lines that follow each other and have it.

use crate::limits::COLUMNS_MAX;

/// How wide columns are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub min_width: usize,
    pub padding: usize,
}

/// A cell: its bytes, and the characters that are counted.
#[derive(Debug, Clone, Default)]
struct Cell {
    text: Vec<u8>,
    width: usize,
}

/// Aligns all cells of a text; `None` if the result is longer than `max`, or has too many columns.
/// Texts between bytes 0xff, which are dropped, are not split.
pub(crate) fn align(text: &[u8], columns: Columns, max: usize) -> Option<Vec<u8>> {
    let mut writer = Writer {
        max,
        columns,
        out: Vec::new(),
        widths: Vec::new(),
    };
    let mut lines: Vec<Vec<Cell>> = vec![Vec::new()];
    let (mut cell, mut is_escaped) = (Cell::default(), false);
    for byte in text {
        match byte {
            0xff => is_escaped = !is_escaped,
            b'\t' | b'\x0b' | b'\n' | b'\x0c' if !is_escaped => {
                finish(&mut cell, &mut lines);
                if lines.last().is_some_and(|line| line.len() > COLUMNS_MAX) {
                    return None;
                }
                if matches!(byte, b'\n' | b'\x0c') {
                    let n_cells = lines.last().map_or(0, Vec::len);
                    lines.push(Vec::new());
                    // A line without tabs ends all columns.
                    if *byte == b'\x0c' || n_cells == 1 {
                        writer.flush(&mut lines);
                    }
                }
            }
            byte => cell.text.push(*byte),
        }
    }
    if !cell.text.is_empty() {
        finish(&mut cell, &mut lines);
    }
    writer.flush(&mut lines);
    (writer.out.len() <= max).then_some(writer.out)
}

fn finish(cell: &mut Cell, lines: &mut [Vec<Cell>]) {
    cell.width = hod_gotext::count(&cell.text);
    if let Some(line) = lines.last_mut() {
        line.push(std::mem::take(cell));
    }
}

struct Writer {
    /// Nothing is written when the output is longer.
    max: usize,
    columns: Columns,
    out: Vec<u8>,
    /// The widths of the columns so far.
    widths: Vec<usize>,
}

impl Writer {
    fn flush(&mut self, lines: &mut Vec<Vec<Cell>>) {
        self.block(lines, 0, lines.len());
        *lines = vec![Vec::new()];
    }

    /// Writes lines, whose columns up to the current one have widths.
    fn block(&mut self, lines: &[Vec<Cell>], start: usize, end: usize) {
        let column = self.widths.len();
        // The last cell of a line is no part of a column.
        let has_column = |line: &Vec<Cell>| column + 1 < line.len();
        let (mut first, mut at) = (start, start);
        while at < end {
            if !has_column(&lines[at]) {
                at += 1;
                continue;
            }
            self.lines(lines, first, at);
            first = at;
            let mut width = self.columns.min_width;
            while at < end && has_column(&lines[at]) {
                width = width.max(lines[at][column].width + self.columns.padding);
                at += 1;
            }
            self.widths.push(width);
            self.block(lines, first, at);
            self.widths.pop();
            first = at;
        }
        self.lines(lines, first, end);
    }

    fn lines(&mut self, lines: &[Vec<Cell>], start: usize, end: usize) {
        for at in start..end {
            for (column, cell) in lines[at].iter().enumerate() {
                if self.out.len() > self.max {
                    return;
                }
                self.out.extend(&cell.text);
                if let Some(width) = self.widths.get(column) {
                    let missing = width.saturating_sub(cell.width);
                    self.out.resize(self.out.len() + missing, b' ');
                }
            }
            if at + 1 < lines.len() {
                self.out.push(b'\n');
            }
        }
    }
}
