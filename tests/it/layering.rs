//! Holds the house in shape: which floor may import which, where each crate lives, how large files
//! are and what they are called. The rules are tables in [`rules`].

mod blocking;
mod paths;
mod rules;
mod source;
mod tokens;

use std::path::Path;
use std::process::Command;

use rules::{
    blocking_problems, floor_problems, home_problems, kind_problems, name_problems, size_problems,
    top_level_problems, unreached_problems,
};
use source::{Source, read_tree};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let sources = read_tree(root(), "src");
    assert!(sources.len() > 20, "sources are found: {}", sources.len());
    sources
}

#[track_caller]
fn check(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn floors_import_downward_only() {
    check(&floor_problems(&sources()));
}

#[test]
fn each_crate_has_one_home() {
    check(&home_problems(&sources()));
}

#[test]
fn kinds_of_ends_are_asked_and_not_matched() {
    check(&kind_problems(&sources()));
}

#[test]
fn async_code_does_not_block() {
    check(&blocking_problems(&sources()));
}

#[test]
fn files_stay_small() {
    check(&size_problems(&sources()));
}

#[test]
fn names_say_something() {
    let mut sources = sources();
    sources.extend(read_tree(root(), "tests/it"));
    check(&name_problems(&sources));
}

#[test]
fn every_test_file_is_compiled() {
    check(&unreached_problems(&read_tree(root(), "tests/it")));
}

#[test]
fn every_source_file_is_compiled() {
    check(&unreached_problems(&sources()));
}

#[test]
fn the_top_level_is_tidy() {
    check(&top_level_problems(&top_level_names()));
}

/// The visible names at the top of what is under version control; of the directory, where there is
/// no git.
fn top_level_names() -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "--full-name", "."])
        .current_dir(root())
        .output();
    let listed = match git {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).expect("our file names are ASCII")
        }
        _ => source::names_in(root()).join("\n"),
    };
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = listed.lines().map(first).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names.dedup();
    names
}

/// Checks `text` as the file `path` and expects problems with these beginnings, in order.
#[track_caller]
fn expect(check: fn(&[Source]) -> Vec<String>, files: &[(&str, &str)], problems: &[&str]) {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::parse(path, text))
        .collect();
    let found = check(&sources);
    let same =
        found.len() == problems.len() && found.iter().zip(problems).all(|(f, p)| f.starts_with(p));
    assert!(same, "\nexpected {problems:#?}\nfound {found:#?}");
}

#[test]
fn the_checker_sees_kinds_that_are_matched() {
    let text = r"
        use crate::transfer::{SourceKind, Transport};
        fn f(kind: SourceKind) -> bool { matches!(kind, SourceKind::Store) || kind.is_local() }
        fn g(word: &str) -> Transport { crate::transfer::Transport::Dir }
        use crate::layout::CollectionKind::*;
    ";
    expect(
        kind_problems,
        &[("src/ops/base.rs", text), ("src/transfer/kind.rs", text)],
        &[
            "src/ops/base.rs:3: `SourceKind::Store` is only for",
            "src/ops/base.rs:4: `Transport::Dir` is only for",
            "src/ops/base.rs:5: `CollectionKind::*` is only for",
        ],
    );
}

#[test]
fn the_checker_sees_wrong_imports() {
    let store = r#"
        use crate::{bridge, fsx::{self, File}, oci::Digest};
        use crate::registry::Client; // crate::ops in a comment is none
        use super::super::server;
        use super::super::super::ops;
        fn f() -> &'static str { "crate::cli::run" }
        fn g<'a>(c: char) { if c == '"' { crate::transfer::run::<crate::cli::Exit>(); } }
        pub(in crate::store) fn h() {}
        #[cfg(test)]
        mod tests { use crate::cli::Exit; fn f() { crate::ops::pull(); } }
        fn after() { crate::bundle::open() }
    "#;
    expect(
        floor_problems,
        &[("src/store/blob/data.rs", store)],
        &[
            "src/store/blob/data.rs:3: `store` must not import `registry`",
            "src/store/blob/data.rs:5: `store` must not import `ops`",
            "src/store/blob/data.rs:7: `store` must not import `transfer`",
            "src/store/blob/data.rs:7: `store` must not import `cli`",
            "src/store/blob/data.rs:11: `store` must not import `bundle`",
        ],
    );
    expect(
        floor_problems,
        &[
            (
                "src/server.rs",
                "use crate::store::Store; use super::hint::Hint;",
            ),
            ("src/oci/tag.rs", "use crate::fsx::File;"),
            ("src/fsx.rs", "use super::{bridge, oci};"),
            (
                "src/main.rs",
                "fn main() { hod::cli::run(); hod::ops::pull() }",
            ),
            ("src/extra.rs", ""),
            (
                "src/store/x.rs",
                "#[cfg(test)] use crate::cli::Exit; use crate::new::X;",
            ),
        ],
        &[
            "src/oci/tag.rs:1: `oci` must not import `fsx`",
            "src/fsx.rs:1: `fsx` must not import `bridge`",
            "src/main.rs:1: `main` must not import `ops`",
            "src/extra.rs: `extra` stands on no floor",
            "src/store/x.rs:1: `store` imports `new`, which stands on no floor",
        ],
    );
}

#[test]
fn the_checker_sees_crates_away_from_home() {
    let bad = r##"
        use std::{env, fs::File, io};
        use ::reqwest as http;
        fn f() { println!("{}", std::env::consts::ARCH); r#"println!("a")"#; }
        fn g() { tokio::task::spawn_blocking(|| 1); handle.spawn_blocking(|| nix::unistd::getpid()); }
        #[derive(clap::Parser)] struct Args;
        /* println!() /* nested */ tar::Builder */
        fn h(tar: u8) { ::tar::Builder::new(tar); io::stderr(); }
    "##;
    expect(
        home_problems,
        &[("src/transfer/x.rs", bad)],
        &[
            "src/transfer/x.rs:2: `std::env` is only for cli, main",
            "src/transfer/x.rs:2: `std::fs` is only for fsx",
            "src/transfer/x.rs:3: `reqwest` is only for registry",
            "src/transfer/x.rs:4: `println!` is only for cli",
            "src/transfer/x.rs:5: `nix` is only for fsx",
            "src/transfer/x.rs:5: `spawn_blocking` is only for bridge",
            "src/transfer/x.rs:5: `spawn_blocking` is only for bridge",
            "src/transfer/x.rs:6: `clap` is only for cli",
            "src/transfer/x.rs:8: `tar` is only for tarball",
            "src/transfer/x.rs:8: `io::stderr` is only for cli, fsx",
        ],
    );
    expect(
        home_problems,
        &[
            (
                "src/fsx/read.rs",
                "use std::fs::File; use tempfile::NamedTempFile;",
            ),
            ("src/store.rs", "#[cfg(test)] mod samples;"),
            ("src/store/samples.rs", "use tempfile::TempDir;"),
            (
                "src/store/tag.rs",
                "#[cfg(test)] mod tests { use tempfile::TempDir; }",
            ),
        ],
        &[],
    );
}

#[test]
fn the_checker_sees_what_blocks() {
    let text = r#"
        async fn f(path: PathBuf) -> Result<(), Error> {
            let there = fsx::try_stat(&path)?;
            let open = move || { fsx::open(&path) };
            bridge::run(move || Store::open(&path)).await?;
            if fsx::is_stdin(&path) { store.open(1) }
            let all = paths.iter().map(|path| Store::open(path));
            require_space(&path, 7)
        }
        fn g() { fsx::open("a"); async move { Catalog::open(x).await; } }
        async fn h(&self);
        fn i() { fsx::open("a") }
        #[cfg(test)]
        mod tests { async fn f() { fsx::open("a") } }
    "#;
    expect(
        blocking_problems,
        &[("src/ops/x.rs", text)],
        &[
            "src/ops/x.rs:3: `fsx::try_stat` blocks",
            "src/ops/x.rs:7: `Store::open` blocks",
            "src/ops/x.rs:8: `require_space` blocks",
            "src/ops/x.rs:10: `Catalog::open` blocks",
        ],
    );
}

#[test]
fn the_checker_sees_large_files() {
    let long = "fn f() {}\n".repeat(601);
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    expect(
        size_problems,
        &[("src/a.rs", &long), ("src/b.rs", &tests)],
        &["src/a.rs: 601 lines"],
    );
    let middling = "fn f() {}\n".repeat(201);
    expect(
        size_problems,
        &[
            ("src/a.rs", &middling),
            ("src/b.rs", &middling),
            ("src/c.rs", ""),
        ],
        &["1 of 3 files"],
    );
}

#[test]
fn the_checker_sees_names_and_forgotten_files() {
    expect(
        name_problems,
        &[
            ("src/store/utils.rs", "mod helpers { }"),
            ("src/common/tag.rs", ""),
            ("src/types.rs", ""),
        ],
        &[
            "src/store/utils.rs: `utils`",
            "src/store/utils.rs:1: `helpers`",
            "src/common/tag.rs: `common`",
            "src/types.rs: `types`",
        ],
    );
    expect(
        unreached_problems,
        &[
            ("tests/it/main.rs", "mod pull; // mod push;"),
            ("tests/it/pull.rs", "mod big;"),
            ("tests/it/pull/big.rs", ""),
            ("tests/it/pull/small.rs", ""),
            ("tests/it/push.rs", ""),
        ],
        &["tests/it/pull/small.rs: ", "tests/it/push.rs: "],
    );
    let names = ["README.md", "src", "notes.txt"].map(str::to_owned);
    let found = top_level_problems(&names);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("`notes.txt`"), "{found:?}");
}
