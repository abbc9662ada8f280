//! Bundles from stdin: read once, in one pass, whole or in volumes one after the other.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use hod_bundle::{Bundle, Placement, ReadOptions};

use hod_testkit::env::{Output, TestEnv};
use hod_testkit::images::{Compression, ImageBuilder, layer};
use hod_testkit::registry::TestRegistry;
use hod_testkit::tree::{Tree, assert_same, exists, read, registry_tree, tree, whole_images};
use hod_testkit::volumes::{divide, joined};
use hod_testkit::zoo::Zoo;

/// Small enough for the largest layer to be cut.
const VOLUME_SIZE: u64 = 320_000;
/// More than a pipe holds.
const PIPE_LEN: usize = 256 * 1024;

/// A store, and what was packed of it in every form that a pipe may bring.
struct Site {
    zoo: Zoo,
    raw: Vec<u8>,
    volumes: Vec<Vec<u8>>,
    tree: Tree,
}

impl Site {
    fn new() -> Self {
        let (zoo, store) = Zoo::pulled();
        let large = layer(77, 1_000_000, Compression::Uncompressed);
        let image = ImageBuilder::oci(77).layer(&large).build();
        image.put_in(&zoo.env.store("store"), "app/large:1");
        let line = "pack store --output site.tar";
        let _ = zoo.env.run_line(line).success();
        let from = zoo.env.path("site.tar");
        let paths = divide(&from, &zoo.env.path("divided.tar"), VOLUME_SIZE);
        let bundle = Bundle::open(&paths[0], &ReadOptions::default()).unwrap();
        let mut blobs = bundle.manifest().blobs.iter();
        let is_cut =
            blobs.any(|blob| matches!(&blob.place, Placement::Parts(parts) if parts.len() > 2));
        assert!(is_cut && paths.len() > 3, "the test meets what it is about");
        Self {
            raw: read(&from),
            volumes: paths.iter().map(|path| read(path)).collect(),
            tree: registry_tree(&store),
            zoo,
        }
    }

    fn joined(&self) -> Vec<u8> {
        self.volumes.concat()
    }

    /// Everything that may come, by name.
    fn forms(&self) -> [(&'static str, Vec<u8>); 4] {
        let pack = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        [
            ("raw", self.raw.clone()),
            ("zstd", pack(&self.raw)),
            ("volumes", self.joined()),
            ("zstd of volumes", pack(&self.joined())),
        ]
    }
}

fn start(env: &TestEnv, line: &str) -> Child {
    let mut command = env.hod();
    command.args(line.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `hod` with these bytes in a pipe; who reads no further than it needs closes it.
fn feed(env: &TestEnv, line: &str, bytes: &[u8]) -> (Output, io::Result<()>) {
    let mut child = start(env, line);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        let fed = scope.spawn(move || stdin.write_all(bytes));
        let output = end(child);
        (output, fed.join().unwrap())
    })
}

#[test]
fn every_verb_that_reads_once_reads_from_a_pipe() {
    let site = Site::new();
    let env = &site.zoo.env;
    let of_file = env.run_line("export site.tar --output of-file").success();
    let exported = tree(&env.path("of-file"));
    let listed = env.run_line("ls site.tar").success().stdout;
    for (name, bytes) in site.forms() {
        let registry = TestRegistry::start();
        let push = format!("push - {}", registry.host());
        let (pushed, fed) = feed(env, &push, &bytes);
        let _ = pushed.success();
        fed.unwrap();
        let images = whole_images(registry.store().path());
        assert_eq!(images, whole_images(&env.path("store")), "{name}");
        // All is there: and the pipe is read to its end all the same.
        let (pushed, fed) = feed(env, &push, &bytes);
        let unchanged = format!("({} unchanged)", images.len());
        assert!(pushed.success().stderr.contains(&unchanged), "{name}");
        fed.unwrap();

        let output = name.replace(' ', "-");
        let (unpacked, fed) = feed(env, &format!("unpack - --output {output}.d"), &bytes);
        let _ = unpacked.success();
        fed.unwrap();
        assert_same(
            &registry_tree(&env.path(format!("{output}.d"))),
            &site.tree,
            name,
        );
        let _ = env.run_line(&format!("verify {output}.d")).success();

        let (out, fed) = feed(env, &format!("export - --output {output}.e"), &bytes);
        assert_eq!(out.success().stdout, of_file.stdout, "{name}");
        fed.unwrap();
        assert_same(&tree(&env.path(format!("{output}.e"))), &exported, name);

        let (verified, fed) = feed(env, "verify -", &bytes);
        let verified = verified.success();
        assert!(
            verified.stderr.contains("verified `-`: "),
            "{}",
            verified.stderr
        );
        fed.unwrap();

        let (out, _) = feed(env, "ls -", &bytes);
        let names = |table: &str| -> Vec<String> {
            let lines = table
                .lines()
                .map(|line| line.split(' ').next().unwrap().to_owned());
            lines.collect()
        };
        assert_eq!(names(&out.success().stdout), names(&listed), "{name}");
    }
    assert_eq!(hod_fsx::read_dir_names(&env.tmp()).unwrap(), [""; 0]);
}

#[test]
fn what_looks_into_bundles_looks_into_a_pipe() {
    let site = Site::new();
    let env = &site.zoo.env;
    let listed = env.run_line("ls site.tar --json").success().stdout;
    let digest = listed.split("sha256:").nth(1).unwrap()[..64].to_owned();
    for line in ["diff {} site.tar".to_owned(), format!("why {digest} {{}}")] {
        let of_file = env.run_line(&line.replace("{}", "site.tar")).success();
        let (output, _) = feed(env, &line.replace("{}", "-"), &site.joined());
        assert_eq!(output.success().stdout, of_file.stdout, "{line}");
    }
    let (output, _) = feed(env, "diff - -", &site.raw);
    let output = output.exits(1);
    assert!(
        output.stderr.contains("it can be read only once"),
        "{}",
        output.stderr
    );
}

#[test]
fn some_of_a_pipe_is_pushed_under_other_names() {
    let site = Site::new();
    let env = &site.zoo.env;
    env.write("some.txt", "app/large:1");
    let registry = TestRegistry::start();
    let line = format!("push - {}/p --only some.txt", registry.host());
    let (pushed, fed) = feed(env, &line, &site.joined());
    let _ = pushed.success();
    fed.unwrap();
    let images = whole_images(registry.store().path());
    assert_eq!(images.into_keys().collect::<Vec<_>>(), ["p/app/large:1"]);
    // The list or the bundle.
    for line in [
        format!("push - {} --only -", registry.host()),
        format!("push - {} --creds-stdin", registry.host()),
        "export - --output out --only -".to_owned(),
    ] {
        let (output, _) = feed(env, &line, b"");
        let output = output.exits(2);
        assert!(
            output.stderr.contains("both read stdin"),
            "{}",
            output.stderr
        );
    }
}

/// Verified as they come, volumes that are missing are named as they are beside a file.
#[test]
fn missing_volumes_of_a_pipe_are_named() {
    let site = Site::new();
    let env = &site.zoo.env;
    let count = site.volumes.len();
    for n_here in 1..count {
        let bytes = site.volumes[..n_here].concat();
        let missing: Vec<u64> = (1..=count as u64).skip(n_here).collect();
        let (output, _) = feed(env, "verify - --json", &bytes);
        let output = output.exits(5);
        let words: Vec<String> = missing.iter().map(u64::to_string).collect();
        let said = match &words[..] {
            [last] => format!("volume {last} of {count} is missing\n"),
            [rest @ .., last] => {
                format!(
                    "volumes {} and {last} of {count} are missing\n",
                    rest.join(", ")
                )
            }
            [] => unreachable!("one is missing"),
        };
        let said = format!("error: `-` is incomplete: {said}");
        assert!(output.stderr.contains(&said), "{}", output.stderr);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(document["volumes"]["missing"], serde_json::json!(missing));
        // The files say the same of themselves.
        hod_fsx::create_dir_all(&env.path(format!("some{n_here}"))).unwrap();
        for (at, volume) in site.volumes[..n_here].iter().enumerate() {
            env.write(format!("some{n_here}/v.{at:03}.tar"), volume);
        }
        let line = format!("verify some{n_here}/v.000.tar --json");
        let files = env.run_line(&line).exits(5);
        let of_files: serde_json::Value = serde_json::from_str(&files.stdout).unwrap();
        assert_eq!(document["volumes"], of_files["volumes"]);
        assert_eq!(document["n_blobs"], of_files["n_blobs"]);
        let (partial, _) = feed(env, "verify - --partial", &bytes);
        let _ = partial.success();
    }
    let (output, _) = feed(env, "verify -", &site.volumes[1..].concat());
    let said = "expected volume 1, found volume 2";
    let output = output.exits(5);
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

/// What breaks off says where, and shows nothing that is not whole.
#[test]
fn a_pipe_that_breaks_off_says_in_which_volume() {
    let site = Site::new();
    let env = &site.zoo.env;
    let count = site.volumes.len();
    let joined = site.joined();
    let first = site.volumes[0].len();
    let second = first + site.volumes[1].len();
    let within = format!("volume 2 of {count} of the bundle cannot be used");
    let cuts = [
        (1000, "hod/volume.json".to_owned()),
        (first - 700, format!("volume 1 of {count}")),
        (first, format!(" and {count} of {count} are missing")),
        (first + 600, within.clone()),
        (second - 5000, within),
        (joined.len() - 512, format!("volume {count} of {count}")),
    ];
    let whole = whole_images(&env.path("store"));
    for (len, expect) in cuts {
        let bytes = &joined[..len];
        let (output, _) = feed(env, "unpack - --output out", bytes);
        // Between two volumes the bundle is incomplete; within one it is damaged.
        let code = if expect.ends_with("are missing") {
            5
        } else {
            4
        };
        let is_right = output.code == Some(code) || (len < first && output.code == Some(1));
        assert!(is_right, "{len}: {:?} {}", output.code, output.stderr);
        assert!(output.stderr.contains(&expect), "{len}: {}", output.stderr);
        assert!(!exists(&env.path("out")), "{len}");

        let (output, _) = feed(env, "verify -", bytes);
        // What breaks off between two volumes is whole as far as it goes.
        let expected = if len == first { 5 } else { 4 };
        assert_eq!(output.code, Some(expected), "{len}: {}", output.stderr);
        let text = output.stdout + &output.stderr;
        assert!(text.contains(&expect), "{len}: {text}");

        let registry = TestRegistry::start();
        let line = format!("push - {}", registry.host());
        let (output, _) = feed(env, &line, bytes);
        assert!(output.stderr.contains(&expect), "{len}: {}", output.stderr);
        let n_there = whole_images(registry.store().path())
            .iter()
            .map(|(name, digest)| assert_eq!(whole.get(name), Some(digest)))
            .count();
        let codes = match n_there {
            0 if len == first => [5, 5],
            0 => [1, 4],
            _ => [3, 4],
        };
        assert!(
            codes.contains(&output.code.unwrap()),
            "{len}: {}",
            output.stderr
        );
    }
}

#[test]
fn damage_in_a_pipe_is_named_and_unpacks_to_nothing() {
    let site = Site::new();
    let env = &site.zoo.env;
    let from = env.path("divided.002.tar");
    let bundle = Bundle::open(&from, &ReadOptions::default()).unwrap();
    let mut blobs = bundle.manifest().blobs.iter();
    let cut = blobs.find(|blob| blob.parts().len() > 2).unwrap();
    let parts = bundle.open_blob(&cut.digest).unwrap();
    let at = usize::try_from(parts[1].offset + 5).unwrap();
    let mut volumes = site.volumes.clone();
    let volume = usize::try_from(cut.parts()[1].volume).unwrap() - 1;
    volumes[volume][at] ^= 4;
    let bytes = volumes.concat();
    let (output, _) = feed(env, "verify -", &bytes);
    let output = output.exits(4);
    assert!(
        output.stdout.contains(cut.digest.hex()),
        "{}",
        output.stdout
    );
    let (output, _) = feed(env, "unpack - --output out", &bytes);
    let output = output.exits(4);
    assert!(
        output.stderr.contains(cut.digest.as_str()),
        "{}",
        output.stderr
    );
    assert!(!exists(&env.path("out")));
    let registry = TestRegistry::start();
    let line = format!("push - {}", registry.host());
    let (output, _) = feed(env, &line, &bytes);
    let output = output.exits(4);
    assert!(output.stderr.contains("app/large:1"), "{}", output.stderr);
    let mut rest = whole_images(&env.path("store"));
    rest.remove("app/large:1");
    assert_eq!(whole_images(registry.store().path()), rest);
}

/// Everything that was wanted had arrived, but the sender ended early: nothing tells the reader why.
#[test]
fn a_pipe_that_ends_behind_the_last_blob_is_not_done() {
    let site = Site::new();
    let env = &site.zoo.env;
    // Of the zeros that end the archive, all but the last block.
    let cut = &site.raw[..site.raw.len() - 512];
    let registry = TestRegistry::start();
    for line in [
        format!("push - {} --json", registry.host()),
        "export - --output out --json".to_owned(),
    ] {
        let (output, _) = feed(env, &line, cut);
        let output = output.exits(4);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(document["source_damage"].is_string(), "{document}");
    }
    assert_eq!(
        whole_images(registry.store().path()),
        whole_images(&env.path("store"))
    );
}

#[test]
fn verbs_that_cannot_read_once_refuse_a_pipe() {
    let env = TestEnv::new();
    env.write("some.txt", "app/large:1");
    let (output, _) = feed(&env, "serve -", b"");
    let output = output.exits(2);
    let expect = "a bundle on stdin (`-`) can be read only once, which is not enough for this command\n\nhint: ";
    assert!(output.stderr.contains(expect), "{}", output.stderr);
    assert_eq!(hod_fsx::read_dir_names(&env.work()).unwrap(), ["some.txt"]);
    for line in [
        "unpack - --output out",
        "select some.txt --store - --output out",
        "pack - --output out.tar",
        "verify -",
        "ls -",
    ] {
        for (bytes, what) in [
            (&b""[..], "it is empty"),
            (b"docker", "it is not a tar archive"),
            (
                b"\x1f\x8b\x08",
                "it is compressed with gzip\n\nhint: Decompress it first, with `gunzip`",
            ),
        ] {
            let (output, _) = feed(&env, line, bytes);
            let output = output.exits(2);
            let expect = format!("`<stdin>` is not a hod bundle: {what}");
            assert!(output.stderr.contains(&expect), "{line}: {}", output.stderr);
        }
    }
}

/// Waits for more with a pipe that stays open, and is told to end.
#[test]
fn an_interrupt_ends_the_wait_for_a_pipe() {
    let site = Site::new();
    let env = &site.zoo.env;
    let registry = TestRegistry::start();
    let bytes = site.joined();
    for line in [
        "unpack - --output out".to_owned(),
        "verify -".to_owned(),
        format!("push - {}", registry.host()),
    ] {
        let mut child = start(env, &line);
        let mut stdin = child.stdin.take().unwrap();
        // More than fits into the pipe: so it is being read.
        stdin.write_all(&bytes[..PIPE_LEN]).unwrap();
        let mut kill = env.command("sh");
        kill.args(["-c", &format!("kill -INT {}", child.id())]);
        assert!(kill.status().unwrap().success());
        let output = end(child).exits(130);
        assert!(
            output.stderr.contains("interrupted"),
            "{line}: {}",
            output.stderr
        );
        drop(stdin);
    }
    assert_eq!(whole_images(&env.path("out")).len(), 0);
    let store = whole_images(&env.path("store"));
    for (name, digest) in whole_images(registry.store().path()) {
        assert_eq!(store.get(&name), Some(&digest));
    }
}

/// The most memory that a running program has had beside the pages of files, such as its own, in bytes.
fn peak(child: &Child) -> u64 {
    let status = read(Path::new(&format!("/proc/{}/status", child.id())));
    let status = String::from_utf8(status).unwrap();
    let kib = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    (kib("VmHWM:") - kib("RssFile:")) * 1024
}

#[test]
fn memory_does_not_grow_with_what_comes() {
    const MIB: usize = 1024 * 1024;
    let env = TestEnv::in_memory();
    // As many as are under way at once, and one that is cut.
    let lens = [40, 20, 20, 20].into_iter().zip(1..);
    let image = lens.fold(ImageBuilder::oci(1), |image, (mib, seed)| {
        image.layer(&layer(seed, mib * MIB, Compression::Uncompressed))
    });
    let image = image.build();
    image.put_in(&env.store("store"), "app/large:1");
    drop(image);
    let _ = env.run_line("pack store --output site.tar").success();
    let volumes = divide(&env.path("site.tar"), &env.path("v.tar"), 30_000_000);
    assert!(volumes.len() >= 4);
    hod_fsx::remove_file(&env.path("site.tar")).unwrap();
    let bytes = joined(&volumes);
    for path in volumes {
        hod_fsx::remove_file(&path).unwrap();
    }
    let registry = TestRegistry::start();
    for line in [
        "unpack - --output out".to_owned(),
        format!("push - {}", registry.host()),
    ] {
        let mut child = start(&env, &line);
        let mut stdin = child.stdin.take().unwrap();
        // All but the end, for which it waits.
        stdin.write_all(&bytes[..bytes.len() - 512]).unwrap();
        let peak = peak(&child);
        assert!(peak < 64 * MIB as u64, "{line}: {peak}");
        stdin.write_all(&bytes[bytes.len() - 512..]).unwrap();
        drop(stdin);
        let _ = end(child).success();
    }
}
