//! Source files: read, and taken apart into what is built and what only tests see.

use std::path::Path;

use super::blocking::blocking_calls;
use super::paths::{CodePath, paths};
use super::tokens::{Token, tokens};

/// One file, of which only what is not for tests was kept.
#[derive(Debug)]
pub(super) struct Source {
    /// From the root, `src/store/blob.rs`.
    pub(super) path: String,
    /// The module it is: `["store", "blob"]`; empty for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    pub(super) paths: Vec<CodePath>,
    /// Identifiers with their lines; those of macro calls end in `!`.
    pub(super) words: Vec<(String, usize)>,
    /// Names of its modules, declared or inline, with their lines.
    pub(super) modules: Vec<(String, usize)>,
    /// Names of its modules that only tests see.
    pub(super) test_modules: Vec<String>,
    /// The calls that block in async code, with their lines.
    pub(super) blocking: Vec<(String, usize)>,
    pub(super) n_lines: usize,
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let all = tokens(text);
        let (code, tests) = split_tests(&all);
        let test_lines: usize = tests.iter().map(|item| line_span(item)).sum();
        let is_mod = |pair: &&[Token<'_>]| pair[0].text == "mod" && pair[1].is_ident();
        let name = |pair: &[Token<'_>]| (pair[1].text.to_owned(), pair[1].line);
        Self {
            path: path.to_owned(),
            module: module_of(path),
            paths: paths(&code),
            words: words(&code),
            modules: code.windows(2).filter(is_mod).map(name).collect(),
            test_modules: tests
                .iter()
                .filter_map(|item| item.windows(2).find(is_mod))
                .map(|pair| name(pair).0)
                .collect(),
            blocking: blocking_calls(&code),
            n_lines: text.lines().count() - test_lines,
        }
    }

    /// The top-level module it belongs to; `main` and `lib` for the roots.
    pub(super) fn top(&self) -> &str {
        match self.module.first() {
            Some(name) => name,
            None => self.stem(),
        }
    }

    /// The file name without `.rs`.
    pub(super) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.strip_suffix(".rs").unwrap_or(name)
    }
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let inner = path
        .strip_prefix("src/")
        .or_else(|| path.strip_prefix("tests/it/"))
        .unwrap_or(path);
    match inner {
        "lib" | "main" => Vec::new(),
        _ => inner.split('/').map(str::to_owned).collect(),
    }
}

fn words(code: &[Token<'_>]) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    for (at, token) in code.iter().enumerate() {
        if token.is_ident() {
            let is_macro = code.get(at + 1).is_some_and(|next| next.text == "!");
            let bang = if is_macro { "!" } else { "" };
            words.push((format!("{}{bang}", token.text), token.line));
        }
    }
    words
}

fn line_span(item: &[Token<'_>]) -> usize {
    match (item.first(), item.last()) {
        (Some(first), Some(last)) => last.line - first.line + 1,
        _ => 0,
    }
}

/// Parts the tokens of items under `#[cfg(test)]` from all others.
fn split_tests<'t, 'a>(tokens: &'t [Token<'a>]) -> (Vec<Token<'a>>, Vec<&'t [Token<'a>]>) {
    let mut code = Vec::new();
    let mut tests = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let len = test_item_len(&tokens[at..]);
        if len > 0 {
            tests.push(&tokens[at..at + len]);
            at += len;
        } else {
            code.push(tokens[at]);
            at += 1;
        }
    }
    (code, tests)
}

/// How many tokens the item has that starts here, if it has `#[cfg(test)]`; else 0.
fn test_item_len(tokens: &[Token<'_>]) -> usize {
    const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is_test = tokens.len() > CFG_TEST.len()
        && tokens
            .iter()
            .zip(CFG_TEST)
            .all(|(token, text)| token.text == text);
    if !is_test {
        return 0;
    }
    let is_use = tokens[CFG_TEST.len()..]
        .iter()
        .find(|token| token.text != "pub")
        .is_some_and(|token| token.text == "use");
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(CFG_TEST.len()) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && !is_use {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Every `.rs` file under `root/dir`, sorted.
pub(super) fn read_tree(root: &Path, dir: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for name in names_in(&root.join(dir)) {
        let path = format!("{dir}/{name}");
        if root.join(&path).is_dir() {
            sources.extend(read_tree(root, &path));
        } else if Path::new(&path).extension() == Some("rs".as_ref()) {
            sources.push(Source::parse(&path, &read(&root.join(&path))));
        }
    }
    sources
}

#[expect(
    clippy::disallowed_methods,
    reason = "it looks at the sources themselves"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("sources are readable text")
}

/// The names in a directory, sorted.
#[expect(
    clippy::disallowed_methods,
    reason = "it looks at the sources themselves"
)]
pub(super) fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the directory is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the directory is readable").file_name())
        .map(|name| name.into_string().expect("our file names are UTF-8"))
        .collect();
    names.sort();
    names
}
