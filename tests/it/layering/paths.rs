//! The paths that stand in code: `use` trees spelled out, and `a::b::c` wherever it is written.

use super::tokens::Token;

/// A path as written, of at least two segments, or of one in a `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodePath {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

pub(super) fn paths(tokens: &[Token<'_>]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_use = tokens[at].text == "use" && !follows(tokens, at, &["<"]);
        if is_use {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if tokens[at].is_ident() && starts_path(tokens, at) {
            at = plain_path(tokens, at, &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn follows(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    tokens
        .get(at + 1)
        .is_some_and(|token| texts.contains(&token.text))
}

/// Whether the identifier at `at` is the first of its path: no field, no method, no later segment.
fn starts_path(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).map(|at| tokens[at]);
    match before(1).map(|token| token.text) {
        Some(".") => false,
        Some("::") => !before(2).is_some_and(|token| token.is_ident() || token.text == ">"),
        _ => true,
    }
}

fn plain_path(tokens: &[Token<'_>], start: usize, found: &mut Vec<CodePath>) -> usize {
    let mut at = start;
    while follows(tokens, at, &["::"]) && tokens.get(at + 2).is_some_and(Token::is_ident) {
        at += 2;
    }
    if at > start {
        let segments = tokens[start..=at].iter().step_by(2);
        found.push(CodePath {
            segments: segments.map(|token| token.text.to_owned()).collect(),
            line: tokens[start].line,
        });
    }
    at + 1
}

/// Adds the paths of the use tree at `start`; returns the position after it.
fn use_tree(
    tokens: &[Token<'_>],
    start: usize,
    prefix: &[String],
    found: &mut Vec<CodePath>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => return use_group(tokens, at + 1, &segments, found),
            "as" => {
                at += 2;
                break;
            }
            ";" | "," | "}" => break,
            text => {
                segments.push(text.to_owned());
                at += 1;
            }
        }
    }
    if segments.len() > prefix.len() {
        let line = tokens[start].line;
        found.push(CodePath { segments, line });
    }
    at
}

fn use_group(
    tokens: &[Token<'_>],
    start: usize,
    prefix: &[String],
    found: &mut Vec<CodePath>,
) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "}" => return at + 1,
            "," => at += 1,
            _ => at = use_tree(tokens, at, prefix, found),
        }
    }
    at
}
