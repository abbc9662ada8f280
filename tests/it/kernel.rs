//! A kernel that refuses: whatever call of a verb fails, the verb says so, keeps what is not its
//! own, and the next run has the same result as if nothing had been.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hod_testkit::env::{Output, TestEnv, finish};
use hod_testkit::images::{Compression, Image, ImageBuilder, layer};
use hod_testkit::programs::{are_here, is_sweep};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{Tree, exists, registry_tree, remove_tree, tree};

/// The calls, and what may come of them. Not `read` and `write`: threads wake each other by them, and
/// what wakes nobody cannot be told from a thread that is slow.
const CALLS: [(&str, &[&str]); 16] = [
    ("openat", &["EMFILE", "EIO", "EACCES"]),
    ("pread64", &["EIO", "EINTR"]),
    ("pwrite64", &["ENOSPC", "EIO", "EINTR"]),
    ("copy_file_range", &["EIO", "ENOSPC"]),
    ("linkat", &["ENOSPC", "EIO", "EACCES"]),
    ("rename", &["EIO", "ENOSPC", "EACCES"]),
    ("renameat2", &["EIO", "ENOSPC", "EACCES"]),
    ("mkdir", &["ENOSPC", "EACCES", "EIO"]),
    ("unlinkat", &["EIO", "EACCES"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("flock", &["EIO", "EINTR", "ENOLCK"]),
    ("statx", &["EIO", "EACCES"]),
    ("getdents64", &["EIO"]),
    ("clone3", &["EAGAIN"]),
    ("socket", &["EMFILE", "EACCES"]),
];

/// Where the result of a verb is.
#[derive(Clone, Copy)]
enum Made {
    /// The tree of a store.
    Store,
    /// Everything below the output.
    Directory,
    File,
    Keys,
    /// The tree of the registry.
    Pushed,
    /// The output says it.
    Said,
}

/// A verb, and what it makes at `out`.
type Verb = (&'static str, Made);

fn image(seed: u64) -> Image {
    let builder = ImageBuilder::oci(seed).platform("linux", "amd64");
    let builder = builder.layer(&layer(500, 3_000, Compression::Uncompressed));
    builder
        .layer(&layer(600 + seed, 5_000, Compression::Gzip))
        .build()
}

/// What the verbs read.
struct Site {
    env: TestEnv,
    source: TestRegistry,
}

impl Site {
    fn new() -> Self {
        let env = TestEnv::in_memory();
        let source = TestRegistry::start();
        let store = env.store("store");
        for (seed, name) in [(1, "a/one:1"), (2, "a/two:1")] {
            image(seed).put_in(&store, name);
            source.add(name, &image(seed));
        }
        drop(store);
        env.write("list.txt", "a/one:1\na/two:1\n");
        env.write("one.txt", "a/one:1\n");
        let _ = env.run_line("pack store --output good.tar").success();
        let _ = env
            .run_line("pack one.txt --store store --output one.tar")
            .success();
        Self { env, source }
    }

    /// Everything but the output.
    fn inputs(&self) -> Tree {
        let mut all = tree(&self.env.work());
        all.retain(|path, _| !is_output(&path.to_string_lossy()));
        all.retain(|path, _| !path.iter().any(|part| part == ".hod"));
        all
    }

    fn clear(&self) {
        for name in hod_fsx::read_dir_names(&self.env.work()).unwrap() {
            let path = self.env.path(&name);
            if !is_output(&name.to_string_lossy()) {
                continue;
            }
            if hod_fsx::stat(&path).unwrap().is_dir {
                remove_tree(&path).unwrap();
            } else {
                hod_fsx::remove_file(&path).unwrap();
            }
        }
    }

    /// Runs a verb, below strace with `options`, against a registry of its own.
    fn run(&self, line: &str, options: &[&str]) -> (Output, TestRegistry) {
        let target = TestRegistry::start();
        let line = line.replace("TARGET", target.host());
        let line = line.replace("SOURCE", self.source.host());
        let mut command = if options.is_empty() {
            self.env.hod()
        } else {
            let mut strace = self.env.command("strace");
            strace.args(["-f", "-q"]).args(options);
            strace.arg(env!("CARGO_BIN_EXE_hod"));
            strace
        };
        (finish(command.args(line.split_whitespace())), target)
    }

    fn result(&self, made: Made, (output, target): &(Output, TestRegistry)) -> Tree {
        let out = self.env.path("out");
        match made {
            Made::Store => registry_tree(&out),
            Made::Directory => tree(&out),
            Made::Pushed => registry_tree(target.store().path()),
            Made::File | Made::Keys => {
                let mut all = tree(&self.env.work());
                all.retain(|path, _| is_output(&path.to_string_lossy()));
                if let Made::Keys = made {
                    // No two are the same.
                    for digest in all.values_mut() {
                        *digest = None;
                    }
                }
                all
            }
            Made::Said => Tree::from([(PathBuf::from(&output.stdout), None)]),
        }
    }
}

/// Whether a name in the working directory is the output's, or of what is kept to go on with it.
fn is_output(name: &str) -> bool {
    name.trim_start_matches('.').starts_with("out")
}

/// How often each call is made by the thread that makes it most often.
fn counts(log: &str) -> BTreeMap<String, usize> {
    let mut of_threads: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((call, _)) = rest.split_once('(') {
            *of_threads
                .entry((thread.to_owned(), call.to_owned()))
                .or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), n) in of_threads {
        let known: &mut usize = most.entry(call).or_default();
        *known = n.max(*known);
    }
    most
}

/// Fails calls of a verb one by one.
fn check(at: usize, (line, made): Verb) {
    if !are_here(&["strace"]) {
        return;
    }
    let is_wide = is_sweep();
    let site = Site::new();
    let run = site.run(line, &["-o", "calls.log"]);
    assert_eq!(run.0.code, Some(0), "{line}: {}", run.0.stderr);
    let expect = site.result(made, &run);
    let counts = counts(&site.env.read("calls.log"));
    hod_fsx::remove_file(&site.env.path("calls.log")).unwrap();
    let inputs = site.inputs();
    let mut n_failed = 0;
    for (row, (call, errors)) in CALLS.into_iter().enumerate() {
        let Some(&n) = counts.get(call) else {
            continue;
        };
        let places: BTreeSet<usize> = if is_wide {
            (1..=n).step_by(1 + n / 40).collect()
        } else {
            BTreeSet::from([1, n.div_ceil(2), n])
        };
        let mut turn = at + row;
        for place in places {
            let errors: Vec<&&str> = if is_wide {
                errors.iter().collect()
            } else {
                turn += 1;
                vec![&errors[turn % errors.len()]]
            };
            for error in errors {
                for lasts in if call == "clone3" {
                    &["", "+"][..]
                } else {
                    &[""]
                } {
                    let inject = format!("inject={call}:error={error}:when={place}{lasts}");
                    site.clear();
                    let run = site.run(line, &["-o", "/dev/null", "-e", &inject]);
                    let (code, said) = (run.0.code, &run.0.stderr);
                    let what = format!("{line}: {inject}: {code:?}\n{said}");
                    assert!(matches!(code, Some(0..=5 | 127)), "{what}");
                    assert!(!said.contains("panicked"), "{what}");
                    assert_eq!(site.inputs(), inputs, "{what}");
                    if code == Some(0) {
                        assert!(site.result(made, &run) == expect, "{what}");
                        continue;
                    }
                    n_failed += 1;
                    assert!(!said.is_empty(), "{what}");
                    let has = match made {
                        Made::Keys | Made::File => site.result(made, &run),
                        _ => Tree::new(),
                    };
                    // A file is there when it is complete, or when it is said what of it is not: by
                    // code 3, or with each image where another call failed later.
                    let is_whole = has == expect && matches!(made, Made::File);
                    let is_told = code == Some(3) || said.contains("failed: ");
                    assert!(has.is_empty() || is_whole || is_told, "{what}\n{has:?}");
                    if !has.is_empty() {
                        site.clear();
                    }
                    let again = site.run(line, &[]);
                    let said = &again.0.stderr;
                    assert_eq!(again.0.code, Some(0), "{what}\nagain: {said}");
                    assert!(site.result(made, &again) == expect, "{what}\nagain");
                }
            }
        }
    }
    assert!(n_failed > 5, "{line}: {n_failed} runs failed");
    assert!(exists(&site.env.path("list.txt")));
}

macro_rules! verbs {
    ($($name:ident: $line:expr, $made:ident;)*) => {
        $(#[test]
        fn $name() {
            check($line.len(), ($line, Made::$made));
        })*
    };
}

verbs! {
    a_pull: "pull list.txt --store out --source SOURCE --platform linux/amd64 --retries 0", Store;
    a_selection: "select list.txt --store store --output out", Store;
    a_copied_selection: "select list.txt --store store --output out --link copy", Store;
    a_replacement: "select one.txt --store store --output out --replace", Store;
    a_pack: "pack store --output out.tar", File;
    an_unpack: "unpack good.tar --output out", Store;
    an_export: "export store --output out --format oci", Directory;
    an_archive: "export good.tar --output out.tar --format docker-archive", File;
    a_push: "push good.tar TARGET --retries 0", Pushed;
    a_verification: "verify store", Said;
    a_receipt: "receipt store --output out.json", File;
    a_merge: "bundle merge one.tar good.tar --output out.tar", File;
    keys: "keygen --output out", Keys;
}
