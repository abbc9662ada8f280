//! The rules, as tables, and the checks that apply them. Code for tests is free of the first two.

use super::paths::CodePath;
use super::source::Source;

/// From the ground up; a module may import those on lower floors.
const FLOORS: [&[&str]; 6] = [
    &["hint", "list", "oci", "redact", "report"],
    &["bridge", "fsx", "program", "tarball", "terminal"],
    &[
        "bundle", "layout", "registry", "server", "store", "template",
    ],
    &["transfer"],
    &["ops"],
    &["cli"],
];

/// Who may import whom on the same floor.
const NEIGHBOURS: [(&str, &str); 10] = [
    ("bridge", "fsx"),
    ("list", "hint"),
    ("list", "oci"),
    ("list", "redact"),
    ("oci", "hint"),
    ("report", "oci"),
    ("server", "bundle"),
    ("server", "store"),
    ("tarball", "fsx"),
    ("terminal", "fsx"),
];

/// Paths that only some top-level modules may use.
const PATH_HOMES: [(&str, &[&str]); 36] = [
    ("axum", &["server"]),
    ("bcrypt", &["server"]),
    ("blake2", &["bundle"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("flate2", &["tarball"]),
    ("http", &["registry"]),
    ("http_auth", &["registry"]),
    ("hyper", &["server"]),
    ("hyper_util", &["registry", "server"]),
    ("indicatif", &["cli"]),
    ("io::stderr", &["cli", "fsx"]),
    ("io::stdout", &["cli", "fsx"]),
    ("minijinja", &["template"]),
    ("nix", &["fsx", "terminal"]),
    ("quick_xml", &["cli"]),
    ("regex_lite", &["list"]),
    ("reqwest", &["registry"]),
    ("ring", &["bundle"]),
    ("rustix", &["fsx"]),
    ("rustls", &["registry", "server"]),
    ("rustls_platform_verifier", &["registry"]),
    ("scrypt", &["bundle"]),
    ("std::env", &["cli", "main"]),
    ("std::fs", &["fsx"]),
    ("std::io::stderr", &["cli"]),
    ("std::io::stdout", &["cli", "fsx"]),
    ("std::process::Command", &["program"]),
    ("tar", &["tarball"]),
    ("tempfile", &["fsx"]),
    ("tokio::fs", &[]),
    ("tokio_rustls", &["server"]),
    ("toml", &["registry"]),
    ("walkdir", &["fsx"]),
    ("x509_parser", &["registry"]),
    ("zstd", &["bundle", "tarball"]),
];

/// Words that only some top-level modules may use.
const WORD_HOMES: [(&str, &[&str]); 8] = [
    // Content with a known digest is verified by a `Verifier`.
    ("DigestHasher", &["bundle", "layout", "oci", "store"]),
    ("block_on", &["cli"]),
    ("eprint!", &["cli"]),
    ("eprintln!", &["cli"]),
    ("print!", &["cli"]),
    ("println!", &["cli"]),
    // What hod did not make stays: `fsx` removes what it made, one by one.
    ("remove_dir_all", &[]),
    ("spawn_blocking", &["bridge"]),
];

/// Kinds of ends, whose variants only some files outside `transfer` may name. All others ask the
/// kind, so that one more is added in one place.
const KIND_HOMES: [(&str, &[&str]); 3] = [
    ("CollectionKind", &["src/layout/"]),
    (
        "SourceKind",
        // These say what they have found, and match nothing.
        &[
            "src/cli/commands/input.rs",
            "src/ops/merge.rs",
            "src/ops/verify.rs",
        ],
    ),
    (
        "Transport",
        // What flags take, and the table of targets. `registry` has a type of that name.
        &[
            "src/cli/args/",
            "src/cli/commands/copy/local.rs",
            "src/registry/",
        ],
    ),
];

/// Names that do not say what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "common",
    "helper",
    "helpers",
    "misc",
    "types",
    "util",
    "utilities",
    "utils",
];

/// What may be seen at the top of the repository.
const TOP_LEVEL: [&str; 12] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "fixtures",
    "src",
    "templates",
    "tests",
];

/// Without inline tests.
const FILE_LINES_MAX: usize = 600;
/// At least half of the files have no more.
const HALF_LINES_MAX: usize = 200;

pub(super) fn floor_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in built(sources) {
        let own = source.top();
        if own == "lib" {
            continue;
        }
        if own != "main" && floor_of(own).is_none() {
            problems.push(format!("{}: `{own}` stands on no floor", source.path));
            continue;
        }
        for path in &source.paths {
            let Some(target) = imported_module(source, path) else {
                continue;
            };
            let at = format!("{}:{}", source.path, path.line);
            if floor_of(target).is_none() {
                problems.push(format!(
                    "{at}: `{own}` imports `{target}`, which stands on no floor"
                ));
            } else if !may_import(own, target) {
                problems.push(format!("{at}: `{own}` must not import `{target}`"));
            }
        }
    }
    problems
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn may_import(own: &str, target: &str) -> bool {
    if own == "main" {
        return target == "cli";
    }
    own == target || floor_of(target) < floor_of(own) || NEIGHBOURS.contains(&(own, target))
}

/// The top-level module that `path` names, where it leads through the crate's root.
fn imported_module<'p>(source: &Source, path: &'p CodePath) -> Option<&'p str> {
    let n_supers = path.segments.iter().take_while(|s| *s == "super").count();
    let n_to_root = match path.segments[0].as_str() {
        "crate" => 1,
        "hod" if source.top() == "main" => 1,
        "super" if n_supers == source.module.len() => n_supers,
        _ => return None,
    };
    path.segments.get(n_to_root).map(String::as_str)
}

pub(super) fn home_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in built(sources) {
        let mut found: Vec<(usize, &str, &[&str])> = Vec::new();
        for path in &source.paths {
            let home = PATH_HOMES.iter().find(|(name, _)| is_within(path, name));
            found.extend(home.map(|(name, homes)| (path.line, *name, *homes)));
        }
        for (word, line) in &source.words {
            let home = WORD_HOMES.iter().find(|(name, _)| name == word);
            found.extend(home.map(|(name, homes)| (*line, *name, *homes)));
        }
        found.retain(|(_, _, homes)| !homes.contains(&source.top()));
        found.sort_by_key(|(line, _, _)| *line);
        problems.extend(found.iter().map(|(line, name, homes)| {
            let homes = homes.join(", ");
            let homes = if homes.is_empty() { "nobody" } else { &homes };
            format!("{}:{line}: `{name}` is only for {homes}", source.path)
        }));
    }
    problems
}

/// Whether `path` is `name` or below it. What the compiler knows is no environment.
fn is_within(path: &CodePath, name: &str) -> bool {
    let path = path.segments.join("::");
    let below = path.strip_prefix(name);
    below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
        && !path.starts_with("std::env::consts")
}

/// Variants of the kinds of ends outside their homes.
pub(super) fn kind_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in built(sources).filter(|source| source.top() != "transfer") {
        for path in &source.paths {
            let variant = path.segments.windows(2).find_map(|pair| {
                let (_, homes) = KIND_HOMES.iter().find(|(kind, _)| *kind == pair[0])?;
                let is_variant = pair[1].starts_with(|c: char| c.is_ascii_uppercase());
                (is_variant || pair[1] == "*").then_some((pair.join("::"), *homes))
            });
            if let Some((variant, homes)) = variant
                && !homes.iter().any(|home| source.path.starts_with(home))
            {
                let homes = homes.join(", ");
                problems.push(format!(
                    "{}:{}: `{variant}` is only for src/transfer/, {homes}: ask the kind instead",
                    source.path, path.line
                ));
            }
        }
    }
    problems
}

pub(super) fn blocking_problems(sources: &[Source]) -> Vec<String> {
    let calls = built(sources).flat_map(|source| {
        let calls = source.blocking.iter();
        calls.map(move |(name, line)| format!("{}:{line}: `{name}` blocks", source.path))
    });
    calls.collect()
}

pub(super) fn size_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut n_files, mut n_small) = (0, 0);
    for source in built(sources) {
        n_files += 1;
        n_small += usize::from(source.n_lines <= HALF_LINES_MAX);
        if source.n_lines > FILE_LINES_MAX {
            let (path, n) = (&source.path, source.n_lines);
            problems.push(format!("{path}: {n} lines are more than {FILE_LINES_MAX}"));
        }
    }
    if n_small * 2 < n_files {
        problems.push(format!(
            "{n_small} of {n_files} files have {HALF_LINES_MAX} lines or less: fewer than half"
        ));
    }
    problems
}

/// The files that are part of the library: not those of `#[cfg(test)] mod name;`.
fn built(sources: &[Source]) -> impl Iterator<Item = &Source> {
    let is_for_tests = |source: &&Source| {
        (1..=source.module.len()).any(|n| {
            let (name, parent) = (&source.module[n - 1], &source.module[..n - 1]);
            sources
                .iter()
                .any(|other| other.module == parent && other.test_modules.contains(name))
        })
    };
    sources.iter().filter(move |source| !is_for_tests(source))
}

pub(super) fn name_problems(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in sources {
        let path = &source.path;
        let mut found: Vec<(String, &str)> = Vec::new();
        found.extend(
            source
                .module
                .iter()
                .map(|name| (path.clone(), name.as_str())),
        );
        for (name, line) in &source.modules {
            found.push((format!("{path}:{line}"), name));
        }
        found.retain(|(_, name)| EMPTY_NAMES.contains(name));
        let text = |(at, name): &(String, &str)| format!("{at}: `{name}` says nothing");
        problems.extend(found.iter().map(text));
    }
    problems
}

/// Files that no `mod` line reaches, so that nothing in them is compiled.
pub(super) fn unreached_problems(sources: &[Source]) -> Vec<String> {
    let is_reached = |source: &&Source| {
        let Some((name, parent)) = source.module.split_last() else {
            return true;
        };
        sources.iter().any(|other| {
            let declared = other.modules.iter().map(|(name, _)| name);
            other.module == parent && declared.chain(&other.test_modules).any(|n| n == name)
        })
    };
    sources
        .iter()
        .filter(|source| !is_reached(source))
        .map(|source| format!("{}: no `mod` line reaches it", source.path))
        .collect()
}

pub(super) fn top_level_problems(names: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| format!("`{name}` has no place at the top of the repository"))
        .collect()
}
