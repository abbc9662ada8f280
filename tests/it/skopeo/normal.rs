//! What a run ended with, without what differs from run to run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Read as _;
use std::path::Path;

use hod_fsx::WalkKind;
use hod_oci::Digest;
use hod_testkit::env::Output;

use super::lab::tags_in;

/// Files up to this size are shown, others by their digest.
const SHOWN_MAX: usize = 120;

/// A run, made comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// The files in the directory, by path.
    pub(super) files: BTreeMap<String, String>,
    /// The tags in the namespace of the run.
    pub(super) pushed: BTreeMap<String, String>,
}

impl Ran {
    /// Reads what a run left in its directory and in its namespace of a registry's storage.
    pub(super) fn of(
        output: &Output,
        dir: &Path,
        (store, namespace): (&Path, &str),
        names: &[(String, &str)],
    ) -> Self {
        let plain = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (what, name)| {
                text.replace(what, name)
            })
        };
        let pushed = tags_in(store, namespace).into_iter();
        let pushed = pushed.map(|(name, digest)| (name.replace(namespace, "P"), digest));
        Self {
            code: output.code.unwrap_or(-1),
            stdout: with_sorted_blobs(&lines(&plain(&output.stdout))),
            stderr: lines(&plain(&output.stderr)),
            files: files(dir, &plain),
            pushed: pushed.collect(),
        }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        for (title, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                let end = if text.ends_with('\n') { "" } else { "\\\n" };
                write!(f, "--- {title}\n{text}{end}")?;
            }
        }
        for (title, entries) in [("files", &self.files), ("pushed", &self.pushed)] {
            if !entries.is_empty() {
                writeln!(f, "--- {title}")?;
            }
            for (name, what) in entries {
                writeln!(f, "{name} {what}")?;
            }
        }
        Ok(())
    }
}

/// Blobs move in parallel: the order in which they are named says nothing.
fn with_sorted_blobs(text: &str) -> String {
    let mut sorted = String::with_capacity(text.len());
    let mut blobs: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("Copying blob ") {
            blobs.push(line);
            continue;
        }
        blobs.sort_unstable();
        sorted.extend(blobs.drain(..));
        sorted.push_str(line);
    }
    blobs.sort_unstable();
    sorted.extend(blobs);
    sorted
}

/// Log lines without times, ports and addresses of name servers.
fn lines(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = between(line, "time=\"", "\"", "T");
        let line = between(&line, "dial tcp 127.0.0.1:", "->", "PORT");
        let line = between(&line, "read tcp 127.0.0.1:", "->", "PORT");
        let line = between(&line, "lookup nohost.invalid", ":53", " on DNS");
        plain.push_str(&line);
    }
    plain
}

/// Replaces what stands between two marks.
fn between(line: &str, start: &str, end: &str, with: &str) -> String {
    let Some((before, rest)) = line.split_once(start) else {
        return line.to_owned();
    };
    match rest.split_once(end) {
        Some((_, after)) => format!("{before}{start}{with}{end}{after}"),
        None => line.to_owned(),
    }
}

fn files(dir: &Path, plain: &dyn Fn(&str) -> String) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in hod_fsx::walk(dir, |_| true) {
        let entry = entry.unwrap();
        let path = entry.path.strip_prefix(dir).unwrap();
        let path = plain(path.to_str().unwrap());
        match entry.kind {
            WalkKind::File => {
                let bytes = hod_testkit::tree::read(&entry.path);
                files.insert(path, shown(&bytes, plain));
            }
            WalkKind::Dir => {}
            WalkKind::Special => {
                files.insert(path, "special".to_owned());
            }
        }
    }
    files
}

/// A file as a word: short texts as they are, archives by their members, others by their digest.
fn shown(bytes: &[u8], plain: &dyn Fn(&str) -> String) -> String {
    if let Some(members) = members(bytes).filter(|_| bytes.get(257..262) == Some(b"ustar")) {
        return members;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if plain(text).len() <= SHOWN_MAX => format!("{:?}", plain(text)),
        _ => Digest::of(bytes).to_string(),
    }
}

/// The files in an archive, in no order, since their order and times are not fixed. What archives of
/// `docker save` have for Docker before 1.10 is left out. None of what is damaged.
fn members(bytes: &[u8]) -> Option<String> {
    let mut listed = Vec::new();
    let mut archive = tar::Archive::new(bytes);
    for member in archive.entries().ok()? {
        let mut member = member.ok()?;
        let path = member.path().ok()?.display().to_string();
        let is_file = member.header().entry_type().is_file();
        let is_old =
            path == "repositories" || path.ends_with("/VERSION") || path.ends_with("/json");
        if is_file && !is_old {
            let mut contents = Vec::new();
            member.read_to_end(&mut contents).ok()?;
            listed.push(format!("{path}={}", Digest::of(&contents).hex()));
        }
    }
    listed.sort_unstable();
    let mut text = "archive of".to_owned();
    for member in listed {
        write!(text, "\n    {member}").unwrap();
    }
    Some(text)
}

/// The lines that only one of two texts has.
pub(super) fn diff(left: &str, right: &str) -> String {
    let mut text = String::new();
    let (left, right): (Vec<&str>, Vec<&str>) = (left.lines().collect(), right.lines().collect());
    for (mark, lines, others) in [('-', &left, &right), ('+', &right, &left)] {
        for line in lines.iter().filter(|line| !others.contains(line)) {
            writeln!(text, "{mark} {line}").unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("the same lines in another order\n");
    }
    text
}
