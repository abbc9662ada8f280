//! `skopeo sync` between registries and directories, beside the installed skopeo where that has the
//! flag.

use super::beside::check;
use super::lab::{Lab, Player};
use super::normal::Ran;

const ROWS: &str = r"
skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/many d | sort
skopeo sync --src-tls-verify=false --src docker --dest dir --scoped $R/lab/many d | sort
skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/s2@$S2 d
skopeo sync --src-tls-verify=false --dest-tls-verify=false --src docker --dest docker $R/lab/many $R/$P | sort
skopeo sync --src-tls-verify=false --dest-tls-verify=false --src docker --dest docker --all $R/lab/idxs2 $R/$P/deep/er | sort
skopeo sync --src-tls-verify=false --dest-tls-verify=false --src docker --dest docker --format oci $R/lab/s2:v1 $R/$P
skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/many:v1.2 d; skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/oci:v1 d; skopeo sync --dest-tls-verify=false --src dir --dest docker d $R/$P | sort
skopeo sync --src-tls-verify=false --scoped --src docker --dest dir $R/lab/oci:v1 d && skopeo sync --dest-tls-verify=false --scoped --src dir --dest docker d $R/$P | wc -l
skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/s2:v1 d && skopeo sync --src-tls-verify=false --src docker --dest dir $R/lab/s2:v1 d
skopeo sync --src-tls-verify=false --src docker --dest dir $R/no/such d
skopeo sync --src dir --dest docker nope $R/$P
mkdir d; skopeo sync --src dir --dest docker d $R/$P
skopeo sync --dry-run --src-tls-verify=false --src docker --dest docker $R/lab/many $R/$P
";

#[test]
fn as_the_installed_skopeo() {
    check(ROWS, |lab| {
        let top = super::stock::stocked("lab/s2:v1");
        lab.set("S2", top.digest().to_string());
    });
}

/// A directory with a whole layout and one that lacks a layer.
fn broken(lab: &Lab) -> String {
    let line = "skopeo copy -q --src-tls-verify=false docker://$R/lab/s2:v1 dir:a:1; \
                skopeo copy -q --src-tls-verify=false docker://$R/lab/oci:v1 dir:b:1; \
                rm b:1/$(ls -S b:1 | head -1)";
    let ran = lab.run(&Player::Installed, line);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    lab.last_dir().display().to_string()
}

fn hod(lab: &Lab, line: &str) -> Ran {
    lab.run(&Player::Hod, line)
}

#[test]
fn a_second_run_between_registries_moves_nothing() {
    let Some(lab) = Lab::new() else { return };
    let sync = "skopeo sync --src-tls-verify=false --dest-tls-verify=false --src docker --dest docker $R/lab/many $R/$P";
    let ran = hod(
        &lab,
        &format!("{sync} > /dev/null && {sync} --digestfile f"),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    let looked = ["Getting image source signatures"; 6];
    let skipped = ["Skipping: image already present at destination"; 6];
    assert_eq!(lines, [looked, skipped].concat());
    assert_eq!(ran.pushed.len(), 6);
    assert!(
        ran.stderr.contains("Synced 6 images from 1 sources"),
        "{}",
        ran.stderr
    );
}

#[test]
fn suffixes_and_digest_files() {
    let Some(lab) = Lab::new() else { return };
    let digest = super::stock::stocked("lab/s2:v1").digest().to_string();
    let ran = hod(
        &lab,
        "skopeo sync --src-tls-verify=false --dest-tls-verify=false --src docker --dest docker --append-suffix -x --digestfile f $R/lab/s2:v1 $R/$P; sed \"s|$R/$P|R/P|\" f",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let line = format!("{digest} docker://R/P/s2:v1-x\n");
    assert!(ran.stdout.ends_with(&line), "{}", ran.stdout);
    assert_eq!(ran.pushed["P/s2:v1-x"], digest);

    let ran = hod(
        &lab,
        "echo old > f; skopeo sync --dry-run --src-tls-verify=false --src docker --dest docker --digestfile f $R/lab/s2:v1 $R/$P",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.files["f"], "\"old\\n\"");
    assert_eq!(ran.pushed.len(), 0);
}

#[test]
fn what_fails_is_told_and_what_remains_is_copied() {
    let Some(lab) = Lab::new() else { return };
    lab.set("BROKEN", broken(&lab));
    let sync = "skopeo sync --dest-tls-verify=false --src dir --dest docker $BROKEN $R/$P";
    let ran = hod(&lab, &format!("{sync} --keep-going"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let end = "Sync failed due to previous reported error(s) for one or more images";
    assert!(ran.stderr.contains(end), "{}", ran.stderr);
    assert_eq!(ran.pushed.keys().collect::<Vec<_>>(), ["P/a:1"]);

    let ran = hod(&lab, sync);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("Error copying ref"), "{}", ran.stderr);
    assert!(!ran.pushed.contains_key("P/b:1"));
}
