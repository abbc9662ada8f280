//! Commands whose names are similar to what was given.

use crate::error::UsageError;
use crate::program::Program;

/// How many letters of a suggestion may differ from what was given.
const DISTANCE_MAX: usize = 2;

impl Program {
    /// Makes the error of a command line without a known command. `arguments` are what is left of it.
    pub fn no_command(&self, arguments: &[String]) -> UsageError {
        let program = self.name;
        match arguments.first() {
            None => UsageError::Missing { program },
            Some(word) => UsageError::Unrecognized {
                program,
                word: word.clone(),
                suggestions: self.suggestions(word),
            },
        }
    }

    /// Returns the commands that begin with the word or are spelled like it, case aside.
    pub fn suggestions(&self, word: &str) -> Vec<&'static str> {
        let word = word.to_lowercase();
        let visible = self.commands.iter().filter(|command| !command.is_hidden);
        let names = visible.map(|command| command.name);
        let is_similar = |name: &&str| {
            let name = name.to_lowercase();
            name.starts_with(&word) || distance(&word, &name) <= DISTANCE_MAX
        };
        names.filter(is_similar).collect()
    }
}

/// The number of bytes to insert, remove or replace to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    // The row of the table for the bytes of `a` so far.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, y) in b.bytes().enumerate() {
            let above = row[column + 1];
            row[column + 1] = if x == y {
                diagonal
            } else {
                diagonal.min(above).min(row[column]) + 1
            };
            diagonal = above;
        }
    }
    row[b.len()]
}
