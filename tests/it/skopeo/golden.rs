//! Recordings of skopeo 1.22: exit code, stdout, stderr, files and pushed tags of each invocation.
//!
//! A record begins with `=== ` and the line of shell. Where hod differs on purpose, `# ` and the
//! reason follow, and hod's own result is a snapshot. To add a line, add its `=== `, and record:
//!
//! `HOD_TEST_SKOPEO=PROGRAM cargo test -p hod --test it skopeo::golden`

use std::fmt::Write as _;
use std::path::PathBuf;

use hod_testkit::programs::other_skopeo;

use super::lab::{Lab, Player};
use super::normal::diff;

/// What begins the record of an invocation.
const MARK: &str = "=== ";
/// What begins the reason why hod differs.
const REASON: &str = "# ";

/// An invocation with what skopeo does.
#[derive(Debug)]
struct Record {
    line: String,
    reason: Option<String>,
    recorded: String,
}

#[test]
fn usage() {
    check("usage");
}

#[test]
fn names() {
    check("names");
}

#[test]
fn inspect() {
    check("inspect");
}

#[test]
fn tags_and_digests() {
    check("tags");
}

#[test]
fn copies() {
    check("copies");
}

#[test]
fn rare_verbs_and_completion() {
    check("verbs");
}

#[test]
fn syncs() {
    check("syncs");
}

#[test]
fn logins() {
    check("logins");
}

/// Compares hod with a recording, or makes that again.
#[track_caller]
fn check(name: &str) {
    let Some(lab) = Lab::new() else { return };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("tests/it/skopeo/golden/{name}.txt"));
    let records = parse(&String::from_utf8(hod_testkit::tree::read(&path)).unwrap());
    if let Some(program) = other_skopeo() {
        let text = record(&lab, &records, &Player::At(program.into()));
        hod_fsx::write_file(&path, text.as_bytes()).unwrap();
        return;
    }
    let (mut problems, mut own) = (String::new(), String::new());
    for Record {
        line,
        reason,
        recorded,
    } in &records
    {
        let ran = lab.run(&Player::Hod, line).to_string();
        match reason {
            Some(_) if ran == *recorded => {
                writeln!(problems, "{MARK}{line}\ndoes not differ any more").unwrap();
            }
            Some(reason) => write!(own, "{MARK}{line}\n{REASON}{reason}\n{ran}\n").unwrap(),
            None if ran != *recorded => {
                write!(problems, "{MARK}{line}\n{}\n", diff(recorded, &ran)).unwrap();
            }
            None => {}
        }
    }
    assert!(problems.is_empty(), "`-` is skopeo's:\n{problems}");
    if !own.is_empty() {
        insta::assert_snapshot!(format!("own_{name}"), own);
    }
}

fn record(lab: &Lab, records: &[Record], player: &Player) -> String {
    let mut text = String::new();
    for Record { line, reason, .. } in records {
        let ran = lab.run(player, line);
        writeln!(text, "{MARK}{line}").unwrap();
        if let Some(reason) = reason {
            writeln!(text, "{REASON}{reason}").unwrap();
        }
        writeln!(text, "{ran}").unwrap();
    }
    text
}

fn parse(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix(MARK) {
            records.push(Record {
                line: line.to_owned(),
                reason: None,
                recorded: String::new(),
            });
            continue;
        }
        let record = records.last_mut().unwrap();
        match line.strip_prefix(REASON) {
            Some(reason) if record.recorded.is_empty() => {
                record.reason = Some(reason.to_owned());
            }
            _ => writeln!(record.recorded, "{line}").unwrap(),
        }
    }
    for record in &mut records {
        // A blank line is between records.
        record.recorded.pop();
    }
    records
}
