//! Holds the house in shape where neither Cargo nor a lint does: the size and names of files, and
//! what only some files may do.

mod circles;

mod dependencies;

use std::path::Path;
use std::process::Command;

use syn::visit::{self, Visit};

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

/// What may be visible at the top of the repository.
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

/// Maximum number of lines of a file, without inline tests.
const FILE_LINES_MAX: usize = 600;
/// Maximum number of lines of at least half of the files.
const HALF_LINES_MAX: usize = 200;

/// Kinds of endpoints, whose variants only some files outside `src/transfer/` may name. All others
/// ask the kind, so that a new one is added in one place.
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

/// Functions of `hod_fsx` that do not block.
const QUICK: [&str; 6] = [
    "dir_of",
    "is_stdin",
    "is_stdout",
    "raise_open_files_max",
    "stdin",
    "stdout",
];
/// Types whose constructors read or write a disk.
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

/// A source file below the root: `src/store/blob.rs` and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.trim_end_matches(".rs")
    }

    /// Whether it is only compiled for tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
    }

    /// The text in front of the inline tests.
    fn code(&self) -> &str {
        let begins_tests = |at: &usize| {
            let mut lines = self.text[*at..].lines().skip(2);
            let is_attribute = |line: &str| line.starts_with(['#', ' ', ')', ']']);
            let item = lines.find(|line| !is_attribute(line));
            item.is_some_and(|item| item.starts_with("mod ") && item.ends_with('{'))
        };
        let starts = self.text.match_indices("\n#[cfg(test)]\n");
        let tests = starts.map(|(at, _)| at).find(begins_tests);
        &self.text[..tests.unwrap_or(self.text.len())]
    }

    fn parsed(&self) -> syn::File {
        syn::parse_file(self.code()).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for dir in ["src", "tests"] {
        read_tree(&root().join(dir), dir, &mut sources);
    }
    assert!(sources.len() > 20, "sources are found: {}", sources.len());
    sources
}

fn code() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| !source.is_test());
    sources
}

fn read_tree(dir: &Path, path: &str, sources: &mut Vec<Source>) {
    for name in hod_fsx::read_dir_names(dir).unwrap() {
        let name = name.into_string().expect("our file names are UTF-8");
        let (file, path) = (dir.join(&name), format!("{path}/{name}"));
        if file.is_dir() {
            read_tree(&file, &path, sources);
        } else if file.extension() == Some("rs".as_ref()) {
            let text = String::from_utf8(hod_fsx::read(&file, 1 << 20).unwrap()).unwrap();
            sources.push(Source { path, text });
        }
    }
}

#[track_caller]
fn check(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_stay_small() {
    let sources = code();
    let lens = sources.iter().map(|source| source.code().lines().count());
    let lens: Vec<usize> = lens.collect();
    let large = sources
        .iter()
        .zip(&lens)
        .filter(|(_, len)| **len > FILE_LINES_MAX);
    check(
        &large
            .map(|(source, len)| format!("{}: {len} lines", source.path))
            .collect::<Vec<_>>(),
    );
    let n_small = lens.iter().filter(|len| **len <= HALF_LINES_MAX).count();
    assert!(
        n_small * 2 >= lens.len(),
        "{n_small} of {} files are small",
        lens.len()
    );
}

#[test]
fn names_say_something() {
    let names = |source: &Source| {
        source
            .path
            .split('/')
            .any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
    };
    let sources = sources();
    let empty = sources.iter().filter(|source| names(source));
    check(&empty.map(|source| source.path.clone()).collect::<Vec<_>>());
}

#[test]
fn every_file_is_compiled() {
    let sources = sources();
    let is_reached = |source: &Source| {
        let (dir, _) = source.path.rsplit_once('/').unwrap();
        if ["lib", "main"].contains(&source.stem()) {
            return true;
        }
        let parents = [
            format!("{dir}.rs"),
            format!("{dir}/lib.rs"),
            format!("{dir}/main.rs"),
        ];
        let line = format!("mod {};", source.stem());
        sources.iter().any(|parent| {
            parents.contains(&parent.path)
                && parent
                    .text
                    .lines()
                    .any(|text| text == line || text.ends_with(&format!(" {line}")))
        })
    };
    let lost = sources.iter().filter(|source| !is_reached(source));
    check(
        &lost
            .map(|source| format!("{}: no `mod` line", source.path))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_top_level_is_tidy() {
    let git = Command::new("git")
        .args(["ls-files", "--full-name", "."])
        .current_dir(root())
        .output();
    let listed = match git {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).expect("our file names are ASCII")
        }
        // An unpacked archive.
        _ => {
            let names = hod_fsx::read_dir_names(root()).unwrap();
            let names = names.iter().map(|name| name.to_string_lossy().into_owned());
            names
                .filter(|name| name != "target")
                .collect::<Vec<_>>()
                .join("\n")
        }
    };
    let names = listed.lines().filter_map(|path| path.split('/').next());
    let untidy = names.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name));
    check(&untidy.map(str::to_owned).collect::<Vec<_>>());
}

/// Finds the variants of kinds that a file names.
struct Kinds<'s> {
    path: &'s str,
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Kinds<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        let segments: Vec<String> = segments.collect();
        for pair in segments.windows(2) {
            let Some((_, homes)) = KIND_HOMES.iter().find(|(kind, _)| *kind == pair[0]) else {
                continue;
            };
            let is_variant = pair[1].starts_with(|c: char| c.is_ascii_uppercase());
            if is_variant && !homes.iter().any(|home| self.path.starts_with(home)) {
                self.found
                    .push(format!("{}: `{}`", self.path, pair.join("::")));
            }
        }
        visit::visit_path(self, path);
    }
}

fn kinds_in(path: &str, file: &syn::File) -> Vec<String> {
    let mut kinds = Kinds {
        path,
        found: Vec::new(),
    };
    kinds.visit_file(file);
    kinds.found
}

#[test]
fn kinds_of_endpoints_are_asked_and_not_matched() {
    let file = syn::parse_quote! {
        fn f(kind: SourceKind) -> bool { matches!(kind, x) || kind == SourceKind::Store }
        fn g() -> Transport { crate::Transport::Dir }
    };
    assert_eq!(kinds_in("src/ops/x.rs", &file).len(), 2);
    let sources = code();
    let outside = sources
        .iter()
        .filter(|source| !source.path.starts_with("src/transfer/"));
    check(
        &outside
            .flat_map(|source| kinds_in(&source.path, &source.parsed()))
            .collect::<Vec<_>>(),
    );
}

/// Finds calls that block, where code is async: a thread of the runtime that waits for a disk holds
/// up everything else. `hod_bridge` runs closures that `move` on threads that may wait.
#[derive(Default)]
struct Blocking {
    is_async: bool,
    found: Vec<String>,
}

impl Blocking {
    fn within(&mut self, is_async: bool, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.is_async, is_async);
        visit(self);
        self.is_async = before;
    }
}

impl<'ast> Visit<'ast> for Blocking {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(item.sig.asyncness.is_some(), |all| {
            visit::visit_item_fn(all, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(item.sig.asyncness.is_some(), |all| {
            visit::visit_impl_item_fn(all, item);
        });
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.within(true, |all| visit::visit_expr_async(all, block));
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        let is_async = self.is_async && closure.capture.is_none();
        self.within(is_async, |all| visit::visit_expr_closure(all, closure));
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && self.is_async
        {
            let segments = function
                .path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            let segments: Vec<String> = segments.collect();
            self.found
                .extend(blocks(&segments).then(|| segments.join("::")));
        }
        visit::visit_expr_call(self, call);
    }
}

fn blocks(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path[..] {
        [.., "hod_fsx", name] => {
            name.starts_with(|c: char| c.is_lowercase()) && !QUICK.contains(&name)
        }
        [.., "written", name] | [name] => ASKING.contains(&name),
        [.., home, name] => OPENING.contains(&home) && OPENS.contains(&name),
        [] => false,
    }
}

fn blocking_in(file: &syn::File) -> Vec<String> {
    let mut blocking = Blocking::default();
    blocking.visit_file(file);
    blocking.found
}

#[test]
fn async_code_does_not_block() {
    let file = syn::parse_quote! {
        async fn f(path: PathBuf) -> Result<(), Error> {
            let there = hod_fsx::try_stat(&path)?;
            let open = move || { hod_fsx::open(&path) };
            hod_bridge::run(move || Store::open(&path)).await?;
            if hod_fsx::is_stdin(&path) { store.open(1) }
            let all = paths.iter().map(|path| Store::open(path));
            require_space(&path, 7)
        }
        fn g() { hod_fsx::open("a"); async move { Catalog::open(x).await; } }
    };
    let expected = [
        "hod_fsx::try_stat",
        "Store::open",
        "require_space",
        "Catalog::open",
    ];
    assert_eq!(blocking_in(&file), expected);
    let sources = code();
    let found = sources.iter().flat_map(|source| {
        let found = blocking_in(&source.parsed()).into_iter();
        found.map(|call| format!("{}: `{call}` blocks", source.path))
    });
    check(&found.collect::<Vec<_>>());
}
