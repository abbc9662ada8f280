//! Calls that block, where code is async: a thread of the runtime that waits for a disk holds up
//! everything else. `bridge` takes such calls to threads that may wait, in closures that `move`.

use super::tokens::Token;

/// Functions of `fsx` that only look at a path, or at what is open already.
const QUICK: [&str; 6] = [
    "dir_of",
    "is_stdin",
    "is_stdout",
    "raise_open_files_max",
    "stdin",
    "stdout",
];
/// Functions of types that open what is on a disk.
const OPENING: [&str; 10] = [
    "AtPath",
    "Bundle",
    "Catalog",
    "Collection",
    "DirLayout",
    "OciArchiveWriter",
    "OciDirWriter",
    "OutputFile",
    "Signer",
    "Store",
];
const OPENS: [&str; 6] = [
    "create",
    "create_alone",
    "create_new",
    "detect",
    "load",
    "open",
];
/// Functions that ask the file system.
const ASKING: [&str; 8] = [
    "existing_ancestor",
    "require_absent",
    "require_file_len",
    "require_lens",
    "require_links",
    "require_same_filesystem",
    "require_space",
    "require_space_of_all",
];

/// The calls that block in async functions and blocks, with their lines.
pub(super) fn blocking_calls(tokens: &[Token<'_>]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = match body_of_async(tokens, at) {
            Some(body) => {
                let end = closing(tokens, body);
                find(&tokens[body..end], &mut found);
                end
            }
            None => at + 1,
        };
    }
    found
}

/// The brace that opens the body of the async function or block at `at`, if there is one.
fn body_of_async(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map(|token| token.text);
    if text(at) != Some("async") {
        return None;
    }
    match text(at + 1) {
        Some("{") => Some(at + 1),
        Some("move") if text(at + 2) == Some("{") => Some(at + 2),
        Some("fn") => {
            let rest = tokens[at..].iter();
            let end = rest.take_while(|token| !matches!(token.text, "{" | ";"));
            let body = at + end.count();
            (text(body) == Some("{")).then_some(body)
        }
        _ => None,
    }
}

/// The position behind the bracket that closes the one at `at`.
fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0;
    for (offset, token) in tokens[at..].iter().enumerate() {
        depth += match token.text {
            "(" | "[" | "{" => 1,
            ")" | "]" | "}" => -1,
            _ => 0,
        };
        if depth == 0 {
            return at + offset + 1;
        }
    }
    tokens.len()
}

fn find(body: &[Token<'_>], found: &mut Vec<(String, usize)>) {
    let mut at = 0;
    while at < body.len() {
        if body[at].text == "move" && body.get(at + 1).is_some_and(|next| next.text == "|") {
            at = behind_closure(body, at + 2);
            continue;
        }
        if let Some(name) = blocking(body, at) {
            found.push((name, body[at].line));
        }
        at += 1;
    }
}

/// The position behind the closure whose parameters begin at `at`.
fn behind_closure(body: &[Token<'_>], at: usize) -> usize {
    let parameters = body[at..].iter();
    let mut at = at + parameters.take_while(|token| token.text != "|").count() + 1;
    if body.get(at).is_some_and(|token| token.text == "{") {
        return closing(body, at);
    }
    while let Some(token) = body.get(at) {
        match token.text {
            "(" | "[" | "{" => at = closing(body, at),
            ")" | "]" | "}" | "," | ";" => break,
            _ => at += 1,
        }
    }
    at
}

/// The name of the function that is called at `at`, if it blocks.
fn blocking(body: &[Token<'_>], at: usize) -> Option<String> {
    let text = |at: usize| body.get(at).map_or("", |token| token.text);
    if text(at + 1) != "(" || at == 0 || text(at - 1) == "." || text(at - 1) == "fn" {
        return None;
    }
    let name = text(at);
    let home = match at.checked_sub(2) {
        Some(home) if text(at - 1) == "::" => text(home),
        _ => "",
    };
    let is_function = name.starts_with(|c: char| c.is_ascii_lowercase());
    let blocks = (home == "fsx" && is_function && !QUICK.contains(&name))
        || (OPENING.contains(&home) && OPENS.contains(&name))
        || (home == "written" || home.is_empty()) && ASKING.contains(&name);
    blocks.then(|| {
        if home.is_empty() {
            name.to_owned()
        } else {
            format!("{home}::{name}")
        }
    })
}
